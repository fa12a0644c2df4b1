"""The rules that h3spec checks, 34 of QUIC and 16 of HTTP/3: each broken once by the scriptable
client, each answered with the named error."""

import time

import pytest

from quic_peer import (
    ALERT, CANCEL_PUSH, CONTROL, DATA, DECODER, ENCODER, FLOW_CONTROL_ERROR, FRAME_ENCODING_ERROR,
    H3_CLOSED_CRITICAL_STREAM, H3_FRAME_UNEXPECTED, H3_MESSAGE_ERROR, H3_MISSING_SETTINGS,
    H3_SETTINGS_ERROR, H3_STREAM_CREATION_ERROR, HANDSHAKE, HEADERS, MAX_PUSH_ID, PROTOCOL_VIOLATION,
    QPACK_DECODER_STREAM_ERROR, QPACK_DECOMPRESSION_FAILED, QPACK_ENCODER_STREAM_ERROR, SETTINGS,
    STREAM_LIMIT_ERROR, STREAM_STATE_ERROR, TRANSPORT_PARAMETER_ERROR, ZERO_RTT, field_section,
    frame, get, prefixed, stream_frame, varint,
)  # fmt: skip

pytestmark = pytest.mark.sanitizer

UNEXPECTED_MESSAGE, MISSING_EXTENSION, NO_APPLICATION_PROTOCOL = ALERT + 10, ALERT + 109, ALERT + 120
TRANSPORT, HTTP3 = {}, {}


def rule(table, name, *codes):
    def put(function):
        table[name] = (function, codes)
        return function

    return put


# ---- frames in 1-RTT packets: all that a rule needs is their bytes ----

ID = varint(0x18) + varint(1)  # NEW_CONNECTION_ID with sequence number 1

FRAMES = {
    "STREAM beyond the window": (stream_frame(0, 100000000, b"GET /\r\n", True), FLOW_CONTROL_ERROR),
    "stream id beyond the limit": (stream_frame(1000000000, 0, b"GET /\r\n", True), STREAM_LIMIT_ERROR),
    "unknown frame": (varint(0x20), FRAME_ENCODING_ERROR),
    # The general code may stand for any other (RFC 9000 section 11), and ngtcp2 says it here.
    "RESET_STREAM of a send-only stream": (
        varint(4) + varint(3) + varint(0) + varint(0), STREAM_STATE_ERROR, PROTOCOL_VIOLATION,
    ),
    "STOP_SENDING of no stream": (varint(5) + varint(101) + varint(0), STREAM_STATE_ERROR),
    "NEW_TOKEN": (varint(7) + varint(5) + b"DUMMY", PROTOCOL_VIOLATION),
    "STREAM of the server's, not created": (stream_frame(1, 0, b""), STREAM_STATE_ERROR),
    "STREAM of a send-only stream": (stream_frame(3, 0, b""), STREAM_STATE_ERROR),
    "MAX_STREAM_DATA of no stream": (varint(0x11) + varint(101) + varint(1000000), STREAM_STATE_ERROR),
    "MAX_STREAM_DATA of a receive-only stream": (varint(0x11) + varint(2) + varint(1000000), STREAM_STATE_ERROR),
    "MAX_STREAMS over 2^60": (varint(0x12) + varint((1 << 60) + 1), FRAME_ENCODING_ERROR),
    "STREAMS_BLOCKED over 2^60": (varint(0x16) + varint((1 << 60) + 1), FRAME_ENCODING_ERROR, STREAM_LIMIT_ERROR),
    "NEW_CONNECTION_ID retires what comes later": (ID + varint(11) + b"\x08" + bytes(8 + 16), FRAME_ENCODING_ERROR),
    "NEW_CONNECTION_ID without an id": (ID + varint(0) + b"\x00" + bytes(16), FRAME_ENCODING_ERROR),
    "HANDSHAKE_DONE": (varint(0x1E), PROTOCOL_VIOLATION),
    "KeyUpdate of TLS in 1-RTT": (varint(6) + varint(0) + varint(5) + b"\x18\x00\x00\x01\x01", UNEXPECTED_MESSAGE),
}  # fmt: skip


def sends(payload):
    def act(site):
        peer = site.peer()
        peer.confirm()
        peer.inject(payload, size=100)
        return peer

    return act


for name, (payload, *codes) in FRAMES.items():
    rule(TRANSPORT, name, *codes)(sends(payload))


# ---- transport parameters ----

DUMMY = b"DUMMY"
PREFERRED = b"\x7f\0\0\x01\x01\xbb" + bytes(18) + b"\x08" + bytes(8) + bytes(16)
PARAMETERS = {
    "no initial_source_connection_id": lambda have: [pair for pair in have if pair[0] != 0xF],
    "original_destination_connection_id": lambda have: [*have, (0, DUMMY)],
    "preferred_address": lambda have: [*have, (0xD, PREFERRED)],
    "retry_source_connection_id": lambda have: [*have, (0x10, DUMMY)],
    "stateless_reset_token": lambda have: [*have, (2, bytes(16))],
    "max_udp_payload_size under 1200": lambda have: replace(have, 3, varint(1090)),
    "ack_delay_exponent over 20": lambda have: replace(have, 0xA, varint(30)),
    "max_ack_delay of 2^15": lambda have: replace(have, 0xB, varint(1 << 15)),
}


def replace(parameters, key, value):
    return [*(pair for pair in parameters if pair[0] != key), (key, value)]


def tells(change):
    return lambda site: site.peer(connect=False, parameters=change)


for name, change in PARAMETERS.items():
    rule(TRANSPORT, name, TRANSPORT_PARAMETER_ERROR)(tells(change))


# ---- packets ----


@rule(TRANSPORT, "packet without frames", PROTOCOL_VIOLATION)
def _(site):
    peer = site.peer()
    peer.confirm()
    peer.inject(b"", wide=True)
    return peer


@rule(TRANSPORT, "reserved bits in 1-RTT", PROTOCOL_VIOLATION)
def _(site):
    peer = site.peer()
    peer.confirm()
    peer.inject(b"\x01", flags=0x18)
    return peer


def in_handshake(site, payload, **settings):
    """Sends a packet of ours before the first of the client's own at this level."""
    peer = site.peer(connect=False)

    def act(peer):
        if peer.quic._cryptos and peer.quic._cryptos[HANDSHAKE].send.is_valid():
            peer.before_sending = None
            peer.inject(payload, HANDSHAKE, **settings)

    peer.before_sending = act
    return peer


@rule(TRANSPORT, "reserved bits in Handshake", PROTOCOL_VIOLATION)
def _(site):
    return in_handshake(site, b"\x01", flags=0x08)


@rule(TRANSPORT, "PATH_CHALLENGE in Handshake", PROTOCOL_VIOLATION)
def _(site):
    return in_handshake(site, b"\x1a01234567")


# ---- TLS ----


@rule(TRANSPORT, "KeyUpdate of TLS in Handshake", UNEXPECTED_MESSAGE)
def _(site):
    return site.peer(
        connect=False,
        messages=lambda epoch, data: data + b"\x18\x00\x00\x01\x01" if epoch == HANDSHAKE else data,
    )


@rule(TRANSPORT, "EndOfEarlyData", UNEXPECTED_MESSAGE)
def _(site):
    return site.peer(
        connect=False, messages=lambda epoch, data: b"\x05\x00\x00\x00" + data if epoch == HANDSHAKE else data
    )


@rule(TRANSPORT, "no application protocol in common", NO_APPLICATION_PROTOCOL)
def _(site):
    return site.peer(connect=False, alpn=["dummy"])


@rule(TRANSPORT, "no transport parameters", MISSING_EXTENSION)
def _(site):
    return site.peer(connect=False, extensions=lambda have: [])


@rule(TRANSPORT, "transport parameters of the drafts", MISSING_EXTENSION)
def _(site):
    return site.peer(connect=False, extensions=lambda have: [(0xFFA5, data) for _, data in have])


@rule(TRANSPORT, "CRYPTO in 0-RTT", PROTOCOL_VIOLATION)
def _(site):
    with site.peer() as peer:
        peer.ask("/json")
        peer.wait(lambda: peer.tickets and peer.tokens)
    peer = site.peer(connect=False, ticket=peer.tickets[0], token=peer.tokens[-1])
    peer.flush()
    peer.inject(varint(6) + varint(0) + varint(6) + b"\x08\x00\x00\x02\x00\x00", ZERO_RTT)
    return peer


# ---- HTTP/3: on a request stream ----

STATIC = b"\x00\x00\xd1\xd7"  # :method GET, :scheme https
AUTHORITY = b"\x50\x09localhost"


def asks(data, fin=True):
    def act(site):
        peer = site.peer()
        peer.raw(data, fin=fin)
        return peer

    return act


REQUESTS = {
    "DATA before HEADERS": (frame(DATA, b"x"), H3_FRAME_UNEXPECTED),
    "pseudo-header twice": (frame(HEADERS, STATIC + AUTHORITY + b"\xc1\xd1"), H3_MESSAGE_ERROR),
    "mandatory pseudo-header missing": (frame(HEADERS, STATIC + b"\xc1"), H3_MESSAGE_ERROR),
    "unknown pseudo-header": (frame(HEADERS, field_section([*get(), (":foo", "bar")])), H3_MESSAGE_ERROR),
    "pseudo-header after a field": (
        frame(HEADERS, field_section([*get()[:3], ("foo", "bar"), (":path", "/json")])), H3_MESSAGE_ERROR,
    ),
    "CANCEL_PUSH on a request stream": (frame(CANCEL_PUSH, b"\0") + frame(HEADERS, field_section(get())), H3_FRAME_UNEXPECTED),
    "index over the static table": (frame(HEADERS, STATIC + AUTHORITY + b"\xc1\xff\x24"), QPACK_DECOMPRESSION_FAILED),
}  # fmt: skip
for name, (data, *codes) in REQUESTS.items():
    rule(HTTP3, name, *codes)(asks(data))


# ---- HTTP/3: on control and QPACK streams ----


def opens(*streams, fin=False):
    """A client without streams of its own opens these."""

    def act(site):
        peer = site.peer(h3=False)
        for data in streams:
            peer.raw_uni(data, fin)
        return peer

    return act


START = varint(CONTROL) + frame(SETTINGS)
HTTP2_SETTING = varint(2) + varint(200)
STREAMS = {
    "first frame is not SETTINGS": (varint(CONTROL) + frame(MAX_PUSH_ID, b"\x01"), H3_MISSING_SETTINGS),
    "DATA on the control stream": (START + frame(DATA), H3_FRAME_UNEXPECTED),
    "HEADERS on the control stream": (START + frame(HEADERS), H3_FRAME_UNEXPECTED),
    "second SETTINGS": (START + frame(SETTINGS), H3_FRAME_UNEXPECTED),
    "setting of HTTP/2": (varint(CONTROL) + frame(SETTINGS, HTTP2_SETTING), H3_SETTINGS_ERROR),
    "table capacity over the limit": (varint(ENCODER) + prefixed(0x20, 5, 10000000000), QPACK_ENCODER_STREAM_ERROR),
    "increment of 0": (varint(DECODER) + b"\x00", QPACK_DECODER_STREAM_ERROR),
}
for name, (data, *codes) in STREAMS.items():
    rule(HTTP3, name, *codes)(opens(data))
rule(HTTP3, "second control stream", H3_STREAM_CREATION_ERROR)(opens(START, START))
rule(HTTP3, "control stream is closed", H3_CLOSED_CRITICAL_STREAM)(opens(START, fin=True))


# ---- the tests ----


def test_every_rule_is_there():
    assert (len(TRANSPORT), len(HTTP3)) == (34, 16)


@pytest.fixture(scope="module")
def early_site(tmp_path_factory, foreign_certificates):
    from conftest import run_site

    with run_site(tmp_path_factory.mktemp("early"), foreign_certificates, "--early-data") as site:
        yield site


@pytest.mark.parametrize("name", TRANSPORT)
def test_transport(request, name):
    site = request.getfixturevalue("early_site" if "0-RTT" in name else "site")
    act, codes = TRANSPORT[name]
    with act(site) as peer:
        code, is_http3 = peer.wait_closed()
    assert code in codes and not is_http3, hex(code)


@pytest.mark.parametrize("name", HTTP3)
def test_http3(site, name):
    """An error of one request may end the request or the connection (RFC 9114 section 8)."""
    act, codes = HTTP3[name]
    with act(site) as peer:
        stream = peer.streams[0]
        deadline = time.monotonic() + peer.timeout
        while not peer.closed and stream.reset is None and time.monotonic() < deadline:
            peer.turn()
        if peer.closed:
            code, kind, _ = peer.closed
            assert code in codes and kind is None, hex(code)
        else:
            assert codes == (H3_MESSAGE_ERROR,), "this ends the connection"
            assert stream.reset == H3_MESSAGE_ERROR and stream.stopped in (None, H3_MESSAGE_ERROR)
            assert peer.ask("/json").status == 200
