"""CPU time of the server per request, for the modes of the showcase and for nginx.

Every case is a tiny GET over kept-alive connections on loopback. All servers stay up; the cases
take turns (A B C A B C ...) so that a slow minute of the machine meets all of them. The server
has core 0, wrk has core 1. What is counted is user and system time of the server process, its
threads and its children, over the requests that wrk completed; a turn in which another tenant
took more than 1 % of the machine is dropped, and the table says how many were.

Figures of two runs do not compare; ratios inside one run do.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 10
STEAL_LIMIT = 0.01

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    {body}
}}
"""
NGINX_ANSWER = """server {{ listen {listen}; location / {{
    default_type application/json; return 200 '{{"ok":true}}'; }} }}"""
NGINX_FRONT = """upstream engine {{ server unix:{back}; keepalive 128; keepalive_requests 1000000000; }}
server {{ listen {listen}; location / {{
    proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}"""


class Case:
    """A server that is up: its processes and the address of its tiny answer."""

    def __init__(self, name, processes, url):
        self.name, self.processes, self.url = name, processes, url
        self.turns, self.dropped = [], 0

    def cpu_seconds(self):
        return sum(tree_seconds(process.pid) for process in self.processes)


def tree_seconds(pid):
    """User and system time of a process with its threads, its dead children and living ones."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    own = sum(int(ticks) for ticks in fields[11:15]) / TICKS
    return own + sum(tree_seconds(child) for child in children)


def steal_share(before, after):
    spent = [b - a for a, b in zip(before, after)]
    return spent[7] / max(1, sum(spent[:8]))


def machine_ticks():
    with open("/proc/stat") as file:
        return [int(word) for word in file.readline().split()[1:]]


def pinned(core, command):
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[min(core, len(cores) - 1)]), *map(str, command)]


def start(stack, command, **options):
    process = subprocess.Popen(pinned(0, command), stdin=subprocess.DEVNULL, **options)
    stack.callback(stop, process)
    return process


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start_showcase(stack, binary, name, arguments, path):
    command = [binary, "--port", "0", "--workers", "1", "--engines", "1", *arguments]
    process = start(stack, command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, deadline = b"", time.monotonic() + READY_SECONDS
    while not (match := re.search(rb"http://[\w.\[\]:]+?:(\d+)", said)):
        left = deadline - time.monotonic()
        ready = select.select([process.stdout], [], [], max(0, left))[0]
        chunk = os.read(process.stdout.fileno(), 4096) if ready else b""
        if not chunk:
            sys.exit(f"bench: {name} did not print its address: {said.decode(errors='replace')}")
        said += chunk
    return Case(name, [process], f"http://127.0.0.1:{match.group(1).decode()}{path}")


def start_nginx(stack, body):
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-nginx-"))
    config = pathlib.Path(folder, "nginx.conf")
    config.write_text(NGINX.format(folder=folder, body=body))
    return start(stack, ["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", config])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def nginx_cases(stack):
    direct, front = free_port(), free_port()
    back = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")), "socket")
    answer = start_nginx(stack, NGINX_ANSWER.format(listen=f"127.0.0.1:{direct}"))
    yield Case("nginx", [answer], f"http://127.0.0.1:{direct}/")
    engine = start_nginx(stack, NGINX_ANSWER.format(listen=f"unix:{back}"))
    proxy = start_nginx(stack, NGINX_FRONT.format(listen=f"127.0.0.1:{front}", back=back))
    yield Case("nginx-unix-nginx", [proxy, engine], f"http://127.0.0.1:{front}/")


def wait_until_answered(case):
    """One request with curl, which also shows that the answer is the one that is expected."""
    done = subprocess.run(
        ["curl", "-sS", "--fail", "--retry-connrefused", "--retry", "50", "--retry-delay", "0",
         "--retry-max-time", str(READY_SECONDS), case.url],
        capture_output=True, text=True,
    )
    if done.returncode != 0 or '"ok":true' not in done.stdout:
        sys.exit(f"bench: {case.name} answers {done.stdout!r} {done.stderr}")


def take_turn(case, connections, seconds):
    before, ticks = case.cpu_seconds(), machine_ticks()
    done = subprocess.run(
        pinned(1, ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", case.url]),
        capture_output=True, text=True, check=True,
    )
    spent, stolen = case.cpu_seconds() - before, steal_share(ticks, machine_ticks())
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(f"bench: {case.name} failed under load:\n{done.stdout}")
    requests = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))
    if stolen > STEAL_LIMIT:
        case.dropped += 1
    else:
        case.turns.append((spent / requests * 1e6, rate))


def report(cases, arguments):
    base = statistics.median(cost for cost, _ in cases[0].turns) if cases[0].turns else None
    rows = []
    for case in cases:
        costs = sorted(cost for cost, _ in case.turns)
        row = {"case": case.name, "turns": len(costs), "dropped": case.dropped}
        if costs:
            row |= {
                "cpu_us_per_request": round(statistics.median(costs), 2),
                "lowest": round(costs[0], 2),
                "highest": round(costs[-1], 2),
                "requests_per_second": round(statistics.median(rate for _, rate in case.turns)),
            }
            if base:
                row["ratio"] = round(statistics.median(costs) / base, 2)
        rows.append(row)
    columns = ["case", "cpu_us_per_request", "lowest", "highest", "ratio", "requests_per_second", "turns", "dropped"]
    print("  ".join(f"{column:>{max(16, len(column))}}" for column in columns))
    for row in rows:
        print("  ".join(f"{row.get(column, '-'):>{max(16, len(column))}}" for column in columns))
    result = {
        "what": "CPU microseconds per request, user + system, medians of rotated turns",
        "connections": arguments.connections, "seconds": arguments.seconds,
        "kernel": os.uname().release, "cores": os.cpu_count(), "rows": rows,
    }
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {arguments.json}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=2, help="length of a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path, default=pathlib.Path("build/bench.json"))
    arguments = parser.parse_args()
    showcase = arguments.build_dir / "examples/showcase/showcase"
    with contextlib.ExitStack() as stack:
        cases = [
            start_showcase(stack, showcase, "native-direct", ["--native-direct"], "/json"),
            start_showcase(stack, showcase, "in-process", ["--mode", "in-process"], "/json"),
            start_showcase(stack, showcase, "bridge", ["--mode", "bridge"], "/json"),
            start_showcase(stack, showcase, "processes", ["--mode", "processes"], "/json"),
        ]
        if shutil.which("nginx"):
            cases += nginx_cases(stack)
        for case in cases:
            wait_until_answered(case)
        for _ in range(arguments.turns):
            for case in cases:
                take_turn(case, arguments.connections, arguments.seconds)
        report(cases, arguments)


if __name__ == "__main__":
    main()
