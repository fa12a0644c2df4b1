"""A relay between UDP clients and a server that does to datagrams what networks do to them, the
same again for the same seed: loss, delay, reordering, duplication, corruption, black holes, a
bottleneck, partitions, and new ports or addresses for clients (what a NAT does).

`Path` is one direction: it decides and reaches no socket or clock, so that it is tested as it is.
`Relay` runs two of them in a process of its own, told what to do by JSON lines on its stdin:

    {"up": {...}, "down": {...}}   new weather, see Weather; "both" is short for the two
    {"rebind": "port"}             every client comes from a new port; "address": from 127.0.0.x
    {"count": true}                answered by one line of numbers

    tests/relay.py '{"to": ["127.0.0.1", 8443], "seed": 1, "both": {"loss": 0.02}}'
"""

import dataclasses
import heapq
import json
import os
import pathlib
import random
import selectors
import socket
import struct
import subprocess
import sys
import time

IP_RECVTOS = 13  # socket has no name for it before Python 3.13
DATAGRAM_MAX = 65535
BUFFER = 8 << 20
BURST = 64  # datagrams taken from a socket before the others get their turn


@dataclasses.dataclass
class Weather:
    """Of one direction. Shares are 0 to 1, times are milliseconds."""

    loss: float = 0
    loss_run: int = 0  # so many lost in a row are followed by one that passes; 0: no bound
    delay: float = 0
    jitter: float = 0  # each datagram takes up to so much longer; order is kept
    reorder: float = 0  # share that leaves `reorder_time` late, behind others
    reorder_time: float = 10
    duplicate: float = 0
    corrupt: float = 0  # share in which one byte is changed
    mtu: int = 0  # larger datagrams vanish; 0: none does
    rate: float = 0  # bits a second; 0: as they come
    queue: int = 65536  # bytes that wait for the bottleneck; what comes then is lost
    drop: list = dataclasses.field(default_factory=list)  # numbers of datagrams, from 1, that vanish
    blocked: bool = False  # a partition
    block_at: int = 0  # a partition from the datagram of this number on...
    block_for: float = 0  # ...for so long
    mark: float = 0  # share of datagrams with ECT that get CE (RFC 3168)

    def change(self, settings):
        names = {field.name for field in dataclasses.fields(self)}
        assert names >= settings.keys(), settings.keys() - names
        return dataclasses.replace(self, **settings)


class Path:
    """One direction. Every datagram draws the same count of random numbers whatever the weather,
    so that what happens to the n-th depends on seed, n and the weather alone."""

    def __init__(self, seed, weather):
        self.random = random.Random(seed)
        self.weather = weather
        self.number = 0
        self.lost_in_a_row = 0
        self.last_due = 0.0
        self.free_at = 0.0  # when the bottleneck has sent what it has
        self.open_at = 0.0  # end of a partition that began by itself
        self.counts = dict.fromkeys(
            ("in", "bytes", "out", "lost", "reordered", "duplicated", "corrupted", "too_big",
             "queue_full", "blocked", "ect", "ce", "largest"), 0)  # fmt: skip

    def send(self, now, data, ecn=0):
        """[(due, data, ecn)...] for a datagram that comes at `now` (seconds)."""
        weather, counts = self.weather, self.counts
        lost, late, twice, wrong, jitter, where, what, mark = (self.random.random() for _ in range(8))
        self.number += 1
        counts["in"] += 1
        counts["bytes"] += len(data)
        counts["largest"] = max(counts["largest"], len(data))
        counts["ect"] += ecn != 0
        if self.number == weather.block_at:
            self.open_at = now + weather.block_for / 1000
        if weather.blocked or now < self.open_at:
            counts["blocked"] += 1
            return []
        if weather.mtu and len(data) > weather.mtu:
            counts["too_big"] += 1
            return []
        if self.number in weather.drop or self.is_lost(lost):
            counts["lost"] += 1
            return []
        due = self.pass_bottleneck(now, len(data))
        if due is None:
            counts["queue_full"] += 1
            return []
        due = max(due + (weather.delay + weather.jitter * jitter) / 1000, self.last_due)
        if late < weather.reorder:
            counts["reordered"] += 1
            due += weather.reorder_time / 1000
        else:
            self.last_due = due
        if wrong < weather.corrupt:
            counts["corrupted"] += 1
            at = int(where * len(data))
            data = data[:at] + bytes([data[at] ^ (1 + int(what * 255))]) + data[at + 1 :]
        if ecn and mark < weather.mark:
            counts["ce"] += 1
            ecn = 3
        copies = 2 if twice < weather.duplicate else 1
        counts["duplicated"] += copies - 1
        counts["out"] += copies
        return [(due, data, ecn)] * copies

    def is_lost(self, draw):
        if draw < self.weather.loss and not 0 < self.weather.loss_run <= self.lost_in_a_row:
            self.lost_in_a_row += 1
            return True
        self.lost_in_a_row = 0
        return False

    def pass_bottleneck(self, now, size):
        """When the last bit has left; None when the queue is full."""
        rate = self.weather.rate
        if not rate:
            return now
        if (self.free_at - now) * rate / 8 > self.weather.queue:
            return None
        self.free_at = max(self.free_at, now) + size * 8 / rate
        return self.free_at


def open_socket(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
    sock.setblocking(False)
    sock.bind(address)
    return sock


def receive(sock):
    """(data, ECN bits, sender), or None when there is nothing."""
    try:
        data, notes, _, sender = sock.recvmsg(DATAGRAM_MAX, 64)
    except BlockingIOError:
        return None
    except ConnectionRefusedError:  # an ICMP for what was sent before
        return b"", 0, None
    ecn = 0
    for level, kind, value in notes:
        if level == socket.IPPROTO_IP and kind == socket.IP_TOS:
            ecn = value[0] & 3
    return data, ecn, sender


def send(sock, data, ecn, address):
    notes = [(socket.IPPROTO_IP, socket.IP_TOS, struct.pack("i", ecn))] if ecn else []
    try:
        sock.sendmsg([data], notes, 0, address)
    except (BlockingIOError, ConnectionRefusedError):
        pass  # as in any network


class Client:
    """One client and the socket by which the server sees it."""

    def __init__(self, address, sock):
        self.address = address
        self.socket = sock
        self.spare = []  # sockets it had: the server may still send to them


class Carrier:
    """A process between two ends, with a path each way: it passes on what is due, and does what its
    standard input orders."""

    def __init__(self, settings):
        seed = settings.get("seed", 0)
        self.paths = {name: Path(f"{seed} {name}", Weather()) for name in ("up", "down")}
        self.due = []  # a heap of (time, number, arguments of pass_on)
        self.number = 0
        self.selector = selectors.DefaultSelector()  # what is ready is called

    def change(self, order):
        for name, path in self.paths.items():
            path.weather = path.weather.change({**order.get("both", {}), **order.get(name, {})})
        if "count" in order:
            print(json.dumps(self.counts()), flush=True)

    def counts(self):
        return {name: path.counts for name, path in self.paths.items()}

    def later(self, due, *what):
        self.number += 1
        heapq.heappush(self.due, (due, self.number, *what))

    def flush(self):
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            self.pass_on(*heapq.heappop(self.due)[2:])

    def run(self, greeting):
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)
        orders = b""
        print(json.dumps(greeting), flush=True)
        while True:
            wait = self.due[0][0] - time.monotonic() if self.due else None
            for key, _ in self.selector.select(wait if wait is None else max(0, wait)):
                if key.data:
                    key.data()
                    continue
                piece = os.read(sys.stdin.fileno(), 65536)
                if not piece:
                    return
                *lines, orders = (orders + piece).split(b"\n")
                for line in lines:
                    self.change(json.loads(line))
            self.flush()


class Remote:
    """The test's side of a Carrier's process."""

    def __init__(self, program, settings):
        self.process = subprocess.Popen(
            [sys.executable, program, json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        greeting = self.process.stdout.readline()
        if not greeting:
            raise OSError(self.process.communicate()[1].strip().rpartition("\n")[2])
        self.greeting = json.loads(greeting)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()  # which ends it
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()

    def tell(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def counts(self):
        self.tell(count=True)
        return json.loads(self.process.stdout.readline())


class Loop(Carrier):
    """The process of a Relay."""

    def __init__(self, settings):
        super().__init__(settings)
        self.server = tuple(settings["to"])
        self.rebind_every = settings.get("rebind_every", 0)  # datagrams of one client
        self.rebind_kind = settings.get("rebind_kind", "port")
        self.rebinds = 0
        self.first = {"up": 0, "down": 0}  # bytes until the second datagram went to the server
        self.address = 1  # the last byte of the clients' 127.0.0.x
        self.clients = {}
        self.front = open_socket(("127.0.0.1", settings.get("port", 0)))
        self.selector.register(self.front, selectors.EVENT_READ, self.on_client)
        self.change(settings)

    def change(self, order):
        if "rebind" in order:
            for client in self.clients.values():
                self.rebind(client, order["rebind"])
        super().change(order)

    def counts(self):
        return {**super().counts(), "clients": len(self.clients), "rebinds": self.rebinds, "first": self.first}

    def open_back(self):
        return open_socket((f"127.0.0.{self.address}", 0))

    def watch_back(self, client):
        sock = client.socket
        self.selector.register(sock, selectors.EVENT_READ, lambda: self.on_server(client, sock))

    def rebind(self, client, kind):
        if kind == "address":
            self.address = self.address % 250 + 1
        self.rebinds += 1
        client.spare.append(client.socket)
        client.socket = self.open_back()
        self.watch_back(client)

    def carry(self, path, data, ecn, sock, address):
        for due, data, ecn in path.send(time.monotonic(), data, ecn):
            self.later(due, sock, data, ecn, address)

    def pass_on(self, sock, data, ecn, address):
        send(sock, data, ecn, address)

    def on_client(self):
        for _ in range(BURST):
            if not (got := receive(self.front)):
                return
            data, ecn, sender = got
            if sender is None:
                continue
            client = self.clients.get(sender)
            if client is None:
                client = self.clients[sender] = Client(sender, self.open_back())
                self.watch_back(client)
            elif self.rebind_every and self.paths["up"].number % self.rebind_every == 0:
                self.rebind(client, self.rebind_kind)
            self.carry(self.paths["up"], data, ecn, client.socket, self.server)
            if self.paths["up"].counts["out"] == 1:
                self.first["up"] = self.first["up"] or len(data)

    def on_server(self, client, sock):
        for _ in range(BURST):
            if not (got := receive(sock)):
                return
            # As with a NAT, what goes to a mapping of before is lost.
            if got[2] is not None and self.paths["up"].counts["out"] == 1:
                self.first["down"] += len(got[0])
            if got[2] is not None and sock is client.socket:
                self.carry(self.paths["down"], got[0], got[1], self.front, client.address)


class Relay(Remote):
    """with Relay(server_address, seed=1, both={"loss": 0.1}) as relay: ... relay.port"""

    def __init__(self, to, **settings):
        super().__init__(pathlib.Path(__file__), {"to": list(to), **settings})
        self.port = self.greeting["port"]
        self.address = ("127.0.0.1", self.port)

    def rebind(self, kind="port"):
        self.tell(rebind=kind)


if __name__ == "__main__":
    relay = Loop(json.loads(sys.argv[1]))
    relay.run({"port": relay.front.getsockname()[1]})
