"""The dynamic table of QPACK (RFC 9204): foreign clients use it, and nobody is hurt by it."""

import json

import pytest
from aioquic.h3.connection import H3Connection

from conftest import FOREIGN, run_site
from http3_clients import curl, ngtcp2
from quic_peer import (
    DATA, H3_EXCESSIVE_LOAD, HEADERS, QPACK_DECOMPRESSION_FAILED, QPACK_DECODER_STREAM_ERROR,
    QPACK_ENCODER_STREAM_ERROR, Reset, field_section, frame, get, prefixed,
)  # fmt: skip
from showcase import MODES, eventually

pytestmark = [pytest.mark.sanitizer, pytest.mark.skipif(FOREIGN, reason="about our own table")]

MB = 1 << 20
CAPACITY = prefixed(0x20, 5, 4096)
INSERT = b"\x43x-a\x01b"  # x-a: b
LINES = field_section(get("/inspect"))[2:]
NEEDS_ONE = frame(HEADERS, b"\x02\x00" + LINES + b"\x80")  # GET with the first insert
NEEDS_TWO = frame(HEADERS, b"\x03\x00" + LINES + b"\x80")  # and with the second


class Encoder:
    """In the place of aioquic's own: encodes without a table, and keeps what it is told of it."""

    def __init__(self):
        self.told = b""

    def apply_settings(self, **_):
        return b""

    def feed_decoder(self, data):
        self.told += data

    def encode(self, stream, headers):
        return b"", field_section([(name.decode(), value.decode()) for name, value in headers])


@pytest.fixture(scope="module")
def site(tmp_path_factory, foreign_certificates):
    with run_site(tmp_path_factory.mktemp("qpack"), foreign_certificates) as site:
        yield site


def by_hand(site, capacity=CAPACITY, **settings):
    """A peer whose table is kept by the test."""
    peer = site.peer(**settings)
    peer.h3._encoder = Encoder()
    change(peer, capacity)
    return peer


def change(peer, instructions):
    peer.raw(instructions, peer.h3._local_encoder_stream_id)


def fields(answer):
    return dict(json.loads(bytes(answer.body))["headers"])


# ---- foreign clients ----


@pytest.mark.parametrize("mode", MODES)
def test_aioquic(start_site, mode):
    site = start_site(mode=mode)
    with site.peer() as peer:
        for number in range(200):
            name, value = f"x-{number // 10}", f"v{number // 5}"
            assert fields(peer.ask("/inspect", (name, value), ("user-agent", "aioquic")))[name] == value
        assert not peer.closed
    assert eventually(lambda: site.count("quic.table_inserts") > 10), site.count("quic.table_inserts")
    assert eventually(lambda: site.count("quic.answer_inserts") > 0)
    site.assert_counts({"quic.table_errors": 0, "limit.http3_blocked_streams": 0})


def test_curl(start_site):
    site = start_site()
    url = "https://localhost:%d/inspect" % site.address[1]
    out = curl("-H", "x-a: b", "-A", "agent", *[url] * 20, authority=site.authority)
    assert out.count(b'["x-a","b"]') == 20
    assert eventually(lambda: site.count("quic.table_inserts") > 0)
    assert site.count("quic.answer_inserts") == 0  # it offers no table


def test_ngtcp2(start_site):
    site = start_site()
    # More than may be open at once: the last ones are sent when our SETTINGS are there.
    result = ngtcp2(site.address, site.authority, [f"/bytes/{size}" for size in range(150)])
    assert {status for _, status, _, _ in result.answers} == {200}
    assert eventually(lambda: site.count("quic.table_inserts") > 0 and site.count("quic.answer_inserts") > 0)


# ---- streams that wait ----


def test_request_before_its_insert(site):
    before = site.count("quic.sections_blocked")
    with by_hand(site) as peer:
        stream = peer.raw(NEEDS_ONE, fin=True)
        assert peer.ask("/json").status == 200  # nobody else waits
        assert not peer.streams[stream].heads
        change(peer, INSERT)
        assert fields(peer.answer(stream))["x-a"] == "b"
        assert peer.wait(lambda: peer.h3._encoder.told) == b"\x80"  # Section Acknowledgment
    assert eventually(lambda: site.count("quic.sections_blocked") == before + 1)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_blocked_streams(start_site, count):
    site = start_site("--limit", "http3_blocked_streams=3")
    with by_hand(site) as peer:
        streams = [peer.raw(NEEDS_ONE, fin=True) for _ in range(count)]
        if count <= 3:
            change(peer, INSERT)
            assert {peer.answer(stream).status for stream in streams} == {200}
        else:
            assert peer.wait_closed() == (QPACK_DECOMPRESSION_FAILED, True)
    assert eventually(lambda: site.count("limit.http3_blocked_streams") == max(0, count - 3))


def test_insert_that_never_comes(start_site):
    site = start_site("--limit", "header_timeout=1000")
    with by_hand(site) as peer:
        assert peer.ask("/json").status == 200
        peer.raw(NEEDS_ONE, fin=True)
        peer.wait_closed()
    assert eventually(lambda: site.count("limit.header_timeout") == 1)


def test_reset_of_one_that_waits(site, alive):
    with by_hand(site) as peer:
        stream = peer.raw(NEEDS_ONE)
        peer.ask("/json")
        peer.quic.reset_stream(stream, 0x10C)
        peer.wait(lambda: peer.h3._encoder.told)
        assert peer.h3._encoder.told == prefixed(0x40, 6, stream)  # Stream Cancellation
        change(peer, INSERT)
        assert fields(peer.answer(peer.raw(NEEDS_ONE, fin=True)))["x-a"] == "b"


def test_memory_of_those_who_wait(site, alive):
    """As much content as the window allows, behind heads that wait."""
    before = site.count("memory.held")
    with by_hand(site) as peer:
        lines = field_section(get("/digest", method="POST"))[2:]
        head = frame(HEADERS, b"\x02\x00" + lines + b"\x80")
        streams = [peer.raw(head + frame(DATA, bytes(200000)), fin=True) for _ in range(16)]
        peer.run(1)
        assert site.count("memory.held") - before < 12 * MB
        assert not any(peer.streams[stream].heads for stream in streams)
        change(peer, INSERT)
        assert [peer.answer(stream).status for stream in streams] == [200] * 16


# ---- answers ----


@pytest.mark.parametrize("capacity", [0, 32, 100, 4096, 65536])
def test_answers(start_site, monkeypatch, capacity):
    """More lines that recur than the table holds; aioquic decodes them."""

    class Offering(H3Connection):
        _max_table_capacity = property(lambda self: capacity, lambda self, _: None)

    monkeypatch.setattr("quic_peer.H3Connection", Offering)
    site = start_site()
    with site.peer() as peer:
        for turn in range(12):
            count = 20 * (1 + turn % 4)
            answer = peer.ask(f"/fields/{count}")
            assert len([name for name, _ in answer.heads[0] if name.startswith("x-")]) >= count
        assert not peer.closed
    assert eventually(lambda: (site.count("quic.answer_inserts") > 10) == (capacity > 1000))


@pytest.mark.parametrize("limit, inserts", [(31, False), (4096, True)])
def test_table_of_answers(start_site, limit, inserts):
    site = start_site("--limit", f"http3_answer_table={limit}")
    with site.peer() as peer:
        for _ in range(3):
            assert peer.ask("/fields/10").status == 200
    assert eventually(lambda: (site.count("quic.answer_inserts") > 0) == inserts)
    assert site.count("limit.http3_answer_table") == 0


def test_table_of_answers_that_is_full(start_site):
    site = start_site("--limit", "http3_answer_table=256")
    with site.peer() as peer:
        for _ in range(3):
            assert peer.ask("/fields/10").status == 200
    assert eventually(lambda: site.count("limit.http3_answer_table") == 1)


# ---- bounds of the table ----


@pytest.mark.parametrize("limit, capacity, ok", [
    (4096, 4095, True), (4096, 4096, True), (4096, 4097, False), (32, 32, True), (32, 33, False),
    (31, 0, True), (31, 1, False),
])  # fmt: skip
def test_capacity(start_site, limit, capacity, ok):
    site = start_site("--limit", f"http3_table={limit}")
    with by_hand(site, prefixed(0x20, 5, capacity)) as peer:
        if ok:
            assert peer.ask("/json").status == 200
            offered = 0 if limit < 32 else limit
            assert peer.h3.received_settings.get(1, 0) == offered
            assert peer.h3.received_settings.get(7, 0) == (16 if offered else 0)
        else:
            assert peer.wait_closed() == (QPACK_ENCODER_STREAM_ERROR, True)
    assert eventually(lambda: site.count("limit.http3_table") == (not ok))


@pytest.mark.parametrize("flood", [b"\x00", prefixed(0x20, 5, 0) + CAPACITY], ids=["duplicates", "capacities"])
def test_flood_of_instructions(site, alive, flood):
    with by_hand(site) as peer:
        change(peer, INSERT)
        for _ in range(64):
            change(peer, flood * (16384 // len(flood)))
            peer.turn(0)
            if peer.over:
                break
        assert peer.wait_closed()[0] in (H3_EXCESSIVE_LOAD, QPACK_ENCODER_STREAM_ERROR)


@pytest.mark.parametrize("instruction", [b"\x00", b"\x3f\xff" + b"\xff" * 12, b"\x81", b"\x41"], ids=[
    "increment of 0", "endless increment", "acknowledgement of nothing", "cancellation of nothing",
])  # fmt: skip
def test_decoder_stream(site, alive, instruction):
    with by_hand(site) as peer:
        peer.raw(instruction, peer.h3._local_decoder_stream_id)
        if instruction == b"\x41":  # this may be (RFC 9204 section 4.4.2)
            assert peer.ask("/json").status == 200
        else:
            assert peer.wait_closed() == (QPACK_DECODER_STREAM_ERROR, True)


@pytest.mark.parametrize("mentions", [8, 9, 900, 1100])
def test_bomb_of_references(site, alive, mentions):
    """4,000 bytes for each byte, on many streams."""
    before = site.count("memory.held")
    with by_hand(site) as peer:
        change(peer, b"\xc5" + prefixed(0, 7, 4000) + b"c" * 4000)  # cookie
        peer.wait(lambda: peer.h3._encoder.told)  # else most of these would wait for it
        section = frame(HEADERS, b"\x02\x00" + LINES + b"\x80" * mentions)
        streams = [peer.raw(section, fin=True) for _ in range(90)]
        statuses = set()
        try:
            statuses = {peer.answer(stream).status for stream in streams}
        except Reset:
            assert mentions > 1000 and peer.closed[0] == H3_EXCESSIVE_LOAD
        assert statuses <= ({200, 431} if mentions == 8 else {431})
        assert site.count("memory.held") - before < 8 * MB
