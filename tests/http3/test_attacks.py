"""Attacks on QUIC and HTTP/3. During each, other clients ask over TCP and QUIC all the time and
must get their answers, and memory must be given back."""

import contextlib
import json
import os
import random
import select
import socket
import struct
import time

import pytest
from aioquic.quic.crypto import CryptoPair

from conftest import FOREIGN, run_site
from quic_peer import (
    CONNECTION_ID_LIMIT_ERROR, CONTROL, CRYPTO_BUFFER_EXCEEDED, DATA, ENCODER, FINAL_SIZE_ERROR,
    FRAME_ENCODING_ERROR, H3_EXCESSIVE_LOAD, H3_FRAME_ERROR, H3_FRAME_UNEXPECTED, H3_ID_ERROR,
    H3_MESSAGE_ERROR, H3_REQUEST_INCOMPLETE, H3_STREAM_CREATION_ERROR, HANDSHAKE, HEADERS, INITIAL,
    INVALID_TOKEN, KEY_UPDATE_ERROR, ONE_RTT, PRIORITY_UPDATE, PROTOCOL_VIOLATION,
    QPACK_DECOMPRESSION_FAILED, QPACK_ENCODER_STREAM_ERROR, Reset, SETTINGS,
    TRANSPORT_PARAMETER_ERROR, V1, field_section, frame, get, head, prefixed, stream_frame,
    unacknowledged, varint,
)  # fmt: skip
from showcase import eventually, read_cpu_seconds

pytestmark = pytest.mark.sanitizer

MB = 1 << 20
PACKET = 1150  # bytes of frames that fit into a packet


# ---- what attackers have ----


def udp(source="127.0.0.1"):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.bind((source, 0))
    sock.setblocking(False)
    return sock


def listen(sock, seconds, until=None):
    """The datagrams that come within a time, or until there are enough."""
    out, deadline = [], time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not (until and until(out)):
        if select.select([sock], [], [], left)[0]:
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                out.append(sock.recv(65535))
    return out


def first_flight(site, **settings):
    """The datagrams with which a client begins; none was sent."""
    peer = site.peer(connect=False, **settings)
    datagrams = [data for data, _ in peer.quic.datagrams_to_send(time.monotonic())]
    return peer, datagrams


def hello_of(site):
    """The TLS message of a client and the connection id that it names, for Initial packets made by
    hand."""
    peer, _ = first_flight(site)
    return bytes(peer.quic._crypto_streams[INITIAL].sender._buffer), peer.quic.host_cid


def initial(hello, size=1200, cid=None, token=b"", version=V1, number=0):
    """An Initial packet with keys of its own connection id."""
    cid = cid or os.urandom(8)
    hello, source = hello
    crypto = CryptoPair()
    crypto.setup_initial(cid=cid, is_client=True, version=V1)
    start = b"\xc1" + struct.pack(">I", version) + bytes([len(cid)]) + cid + bytes([len(source)]) + source
    start += varint(len(token)) + token
    payload = varint(6) + varint(0) + varint(len(hello)) + hello
    payload += bytes(max(0, size - len(start) - 4 - len(payload) - 16))
    start += struct.pack(">HH", 0x4000 | 2 + len(payload) + 16, number)
    return crypto.send.encrypt_packet(start, payload, number)


def is_retry(data):
    return data[0] & 0xF0 == 0xF0 and data[1:5] == struct.pack(">I", V1)


def is_version_negotiation(data):
    return data[0] & 0x80 and data[1:5] == bytes(4)


def pieces(items, room=PACKET):
    """Packet payloads that hold the items."""
    payload = b""
    for item in items:
        if len(payload) + len(item) > room:
            yield payload
            payload = b""
        payload += item
    if payload:
        yield payload


def flood(peer, items, turn_every=20):
    """Sends frames until all are sent or the server has closed; the code, or None."""
    for count, payload in enumerate(pieces(items)):
        peer.inject(payload)
        if count % turn_every == 0:
            peer.turn(0)
        if peer.closed:
            break
    return peer.closed[0] if peer.closed else None


def settle(peer, seconds=3):
    """Gives the server time to close; the code, or None where it answers another request."""
    peer.run(0.05)
    if not peer.closed:
        with contextlib.suppress(Reset, ConnectionError, TimeoutError):
            peer.ask("/json")
    return peer.closed[0] if peer.closed else None


def held(site):
    return 0 if FOREIGN else site.count("memory.held")


def grows(site, name, by=1):
    return FOREIGN or eventually(lambda: site.count(name) >= by)


def seen(site, target):
    """Lines of the ledger about a target."""
    path = site.server.folder / "ledger"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in map(json.loads, lines) if line["target"] == target]


@pytest.fixture(scope="module")
def site(tmp_path_factory, foreign_certificates):
    folder = tmp_path_factory.mktemp("attacks")
    with run_site(folder, foreign_certificates, "--ledger", folder / "ledger") as site:
        yield site


# ---- h3-02: amplification ----


def wide_certificate(folder):
    """(certificate, key) files of 400 names: its handshake does not fit into three datagrams."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), *(x509.DNSName(f"host-{n}.wide.example") for n in range(400))]
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(9))
        .add_extension(x509.SubjectAlternativeName(names), False).sign(key, hashes.SHA256())
    )  # fmt: skip
    files = folder / "wide.pem", folder / "wide-key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.fixture(scope="module")
def wide_site(tmp_path_factory, foreign_certificates):
    folder = tmp_path_factory.mktemp("wide")
    certificate, key = wide_certificate(folder)
    with run_site(folder, foreign_certificates, "--certificate", certificate, "--key", key) as site:
        yield site


@pytest.mark.parametrize("which", ["site", "wide_site"])
@pytest.mark.parametrize("first", [1200, 1300, 1452])
def test_amplification(request, which, first):
    """A client that never answers, from an address that may be a victim's."""
    site = request.getfixturevalue(which)
    with udp("127.0.0.77") as victim:
        victim.sendto(initial(hello_of(site), first), site.address)
        got = listen(victim, 20, until=len) + listen(victim, 2)
    assert got and sum(map(len, got)) <= 3 * first


def test_amplification_of_a_client_that_repeats_itself(wide_site):
    hello, cid = hello_of(wide_site), os.urandom(8)
    with udp("127.0.0.77") as victim:
        sent = got = 0
        for number in range(4):
            victim.sendto(initial(hello, 1200, cid, number=number), wide_site.address)
            sent += 1200
            got += sum(map(len, listen(victim, 0.2)))
            assert got <= 3 * sent


# ---- h3-03: floods of Initial packets ----


def test_flood_of_initials(site, alive):
    """From 100 handshakes on that nobody goes on with, a Retry is asked for, and no state is kept."""
    before, hello, retries = held(site), hello_of(site), 0
    sockets = [udp(f"127.0.1.{number + 1}") for number in range(40)]
    deadline = time.monotonic() + 60
    try:
        for number in range(3000):
            sockets[number % 40].sendto(initial(hello), site.address)
        # What a busy server has no room for is lost, as in any network.
        while not FOREIGN and retries <= 1000 and time.monotonic() < deadline:
            for sock in sockets:
                sock.sendto(initial(hello), site.address)
                retries += sum(map(is_retry, listen(sock, 0.02)))
    finally:
        for sock in sockets:
            sock.close()
    if FOREIGN:
        return
    assert retries > 1000
    # A hundred handshakes and the endpoint's slack, not three thousand.
    assert held(site) - before < 100 * 64 * 1024 + MB


def test_small_initials_get_nothing(site, alive):
    hello = hello_of(site)
    with udp() as sock:
        for size in (400, 600, 1199):
            sock.sendto(initial(hello, size), site.address)
        assert not listen(sock, 0.3)


def test_initials_in_one_datagram_with_ids_of_their_own(site, alive):
    """What is behind the first packet has another connection id, and is dropped."""
    hello = hello_of(site)
    with udp() as sock:
        for _ in range(300):
            junk = b"".join(initial((b"\x01", b"attacker"), 60) for _ in range(10))
            sock.sendto(initial(hello, 1200) + junk, site.address)
        listen(sock, 0.2)


# ---- h3-04: tokens ----


@pytest.fixture
def token(site):
    with site.peer() as peer:
        peer.ask("/json")
        return peer.wait(lambda: peer.tokens)[0]


@pytest.fixture(scope="module")
def retry_site(tmp_path_factory, foreign_certificates):
    folder = tmp_path_factory.mktemp("retry")
    with run_site(
        folder, foreign_certificates, "--limit", "http3_retry_from=1", foreign=["--validate-addr"]
    ) as site:  # fmt: skip
        yield site


def change_token(name, token):
    return {
        "as it is": token,
        "wrong": os.urandom(len(token)),
        "one bit": token[:-3] + bytes([token[-3] ^ 1]) + token[-2:],
        "first byte": bytes([token[0] ^ 0xFF]) + token[1:],
        "truncated": token[: len(token) // 2],
        "one byte": token[:1],
        "longer": token + b"x",
        "huge": token + bytes(900),
    }[name]


TOKENS = ["as it is", "wrong", "one bit", "first byte", "truncated", "one byte", "longer", "huge"]


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_of_before(site, token, name):
    """Whatever is no token of ours is as if there were none, or INVALID_TOKEN."""
    with contextlib.suppress(Reset), site.peer(token=change_token(name, token)) as peer:
        assert peer.ask("/json").status == 200
        return
    assert name != "as it is"


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_of_a_retry(retry_site, name):
    peer = retry_site.peer(connect=False)
    receive = peer.quic._receive_retry_packet

    def change(**packet):
        receive(**packet)
        peer.quic._peer_token = change_token(name, peer.quic._peer_token)

    peer.quic._receive_retry_packet = change
    with peer:
        try:
            peer.wait(lambda: peer.handshake, None if name == "as it is" else 5)
            assert peer.ask("/json").status == 200
        except Reset as reset:
            assert reset.code == INVALID_TOKEN and name != "as it is"
        except (TimeoutError, ConnectionError):  # the client missed the id of the Retry it followed
            assert name != "as it is"
    with retry_site.peer() as peer:
        assert peer.ask("/json").status == 200


def test_token_of_another_address(retry_site):
    """The token of a Retry counts for the address that asked for it."""
    with retry_site.peer(connect=False) as peer:
        peer.wait(lambda: peer.quic._retry_count)
        stolen = peer.quic._peer_token
    hello = hello_of(retry_site)
    with udp("127.0.0.78") as sock:
        sock.sendto(initial(hello, token=stolen), retry_site.address)
        got = listen(sock, 0.5)
    # Another Retry, a CONNECTION_CLOSE or nothing; no handshake.
    assert sum(map(len, got)) < 600


def test_token_again_and_again(retry_site):
    """It saves the Retry once in each of two workers (RFC 9000 section 8.1.4)."""
    with retry_site.peer() as peer:
        peer.ask("/json")
        token = peer.wait(lambda: peer.tokens)[0]
    before = None if FOREIGN else retry_site.server.metrics()
    for _ in range(20):
        with retry_site.peer(token=token) as peer:
            assert peer.ask("/json").status == 200
    if not FOREIGN:
        for name in ("quic.tokens_spent", "quic.retries"):
            assert grows(retry_site, name, before[name] + 18)


# ---- h3-05: connection ids ----


def new_connection_id(sequence, retire=0, cid=None):
    cid = os.urandom(8) if cid is None else cid
    return varint(0x18) + varint(sequence) + varint(retire) + bytes([len(cid)]) + cid + os.urandom(16)


def confirmed(site, **settings):
    peer = site.peer(**settings)
    peer.confirm()
    return peer


def test_new_connection_ids_that_retire_all_before(site, alive):
    """The answers, RETIRE_CONNECTION_ID, are never acknowledged: their queue is bounded."""
    with unacknowledged(confirmed(site)) as peer:
        code = flood(peer, (new_connection_id(n, n) for n in range(10, 20000)), turn_every=5)
        assert code or settle(peer) in (CONNECTION_ID_LIMIT_ERROR, PROTOCOL_VIOLATION)


def test_more_connection_ids_than_allowed(site):
    with confirmed(site) as peer:
        flood(peer, (new_connection_id(n) for n in range(10, 60)))
        assert peer.wait_closed() == (CONNECTION_ID_LIMIT_ERROR, False)


def test_connection_id_with_two_meanings(site):
    with confirmed(site) as peer:
        peer.inject(new_connection_id(9, cid=b"12345678") + new_connection_id(9, cid=b"87654321"))
        # Its sequence number may be beyond the limit too.
        assert peer.wait_closed()[0] in (PROTOCOL_VIOLATION, CONNECTION_ID_LIMIT_ERROR)


def test_retiring_what_was_never_given(site):
    with confirmed(site) as peer:
        peer.inject(varint(0x19) + varint(1000))
        assert peer.wait_closed() == (PROTOCOL_VIOLATION, False)


def test_retiring_the_id_in_use(site, alive):
    """With a PATH_CHALLENGE behind it in the same packet."""
    with confirmed(site) as peer:
        peer.inject(varint(0x19) + varint(0) + b"\x1a01234567")
        assert settle(peer) in (None, PROTOCOL_VIOLATION)


def test_retiring_each_id_as_it_comes(site, alive):
    """A hundred are given at once, ten more each second."""
    if FOREIGN:
        pytest.skip("the foreign server has no such budget")
    taken = 0
    with confirmed(site) as peer, pytest.raises(Reset) as reset:
        for taken in range(1000):
            peer.wait(lambda: peer.quic._peer_cid_available)
            peer.quic.change_connection_id()
            peer.flush()
    assert reset.value.code == H3_EXCESSIVE_LOAD
    assert taken > 90


# ---- h3-06: paths ----


def test_flood_of_path_challenges(site, alive):
    before = held(site)
    with unacknowledged(confirmed(site)) as peer:
        flood(peer, (b"\x1a" + os.urandom(8) for _ in range(100000)), turn_every=10)
        assert held(site) - before < MB
        # Answers are bounded too: no more than came in.
        assert peer.received < peer.sent


def test_migration_back_and_forth(site, alive):
    with confirmed(site) as peer:
        for number in range(100):
            peer.rebind(f"127.0.0.{1 + number % 2}")
            peer.request("/json")
            peer.turn(0.01)
        assert peer.ask("/json").status == 200


def test_migration_to_a_victim(site, alive):
    """One packet from another address turns no download to it before that address has answered."""
    with confirmed(site, keep=False, window=8 * MB) as peer, udp("127.0.0.80") as victim:
        peer.request(site.path(5000000))
        peer.run(0.05)
        packet = peer.seal(b"\x01", size=60)
        victim.sendto(packet, site.address)
        got = listen(victim, 1)
        assert sum(map(len, got)) <= 3 * len(packet)
        if not peer.closed:
            assert peer.ask("/json").status == 200


def test_address_that_was_not_validated_is_told_to_nobody(site):
    """A request that comes from a new address is one of the address that was validated."""
    if FOREIGN:
        pytest.skip("the foreign server tells no addresses")
    with confirmed(site) as peer, udp("127.0.0.81") as elsewhere:
        stream = peer.quic.get_next_available_stream_id()
        request = frame(HEADERS, field_section(get("/inspect")))
        elsewhere.sendto(peer.seal(stream_frame(stream, 0, request, True)), site.address)
        peer.quic._get_or_create_stream_for_send(stream)
        # The path falls back to the old address, by which the answer comes.
        peer.quic.send_ping(1)
        answer = peer.answer(stream)
        assert answer.json["peer"]["address"] == "127.0.0.1"


# ---- h3-07: acknowledgements ----


def ack(largest, first=0, ranges=()):
    out = varint(2) + varint(largest) + varint(0) + varint(len(ranges)) + varint(first)
    return out + b"".join(varint(gap) + varint(size) for gap, size in ranges)


@pytest.mark.parametrize("largest", [1 << 20, 1 << 40, (1 << 62) - 1])
def test_acknowledging_what_was_never_sent(site, largest):
    with confirmed(site) as peer:
        peer.inject(ack(largest))
        assert peer.wait_closed() == (PROTOCOL_VIOLATION, False)


def test_acknowledgement_below_zero(site):
    with confirmed(site) as peer:
        peer.inject(ack(5, 10))
        assert peer.wait_closed() == (FRAME_ENCODING_ERROR, False)


def test_flood_of_ranges(site, alive):
    before = held(site)
    with confirmed(site) as peer:
        peer.ask("/json")
        largest = peer.quic._spaces[ONE_RTT].largest_received_packet
        for _ in range(1000):
            peer.inject(ack(largest, 0, [(0, 0)] * min(500, largest // 2)))
            if peer.closed:
                break
        settle(peer)
        assert held(site) - before < 2 * MB


def test_flood_of_packets_with_gaps(site, alive):
    """Each is a range of its own for the server to acknowledge, which hears of no acknowledgement."""
    before = held(site)
    with unacknowledged(confirmed(site)) as peer:
        number = peer.quic._packet_number
        for count in range(20000):
            peer.inject(b"\x01", number=number + 2 * count)
            if count % 100 == 0:
                peer.turn(0)
        peer.quic._packet_number = number + 40001
        assert held(site) - before < 2 * MB
        settle(peer)


# ---- h3-08: fragments ----


def test_fragments_with_gaps(site, alive):
    before = held(site)
    with confirmed(site) as peer:
        flood(peer, (stream_frame(0, offset, b"x") for offset in range(1, 130000, 2)))
        peer.run(0.1)
        # One window of fragments, and what each costs.
        assert held(site) - before < 8 * MB


def test_fragments_one_byte_at_a_time(site, alive):
    with confirmed(site) as peer:
        peer.quic._get_or_create_stream_for_send(0)
        data = head("/json")
        order = list(range(len(data)))
        random.Random(1).shuffle(order)
        for offset in order:
            peer.inject(stream_frame(0, offset, data[offset : offset + 1]))
        peer.inject(stream_frame(0, len(data), b"", True))
        assert peer.answer(0).status == 200


def test_fragments_that_contradict(site, alive):
    """Overlapping bytes that differ: the first or the last count, or the connection ends."""
    with confirmed(site) as peer:
        data = head("/json")
        peer.quic._get_or_create_stream_for_send(0)
        for payload in (data[:10], b"y" * 10, data, b"z" * len(data)):
            peer.inject(stream_frame(0, 0, payload))
        peer.inject(stream_frame(0, len(data), b"", True))
        with contextlib.suppress(Reset):
            assert peer.answer(0).status == 200


@pytest.mark.parametrize("offset", [1 << 17, 1 << 20, (1 << 62) - 100])
def test_crypto_far_ahead(site, offset):
    with confirmed(site) as peer:
        peer.inject(varint(6) + varint(offset) + varint(10) + b"0123456789")
        assert peer.wait_closed()[0] in (CRYPTO_BUFFER_EXCEEDED, FRAME_ENCODING_ERROR)


RESET_AT = varint(4) + varint(0) + varint(0)  # and the final size


@pytest.mark.parametrize("frames", [
    stream_frame(0, 5, b"", True),
    RESET_AT + varint(10) + stream_frame(0, 20, b"x"),
    RESET_AT + varint(5),
    RESET_AT + varint(10) + RESET_AT + varint(11),
], ids=["smaller", "beyond", "reset to less", "reset to another"])  # fmt: skip
def test_final_size_that_changes(site, frames):
    with confirmed(site) as peer:
        peer.inject(stream_frame(0, 0, head("/json")[:10]) + frames)
        assert peer.wait_closed() == (FINAL_SIZE_ERROR, False)


# ---- h3-09: churn ----


def test_rapid_reset(site, alive):
    before = 0 if FOREIGN else len(seen(site, "/hang"))
    with confirmed(site) as peer:
        request = head("/hang")

        def cycle(number):
            stream = varint(4 * number)
            reset = varint(4) + stream + varint(0x10C) + varint(len(request))
            return stream_frame(4 * number, 0, request) + reset + varint(5) + stream + varint(0x10C)

        number, moved = 0, time.monotonic()
        while not peer.closed and number < 20000 and time.monotonic() - moved < 2:
            allowed = peer.quic._remote_max_streams_bidi
            if number < allowed:
                moved = time.monotonic()
                flood(peer, map(cycle, range(number, min(allowed, number + 200))))
                number = min(allowed, number + 200)
            peer.turn(0.01)
        if FOREIGN:
            return
        # The connection ends, or no further stream is allowed.
        assert peer.closed[0] == H3_EXCESSIVE_LOAD if peer.closed else number < 1200
    assert len(seen(site, "/hang")) - before <= 1200


def test_every_stream_at_once(site, alive):
    """The highest allowed stream opens all below it."""
    before = held(site)
    with confirmed(site) as peer:
        last = 4 * (peer.quic._remote_max_streams_bidi - 1)
        peer.inject(stream_frame(last, 0, head("/json"), True))
        peer.run(0.1)
        assert held(site) - before < MB and not peer.closed


def test_streams_of_unknown_types(site, alive):
    with confirmed(site) as peer:
        number = 3  # three are open
        deadline = time.monotonic() + 10
        while not peer.closed and number < 20000 and time.monotonic() < deadline:
            allowed = peer.quic._remote_max_streams_uni
            frames = []
            while number < min(allowed, 20000):
                frames.append(stream_frame(4 * number + 2, 0, varint(0x21 + 0x1F * number), True))
                number += 1
            flood(peer, frames)
            peer.turn(0.02)
        if peer.closed:
            assert peer.closed[0] in (H3_EXCESSIVE_LOAD, H3_STREAM_CREATION_ERROR)


FLOODS = {
    "unknown frames": (lambda n: frame(0x21 + 0x1F * (n % 100), b"x"), None),
    "empty unknown frames": (lambda n: frame(0x21), None),
    "priority updates": (lambda n: frame(PRIORITY_UPDATE, varint(0) + b"u=1"), None),
    "max push ids": (lambda n: frame(0xD, varint(n + 8)), None),
    "goaways": (lambda n: frame(7, varint(1000000 - n)), None),
    "cancelled pushes": (lambda n: frame(3, varint(n % 8)), (H3_ID_ERROR,)),
}


@pytest.mark.parametrize("name", FLOODS)
def test_flood_of_the_control_stream(site, alive, name):
    """Draws on the budget of what is odd but legal."""
    make, codes = FLOODS[name]
    with site.peer() as peer:
        control = 2
        for number in range(0, 100000, 500):
            with contextlib.suppress(Exception):
                peer.raw(b"".join(make(n) for n in range(number, number + 500)), control)
            peer.turn(0)
            if peer.over:
                break
        code = settle(peer)
        assert FOREIGN or code in (codes or (H3_EXCESSIVE_LOAD,)), code


@pytest.mark.parametrize("size", [0, 1])
def test_flood_of_small_data(site, alive, size):
    if FOREIGN:
        pytest.skip("the foreign server has no such budget")
    with site.peer() as peer:
        stream = peer.raw(head("/digest", method="POST"))
        for _ in range(200):
            peer.raw(frame(DATA, b"x" * size) * 1000, stream)
            peer.turn(0)
            if peer.over:
                break
        with pytest.raises(Reset) as reset:
            peer.answer(stream)
        assert reset.value.code == H3_EXCESSIVE_LOAD


def test_streams_that_stall_are_cut(start_site):
    """No window for answers: what they pin is bounded, and given back."""
    if FOREIGN:
        pytest.skip("the foreign server has no such limit")
    site = start_site("--limit", "rate_grace=300", "--limit", "stall_timeout=1000")
    before = held(site)
    with site.peer(window=1000, idle=60) as peer:
        peer.quic._write_stream_limits = peer.quic._write_connection_limits = lambda *_, **__: None
        for _ in range(50):
            peer.request("/bytes/10000000")
        peer.run(0.3)
        assert held(site) - before < 100 * 600 * 1024
        assert eventually(lambda: peer.turn(0.05) or held(site) - before < 4 * MB)


# ---- h3-10: messages that end in a strange way ----

POST = dict(method="POST")
ENDINGS = {
    "nothing of a declared length": (head("/digest", ("content-length", "10"), **POST), H3_MESSAGE_ERROR),
    "less than declared": (head("/digest", ("content-length", "10"), **POST) + frame(DATA, b"12345"), H3_MESSAGE_ERROR),
    "more than declared": (head("/digest", ("content-length", "3"), **POST) + frame(DATA, b"12345"), H3_MESSAGE_ERROR),
    "in a DATA frame": (head("/digest", **POST) + varint(DATA) + varint(10) + b"12345", H3_FRAME_ERROR),
    "in a HEADERS frame": (head("/digest", **POST)[:-5], H3_FRAME_ERROR),
    "in the type of a frame": (head("/digest", **POST) + b"\x40", H3_FRAME_ERROR),
    "DATA of 2^62 bytes": (head("/digest", **POST) + varint(DATA) + varint((1 << 62) - 1) + b"x", H3_FRAME_ERROR),
    "nothing at all": (b"", H3_REQUEST_INCOMPLETE),
    "an unknown frame only": (frame(0x21, b"x"), H3_REQUEST_INCOMPLETE),
    "DATA after trailers": (
        head("/digest", **POST) + frame(HEADERS, field_section([("x-t", "1")])) + frame(DATA, b"x"), H3_FRAME_UNEXPECTED,
    ),
    "pseudo-header in trailers": (
        head("/digest", **POST) + frame(HEADERS, field_section([(":path", "/")])), H3_MESSAGE_ERROR,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_strange_end(site, alive, name):
    data, code = ENDINGS[name]
    before = 0 if FOREIGN else len([end for end in seen(site, "/digest") if end.get("end") == "complete"])
    with site.peer() as peer:
        stream = peer.raw(data, fin=True)
        with pytest.raises(Reset) as reset:
            peer.answer(stream)
        assert reset.value.code == code
        # The errors of a message end that message only.
        if code == H3_MESSAGE_ERROR:
            assert not peer.closed and peer.ask("/json").status == 200
    if not FOREIGN:
        assert before == len([end for end in seen(site, "/digest") if end.get("end") == "complete"])


# ---- h3-11: QPACK ----

STATIC = b"\xd1\xd7\x50\x09localhost\xc1"  # GET https localhost /
LINES = {  # prefix, and what follows correct lines
    "required insert count": (b"\x82\x00", b""),
    "dynamic index": (b"\x00\x00", b"\x80"),
    "post-base index": (b"\x00\x00", b"\x10"),
    "name of the dynamic table": (b"\x00\x00", b"\x40\x01x"),
    "integer without an end": (b"\x00\x00", b"\xff" + b"\xff" * 20),
    "integer cut short": (b"\x00\x00", b"\xff\x80"),
    "string longer than the section": (b"\x00\x00", b"\x23abc\x7f\x40x"),
    "Huffman padding of eight bits": (b"\x00\x00", b"\x23abc\x81\xff"),
    "half a prefix": (b"\x00", b""),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("where", ["head", "trailers"])
def test_field_section(site, alive, name, where):
    prefix, bad = LINES[name]
    whole = len(prefix) == 2
    if where == "head":
        data = frame(HEADERS, prefix + STATIC * whole + bad)
    else:
        data = head("/digest", **POST) + frame(HEADERS, prefix + b"\x23abc\x01x" * whole + bad)
    with site.peer() as peer:
        stream = peer.raw(data, fin=True)
        with pytest.raises(Reset) as reset:
            peer.answer(stream)
        assert reset.value.code == QPACK_DECOMPRESSION_FAILED


@pytest.mark.parametrize("instruction", [
    prefixed(0x20, 5, 4097), prefixed(0x40, 5, 3) + b"abc" + prefixed(0, 7, 3) + b"def", b"\xc1\x01x", b"\x00",
    prefixed(0x40, 5, 3) + b"abc" + prefixed(0, 7, 1 << 40),
], ids=["capacity", "insert", "insert with name", "duplicate", "huge"])  # fmt: skip
def test_encoder_stream(site, alive, instruction):
    """There is no table before its capacity is set: nothing can be put in (RFC 9204 section 3.2.3)."""
    if FOREIGN:
        pytest.skip("the foreign server has codes of its own")
    with site.peer(h3=False) as peer:
        peer.raw_uni(varint(CONTROL) + frame(SETTINGS))
        peer.raw_uni(varint(ENCODER) + instruction)
        assert peer.wait_closed()[0] == QPACK_ENCODER_STREAM_ERROR


@pytest.mark.parametrize("count, status", [(100, 200), (101, 431)])
def test_count_of_fields(site, count, status):
    if FOREIGN:
        pytest.skip("the foreign server has no such limit")
    with site.peer() as peer:
        assert peer.ask("/json", *[("x-field", str(number)) for number in range(count)]).status == status
        assert peer.ask("/json").status == 200


@pytest.mark.parametrize("count", [900, 1100, 16000])
def test_bomb_of_references(site, alive, count):
    """A byte for each field, on many streams."""
    if FOREIGN:
        pytest.skip("the foreign server has no such limit")
    before = held(site)
    with site.peer() as peer:
        section = frame(HEADERS, b"\x00\x00" + STATIC + b"\xdd" * count)
        streams = [peer.raw(section, fin=True) for _ in range(20)]
        statuses = set()
        with contextlib.suppress(Reset):
            for stream in streams:
                statuses.add(peer.answer(stream).status)
        assert statuses <= {431}
        if count > 1000:
            assert peer.closed[0] == H3_EXCESSIVE_LOAD
        assert held(site) - before < 4 * MB


def test_long_huffman_strings(site, alive):
    """30 letters in 19 bytes: what comes out counts."""
    if FOREIGN:
        pytest.skip("the foreign server has no such limit")
    value = b"\x1c\x64" * 9000
    section = b"\x00\x00" + STATIC + b"\x23abc" + prefixed(0x80, 7, len(value)) + value
    with site.peer() as peer:
        with contextlib.suppress(Reset):
            assert peer.answer(peer.raw(frame(HEADERS, section), fin=True)).status == 431
        assert not peer.closed or peer.closed[0] in (QPACK_DECOMPRESSION_FAILED, H3_EXCESSIVE_LOAD)


# ---- h3-12: 0-RTT ----


@pytest.fixture(scope="module")
def early_site(tmp_path_factory, foreign_certificates):
    folder = tmp_path_factory.mktemp("early")
    with run_site(folder, foreign_certificates, "--early-data", "--ledger", folder / "ledger") as site:
        yield site


def collect(site):
    """(ticket, token) of a first connection."""
    with site.peer() as peer:
        peer.ask("/json")
        peer.wait(lambda: peer.tickets and peer.tokens)
        return peer.tickets[-1], peer.tokens[-1]


def test_early_data_is_off(site):
    if FOREIGN:
        pytest.skip("the foreign server has it on")
    ticket, token = collect(site)
    assert not ticket.max_early_data_size
    with site.peer(ticket=ticket, token=token) as peer:
        assert peer.handshake.session_resumed and not peer.handshake.early_data_accepted


@pytest.mark.parametrize("method, statuses", [("GET", {200}), ("POST", {200, 425})])
def test_early_requests(early_site, method, statuses):
    ticket, token = collect(early_site)
    with early_site.peer(ticket=ticket, token=token, connect=False) as peer:
        stream = peer.request("/json" if FOREIGN else "/inspect", method=method, data=b"x" if method == "POST" else None)
        answer = peer.answer(stream)
        assert answer.status in statuses and peer.handshake.early_data_accepted
        if method == "GET" and not FOREIGN:
            assert ["early-data", "1"] in answer.json["headers"]
        later = peer.ask("/inspect" if not FOREIGN else "/json", method=method)
        assert later.status == 200 and (FOREIGN or "early-data" not in dict(later.json["headers"]))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_early_requests_replayed(early_site, method):
    """The first flight, again from other ports: what is not safe is done at most once."""
    if FOREIGN:
        pytest.skip("the foreign server keeps no ledger")
    ticket, token = collect(early_site)
    before = len(seen(early_site, "/echo"))
    peer = early_site.peer(ticket=ticket, token=token, connect=False)
    flight = []
    peer.send_datagram = flight.append
    peer.request("/echo", method=method, data=b"words")
    peer.flush()
    assert flight
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            sock = stack.enter_context(udp())
            for data in flight:
                sock.sendto(data, early_site.address)
        listen(sock, 0.5)
    if method == "POST":
        assert len(seen(early_site, "/echo")) - before <= 1
    with early_site.peer() as other:
        assert other.ask("/json").status == 200


# ---- h3-13: keys ----


def test_storm_of_key_updates(site, alive):
    """Each before the one of before was acknowledged (RFC 9001 section 6.2)."""
    with unacknowledged(confirmed(site)) as peer:
        crypto = peer.quic._cryptos[ONE_RTT]
        for _ in range(200):
            crypto.update_key()
            peer.inject(b"\x01")
            peer.turn(0.001)
            if peer.closed:
                assert peer.closed[0] == KEY_UPDATE_ERROR
                break


def test_wrong_phase_is_dropped(site, alive):
    with confirmed(site) as peer:
        for _ in range(1000):
            peer.inject(b"\x01" * 50, phase=1)
        assert peer.ask("/json").status == 200


def test_corrupted_packets_are_dropped(site, alive):
    luck = random.Random(3)
    with confirmed(site) as peer:
        for _ in range(2000):
            packet = bytearray(peer.seal(b"\x01" * 20))
            packet[luck.randrange(len(packet))] ^= 1 << luck.randrange(8)
            peer.send_datagram(bytes(packet))
        assert peer.ask("/json").status == 200


# ---- h3-14: versions and resets ----


def test_unknown_versions(site, alive):
    with udp() as sock:
        for size in (1199, 1200, 1452):
            data = initial((b"hello", b"attacker"), size, version=0x5A6A7A8A)
            sock.sendto(data, site.address)
            got = listen(sock, 20 if size >= 1200 else 0.3, until=len)
            assert len(got) == (size >= 1200)
            if got:
                assert is_version_negotiation(got[0]) and len(got[0]) < 200
                assert struct.pack(">I", V1) in got[0]


def test_version_negotiation_is_not_answered(site, alive):
    with udp() as sock:
        for _ in range(100):
            sock.sendto((b"\xc0" + bytes(4) + b"\x08" + os.urandom(8) + b"\x08" + os.urandom(8) + struct.pack(">I", V1)).ljust(1200, b"\0"), site.address)  # fmt: skip
        assert not listen(sock, 0.3)


def test_storm_of_unknown_versions(site, alive):
    with udp() as sock:
        sent = 0
        for _ in range(5000):
            sent += sock.sendto(b"\xc0\x1a\x2a\x3a\x4a\x08" + os.urandom(8) + b"\x00" + bytes(1185), site.address)  # fmt: skip
        assert sum(map(len, listen(sock, 0.3))) < sent / 3


def short_header(size):
    return bytes([0x40 | os.urandom(1)[0] & 0x3F]) + os.urandom(size - 1)


def test_stateless_resets(site, alive):
    """Smaller than what asked for it, none for what is small already; never two that answer each other."""
    with udp() as sock:
        for size in (21, 30, 43, 100, 1200, 1452):
            sock.sendto(short_header(size), site.address)
            for reset in listen(sock, 0.15, until=len):
                assert len(reset) < size and not reset[0] & 0x80


def test_storm_of_stateless_resets(site, alive):
    with udp() as sock:
        for _ in range(10000):
            sock.sendto(short_header(60), site.address)
        assert FOREIGN or len(listen(sock, 0.5)) < 5000


# ---- h3-16: datagrams ----


def recorded(site):
    """Datagrams of a client that asked for something, each sent once already."""
    out = []
    with site.peer(connect=False) as peer:
        send = peer.send_datagram
        peer.send_datagram = lambda data: (out.append(data), send(data))
        peer.wait(lambda: peer.handshake)
        peer.ask("/json")
    return out


def fuzzed(site, name):
    luck = random.Random(name)
    if name == "random":
        return [luck.randbytes(luck.randrange(1, 1500)) for _ in range(3000)]
    if name == "large":
        return [luck.randbytes(65507), bytes(65507), b"\xc0\0\0\0\x01" + bytes(65000), b"\x40" + bytes(60000)] * 50
    sample = recorded(site)
    if name == "truncated":
        return [data[:size] for data in sample[:3] for size in range(0, len(data), 3)]
    out = []
    for _ in range(3000):
        data = bytearray(luck.choice(sample))
        for _ in range(luck.randrange(1, 4)):
            data[luck.randrange(min(len(data), 60))] ^= 1 << luck.randrange(8)
        out.append(bytes(data))
    return out


@pytest.mark.parametrize("name", ["random", "bits", "truncated", "large"])
def test_fuzzed_datagrams(site, name):
    """Dropped, cheaply, with no answer that is larger than what came."""
    datagrams = fuzzed(site, name)
    before = 0 if FOREIGN else read_cpu_seconds(site.server.pid)
    with udp() as sock:
        largest = 0
        for data in datagrams:
            sock.sendto(data, site.address)
            largest = max(largest, len(data))
        got = listen(sock, 0.3)
        assert all(len(data) <= largest for data in got)
        # Handshakes that began anew are answered, to three times what came.
        assert sum(map(len, got)) <= 3 * sum(map(len, datagrams))
    if not FOREIGN:
        assert (read_cpu_seconds(site.server.pid) - before) / len(datagrams) < 0.0005
        assert site.server.get("/json")[0] == 200
    with site.peer() as peer:
        assert peer.ask("/json").status == 200


# ---- h3-17: transport parameters ----

HUGE = varint((1 << 62) - 1)


def replaced(key, value):
    return lambda have: [*(pair for pair in have if pair[0] != key), (key, value)]


PARAMETERS = {
    "huge idle timeout": (replaced(1, HUGE), None),
    "huge windows": (replaced(4, HUGE), None),
    "no windows": (lambda have: [pair for pair in have if pair[0] not in (4, 5, 6, 7, 8, 9)], None),
    "no streams of ours": (replaced(9, varint(0)), None),
    "unknown ones": (lambda have: [*have, *((31 * n + 27, os.urandom(8)) for n in range(50))], None),
    "twice": (lambda have: [*have, (4, varint(1 << 20))], None),  # which may pass (RFC 9000 section 7.4)
    "streams over 2^60": (replaced(8, varint((1 << 60) + 1)), TRANSPORT_PARAMETER_ERROR),
    "huge ack delay": (replaced(0xB, HUGE), TRANSPORT_PARAMETER_ERROR),
    "one connection id": (replaced(0xE, varint(1)), TRANSPORT_PARAMETER_ERROR),
    "varint cut short": (replaced(4, b"\xc0"), TRANSPORT_PARAMETER_ERROR),
    "value too long": (replaced(4, varint(1000) + b"x"), TRANSPORT_PARAMETER_ERROR),
    "wrong source id": (replaced(0xF, b"not mine"), TRANSPORT_PARAMETER_ERROR),
    "long source id": (replaced(0xF, bytes(21)), TRANSPORT_PARAMETER_ERROR),
    "flag with a value": (replaced(0xC, b"x"), TRANSPORT_PARAMETER_ERROR),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_transport_parameters(site, name):
    change, code = PARAMETERS[name]
    with site.peer(connect=False, parameters=change, h3=code is None) as peer:
        if code:
            assert peer.wait_closed() == (code, False)
            return
        if name in ("no windows", "no streams of ours"):
            # HTTP/3 cannot work without; it is the client's loss (RFC 9114 section 6.2).
            peer.run(0.3)
            return
        peer.wait(lambda: peer.handshake)
        assert peer.ask("/json").status == 200


@pytest.mark.parametrize("seed", range(20))
def test_transport_parameters_of_chance(site, seed):
    luck = random.Random(seed)

    def change(have):
        have = list(have)
        for _ in range(3):
            number = luck.randrange(len(have))
            have[number] = (have[number][0], luck.randbytes(luck.randrange(0, 20)))
        return have

    with site.peer(connect=False, parameters=change, h3=False) as peer:
        with contextlib.suppress(TimeoutError, Reset, ConnectionError):
            peer.wait(lambda: peer.handshake or peer.closed, 1)
        assert peer.handshake or not peer.closed or peer.closed[0] == TRANSPORT_PARAMETER_ERROR
    with site.peer() as peer:
        assert peer.ask("/json").status == 200
