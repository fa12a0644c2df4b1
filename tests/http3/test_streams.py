"""Bodies, trailers and WebSockets over HTTP/3: in motion, both ways, of any size."""

import hashlib
import json
import os
import struct

import pytest

from conftest import FOREIGN, run_site
from http3_clients import cycle, curl, ngtcp2, quic_go
from quic_peer import DATA, HEADERS, field_section, frame, get, head
from showcase import MODES, TooSlow, eventually, read_kib, unhurried

pytestmark = pytest.mark.skipif(FOREIGN, reason="about the showcase")
BIG = os.environ.get("ROUTED_BIG") == "1"
SIZE = 1024**3 if BIG else 64 * 1024**2
MEMORY_KIB = 96 * 1024


@pytest.fixture(scope="module", params=MODES)
def site(request, tmp_path_factory, foreign_certificates):
    folder = tmp_path_factory.mktemp("streams")
    with run_site(folder, foreign_certificates, mode=request.param) as site:
        yield site


def digest_of_cycle(size):
    digest, piece = hashlib.sha256(), cycle(251 * 4096)
    for _ in range(size // len(piece)):
        digest.update(piece)
    digest.update(piece[: size % len(piece)])
    return digest.hexdigest()


# ---- any size ----


@pytest.mark.timeout(900 if BIG else 120)
@pytest.mark.parametrize("client", [quic_go, ngtcp2], ids=["quic-go", "ngtcp2"])
def test_big_download(site, client):
    if client is ngtcp2 and BIG and site.server.mode != "in-process":
        pytest.skip("once is enough for this size")
    ((_, status, length, digest),) = client(site.address, site.authority, [f"/bytes/{SIZE}"], timeout=600).answers
    assert (status, length, digest) == (200, SIZE, digest_of_cycle(SIZE))
    assert_memory(site)


@pytest.mark.timeout(900 if BIG else 120)
def test_big_upload(site):
    result = quic_go(site.address, site.authority, ["/digest"], upload=SIZE, timeout=600)
    assert json.loads(result.log) == {"length": SIZE, "sha256": digest_of_cycle(SIZE)}
    assert_memory(site)


def assert_memory(site):
    for pid in site.server.processes():
        peak = read_kib(pid, "VmHWM")
        assert 0 < peak < MEMORY_KIB, f"{peak} KiB at the peak of process {pid}"


def test_upload_by_curl(site):
    out = curl("--data-binary", "@-", f"https://localhost:{site.address[1]}/digest", data=cycle(3000000),
               authority=site.authority)  # fmt: skip
    assert json.loads(out) == {"length": 3000000, "sha256": digest_of_cycle(3000000)}


# ---- in motion ----


def test_echo_both_ways_at_once(site):
    """Each piece comes back before the next is sent."""
    with site.peer() as peer:
        stream = peer.raw(head("/echo", method="POST"))
        got = peer.streams[stream]
        for number in range(20):
            before, piece = len(got.body), b"piece %d" % number
            peer.raw(frame(DATA, piece), stream)
            peer.wait(lambda: len(got.body) == before + len(piece))
            assert got.body.endswith(piece)
        peer.raw(b"", stream, fin=True)
        assert peer.answer(stream).status == 200


@unhurried(5)
def test_lines_are_visible_one_by_one(site):
    with site.peer() as peer:
        stream = peer.request("/lines/3?ms=150")
        got = peer.streams[stream]
        peer.wait(lambda: got.body)
        if got.body != b"line 1\n":
            raise TooSlow(got.body)
        assert peer.answer(stream).body == b"line 1\nline 2\nline 3\n"


def test_trailers(site):
    """Those of the request come back as those of the response; version 1 of the bridge has no place
    for them."""
    with site.peer() as peer:
        trailers = frame(HEADERS, field_section([("x-sum", "12"), ("x-end", "yes")]))
        data = head("/echo", ("te", "trailers"), method="POST") + frame(DATA, b"body") + trailers
        answer = peer.answer(peer.raw(data, fin=True))
        in_process = site.server.mode == "in-process"
        assert answer.body == b"body"
        assert answer.trailers == ([("x-sum", "12"), ("x-end", "yes")] if in_process else [])


def test_hints(site):
    with site.peer() as peer:
        answer = peer.ask("/hints")
        assert answer.status == 200 and answer.body == b"hinted\n"
        for fields in answer.informs:
            assert dict(fields)[":status"] == "103"


def test_cancelled_request_is_told(site):
    before, hung = site.server.ends()["cancelled"], site.server.ends()["hung"]
    with site.peer() as peer:
        stream = peer.request("/hang")
        peer.wait(lambda: site.server.ends()["hung"] > hung)
        peer.quic.reset_stream(stream, 0x10C)
        peer.quic.stop_stream(stream, 0x10C) if stream in peer.quic._streams else None
        peer.flush()
        assert peer.ask("/json").status == 200
        peer.wait(lambda: site.server.ends()["cancelled"] > before)


def test_answer_before_the_content(site):
    """An answer that wants no content: STOP_SENDING with H3_NO_ERROR, and the answer whole."""
    with site.peer() as peer:
        stream = peer.raw(head("/nowhere", ("content-length", "100000"), method="POST") + frame(DATA, b"x" * 1000))
        answer = peer.answer(stream)
        assert answer.status == 404
        peer.wait(lambda: answer.stopped is not None)
        assert answer.stopped == 0x100


def test_urgent_answers_come_first(site):
    """RFC 9218: among downloads that compete, those of urgency 0 end before those of 7."""
    with site.peer(keep=False, window=1 << 18) as peer:
        low = [peer.request("/bytes/2000000", ("priority", "u=7")) for _ in range(3)]
        high = peer.request("/bytes/2000000", ("priority", "u=0"))
        peer.wait(lambda: peer.streams[high].ended)
        assert not any(peer.streams[stream].ended for stream in low)
        peer.wait(lambda: all(peer.streams[stream].ended for stream in low))


# ---- WebSocket by extended CONNECT (RFC 9220) ----


def masked(opcode, payload):
    mask, size = os.urandom(4), len(payload)
    if size < 126:
        start = bytes([0x80 | opcode, 0x80 | size])
    elif size < 65536:
        start = struct.pack(">BBH", 0x80 | opcode, 0xFE, size)
    else:
        start = struct.pack(">BBQ", 0x80 | opcode, 0xFF, size)
    return start + mask + bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))


def open_socket(peer, path="/ws/echo", protocol="websocket"):
    fields = [*get(path, ("sec-websocket-version", "13"), method="CONNECT"), (":protocol", protocol)]
    fields = [pair for pair in fields if pair[0][0] == ":"] + [pair for pair in fields if pair[0][0] != ":"]
    return peer.raw(frame(HEADERS, field_section(fields)))


def test_websocket(site):
    with site.peer() as peer:
        peer.wait(lambda: peer.h3.received_settings)
        assert peer.h3.received_settings[8] == 1  # SETTINGS_ENABLE_CONNECT_PROTOCOL
        stream = open_socket(peer)
        got = peer.streams[stream]
        peer.wait(lambda: got.status)
        assert got.status == 200 and got.value("sec-websocket-accept") is None
        peer.raw(frame(DATA, masked(1, b"hello")), stream)
        peer.wait(lambda: got.body == b"\x81\x05hello")
        assert peer.ask("/json").status == 200
        message = os.urandom(100000)
        sealed = masked(2, message)
        for start in range(0, len(sealed), 10000):
            peer.raw(frame(DATA, sealed[start : start + 10000]), stream)
        peer.wait(lambda: got.body.endswith(message[-100:]))
        peer.raw(frame(DATA, masked(8, struct.pack(">H", 1000))), stream)
        peer.wait(lambda: got.ended)
        assert got.body.endswith(b"\x88\x02\x03\xe8")


def test_websocket_in_the_log(start_site, tmp_path):
    """The status is the one that the client got."""
    log = tmp_path / "log"
    site = start_site("--access-log", f"json:{log}")
    with site.peer() as peer:
        stream = open_socket(peer)
        peer.wait(lambda: peer.streams[stream].status)
        peer.quic.reset_stream(stream, 0x10C)
        peer.flush()
        assert eventually(lambda: log.read_text().endswith("\n"))
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["status"] == 200 and line["target"] == "/ws/echo"
    site.assert_counts({"responses.2xx": 1, "responses.other": 0})


def test_websocket_that_counts(site):
    with site.peer() as peer:
        stream = open_socket(peer, "/ws/count?n=1000")
        got = peer.streams[stream]
        peer.wait(lambda: got.body.endswith(b"\x88\x02\x03\xe8"))
        assert b"\x81\x041000" in got.body


@pytest.mark.parametrize("protocol, path, statuses", [
    ("unknown", "/ws/echo", {501}), ("websocket", "/nowhere", {404}), ("websocket", "/json", {501, 502}),
])  # fmt: skip
def test_websocket_that_is_none(site, protocol, path, statuses):
    with site.peer() as peer:
        stream = open_socket(peer, path, protocol)
        peer.wait(lambda: peer.streams[stream].status)
        assert peer.streams[stream].status in statuses
        assert peer.ask("/json").status == 200


def test_websocket_whose_client_leaves(site):
    with site.peer() as peer:
        stream = open_socket(peer)
        peer.wait(lambda: peer.streams[stream].status)
        peer.quic.reset_stream(stream, 0x10C)
        assert peer.ask("/json").status == 200
