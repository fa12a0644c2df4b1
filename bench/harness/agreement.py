"""Is our load generator right? Where wrk and h2load can do the same, all three have to agree.

The server is the same process, on its core; the loads take turns on the other one. What is compared
is the server's CPU time for each request and the rate, each as the median over the turns."""

import json
import re
import shutil
import statistics
import subprocess
import sys
import time

from harness import machine, servers, turn

SECONDS = 2.0
TURNS = 7
LIMIT = 0.05

# name, protocol, other tool, arguments of ours, command of the other
POINTS = (
    ("h1, 64 connections", "h1", "wrk", ["--connections", "64"],
     lambda url, port: ["wrk", "-t1", "-c64", f"-d{SECONDS:g}s", url]),
    ("h1, 64 connections", "h1", "h2load", ["--connections", "64"],
     lambda url, port: ["h2load", "--h1", "-t1", "-c64", f"-D{SECONDS:g}", url]),
    ("h2c, 64 connections of 1 stream", "h2c", "h2load", ["--connections", "64", "--streams", "1"],
     lambda url, port: ["h2load", "-t1", "-c64", "-m1", f"-D{SECONDS:g}", url]),
    ("h2c, 10 connections of 100 streams", "h2c", "h2load", ["--connections", "10", "--streams", "100"],
     lambda url, port: ["h2load", "-t1", "-c10", "-m100", f"-D{SECONDS:g}", url]),
    ("h2, 10 connections of 100 streams", "h2", "h2load", ["--connections", "10", "--streams", "100"],
     lambda url, port: ["h2load", "-t1", "-c10", "-m100", f"-D{SECONDS:g}", url]),
)


def read_wrk(said):
    requests = int(re.search(r"(\d+) requests in", said).group(1))
    return requests, float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))


def read_h2load(said):
    requests = int(re.search(r"(\d+) succeeded", said).group(1))
    return requests, float(re.search(r"([\d.]+) req/s", said).group(1))


READERS = {"wrk": read_wrk, "h2load": read_h2load}


def theirs(server, command, reader):
    before = machine.cpu(server.pids())[0]
    done = subprocess.run(machine.pinned(machine.cores()[1], command), capture_output=True, text=True, timeout=60)
    spent = machine.cpu(server.pids())[0] - before
    requests, rate = reader(done.stdout)
    return spent / max(1, requests) * 1e6, rate


def ours(programs, server, protocol, arguments):
    given = ["--path", "/bench", "--protocol", protocol, "--duration", f"{SECONDS:g}", "--warmup", "0", *arguments]
    with turn.Load(programs, given, server.ports[protocol]) as load:
        before = machine.cpu(server.pids())[0]
        measured = load.go()
        spent = machine.cpu(server.pids())[0] - before
    if measured["errors"]["total"]:
        raise turn.LoadFailed(f"{measured['errors']['total']} requests failed")
    return spent / max(1, measured["requests"]) * 1e6, measured["requests_per_second"]


def compare(programs, server, point):
    """Medians of (CPU, rate), ours and theirs."""
    _, protocol, tool, arguments, command = point
    scheme = "https" if protocol in ("h1s", "h2") else "http"
    port = server.ports[protocol]
    pairs = {"ours": [], "theirs": []}
    for number in range(TURNS):
        steps = [("ours", lambda: ours(programs, server, protocol, arguments)),
                 ("theirs", lambda: theirs(server, command(f"{scheme}://127.0.0.1:{port}/bench", port), READERS[tool]))]
        for name, step in steps if number % 2 else reversed(steps):
            pairs[name].append(step())
    return {name: tuple(statistics.median(pair[i] for pair in found) for i in (0, 1)) for name, found in pairs.items()}


def paced(programs, server, rate):
    """Open loop: the rate that came out, and whether anything was late to be sent."""
    given = ["--path", "/bench", "--rate", str(rate), "--duration", f"{SECONDS:g}"]
    with turn.Load(programs, given, server.ports["h1"]) as load:
        measured = load.go()
    return measured["requests_per_second"], measured["missed"]


def check(programs, options):
    rows, agrees = [], True
    case = (options.cases or ["routed_ffi_native_direct"])[0]
    with servers.House(programs) as house:
        server = house.open(case)
        for point in POINTS:
            title, _, tool = point[:3]
            if not shutil.which(tool):
                print(f"routed-bench: {tool} is not installed", file=sys.stderr)
                return 1
            began = time.monotonic()
            found = compare(programs, server, point)
            cpu = found["ours"][0] / found["theirs"][0]
            rate = found["ours"][1] / found["theirs"][1]
            is_good = abs(cpu - 1) <= LIMIT or abs(rate - 1) <= LIMIT
            agrees = agrees and is_good
            rows.append({"point": title, "tool": tool, "cpuRatio": round(cpu, 3), "rateRatio": round(rate, 3),
                         "ours": found["ours"], "theirs": found["theirs"], "agrees": is_good})
            print(f"{title:36} {tool:7} CPU {found['ours'][0]:7.2f} / {found['theirs'][0]:7.2f} us = {cpu:.3f}   "
                  f"rate {found['ours'][1]:>10,.0f} / {found['theirs'][1]:>10,.0f} = {rate:.3f}   "
                  f"{'agree' if is_good else 'DISAGREE'} ({time.monotonic() - began:.0f} s)", flush=True)
        rate, missed = paced(programs, server, 10000)
        print(f"open loop at 10,000/s: {rate:,.0f}/s, {missed} not sent in time")
    (programs.parent / "bench-agreement.json").write_text(json.dumps(rows, indent=2) + "\n")
    return 0 if agrees else 1
