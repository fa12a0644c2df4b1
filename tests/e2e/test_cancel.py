"""The application learns within 100 ms that a client has left."""

import signal
import subprocess
import time

import pytest

from showcase import TooSlow, eventually, unhurried
from wire import Wire

pytestmark = [pytest.mark.sanitizer, pytest.mark.over_tls]

PROMISE = 0.1
TOLERANCE = 0.15  # for the question itself, on a machine that does other things too

STREAMS = {
    "lines": b"GET /lines/1000000?ms=20 HTTP/1.1\r\nhost: x\r\n\r\n",
    "events": b"GET /events/1000000?ms=20 HTTP/1.1\r\nhost: x\r\n\r\n",
    "pausing bytes": b"GET /bytes/100000000?pause=20 HTTP/1.1\r\nhost: x\r\n\r\n",
    "bytes at full speed": b"GET /bytes/100000000000 HTTP/1.1\r\nhost: x\r\n\r\n",
    "upload": b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000,
    "chunked upload": b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n",
}  # fmt: skip


def assert_cancelled(server, before, count=1):
    start = time.monotonic()
    assert eventually(lambda: server.ends()["cancelled"] >= before + count), "nobody was told"
    taken = time.monotonic() - start
    assert server.ends()["cancelled"] == before + count
    if taken > PROMISE + TOLERANCE:
        raise TooSlow(taken)


def hang(server, *more):
    """A connection with a request that the handler has, and will not answer."""
    hung = server.ends()["hung"]
    wire = Wire(server.address)
    wire.request("GET", "/hang", *more)
    assert eventually(lambda: server.ends()["hung"] > hung)
    return wire


@pytest.mark.parametrize("leave", ["close", "reset"])
@unhurried(5)
def test_during_hang(server, leave):
    before = server.ends()["cancelled"]
    wire = hang(server)
    getattr(wire, leave)()
    assert_cancelled(server, before)


@unhurried(5)
def test_many_during_hang(server):
    before = server.ends()["cancelled"]
    wires = [hang(server) for _ in range(20)]
    for wire in wires:
        wire.reset()
    assert_cancelled(server, before, 20)


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("what", STREAMS)
@unhurried(5)
def test_during(server, what, leave):
    before = server.ends()["cancelled"]
    wire = Wire(server.address)
    wire.send(STREAMS[what])
    assert wire.read_head().status == 200
    wire.read(1)  # the handler is at work
    getattr(wire, leave)()
    assert_cancelled(server, before)


@unhurried(5)
def test_curl_killed(server):
    before = server.ends()
    curl = subprocess.Popen(["curl", "-sS", *server.trust, server.url + "/hang"], stdout=subprocess.DEVNULL)
    assert eventually(lambda: server.ends()["hung"] > before["hung"])
    curl.send_signal(signal.SIGKILL)
    curl.wait(10)
    assert_cancelled(server, before["cancelled"])


@unhurried(5)
def test_client_of_a_full_pipe(server):
    """A client that stopped reading leaves: the response was waiting for room."""
    before = server.ends()["cancelled"]
    wire = Wire(server.address, receive_buffer=4096)
    wire.request("GET", "/bytes/1000000000")
    wire.read_head()
    wire.close()
    assert_cancelled(server, before)


def test_half_close_is_no_leaving(server):
    before = server.ends()["cancelled"]
    with Wire(server.address) as wire:
        wire.request("GET", "/delay/500")
        wire.half_close()
        assert wire.answer().body == b'{"ok":true}'
    with Wire(server.address) as wire:
        wire.request("GET", "/lines/10?ms=30")
        wire.half_close()
        assert wire.answer().body.endswith(b"line 10\n")
    assert server.ends()["cancelled"] == before


def test_complete_exchanges_are_not_cancelled(server):
    before = server.ends()["cancelled"]
    for target in ("/json", "/lines/3", "/bytes/100000", "/fail", "/nowhere"):
        with Wire(server.address) as wire:
            wire.request("GET", target)
            wire.answer()
    assert server.ends()["cancelled"] == before


def test_others_go_on(server):
    with Wire(server.address) as stream:
        stream.request("GET", "/lines/40?ms=10")
        stream.read_head()
        for _ in range(20):
            hang(server).reset()
        count = 0
        while stream.read_chunk():
            count += 1
        assert count == 40
