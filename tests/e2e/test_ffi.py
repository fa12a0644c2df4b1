"""Hosts in another language: Python with ctypes on the shared library, once with the event queue
and once as a bridge peer. tests/e2e/hosts/ is written from the public documents alone."""

import concurrent.futures
import contextlib
import hashlib
import json
import pathlib
import re
import selectors
import subprocess
import sys

import httpx
import pytest

import pki
from http3_clients import curl
from showcase import BUILD, ROOT, eventually
from wire import Cut, Wire

HOSTS = pathlib.Path(__file__).parent / "hosts"
sys.path.insert(0, str(HOSTS))
import bridge  # noqa: E402

# ---- the codec ----

VECTORS = json.loads((ROOT / "tests/conformance/bridge-v1/frames.json").read_text())


def vectors(wanted=lambda vector: True):
    return pytest.mark.parametrize(
        "vector", [pytest.param(v, id=v["name"]) for v in VECTORS["vectors"] if wanted(v)]
    )


def decode(vector, pieces):
    """Events as the vectors have them, runs of content joined."""
    decoder = bridge.Decoder(vector["direction"], "tunnel" if vector.get("tunnel") else "head")
    told = []
    for piece in pieces:
        for kind, value in decoder.feed(piece):
            if kind in ("body", "tunnel") and told and told[-1][0] == kind:
                value = told.pop()[1] + value
            told.append((kind, value))
            if kind == "error":
                return [describe(*event) for event in told]
    return [describe(*event) for event in told]


def describe(kind, value):
    if kind == "head":
        return {"event": kind, **value}
    return {"event": kind, "hex": value.hex()} if kind in ("body", "tunnel") else {"event": kind}


def expected(vector):
    events = []
    for event in vector["events"]:
        event = {name: event[name] for name in event if name not in ("meaning", "text")}
        for name in ("fields", "fields_hex"):
            if name in event:
                hex_values = name == "fields_hex"
                event["fields"] = [
                    (key, bytes.fromhex(text).decode("latin-1") if hex_values else text)
                    for key, text in event.pop(name)
                ]
        events.append(event)
    return events


@vectors()
def test_vector_is_decoded(vector):
    data = bytes.fromhex(vector["hex"])
    assert decode(vector, [data]) == expected(vector)
    assert decode(vector, [data[i : i + 1] for i in range(len(data))]) == expected(vector)
    for cut in range(1, len(data)):
        assert decode(vector, [data[:cut], data[cut:]]) == expected(vector)


def encode(events):
    """The frames of one direction of an exchange. A single frame has the content that follows."""
    out, kind, pending = b"", 0, None
    for event in events:
        if event["event"] == "head":
            kind = event["type"]
            is_single = kind in (1, 2, 11, 12)
            fields = event["fields"]
            if "status" in event:
                arguments = (bridge.response, kind, event["status"], fields)
            else:
                line = [event[name] for name in bridge.REQUEST_LINE]
                arguments = (bridge.request, kind, line, fields)
            write, *rest = arguments
            if is_single and event["body_size"]:
                pending = (write, rest)
            else:
                out += bridge.frame(write(*rest, b"" if is_single else None))
            if event.get("status") == 101 and not is_single:
                out += bridge.frame(bridge.payload(8))
        elif event["event"] == "body" and pending:
            write, rest = pending
            out += bridge.frame(write(*rest, bytes.fromhex(event["hex"])))
            pending = None
        elif event["event"] == "body":
            out += bridge.frame(bridge.chunk(4 if kind in (3, 13) else 7, bytes.fromhex(event["hex"])))
        elif event["event"] == "tunnel":
            out += bridge.frame(bridge.chunk(9, bytes.fromhex(event["hex"])))
        elif event["event"] == "tunnel_close":
            out += bridge.frame(bridge.payload(10))
        elif kind not in (1, 2, 11, 12):
            out += bridge.frame(bridge.payload(5 if kind in (3, 13) else 8))
    return out


@vectors(lambda vector: vector.get("encode"))
def test_vector_is_encoded(vector):
    assert encode(expected(vector)).hex() == vector["hex"]


# ---- the hosts ----


class Host:
    def __init__(self, name, folder, *certificate):
        self.log = (folder / f"{name}.txt").open("w+")
        self.process = subprocess.Popen(
            ["/usr/bin/python3", HOSTS / f"{name}.py", BUILD / "librouted_ffi.so", *certificate],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
        )  # fmt: skip
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(20), "the host did not start"
        self.port = int(self.process.stdout.readline() or 0)
        assert self.port, self.errors()
        self.address = ("127.0.0.1", self.port)
        self.url = f"http://127.0.0.1:{self.port}"

    def errors(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self, timeout=20):
        """Its exit code is the outcome of routed_ffi_wait."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            return self.process.wait(timeout)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture(scope="module", params=["queue_host", "peer_host"])
def host(request, tmp_path_factory):
    host = Host(request.param, tmp_path_factory.mktemp("host"))
    yield host
    assert host.stop() == 0, host.errors()
    assert "Traceback" not in host.errors()


@pytest.fixture
def client(host):
    with httpx.Client(base_url=host.url, timeout=20) as client:
        yield client


def test_plain_answers(client):
    for _ in range(3):
        answer = client.get("/")
        assert (answer.status_code, answer.text) == (200, "hello\n")
        assert answer.headers["content-length"] == "6"
        assert "date" in answer.headers
    assert client.get("/nowhere").status_code == 404


def test_head(host):
    with Wire(host.address) as wire:
        for _ in range(2):
            wire.request("HEAD", "/")
            assert wire.answer("HEAD").value("content-length") == "6"
        wire.request("GET", "/")
        assert wire.answer().body == b"hello\n"


def test_origin(host, client):
    answer = client.get("/origin", headers={"x-routed-peer": "1.2.3.4:5"})
    assert re.fullmatch(r"127\.0\.0\.1:\d+ [!-~]+\n", answer.text)


def test_upload_of_known_length(client):
    content = bytes(range(256)) * 12000
    assert client.post("/echo", content=content).content == content
    assert client.post("/echo", content=b"").content == b""


def test_upload_with_curl(host, tmp_path):
    content = b"0123456789abcdef" * 300000
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    subprocess.run(
        ["curl", "-sSf", "-T", "-", "-o", target, "-H", "transfer-encoding: chunked", host.url + "/echo"],
        stdin=source.open("rb"), check=True, timeout=60,
    )  # fmt: skip
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(content).digest()


def test_echo_before_the_request_is_complete(host):
    with Wire(host.address) as wire:
        wire.request("POST", "/echo", "transfer-encoding: chunked")
        answer = wire.read_head()
        for piece in (b"first", b"second", b"x" * 5000):
            wire.send_chunk(piece)
            got = b""
            while len(got) < len(piece):
                got += wire.read_chunk()
            assert got == piece
        wire.send("0\r\n\r\n")
        assert wire.read_body(answer).body == b""


def test_interim_response(host):
    with Wire(host.address) as wire:
        wire.request("GET", "/early")
        answer = wire.answer()
        assert [inform.status for inform in answer.informs] == [103]
        assert answer.informs[0].value("link").startswith("</style.css>")
        assert answer.body == b"late\n"


def test_download_for_a_slow_reader(host):
    """More than every window and buffer holds: the host has to wait for the client."""
    lines = 2_000_000
    with Wire(host.address) as wire:
        wire.request("GET", f"/count?lines={lines}")
        answer = wire.read_head()
        body = wire.read_body(answer).body
    assert body == b"".join(b"%d\n" % n for n in range(lines))


def test_tunnel(host):
    with Wire(host.address) as wire:
        wire.request("GET", "/upgrade", "connection: upgrade", "upgrade: websocket",
                     "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")
        answer = wire.answer()
        assert answer.status == 101
        assert answer.value("upgrade") == "websocket"
        for piece in (b"ping", bytes(100000)):
            wire.send(piece)
            assert wire.read(len(piece)) == piece
        wire.half_close()
        assert wire.read_rest() == b""


def test_failure_of_the_application(host, client):
    assert client.get("/fail").status_code == 500
    assert client.get("/").status_code == 200


def test_client_that_leaves(client, host):
    def counts():
        return tuple(map(int, client.get("/gone").text.split()))

    hung, gone = counts()
    for number in range(1, 4):
        with Wire(host.address) as wire:
            wire.request("GET", "/hang")
            assert eventually(lambda: counts()[0] == hung + number)
    assert eventually(lambda: counts() == (hung + 3, gone + 3))


def test_many_at_once(host):
    def ask(number):
        with httpx.Client(base_url=host.url, timeout=30) as client:
            return [client.post("/echo", content=f"{number}-{n}").text for n in range(10)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for number, answers in enumerate(pool.map(ask, range(48))):
            assert answers == [f"{number}-{n}" for n in range(10)]


@pytest.mark.parametrize("name", ["queue_host", "peer_host"])
def test_stop_finishes_what_is_in_flight(name, tmp_path):
    host = Host(name, tmp_path)
    with Wire(host.address) as wire, Wire(host.address) as idle:
        idle.request("GET", "/")
        assert idle.answer().status == 200
        wire.request("POST", "/echo", "transfer-encoding: chunked")
        answer = wire.read_head()
        host.process.stdin.close()
        assert idle.is_closed()
        wire.send_chunk(b"last")
        wire.send("0\r\n\r\n")
        assert wire.read_body(answer).body == b"last"
        assert host.stop() == 0, host.errors()


@pytest.mark.parametrize("name", ["queue_host", "peer_host"])
def test_http3(name, tmp_path):
    pki.make_authority(tmp_path, "authority")
    pki.issue(tmp_path, "server", "/CN=server", "subjectAltName=DNS:localhost\n", "authority")
    host = Host(name, tmp_path, tmp_path / "server.pem", tmp_path / "server-key.pem")

    def ask(target, *arguments, data=None):
        return curl(*arguments, f"https://localhost:{host.port}{target}", authority=tmp_path / "authority.pem", data=data)

    assert ask("/protocol") == b"3\n"
    content = bytes(range(251)) * 4000
    assert ask("/echo", "--data-binary", "@-", data=content) == content
    assert ask("/count?lines=100000").splitlines()[-1] == b"99999"
    assert host.stop() == 0, host.errors()


def test_peer_that_is_killed(tmp_path):
    """The host is front and engine in one: both are gone, and the client sees a cut."""
    host = Host("peer_host", tmp_path)
    with Wire(host.address) as wire:
        wire.request("POST", "/echo", "transfer-encoding: chunked")
        wire.read_head()
        host.process.kill()
        with pytest.raises(Cut):
            wire.read_chunk()
    host.stop()
