"""System calls per request, in a phase of its own: counting costs time."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from harness import machine, servers, turn

EVENT = "raw_syscalls:sys_enter"


def _has_perf():
    if not shutil.which("perf"):
        return False
    done = subprocess.run(["perf", "stat", "-x,", "-e", EVENT, "true"], capture_output=True, text=True)
    return done.returncode == 0 and re.search(rf"^\d+,.*{EVENT}", done.stderr, re.MULTILINE) is not None


def _has_strace():
    """Attaching to a process that is there already needs more rights than starting one."""
    if not shutil.which("strace"):
        return False
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        counting = Strace([sleeper.pid])
        may_attach = counting.is_attached
        counting.stop()
        sleeper.kill()
    return may_attach


def find_counter():
    """perf counts without slowing anything down; strace is there where perf may not; None: neither."""
    if _has_perf():
        return Perf
    return Strace if _has_strace() else None


def end(process):
    """What a counter says at its end."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=20)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[1]


class Perf:
    """Counts between start and stop, for all threads that these processes have then."""

    name = "perf"

    def __init__(self, pids):
        self.stack = contextlib.ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="routed-bench-"))
        names = [f"{folder}/control", f"{folder}/said"]
        for name in names:
            os.mkfifo(name)
        # Open at both ends from the start, so that a perf that does not come keeps nobody waiting.
        self.control, self.said = (self.stack.enter_context(open(os.open(name, os.O_RDWR), "r+b", buffering=0))
                                   for name in names)
        self.process = subprocess.Popen(
            machine.bound_to_us(["perf", "stat", "-x,", "-e", EVENT, "-D", "-1",
                                 f"--control=fifo:{names[0]},{names[1]}", "-p", ",".join(map(str, pids))]),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        self.is_attached = self._tell("enable")

    def _tell(self, word):
        self.control.write(word.encode() + b"\n")
        try:
            return bool(servers.read_line(self.said, "perf"))
        except RuntimeError:
            return False

    def stop(self):
        is_counted = self.is_attached and self._tell("disable")
        said = end(self.process)
        self.stack.close()
        found = re.search(rf"^(\d+),.*{EVENT}", said, re.MULTILINE)
        return int(found.group(1)) if found and is_counted else None


class Strace:
    name = "strace"

    def __init__(self, pids):
        self.output = tempfile.NamedTemporaryFile(prefix="routed-bench-", mode="r")
        command = ["strace", "-f", "-c", "-o", self.output.name]
        for pid in pids:
            command += ["-p", str(pid)]
        self.process = subprocess.Popen(machine.bound_to_us(command), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        left = len(pids)
        try:
            while left and b"ptrace(" not in (line := servers.read_line(self.process.stderr, "strace")):
                left -= b"attached" in line
        except RuntimeError:
            pass
        self.is_attached = left == 0

    def stop(self):
        end(self.process)
        if not self.is_attached:
            return None
        total = re.search(r"^100\.00\s+\S+\s+\S+\s+(\d+)(?:\s+\d+)?\s+total", self.output.read(), re.MULTILINE)
        return int(total.group(1)) if total else None


def count(programs, server, arguments, port, counter):
    """System calls per request; LoadFailed where they cannot be counted."""
    with turn.Load(programs, arguments, port) as load:
        counting = counter(server.pids())
        try:
            requests = load.go()["requests"] if counting.is_attached else 0
        finally:
            calls = counting.stop()
    if not calls or not requests:
        raise turn.LoadFailed(f"{counting.name} did not count processes {server.pids()}")
    return calls / requests
