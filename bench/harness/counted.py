"""System calls per request, in a phase of its own: counting costs time."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from harness import turn, workloads

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


class Perf:
    """Counts between start and stop, for all threads that these processes have then."""

    name = "perf"

    def __init__(self, pids):
        self.stack = contextlib.ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="routed-bench-"))
        names = [f"{folder}/control", f"{folder}/said"]
        for name in names:
            os.mkfifo(name)
        self.process = subprocess.Popen(
            ["perf", "stat", "-x,", "-e", EVENT, "-D", "-1", f"--control=fifo:{names[0]},{names[1]}",
             "-p", ",".join(map(str, pids))],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        self.control = self.stack.enter_context(open(names[0], "w", buffering=1))
        self.said = self.stack.enter_context(open(names[1]))
        self._tell("enable")

    def _tell(self, word):
        self.control.write(word + "\n")
        self.said.readline()

    def stop(self):
        self._tell("disable")
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=20)[1]
        self.stack.close()
        found = re.search(rf"^(\d+),.*{EVENT}", said, re.MULTILINE)
        return int(found.group(1)) if found else None


class Strace:
    name = "strace"

    def __init__(self, pids):
        self.output = tempfile.NamedTemporaryFile(prefix="routed-bench-", mode="r")
        command = ["strace", "-f", "-c", "-o", self.output.name]
        for pid in pids:
            command += ["-p", str(pid)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        left = len(pids)
        while left and (line := self.process.stderr.readline()):
            left -= "attached" in line
        self.is_attached = left == 0

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)
        total = re.search(r"^100\.00\s+\S+\s+\S+\s+(\d+)(?:\s+\d+)?\s+total", self.output.read(), re.MULTILINE)
        return int(total.group(1)) if total else None


def count(programs, server, workload, options, counter):
    """System calls per request; None where they cannot be counted."""
    arguments = workloads.arguments(workload, options)
    with turn.Load(programs, arguments, server.ports[workloads.protocol_of(workload, options)]) as load:
        counting = counter(server.pids())
        try:
            requests = load.go()["requests"]
        finally:
            calls = counting.stop()
    return calls / requests if calls and requests else None
