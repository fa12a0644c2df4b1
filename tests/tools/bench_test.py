"""The benchmark's own tests: flags and exit codes, figures that are known beforehand, the ratio
gate, and one short run of the whole."""

import argparse
import html.parser
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = pathlib.Path(os.environ.get("ROUTED_BUILD_DIR", ROOT / "build/release")) / "bench"
sys.path.insert(0, str(ROOT / "bench"))

from harness import agreement, command, counted, fixed, machine, options, page, results, rivals, servers, table, workloads  # noqa: E402

TINY = ["--requests=40", "--concurrency=4", "--warmup=4", "--no-counted"]


def bench(*arguments, timeout=60):
    return subprocess.run([PROGRAMS / "routed-bench", *arguments], capture_output=True, text=True, timeout=timeout)


def load(*arguments, timeout=60):
    return subprocess.run([PROGRAMS / "routed-load", *map(str, arguments)], capture_output=True, text=True, timeout=timeout)


# ---- the command line ----


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--nonsense"], "--nonsense"), (["--request", "5"], "--request"), (["--requests=none"], "--requests"),
        (["--requests=0"], "--requests"), (["--case=apache"], "there is no case apache"),
        (["--workload=everything"], "there is no workload everything"), (["extra"], "extra"),
        (["--protocol=h3", "--pipeline=2"], "--pipeline goes with"), (["--protocol=spdy"], "--protocol"),
        (["--streams=2"], "--streams goes with"), (["--protocol=h2c", "--pipeline=2"], "--pipeline goes with"),
        (["--protocol=h2", "--max-p95-ratio=2"], "HTTP/1.1 only"),
        (["--table=0"], "--table goes with h3"), (["--table=16777217", "--protocol=h3"], "--table"),
        (["--concurrency=60001"], "--concurrency"), (["--connections=0"], "--connections"),
        (["--streams=1025", "--protocol=h2"], "--streams"), (["--pipeline=1025"], "--pipeline"),
        (["--rate=10000001"], "--rate"), (["--rate=inf"], "--rate"), (["--rate=nan"], "--rate"), (["--duration=86401"], "--duration"),
        (["--duration=0"], "--duration"), (["--body=1073741825"], "--body"), (["--iterations=1001"], "--iterations"),
        (["--requests=1e3"], "--requests"), (["--requests="], "--requests"), (["--warmup=-1"], "--warmup"),
        (["--min-req-per-sec-ratio=0"], "--min-req-per-sec-ratio"), (["--max-p95-ratio=nan"], "--max-p95-ratio"),
        (["--report="], "cannot be written"), (["--report=/nonexistent/report.html"], "cannot be written"),
        (["--body=5", "--workload=tiny"], "--body goes with the workload post"), (["--check", "--gate"], "--gate"),
        (["--check", "--requests=6"], "--check does not go with --requests"), (["--gate", "--case=floor"], "--gate does not go with --case"),
        (["--host="], "no address of this machine"), (["--host=nonsense.invalid"], "no address of this machine"),
        (["--host=192.0.2.1"], "no address of this machine"), (["--protocol"], "--protocol"), (["--case="], "there is no case"), (["--case=floor", "--max-p95-ratio=2"], "routed_io and routed_ffi"), (["--rate=-5"], "--rate"),
    ],
)
def test_usage_errors_of_the_command_are_64(arguments, complaint):
    done = bench(*arguments)
    assert done.returncode == 64
    assert complaint in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--nonsense"], "nonsense"), ([], "--port is needed"), (["--port", "0"], "--port"),
        (["--port", "80", "--protocol", "h3", "--websocket", "echo"], "--websocket"), (["--port", "80", "--rate", "0"], "--rate"),
        (["--port", "80", "--connections", "60001"], "--connections"), (["--port", "80", "--path", "x"], "--path"),
        (["--port", "80", "--protocol", "h2c", "--websocket", "echo"], "--websocket"),
        (["--port", "80", "--resume"], "--resume"),
        (["--port", "80", "--table", "0"], "--table goes with h3"), (["--port", "80", "--patience", "0"], "--patience"), (["--port", "80", "more"], "only options"),
    ],
)
def test_usage_errors_of_the_load_are_64(arguments, complaint):
    done = load(*arguments)
    assert done.returncode == 64
    assert complaint in done.stderr


def test_extreme_values_reach_the_load_as_they_are():
    """Numbers that are not written with an exponent, which it does not read."""
    told = bench(*TINY, "--case=routed_ffi_native_direct", "--rate=10000000", "--duration=0.001", "--pipeline=1024", "--json")
    assert told.returncode == 0, told.stderr
    assert "routed_ffi_native_direct was too slow for --rate at tiny" in told.stderr
    assert json.loads(told.stdout)["options"] | {"rate": 10000000, "duration": 0.001, "pipeline": 1024} == json.loads(told.stdout)["options"]


def test_help_names_every_flag_of_the_predecessor():
    done = bench("--help")
    assert done.returncode == 0
    for flag in ("requests", "concurrency", "warmup", "host", "iterations", "min-req-per-sec-ratio", "max-p95-ratio", "json"):
        assert f"--{flag}" in done.stdout


# ---- the load, against servers whose answers are known ----


class Peer:
    """A server in this process: `answer` is called for each connection with its socket."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.answer = answer
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                link = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    def serve(self, link):
        with link:
            try:
                self.answer(link)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.listener.close()


def read_head(link, pending=b""):
    """(head, what came behind it), or None when nothing comes any more."""
    while b"\r\n\r\n" not in pending:
        chunk = link.recv(65536)
        if not chunk:
            return None
        pending += chunk
    head, _, behind = pending.partition(b"\r\n\r\n")
    return head, behind


def heads(link):
    """The requests of a connection, one by one."""
    pending = b""
    while read := read_head(link, pending):
        head, pending = read
        yield head


def respond(link, status=200, content=b"{}"):
    link.sendall(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(content), content))


def test_every_request_is_counted_once():
    seen = []

    def answer(link):
        for head in heads(link):
            seen.append(head)
            respond(link)

    with Peer(answer) as peer:
        done = load("--port", peer.port, "--requests", 100, "--connections", 4, "--pipeline", 3, "--warmup", 10)
    measured = json.loads(done.stdout)
    assert done.returncode == 0
    assert measured["requests"] == 100 and len(seen) == 110
    assert measured["content_bytes"] == 200 and measured["errors"]["total"] == 0
    assert measured["bytes_in"] == 100 * len(b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n{}")
    quantiles = [measured["latency"][name] for name in ("min", "p50", "p90", "p95", "p99", "p99.9", "max")]
    assert quantiles == sorted(quantiles) and quantiles[0] > 0


def test_other_statuses_are_errors():
    def answer(link):
        for number, _ in enumerate(heads(link)):
            respond(link, 500 if number % 4 == 3 else 200)

    with Peer(answer) as peer:
        measured = json.loads(load("--port", peer.port, "--requests", 40, "--connections", 1).stdout)
    assert measured["errors"]["status"] == 10 and measured["requests"] == 30


def test_connections_that_end_are_errors_and_made_anew():
    def answer(link):
        for number, _ in enumerate(heads(link)):
            if number == 4:
                return
            respond(link)

    with Peer(answer) as peer:
        measured = json.loads(load("--port", peer.port, "--requests", 50, "--connections", 1).stdout)
    assert measured["errors"] == {**dict.fromkeys(measured["errors"], 0), "total": 10, "closed": 10}
    assert measured["requests"] == 40 and measured["connects"] == 9


def test_announced_closes_are_no_errors():
    def answer(link):
        for _ in heads(link):
            link.sendall(b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            return

    with Peer(answer) as peer:
        measured = json.loads(load("--port", peer.port, "--requests", 20, "--connections", 2).stdout)
    assert measured["errors"]["total"] == 0 and measured["requests"] == 20


def test_each_request_on_its_own_connection():
    links = []

    def answer(link):
        links.append(sum(1 for head in heads(link) if respond(link) is None))

    with Peer(answer) as peer:
        measured = json.loads(load("--port", peer.port, "--requests", 20, "--connections", 2, "--reconnect").stdout)
    assert measured["connects"] == 20 and measured["requests"] == 20
    assert set(links) <= {1}


def test_an_answer_before_the_end_of_its_request_counts_at_that_end():
    """The server answers at the head, and takes the content when it likes to."""
    size, taken = 3_000_000, []

    def answer(link):
        while read := read_head(link):
            respond(link)
            left = size - len(read[1])
            while left > 0:
                left -= len(link.recv(min(left, 65536)))
            taken.append(size)

    with Peer(answer) as peer:
        measured = json.loads(load("--port", peer.port, "--requests", 6, "--connections", 2, "--body", size).stdout)
    assert measured["requests"] == 6 and measured["errors"]["total"] == 0
    assert measured["bytes_out"] >= 6 * size - 2 * 262144


def test_nobody_there_is_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = load("--port", port, "--requests", 5)
    assert done.returncode == 1
    assert "not all connections" in done.stderr


PATIENCE, PAUSE, PAUSES = 2, 0.3, 10


def test_an_answer_that_trickles_in_is_waited_for():
    def answer(link):
        for _ in heads(link):
            link.sendall(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\n")
            for _ in range(PAUSES):
                time.sleep(PAUSE)
                link.sendall(b"x")

    with Peer(answer) as peer:
        measured = json.loads(load("--port", peer.port, "--requests", 1, "--connections", 1, "--patience", PATIENCE).stdout)
    assert measured["requests"] == 1 and measured["errors"]["total"] == 0
    assert measured["latency"]["max"] > PATIENCE * 1e6


def test_a_request_that_trickles_out_is_waited_for():
    """The server takes a part of the content now and then, and the rest of it in the end."""
    size, part = 24 << 20, 1 << 20

    def answer(link):
        left = size - len(link.recv(65536).partition(b"\r\n\r\n")[2])
        for _ in range(PAUSES):
            time.sleep(PAUSE)
            left -= len(link.recv(part, socket.MSG_WAITALL))
        while left > 0:
            left -= len(link.recv(65536))
        respond(link)

    with Peer(answer) as peer:
        peer.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        done = load("--port", peer.port, "--requests", 1, "--connections", 1, "--body", size, "--patience", PATIENCE)
    measured = json.loads(done.stdout)
    assert measured["requests"] == 1 and measured["errors"]["total"] == 0
    assert measured["latency"]["max"] > PATIENCE * 1e6


def test_an_answer_that_stops_is_given_up():
    over = threading.Event()

    def answer(link):
        for number, _ in enumerate(heads(link)):
            if number == 1:
                link.sendall(b"HTTP/1.1 200 X\r\ncontent-length: 12\r\n\r\nhalf")
                over.wait(30)
            respond(link)

    with Peer(answer) as peer:
        measured = json.loads(load("--port", peer.port, "--requests", 2, "--connections", 1, "--patience", PATIENCE).stdout)
        over.set()
    assert measured["requests"] == 1
    assert measured["errors"] == {**dict.fromkeys(measured["errors"], 0), "total": 1, "timeout": 1}


STALL = 0.4


def stalling(link):
    for number, _ in enumerate(heads(link)):
        if number == 100:
            time.sleep(STALL)
        respond(link)


def test_open_loop_counts_what_a_stall_does_to_those_who_wait():
    with Peer(stalling) as peer:
        measured = json.loads(load("--port", peer.port, "--connections", 1, "--rate", 500, "--duration", 1).stdout)
    # 200 of 500 were due in the stall; the half of them waited for more than half of it.
    assert measured["latency"]["p90"] > STALL / 2 * 1e6
    assert measured["requests"] + measured["missed"] == 500


def test_closed_loop_sees_the_same_stall_once():
    with Peer(stalling) as peer:
        measured = json.loads(load("--port", peer.port, "--connections", 1, "--requests", 1000).stdout)
    assert measured["latency"]["p99.9"] < STALL * 1e6 <= measured["latency"]["max"]


# ---- figures ----


def made_up(rate=1000.0, p95=100, errors=0, stolen=0.0, others=0.0, cpu=5.0):
    latency = {"mean": 50.0, "min": 1, "max": 900, "p50": 50, "p90": 90, "p95": p95, "p99": 200, "p99.9": 800}
    kinds = dict.fromkeys(("connect", "handshake", "closed", "protocol", "status", "timeout"), 0)
    return {
        "requests": 5000, "elapsed_us": 5_000_000, "requests_per_second": rate, "latency": latency, "connections": 64,
        "depth": 1, "errors": {"total": errors, **kinds}, "missed": 0, "from_table": 0, "content_bytes": 5000, "cpu_us": cpu,
        "cpu_seconds": [0.025, 0.01, 0.03], "peak_memory": 1 << 20, "stolen": stolen, "others": others,
        "curve": [[0, 1], [0.5, 50], [0.99, 200], [1, 900]],
    }


def row(label, **figures):
    return results.summarise(label, workloads.ALL["tiny"], "h1", [made_up(**figures)])


def gate(plain, ours, *arguments):
    return results.gate([plain, ours], options.read(list(arguments)))


def test_medians_are_of_what_was_measured():
    turns = [made_up(p95=p95, cpu=cpu) for p95, cpu in ((100, 5), (300, 7), (200, 6))]
    told = results.summarise("x", workloads.ALL["tiny"], "h1", turns)
    assert (told["p50Micros"], told["p95Micros"], told["cpuMicrosPerRequest"]) == (50, 200, 6)
    assert (told["cpuLowest"], told["cpuHighest"], told["turns"], told["disturbed"]) == (5, 7, 3, 0)
    assert told["cpuUserMicrosPerRequest"] is None
    for turn in turns:
        turn["cpu_seconds"] = [0.4, 0.1, 0.3]
    told = results.summarise("x", workloads.ALL["tiny"], "h1", turns)
    assert told["cpuUserMicrosPerRequest"] == 1.5 and told["cpuSystemMicrosPerRequest"] == 4.5


@pytest.mark.parametrize("spoilt", [{"stolen": 0.02}, {"others": 0.2}])
def test_turns_in_which_others_had_the_machine_are_left_out(spoilt):
    told = results.summarise("x", workloads.ALL["tiny"], "h1", [made_up(cpu=5), made_up(cpu=50, **spoilt)])
    assert (told["cpuMicrosPerRequest"], told["turns"], told["disturbed"]) == (5, 1, 1)


def test_where_every_turn_is_disturbed_they_are_told_all_the_same():
    told = results.summarise("x", workloads.ALL["tiny"], "h1", [made_up(cpu=50, stolen=0.2)])
    assert (told["turns"], told["disturbed"]) == (1, 1)


@pytest.mark.parametrize(
    "figures, passed, word",
    [({"rate": 700.0}, True, "PASS"), ({"rate": 699.0}, False, "FAIL"), ({"p95": 160}, True, "PASS"), ({"p95": 161}, False, "FAIL")],
)
def test_the_gate_holds_at_its_bound(figures, passed, word):
    bounds = ["--min-req-per-sec-ratio=0.7"] if "rate" in figures else ["--max-p95-ratio=1.6"]
    told = gate(row("routed_io"), row("routed_ffi", **figures), *bounds)
    assert told["passed"] is passed
    assert len(told["messages"]) == 1 and told["messages"][0].startswith(word + ": tiny: ")


def test_the_gate_warns_without_a_p95_and_fails_on_errors():
    told = gate(row("routed_io", p95=0), row("routed_ffi"), "--max-p95-ratio=1")
    assert told["passed"] and told["messages"][0].startswith("WARN: ")
    told = gate(row("routed_io"), row("routed_ffi", errors=1), "--max-p95-ratio=5")
    assert not told["passed"] and told["messages"][0].startswith("FAIL: ")
    told = gate(row("routed_io"), row("floor"), "--max-p95-ratio=5")
    assert not told["passed"]


def test_limits_are_read_and_what_is_none_is_refused():
    assert fixed.read_limits("# a\n\ncalls routed_ffi/h1 9.5 # b\n") == [("calls", "routed_ffi/h1", 9.5)]
    with pytest.raises(ValueError):
        fixed.read_limits("wishes routed_ffi/h1 9.5")
    subjects = {subject for what, subject, _ in fixed.read_limits(fixed.LIMITS.read_text()) if what == "calls"}
    assert {"routed_ffi_native_direct/h1", "routed_ffi/h1"} <= subjects


@pytest.mark.parametrize("room", [subject for what, subject, _ in fixed.read_limits(fixed.LIMITS.read_text())
                                  if what == "instructions"])
def test_rooms_whose_instructions_are_counted_do_their_work(room):
    done = subprocess.run([PROGRAMS / "bench-pure", room, "50"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_reports_of_other_loads_are_read():
    said = "    Latency     1.95ms    1.85ms  19.64ms   88.50%\n    Req/Sec    34.81k\n     50%    1.50ms\n     75%    2.00ms\n  1500 requests in 2.00s\nRequests/sec:    750.25\n"
    assert agreement.read_wrk(said) == (1500, 750.25, 1500.0)
    said = ("finished in 2.00s, 1234.50 req/s, 1MB/s\nrequests: 9 total, 9 started, 9 done, 8 succeeded, 1 failed\n"
            "time for request:     62us     1.02s     250us    10us    90.00%\n")
    assert agreement.read_h2load(said) == (8, 4.0, 250.0)


# ---- the whole ----


class Tags(html.parser.HTMLParser):
    EMPTY = {"meta", "br", "rect", "line", "polyline"}

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open[-1] in ("tr", "td", "th", "li", "p") and self.open[-1] != tag:
            self.open.pop()
        assert self.open.pop() == tag


def check_page(text, labels):
    tags = Tags()
    tags.feed(text)
    assert tags.open == [] and tags.links == []
    assert tags.seen.count("svg") >= 3
    for label in labels:
        assert label in text


def test_a_short_run_of_the_whole(tmp_path):
    cases = ["floor", "routed_io", "routed_ffi", "routed_ffi_native_direct"]
    done = bench(*TINY, "--iterations=2", f"--case={','.join(cases)}", "--workload=tiny,post", "--json",
                 f"--report={tmp_path}/report.html", "--min-req-per-sec-ratio=0.001", "--max-p95-ratio=1000")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "bench-server:" not in done.stderr  # it has nothing to warn of
    assert told["options"] | {"requests": 40, "concurrency": 4, "warmup": 4, "iterations": 2} == told["options"]
    assert told["options"]["minReqPerSecRatio"] == 0.001
    assert [(found["workload"], found["label"]) for found in told["results"]] == \
        [(workload, case) for workload in ("tiny", "post") for case in cases]
    for found in told["results"]:
        assert found["requests"] == 40 and found["errors"] == 0 and found["turns"] in (1, 2)
        assert found["totalMicros"] > 0 and found["requestsPerSecond"] > 0 and found["cpuMicrosPerRequest"] > 0
        assert 0 < found["p50Micros"] <= found["p95Micros"] <= found["p999Micros"]
        assert found["peakMemoryBytes"] > 0
    assert told["gate"]["passed"] and len(told["gate"]["messages"]) == 4
    assert "[2/2] post" in done.stderr
    check_page((tmp_path / "report.html").read_text(), cases)
    assert "\n".join(table.whole(told)).count("routed_ffi_native_direct") == 2


def has_loopback_of_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("protocol", ["h1", "h2", "h3"])
@pytest.mark.parametrize("host", ["127.0.0.9", "localhost"] + (["::1"] if has_loopback_of_ipv6() else []))
def test_servers_listen_where_they_are_told(host, protocol):
    done = bench(*TINY, f"--host={host}", f"--protocol={protocol}", "--json",
                 "--case=routed_ffi" if protocol != "h1" else "--case=floor,routed_io,routed_ffi_processes")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["options"]["host"] == host
    assert all(found["requests"] == 40 and found["errors"] == 0 for found in told["results"])


def test_a_case_of_ours_that_does_not_start_is_a_failure(tmp_path):
    for program in ("routed-bench", "routed-load", "bench-floor"):
        (tmp_path / program).symlink_to((PROGRAMS / program).resolve())
    (tmp_path / "bench-server").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bench-server").chmod(0o755)
    run = command.Run(tmp_path, options.read([*TINY, "--workload=tiny,startup"]))
    run.case_names = lambda: ["floor", "routed_io"]
    run.do_all()
    assert not run.failed and [found["label"] for found in run.rows + run.startup] == ["floor", "floor"]
    run.case_names = lambda: ["floor", "routed_ffi"]
    run.do_all()
    assert run.failed and any(note.startswith("routed_ffi is left out") for note in run.notes)


def test_a_missed_gate_is_1():
    done = bench(*TINY, "--case=routed_io,routed_ffi", "--min-req-per-sec-ratio=1000")
    assert done.returncode == 1
    assert "FAIL: tiny: req/s ratio" in done.stdout


@pytest.mark.parametrize(
    "protocol, workload, case",
    [("h2", "tiny", "routed_ffi_in_process"), ("h3", "tiny", "routed_ffi"), ("h3", "upload-100k", "routed_ffi_in_process"),
     ("h3", "handshakes-resumed", "routed_ffi_native_direct"), ("h2c", "upload-100k", "routed_ffi"), ("h1s", "tiny", "routed_io"),
     ("h1s", "websocket-echo", "routed_ffi_processes"), ("h1", "websocket-broadcast", "routed_ffi"),
     ("h1", "handshakes-resumed", "routed_ffi_native_direct"), ("h1", "events", "routed_io"),
     ("h1", "download-10m", "routed_io"), ("h1", "routes", "routed_ffi"), ("h2", "fields", "routed_ffi"),
     ("h1", "fields", "routed_io")],
)
def test_protocols_and_workloads(protocol, workload, case):
    done = bench(*TINY, f"--protocol={protocol}", f"--workload={workload}", f"--case={case}", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["results"][0]
    assert found["errors"] == 0 and found["requests"] > 0
    sizes = {"websocket-echo": 100, "websocket-broadcast": 100, "download-10m": 10485760}
    if workload in sizes:
        assert found["contentBytesPerRequest"] == sizes[workload]


@pytest.mark.parametrize("size, share", [(None, 0.9), (4096, 0.9), (0, 0)])
def test_answers_over_http3_use_the_table_that_is_offered(size, share):
    offer = [] if size is None else [f"--table={size}"]
    done = bench(*TINY, "--protocol=h3", "--workload=fields", "--case=routed_ffi_in_process", "--json", "--requests=200", *offer)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["options"]["table"] == size
    assert told["results"][0]["answersFromTable"] >= share * 200
    assert share or told["results"][0]["answersFromTable"] == 0


@pytest.mark.skipif(not rivals.NGINX_HTTP3.exists(), reason="no nginx with HTTP/3 here: ./dev bench takes one")
def test_an_nginx_with_http3():
    done = bench(*TINY, "--protocol=h3", "--workload=tiny,download-100k", "--case=nginx_http3", "--json")
    assert done.returncode == 0, done.stderr
    assert [found["contentBytesPerRequest"] for found in json.loads(done.stdout)["results"]] == [27, 102400]


def test_a_rival_that_is_not_there_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setitem(rivals.PROGRAMS, "nginx_http3", tmp_path / "nginx")
    with servers.House(PROGRAMS) as house, pytest.raises(servers.Unavailable, match=f"there is no {tmp_path}/nginx"):
        house.open("nginx_http3")


def test_what_does_not_start_is_told_and_stopped(monkeypatch, tmp_path):
    """A rival that ends at once, and one that is busy with something else."""
    monkeypatch.setattr(servers, "READY_SECONDS", 0.5)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, text in (("nginx", "exit 3"), ("caddy", "while :; do :; done")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    with servers.House(PROGRAMS) as house:
        with pytest.raises(servers.Unavailable, match="ended with status 3"):
            house.open("nginx")
        with pytest.raises(servers.Unavailable, match="does not listen"):
            house.open("caddy")
        assert [process.poll() is None for process in house.started] == [False, False]


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx here")
def test_a_port_that_is_taken_is_told(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken, servers.House(PROGRAMS) as house:
        monkeypatch.setattr(rivals, "free_ports", lambda address, count: [taken.getsockname()[1]] * count)
        with pytest.raises(servers.Unavailable, match="ended with status"):
            house.open("nginx")


def test_few_descriptors_are_told_and_the_rest_is_measured():
    command = [PROGRAMS / "routed-bench", *TINY, "--workload=tiny,connections-512", "--case=floor"]
    done = subprocess.run(["sh", "-c", 'ulimit -n 256; exec "$0" "$@"', *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "connections-512 is left out: 512 connections need more than 256 descriptors" in done.stdout
    assert "tiny: GET of 30 bytes" in done.stdout


def interrupted(number, tmp_path, *arguments):
    """What a run says that gets this signal in its second turn, with the processes that it had started."""
    command = [PROGRAMS / "routed-bench", "--duration=1", "--iterations=1000", "--no-counted", *arguments]
    with open(tmp_path / "said", "w+") as said, subprocess.Popen(
            command, stdout=said, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        assert process.stderr.readline().startswith("[1/1000] ")
        started = machine.family(process.pid)[1:]
        process.send_signal(number)
        process.stderr.read()
        process.wait(60)
        said.seek(0)
        return process.returncode, said.read(), started


# Servers that end with their input, and one that ends by a signal.
SEVERAL = "--case=floor,routed_ffi_processes" + (",nginx" if shutil.which("nginx") else "")


def has_ended(pid):
    """It may be a zombie: where nobody asks for the status of orphans they stay on."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 30)[0])
    finally:
        os.close(process)


def have_ended(pids):
    return all(map(has_ended, pids))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_tells_what_it_has_and_leaves_nothing(number, tmp_path):
    status, said, started = interrupted(number, tmp_path, SEVERAL, "--report=report.html")
    assert status == 128 + number
    assert "\nfloor " in said and "note: interrupted" in said
    assert len(started) >= 4 and have_ended(started)
    assert [path.name for path in tmp_path.iterdir()] == ["said"]


def test_a_killed_run_takes_its_servers_with_it(tmp_path):
    status, _, started = interrupted(signal.SIGKILL, tmp_path, SEVERAL)
    assert status == -signal.SIGKILL
    assert len(started) >= 4 and have_ended(started)


def test_reports_that_cannot_be_written_do_not_cost_the_figures(tmp_path, capsys):
    given = argparse.Namespace(report=tmp_path / "no/where.html")
    told = {"date": "", "machine": machine.describe(), "command": "", "gate": {"messages": []}, "notes": [], "workloads": [],
            "results": [], "rest": [], "startup": []}
    assert not command.keep(told, given, tmp_path / "bench")
    assert (tmp_path / "bench.json").exists() and (tmp_path / "bench.html").exists()
    assert "where.html is not written" in capsys.readouterr().err


def test_a_counter_that_does_not_attach_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(servers, "READY_SECONDS", 1)
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    for counter in (counted.Strace, counted.Perf):
        if shutil.which(counter.name):
            counting = counter([gone.pid])
            assert not counting.is_attached and counting.stop() is None


def test_rest_and_start():
    cases = ["floor", "routed_ffi", "routed_ffi_native_direct"]
    done = bench("--workload=idle,startup", "--connections=50", f"--case={','.join(cases)}", "--json", timeout=200)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [found["label"] for found in told["startup"]] == cases
    assert all(found["startupMillis"] > 0 for found in told["startup"])
    bridge, direct = told["rest"][1:]
    assert bridge["connections"] == direct["connections"] == 50
    # What a connection is does not depend on the mode; lines to the engine are there after a burst.
    assert 0 < direct["heldPerConnection"] < 4096
    assert bridge["heldPerConnection"] < direct["heldPerConnection"] + 512 < bridge["burstHeldPerConnection"]
    assert direct["burstHeldPerConnection"] < direct["heldPerConnection"] + 512
    assert page.whole(told).count("<svg") == 3
    assert f"{bridge['burstHeldPerConnection']:,.0f}" in "\n".join(table.whole(told))


def test_idle_takes_as_many_connections_as_are_given():
    assert options.read(["--connections=64"]).connections_given and options.read(["--concurrency=64"]).connections_given
    assert not options.read([]).connections_given


def test_the_warm_up_goes_round_one_by_one():
    seen, guard, together = [], threading.Lock(), []

    def answer(link):
        for _ in heads(link):
            with guard:
                together.append(link)
                seen.append((link.fileno(), len(together)))
            time.sleep(0.001)  # in which others would come, and be seen
            with guard:
                together.remove(link)
            respond(link)

    with Peer(answer) as peer:
        done = load("--port", peer.port, "--connections", 5, "--warmup", 10, "--requests", 5, "--one-by-one")
    assert json.loads(done.stdout)["requests"] == 5
    links = [link for link, _ in seen[:10]]
    assert len(set(links)) == 5 and links[:5] == links[5:]
    assert {count for _, count in seen[:10]} == {1}


def test_connections_stay_until_the_input_ends():
    ended = threading.Event()

    def answer(link):
        for _ in heads(link):
            respond(link)
        ended.set()

    with Peer(answer) as peer:
        command = [PROGRAMS / "routed-load", "--port", str(peer.port), "--connections", "1", "--requests", "3", "--hold"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            process.stdin.write(b"go\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["requests"] == 3
            assert not ended.is_set() and process.poll() is None
            process.stdin.close()
            assert process.wait(30) == 0
        assert ended.wait(30)
