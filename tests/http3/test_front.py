"""What the front does with HTTP/3 that is not the protocol's business: sockets, workers, limits,
counting, logging, telling clients, starting and stopping."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

import pki
from http3_clients import cycle
from quic_peer import (
    CONNECTION_REFUSED, H3_EXCESSIVE_LOAD, H3_NO_ERROR, Peer, Reset, frame, head,
)  # fmt: skip
from showcase import BINARY, MODES, Showcase, eventually, lasting_port

MIB = 1 << 20


def over_tls(site, target="/json"):
    """The answer to a GET over HTTP/1.1 with TLS."""
    context = ssl.create_default_context(cafile=site.authority)
    client = http.client.HTTPSConnection("localhost", site.address[1], timeout=20, context=context)
    client.request("GET", target)
    answer = client.getresponse()
    answer.read()
    client.close()
    return answer


def rest(site, *peers):
    """Until the server knows that these have all they asked for: it is acknowledged."""

    def are_idle():
        for peer in peers:
            peer.run(0.05)
        return site.count("connections.idle") == len(peers)

    assert eventually(are_idle)


# ---- being found ----


def test_answers_over_tls_tell_of_it(start_site):
    site = start_site()
    answer = over_tls(site)
    assert answer.headers.get_all("alt-svc") == [f'h3=":{site.address[1]}"; ma=86400']
    client = http.client.HTTPConnection(*site.server.address, timeout=20)
    client.request("GET", "/json")
    assert client.getresponse().headers["alt-svc"] is None
    client.close()
    with site.peer() as peer:
        assert peer.ask().value("alt-svc") is None


@pytest.mark.parametrize("flag", ["--no-alt-svc", "--no-http3"])
def test_nothing_is_told_when_switched_off(start_site, flag):
    assert over_tls(start_site(flag)).headers["alt-svc"] is None


def test_without_it_nobody_listens(start_site):
    site = start_site("--no-http3", "--https", lasting_port())
    assert "HTTP/3" not in site.server.line
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(site.address)


def test_protocol_is_never_mixed(start_site):
    site = start_site()
    context = ssl.create_default_context(cafile=site.authority)
    context.set_alpn_protocols(["h3", "http/1.1"])
    with socket.create_connection(site.address, 20) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as sock:
            assert sock.selected_alpn_protocol() == "http/1.1"
    with pytest.raises(Reset), site.peer(h3=False, alpn=("h2",)):
        pass


# ---- ports ----


def test_port_of_udp_that_is_taken(tmp_path, foreign_certificates):
    port = lasting_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
        result = subprocess.run(
            [BINARY, "--port", "0", "--https", str(port), "--certificates", foreign_certificates],
            cwd=tmp_path, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert result.returncode == 1
        assert f"listen on 127.0.0.1:{port} for HTTP/3 (UDP): " in result.stderr


def test_both_loopbacks_have_the_same_port(start_site):
    site = start_site("--host", "localhost")
    used = {line.split()[3] for line in subprocess.run(["ss", "-Huln"], capture_output=True, text=True).stdout.splitlines()}
    assert {f"127.0.0.1:{site.address[1]}", f"[::1]:{site.address[1]}"} <= used


def test_every_interface(start_site):
    site = start_site("--host", "any", "--port", "0")
    for source in ("127.0.0.1", "127.0.0.5"):
        with Peer((source, site.address[1]), site.authority, source=source) as peer:
            assert peer.ask("/inspect").json["peer"] == {"address": source, "port": peer.port}


# ---- modes ----


@pytest.mark.parametrize("mode", MODES)
def test_transfers_in_every_mode(start_site, mode):
    site = start_site(mode=mode)
    with site.peer() as peer:
        upload = cycle(3 * MIB)
        down, up = peer.request(f"/bytes/{3 * MIB}"), peer.request("/echo", method="POST", data=upload)
        assert peer.answer(down).body == upload
        assert peer.answer(up).body == upload
        seen = peer.ask("/inspect").json
        assert (seen["protocol"], seen["scheme"], seen["tls"]["alpn"]) == ("3", "https", "h3")


def test_engines_have_no_socket_of_it(start_site):
    site = start_site(mode="processes")
    with open("/proc/net/udp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if int(row[1].split(":")[1], 16) == site.address[1]}

    def has_one(pid):
        folder = pathlib.Path(f"/proc/{pid}/fd")
        return any(os.readlink(entry) in inodes for entry in folder.iterdir())

    assert len(inodes) == 2 and has_one(site.server.pid)
    first = site.server.engines()
    os.kill(first[0], signal.SIGKILL)
    assert eventually(lambda: len(site.server.engines()) == 2 and site.server.engines() != first)
    assert not any(has_one(pid) for pid in site.server.processes()[1:])


# ---- counting and logging ----


def test_numbers_and_log(start_site, tmp_path):
    site = start_site("--access-log", f"json:{tmp_path}/log")
    with site.peer() as peer:
        for _ in range(3):
            peer.ask()
        rest(site, peer)
        site.assert_counts({
            "requests": 3, "requests.http1": 0, "requests.http2": 0, "requests.http3": 3, "connections.open": 1,
            "quic.connections": 1, "quic.handshakes": 1, "tls.handshakes": 0,
        })  # fmt: skip
        port = peer.port
    site.assert_counts({"quic.connections": 0, "connections.open": 0, "connections.idle": 0, "exchanges.open": 0})
    numbers = site.server.metrics()
    assert numbers["quic.datagrams_in"] >= 5 <= numbers["quic.datagrams_out"]
    assert numbers["bytes.read"] == numbers["quic.bytes_in"] > 1200
    log = tmp_path / "log"
    assert eventually(lambda: len(log.read_text().splitlines()) == 3)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["protocol"], line["port"], line["status"]) for line in lines] == [("3", port, 200)] * 3
    assert all(0 < line["rtt_us"] < 1_000_000 for line in lines)
    assert numbers["quic.rtt_count"] == 1
    assert 0 < numbers["quic.rtt_min_sum_us"] <= numbers["quic.rtt_sum_us"] < 1_000_000
    bounds = [numbers[f"quic.rtt_le_{bound}"] for bound in "1ms 2ms 5ms 10ms 20ms 50ms 100ms 200ms 500ms 1s".split()]
    assert bounds == sorted(bounds) and bounds[-1] == 1


def test_large_batches_leave_with_few_calls(start_site):
    site = start_site()
    with site.peer() as peer:
        assert len(peer.ask(f"/bytes/{4 * MIB}").body) == 4 * MIB
    site.assert_counts({"quic.connections": 0})
    numbers = site.server.metrics()
    assert numbers["quic.datagrams_out"] > 2500
    assert numbers["quic.batches_out"] * 3 < numbers["quic.datagrams_out"]


# ---- workers ----


def test_client_that_moves_reaches_its_worker(start_site):
    site = start_site("--workers", "4")
    with site.peer() as peer:
        peer.confirm()  # RFC 9000 section 9: no migration before that
        ports = set()
        for _ in range(24):
            peer.rebind()
            seen = peer.ask("/inspect").json["peer"]
            assert seen["address"] == "127.0.0.1"
            ports.add(seen["port"])
            peer.run(0.02)
        assert len(ports) > 1
        site.assert_counts({"quic.handshakes": 1, "requests.http3": 24, "limit.http3_forwards": 0})
        assert eventually(lambda: site.count("quic.datagrams_forwarded") > 0)
        assert eventually(lambda: site.count("quic.migrations") > 0)


@pytest.mark.parametrize("limit, value", [("http3_forwards", 1), ("http3_forward_bytes", 2000)])
def test_few_datagrams_may_be_on_their_way_between_workers(start_site, limit, value):
    """The others are lost, and sent again."""
    site = start_site("--workers", "4", "--limit", f"{limit}={value}")
    content = cycle(MIB)
    with site.peer() as peer:
        peer.confirm()
        for _ in range(24):
            peer.rebind()
            assert peer.ask("/echo", method="POST", data=content).body == content
            if site.count(f"limit.{limit}"):
                return
    raise AssertionError("no datagram was too many")


def test_handshakes_under_way(start_site):
    """First flights that nobody goes on with."""
    settings = ("--workers", "1", "--limit", "handshake_timeout=2000")
    site = start_site(*settings, "--limit", "http3_handshakes=3", "--limit", "http3_retry_from=none")
    silent = [site.peer(connect=False) for _ in range(5)]
    for peer in silent:
        peer.flush()
    site.assert_counts({"limit.http3_handshakes": 2, "quic.connections": 3, "limit.http3_retry_from": 0})
    site.assert_counts({"quic.connections": 0})
    with site.peer() as peer:
        assert peer.ask().status == 200


@pytest.mark.parametrize("limit, retries", [(1, 2), (2, 1), (3, 0)])
def test_proof_of_address(start_site, limit, retries):
    site = start_site("--workers", "1", "--limit", f"http3_retry_from={limit}")
    silent = site.peer(connect=False)
    silent.flush()
    site.assert_counts({"quic.datagrams_in": 1})
    with site.peer() as peer:
        assert peer.ask().status == 200
    site.assert_counts({"limit.http3_retry_from": retries, "quic.retries": retries})


def test_other_clients_are_served_in_a_flood(start_site):
    """Datagrams for nobody, as fast as they can be sent."""
    site = start_site("--workers", "1")
    over = threading.Event()

    def flood():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            junk = bytes([0x40]) + os.urandom(60)
            while not over.is_set():
                for _ in range(100):
                    sock.sendto(junk, site.address)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        answers = 0
        while answers < 50 or site.count("quic.datagrams_dropped") < 1000:
            assert site.server.get("/json") == (200, b'{"ok":true}')
            answers += 1
    finally:
        over.set()
        thread.join()


# ---- limits ----


def test_connections_of_one_address(start_site):
    site = start_site("--limit", "connections_per_address=2")
    with site.peer() as first, site.peer() as second:
        assert first.ask().status == second.ask().status == 200
        with pytest.raises(Reset) as refused, site.peer() as third:
            third.ask()
        assert refused.value.code == CONNECTION_REFUSED
        with site.peer(source="127.0.0.9") as other:
            assert other.ask().status == 200
        assert eventually(lambda: site.count("limit.connections_per_address") >= 1)
        assert first.ask().status == 200


def test_handshakes_of_one_address(start_site):
    """Who has proved the address by a Retry and then falls silent takes no more places than
    connections."""
    site = start_site("--workers", "1", "--limit", "connections_per_address=2", "--limit", "http3_retry_from=1")
    silent = [site.peer(connect=False) for _ in range(2)]
    for peer in silent:
        peer.flush()
        peer.turn()  # takes the Retry
        peer.flush()
    assert eventually(lambda: site.count("quic.connections") == 2)
    with pytest.raises(Reset) as refused, site.peer() as third:
        third.ask()
    assert refused.value.code == CONNECTION_REFUSED
    with site.peer(source="127.0.0.9") as other:
        assert other.ask().status == 200
    assert site.count("limit.connections_per_address") >= 1


def test_idle_connection_makes_room(start_site):
    site = start_site("--limit", "connections=2", "--workers", "1")
    with site.peer() as oldest:
        assert oldest.ask().status == 200
        rest(site, oldest)
        with site.peer() as newer, site.peer() as third:
            assert newer.ask().status == 200
            rest(site, oldest, newer)
            assert third.ask().status == 200
            code, is_http3 = oldest.wait_closed()
            assert is_http3
            site.assert_counts({"connections.evicted": 1})
            assert newer.ask().status == 200


def test_idle_connection_ends_by_itself(start_site):
    site = start_site("--limit", "http3_idle_timeout=1000")
    with site.peer() as peer:
        assert peer.ask().status == 200
        assert peer.wait_closed() == (H3_NO_ERROR, True)
    site.assert_counts({"limit.http3_idle_timeout": 1})


def test_slow_answer_is_not_idle(start_site):
    site = start_site("--limit", "http3_idle_timeout=1000")
    with site.peer() as peer:
        assert peer.ask("/delay/2500").status == 200


def test_client_without_settings(start_site):
    site = start_site("--limit", "header_timeout=1000")
    with site.peer(h3=False) as peer:
        peer.wait_closed()
    site.assert_counts({"limit.header_timeout": 1})


def test_head_that_does_not_end(start_site):
    site = start_site("--limit", "header_timeout=1000")
    with site.peer() as peer:
        assert peer.ask().status == 200
        peer.raw(b"\x01\x40")
        peer.wait_closed()
    site.assert_counts({"limit.header_timeout": 1})


def test_content_that_stalls(start_site):
    site = start_site("--limit", "stall_timeout=300")
    with site.peer() as peer:
        stream = peer.quic.get_next_available_stream_id()
        fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/echo")]
        peer.h3.send_headers(stream, [*fields, (b"content-length", b"10")])
        peer.h3.send_data(stream, b"abc", end_stream=False)
        peer.wait(lambda: peer.streams[stream].status or peer.streams[stream].reset is not None)
        assert peer.streams[stream].status in (None, 200, 408)
        peer.wait(lambda: peer.streams[stream].ended or peer.streams[stream].reset is not None)
        assert peer.ask().status == 200
    site.assert_counts({"limit.stall_timeout": 1})


def test_budgets_that_are_spent_count_once(start_site):
    """Not once more for each request that ends with the connection."""
    site = start_site("--limit", "http3_resets=4")
    with site.peer() as peer:
        for _ in range(3):
            peer.raw(head("/hang"))
        peer.wait(lambda: site.count("exchanges.open") == 3)
        peer.raw(frame(0x21, bytes(65537)), 2)
        assert peer.wait_closed() == (H3_EXCESSIVE_LOAD, True)
    assert eventually(lambda: site.count("exchanges.open") == 0)
    site.assert_counts({"connections.over_budget": 1, "quic.over_budget": 0, "limit.chunk_overhead": 0})
    with site.peer() as peer:
        for _ in range(3):
            peer.raw(head("/hang"))
        peer.wait(lambda: site.count("exchanges.open") == 3)
        for _ in range(8):
            peer.quic.reset_stream(peer.raw(head("/hang")), 0x10C)
            peer.turn(0)
        assert peer.wait_closed() == (H3_EXCESSIVE_LOAD, True)
    assert eventually(lambda: site.count("exchanges.open") == 0)
    site.assert_counts({"limit.http3_resets": 1})


def test_connection_ids_that_are_retired_again_and_again(start_site):
    site = start_site()
    with site.peer() as peer:
        peer.confirm()
        for _ in range(500):
            peer.turn(0.01)
            if peer.closed:
                break
            peer.quic.change_connection_id()
        assert peer.wait_closed() == (H3_EXCESSIVE_LOAD, True)
    site.assert_counts({"quic.over_budget": 1, "connections.over_budget": 1})


def test_requests_of_one_connection(start_site):
    site = start_site("--limit", "requests_per_connection=3")
    with site.peer() as peer:
        for _ in range(3):
            assert peer.ask().status == 200
        assert peer.wait_closed() == (H3_NO_ERROR, True)


# ---- certificates ----


def test_certificate_that_is_loaded_anew(tmp_path, start_site):
    pki.make_authority(tmp_path, "authority")
    for name in ("first", "second"):
        pki.issue(tmp_path, name, f"/CN={name}", "subjectAltName=DNS:localhost\n", "authority")
    certificate, key = tmp_path / "used.pem", tmp_path / "used-key.pem"

    def put(name):
        pki.put_pair(tmp_path / name, certificate, key)

    def subject():
        with Peer(site.address, tmp_path / "authority.pem") as peer:
            return peer.quic.tls._peer_certificate.subject.rfc4514_string()

    put("first")
    site = start_site("--certificate", certificate, "--key", key)
    with Peer(site.address, tmp_path / "authority.pem") as old:
        assert subject() == "CN=first"
        put("second")
        site.server.signal(signal.SIGHUP)
        assert eventually(lambda: subject() == "CN=second")
        assert old.ask().status == 200


# ---- the end ----


@pytest.mark.parametrize("mode", MODES)
def test_graceful_stop(tmp_path, foreign_certificates, mode):
    server = Showcase("--https", "0", "--certificates", foreign_certificates, mode=mode, folder=tmp_path)
    with Peer(server.secure_address, foreign_certificates / "authority.pem") as peer:
        slow = peer.request("/delay/1500")
        peer.flush()
        assert eventually(lambda: server.metrics()["exchanges.open"] == 1)
        server.signal(signal.SIGTERM)
        assert eventually(server.refuses)
        with pytest.raises((Reset, TimeoutError)):
            with Peer(server.secure_address, foreign_certificates / "authority.pem", timeout=1) as late:
                late.ask()
        assert peer.answer(slow).status == 200
        assert peer.wait_closed() == (H3_NO_ERROR, True)
    server.wait()
    server.assert_clean()


def test_stop_that_reaches_its_deadline(tmp_path, foreign_certificates):
    server = Showcase(
        "--https", "0", "--certificates", foreign_certificates, "--drain", "300", mode="in-process", folder=tmp_path
    )
    with Peer(server.secure_address, foreign_certificates / "authority.pem") as peer:
        peer.request("/hang")
        peer.flush()
        assert eventually(lambda: server.metrics()["exchanges.open"] == 1)
        server.signal(signal.SIGTERM)
        peer.wait_closed()
    server.wait()
    server.assert_clean(4)


def test_idle_clients_do_not_hold_up_the_end(tmp_path, foreign_certificates):
    server = Showcase("--https", "0", "--certificates", foreign_certificates, mode="in-process", folder=tmp_path)
    with Peer(server.secure_address, foreign_certificates / "authority.pem") as peer:
        assert peer.ask().status == 200
        server.signal(signal.SIGTERM)
        assert peer.wait_closed() == (H3_NO_ERROR, True)
        assert server.wait(10) == 0
    server.assert_clean()


def test_client_that_vanishes_does_not_hold_up_the_end(tmp_path, foreign_certificates):
    """Its answer is never acknowledged; the drain's deadline is what ends it at the latest."""
    server = Showcase(
        "--https", "0", "--certificates", foreign_certificates, "--drain", "1000", mode="in-process", folder=tmp_path
    )
    peer = Peer(server.secure_address, foreign_certificates / "authority.pem")
    assert peer.ask().status == 200
    peer.request("/bytes/10000000")
    peer.flush()
    peer.socket.close()
    server.signal(signal.SIGTERM)
    assert server.wait(10) in (0, 4)
    assert not re.search("Sanitizer", server.errors)
