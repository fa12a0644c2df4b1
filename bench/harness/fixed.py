"""The gate on what does not vary with the machine: system calls, allocations and instructions for
one request, against the limits of bench/limits.txt; the ratio gate is told beside it."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess

from harness import counted, results, servers, table, turn, workloads

LIMITS = pathlib.Path(__file__).resolve().parents[1] / "limits.txt"
REQUESTS = 2000
INSTRUCTION_REQUESTS = 500
UNITS = {"calls": "system calls", "allocations": "allocations", "instructions": "instructions"}


def read_limits(text):
    """[(what, subject, limit)]: "calls routed_ffi/h1 9.2", one a line."""
    limits = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 3 or words[0] not in UNITS:
            raise ValueError(f"bench/limits.txt: {line!r} is no limit")
        limits.append((words[0], words[1], float(words[2])))
    return limits


def one_connection(protocol, options):
    return ["--host", options.address, "--path", "/bench", "--protocol", protocol, "--connections", "1", "--warmup", "200",
            "--requests", str(REQUESTS)]


def count_allocations(programs, server, protocol, options):
    with turn.Load(programs, one_connection(protocol, options), server.ports[protocol]) as load:
        before = server.count()["allocations"]
        requests = load.go()["requests"]
        return (server.count()["allocations"] - before) / requests


def count_instructions(programs, room):
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=measured_*",
         programs / "bench-pure", room, str(INSTRUCTION_REQUESTS)],
        capture_output=True, text=True, timeout=300,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise RuntimeError(f"bench-pure {room} under valgrind: {done.stderr[-500:]}")
    return int(found.group(1)) / INSTRUCTION_REQUESTS


def measure(programs, options, limits):
    """[(what, subject, value, limit)], in the order of the file."""
    found = {}
    counter = counted.find_counter()
    if counter is None or not shutil.which("valgrind"):
        raise RuntimeError("the gate needs perf or strace, and valgrind")
    subjects = dict.fromkeys(subject for what, subject, _ in limits if what != "instructions")
    with servers.House(programs, options.address, count_allocations=True) as house:
        opened = {}
        for subject in subjects:
            case, _, protocol = subject.partition("/")
            server = opened.get(case) or opened.setdefault(case, house.open(case))
            found["allocations", subject] = count_allocations(programs, server, protocol, options)
            found["calls", subject] = counted.count(programs, server, one_connection(protocol, options), server.ports[protocol], counter)
    for what, subject, _ in limits:
        if what == "instructions":
            found[what, subject] = count_instructions(programs, subject)
    return [(what, subject, found[what, subject], limit) for what, subject, limit in limits]


def ratios(programs, options):
    """routed_ffi against routed_io at a tiny GET: told always, judged where a bound was given."""
    given = argparse.Namespace(**{**vars(options), "protocol": "h1", "requests": max(options.requests, 2500)})
    tiny, turns = workloads.ALL["tiny"], {"routed_io": [], "routed_ffi": []}
    with servers.House(programs, options.address) as house:
        opened = [house.open(name) for name in turns]
        for _ in range(max(options.iterations, 3)):
            for server in opened:
                turns[server.name].append(turn.take(programs, server, tiny, given))
            opened.reverse()
    rows = [results.summarise(name, tiny, "h1", found) for name, found in turns.items()]
    plain, ours = rows
    text = (f"routed_ffi to routed_io: req/s {ours['requestsPerSecond'] / plain['requestsPerSecond']:.3f}, "
            f"p95 {ours['p95Micros'] / max(1, plain['p95Micros']):.3f}")
    return text, rows, results.gate(rows, options)


def check(programs, options):
    measured = measure(programs, options, read_limits(LIMITS.read_text()))
    text, rows, gate = ratios(programs, options)
    passed = gate["passed"]
    cells, kept = [], []
    for what, subject, value, limit in measured:
        is_good = value <= limit
        passed = passed and is_good
        cells.append([UNITS[what], subject, f"{value:,.2f}", f"{limit:,.2f}", "PASS" if is_good else "FAIL"])
        kept.append({"what": what, "subject": subject, "value": round(value, 3), "limit": limit, "passed": is_good})
    report = {"fixed": kept, "ratio": text, "results": rows, "gate": {"passed": passed, "messages": gate["messages"]}}
    (programs.parent / "bench-gate.json").write_text(json.dumps(report, indent=2) + "\n")
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join([*table.lines(["for one request", "of", "measured", "at most", ""], cells), "", text,
                         *gate["messages"]]))
    return 0 if passed else 1
