"""A line between two network namespaces that carries IP packets, so TCP as well as UDP, and does to
them what tests/relay.py does to datagrams: loss, delay, a bottleneck, the same again for the same
seed. Each end is a TUN device; a process between them passes the packets on.

    with Line(seed=1, both={"loss": 0.05, "delay": 10}) as line:
        with line.at("server"):
            ...  # what starts or opens a socket here does so at that end, under line.address["server"]

It takes the rights to make namespaces and devices: `missing()` says what is not there.
"""

import contextlib
import ctypes
import fcntl
import functools
import json
import os
import pathlib
import selectors
import struct
import subprocess
import sys
import time

from relay import Carrier, Remote

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET_MAX = 65535
BURST = 64  # packets taken from one end before the other gets its turn
ENDS = ("client", "server")
ADDRESSES = {"client": "10.97.0.1", "server": "10.97.0.2"}
SETTINGS = {
    "ipv4/tcp_congestion_control": "reno",  # which no namespace is refused, and at high loss is as cubic
    "ipv4/tcp_no_metrics_save": "1",  # no connection knows of the one before
}

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def open_end(name):
    """A namespace of its own, which this process is in from now on, and its end of the line:
    (the namespace, the device)."""
    check(libc.unshare(CLONE_NEWNET))
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"line", IFF_TUN | IFF_NO_PI))
    for command in (
        ["address", "add", f"{ADDRESSES[name]}/24", "dev", "line"],
        ["link", "set", "line", "up", "txqueuelen", "10000"],
        ["link", "set", "lo", "up"],
    ):
        subprocess.run(["ip", *command], check=True, stdout=subprocess.DEVNULL)
    for setting, value in SETTINGS.items():
        pathlib.Path(f"/proc/sys/net/{setting}").write_text(value)
    return os.open("/proc/self/ns/net", os.O_RDONLY), device


class Loop(Carrier):
    """The process of a Line."""

    def __init__(self, settings):
        super().__init__(settings)
        self.namespaces, self.devices = {}, {}
        for name in ENDS:
            self.namespaces[name], self.devices[name] = open_end(name)
        for name, way, other in (("client", "up", "server"), ("server", "down", "client")):
            take = functools.partial(self.take, self.devices[name], self.paths[way], self.devices[other])
            self.selector.register(self.devices[name], selectors.EVENT_READ, take)
        self.change(settings)

    def take(self, device, path, other):
        for _ in range(BURST):
            try:
                packet = os.read(device, PACKET_MAX)
            except BlockingIOError:
                return
            for due, packet, _ in path.send(time.monotonic(), packet):
                self.later(due, other, packet)

    def pass_on(self, device, packet):
        with contextlib.suppress(OSError):  # lost, as in any network
            os.write(device, packet)


class Line(Remote):
    address = ADDRESSES

    def __init__(self, **settings):
        super().__init__(pathlib.Path(__file__), settings)
        self.namespaces = {name: f"/proc/{self.process.pid}/fd/{number}" for name, number in self.greeting.items()}

    @contextlib.contextmanager
    def at(self, end):
        """This thread, and what it starts, is at one end."""
        with open("/proc/thread-self/ns/net") as home, open(self.namespaces[end]) as there:
            check(libc.setns(there.fileno(), CLONE_NEWNET))
            try:
                yield
            finally:
                check(libc.setns(home.fileno(), CLONE_NEWNET))


def missing():
    """Why there is no line on this machine, or None."""
    try:
        with Line() as line, line.at("server"):
            return None
    except OSError as error:
        return f"no network namespace or no TUN device: {error}"


if __name__ == "__main__":
    line = Loop(json.loads(sys.argv[1]))
    line.run(line.namespaces)
