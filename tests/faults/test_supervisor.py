"""The processes above the engines are killed: the supervisor, or the whole host. Nothing hangs and
nothing stays behind."""

import os
import signal
import time

import pytest

from showcase import children, eventually, is_alive
from wire import Wire

pytestmark = pytest.mark.sanitizer


@pytest.fixture
def server(start):
    return start("--engines", "2", mode="processes")


def supervisor_of(server):
    (supervisor,) = children(server.pid)
    return supervisor


def test_supervisor_killed(server):
    """Its engines go with it; requests are answered with 503, in a time that is set."""
    assert server.get("/json")[0] == 200
    engines = server.engines()
    with Wire(server.address) as waiting:
        waiting.request("GET", "/hang")
        assert eventually(lambda: server.ends()["hung"] == 1)
        os.kill(supervisor_of(server), signal.SIGKILL)
        assert waiting.answer().status == 502
    assert eventually(lambda: not any(map(is_alive, engines)))
    asked_at = time.monotonic()
    assert server.get("/json")[0] == 503
    assert time.monotonic() - asked_at < 10
    assert eventually(lambda: "the supervisor of the engines" in server.errors)


def test_supervisor_killed_and_then_stopped(server):
    os.kill(supervisor_of(server), signal.SIGKILL)
    assert eventually(lambda: not children(server.pid))
    assert server.stop() == 0


def test_supervisor_ignores_what_stops_the_host(server):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(supervisor_of(server), number)
    assert server.get("/json")[0] == 200
    assert len(server.engines()) == 2


def test_host_killed(start):
    server = start("--engines", "2", mode="processes")
    family = server.processes()
    assert len(family) == 4
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    assert eventually(lambda: not any(map(is_alive, family)))


def test_host_killed_while_engines_are_restarted(start):
    server = start("--engines", "2", "--allow-crash", mode="processes")
    supervisor = supervisor_of(server)
    engines = server.engines()
    for pid in engines:
        os.kill(pid, signal.SIGKILL)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert eventually(lambda: not is_alive(supervisor))
    assert not children(supervisor)
    assert not any(map(is_alive, engines))


def test_host_killed_while_the_supervisor_sleeps(start):
    """Stopped processes notice when they go on."""
    server = start("--engines", "1", mode="processes")
    supervisor = supervisor_of(server)
    engines = server.engines()
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    finally:
        os.kill(supervisor, signal.SIGCONT)
    assert eventually(lambda: not is_alive(supervisor))
    assert eventually(lambda: not any(map(is_alive, engines)))
