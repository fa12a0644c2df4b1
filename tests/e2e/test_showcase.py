"""Every row of the showcase, in every mode, as plain clients see it."""

import contextlib
import hashlib
import json
import os
import re
import subprocess

import httpx
import pytest

from showcase import MODES, TooSlow, unhurried
from wire import Wire, exchange

pytestmark = [pytest.mark.sanitizer, pytest.mark.over_tls]


def cycle(size, offset=0):
    """Bytes of /bytes: byte i is i mod 251."""
    start = offset % 251
    return (bytes(range(251)) * (size // 251 + 2))[start : start + size]


@pytest.fixture(scope="module", params=["HTTP/1.1", "HTTP/2"])
def client(request, server):
    """httpx over one version: HTTP/2 by ALPN, or by prior knowledge on the plain port."""

    def check(answer):
        assert answer.http_version == request.param

    with httpx.Client(
        base_url=server.url, timeout=20, verify=str(server.authority) if server.authority else True,
        http1=request.param == "HTTP/1.1", http2=request.param == "HTTP/2", event_hooks={"response": [check]},
    ) as client:  # fmt: skip
        yield client


def curl(server, *arguments, **settings):
    result = subprocess.run(
        ["curl", "-sS", "--max-time", "30", *server.trust, *arguments], capture_output=True, timeout=60, **settings
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


# ---- the rows ----


def test_page(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f"{answer.http_version}</b>" in answer.text and "</html>" in answer.text
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text), "an external resource"
    for target in set(re.findall(r'href="(/[^"]*)"', answer.text)) - {"/fail", "/nowhere"}:
        quick = target.replace("ms=200", "ms=1").replace("/delay/1000", "/delay/1")
        assert client.get(quick, follow_redirects=True).status_code in (200, 403, 418), target


def test_page_tells_http_1_0(server):
    answer = exchange(server.address, b"GET / HTTP/1.0\r\n\r\n")
    assert b"HTTP/1.0</b>" in answer


def test_json(client):
    answer = client.get("/json")
    assert (answer.status_code, answer.content) == (200, b'{"ok":true}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == "11"
    assert re.fullmatch(
        r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["date"]
    )


def test_text(client):
    answer = client.get("/text")
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1000000])
def test_echo(client, size):
    body = os.urandom(size)
    answer = client.post("/echo", content=body, headers={"content-type": "image/x-test"})
    assert answer.status_code == 200
    assert answer.content == body
    assert answer.headers["content-type"] == "image/x-test"
    assert int(answer.headers["content-length"]) == size


def test_echo_chunked(client):
    pieces = [os.urandom(size) for size in (1, 100, 70000, 3)]
    answer = client.post("/echo", content=iter(pieces))
    assert answer.content == b"".join(pieces)
    assert (answer.headers.get("transfer-encoding") == "chunked") == (answer.http_version == "HTTP/1.1")


@pytest.mark.parametrize("size", [0, 1, 100000, 300000])
def test_digest(client, size):
    body = os.urandom(size)
    for content in (body, iter([body])):
        answer = client.post("/digest", content=content)
        assert answer.json() == {"length": size, "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("size", [0, 1, 251, 65536, 65537, 1000003])
@pytest.mark.parametrize("chunked", [False, True])
def test_bytes(client, size, chunked):
    answer = client.get(f"/bytes/{size}" + ("?chunked=1" if chunked else ""))
    assert answer.content == cycle(size)
    assert ("content-length" in answer.headers) == (not chunked)


@pytest.mark.parametrize("target", ["/bytes/x", "/bytes/-1", "/lines/x", "/status/99", "/fields/a"])
def test_numbers_that_are_none(client, target):
    assert client.get(target).status_code == 400


def test_bytes_with_pause(client):
    answer = client.get("/bytes/200000?pause=20")
    assert answer.content == cycle(200000)
    assert answer.elapsed.total_seconds() >= 0.05


def test_lines(client):
    assert client.get("/lines/5").text == "".join(f"line {i}\n" for i in range(1, 6))
    assert client.get("/lines/0").text == ""


def test_many_lines(client):
    text = client.get("/lines/100000").text
    assert text == "".join(f"line {i}\n" for i in range(1, 100001))


def test_events(client):
    answer = client.get("/events/3?ms=5")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event for event in answer.text.split("\n\n") if event]
    assert len(events) == 3
    for number, event in enumerate(events, 1):
        lines = dict(line.split(": ", 1) for line in event.split("\n"))
        assert lines == {"id": str(number), "data": f"event {number}"}


@pytest.mark.parametrize("code", [200, 201, 204, 205, 304, 400, 404, 418, 500, 503, 599, 799])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "DELETE"])
def test_status(server, code, method):
    with Wire(server.address) as wire:
        for _ in range(2):  # the second shows that the first ended where it should
            wire.request(method, f"/status/{code}")
            answer = wire.answer(method)
            assert answer.status == code
            if code in (204, 304):
                assert answer.value("transfer-encoding") is None
            if code == 204:
                assert answer.value("content-length") is None
            if method != "HEAD":
                has_content = code not in (204, 205, 304)
                assert answer.body == (b"status %d\n" % code if has_content else b"")


def test_fields(client):
    answer = client.get("/fields/50")
    for number in range(1, 51):
        assert answer.headers[f"x-field-{number}"] == str(number)


@unhurried(5)
def test_delay_holds_up_nobody(server):
    with Wire(server.address) as slow, Wire(server.address) as fast:
        slow.request("GET", "/delay/400")
        for _ in range(20):
            fast.request("GET", "/json")
            assert fast.answer().body == b'{"ok":true}'
        slow.socket.setblocking(False)
        try:
            slow.socket.recv(1)
        except BlockingIOError:
            slow.socket.settimeout(20)
            assert slow.answer().body == b'{"ok":true}'
        else:
            raise TooSlow("the delayed answer came before those of twenty others")


def test_many_delays_at_once(server):
    wires = [Wire(server.address) for _ in range(100)]
    for wire in wires:
        wire.request("GET", "/delay/200")
    for wire in wires:
        assert wire.answer().body == b'{"ok":true}'
        wire.close()


def test_hints(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/hints")
        answer = wire.answer()
        assert (answer.status, answer.body) == (200, b"hinted\n")
        if server.mode == "in-process":
            assert [hint.status for hint in answer.informs] == [103]
        for hint in answer.informs:
            assert hint.values("link") == ["</style.css>; rel=preload; as=style"]


def test_hints_are_not_for_http_1_0(server):
    answer = exchange(server.address, b"GET /hints HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ") and b" 103 " not in answer


@pytest.mark.parametrize(
    "target, route, params",
    [
        ("/users/42", "/users/{id}", {"id": "42"}),
        ("/users/a%2Fb", "/users/{id}", {"id": "a/b"}),
        ("/users/%2541", "/users/{id}", {"id": "%41"}),
        ("/users/%C3%A9", "/users/{id}", {"id": "\u00c3\u00a9"}),
        ("/users/..", "/users/{id}", {"id": ".."}),
        ("/files/", "/files/{*path}", {"path": ""}),
        ("/files/a/b/c.txt", "/files/{*path}", {"path": "a/b/c.txt"}),
        ("/files/a//b/", "/files/{*path}", {"path": "a//b/"}),
        ("/shop", "/shop", {}),
        ("/shop/items/7", "/shop/items/{id}", {"id": "7"}),
        (
            "/shop/items/7/reviews/2?x=1",
            "/shop/items/{id}/reviews/{review}",
            {"id": "7", "review": "2"},
        ),
    ],
)
def test_routes(server, target, route, params):
    with Wire(server.address) as wire:
        wire.request("GET", target)
        answer = wire.answer()
    assert answer.status == 200
    assert json.loads(answer.body) == {"route": route, "params": params}
    assert answer.value("x-shop") == ("open" if target.startswith("/shop") else None)


@pytest.mark.parametrize(
    "target, status",
    [
        ("/users/", 404),
        ("/users", 404),
        ("/users/1/2", 404),
        ("/files", 404),
        ("/Json", 404),
        ("/json/", 404),
        ("//json", 404),
        ("/x/../json", 404),
        ("/%6ason", 404),
        ("/users/%zz", 400),
        ("/users/%00", 400),
        ("/shop/nothing", 404),
        ("/shop/closed", 403),
        ("/crash", 404),
    ],
)
def test_paths_without_an_answer(server, target, status):
    with Wire(server.address) as wire:
        wire.request("GET", target)
        answer = wire.answer()
        assert answer.status == status
        assert answer.value("x-shop") == ("open" if target.startswith("/shop/") else None)
        wire.request("GET", "/json")
        assert wire.answer().status == 200


def test_redirects(client):
    answer = client.get("/redirect/3", follow_redirects=True)
    assert [step.status_code for step in answer.history] == [302] * 3
    assert (answer.url.path, answer.json()) == ("/json", {"ok": True})


def test_fail_tells_nothing(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/fail")
        answer = wire.answer()
        assert answer.status == 500
        assert b"ROUTED" not in answer.body and b"handler" not in answer.body.lower()
        assert len(answer.body) < 200
        wire.request("GET", "/json")
        assert wire.answer().status == 200


# ---- what HTTP asks for ----


def test_head(server):
    with Wire(server.address) as wire:
        for target, length in [("/json", "11"), ("/bytes/10000000000", "10000000000")]:
            wire.request("HEAD", target)
            answer = wire.answer("HEAD")
            assert (answer.status, answer.value("content-length")) == (200, length)
        for target in ("/lines/3", "/events/3", "/bytes/9?chunked=1", "/nowhere", "/fail"):
            wire.request("HEAD", target)
            wire.answer("HEAD")
        wire.request("GET", "/json")
        assert wire.answer().body == b'{"ok":true}'


def test_options(server):
    with Wire(server.address) as wire:
        wire.request("OPTIONS", "/json")
        answer = wire.answer()
        assert answer.status == 204
        assert {"GET", "HEAD", "OPTIONS"} == set(re.split(r",\s*", answer.value("allow")))
        wire.request("OPTIONS", "/digest")
        assert {"POST", "OPTIONS"} == set(re.split(r",\s*", wire.answer().value("allow")))


def test_options_of_the_server(server):
    with Wire(server.address) as wire:
        wire.request("OPTIONS", "*")
        assert wire.answer().status in (200, 204)
        wire.request("GET", "/json")
        assert wire.answer().status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_method_not_allowed(server, method):
    with Wire(server.address) as wire:
        wire.request(method, "/json")
        answer = wire.answer()
        assert answer.status == 405
        assert {"GET", "HEAD", "OPTIONS"} == set(re.split(r",\s*", answer.value("allow")))


def test_absolute_form(server):
    with Wire(server.address) as wire:
        wire.request("GET", "http://example.test:81/inspect?a=1", host="example.test:81")
        seen = json.loads(wire.answer().body)
        assert (seen["authority"], seen["path"]) == ("example.test:81", "/inspect")
        assert (seen["query"], seen["scheme"]) == ("a=1", server.scheme)


def test_http_1_0(server):
    answer = exchange(server.address, b"GET /json HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and body == b'{"ok":true}'
    assert b"transfer-encoding" not in head.lower()


def test_http_1_0_gets_no_chunks(server):
    answer = exchange(server.address, b"GET /lines/3 HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == b"line 1\nline 2\nline 3\n"


def test_http_1_0_keep_alive(server):
    with Wire(server.address) as wire:
        for _ in range(3):
            wire.send("GET /json HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            answer = wire.answer()
            assert answer.body == b'{"ok":true}'
            assert answer.value("connection").lower() == "keep-alive"


def test_connection_close(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/json", "connection: close")
        wire.request("GET", "/text")
        answer = wire.answer()
        assert answer.body == b'{"ok":true}' and answer.closes
        assert wire.is_closed()


def test_keep_alive(server):
    with Wire(server.address) as wire:
        for _ in range(200):
            wire.request("GET", "/json")
            answer = wire.answer()
            assert answer.body == b'{"ok":true}' and not answer.closes


def test_pipelining(server):
    with Wire(server.address) as wire:
        wire.send(b"".join(b"GET /users/%d HTTP/1.1\r\nhost: x\r\n\r\n" % i for i in range(300)))
        for number in range(300):
            assert json.loads(wire.answer().body)["params"] == {"id": str(number)}


def test_pipelining_keeps_the_order_of_slow_and_fast(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/delay/100")
        wire.request("POST", "/echo", body=b"second")
        wire.request("HEAD", "/text")
        wire.request("GET", "/text")
        assert wire.answer().body == b'{"ok":true}'
        assert wire.answer().body == b"second"
        assert wire.answer("HEAD").value("content-length") == "5"
        assert wire.answer().body == b"hello"


def test_byte_by_byte(server):
    request = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    with Wire(server.address) as wire:
        for number in range(len(request)):
            wire.send(request[number : number + 1])
        assert wire.answer().body == b"hello"


def test_expect_continue(server):
    with Wire(server.address) as wire:
        wire.send("POST /digest HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        assert wire.read_head().status == 100
        wire.send("hello")
        answer = wire.answer()
        assert json.loads(answer.body)["length"] == 5
        wire.request("GET", "/json")
        assert wire.answer().status == 200


def test_expect_continue_with_a_body_that_comes_at_once(server):
    with Wire(server.address) as wire:
        wire.send("POST /digest HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\nhello")
        assert json.loads(wire.answer().body)["length"] == 5


def test_unknown_expectation(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/json", "expect: miracles")
        assert wire.answer().status == 417


def test_trailers(server):
    with Wire(server.address) as wire:
        wire.send("POST /echo HTTP/1.1\r\nhost: x\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n")
        wire.send_chunk(b"hello")
        wire.send("0\r\nx-check: yes\r\ncontent-length: 3\r\n\r\n")
        answer = wire.answer()
        assert answer.body == b"hello"
        names = {name.lower(): value for name, value in answer.trailers}
        assert "content-length" not in names
        if server.mode == "in-process":  # version 1 of the bridge has no place for them
            assert names == {"x-check": "yes"}
        wire.request("GET", "/json")
        assert wire.answer().status == 200


def test_half_close_gets_the_full_answer(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/bytes/3000000?pause=1")
        wire.half_close()
        answer = wire.answer()
        assert answer.body == cycle(3000000)
        assert wire.is_closed()


def test_half_close_during_delay(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/delay/200")
        wire.half_close()
        assert wire.answer().body == b'{"ok":true}'
        assert wire.is_closed()


def test_half_close_after_several(server):
    with Wire(server.address) as wire:
        for _ in range(5):
            wire.request("GET", "/json")
        wire.half_close()
        for _ in range(5):
            assert wire.answer().body == b'{"ok":true}'
        assert wire.is_closed()


def test_early_answer_is_not_lost(server):
    """The answer to a body that nobody reads arrives although the client goes on sending."""
    with Wire(server.address) as wire:
        wire.send("POST /json HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n")
        wire.send(b"x" * 200000)
        answer = wire.answer()
        assert answer.status == 405
        with contextlib.suppress(OSError):
            wire.send(b"x" * 300000)
        assert wire.is_closed()


def test_bad_request_after_good_ones(server):
    """Answers that were earned are delivered before the refusal."""
    with Wire(server.address) as wire:
        wire.send("GET /json HTTP/1.1\r\nhost: x\r\n\r\n" * 3 + "GET / HTTP/1.1\r\nhost : x\r\n\r\n")
        for _ in range(3):
            assert wire.answer().status == 200
        answer = wire.answer()
        assert answer.status == 400 and answer.closes
        assert wire.is_closed()


def test_too_large_for_the_route(server):
    with Wire(server.address) as wire:
        wire.send("POST /inspect HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n")
        assert wire.answer().status == 413
    with Wire(server.address) as wire:
        wire.request("POST", "/inspect", body=b"x" * 1048576)
        answer = wire.answer()
        assert answer.status == 200 and json.loads(answer.body)["body"]["length"] == 1048576


def test_too_large_for_the_route_chunked(server):
    with Wire(server.address) as wire:
        wire.send("POST /inspect HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        wire.send_chunk(b"x" * 1048577)
        assert wire.answer().status == 413


def test_websocket_route_without_handshake(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/ws/echo")
        assert wire.answer().status == 426


def test_upgrade_that_nobody_knows_is_ignored(server):
    with Wire(server.address) as wire:
        wire.request("GET", "/json", "connection: upgrade, http2-settings", "upgrade: h2c",
                     "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA")
        assert wire.answer().body == b'{"ok":true}'


# ---- curl ----


def test_curl(server, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(os.urandom(3000000))
    assert curl(server, server.url + "/json") == b'{"ok":true}'
    assert curl(server, "-L", server.url + "/redirect/5") == b'{"ok":true}'
    expected = hashlib.sha256(body.read_bytes()).hexdigest()
    for way in (["-T", str(body), "-X", "POST"], ["--data-binary", f"@{body}"],
                ["-T", str(body), "-X", "POST", "-H", "transfer-encoding: chunked"]):
        assert json.loads(curl(server, *way, server.url + "/digest"))["sha256"] == expected
    assert curl(server, "-0", server.url + "/lines/2") == b"line 1\nline 2\n"
    assert curl(server, "--http1.1", "-I", server.url + "/json").startswith(b"HTTP/1.1 200 OK\r\n")
    assert curl(server, "-w", "%{http_version}", server.url + "/text") == (
        b"hello2" if server.scheme == "https" else b"hello1.1"
    )
    urls = [server.url + f"/users/{i}" for i in range(20)]
    assert curl(server, *urls).count(b'"params"') == 20


def test_modes_answer_alike(start):
    """One request with everything in it gets the same answer in each mode."""
    answers = []
    for mode in MODES:
        server = start(mode=mode)
        with Wire(server.address) as wire:
            wire.request("POST", "/inspect?a=b&c", "x-one: 1", "x-two:  2 ", "x-one: 3", body=b"body")
            seen = json.loads(wire.answer().body)
        assert seen.pop("request_id") is not None
        assert seen["peer"].pop("port") > 0
        answers.append(seen)
    assert answers[0] == answers[1] == answers[2]
