"""HTTP/3 in a process of its own: it may die, and nobody else notices; it comes back, and all that
reaches the front's process reaches it. Also: a flood of QUIC leaves TCP its turn."""

import contextlib
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import h2.connection
import h2.events
import pytest

from conftest import FOREIGN
from http3_clients import cycle
from pki import issue, make_authority, put_pair
from quic_peer import Peer
from secure import SecureAddress
from showcase import BINARY, BUILD, children, eventually, is_alive, lasting_port
from wire import Wire

pytestmark = pytest.mark.skipif(FOREIGN, reason="about processes of ours")

LARGE = 20_000_000
QLOG = "ROUTED_QLOG:BOOL=ON" in (BUILD / "CMakeCache.txt").read_text()


def serves(pid):
    """Does this process run workers of a front?"""
    names = pathlib.Path(f"/proc/{pid}/task").glob("*/comm")
    try:
        return any(name.read_text().startswith("routed-front") for name in names)
    except OSError:
        return False


def quic_process(server):
    """The child of the supervisor that serves; None while there is none."""
    found = [pid for pid in server.engines() if serves(pid)]
    assert len(found) <= 1
    return found[0] if found else None


def family(server):
    pids = server.processes()
    assert len(pids) == 5 and quic_process(server)
    return pids


def end(server, number):
    """Kills the process of HTTP/3 and returns once it is gone."""
    pid = eventually(lambda: quic_process(server))
    os.kill(pid, number)
    assert eventually(lambda: not is_alive(pid))


@pytest.fixture
def begin(start, certificates):
    """A server with that process, and what makes its clients."""

    def begin_one(*options):
        server = start("--https", "0", "--certificates", certificates, "--http3-process", *options, mode="processes")
        server.peer = lambda **settings: Peer(server.secure_address, certificates / "authority.pem", **settings)
        return server

    return begin_one


class Http2:
    """A client in the clear that reads when it is told to."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, 20)
        self.machine = h2.connection.H2Connection()
        self.machine.initiate_connection()
        self.bodies, self.ended = {}, set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def request(self, path):
        stream = self.machine.get_next_available_stream_id()
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
        self.machine.send_headers(stream, fields, end_stream=True)
        self.bodies[stream] = b""
        self.socket.sendall(self.machine.data_to_send())
        return stream

    def read(self, done):
        while not done():
            data = self.socket.recv(65536)
            assert data, "the connection ended"
            for event in self.machine.receive_data(data):
                assert not isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated))
                if isinstance(event, h2.events.DataReceived):
                    self.bodies[event.stream_id] += event.data
                    self.machine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self.ended.add(event.stream_id)
            self.socket.sendall(self.machine.data_to_send())


# ---- it dies ----


@pytest.mark.sanitizer
@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL])
def test_death_costs_quic_connections_only(begin, number):
    server = begin()
    with Wire(server.plain_address, receive_buffer=65536) as http1, Http2(server.plain_address) as http2:
        with server.peer() as old:
            assert old.ask("/json").status == 200
            http1.request("GET", f"/bytes/{LARGE}")
            head = http1.read_head()
            stream = http2.request("/bytes/5000000")
            http2.read(lambda: http2.bodies[stream])
            server.assert_numbers({"quic.handshakes": 1})
            end(server, number)
            with server.peer() as new:
                assert new.ask("/json").json == {"ok": True}
            assert http1.read_body(head).body == cycle(LARGE)
            http2.read(lambda: http2.ended)
            assert http2.bodies[stream] == cycle(5_000_000)
            http1.request("GET", "/json")
            assert http1.answer().status == 200
            assert_stateless_reset(old)
    assert eventually(lambda: server.metrics()["quic.stateless_resets"] >= 1)
    # One handshake is that of a process that is gone.
    server.assert_numbers({"quic.restarts": 1, "quic.handshakes": 2, "requests.http3": 2})
    text = "signal %d" % number
    assert eventually(lambda: "HTTP/3 (process" in server.errors and text in server.errors)


def assert_stateless_reset(peer):
    """Whatever it says, the server answers with the token that it was given for its connection id."""
    token = peer.quic._peer_cid.stateless_reset_token
    assert len(token) == 16
    peer.record, peer.datagrams = True, []

    def was_reset():
        peer.send_datagram(peer.seal(b"\x01" + bytes(100)))
        deadline = time.monotonic() + 0.2
        peer.socket.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                if peer.socket.recv(65535)[-16:] == token:
                    return True
            except OSError:
                break
        return False

    assert eventually(was_reset)


def test_nothing_stays_open_in_the_numbers(begin):
    server = begin()
    nothing = {"quic.connections": 0, "exchanges.open": 0, "connections.open": 0}
    server.assert_numbers(nothing)
    with server.peer() as peer:
        peer.request("/hang")
        peer.wait(lambda: server.ends()["hung"] == 1)
        server.assert_numbers({name: 1 for name in nothing})
        end(server, signal.SIGKILL)
        assert eventually(lambda: server.ends()["cancelled"] == 1)  # the engine heard of it
        assert eventually(lambda: quic_process(server))
    server.assert_numbers(nothing)


def test_tokens_outlive_the_process(begin):
    """A client that proved its address need not do it again after a restart."""
    server = begin("--limit", "http3_retry_from=1")
    with server.peer() as peer:
        peer.wait(lambda: peer.tokens)
        token = peer.tokens[-1]
    server.assert_numbers({"quic.retries": 1, "quic.handshakes": 1})
    end(server, signal.SIGKILL)
    with server.peer(token=token) as peer:
        assert peer.ask("/json").status == 200
    server.assert_numbers({"quic.retries": 1, "quic.tokens_refused": 0, "quic.handshakes": 2})


def test_death_again_and_again(begin):
    """It comes back each time, later and later."""
    server = begin()
    for count in range(1, 6):
        end(server, signal.SIGKILL)
        assert eventually(lambda: quic_process(server))
        assert server.get("/json")[0] == 200
        server.assert_numbers({"quic.restarts": count})
    with server.peer() as peer:
        assert peer.ask("/json").status == 200


def test_engines_die_and_http3_stays(begin):
    server = begin()
    with server.peer() as peer:
        assert peer.ask("/json").status == 200
        serving = quic_process(server)
        for pid in server.engines():
            if pid != serving:
                os.kill(pid, signal.SIGKILL)
                assert eventually(lambda pid=pid: not is_alive(pid))
        assert eventually(lambda: len(server.engines()) == 3)
        assert peer.ask("/json").status == 200
        assert quic_process(server) == serving


# ---- what reaches it ----


def test_certificates_reach_it(start, tmp_path):
    """By reload, and after a restart, for the supervisor has those of the start."""
    subject = "subjectAltName=DNS:localhost\n"
    for name in ("old", "new"):
        make_authority(tmp_path, name)
        issue(tmp_path, f"{name}-host", "/CN=localhost", subject, name)
    certificate, key = tmp_path / "a.pem", tmp_path / "a-key.pem"

    def put(name):
        put_pair(tmp_path / f"{name}-host", certificate, key)

    def is_shown(name):
        try:
            with Peer(server.secure_address, tmp_path / f"{name}.pem") as peer:
                return peer.ask("/json").status == 200
        except ConnectionError:
            return False

    put("old")
    server = start(
        "--https", "0", "--certificate", certificate, "--key", key, "--http3-process", mode="processes",
    )  # fmt: skip
    assert is_shown("old")
    put("new")
    server.signal(signal.SIGHUP)
    assert eventually(lambda: is_shown("new"))
    end(server, signal.SIGKILL)
    assert is_shown("new")


def test_access_log_is_one_file(begin, tmp_path):
    log, aside = tmp_path / "access.log", tmp_path / "access.log.1"
    server = begin("--access-log", f"json:{log}")

    def ask_both(path):
        assert server.get(path)[0] == 200
        with server.peer() as peer:
            assert peer.ask(path).status == 200

    def protocols(file):
        return sorted(json.loads(line)["protocol"] for line in file.read_text().splitlines())

    ask_both("/json")
    assert eventually(lambda: protocols(log) == ["1.1", "3"])
    log.rename(aside)
    server.signal(signal.SIGUSR1)

    def are_both_in_the_new_file():
        ask_both("/text")
        return log.exists() and {"1.1", "3"} <= set(protocols(log))

    assert eventually(are_both_in_the_new_file)
    assert eventually(lambda: server.metrics()["log.lines"] == len(protocols(log)) + len(protocols(aside)))


def test_alt_svc_tells_of_it(begin, certificates):
    server = begin()
    with Wire(server.plain_address) as clear:
        clear.request("GET", "/json")
        assert clear.answer().value("alt-svc") is None
    with Wire(SecureAddress(server.secure_address, certificates / "authority.pem")) as wire:
        wire.request("GET", "/json", host="localhost")
        assert f':{server.secure_port}"' in wire.answer().value("alt-svc")


def told_of_http3(server, certificates, target="/json"):
    """The Alt-Svc of an answer over TLS, and its status."""
    with Wire(SecureAddress(server.secure_address, certificates / "authority.pem")) as wire:
        wire.request("GET", target, host="localhost")
        answer = wire.answer()
        return answer.value("alt-svc"), answer.status


def test_nothing_is_told_while_it_is_down(begin, certificates):
    """Clients that look for it would lose time."""
    server = begin()
    for _ in range(5):  # the next start is later each time
        assert eventually(lambda: told_of_http3(server, certificates)[0])
        end(server, signal.SIGKILL)
    assert eventually(lambda: told_of_http3(server, certificates) == (None, 200))
    assert not quic_process(server)
    there = (f'h3=":{server.secure_port}"; ma=86400', 200)
    assert eventually(lambda: told_of_http3(server, certificates) == there)
    with server.peer() as peer:
        assert peer.ask("/json").status == 200


def test_without_supervisor_clients_are_told_to_forget_it(begin, certificates):
    """It does not come back before the host does: that is said, counted and logged."""
    server = begin("--limit", "queue_timeout=200")
    assert told_of_http3(server, certificates)[0].startswith("h3=")
    server.assert_numbers({"supervisor.losses": 0})
    pid = children(server.pid)[0]
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: told_of_http3(server, certificates) == ("clear", 503))
    server.assert_numbers({"supervisor.losses": 1})
    assert eventually(lambda: f"the supervisor of the engines (process {pid}) ended" in server.errors)
    assert eventually(lambda: "HTTP/3 is gone" in server.errors)


def test_its_memory_is_counted(begin):
    server = begin()
    before = server.metrics()["memory.held"]
    peers = [server.peer().__enter__() for _ in range(20)]
    try:
        for peer in peers:
            assert peer.ask("/json").status == 200
        assert eventually(lambda: server.metrics()["memory.held"] > before + 20 * 10_000)
        during = server.metrics()["memory.held"]
    finally:
        for peer in peers:
            peer.__exit__(None, None, None)
    end(server, signal.SIGKILL)
    assert eventually(lambda: server.metrics()["memory.held"] < during - 20 * 10_000)


@pytest.mark.skipif(not QLOG, reason="needs something that only that process does at its start")
@pytest.mark.sanitizer
def test_it_ends_before_it_was_ready(tmp_path, certificates):
    """The start fails, says why, and leaves nothing behind."""
    result = subprocess.run(
        [BINARY, "--port", "0", "--https", "0", "--certificates", certificates, "--mode", "processes",
         "--http3-process", "--qlog", "/nowhere/qlog"],
        cwd=tmp_path, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert result.returncode == 1
    assert "showcase: the process of HTTP/3 did not start" in result.stderr
    assert "the process of HTTP/3 cannot start: qlog /nowhere/qlog" in result.stderr


# ---- it ends ----


@pytest.mark.sanitizer
def test_graceful_stop(begin):
    """What is in flight is answered; then nothing is left."""
    server = begin()
    pids = family(server)
    with server.peer() as peer:
        assert peer.ask("/json").status == 200
        stream = peer.request("/delay/2000")
        peer.flush()
        assert eventually(lambda: peer.turn(0.01) or server.metrics()["exchanges.open"] == 1)
        server.signal(signal.SIGTERM)
        assert peer.answer(stream).status == 200
        assert peer.wait_closed() == (0x100, True)  # H3_NO_ERROR
    assert server.wait() == 0
    assert eventually(lambda: not any(map(is_alive, pids)))


def test_stop_at_the_deadline(begin):
    server = begin("--drain", "300")
    pids = family(server)
    with server.peer() as peer:
        peer.request("/hang")
        peer.wait(lambda: server.ends()["hung"] == 1)
        server.signal(signal.SIGTERM)
        peer.wait_closed()
    assert server.wait() == 4
    assert eventually(lambda: not any(map(is_alive, pids)))


def test_forced_stop(begin):
    server = begin()
    pids = family(server)
    with server.peer() as peer:
        peer.request("/hang")
        peer.wait(lambda: server.ends()["hung"] == 1)
        server.signal(signal.SIGTERM)
        assert eventually(server.refuses)
        server.signal(signal.SIGTERM)
        peer.wait_closed()
    assert server.wait() == 5
    assert eventually(lambda: not any(map(is_alive, pids)))


def test_stop_while_it_is_down(begin):
    server = begin()
    for _ in range(4):
        end(server, signal.SIGKILL)
        assert eventually(lambda: quic_process(server))
    end(server, signal.SIGKILL)
    pids = server.processes()
    assert server.stop() == 0
    assert eventually(lambda: not any(map(is_alive, pids)))


@pytest.mark.parametrize("victim", ["host", "supervisor"])
def test_it_does_not_outlive_those_above(begin, victim):
    server = begin()
    pids = family(server)
    below = pids[1:] if victim == "host" else pids[2:]
    os.kill(pids[0] if victim == "host" else children(server.pid)[0], signal.SIGKILL)
    assert eventually(lambda: not any(map(is_alive, below)))
    if victim == "host":
        server.wait()
    else:
        assert server.stop() == 0


# ---- the secret of a file ----


@pytest.mark.sanitizer
@pytest.mark.parametrize("mode, options", [("in-process", []), ("processes", ["--http3-process"])])
def test_secret_outlives_the_server(start, certificates, tmp_path, mode, options):
    """After a restart its clients are told at once, and need not prove their address again."""
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)

    port = lasting_port()

    def begin(*more):
        return start(
            "--https", port, "--certificates", certificates, "--limit", "http3_retry_from=1", *more,
            *options, mode=mode,
        )  # fmt: skip

    server = begin("--quic-secret", secret)
    address, authority = server.secure_address, certificates / "authority.pem"
    with Peer(address, authority) as old:
        old.wait(lambda: old.tokens)
        token = old.tokens[-1]
        server.kill()
        server = begin("--quic-secret", secret)
        assert_stateless_reset(old)
        with Peer(address, authority, token=token) as peer:
            assert peer.ask("/json").status == 200
        server.assert_numbers({"quic.retries": 0, "quic.handshakes": 1})
        server.stop()
        server = begin()
        with Peer(address, authority, token=token) as peer:
            assert peer.ask("/json").status == 200
        server.assert_numbers({"quic.retries": 1})


def test_secret_that_everybody_may_read(tmp_path, certificates):
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o644)
    result = subprocess.run(
        [BINARY, "--port", "0", "--https", "0", "--certificates", certificates, "--quic-secret", secret],
        cwd=tmp_path, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert result.returncode == 1
    assert f"quic_secret {secret}: is open to every user" in result.stderr


# ---- a flood ----


def initials():
    """First datagrams of clients without end, each another connection."""
    datagram = bytearray(1200)
    datagram[0:6] = b"\xc3\x00\x00\x00\x01\x08"
    datagram[14:16] = b"\x08s"
    for count in itertools.count():
        datagram[6:14] = count.to_bytes(8, "big")
        yield datagram


def garbage(id):
    """What looks like packets of a connection that is there, and of none."""
    known = b"\x40" + id + os.urandom(1200)
    unknown = b"\x40" + os.urandom(1200)
    while True:
        yield known
        yield unknown


def flood(address, datagrams, over, counts):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(tuple(address))
        while not over.is_set():
            for datagram in itertools.islice(datagrams, 64):
                counts[0] += 1
                with contextlib.suppress(OSError):
                    sock.send(datagram)


@pytest.mark.parametrize(
    "mode, options", [("in-process", []), ("bridge", []), ("processes", []), ("processes", ["--http3-process"])]
)  # fmt: skip
@pytest.mark.parametrize("kind", ["initials", "garbage"])
def test_flood_leaves_tcp_its_turn(start, certificates, mode, options, kind):
    """Every request over TCP is answered while datagrams come as fast as they can be sent."""
    server = start("--https", "0", "--certificates", certificates, *options, mode=mode)
    over, counts = threading.Event(), [0]
    with Peer(server.secure_address, certificates / "authority.pem") as peer:
        assert peer.ask("/json").status == 200
        datagrams = initials() if kind == "initials" else garbage(peer.quic._peer_cid.cid)
        sender = threading.Thread(target=flood, args=(server.secure_address, datagrams, over, counts))
        sender.start()
        try:
            deadline, asked = time.monotonic() + 2, 0
            while time.monotonic() < deadline:
                assert server.get("/json") == (200, b'{"ok":true}')
                asked += 1
        finally:
            over.set()
            sender.join()
        assert asked and counts[0] > 1000
        assert eventually(lambda: server.metrics()["quic.datagrams_in"] > 100)
        assert peer.ask("/json").status == 200
    with Peer(server.secure_address, certificates / "authority.pem") as peer:
        assert peer.ask("/json").status == 200
