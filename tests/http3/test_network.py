"""HTTP/3 over networks that lose, delay, cut and rename: requests go on, or fail where one sees it."""

import hashlib
import select
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import FOREIGN
from http3_clients import cycle, quic_go
from quic_peer import Peer, Reset
from relay import Relay
from showcase import eventually
from test_attacks import confirmed, udp
from test_scenarios import Run

BAD = {
    "loss 1 %": dict(loss=0.01),
    "loss 5 %": dict(loss=0.05),
    "loss 20 %": dict(loss=0.2),
    "delay": dict(delay=50, jitter=50),
    "reordering": dict(delay=2, reorder=0.1),
    "duplicates": dict(duplicate=0.05),
    "corruption": dict(corrupt=0.01),
    "all of it": dict(loss=0.02, delay=5, jitter=5, reorder=0.05, duplicate=0.05, corrupt=0.01),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_weather(site, name):
    """Downloads and uploads, byte by byte."""
    run = Run(site, "quic-go")
    with run.through(seed=7, both=BAD[name]) as relay:
        run.fetch(200000, 100000, 300000, parallel=3, timeout=60)
        if FOREIGN:
            return
        result = quic_go(relay.address, site.authority, ["/digest"], upload=300000, timeout=60)
    assert f'"sha256":"{hashlib.sha256(cycle(300000)).hexdigest()}"' in result.log
    assert '"length":300000' in result.log


@pytest.mark.parametrize("way", ["both", "up", "down"])
def test_partition_that_heals(site, way):
    run = Run(site, "quic-go")
    weather = {"block_at": 100, "block_for": 1500}
    ways = {"up": {**weather, "block_at": 30}, "down": weather}
    with run.through(both={"delay": 2}, **(ways if way == "both" else {way: ways[way]})) as relay:
        started = time.monotonic()
        run.fetch(2000000)
        assert time.monotonic() - started > 1
        counts = relay.counts()
        assert counts["up"]["blocked"] + counts["down"]["blocked"] > 0


def test_partition_that_does_not_heal(start_site):
    """No connection outlives the idle timeout, whatever it was doing."""
    if FOREIGN:
        pytest.skip("the foreign server has no numbers")
    site = start_site("--limit", "http3_idle_timeout=3000")
    with Relay(site.address) as relay:
        peers = [site.peer(relay.address) for _ in range(3)]
        peers[0].ask("/json")
        peers[1].request("/bytes/50000000")
        peers[1].run(0.05)
        peers[2].request("/hang")
        peers[2].run(0.05)
        site.assert_counts({"quic.connections": 3})
        relay.tell(both={"blocked": True})
        # The connection with /hang waits for its application, but its client does not answer.
        assert eventually(lambda: site.count("quic.connections") == 0, every=0.1)
        assert eventually(lambda: site.count("exchanges.open") == 0, every=0.1)
        for peer in peers:
            peer.socket.close()


@pytest.mark.parametrize("size", [1200, 1252, 1280, 1350, 1452])
def test_black_hole_for_large_datagrams(site, size):
    """Nothing says so: probes of the path's MTU get lost, and the transfer goes on below."""
    run = Run(site, "ngtcp2")
    with run.through(both={"delay": 2, "mtu": size}) as relay:
        run.fetch(500000)
        counts = relay.counts()
        assert counts["down"]["largest"] >= 1200
        if size < 1350:
            assert counts["down"]["too_big"] > 0, "the server never tried more"


def test_black_hole_in_mid_transfer(site):
    """The path's MTU shrinks, and nothing says so (RFC 8899 section 4.3)."""
    if FOREIGN:
        pytest.skip("ngtcp2's server goes on with what vanishes")
    run = Run(site, "ngtcp2")
    with run.through(both={"delay": 2, "rate": 20e6}) as relay, ThreadPoolExecutor() as pool:
        transfer = pool.submit(run.fetch, 3000000)
        assert eventually(lambda: relay.counts()["down"]["bytes"] > 500000)
        assert relay.counts()["down"]["largest"] > 1400
        relay.tell(down={"mtu": 1300})
        transfer.result()
        assert relay.counts()["down"]["too_big"] > 0


def test_hundred_new_ports_in_one_upload(site):
    if FOREIGN:
        pytest.skip("the foreign server takes no upload")
    link = {"delay": 1, "rate": 10e6, "queue": 100000}
    with Relay(site.address, both=link, rebind_every=27) as relay:
        result = quic_go(relay.address, site.authority, ["/digest"], upload=3250000, timeout=60)
        assert relay.counts()["rebinds"] >= 100
    assert '"length":3250000' in result.log


def test_two_clients_with_the_same_port(site):
    """A NAT gives the port of one that left without a word to another."""
    with udp() as first:
        port = first.getsockname()[1]
    with Peer(site.address, site.authority, connect=False) as peer:
        peer.socket.close()
        peer.socket = bound(port)
        peer.wait(lambda: peer.handshake)
        assert peer.ask("/json").status == 200
        peer.request("/hang" if not FOREIGN else "/json")
        peer.flush()
        peer.socket.close()
        peer.socket = udp()  # for the goodbye, which nobody waits for
        with Peer(site.address, site.authority, connect=False) as other:
            other.socket.close()
            other.socket = bound(port)
            other.wait(lambda: other.handshake)
            assert other.ask("/json").status == 200


def bound(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


@pytest.mark.parametrize("kind", ["idle", "answered", "download"])
def test_clients_that_are_gone_hold_no_graceful_end_up(start_site, kind):
    if FOREIGN:
        pytest.skip("about our own end")
    site = start_site("--drain", "20000")
    peer = site.peer()
    if kind == "idle":
        peer.ask("/json")
        peer.run(0.1)
    else:
        peer.request("/json" if kind == "answered" else "/bytes/10000000")
        peer.turn(0.05)
    peer.socket.close()
    started = time.monotonic()
    site.server.signal(signal.SIGTERM)
    assert site.server.wait() == 0
    assert time.monotonic() - started < 15


def test_graceful_end_tells_and_waits(start_site):
    """GOAWAY, the answers that are owed, then the end (RFC 9114 section 5.2)."""
    if FOREIGN:
        pytest.skip("about our own end")
    site = start_site()
    with confirmed(site) as peer:
        slow = peer.request("/delay/1000")
        assert eventually(lambda: peer.turn(0.01) or site.count("exchanges.open") == 1)
        site.server.signal(signal.SIGTERM)
        assert peer.answer(slow).status == 200
        code, is_http3 = peer.wait_closed()
        assert (code, is_http3) == (0x100, True)
    assert site.server.wait() == 0
    with pytest.raises((TimeoutError, Reset, ConnectionError)):
        site.peer(timeout=0.3)


def test_stateless_reset_of_a_connection_that_was_forgotten(start_site):
    """Its last bytes are the token that came with the connection id (RFC 9000 section 10.3)."""
    if FOREIGN:
        pytest.skip("about our own end")
    site = start_site("--limit", "http3_idle_timeout=500")
    peer = confirmed(site)
    peer.run(0.1)
    assert eventually(lambda: site.count("quic.connections") == 0, every=0.1)
    # For three probe timeouts it still answers by its goodbye.
    assert eventually(lambda: peer.inject(b"\x01", size=200) or site.count("quic.stateless_resets"), every=0.1)
    got = []
    while select.select([peer.socket], [], [], 0.1)[0]:
        got.append(peer.socket.recv(2000))
    assert not got[-1][0] & 0x80 and len(got[-1]) < 200
    assert got[-1][-16:] == peer.quic._peer_cid.stateless_reset_token
    peer.socket.close()
