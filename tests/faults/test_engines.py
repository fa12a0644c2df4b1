"""Engine processes that die, hang or never come back. A client sees the whole answer, an error or
a visible cut; never a clean end of half an answer, and never the answer of another."""

import contextlib
import os
import signal
import threading
import time

import pytest

from showcase import eventually, is_alive
from wire import Cut, Wire

pytestmark = pytest.mark.sanitizer

CYCLE = bytes(range(251)) * 20000


@pytest.fixture
def server(start):
    return start("--engines", "1", "--allow-crash", mode="processes")


def kill_engines(server, number=signal.SIGKILL):
    engines = server.engines()
    assert engines
    for pid in engines:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return engines


def is_serving(server):
    with contextlib.suppress(OSError, Cut):
        return server.get("/json") == (200, b'{"ok":true}')
    return False


def assert_recovers(server):
    assert eventually(lambda: is_serving(server), every=0.01)


# ---- killed at every stage of a response ----


def test_killed_before_the_head(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/hang")
        assert eventually(lambda: server.ends()["hung"] == 1)
        kill_engines(server)
        answer = wire.answer()
        assert answer.status in (502, 503)
        assert_recovers(server)
        wire.request("GET", "/json")
        assert wire.answer().status == 200


@pytest.mark.parametrize("target", ["/lines/100?ms=5000", "/bytes/1000000?pause=5000",
                                    "/bytes/1000000?pause=5000&chunked=1"])  # fmt: skip
def test_killed_after_the_head(server, target):
    with Wire(server.address) as wire:
        wire.request("GET", target)
        wire.read_head()
        kill_engines(server)
        with pytest.raises(Cut):
            while wire.read(1):
                pass
    assert_recovers(server)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("blocks", [1, 2, 5, 9])
def test_killed_in_the_body(server, blocks, chunked):
    """The answer has twenty blocks of 64 KiB; the engine dies after some of them."""
    total = 20 * 65536
    with Wire(server.address) as wire:
        wire.request("GET", f"/bytes/{total}?pause=100" + ("&chunked=1" if chunked else ""))
        wire.read_head()
        got = b""
        while len(got) < blocks * 65536:
            got += wire.read_chunk() if chunked else wire.read(1024)
        kill_engines(server)
        with pytest.raises(Cut):
            while True:
                piece = wire.read_chunk() if chunked else wire.read(min(1024, total - len(got)))
                assert piece, "a clean end of half an answer"
                got += piece
                assert len(got) < total
        assert got == CYCLE[: len(got)]
    assert_recovers(server)


def test_killed_in_a_body_without_end_for_http_1_0(server):
    """The only end such a body has is that of the connection: a cut must be a reset."""
    with Wire(server.address) as wire:
        wire.send("GET /lines/100?ms=5000 HTTP/1.0\r\n\r\n")
        wire.read_head()
        assert wire.read(7) == b"line 1\n"
        kill_engines(server)
        with pytest.raises(ConnectionResetError):
            wire.read_rest()


def test_killed_after_the_end(server):
    """The connection to the engine that waits for its next request is found dead."""
    with Wire(server.address) as wire:
        for _ in range(3):
            wire.request("GET", "/json")
            assert wire.answer().status == 200
            kill_engines(server)
            assert_recovers(server)
            wire.request("GET", "/json")
            assert wire.answer().status == 200


def test_killed_during_an_upload(server):
    half = b"x" * 500000
    with Wire(server.address) as wire:
        wire.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n", half)
        wire.read_head()
        wire.read(100000)  # the engine is at work
        kill_engines(server)
        with contextlib.suppress(OSError):
            wire.send(half)
        with pytest.raises(Cut):
            wire.read(900000)
    assert_recovers(server)


def test_killed_before_it_answers_an_upload(server):
    """A request with content is never given to a second engine."""
    with Wire(server.address) as wire:
        wire.request("GET", "/json")
        wire.answer()
        assert eventually(lambda: server.metrics()["exchanges.open"] == 0)
        wire.send("POST /digest HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        wire.send(b"x" * 500000)
        assert eventually(lambda: server.metrics()["exchanges.open"] > 0)
        # More than all windows on the way: the engine has taken some of it.
        wire.send(b"x" * 499999)
        kill_engines(server)
        assert wire.answer().status in (502, 503)
    assert_recovers(server)


def test_killed_during_a_websocket(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/ws/echo", "connection: upgrade", "upgrade: websocket",
                     "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")
        assert wire.answer().status == 101
        kill_engines(server)
        with contextlib.suppress(ConnectionResetError):
            wire.read_rest()
    assert_recovers(server)


def test_aborts_by_itself(server):
    for _ in range(3):
        assert server.get("/crash")[0] in (502, 503)
        assert_recovers(server)
    assert server.get("/json")[0] == 200


def test_others_are_unaffected(start):
    """Of two engines one dies: nothing happens to what the other does."""
    server = start("--engines", "2", mode="processes")
    wires = [Wire(server.address) for _ in range(40)]
    for wire in wires:
        wire.request("GET", "/lines/40?ms=50")
        assert wire.read_head().status == 200
    victim = server.engines()[0]
    os.kill(victim, signal.SIGKILL)
    outcomes = []
    for wire in wires:
        lines = []
        try:
            while chunk := wire.read_chunk():
                lines.append(chunk)
            assert len(lines) == 40
            outcomes.append("whole")
        except Cut:
            assert len(lines) < 40
            outcomes.append("cut")
        wire.close()
    assert 0 < outcomes.count("whole") < 40, outcomes
    assert_recovers(server)


# ---- coming back ----


def test_restarted(server):
    for _ in range(3):
        (before,) = kill_engines(server)
        assert eventually(lambda before=before: [pid for pid in server.engines() if pid != before])
        assert_recovers(server)


def test_crash_loop_backs_off(server):
    """Killed as soon as it is there: the engine comes back at a falling rate, without a busy loop."""
    seen = set()
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        for pid in server.engines():
            seen.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    assert 2 <= len(seen) <= 12, f"{len(seen)} starts in four seconds"
    assert_recovers(server)


def test_all_dead(start):
    """Nobody is there to answer: 503 with Retry-After within the queue's patience. What an engine
    took along into its death gets 502, or 504 when its successor did not live to see it either."""
    server = start("--engines", "1", "--limit", "engine_answer_timeout=3000", mode="processes")
    stop = threading.Event()
    kills = []

    def keep_dead():
        while not stop.is_set():
            for pid in server.engines():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                kills.append(pid)
            stop.wait(0.002)

    thread = threading.Thread(target=keep_dead)
    thread.start()
    try:
        # From then on it comes back after seconds only.
        assert eventually(lambda: len(set(kills)) >= 6)
        statuses = []
        deadline = time.monotonic() + 40
        while 503 not in statuses and time.monotonic() < deadline:
            with Wire(server.address) as wire:
                wire.request("GET", "/json")
                answer = wire.answer()
                statuses.append(answer.status)
                if answer.status == 503:
                    assert answer.value("retry-after") is not None
                    assert b"ROUTED" not in answer.body
        # An engine that just came back may answer before it dies again.
        assert 503 in statuses and set(statuses) <= {200, 502, 503, 504}, statuses
    finally:
        stop.set()
        thread.join()
    assert_recovers(server)


# ---- hanging ----


def test_stopped_engine(start):
    """SIGSTOP: 504 at the limit, and the late answer reaches nobody."""
    server = start("--engines", "1", "--limit", "engine_answer_timeout=1500", mode="processes")
    with Wire(server.address) as wire:
        wire.request("GET", "/users/warm")
        assert wire.answer().status == 200
        (engine,) = kill_engines(server, signal.SIGSTOP)
        try:
            start_time = time.monotonic()
            wire.request("GET", "/users/late")
            answer = wire.answer()
            assert answer.status == 504 and b"late" not in answer.body
            assert 1.4 <= time.monotonic() - start_time < 10
        finally:
            os.kill(engine, signal.SIGCONT)
        for number in range(50):
            wire.request("GET", f"/users/{number}")
            answer = wire.answer()
            assert answer.status == 200 and b'"%d"' % number in answer.body
    for number in range(50):
        assert b'"%d"' % number in server.get(f"/users/{number}")[1]


def test_stopped_engine_of_two(start):
    """The other one goes on answering."""
    server = start("--engines", "2", "--limit", "engine_answer_timeout=500", mode="processes")
    engine = server.engines()[0]
    os.kill(engine, signal.SIGSTOP)
    try:
        statuses = [server.get("/json")[0] for _ in range(10)]
        assert set(statuses) <= {200, 504} and 200 in statuses, statuses
    finally:
        os.kill(engine, signal.SIGCONT)
    assert_recovers(server)


def test_stop_with_a_hanging_engine(start):
    """A graceful stop does not wait for ever for an engine that does nothing."""
    server = start("--engines", "1", "--drain", "500", mode="processes")
    (engine,) = server.engines()
    with Wire(server.address) as wire:
        wire.request("GET", "/hang")
        assert eventually(lambda: server.ends()["hung"] == 1)
        os.kill(engine, signal.SIGSTOP)
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 4
    assert not is_alive(engine)
    server.assert_clean(4)


def test_front_killed(start):
    """Engines do not outlive their front."""
    server = start(mode="processes")
    engines = server.engines()
    assert len(engines) == 2
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert eventually(lambda: not any(map(is_alive, engines)))
