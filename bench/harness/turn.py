"""One turn: the load runs against one server, and the kernel is asked what that cost."""

import contextlib
import json
import subprocess
import time

from harness import machine, workloads

PATIENCE = 120  # seconds for one turn, beside --duration


class LoadFailed(Exception):
    pass


class Load:
    """A routed-load that stops between its warm-up and what counts."""

    def __init__(self, programs, arguments, port, core=None):
        core = machine.cores()[1] if core is None else core
        command = [programs / "routed-load", "--hold", "--core", str(core), "--port", str(port), *arguments]
        self.process = subprocess.Popen(
            machine.bound_to_us(command),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    def __enter__(self):
        if self.process.stdout.readline() != b"ready\n":
            self.process.wait(PATIENCE)
            raise LoadFailed(self.process.stderr.read().decode().strip() or "routed-load ended")
        return self

    def __exit__(self, kind, *details):
        if kind:  # it may have hours to go
            self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def go(self):
        """Lets it measure; what it measured."""
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        if not said:
            raise LoadFailed(self.process.stderr.read().decode().strip() or "routed-load ended")
        return json.loads(said)


def take(programs, server, workload, options):
    """What one turn gave: the load's figures, with the cost beside them."""
    port = server.ports[workloads.protocol_of(workload, options)]
    with Load(programs, workloads.arguments(workload, options), port) as load:
        pids, own = server.pids(), [load.process.pid]
        machine.forget_peaks(pids)
        ticks, before, load_before = machine.ticks(), machine.cpu(pids), machine.cpu(own)[0]
        measured = load.go()
        after, load_after, ticks_after = machine.cpu(pids), machine.cpu(own)[0], machine.ticks()
        spent = [b - a for a, b in zip(before, after)]
        count = max(1, measured["requests"])
        measured["cpu_us"] = spent[0] / count * 1e6
        measured["cpu_seconds"] = spent
        measured["peak_memory"] = machine.memory(pids, "VmHWM")
        measured["stolen"] = machine.stolen(ticks, ticks_after)
        measured["others"] = machine.taken_by_others(ticks, ticks_after, spent[0] + load_after - load_before)
    return measured


def rest(programs, server, workload, options):
    """Bytes that a connection takes which has had one request and rests: after requests that came one
    after another, so that nothing but the connections is there, and after all have asked at once,
    which leaves buffers behind, and lines to the engine."""
    count = workloads.connections_of(workload, options)
    protocol = workloads.protocol_of(workload, options)
    before = _settled(server)
    arguments = ["--host", options.address, "--path", "/bench", "--protocol", protocol, "--connections", str(count), "--one-by-one",
                 "--warmup", str(count), "--requests", str(count)]
    with Load(programs, arguments, server.ports[protocol]) as load:
        resting = _settled(server)
        asked = load.go()
        after = _settled(server)
    if asked["connects"] or asked["errors"]["total"]:
        raise LoadFailed(f"of {count} connections {asked['connects']} did not stay, {asked['errors']['total']} requests failed")
    result = {"connections": count, "resting": (resting[0] - before[0]) / count, "burst": (after[0] - before[0]) / count}
    if before[1] is not None:
        result["resting_held"] = (resting[1] - before[1]) / count
        result["burst_held"] = (after[1] - before[1]) / count
    return result


def _held(server):
    numbers = server.count()
    return machine.memory(server.pids(), "RssAnon"), numbers and numbers["memory_held"]


def _settled(server):
    """What is held once it no longer shrinks: servers give back memory after a while."""
    last, since = _held(server), time.monotonic()
    began = since
    while time.monotonic() - since < 1.5 and time.monotonic() - began < 15:
        time.sleep(0.1)
        now = _held(server)
        if now[0] < last[0] or (now[1] or 0) < (last[1] or 0):
            last, since = now, time.monotonic()
    return last
