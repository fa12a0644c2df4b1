"""The table of what a client may send to an HTTP/1 port, over the wire, through the bridge.

The cases are those of tests/conformance/http1/requests.tsv; its columns are explained in
generate.py beside it. Requests for the table's own paths go to /inspect, which reads them to their
end; elsewhere an answer of the engine, whichever it is, stands for the 200 of the table. The
ledger tells how many requests the engine answered to their end."""

import json
import re

import pytest

from showcase import ROOT, eventually, serving
from wire import Cut, Wire

pytestmark = [pytest.mark.sanitizer, pytest.mark.over_tls]

TABLE = ROOT / "tests/conformance/http1/requests.tsv"
# The route takes 1 MiB: what is legal and longer is refused by its declared length.
TOO_LARGE_FOR_THE_ROUTE = {"huge-but-legal", "more-than-32-bits"}
REFUSALS = {400, 408, 413, 414, 417, 431, 501, 505}
BY_THE_ENGINE = {200, 204, 404, 405, 426}


def unescape(text):
    def repeat(match):
        return match.group(2) * int(match.group(1))

    text = re.sub(r"\{\{(\d+)\|(.*?)\}\}", repeat, text)
    names = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}

    def replace(match):
        word = match.group(1)
        return chr(int(word[1:], 16)) if word[0] == "x" else names[word]

    return re.sub(r"\\(x[0-9a-f]{2}|[rnt\\])", replace, text).encode("latin-1")


def read_cases():
    cases = {}
    for line in TABLE.read_text().splitlines():
        if line.startswith("#"):
            continue
        row, name, statuses, complete, then, _, data = line.split("\t")
        data = re.sub(rb"^(\S+) /(p|outer|) ", rb"\1 /inspect ", unescape(data), count=1)
        wanted = [int(status) for status in statuses.split(",") if status]
        if name in TOO_LARGE_FOR_THE_ROUTE:
            wanted, complete, then = [413], 1, "closed"
        cases.setdefault(row, []).append((name, wanted, int(complete), then, data))
    return cases


CASES = read_cases()


@pytest.fixture(scope="module")
def server(scheme, certificates, tmp_path_factory):
    folder = tmp_path_factory.mktemp("smuggling")
    with serving(
        # The table is of HTTP/1: one of its cases is the preface of HTTP/2.
        "--no-http2", "--ledger", folder / "ledger", "--limit", "connections_per_address=none",
        mode="bridge", scheme=scheme, certificates=certificates, folder=folder,
    ) as showcase:  # fmt: skip
        showcase.ledger = folder / "ledger"
        yield showcase


def count_done(server):
    if not server.ledger.exists():
        return 0
    lines = server.ledger.read_text().splitlines()
    return sum(json.loads(line)["outcome"] == "done" for line in lines)


def is_as_wanted(status, wanted):
    return status == wanted if wanted in REFUSALS else status in BY_THE_ENGINE


def try_case(server, case):
    """None, or what was wrong."""
    name, wanted, _, then, data = case
    method = data.split(b" ", 1)[0].decode("latin-1")
    with Wire(server.address) as wire:
        try:
            wire.send(data)
        except OSError:
            pass  # refused while it was still being sent
        try:
            got = [wire.answer(method if number == 0 else "GET").status for number in range(len(wanted))]
        except (Cut, TimeoutError, AssertionError) as error:
            return f"{name}: wanted {wanted}, got {error!r}"
        if not all(map(is_as_wanted, got, wanted)):
            return f"{name}: wanted {wanted}, got {got}"
        if then == "closed":
            return None if wire.is_closed() else f"{name}: not closed"
        wire.socket.settimeout(0.01 if then == "wait" else 0.002)
        try:
            more = wire.buffer or wire.socket.recv(1000)
        except TimeoutError:
            return None
        return f"{name}: wanted {then}, got {more!r}"


@pytest.mark.parametrize("row", sorted(CASES))
def test_row(server, row):
    before = count_done(server)
    mistakes = [mistake for case in CASES[row] if (mistake := try_case(server, case))]
    assert not mistakes, "\n".join(mistakes)
    complete = sum(case[2] for case in CASES[row])
    assert eventually(lambda: count_done(server) >= before + complete)
    assert server.get("/json")[0] == 200
    assert eventually(lambda: count_done(server) == before + complete + 1), (
        f"the engine answered {count_done(server) - before - 1} requests to their end, not {complete}"
    )
