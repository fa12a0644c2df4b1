"""Bodies in motion: seen as they come, both ways at once, of any size in bounded memory."""

import hashlib
import json
import os
import subprocess
import threading
import time

import pytest

from showcase import TooSlow, read_kib, unhurried
from wire import Cut, Wire

pytestmark = pytest.mark.over_tls

BIG = os.environ.get("ROUTED_BIG") == "1"
SIZE = 10 * 1024**3 if BIG else 256 * 1024**2
MEMORY_KIB = 64 * 1024
BLOCK = 1024 * 1024
CYCLE = bytes(range(251)) * (BLOCK // 251 + 2)


def chunked_post(wire, target="/echo", *fields):
    wire.send(f"POST {target} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n",
              *(field + "\r\n" for field in fields), "\r\n")


# ---- seen at once ----


@pytest.mark.sanitizer
def test_head_comes_before_the_first_byte_of_the_body(server):
    with Wire(server.address) as wire:
        chunked_post(wire)
        assert wire.read_head().status == 200  # nothing of the body was sent yet
        wire.send_chunk(b"x")
        assert wire.read_chunk() == b"x"


@pytest.mark.sanitizer
@unhurried(5)
def test_lines_are_visible_one_by_one(server):
    count, pause = 10, 0.05
    with Wire(server.address) as wire:
        wire.request("GET", f"/lines/{count}?ms=50")
        wire.read_head()
        times = []
        for number in range(1, count + 1):
            assert wire.read_chunk() == b"line %d\n" % number
            times.append(time.monotonic())
        assert wire.read_chunk() == b""
    # Each comes when it is due: none waits for a later one.
    gaps = [after - before for before, after in zip(times, times[1:])]
    if sum(gaps) < (count - 1) * pause * 0.8 or sum(gap > pause * 0.4 for gap in gaps) < count * 0.6:
        raise TooSlow(gaps)


@pytest.mark.sanitizer
@unhurried(5)
def test_events_are_visible_one_by_one(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/events/5?ms=60", "accept: text/event-stream")
        assert wire.read_head().value("content-type").startswith("text/event-stream")
        start = time.monotonic()
        text = b""
        while b"event 1\n\n" not in text:
            text += wire.read_chunk()
        is_late = b"event 2" in text
        while piece := wire.read_chunk():
            text += piece
        taken = time.monotonic() - start
        assert text.count(b"data: ") == 5
    if is_late or taken < 0.15:
        raise TooSlow(taken)


@pytest.mark.sanitizer
@unhurried(5)
def test_curl_sees_lines_as_they_come(server):
    command = ["curl", "-sSN", "--max-time", "20", *server.trust, server.url + "/lines/4?ms=150"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout.readline() == b"line 1\n"
        first = time.monotonic()
        assert curl.stdout.read() == b"line 2\nline 3\nline 4\n"
        taken = time.monotonic() - first
    if taken < 0.3:
        raise TooSlow(taken)


# ---- both ways at once ----


@pytest.mark.sanitizer
def test_echo_answers_before_the_request_ends(server):
    with Wire(server.address) as wire:
        chunked_post(wire)
        wire.read_head()
        for number in range(20):
            piece = b"piece %d" % number
            wire.send_chunk(piece)
            assert wire.read_chunk() == piece
        wire.send("0\r\n\r\n")
        assert wire.read_chunk() == b""
        assert wire.read_fields() == []
        wire.request("GET", "/json")
        assert wire.answer().status == 200


@pytest.mark.sanitizer
def test_echo_of_declared_length_answers_before_the_request_ends(server):
    # 16 KiB and less are gathered before an engine is asked, so that a slow client holds none.
    with Wire(server.address) as wire:
        wire.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 20010\r\n\r\n", b"hello")
        assert wire.read_head().value("content-length") == "20010"
        assert wire.read(5) == b"hello"
        wire.send(b"world")
        assert wire.read(5) == b"world"
        wire.send(b"!" * 20000)
        assert wire.read(20000) == b"!" * 20000


def pump(wire, total, piece):
    """Sends total bytes in pieces from a thread; (thread, SHA-256)."""
    digest = hashlib.sha256()

    def run():
        for _ in range(total // len(piece)):
            wire.socket.sendall(piece)
            digest.update(piece)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, digest


@pytest.mark.sanitizer
def test_echo_is_held_back_by_a_client_that_does_not_read(server):
    """Window full both ways: the sender stalls, then everything arrives."""
    total, piece = 32 * 1024**2, os.urandom(65536)
    with Wire(server.address, timeout=60) as wire:
        wire.send(f"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {total}\r\n\r\n")
        thread, sent = pump(wire, total, piece)
        thread.join(0.5)
        got = hashlib.sha256()
        wire.read_head()
        left = total
        while left:
            data = wire.read(min(left, 262144))
            got.update(data)
            left -= len(data)
        thread.join(30)
        assert not thread.is_alive()
        assert got.hexdigest() == sent.hexdigest()


# ---- any size ----


def assert_memory(server):
    for pid in server.processes():
        peak = read_kib(pid, "VmHWM")
        assert 0 < peak < MEMORY_KIB, f"{peak} KiB at the peak of process {pid}"


@pytest.mark.timeout(1800 if BIG else 120)
@pytest.mark.parametrize("chunked", [False, True])
def test_big_upload(start, mode, chunked):
    server = start(mode=mode)
    piece = os.urandom(BLOCK)
    expected = hashlib.sha256()
    with Wire(server.address, timeout=60) as wire:
        if chunked:
            chunked_post(wire, "/digest")
        else:
            wire.send(f"POST /digest HTTP/1.1\r\nhost: x\r\ncontent-length: {SIZE}\r\n\r\n")
        for _ in range(SIZE // BLOCK):
            wire.send_chunk(piece) if chunked else wire.send(piece)
            expected.update(piece)
        if chunked:
            wire.send("0\r\n\r\n")
        assert json.loads(wire.answer().body) == {"length": SIZE, "sha256": expected.hexdigest()}
    assert_memory(server)


@pytest.mark.timeout(1800 if BIG else 120)
@pytest.mark.parametrize("chunked", [False, True])
def test_big_download_to_a_slow_client(start, mode, chunked):
    server = start(mode=mode)
    with Wire(server.address, timeout=60, receive_buffer=65536) as wire:
        wire.request("GET", f"/bytes/{SIZE}" + ("?chunked=1" if chunked else ""))
        head = wire.read_head()
        assert (head.value("content-length") == str(SIZE)) != chunked
        time.sleep(0.5)  # the slowness itself: everything on the way is full by now
        assert_memory(server)
        offset = 0
        while offset < SIZE:
            data = wire.read_chunk() if chunked else wire.read(min(BLOCK, SIZE - offset))
            for begin in range(0, len(data), BLOCK):
                part = data[begin : begin + BLOCK]
                phase = (offset + begin) % 251
                assert part == CYCLE[phase : phase + len(part)], f"wrong after {offset + begin}"
            offset += len(data)
        if chunked:
            assert wire.read_chunk() == b""
    assert_memory(server)


def test_upload_to_a_slow_handler(start, mode):
    """The echo of a client that reads slowly is a slow handler of its upload."""
    server = start(mode=mode)
    total, piece = 128 * 1024**2, os.urandom(BLOCK)
    with Wire(server.address, timeout=60) as wire:
        wire.send(f"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {total}\r\n\r\n")
        thread, sent = pump(wire, total, piece)
        thread.join(1)
        assert thread.is_alive(), "an upload of 128 MiB went where nobody read"
        assert_memory(server)
        got = hashlib.sha256()
        wire.read_head()
        for _ in range(total // BLOCK):
            got.update(wire.read(BLOCK))
        thread.join(30)
        assert got.hexdigest() == sent.hexdigest()
    assert_memory(server)


@pytest.mark.sanitizer
def test_upload_that_ends_too_early_is_no_upload(server):
    with Wire(server.address) as wire:
        wire.send("POST /digest HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhello")
        wire.half_close()
        try:
            assert wire.answer().status == 400
        except Cut:
            pass
    with Wire(server.address) as wire:
        chunked_post(wire, "/digest")
        wire.send_chunk(b"hello")
        wire.half_close()
        try:
            assert wire.answer().status == 400
        except Cut:
            pass


@pytest.mark.sanitizer
def test_many_streams_at_once(server):
    wires = [Wire(server.address) for _ in range(50)]
    for wire in wires:
        wire.request("GET", "/lines/20?ms=10")
    expected = b"".join(b"line %d\n" % number for number in range(1, 21))
    for wire in wires:
        assert wire.answer().body == expected
        wire.close()
