"""Start and stop: what can fail fails at the start, and a stop loses nothing."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from showcase import BINARY, eventually, is_alive, read_status, serving
from wire import Cut, Wire

pytestmark = pytest.mark.sanitizer


def run(*arguments):
    return subprocess.run(
        [BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


# ---- the command line ----


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["extra"],
        ["--port"],
        ["--port", "99999"],
        ["--port", "-1"],
        ["--port", "8o"],
        ["--mode", "sideways"],
        ["--workers", "many"],
        ["--bridge", "rope"],
        ["--limit", "request_line"],
        ["--limit", "no_such_limit=1"],
        ["--limit", "request_line=1k"],
        ["--access-log", "/tmp/x"],
        ["--log-level", "loud"],
    ],
)
def test_usage(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == "" and arguments[-1].lstrip("-") in result.stderr


@pytest.mark.parametrize("flag, word", [("--help", "usage"), ("--version", "0.")])
def test_help_and_version(flag, word):
    result = run(flag)
    assert (result.returncode, result.stderr) == (0, "")
    assert word in result.stdout


# ---- listening ----


def test_port_in_use(start, mode):
    server = start(mode=mode)
    result = run("--port", server.port, "--mode", mode)
    assert result.returncode == 1 and result.stdout == ""
    assert f"127.0.0.1:{server.port}" in result.stderr and "in use" in result.stderr
    assert server.get("/json")[0] == 200


def test_address_that_is_not_here():
    result = run("--host", "192.0.2.1", "--port", "0")
    assert result.returncode == 1 and "192.0.2.1" in result.stderr


def test_name_that_is_none():
    result = run("--host", "no-such-host.invalid", "--port", "0")
    assert result.returncode == 1 and "no-such-host.invalid" in result.stderr


def test_listening_line(start, mode):
    server = start("--workers", "3", "--engines", "2", mode=mode)
    engines = "" if mode == "in-process" else ", engines 2"
    expected = f"Listening on http://127.0.0.1:{server.port} (mode {mode}, workers 3{engines})"
    assert server.line == expected
    assert server.port > 0


def test_localhost_is_both_loopbacks(start, mode):
    server = start("--host", "localhost", mode=mode)
    for address in ("127.0.0.1", "::1"):
        with Wire((address, server.port)) as wire:
            wire.request("GET", "/json")
            assert wire.answer().status == 200


def test_ipv6(start):
    server = start("--host", "::1")
    assert server.line.startswith("Listening on http://[::1]:")
    assert server.get("/json")[0] == 200
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), 5)


def test_any(start):
    server = start("--host", "any")
    for address in ("127.0.0.1", "::1"):
        with Wire((address, server.port)) as wire:
            wire.request("GET", "/json")
            assert wire.answer().status == 200


def test_unix_socket(start, mode, tmp_path):
    path = tmp_path / "front.sock"
    server = start("--unix", path, mode=mode)
    with Wire(path) as wire:
        wire.request("GET", "/json")
        assert wire.answer().status == 200
    assert server.stop() == 0
    assert not path.exists()
    server.assert_clean()


def test_unix_socket_left_by_a_crash_is_replaced(start, tmp_path):
    path = tmp_path / "front.sock"
    server = start("--unix", path)
    server.kill()
    assert path.exists()
    start("--unix", path)
    with Wire(path) as wire:
        wire.request("GET", "/json")
        assert wire.answer().status == 200


def test_unix_socket_in_use(start, tmp_path):
    path = tmp_path / "front.sock"
    start("--unix", path)
    result = run("--port", 0, "--unix", path)
    assert result.returncode == 1 and "in use" in result.stderr
    with Wire(path) as wire:
        wire.request("GET", "/json")
        assert wire.answer().status == 200


def test_unix_path_too_long(tmp_path):
    result = run("--port", 0, "--unix", tmp_path / ("x" * 150))
    assert result.returncode == 1 and "xxx" in result.stderr


def test_unix_path_with_a_file_is_left_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    assert run("--port", 0, "--unix", path).returncode == 1
    assert path.read_text() == "precious"


@pytest.mark.parametrize("mode", ["bridge", "processes"])
def test_bridge_over_tcp(start, mode):
    server = start("--bridge", "tcp", mode=mode)
    with Wire(server.address) as wire:
        wire.request("POST", "/echo", body=b"x" * 100000)
        assert wire.answer().body == b"x" * 100000


# ---- the private socket of the bridge ----


def bridge_paths(server):
    """Paths of Unix sockets that processes of the server listen on."""
    inodes = set()
    for pid in server.processes():
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(link)
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    paths = set()
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if len(words) == 8 and words[6] in inodes:
            paths.add(words[7])
    return paths


@pytest.mark.parametrize("mode", ["bridge", "processes"])
def test_nobody_else_reaches_the_private_socket(start, mode):
    """It has no name in the file system any more, and none in the abstract space."""
    server = start(mode=mode)
    assert server.get("/json")[0] == 200
    paths = bridge_paths(server)
    assert paths and not any(path.startswith("@") for path in paths)
    for path in map(pathlib.Path, paths):
        assert not path.exists() and not path.parent.exists()


@pytest.mark.parametrize("mode", ["bridge", "processes"])
def test_nothing_is_left_after_a_crash(start, mode):
    before = set(os.listdir(tempfile.gettempdir()))
    server = start(mode=mode)
    engines = server.engines()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert eventually(lambda: not any(map(is_alive, engines))), "engines outlived their front"
    start(mode=mode)
    left = {name for name in os.listdir(tempfile.gettempdir()) if "routed" in name}
    assert not left - before


# ---- stopping ----


def test_stop_when_idle(start, mode):
    server = start(mode=mode)
    start_time = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start_time < 5
    server.assert_clean()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop_finishes_what_is_in_flight(start, mode, number):
    server = start(mode=mode)
    idle, busy, streaming = (Wire(server.address) for _ in range(3))
    idle.request("GET", "/json")
    assert idle.answer().status == 200
    busy.request("GET", "/delay/1200")
    streaming.request("GET", "/lines/30?ms=40")
    streaming.read_head()
    assert eventually(lambda: server.metrics()["exchanges.open"] == 2)
    server.signal(number)
    assert idle.is_closed()
    assert eventually(server.refuses)
    answer = busy.answer()
    assert answer.body == b'{"ok":true}' and answer.closes
    count = 0
    while streaming.read_chunk():
        count += 1
    assert count == 30
    assert server.wait() == 0
    server.assert_clean()
    for wire in (idle, busy, streaming):
        wire.close()


def test_stop_finishes_an_upload(start, mode):
    server = start(mode=mode)
    half = b"x" * 50000
    with Wire(server.address) as wire:
        wire.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n", half)
        wire.read_head()
        assert wire.read(50000) == half
        server.signal(signal.SIGTERM)
        assert eventually(server.refuses)
        wire.send(half)
        assert wire.read(50000) == half
        assert wire.is_closed()
    assert server.wait() == 0
    server.assert_clean()


def test_second_signal_forces(start, mode):
    server = start(mode=mode)
    with Wire(server.address) as wire:
        wire.request("GET", "/hang")
        assert eventually(lambda: server.ends()["hung"] == 1)
        server.signal(signal.SIGTERM)
        assert eventually(server.refuses)
        server.signal(signal.SIGTERM)
        start_time = time.monotonic()
        assert server.wait() == 5
        assert time.monotonic() - start_time < 5
        server.assert_clean(5)
        with pytest.raises((Cut, OSError)):
            assert wire.answer().status < 200


def test_drain_deadline(start, mode):
    server = start("--drain", "400", mode=mode)
    with Wire(server.address) as wire:
        wire.request("GET", "/lines/1000?ms=100")
        wire.read_head()
        start_time = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait() == 4
        assert 0.3 <= time.monotonic() - start_time < 5
        with pytest.raises((Cut, OSError)):
            while wire.read_chunk():
                pass
    server.assert_clean(4)


def test_engines_are_gone_after_the_stop(start):
    server = start(mode="processes")
    engines = server.engines()
    assert len(engines) == 2
    assert server.stop() == 0
    assert not any(map(is_alive, engines))
    server.assert_clean()


def test_interrupt_of_the_whole_group(tmp_path):
    """Ctrl-C in a terminal reaches the engine processes too: they still finish their work."""
    with serving(mode="processes", folder=tmp_path, prefix=["setsid", "--wait"]) as server:
        leader = int(pathlib.Path(f"/proc/{server.pid}/stat").read_text().split()[4])
        with Wire(server.address) as wire:
            wire.request("GET", "/delay/1500")
            assert eventually(lambda: server_is_busy(server))
            os.killpg(leader, signal.SIGINT)
            assert wire.answer().body == b'{"ok":true}'
        assert server.wait() == 0


def server_is_busy(server):
    return server.metrics()["exchanges.open"] >= 1


def test_signal_storm(start, mode):
    server = start(mode=mode)
    stop = threading.Event()

    def storm():
        while not stop.is_set():
            for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE,
                           signal.SIGCHLD):
                server.signal(number)

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        with Wire(server.address) as wire:
            for _ in range(300):
                wire.request("GET", "/json")
                assert wire.answer().status == 200
    finally:
        stop.set()
        thread.join()


def test_stopped_and_continued(start, mode):
    server = start(mode=mode)
    with Wire(server.address) as wire:
        server.signal(signal.SIGSTOP)
        try:
            assert eventually(lambda: read_status(server.pid)["State"].startswith("T"))
            wire.request("GET", "/json")
            wire.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                wire.read_head()
        finally:
            server.signal(signal.SIGCONT)
        wire.socket.settimeout(20)
        assert wire.answer().status == 200


# ---- numbers ----


def test_metrics(start, mode):
    server = start(mode=mode)
    before = server.metrics()
    assert all(isinstance(value, int) for value in before.values())
    with Wire(server.address) as wire:
        wire.request("GET", "/json")
        wire.answer()
        wire.request("GET", "/nowhere")
        wire.answer()
        wire.request("GET", "/redirect/1")
        wire.answer()
        wire.request("GET", "/fail")
        wire.answer()
        server.assert_numbers({"connections.open": 1, "connections.idle": 1})
    server.assert_numbers({"connections.open": 0, "exchanges.open": 0})
    after = server.metrics()
    assert after["requests"] - before["requests"] == 4
    for family in ("2xx", "3xx", "4xx", "5xx"):
        assert after[f"responses.{family}"] - before[f"responses.{family}"] == 1
    assert after["connections.accepted"] - before["connections.accepted"] == 1
    assert after["bytes.read"] > before["bytes.read"]
    assert after["bytes.written"] > before["bytes.written"]
    assert {name for name in after if name.startswith("limit.")} >= {
        "limit.request_line", "limit.memory", "limit.queue_requests", "limit.drain_timeout",
    }  # fmt: skip


def test_memory_returns(start, mode):
    """What connections held is given back when they are gone."""
    server = start(mode=mode)
    server.get("/json")
    before = server.metrics()["memory.held"]
    wires = [Wire(server.address) for _ in range(50)]
    for wire in wires:
        wire.request("GET", "/bytes/1000000")
        wire.read_head()
    for wire in wires:
        wire.close()
    assert eventually(lambda: server.metrics()["connections.open"] == 0)
    assert eventually(lambda: server.metrics()["memory.held"] <= before + 512 * 1024)
