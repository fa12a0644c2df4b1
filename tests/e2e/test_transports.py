"""Every plain row of the showcase over each transport: the same answers, whatever carries them.

curl before 8 cannot use an HTTP/2 connection in the clear again, nor go on where an answer comes
before it has sent its body: test_http2.py asks for these with another client."""

import dataclasses
import hashlib
import json
import re
import subprocess

import pytest
from showcase import ROOT

TRANSPORTS = {
    "h1": ("http", "1.1", ["--http1.1"]),
    "h1s": ("https", "1.1", ["--http1.1"]),
    "h2c": ("http", "2", ["--http2-prior-knowledge"]),
    "h2": ("https", "2", ["--http2"]),
    "h3": ("https", "3", ["--http3-only"]),
}
CURL_3 = ROOT / ".cache/curl/curl"  # one that speaks HTTP/3: tools/curl.sh
UPLOAD = bytes(range(251)) * 20000  # 5 MB


@dataclasses.dataclass
class Answer:
    status: int
    version: str
    fields: list  # [[name, value]...]
    body: bytes
    informs: list  # [(status, fields)...]

    def value(self, name):
        values = [value for key, value in self.fields if key.lower() == name]
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None

    @property
    def json(self):
        return json.loads(self.body)


def read_heads(text):
    """[(status, version, fields)...] of what curl's -D wrote."""
    heads = []
    for block in text.split("\r\n\r\n"):
        if block:
            line, *lines = block.split("\r\n")
            version, status = line.split(" ")[:2]
            fields = [[part.strip() for part in line.split(":", 1)] for line in lines]
            heads.append((int(status), version.removeprefix("HTTP/"), fields))
    return heads


class Transport:
    def __init__(self, name, server, folder):
        self.name = name
        self.server = server
        self.folder = folder
        self.scheme, self.version, self.flags = TRANSPORTS[name]
        port = server.port if self.scheme == "http" else server.secure_port
        self.authority = f"localhost:{port}"

    def run(self, *arguments, data=None):
        result = subprocess.run(
            [CURL_3 if self.version == "3" else "curl", "-sS", "-4", "--max-time", "30", "--cacert", self.server.authority, *self.flags, *arguments],
            input=data, capture_output=True, timeout=60,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    def ask(self, target, method="GET", fields=(), data=None, arguments=()):
        head = self.folder / "head"
        command = ["-D", head, *arguments]
        command += ["-I"] if method == "HEAD" else ["-X", method]
        for field in fields:
            command += ["-H", field]
        if data is not None:
            command += ["--data-binary", "@-"]
        body = self.run(*command, f"{self.scheme}://{self.authority}{target}", data=data)
        heads = read_heads(head.read_bytes().decode("latin-1"))
        assert {version for _, version, _ in heads} == {self.version}
        status, version, got = heads[-1]
        informs = [(status, got) for status, _, got in heads[:-1]]
        return Answer(status, version, got, b"" if method == "HEAD" else body, informs)


@pytest.fixture(params=TRANSPORTS)
def transport(request, secure, tmp_path):
    return Transport(request.param, secure, tmp_path)


def cycle(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


# ---- answers that are known beforehand: method, target, request data, status, body, fields ----

LINES = b"".join(b"line %d\n" % number for number in range(1, 2001))
EVENTS = b"".join(b"id: %d\ndata: event %d\n\n" % (number, number) for number in range(1, 4))
X_FIELDS = {f"x-field-{number}": str(number) for number in range(1, 51)}
TABLE = [
    ("GET", "/json", None, 200, b'{"ok":true}', {"content-type": "application/json", "content-length": "11"}),
    ("GET", "/text", None, 200, b"hello", {"content-type": "text/plain; charset=utf-8"}),
    ("POST", "/echo", b"some words", 200, b"some words", {"content-type": "image/x-test"}),
    ("POST", "/echo", UPLOAD[:1000000], 200, UPLOAD[:1000000], {"content-length": "1000000"}),
    ("POST", "/echo", b"", 200, b"", {}),
    ("GET", "/bytes/0", None, 200, b"", {"content-length": "0"}),
    ("GET", "/bytes/65537", None, 200, cycle(65537), {"content-length": "65537"}),
    ("GET", "/bytes/3000000", None, 200, cycle(3000000), {"content-length": "3000000"}),
    ("GET", "/bytes/200000?chunked=1", None, 200, cycle(200000), {"content-length": None}),
    ("GET", "/bytes/200000?pause=10", None, 200, cycle(200000), {"content-length": "200000"}),
    ("GET", "/bytes/x", None, 400, None, {}),
    ("GET", "/lines/2000", None, 200, LINES, {}),
    ("GET", "/lines/0", None, 200, b"", {}),
    ("GET", "/events/3?ms=2", None, 200, EVENTS, {}),
    ("GET", "/fields/50", None, 200, None, X_FIELDS),
    ("GET", "/delay/20", None, 200, b'{"ok":true}', {}),
    ("GET", "/redirect/2", None, 302, None, {"location": "/redirect/1"}),
    ("GET", "/nowhere", None, 404, None, {}),
    ("GET", "/users/%zz", None, 400, None, {}),
    ("GET", "/shop/closed", None, 403, None, {"x-shop": "open"}),
    ("GET", "/ws/echo", None, 426, None, {}),
    ("HEAD", "/json", None, 200, b"", {"content-length": "11"}),
    ("HEAD", "/bytes/10000000000", None, 200, b"", {"content-length": "10000000000"}),
    ("HEAD", "/lines/3", None, 200, b"", {}),
    ("HEAD", "/nowhere", None, 404, b"", {}),
]  # fmt: skip
TABLE += [
    (method, f"/status/{code}", None, code, None if code not in (204, 304) else b"", {})
    for method in ("GET", "DELETE")
    for code in (200, 201, 204, 304, 400, 404, 418, 500, 503, 599)
]


@pytest.mark.parametrize(
    "row", TABLE, ids=[f"{row[0]} {row[1]}{' body' if row[2] else ''}" for row in TABLE]
)
def test_row(transport, row):
    method, target, data, status, body, fields = row
    answer = transport.ask(target, method, ["content-type: image/x-test"], data)
    assert answer.status == status
    assert body is None or answer.body == body
    for name, value in fields.items():
        assert answer.value(name) == value
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.value("date"))
    if transport.version in ("2", "3"):
        assert not {"connection", "transfer-encoding", "keep-alive"} & {name for name, _ in answer.fields}


# ---- answers that depend on the request ----


def test_page_tells_the_protocol(transport):
    answer = transport.ask("/")
    assert f"HTTP/{transport.version}</b>".encode() in answer.body


@pytest.mark.parametrize("fields", [[], ["transfer-encoding: chunked"]], ids=["sized", "unsized"])
def test_digest(transport, fields):
    if fields and transport.version != "1.1":
        fields = ["content-length:"]
    answer = transport.ask("/digest", "POST", fields, UPLOAD)
    assert answer.json == {"length": len(UPLOAD), "sha256": hashlib.sha256(UPLOAD).hexdigest()}


def test_inspect(transport):
    answer = transport.ask(
        "/inspect?a=%20b&c", "PUT", ["x-b: 1", "x-a: 2", "X-B: 3", "user-agent:", "accept:", "content-type:"], b"body"
    )
    seen = answer.json
    assert (seen["method"], seen["path"], seen["query"]) == ("PUT", "/inspect", "a=%20b&c")
    assert (seen["scheme"], seen["protocol"]) == (transport.scheme, transport.version)
    assert seen["authority"] == transport.authority
    own = [field for field in seen["headers"] if field[0].startswith("x-")]
    assert own == [["x-b", "1"], ["x-a", "2"], ["x-b", "3"]]
    assert seen["peer"]["address"] == "127.0.0.1" and seen["peer"]["port"] > 0
    assert seen["body"] == {"length": 4, "sha256": hashlib.sha256(b"body").hexdigest()}
    if transport.scheme == "http":
        assert seen["tls"] is None
        return
    tls = seen["tls"]
    assert tls["version"] == "1.3" and re.match("TLS_(AES|CHACHA)", tls["cipher"])
    assert tls["alpn"] == {"1.1": "http/1.1", "2": "h2", "3": "h3"}[transport.version]
    assert tls["server_name"] == "localhost" and not tls["client_subject"]


@pytest.mark.parametrize("field", ["x-forwarded-proto: ftp", "x-routed-tls-version: 9", "x-routed-peer: 9.9.9.9:9"])
def test_forged_identity_is_gone(transport, field):
    seen = transport.ask("/inspect", fields=[field]).json
    assert field.partition(":")[0] not in dict(seen["headers"])
    assert seen["scheme"] == transport.scheme and (seen["tls"] is None) == (transport.scheme == "http")


def test_hints(transport):
    answer = transport.ask("/hints")
    assert (answer.status, answer.body) == (200, b"hinted\n")
    if transport.server.mode == "in-process":
        assert [status for status, _ in answer.informs] == [103]
    for _, fields in answer.informs:
        assert ["link", "</style.css>; rel=preload; as=style"] in fields


@pytest.mark.parametrize(
    "target, route, params",
    [
        ("/users/a%2Fb", "/users/{id}", {"id": "a/b"}),
        ("/files/a//b/", "/files/{*path}", {"path": "a//b/"}),
        ("/shop/items/7/reviews/2?x=1", "/shop/items/{id}/reviews/{review}", {"id": "7", "review": "2"}),
    ],
)
def test_routes(transport, target, route, params):
    answer = transport.ask(target)
    assert answer.json == {"route": route, "params": params}
    assert answer.value("x-shop") == ("open" if target.startswith("/shop") else None)


def test_redirects(transport):
    if transport.name == "h2c":
        pytest.skip("curl before 8 cannot use the connection again")
    url = f"{transport.scheme}://{transport.authority}/redirect/5"
    assert transport.run("-L", url) == b'{"ok":true}'


def test_fail_tells_nothing(transport):
    answer = transport.ask("/fail")
    assert answer.status == 500 and len(answer.body) < 200
    assert b"ROUTED" not in answer.body and b"handler" not in answer.body.lower()


@pytest.mark.parametrize("method, status", [("OPTIONS", 204), ("POST", 405), ("DELETE", 405), ("BREW", 405)])
def test_methods_that_the_route_has_not(transport, method, status):
    answer = transport.ask("/json", method)
    assert answer.status == status
    assert set(re.split(r",\s*", answer.value("allow"))) == {"GET", "HEAD", "OPTIONS"}


def test_options_of_the_server(transport):
    answer = transport.ask("/", "OPTIONS", arguments=["--request-target", "*"])
    assert answer.status in (200, 204)


def test_too_large_for_the_route(transport):
    assert transport.ask("/inspect", "POST", ["expect:"], UPLOAD[:1048576]).status == 200
    if transport.version == "1.1":
        assert transport.ask("/inspect", "POST", [], UPLOAD[:1048577]).status == 413


def test_many_requests_on_one_connection(transport):
    if transport.name == "h2c":
        pytest.skip("curl before 8 cannot use the connection again")
    urls = [f"{transport.scheme}://{transport.authority}/users/{number}" for number in range(100)]
    parallel = ["--parallel", "--parallel-max", "50"] if transport.version != "1.1" else []
    out = transport.run(*parallel, "-w", "%{num_connects}\n", *urls).decode()
    assert sorted(map(int, re.findall(r'"id":"(\d+)"', out))) == list(range(100))
    if not parallel:
        assert sum(map(int, re.findall(r"\}(\d)\n", out))) == 1
