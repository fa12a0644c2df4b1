"""Starts and stops the showcase program that the end-to-end tests talk to."""

import contextlib
import functools
import http.client
import json
import os
import pathlib
import random
import re
import selectors
import signal
import socket
import subprocess
import tempfile
import threading
import time

from secure import SecureAddress

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("ROUTED_BUILD_DIR", ROOT / "build/release"))
BINARY = BUILD / "examples/showcase/showcase"

MODES = ["bridge", "processes", "in-process"]
START_TIMEOUT = 30
STOP_TIMEOUT = 30

SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")


def eventually(question, timeout=20.0, every=0.005):
    """Asks until the answer is true, and returns it; the last answer when time is up, which is late
    enough for a sanitizer build on a machine with much else to do."""
    deadline = time.monotonic() + timeout
    while True:
        answer = question()
        if answer or time.monotonic() >= deadline:
            return answer
        time.sleep(every)


class TooSlow(AssertionError):
    """Something took longer than it should have. The machine may have done something else."""


def unhurried(attempts):
    """For a test that takes the time: what is always too slow fails, what the machine held up does
    not, for it is tried again."""

    def decorate(test):
        @functools.wraps(test)
        def run(*arguments, **settings):
            for _ in range(attempts - 1):
                with contextlib.suppress(TooSlow):
                    return test(*arguments, **settings)
            return test(*arguments, **settings)

        return run

    return decorate


def lasting_port():
    """A free port that the kernel gives to nobody who asks for any: it stays free until it is used."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        address = ("127.0.0.1", random.randrange(10000, max(first, 20000)))
        with contextlib.suppress(OSError), socket.create_server(address):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.bind(address)
                return address[1]


def read_status(pid):
    """The lines of /proc/PID/status as a dict; empty once the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def is_alive(pid):
    return read_status(pid).get("State", "Z").lstrip()[0] not in "ZX"


def children(pid):
    """Process ids of the living children."""
    found = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return [child for child in found if is_alive(child)]


def read_kib(pid, name):
    """VmRSS, VmHWM and so on; 0 once the process is gone."""
    return int(read_status(pid).get(name, "0 kB").split()[0])


def read_cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Showcase:
    """One running server. `code` and `errors` (its stderr) are there once it has ended.

    `scheme` says whether `url` and `address` are those of its plain port or of its TLS port, which
    has the certificate for development in the folder `certificates`."""

    def __init__(self, *arguments, mode="bridge", folder, port=0, prefix=(), scheme="http", certificates=None):
        self.mode = mode
        self.scheme = scheme
        self.authority = None
        self.folder = pathlib.Path(folder)
        self.code = None
        self.stderr = tempfile.NamedTemporaryFile(
            dir=self.folder, prefix="stderr-", delete=False
        )
        self.metrics_file = self.folder / f"metrics-{os.path.basename(self.stderr.name)}"
        self.metrics_lock = threading.Lock()
        command = [*map(str, prefix), str(BINARY), "--port", str(port), "--mode", mode]
        if "--workers" not in arguments:
            command += ["--workers", "2"]
        if "--engines" not in arguments:
            command += ["--engines", "2"]
        if scheme == "https":
            self.authority = certificates / "authority.pem"
            command += ["--https", "0", "--certificates", str(certificates)]
        command += ["--metrics", str(self.metrics_file), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.stderr,
            cwd=self.folder,
        )
        self.pid = self.process.pid
        self.line = self._read_line(START_TIMEOUT)
        self.hints = []  # what it says before
        while self.line.startswith(("Trust ", "curl ")):
            self.hints.append(self.line)
            self.line = self._read_line(START_TIMEOUT)
        match = re.match(r"Listening on http://(.+?):(\d+) ", self.line)
        if not match:
            self.kill()
            raise RuntimeError(f"showcase did not start: {self.line!r} {self.errors}")
        self.host = match.group(1).strip("[]")
        self.port = int(match.group(2))
        match = re.search(r" and https://.+?:(\d+) ", self.line)
        self.secure_port = int(match.group(1)) if match else None

    def _read_line(self, timeout):
        line = b""
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0, deadline - time.monotonic())):
                    break
                piece = os.read(self.process.stdout.fileno(), 1)
                if not piece:
                    break
                line += piece
        return line.decode().strip()

    # ---- talking to it ----

    @property
    def url(self):
        if self.scheme == "https":
            return self.secure_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def address(self):
        if self.scheme == "https":
            return SecureAddress(self.secure_address, self.authority)
        return self.plain_address

    @property
    def trust(self):
        """Arguments that let curl trust `url`."""
        return ["--cacert", str(self.authority)] if self.authority else []

    @property
    def plain_address(self):
        return (self.host, self.port)

    @property
    def secure_url(self):
        return f"https://localhost:{self.secure_port}"

    @property
    def secure_address(self):
        return (self.host, self.secure_port)

    def connect(self, timeout=20):
        return socket.create_connection(self.plain_address, timeout)

    def get(self, target, timeout=20):
        """(status, body) over a plain connection of its own."""
        with contextlib.closing(http.client.HTTPConnection(*self.plain_address, timeout)) as client:
            client.request("GET", target)
            answer = client.getresponse()
            return answer.status, answer.read()

    def ends(self):
        """{"cancelled": exchanges whose client left, "hung": calls of /hang}"""
        return json.loads(self.get("/cancelled")[1])

    def metrics(self):
        """The numbers of the server now. Any thread."""
        with self.metrics_lock:
            with contextlib.suppress(FileNotFoundError):
                self.metrics_file.unlink()
            self.process.send_signal(signal.SIGUSR2)
            assert eventually(self.metrics_file.exists), "no metrics were written"
            return json.loads(self.metrics_file.read_text())

    def assert_numbers(self, wanted):
        """Waits until the numbers named are these: a worker counts when it has sent, and a client may
        ask before."""

        def differ():
            now = self.metrics()
            return {name: now[name] for name, value in wanted.items() if now[name] != value}

        assert eventually(lambda: not differ()), f"{differ()}, not {wanted}"

    def refuses(self):
        """Are connections refused by now?"""
        try:
            self.connect(5).close()
        except OSError:
            return True
        return False

    # ---- looking at it ----

    def engines(self):
        """Process ids of the engines, which are children of the supervisor; empty where engines
        are threads."""
        return sorted(pid for child in children(self.pid) for pid in children(child))

    def processes(self):
        """All of its processes: front, supervisor, engines."""
        return [self.pid, *children(self.pid), *self.engines()]

    @property
    def errors(self):
        return pathlib.Path(self.stderr.name).read_text(errors="replace")

    # ---- ending it ----

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=STOP_TIMEOUT):
        if self.code is None:
            self.code = self.process.wait(timeout)
            self.process.stdout.close()
            self.stderr.close()
        return self.code

    def stop(self, timeout=STOP_TIMEOUT):
        if self.code is None:
            self.signal(signal.SIGTERM)
            self.wait(timeout)
        return self.code

    def kill(self):
        """Ends it and its engines the hard way; for clean-up."""
        for pid in reversed(self.processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return self.wait()

    def assert_clean(self, code=0):
        assert not SANITIZER.search(self.errors), self.errors
        assert self.code == code, f"exit code {self.code}, stderr: {self.errors[-2000:]}"


@contextlib.contextmanager
def serving(*arguments, **settings):
    """A showcase for as long as the block runs; it must end clean."""
    showcase = Showcase(*arguments, **settings)
    try:
        yield showcase
        showcase.stop()
    finally:
        if showcase.code is None:
            showcase.kill()
    showcase.assert_clean()
