"""The cases: servers that are started, asked and stopped."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import time

from harness import machine, rivals

READY_SECONDS = 15
TOOLS = ("openssl", "setpriv", "taskset")  # of the machine; rivals and counters may be missing
OWN = ("routed_io", "routed_ffi", "routed_ffi_processes", "routed_ffi_in_process", "routed_ffi_native_direct")
NAMES = ("floor", *OWN, *rivals.NAMES)
ALWAYS = tuple(name for name in NAMES if name not in ("routed_io", *rivals.NAMES))


class Unavailable(Exception):
    """This case cannot run here, and why."""


class Server:
    """One case that is up."""

    def __init__(self, name, roots, ports, counter=None):
        self.name = name
        self.roots = roots  # processes that were started
        self.ports = ports  # protocol -> port
        self.counter = counter

    def pids(self):
        return [pid for root in self.roots for pid in machine.family(root.pid)]

    def speaks(self, protocol):
        return protocol in self.ports

    def count(self):
        """Numbers of our own servers: allocations so far, bytes held; None for others."""
        if not self.counter:
            return None
        self.counter.stdin.write(b"count\n")
        self.counter.stdin.flush()
        return json.loads(read_line(self.counter.stdout, self.name))


def read_line(stream, name):
    """A line, or RuntimeError when none comes in time."""
    said, deadline = b"", time.monotonic() + READY_SECONDS
    while not said.endswith(b"\n"):
        left = max(0, deadline - time.monotonic())
        ready = select.select([stream], [], [], left)[0]
        byte = os.read(stream.fileno(), 1) if ready else b""
        if not byte:
            raise RuntimeError(f"{name} said nothing: is it still there?")
        said += byte
    return said


def stop(process):
    """Our own end with their input, others with a signal."""
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    else:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


class House:
    """Starts servers on the servers' core, and stops them all at its end."""

    def __init__(self, programs, address="127.0.0.1", count_allocations=False):
        self.programs = programs
        self.address = address
        self.count_allocations = count_allocations
        self.stack = contextlib.ExitStack()
        self.folder = None
        self.started = []

    def __enter__(self):
        self.stack.__enter__()
        self.folder = pathlib.Path(self.stack.enter_context(rivals.temporary_folder()))
        rivals.write_files(self.folder, self.address)
        return self

    def __exit__(self, *details):
        return self.stack.__exit__(*details)

    @property
    def certificate(self):
        return self.folder / "certificate.pem", self.folder / "key.pem"

    def run(self, command, **options):
        process = subprocess.Popen(machine.bound_to_us(machine.pinned(machine.cores()[0], command)), **options)
        self.started.append(process)
        self.stack.callback(stop, process)
        return process

    def open(self, name):
        before = len(self.started)
        try:
            server = self._start(name)
            if "h1" in server.ports:
                wait_until_answered(server, self.address)
            else:
                self.wait_until_answered_by_quic(server)
        except Unavailable:
            for process in self.started[before:]:
                stop(process)  # what does not serve may be busy all the same
            raise
        return server

    def wait_until_answered_by_quic(self, server):
        """A QUIC client whose first datagram finds nobody tries again after a second only: too late for
        who measures how long the server took. So others follow, each more patient than the last."""
        deadline, patience = time.monotonic() + READY_SECONDS, 0.02
        while time.monotonic() < deadline and all(root.poll() is None for root in server.roots):
            command = [self.programs / "routed-load", "--protocol", "h3", "--host", self.address, "--port", str(server.ports["h3"]), "--path", "/bench",
                       "--connections", "1", "--requests", "1", "--patience", f"{patience:f}"]
            if subprocess.run(command, capture_output=True).returncode == 0:
                return
            patience *= 1.3
        raise Unavailable(why_not(server))

    def _start(self, name):
        if name in rivals.NAMES:
            program = rivals.PROGRAMS[name]
            if not shutil.which(program):
                raise Unavailable(f"there is no {program}")
            roots, ports = rivals.START[name](self)
            return Server(name, roots, ports)
        return self._start_own(name)

    def _start_own(self, name):
        if name == "floor":
            command = [self.programs / "bench-floor", self.address]
        else:
            count = ["--count-allocations"] if self.count_allocations else []
            command = [self.programs / "bench-server", *count, self.address, name, *self.certificate]
        process = self.run(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            said = json.loads(read_line(process.stdout, name))
        except RuntimeError as reason:
            raise Unavailable(str(reason)) from None
        ports = {"h1": said["port"]}
        if name != "floor":
            ports["h1s"] = said["secure_port"]
        if name not in ("floor", "routed_io"):
            ports |= {"h2c": said["port"], "h2": said["secure_port"], "h3": said["secure_port"]}
        return Server(name, [process], ports, None if name == "floor" else process)


def ask(address, port):
    """One GET /bench; the whole answer."""
    with contextlib.closing(socket.create_connection((address, port), timeout=5)) as link:
        link.sendall(b"GET /bench HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        said = b""
        while b'"ok":true' not in said:
            chunk = link.recv(65536)
            if not chunk:
                break
            said += chunk
        return said


def wait_until_answered(server, address):
    """Until the answer is the one that is expected: a proxy may be up before what is behind it."""
    deadline = time.monotonic() + READY_SECONDS
    said = b""
    while time.monotonic() < deadline and all(root.poll() is None for root in server.roots):
        try:
            said = ask(address, server.ports["h1"])
        except (ConnectionError, TimeoutError):
            pass
        if b'"ok":true' in said:
            return
        time.sleep(0.001)
    raise Unavailable(f"it answers {said[:100]!r}" if said else why_not(server))


def why_not(server):
    ended = [root.returncode for root in server.roots if root.poll() is not None]
    return f"it ended with status {ended[0]}" if ended else "it does not listen"
