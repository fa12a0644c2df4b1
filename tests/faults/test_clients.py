"""Many, greedy, slow and rude clients. Whatever they do, another client is answered."""

import http.client
import os
import random
import resource
import socket
import struct
import threading
import time

import pytest

from showcase import eventually, read_cpu_seconds, read_kib
from wire import Cut, Wire

PATIENCE = 10  # seconds that nobody is held up for; sanitizers are slow


def raise_descriptors(wanted):
    """This process needs one for each connection. False where the hard limit is lower."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


class Witness:
    """Another client, that asks all the time; `slowest` of its answers in seconds."""

    def __init__(self, server):
        self.server = server
        self.slowest = 0.0
        self.failures = []
        self.count = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        with Wire(self.server.address) as wire:
            while not self.stop.is_set():
                start = time.monotonic()
                try:
                    wire.request("GET", "/json")
                    assert wire.answer().body == b'{"ok":true}'
                except (OSError, Cut, AssertionError) as error:
                    self.failures.append(repr(error))
                    return
                self.slowest = max(self.slowest, time.monotonic() - start)
                self.count += 1
                self.stop.wait(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        assert not self.failures and self.count > 0, self.failures
        assert self.slowest < PATIENCE


# ---- ten thousand ----


def test_ten_thousand_idle_connections(start, capsys, mode):
    count = 10000
    room = 2000  # for both ends of the bridge, which are in one process in mode bridge
    if not raise_descriptors(count + room):
        pytest.skip(f"the hard limit of descriptors is below {count + room}")
    server = start(
        "--limit", f"connections={count + 100}", "--limit", "connections_per_address=none",
        "--limit", "idle_timeout=none", mode=mode,
    )  # fmt: skip
    server.get("/json")
    before, held = read_kib(server.pid, "VmRSS"), server.metrics()["memory.held"]
    sockets = []
    try:
        for _ in range(count):
            sockets.append(socket.create_connection(server.address, 20))
        # Each has been used once: that is what an idle connection is.
        for begin in range(0, count, 200):
            for plain in sockets[begin : begin + 200]:
                plain.sendall(b"GET /text HTTP/1.1\r\nhost: x\r\n\r\n")
            for plain in sockets[begin : begin + 200]:
                assert plain.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert eventually(lambda: server.metrics()["connections.open"] >= count)
        assert server.get("/json", timeout=PATIENCE)[0] == 200
        each = (read_kib(server.pid, "VmRSS") - before) * 1024 / count
        own = (server.metrics()["memory.held"] - held) / count
        with capsys.disabled():
            print(f"\n{mode}: an idle connection holds {own:.0f} bytes, RSS {each:.0f}")
        assert own < 1100, f"an idle connection holds {own:.0f} bytes"
        cpu = read_cpu_seconds(server.pid)
        time.sleep(1)  # a second of idleness, measured
        assert read_cpu_seconds(server.pid) - cpu < 0.2
    finally:
        for plain in sockets:
            plain.close()
    assert eventually(lambda: server.metrics()["connections.open"] <= 1)


# ---- too many for the descriptors ----


def flood(server, count):
    """Connections that are opened without waiting for any of them."""
    sockets = []
    for _ in range(count):
        plain = socket.socket()
        plain.setblocking(False)
        plain.connect_ex(server.address)
        sockets.append(plain)
    return sockets


@pytest.mark.parametrize("limit", ["connections", "descriptors"])
def test_descriptor_exhaustion(start, limit):
    """1,000 connects to a process with 64 descriptors: no busy loop, and back at once."""
    assert raise_descriptors(2000)
    # With the limit of connections out of the way accept itself runs out of descriptors.
    extra = ["--limit", "connections=none"] if limit == "descriptors" else []
    server = start(
        "--workers", "1", "--engines", "1", "--limit", "connections_per_address=none",
        "--limit", "idle_timeout=none", "--limit", "header_timeout=none", *extra, mode="in-process",
        prefix=["prlimit", "--nofile=80:80", "--"],
    )  # fmt: skip
    sockets = flood(server, 1000)
    for plain in sockets:  # in the middle of a head: none is idle, none can be evicted
        try:
            plain.send(b"GET / HTTP/1.1\r\n")
        except OSError:
            pass
    time.sleep(0.3)
    cpu, start_time = read_cpu_seconds(server.pid), time.monotonic()
    time.sleep(1.5)  # the time that the CPU is measured over
    busy = (read_cpu_seconds(server.pid) - cpu) / (time.monotonic() - start_time)
    assert busy < 0.2, f"{busy:.0%} of a CPU while out of descriptors"
    for plain in sockets:
        plain.close()
    assert eventually(lambda: is_answering(server))
    assert server.get("/json", timeout=PATIENCE)[0] == 200


def is_answering(server):
    try:
        return server.get("/json", timeout=2)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.sanitizer
@pytest.mark.parametrize("mode", ["bridge", "processes"])
def test_few_descriptors_behind_the_bridge(start, mode):
    """Clients and the bridge share them: whoever gets in is answered, nobody waits for an engine
    that cannot accept."""
    server = start("--workers", "1", "--limit", "connections_per_address=none", mode=mode,
                   prefix=["prlimit", "--nofile=128:128", "--"])
    start_time = time.monotonic()
    wires = []
    for _ in range(100):
        wires.append(Wire(server.address, timeout=30))
        wires[-1].request("GET", "/delay/200")
    for wire in wires:
        assert wire.answer().status == 200
        wire.close()
    assert time.monotonic() - start_time < 10


def test_idle_connections_make_room(start):
    """At the limit of descriptors the oldest idle connections go, so everybody is served."""
    assert raise_descriptors(2000)
    server = start(
        "--workers", "1", "--limit", "connections_per_address=none", mode="in-process",
        prefix=["prlimit", "--nofile=128:128", "--"],
    )  # fmt: skip
    wires = []
    for _ in range(300):
        wire = Wire(server.address)
        wire.request("GET", "/json")
        assert wire.answer().status == 200
        wires.append(wire)
    assert eventually(lambda: server.metrics()["connections.evicted"] >= 150)
    for wire in wires:
        wire.close()


# ---- storms ----


@pytest.mark.sanitizer
def test_connect_and_close(start, mode):
    server = start("--limit", "connections_per_address=none", mode=mode)
    with Witness(server):
        for number in range(3000):
            plain = socket.create_connection(server.address, 20)
            if number % 3 == 0:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif number % 3 == 1:
                plain.sendall(b"GET /json HT")
            plain.close()
    assert eventually(lambda: server.metrics()["connections.open"] <= 1)


@pytest.mark.sanitizer
def test_request_and_reset(start, mode):
    """Requests whose clients leave at once: nothing leaks on either side of the bridge."""
    server = start("--limit", "connections_per_address=none", mode=mode)
    server.get("/json")
    descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))
    targets = ["/bytes/1000000", "/lines/100?ms=10", "/hang", "/delay/50", "/json"]
    with Witness(server):
        for number in range(1000):
            wire = Wire(server.address)
            wire.request("GET", targets[number % len(targets)])
            wire.reset()
    assert eventually(lambda: server.metrics()["exchanges.open"] == 0)
    assert eventually(lambda: server.metrics()["connections.open"] <= 1)
    # Connections to the engine may stay idle; there is a limit of 64 for each of two workers.
    assert len(os.listdir(f"/proc/{server.pid}/fd")) <= descriptors + 2 * 2 * 64 * 2 + 10


@pytest.mark.sanitizer
def test_slowloris(start):
    """Heads that never end are cut at their timeout, however steadily they grow."""
    server = start("--limit", "header_timeout=700", "--limit", "connections_per_address=none")
    with Witness(server):
        sockets = [socket.create_connection(server.address, 20) for _ in range(500)]
        for plain in sockets:
            plain.sendall(b"GET / HTTP/1.1\r\nx: ")
        deadline = time.monotonic() + 20
        alive = list(sockets)
        while alive and time.monotonic() < deadline:
            for plain in list(alive):
                try:
                    plain.sendall(b"y")
                except OSError:
                    alive.remove(plain)
            time.sleep(0.1)  # the drip
        assert not alive, f"{len(alive)} of 500 still there"
        for plain in sockets:
            plain.close()
    server.assert_numbers({"limit.header_timeout": 500})


@pytest.mark.sanitizer
def test_slow_readers_do_not_hold_up_others(start, mode):
    """200 clients that do not read their 100 MB: bounded memory, and others are answered."""
    # However long that takes, the limits for clients that do not read are not what is asked for here.
    patient = ["--limit", "stall_timeout=none", "--limit", "rate=none", "--limit", "engine_idle_timeout=none"]
    server = start("--limit", "connections_per_address=none", *patient, mode=mode)
    before = server.metrics()["memory.held"]
    wires = []
    for _ in range(200):
        wire = Wire(server.address, receive_buffer=4096)
        wire.request("GET", "/bytes/100000000")
        wire.read_head()
        wires.append(wire)
    with Witness(server) as witness:
        assert eventually(lambda: witness.count >= 30, 60)
        held = server.metrics()["memory.held"] - before
    # Two windows each (front and engine), each overshot by one write of 64 KiB at most.
    assert held < 200 * 2 * (262144 + 65536 + 16384), f"{held} bytes held"
    for wire in wires:
        wire.reset()
    assert eventually(lambda: server.metrics()["connections.open"] <= 1)


@pytest.mark.sanitizer
def test_garbage(start, mode):
    """Random bytes are refused, and nothing else happens."""
    server = start(mode=mode)
    generator = random.Random(1)
    with Witness(server):
        for _ in range(200):
            with Wire(server.address, timeout=10) as wire:
                try:
                    wire.send(generator.randbytes(generator.randrange(1, 3000)))
                    wire.half_close()
                    wire.read_rest()
                except OSError:
                    pass

