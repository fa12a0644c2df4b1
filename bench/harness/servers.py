"""The cases: servers that are started, asked and stopped."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import ssl
import subprocess
import time

from harness import machine, rivals

READY_SECONDS = 15
TOOLS = ("openssl", "setpriv", "taskset")  # of the machine; rivals and counters may be missing
OWN = ("routed_io", "routed_ffi", "routed_ffi_processes", "routed_ffi_in_process", "routed_ffi_native_direct")
NAMES = ("floor", *OWN, *rivals.NAMES)


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

    def __init__(self, programs, count_allocations=False):
        self.programs = programs
        self.count_allocations = count_allocations
        self.stack = contextlib.ExitStack()
        self.folder = None
        self.started = []

    def __enter__(self):
        self.stack.__enter__()
        self.folder = pathlib.Path(self.stack.enter_context(rivals.temporary_folder()))
        rivals.write_files(self.folder)
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
                wait_until_answered(server)
            else:
                self.wait_until_answered_by_quic(server)
        except Unavailable:
            for process in self.started[before:]:
                stop(process)  # what does not serve may be busy all the same
            raise
        return server

    def wait_until_answered_by_quic(self, server):
        """A QUIC client asks again by itself while nobody answers."""
        command = [self.programs / "routed-load", "--protocol", "h3", "--port", str(server.ports["h3"]),
                   "--path", "/bench", "--connections", "1", "--requests", "1"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=READY_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unavailable("it does not answer") from None
        if done.returncode:
            raise Unavailable(done.stderr.strip() or "it does not answer")

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
            command = [self.programs / "bench-floor"]
        else:
            count = ["--count-allocations"] if self.count_allocations else []
            command = [self.programs / "bench-server", *count, name, *self.certificate]
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


def ask(port, secure=False):
    """One GET /bench; the whole answer."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as plain:
        link = plain
        if secure:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            link = context.wrap_socket(plain, server_hostname="localhost")
        link.sendall(b"GET /bench HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        said = b""
        while b'"ok":true' not in said:
            chunk = link.recv(65536)
            if not chunk:
                break
            said += chunk
        return said


def wait_until_answered(server):
    """Until the answer is the one that is expected: a proxy may be up before what is behind it."""
    deadline = time.monotonic() + READY_SECONDS
    said = b""
    while time.monotonic() < deadline and all(root.poll() is None for root in server.roots):
        try:
            said = ask(server.ports["h1"])
        except (ConnectionError, TimeoutError):
            pass
        if b'"ok":true' in said:
            return
        time.sleep(0.001)
    ended = [root.returncode for root in server.roots if root.poll() is not None]
    if ended:
        raise Unavailable(f"it ended with status {ended[0]}")
    raise Unavailable(f"it answers {said[:100]!r}" if said else "it does not listen")
