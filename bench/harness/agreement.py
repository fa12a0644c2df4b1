"""Is our load generator right? Where wrk and h2load can do the same, they have to agree with it.

The server is the slower side at every point, so that a rate says what the server did and not how
fast a load can ask: either it waits 50 ms with each answer, or it is the bridge with all its parts
on one core. The loads take turns; what is compared is the median of the ratios of neighbours."""

import json
import re
import resource
import shutil
import statistics
import subprocess
import sys

from harness import machine, results, servers, turn

SECONDS = 2  # wrk takes whole ones
TURNS = 5
LIMIT = 0.05

# A delay of which the grid of the server's timers, a millisecond, is a small part: the median of
# answers that come in two heaps, one on each side of a tick, is either the one or the other.
DELAY, BUSY = "routed_ffi_in_process", "routed_ffi"


def wrk(connections):
    return lambda url: ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{SECONDS:g}s", url]


def h2load(connections, streams, *more):
    return lambda url: ["h2load", *more, "-t1", f"-c{connections}", f"-m{streams}", f"-D{SECONDS:g}", url]


# server, path, protocol, connections, streams, the other's command
POINTS = (
    (DELAY, "/delay/50", "h1", 64, 1, wrk(64)),
    (DELAY, "/delay/50", "h1", 64, 1, h2load(64, 1, "--h1")),
    (DELAY, "/delay/50", "h2c", 64, 1, h2load(64, 1)),
    (DELAY, "/delay/50", "h2", 10, 20, h2load(10, 20)),
    (BUSY, "/bench", "h1", 64, 1, wrk(64)),
    (BUSY, "/bench", "h1s", 64, 1, wrk(64)),
    (BUSY, "/bench", "h2c", 64, 1, h2load(64, 1)),
    (BUSY, "/bench", "h2c", 10, 100, h2load(10, 100)),
)


def microseconds(text):
    """A time as wrk and h2load write it: "950.00us", "10.51ms", "1.02s"."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def read_wrk(said):
    """Requests, rate, and the median latency in microseconds."""
    requests = int(re.search(r"(\d+) requests in", said).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))
    return requests, rate, microseconds(re.search(r"^ +50%\s+(\S+)", said, re.MULTILINE).group(1))


def read_h2load(said):
    """The same; of latencies it tells the mean only."""
    requests = int(re.search(r"(\d+) succeeded", said).group(1))
    seconds = re.search(r"finished in ([\d.]+(?:us|ms|s))", said).group(1)
    mean = re.search(r"time for request:\s+\S+\s+\S+\s+(\S+)", said).group(1)
    return requests, requests / (microseconds(seconds) / 1e6), microseconds(mean)


def theirs(server, command):
    before = machine.cpu(server.pids())[0]
    done = subprocess.run(machine.pinned(machine.cores()[1], command), capture_output=True, text=True, timeout=60)
    spent = machine.cpu(server.pids())[0] - before
    try:
        requests, rate, latency = (read_wrk if command[0] == "wrk" else read_h2load)(done.stdout)
    except AttributeError:
        raise turn.LoadFailed(f"{' '.join(command)} said {done.stdout!r} {done.stderr!r}") from None
    return {"rate": rate, "latency": latency, "cpu": spent / max(1, requests) * 1e6}


def ours(programs, server, point, tool):
    _, path, protocol, connections, streams, _ = point
    given = ["--path", path, "--protocol", protocol, "--duration", f"{SECONDS:g}", "--warmup", "0",
             "--connections", str(connections), "--streams", str(streams)]
    with turn.Load(programs, given, server.ports[protocol]) as load:
        before = machine.cpu(server.pids())[0]
        measured = load.go()
        spent = machine.cpu(server.pids())[0] - before
    if measured["errors"]["total"]:
        raise turn.LoadFailed(f"{measured['errors']['total']} requests failed")
    return {"rate": measured["requests_per_second"], "latency": measured["latency"]["p50" if tool == "wrk" else "mean"],
            "cpu": spent / max(1, measured["requests"]) * 1e6}


def children_seconds():
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def take_pair(programs, server, point, line, ours_first):
    """Ours and theirs, one after the other, and how much of the machine others took meanwhile."""
    steps = {"ours": lambda: ours(programs, server, point, line[0]), "theirs": lambda: theirs(server, line)}
    ticks, loads, cpu = machine.ticks(), children_seconds(), machine.cpu(server.pids())[0]
    found = {name: steps[name]() for name in (("ours", "theirs") if ours_first else ("theirs", "ours"))}
    own = children_seconds() - loads + machine.cpu(server.pids())[0] - cpu
    return found["ours"], found["theirs"], machine.taken_by_others(ticks, machine.ticks(), own)


def compare(programs, server, point):
    """Medians of ours, of theirs, and of the ratios; None while others use the machine."""
    _, path, protocol, *_, command = point
    scheme = "https" if protocol in ("h1s", "h2") else "http"
    line = command(f"{scheme}://127.0.0.1:{server.ports[protocol]}{path}")
    pairs = []
    for number in range(2 * TURNS):
        own, other, disturbance = take_pair(programs, server, point, line, number % 2 == 0)
        if disturbance <= results.OTHERS_LIMIT:
            pairs.append((own, other))
        if len(pairs) == TURNS:
            break
    if not pairs:
        return None

    def median(read):
        return {name: statistics.median(read(own[name], other[name]) for own, other in pairs) for name in pairs[0][0]}

    return median(lambda a, b: a), median(lambda a, b: b), median(lambda a, b: a / b if b else 1.0)


def check(programs, options):
    rows, agrees = [], True
    for tool in ("wrk", "h2load"):
        if not shutil.which(tool):
            print(f"routed-bench: {tool} is not installed", file=sys.stderr)
            return 1
    with servers.House(programs) as house:
        opened = {name: house.open(name) for name in (DELAY, BUSY)}
        for point in POINTS:
            case, path, protocol, connections, streams, command = point
            tool = command("")[0]
            try:
                found = compare(programs, opened[case], point)
            except turn.LoadFailed as reason:
                print(f"routed-bench: {reason}", file=sys.stderr)
                agrees = False
                continue
            if found is None:
                print(f"{protocol:3} {connections:2} x {streams:<3} {path:9} {tool:6}  others used the machine all the time")
                agrees = False
                continue
            own, other, ratio = found
            is_good = abs(ratio["rate"] - 1) <= LIMIT and abs(ratio["latency"] - 1) <= LIMIT
            agrees = agrees and is_good
            rows.append({"case": case, "path": path, "protocol": protocol, "connections": connections,
                         "streams": streams, "tool": tool, "ours": own, "theirs": other, "ratios": ratio,
                         "agrees": is_good})
            word = "p50 " if tool == "wrk" else "mean"
            print(f"{protocol:3} {connections:2} x {streams:<3} {path:9} {tool:6}  "
                  f"rate {own['rate']:>8,.0f} / {other['rate']:>8,.0f} = {ratio['rate']:.3f}  "
                  f"{word} {own['latency']:>8,.0f} / {other['latency']:>8,.0f} us = {ratio['latency']:.3f}  "
                  f"CPU {ratio['cpu']:.3f}  {'agree' if is_good else 'DISAGREE'}", flush=True)
    (programs.parent / "bench-agreement.json").write_text(json.dumps(rows, indent=2) + "\n")
    return 0 if agrees else 1
