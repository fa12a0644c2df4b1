"""WebSockets through front, bridge and engine."""

import asyncio
import base64
import contextlib
import os
import signal
import ssl
import struct
import subprocess

import pytest
import websockets
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from showcase import ROOT
from wire import Wire

pytestmark = [pytest.mark.sanitizer, pytest.mark.over_tls]

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def connect(server, target, **settings):
    settings.setdefault("max_size", 2**24)
    settings.setdefault("compression", None)
    if server.authority:
        settings["ssl"] = ssl.create_default_context(cafile=server.authority)
    return websockets.connect(server.url.replace("http", "ws", 1) + target, **settings)


# ---- with python3-websockets ----


def test_echo(server):
    async def talk():
        async with connect(server, "/ws/echo") as ws:
            big = os.urandom(1024 * 1024)
            for message in ("", "hello", "h\u00e9llo \U0001f600", b"", b"\0\1\2", big,
                            "\u00e9" * 500000, "x" * 125, "x" * 126, "x" * 65535, "x" * 65536):
                await ws.send(message)
                assert await ws.recv() == message

    run(talk())


def test_fragments(server):
    async def talk():
        async with connect(server, "/ws/echo") as ws:
            await ws.send(["frag", "men", "", "ted"])
            assert await ws.recv() == "fragmented"
            await ws.send([b"a", b"b" * 70000, b"c"])
            assert await ws.recv() == b"a" + b"b" * 70000 + b"c"

    run(talk())


def test_ping(server):
    async def talk():
        async with connect(server, "/ws/echo") as ws:
            for _ in range(3):
                await asyncio.wait_for(await ws.ping(), 10)

    run(talk())


def test_many_messages_before_the_first_answer_is_read(server):
    async def talk():
        async with connect(server, "/ws/echo") as ws:
            for number in range(1000):
                await ws.send(str(number))
            for number in range(1000):
                assert await ws.recv() == str(number)

    run(talk())


@pytest.mark.parametrize("code, reason", [(1000, ""), (1000, "bye"), (1001, ""), (3000, "x"), (4999, "y" * 123)])
def test_close_codes_are_answered(server, code, reason):
    async def talk():
        async with connect(server, "/ws/echo") as ws:
            await ws.close(code, reason)
            assert ws.close_code == code

    run(talk())


@pytest.mark.parametrize("count", [0, 1, 1000, 200000])
def test_count(server, count):
    async def talk():
        numbers = []
        async with connect(server, f"/ws/count?n={count}") as ws:
            # Who reads for longer than a close is waited for answers it too late, and misses nothing.
            with contextlib.suppress(ConnectionClosedError):
                async for message in ws:
                    numbers.append(int(message))
            assert numbers == list(range(1, count + 1))
            assert ws.close_code == 1000

    run(talk())


def test_invalid_text(server):
    async def talk():
        async with connect(server, "/ws/echo") as ws:
            ws.transport.write(frame(TEXT, b"ok \xc3\x28"))
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1007

    run(talk())


def test_too_big(server):
    async def talk():
        async with connect(server, "/ws/echo") as ws:
            with pytest.raises(ConnectionClosed):
                await ws.send(b"x" * (1024 * 1024 + 1))
                await ws.recv()
            assert ws.close_code == 1009

    run(talk())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop_says_going_away(start, mode, number):
    server = start(mode=mode)

    async def talk():
        async with connect(server, "/ws/echo") as ws:
            await ws.send("still here")
            assert await ws.recv() == "still here"
            server.signal(number)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1001

    run(talk())
    assert server.wait() == 0
    server.assert_clean()


# ---- frame by frame ----


def open_raw(server, target="/ws/echo", *extra, after=b""):
    wire = Wire(server.address)
    lines = [
        f"GET {target} HTTP/1.1", "host: x", "connection: Upgrade", "upgrade: websocket",
        "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", *extra,
    ]  # fmt: skip
    wire.send("\r\n".join(lines) + "\r\n\r\n", after)
    answer = wire.answer()
    assert answer.status == 101
    assert answer.value("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.value("upgrade").lower() == "websocket"
    assert answer.value("connection").lower() == "upgrade"
    assert answer.value("content-length") is None and answer.value("transfer-encoding") is None
    return wire


def frame(opcode, payload=b"", fin=True, masked=True, reserved=0):
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    size = len(payload)
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack(">BH", bit | 126, size)
    else:
        head += struct.pack(">BQ", bit | 127, size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def read_frame(wire):
    first, second = wire.read(2)
    assert not second & 0x80, "a masked frame from the server"
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", wire.read(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", wire.read(8))
    return first, wire.read(size)


def assert_closed_with(wire, code):
    first, payload = read_frame(wire)
    while first & 15 != CLOSE:
        first, payload = read_frame(wire)
    assert struct.unpack(">H", payload[:2])[0] == code
    wire.send(frame(CLOSE, payload[:2]))
    assert wire.is_closed()
    wire.close()


def test_frames_in_the_packet_of_the_handshake(server):
    wire = open_raw(server, after=frame(TEXT, b"one") + frame(BINARY, b"two"))
    assert read_frame(wire) == (0x80 | TEXT, b"one")
    assert read_frame(wire) == (0x80 | BINARY, b"two")
    wire.send(frame(CLOSE, b"\x03\xe8"))
    assert_closed_with(wire, 1000)


def test_ping_between_fragments(server):
    with open_raw(server) as wire:
        wire.send(frame(TEXT, b"he", fin=False), frame(PING, b"now"), frame(CONTINUATION, b"llo"))
        assert read_frame(wire) == (0x80 | PONG, b"now")
        assert read_frame(wire) == (0x80 | TEXT, b"hello")


def test_close_without_code(server):
    with open_raw(server) as wire:
        wire.send(frame(CLOSE))
        first, payload = read_frame(wire)
        assert first & 15 == CLOSE and payload in (b"", b"\x03\xe8")
        assert wire.is_closed()


MISTAKES = {
    "no mask": (frame(TEXT, b"x", masked=False), 1002),
    "reserved bit": (frame(TEXT, b"x", reserved=4), 1002),
    "opcode 3": (frame(3, b"x"), 1002),
    "opcode 11": (frame(11, b"x"), 1002),
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "ping in fragments": (frame(PING, b"x", fin=False), 1002),
    "text inside of text": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "close with one byte": (frame(CLOSE, b"\x03"), 1002),
    "close with 1005": (frame(CLOSE, b"\x03\xed"), 1002),
    "close with bad reason": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "length 2^63 - 1": (b"\x82\xff" + struct.pack(">Q", 2**63 - 1) + b"mask", 1009),
    "length 2^63": (b"\x82\xff" + struct.pack(">Q", 2**63) + b"mask", 1002),
    "length not minimal": (b"\x82\xfe\x00\x05mask", 1002),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(server, what):
    data, code = MISTAKES[what]
    wire = open_raw(server)
    wire.send(data)
    assert_closed_with(wire, code)


@pytest.mark.parametrize(
    "change, statuses",
    [
        ({"sec-websocket-version": "8"}, {426}),
        ({"sec-websocket-version": None}, {400, 426}),
        ({"sec-websocket-key": "short"}, {400}),
        ({"sec-websocket-key": None}, {400}),
        ({"connection": "close"}, {400, 426}),
        ({"upgrade": "h2c"}, {400, 426}),
    ],
)
def test_broken_handshakes(server, change, statuses):
    fields = {
        "host": "x", "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(), **change,
    }  # fmt: skip
    with Wire(server.address) as wire:
        wire.send("GET /ws/echo HTTP/1.1\r\n",
                  *(f"{name}: {value}\r\n" for name, value in fields.items() if value), "\r\n")
        assert wire.answer().status in statuses


def test_handshake_on_a_path_without_socket(server):
    with pytest.raises(AssertionError):
        open_raw(server, "/nowhere")


def test_client_that_vanishes(server):
    for _ in range(5):
        wire = open_raw(server)
        wire.send(frame(TEXT, b"x"))
        read_frame(wire)
        wire.reset()
    wire = open_raw(server)
    wire.send(frame(TEXT, b"still"))
    assert read_frame(wire) == (0x80 | TEXT, b"still")
    wire.close()


def test_echo_to_a_client_that_does_not_read(server):
    """Its queue is bounded: the socket is closed or holds the client back, and others go on."""
    wire = open_raw(server)
    wire.socket.settimeout(1)
    payload = frame(BINARY, b"x" * 65536)
    try:
        for _ in range(1000):
            wire.send(payload)
    except OSError:
        pass  # held back or cut
    other = open_raw(server)
    other.send(frame(TEXT, b"fine"))
    assert read_frame(other) == (0x80 | TEXT, b"fine")
    other.close()
    wire.reset()


# ---- with Node ----


def test_node(server):
    script = ROOT / "tests/e2e/websocket.mjs"
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(server.authority or "")}
    result = subprocess.run(
        ["node", str(script), server.url], capture_output=True, text=True, timeout=60, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["upgraded", "hello", "closed"]
