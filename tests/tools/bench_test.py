"""The benchmark's own tests: flags and exit codes, figures that are known beforehand, the ratio
gate, and one short run of the whole."""

import html.parser
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = pathlib.Path(os.environ.get("ROUTED_BUILD_DIR", ROOT / "build/release")) / "bench"
sys.path.insert(0, str(ROOT / "bench"))

from harness import agreement, fixed, options, page, results, rivals, servers, table, workloads  # noqa: E402

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
        (["--case=floor", "--max-p95-ratio=2"], "routed_io and routed_ffi"), (["--rate=-5"], "--rate"),
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
        (["--port", "80", "--resume"], "--resume"), (["--port", "80", "more"], "only options"),
    ],
)
def test_usage_errors_of_the_load_are_64(arguments, complaint):
    done = load(*arguments)
    assert done.returncode == 64
    assert complaint in done.stderr


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
        "depth": 1, "errors": {"total": errors, **kinds}, "missed": 0, "content_bytes": 5000, "cpu_us": cpu,
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
     ("h1", "download-10m", "routed_io"), ("h1", "routes", "routed_ffi")],
)
def test_protocols_and_workloads(protocol, workload, case):
    done = bench(*TINY, f"--protocol={protocol}", f"--workload={workload}", f"--case={case}", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["results"][0]
    assert found["errors"] == 0 and found["requests"] > 0
    sizes = {"websocket-echo": 100, "websocket-broadcast": 100, "download-10m": 10485760}
    if workload in sizes:
        assert found["contentBytesPerRequest"] == sizes[workload]


@pytest.mark.skipif(not rivals.NGINX_HTTP3.exists(), reason="no nginx with HTTP/3 here: ./dev bench takes one")
def test_an_nginx_with_http3():
    done = bench(*TINY, "--protocol=h3", "--workload=tiny,download-100k", "--case=nginx_http3", "--json")
    assert done.returncode == 0, done.stderr
    assert [found["contentBytesPerRequest"] for found in json.loads(done.stdout)["results"]] == [27, 102400]


def test_a_rival_that_is_not_there_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setitem(rivals.PROGRAMS, "nginx_http3", tmp_path / "nginx")
    with servers.House(PROGRAMS) as house, pytest.raises(servers.Unavailable, match=f"there is no {tmp_path}/nginx"):
        house.open("nginx_http3")


def test_rest_and_start():
    done = bench("--workload=idle,startup", "--connections=50", "--case=floor,routed_ffi_native_direct", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [found["label"] for found in told["startup"]] == ["floor", "routed_ffi_native_direct"]
    assert all(found["startupMillis"] > 0 for found in told["startup"])
    assert 0 < told["rest"][1]["heldPerConnection"] < 65536
    assert page.whole(told).count("<svg") == 2
