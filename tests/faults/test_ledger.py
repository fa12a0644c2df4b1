"""Every request has exactly one outcome, and its bytes: what clients saw and what the engine wrote
down are joined, while engine processes are killed."""

import contextlib
import hashlib
import json
import os
import random
import signal
import threading
import time

import pytest

from showcase import eventually
from wire import Cut, Wire

pytestmark = pytest.mark.sanitizer

REQUESTS = 200
CLIENTS = 10


def one_request(server, generator, number):
    """(id, kind, what the client saw): a status with a checked body, or "cut"."""
    kind = generator.choice(["echo", "digest", "bytes", "users"])
    body = generator.randbytes(generator.choice([0, 1, 1000, 70000, 300000]))
    size = generator.randrange(400000)
    target = {
        "echo": f"/echo?id={number}",
        "digest": f"/digest?id={number}",
        "bytes": f"/bytes/{size}?id={number}",
        "users": f"/users/{number}?id={number}",
    }[kind]
    method = "POST" if kind in ("echo", "digest") else "GET"
    try:
        with Wire(server.address, timeout=30) as wire:
            wire.request(method, target, body=body if method == "POST" else b"")
            answer = wire.answer()
    except (Cut, OSError):
        return number, kind, "cut", body
    if answer.status == 200:
        if kind == "echo":
            assert answer.body == body
        elif kind == "digest":
            sha256 = hashlib.sha256(body).hexdigest()
            assert json.loads(answer.body) == {"length": len(body), "sha256": sha256}
        elif kind == "bytes":
            assert answer.body == (bytes(range(251)) * (size // 251 + 1))[:size]
        else:
            assert json.loads(answer.body)["params"] == {"id": str(number)}
    else:
        assert answer.status in (502, 503), answer
    return number, kind, answer.status, body


def run_clients(server, seed):
    outcomes, failures = [], []
    lock = threading.Lock()

    def client(index):
        generator = random.Random(seed * 1000 + index)
        for number in range(index, REQUESTS, CLIENTS):
            try:
                outcome = one_request(server, generator, number)
                with lock:
                    outcomes.append(outcome)
            except Exception as error:  # told by the test's own thread
                failures.append(f"request {number}: {error!r}")

    threads = [threading.Thread(target=client, args=(index,)) for index in range(CLIENTS)]
    for thread in threads:
        thread.start()
    return threads, outcomes, failures


def read_ledger(path):
    """id -> lines"""
    ledger = {}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        number = entry["target"].partition("id=")[2]
        if number:
            ledger.setdefault(int(number), []).append(entry)
    return ledger


def check_join(outcomes, ledger):
    assert sorted(number for number, *_ in outcomes) == list(range(REQUESTS))
    for number, kind, seen, body in outcomes:
        entries = ledger.get(number, [])
        done = [entry for entry in entries if entry["outcome"] == "done"]
        if seen == 200:
            assert done, f"{number}: the client has an answer, the ledger {entries}"
            if kind in ("echo", "digest"):
                assert done[0]["request"]["length"] == len(body)
                assert done[0]["request"]["sha256"] == hashlib.sha256(body).hexdigest()
        if kind in ("echo", "digest"):
            assert len(entries) <= 1, f"{number}: a request with a body was repeated"
        # An engine may have written its line and died before its answer left: then a GET is repeated once.
        assert len(done) <= 2, f"request {number} was done {len(done)} times"


def test_without_faults(start, mode, tmp_path):
    ledger = tmp_path / "ledger"
    server = start("--ledger", ledger, mode=mode)
    threads, outcomes, failures = run_clients(server, seed=1)
    for thread in threads:
        thread.join()
    assert not failures
    assert [seen for _, _, seen, _ in outcomes] == [200] * REQUESTS
    assert eventually(lambda: len(read_ledger(ledger)) == REQUESTS)
    check_join(outcomes, read_ledger(ledger))
    assert all(len(entries) == 1 for entries in read_ledger(ledger).values())


def test_content_that_is_not_read(start, mode, tmp_path):
    """An answer before the end of the request is an answer, in every mode."""
    ledger = tmp_path / "ledger"
    server = start("--ledger", ledger, mode=mode)
    sizes = [(1, 1), (100000, 100000), (100000, 1000000)]
    for number, (sent, declared) in enumerate(sizes):
        with Wire(server.address) as wire:
            wire.send(f"POST /json?id={number} HTTP/1.1\r\nhost: x\r\ncontent-length: {declared}\r\n\r\n")
            wire.send(b"x" * sent)
            assert wire.answer().status == 405
    assert eventually(lambda: len(read_ledger(ledger)) == len(sizes))
    outcomes = [entry["outcome"] for entries in read_ledger(ledger).values() for entry in entries]
    assert outcomes == ["done"] * len(sizes)


@pytest.mark.parametrize("seed", [1, 2])
def test_with_kills(start, tmp_path, seed):
    ledger = tmp_path / "ledger"
    server = start("--ledger", ledger, "--engines", "3", mode="processes")
    threads, outcomes, failures = run_clients(server, seed)
    generator = random.Random(seed)
    while any(thread.is_alive() for thread in threads):
        time.sleep(generator.uniform(0.01, 0.1))  # when a kill falls is the test's dice
        engines = server.engines()
        if engines:
            with contextlib.suppress(ProcessLookupError):
                os.kill(generator.choice(engines), signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert not failures, failures
    check_join(outcomes, read_ledger(ledger))
    assert eventually(lambda: server.get("/json")[0] == 200)
