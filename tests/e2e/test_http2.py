"""HTTP/2 with frames made by hand: attacks, cases of smuggling, WebSocket, the graceful end.

During each attack another client asks for /json all the time and must always get its answer."""

import contextlib
import json
import os
import select
import signal
import socket
import ssl
import struct
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack
import pytest

from showcase import eventually, serving
from wire import Wire

pytestmark = pytest.mark.sanitizer

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PROTOCOL_ERROR, ENHANCE_YOUR_CALM = 1, 11


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Peer:
    """A client that sends the frames it is told to, and remembers what came."""

    def __init__(self, server, settings=b"", secure=None, update=True, timeout=20):
        address = server.secure_address if secure else server.address
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            self.socket = secure.wrap_socket(self.socket, server_hostname="localhost")
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.buffer = b""
        self.heads = {}  # stream: [fields, ...] informational ones, final one, trailers
        self.bodies = {}
        self.ended = set()
        self.resets = {}  # stream: code
        self.goaways = []  # (last stream, code)
        self.settings = {}
        self.update = update
        self.mute = False  # answers nothing that it reads
        self.closed = False
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *pieces):
        self.socket.sendall(b"".join(pieces))

    def head(self, stream, *fields, path="/json", method="GET", end=True, pseudo=True):
        """The HEADERS frame of a request."""
        first = [(":method", method), (":scheme", "http"), (":authority", "test"), (":path", path)]
        block = self.encoder.encode((first if pseudo else []) + list(fields), huffman=False)
        return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)

    # ---- receiving ----

    def take(self, kind, flags, stream, payload):
        if kind == HEADERS:
            self.heads.setdefault(stream, []).append(self.decoder.decode(payload))
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + payload
            if self.update and payload and not self.mute:
                update = struct.pack(">I", len(payload))
                self.send(frame(WINDOW_UPDATE, 0, 0, update), frame(WINDOW_UPDATE, 0, stream, update))
        elif kind == RST_STREAM:
            self.resets[stream] = struct.unpack(">I", payload)[0]
            self.ended.add(stream)
        elif kind == GOAWAY:
            self.goaways.append(struct.unpack(">II", payload[:8]))
        elif kind == SETTINGS and not flags & ACK:
            self.settings.update(struct.unpack(">HI", payload[i : i + 6]) for i in range(0, len(payload), 6))
            if not self.mute:
                self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK and not self.mute:
            self.send(frame(PING, ACK, 0, payload))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended.add(stream)

    def pump(self):
        """Waits for bytes and takes the frames in them; False at the end."""
        try:
            piece = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            piece = b""
        if not piece:
            self.closed = True
            return False
        self.buffer += piece
        while len(self.buffer) >= 9:
            size = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + size:
                break
            kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
            payload, self.buffer = self.buffer[9 : 9 + size], self.buffer[9 + size :]
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.take(kind, flags, stream, payload)
        return True

    def wait(self, question):
        while not question():
            assert self.pump(), f"closed; GOAWAY {self.goaways}, resets {self.resets}"

    def finish(self):
        """Everything up to the end of the connection."""
        while self.pump():
            pass

    def answer(self, stream):
        """The final status, or the code of a reset as a negative number."""
        self.wait(lambda: stream in self.ended)
        return -self.resets[stream] if stream in self.resets else int(dict(self.heads[stream][-1])[":status"])

    def ask(self, stream, *fields, data=None, **settings):
        self.send(self.head(stream, *fields, end=data is None, **settings))
        if data is not None:
            self.send(frame(DATA, END_STREAM, stream, data))
        return self.answer(stream)


@pytest.fixture(scope="module")
def server(tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("http2")
    with serving(
        "--ledger", folder / "ledger", "--https", "0", "--certificates", certificates, "--limit",
        "connections_per_address=none", mode="in-process", folder=folder,
    ) as showcase:  # fmt: skip
        showcase.ledger = folder / "ledger"
        yield showcase


@pytest.fixture
def alive(server):
    """Asks all the time; fails the test when an answer is missing, and when memory is not given back."""
    before, over, mistakes, count = server.metrics()["memory.held"], threading.Event(), [], [0]

    def probe():
        while not over.is_set():
            try:
                if server.get("/json") != (200, b'{"ok":true}'):
                    mistakes.append("a wrong answer")
            except OSError as error:
                mistakes.append(repr(error))
            count[0] += 1
            over.wait(0.02)

    thread = threading.Thread(target=probe)
    thread.start()
    yield
    assert eventually(lambda: count[0] > 3)
    over.set()
    thread.join()
    assert not mistakes
    assert eventually(lambda: server.metrics()["memory.held"] < before + (4 << 20))


def count_seen(server):
    return len(server.ledger.read_text().splitlines()) if server.ledger.exists() else 0


# ---- floods ----


def flood(peer, make, count, batch=200, reads=True):
    """Sends make(number) for each number, answers nothing, and stops when the server has closed."""
    peer.mute = True
    try:
        for start in range(0, count, batch):
            peer.send(*(make(number) for number in range(start, start + batch)))
            if reads and select.select([peer.socket], [], [], 0)[0]:
                peer.pump()
            if peer.closed:
                return
    except (BrokenPipeError, ConnectionResetError):
        pass
    peer.finish()


def assert_calmed(peer, *others):
    assert peer.closed
    assert peer.goaways and peer.goaways[-1][1] in (ENHANCE_YOUR_CALM, *others), peer.goaways


def test_rapid_reset(server, alive):
    before = count_seen(server)
    with Peer(server) as peer:
        blocks = [peer.head(1, path="/hang")[9:], peer.head(3, path="/hang")[9:]]
        cancel = struct.pack(">I", 8)

        def make(number):
            stream, block = 2 * number + 1, blocks[number > 0]
            return frame(HEADERS, END_HEADERS | END_STREAM, stream, block) + frame(RST_STREAM, 0, stream, cancel)

        flood(peer, make, 100000)
        assert_calmed(peer)
        assert peer.goaways[0] == (0x7FFFFFFF, 0) or len(peer.goaways) == 1
    ends = [json.loads(line) for line in server.ledger.read_text().splitlines()[before:]]
    assert sum(end["target"] == "/hang" for end in ends) <= 1100


FLOODS = {
    "ping": lambda number: frame(PING, 0, 0, b"12345678"),
    "settings": lambda number: frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100)),
    "settings ack": lambda number: frame(SETTINGS, ACK, 0),
    "priority": lambda number: frame(PRIORITY, 0, 2 * number + 1, struct.pack(">IB", 0, 16)),
    "window flips": lambda number: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, number % 2 * 65535)),
    "window updates": lambda number: frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)),
    "unknown frames": lambda number: frame(0xBA, 0, 0, b"grease"),
    "priority update": lambda number: frame(0x10, 0, 0, struct.pack(">I", 1) + b"u=1"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_flood(server, alive, name):
    with Peer(server) as peer:
        flood(peer, FLOODS[name], 100000)
        assert_calmed(peer, *([PROTOCOL_ERROR] if name == "settings ack" else []))


@pytest.mark.parametrize("name", ["ping", "settings"])
def test_flood_of_what_wants_an_answer_that_is_not_read(server, alive, name):
    with Peer(server) as peer:
        flood(peer, FLOODS[name], 100000, reads=False)
        # The reset of a connection takes with it what the client had no room for.
        assert peer.closed and {code for _, code in peer.goaways} <= {ENHANCE_YOUR_CALM}


@pytest.mark.parametrize("size, padding", [(0, False), (1, False), (1, True)], ids=["empty", "tiny", "padded"])
def test_flood_of_small_data(server, alive, size, padding):
    payload = b"\xff" + b"x" * size + bytes(255) if padding else b"x" * size
    with Peer(server) as peer:
        peer.send(peer.head(1, method="POST", path="/digest", end=False))
        flood(peer, lambda _: frame(DATA, 8 if padding else 0, 1, payload), 300000)
        assert peer.closed


@pytest.mark.parametrize("piece", [b"", b"\x00\x01a\x01b"], ids=["empty", "fields"])
def test_flood_of_continuations(server, alive, piece):
    before = count_seen(server)
    with Peer(server) as peer:
        peer.send(frame(HEADERS, END_STREAM, 1, peer.head(1)[9:]))
        flood(peer, lambda _: frame(CONTINUATION, 0, 1, piece), 20000)
        assert_calmed(peer)
    assert all(json.loads(line)["target"] == "/json" for line in server.ledger.read_text().splitlines()[before:])


@pytest.mark.parametrize("wrong", [
    lambda stream: frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0)),
    lambda stream: frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0x7FFFFFFF)),
    lambda stream: frame(PRIORITY, 0, stream, b"123"),
    lambda stream: frame(PRIORITY, 0, stream, struct.pack(">IB", stream, 1)),
    lambda stream: frame(DATA, END_STREAM, stream, b"late"),
], ids=["update of 0", "overflow", "short priority", "priority on itself", "data after the end"])  # fmt: skip
def test_made_you_reset(server, alive, wrong):
    """Whoever makes the server reset streams draws on the same budget."""
    with Peer(server) as peer:
        blocks = [peer.head(1, path="/hang")[9:], peer.head(3, path="/hang")[9:]]

        def make(number):
            stream = 2 * number + 1
            return frame(HEADERS, END_HEADERS | END_STREAM, stream, blocks[number > 0]) + wrong(stream)

        flood(peer, make, 10000, 50)
        assert peer.closed


def test_streams_that_stall_are_cut(start, mode):
    """Zero windows: a stream that takes nothing is cut, and what it pins is bounded."""
    server = start("--limit", "rate_grace=300", "--limit", "stall_timeout=1000", mode=mode)
    before = server.metrics()["memory.held"]
    with Peer(server, settings=struct.pack(">HI", 4, 0), update=False) as peer:
        peer.send(*(peer.head(2 * number + 1, path="/bytes/10000000") for number in range(100)))
        peer.wait(lambda: len(peer.heads) == 100)
        assert server.get("/json") == (200, b'{"ok":true}')
        assert server.metrics()["memory.held"] - before < 100 * 600 * 1024
        while len(peer.resets) < 100 and peer.pump():
            pass
        assert peer.closed or len(peer.resets) == 100
        assert not peer.bodies
    assert server.get("/json") == (200, b'{"ok":true}')


def test_uploads_that_stall_are_cut(start, mode):
    """However busy the connection is: PING is no content, and an upload holds an engine's attention."""
    server = start("--limit", "rate_grace=300", mode=mode)
    streams = range(1, 41, 2)
    with Peer(server) as peer:
        peer.send(*(peer.head(stream, path="/digest", method="POST", end=False) for stream in streams))
        deadline = time.monotonic() + 20
        while len(peer.ended) < len(streams) and time.monotonic() < deadline:
            peer.send(*[frame(PING, 0, 0, b"12345678")] * 20)
            while select.select([peer.socket], [], [], 0.05)[0]:
                assert peer.pump(), f"closed; GOAWAY {peer.goaways}"
        assert [dict(peer.heads[stream][-1])[":status"] for stream in streams] == ["408"] * len(streams)
        assert peer.ask(41) == 200
    metrics = server.metrics()
    assert metrics["limit.rate"] == len(streams) and metrics["responses.4xx"] == len(streams)
    assert eventually(lambda: server.metrics()["exchanges.open"] == 0)


# ---- bombs of fields ----


@pytest.mark.parametrize("count, status", [(100, 200), (101, 431)])
@pytest.mark.parametrize("name", ["x-field", "cookie"])
def test_count_of_fields(server, name, count, status):
    with Peer(server) as peer:
        assert peer.ask(1, *[(name, f"a={number}") for number in range(count)]) == status
        assert peer.ask(3) == 200


GET = bytes([0x82, 0x86, 0x84, 0x01, 4]) + b"test"  # GET http://test/ that stays out of the table


@pytest.mark.parametrize("count", [900, 1100, 16000])
@pytest.mark.parametrize("name, value", [(b"x-bomb", b"x" * 4000), (b"x-b", b"1"), (b"cookie", b"")])
def test_bomb_of_references(server, alive, name, value, count):
    """A field once, then a byte for each repetition, on 100 streams."""
    enter = b"\x40" + bytes([len(name)]) + name + hpack.hpack.encode_integer(len(value), 7) + value
    with Peer(server) as peer:
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, GET + enter))
        block = GET + bytes([0x80 | 62]) * count
        if count < 1000:
            peer.send(*(frame(HEADERS, END_HEADERS | END_STREAM, stream, block) for stream in range(3, 103, 2)))
            assert {peer.answer(stream) for stream in range(3, 103, 2)} == {431}
        else:
            flood(peer, lambda number: frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 3, block), 100, 1)
            assert_calmed(peer)


def test_fields_larger_than_allowed(server):
    with Peer(server) as peer:
        assert peer.ask(1, ("x-large", "x" * 8300)) == 431
        assert peer.ask(3, *[(f"x-{number}", "x" * 4000) for number in range(3)]) == 200
        assert peer.ask(5, path="/" + "x" * 8300) == 414
        assert peer.ask(7) == 200


# ---- what must not become a request ----


SMUGGLED = {
    "upper-case name": [("X-Upper", "1")],
    "empty name": [("", "1")],
    "space in name": [("x a", "1")],
    "colon in name": [("x:a", "1")],
    "CR in name": [("x\ra", "1")],
    "CR in value": [("x-a", "1\r2")],
    "LF in value": [("x-a", "1\n2")],
    "CRLF in value": [("x-a", "1\r\nx-evil: 1")],
    "NUL in value": [("x-a", "1\0")],
    "space before value": [("x-a", " 1")],
    "space after value": [("x-a", "1 ")],
    "connection": [("connection", "close")],
    "keep-alive": [("keep-alive", "1")],
    "proxy-connection": [("proxy-connection", "close")],
    "upgrade": [("upgrade", "h2c")],
    "transfer-encoding": [("transfer-encoding", "chunked")],
    "te gzip": [("te", "gzip")],
    "late pseudo-field": [(":path", "/late")],
    "unknown pseudo-field": [(":evil", "1")],
    "two content-lengths": [("content-length", "1"), ("content-length", "2")],
    "bad content-length": [("content-length", "+1")],
    "two hosts": [("host", "test"), ("host", "test")],
    "another host": [("host", "evil")],
    "status": [(":status", "200")],
}
PSEUDO = {
    "space in method": (":method", "GET / HTTP/1.1"),
    "CRLF in method": (":method", "GET\r\n"),
    "empty method": (":method", ""),
    "empty path": (":path", ""),
    "path without slash": (":path", "json"),
    "fragment": (":path", "/json#x"),
    "space in path": (":path", "/json HTTP/1.1"),
    "CRLF in path": (":path", "/json\r\nx: y"),
    "two paths": (":path", None),
    "no path": (":path", False),
    "scheme with path": (":scheme", "https://x/"),
    "no scheme": (":scheme", False),
    "userinfo": (":authority", "a@test"),
    "CRLF in authority": (":authority", "test\r\nx: y"),
    "slash in authority": (":authority", "test/x"),
}


def assert_not_seen(server, fields, data=None):
    before = count_seen(server)
    with Peer(server) as peer:
        block = peer.encoder.encode(fields, huffman=False)
        peer.send(frame(HEADERS, END_HEADERS | (0 if data else END_STREAM), 1, block))
        if data:
            peer.send(frame(DATA, END_STREAM, 1, data))
        assert peer.answer(1) in (-PROTOCOL_ERROR, 400)
        assert peer.ask(3, path="/text") == 200  # the connection goes on
    assert eventually(lambda: count_seen(server) >= before + 1)
    # Answers of other tests may have their line only now; what was smuggled asks for neither.
    ends = [json.loads(line) for line in server.ledger.read_text().splitlines()[before:]]
    assert {end["target"] for end in ends} <= {"/text", "/json"}


def first_fields(path="/inspect"):
    return [(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", path)]


@pytest.mark.parametrize("name", SMUGGLED)
def test_smuggled_field(server, name):
    assert_not_seen(server, first_fields() + SMUGGLED[name])


@pytest.mark.parametrize("name", PSEUDO)
def test_smuggled_pseudo_field(server, name):
    field, value = PSEUDO[name]
    fields = [pair for pair in first_fields() if pair[0] != field or value is None]
    assert_not_seen(server, ([(field, value)] if value else [(field, "/x")] if value is None else []) + fields
                    if value != "" else [(field, "")] + fields)  # fmt: skip


@pytest.mark.parametrize("length", ["1", "3", "0", "100"])
def test_content_length_that_is_not_true(server, length):
    with Peer(server) as peer:
        status = peer.ask(1, ("content-length", length), method="POST", path="/digest", data=b"ab")
        assert status in (-PROTOCOL_ERROR, 400)
        assert peer.ask(3) == 200


def test_cookies_are_joined_and_te_is_dropped(server):
    with Peer(server) as peer:
        crumbs = [("cookie", "a=1"), ("te", "trailers"), ("cookie", "b=2"), ("host", "test")]
        assert peer.ask(1, *crumbs, path="/inspect") == 200
        seen = json.loads(peer.bodies[1])
    assert [value for name, value in seen["headers"] if name == "cookie"] == ["a=1; b=2"]
    assert seen["authority"] == "test" and "te" not in dict(seen["headers"])


# ---- many streams ----


def test_a_hundred_streams_at_once(server):
    with Peer(server) as peer:
        streams = range(1, 201, 2)
        peer.send(*(peer.head(stream, path="/delay/100") for stream in streams))
        assert {peer.answer(stream) for stream in streams} == {200}
        peer.send(*(peer.head(stream, path="/bytes/100000") for stream in range(201, 401, 2)))
        for stream in range(201, 401, 2):
            assert peer.answer(stream) == 200 and len(peer.bodies[stream]) == 100000


def test_one_stream_too_many(server):
    with Peer(server) as peer:
        peer.wait(lambda: peer.settings)
        assert peer.settings[3] == 100
        peer.send(*(peer.head(stream, path="/hang") for stream in range(1, 201, 2)))
        peer.send(peer.head(201))
        peer.finish()  # RFC 9113 section 5.1.2; nghttp2 takes it as an error of the connection
        assert peer.goaways == [(199, PROTOCOL_ERROR)]


def test_many_requests_after_each_other(server):
    with Peer(server) as peer:
        for number in range(2000):
            assert peer.ask(2 * number + 1, path=f"/users/{number}") == 200
            assert json.loads(peer.bodies.pop(2 * number + 1))["params"] == {"id": str(number)}


def test_early_answer_to_a_body_that_nobody_reads(server):
    with Peer(server) as peer:
        peer.send(peer.head(1, method="POST", end=False), frame(DATA, 0, 1, b"x" * 16384))
        assert peer.ask(3) == 200
        peer.wait(lambda: 1 in peer.resets)
        assert int(dict(peer.heads[1][-1])[":status"]) == 405 and peer.resets[1] == 0
        length = ("content-length", "1048577")
        peer.send(peer.head(5, length, method="POST", path="/inspect", end=False))
        peer.wait(lambda: 5 in peer.ended)
        assert dict(peer.heads[5][-1])[":status"] == "413"


def test_trailers(server):
    with Peer(server) as peer:
        peer.send(peer.head(1, ("te", "trailers"), method="POST", path="/echo", end=False))
        peer.send(frame(DATA, 0, 1, b"hello"), peer.head(1, ("x-check", "yes"), pseudo=False))
        peer.wait(lambda: 1 in peer.ended)
        assert peer.bodies[1] == b"hello"
        assert dict(peer.heads[1][0])[":status"] == "200" and dict(peer.heads[1][1]) == {"x-check": "yes"}


# ---- WebSocket, RFC 8441 ----


def open_socket(peer, stream, *extra, protocol="websocket", path="/ws/echo"):
    fields = [
        (":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":path", path),
        (":authority", "test"), ("sec-websocket-version", "13"), *extra,
    ]  # fmt: skip
    peer.send(frame(HEADERS, END_HEADERS, stream, peer.encoder.encode(fields)))


def masked(opcode, payload):
    mask = os.urandom(4)
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else struct.pack(">BH", 0xFE, len(payload))
    return bytes([0x80 | opcode]) + size + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def test_websocket(server):
    with Peer(server) as peer:
        peer.wait(lambda: peer.settings)
        assert peer.settings[8] == 1
        open_socket(peer, 1)
        peer.wait(lambda: 1 in peer.heads)
        head = dict(peer.heads[1][0])
        assert head[":status"] == "200" and "sec-websocket-accept" not in head
        peer.send(frame(DATA, 0, 1, masked(1, b"hello")))
        peer.wait(lambda: peer.bodies.get(1) == b"\x81\x05hello")
        assert peer.ask(3) == 200
        message = os.urandom(50000)
        sealed = masked(2, message)
        for start in range(0, len(sealed), 10000):
            peer.send(frame(DATA, 0, 1, sealed[start : start + 10000]))
        peer.wait(lambda: peer.bodies[1].endswith(message[-100:]))
        peer.send(frame(DATA, 0, 1, masked(8, struct.pack(">H", 1000))))
        peer.wait(lambda: 1 in peer.ended)
        assert peer.bodies[1].endswith(b"\x88\x02\x03\xe8")


@pytest.mark.parametrize("client, status", [("http/1.1", 101), ("h2", 200)])
def test_websocket_in_the_log(start, tmp_path, client, status):
    """The status is the one that the client got."""
    log = tmp_path / "access.log"
    server = start("--access-log", f"json:{log}", mode="bridge")
    if client == "h2":
        with Peer(server) as peer:
            open_socket(peer, 1)
            peer.wait(lambda: 1 in peer.heads)
    else:
        with Wire(server.address) as wire:
            wire.request(
                "GET", "/ws/echo", "connection: upgrade", "upgrade: websocket",
                "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            )  # fmt: skip
            assert wire.read_head().status == 101
    assert eventually(lambda: log.read_text().endswith("\n"))
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["status"] == status and line["target"] == "/ws/echo"
    server.assert_numbers({"responses.2xx": status == 200, "responses.other": status == 101})


@pytest.mark.parametrize("protocol, path, answer", [
    ("unknown", "/ws/echo", 501), ("websocket", "/nowhere", 404), ("websocket", "/json", 501),
])  # fmt: skip
def test_websocket_that_is_none(server, protocol, path, answer):
    with Peer(server) as peer:
        open_socket(peer, 1, protocol=protocol, path=path)
        peer.wait(lambda: 1 in peer.heads or 1 in peer.ended)
        assert int(dict(peer.heads[1][0])[":status"]) == answer
        assert peer.ask(3) == 200


# ---- the end ----


def test_graceful_stop_finishes_what_runs(start, mode):
    server = start(mode=mode)
    with Peer(server) as peer:
        peer.send(peer.head(1, path="/bytes/2000000?pause=10"), peer.head(3, path="/delay/300"))
        peer.wait(lambda: 1 in peer.bodies)
        server.signal(signal.SIGTERM)
        peer.wait(lambda: peer.goaways)
        assert peer.goaways[0] == (0x7FFFFFFF, 0)
        peer.finish()
        assert peer.goaways[-1] == (3, 0)
        assert {1, 3} <= peer.ended and not peer.resets and len(peer.bodies[1]) == 2000000
    assert server.wait() == 0
    server.assert_clean()


def test_last_goaway_comes_by_itself(start):
    """To a client that does not answer the PING behind the first."""
    server = start(mode="in-process")
    with Peer(server, update=False) as peer:
        peer.send(peer.head(1, path="/bytes/2000000"))
        peer.wait(lambda: len(peer.bodies.get(1, b"")) == 65535)
        peer.mute = True
        server.signal(signal.SIGTERM)
        peer.wait(lambda: len(peer.goaways) == 2)
        assert peer.goaways == [(0x7FFFFFFF, 0), (1, 0)] and not peer.ended
    assert server.wait() == 0


def test_idle_connection_is_told_to_go(start):
    server = start(mode="in-process")
    with Peer(server) as peer:
        assert peer.ask(1) == 200
        server.signal(signal.SIGTERM)
        peer.finish()
        assert peer.goaways[-1] == (1, 0)
    assert server.wait() == 0


def test_python_h2_over_tls(server, certificates):
    """A client library of its own state machine finds nothing wrong."""
    context = ssl.create_default_context(cafile=certificates / "authority.pem")
    context.set_alpn_protocols(["h2"])
    raw = socket.create_connection(server.secure_address, 20)
    with context.wrap_socket(raw, server_hostname="localhost") as sock:
        client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        client.initiate_connection()
        for stream in range(1, 101, 2):
            fields = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/bytes/50000")]
            client.send_headers(stream, fields, end_stream=True)
        sock.sendall(client.data_to_send())
        sizes, ended = {}, set()
        while len(ended) < 50:
            for event in client.receive_data(sock.recv(65536)):
                if isinstance(event, h2.events.DataReceived):
                    sizes[event.stream_id] = sizes.get(event.stream_id, 0) + len(event.data)
                    client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
            sock.sendall(client.data_to_send())
        assert set(sizes.values()) == {50000}
