"""h2spec, whole and strict, against both ports.

Built from its Go module once, in the versions of tests/conformance/h2spec, into .cache/h2spec."""

import os
import re
import shutil
import subprocess

import pytest

from showcase import ROOT, serving
from wire import exchange

MODULE = ROOT / "tests/conformance/h2spec"
BINARY = ROOT / ".cache/h2spec/h2spec"
PACKAGE = "github.com/summerwind/h2spec/cmd/h2spec"
# Its path must take any method and read the whole body, since an answer may come before the rest.
OPTIONS = ["--strict", "--path", "/inspect", "--timeout", "5"]


@pytest.fixture(scope="module")
def h2spec():
    if not BINARY.exists():
        go = shutil.which("go")
        if not go:
            pytest.skip("there is no go toolchain to build h2spec with")
        BINARY.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
        built = subprocess.run(
            [go, "build", "-o", BINARY, PACKAGE], cwd=MODULE, env=environment, capture_output=True, text=True
        )
        assert built.returncode == 0, f"h2spec cannot be built: {built.stderr}"
    return BINARY


@pytest.fixture(scope="module")
def server(tmp_path_factory, certificates):
    with serving(
        "--https", "0", "--certificates", certificates, "--limit", "connections_per_address=none",
        mode="in-process", folder=tmp_path_factory.mktemp("h2spec"),
    ) as showcase:  # fmt: skip
        yield showcase


def run(h2spec, server, port, *options):
    """(passed, skipped, failed, everything it said)"""
    result = subprocess.run(
        [h2spec, *OPTIONS, "--host", server.host, "--port", str(port), *options],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    counts = re.search(r"146 tests, (\d+) passed, (\d+) skipped, (\d+) failed", result.stdout)
    assert counts, result.stdout[-2000:] + result.stderr
    failures = result.stdout.partition("Failures:")[2]
    return *map(int, counts.groups()), failures


def test_secure_port(h2spec, server):
    passed, skipped, failed, failures = run(h2spec, server, server.secure_port, "--tls", "--insecure")
    assert (passed, skipped, failed) == (146, 0, 0), failures


def test_plain_port(h2spec, server):
    passed, skipped, failed, failures = run(h2spec, server, server.port)
    assert (passed, skipped, failed) == (146, 0, 0), failures


def test_what_could_be_a_request_is_answered(server):
    """Only a first line that has nothing of HTTP/1 is taken for a broken preface."""
    assert exchange(server.address, b"INVALID CONNECTION PREFACE\r\n\r\n") == b""
    for line in (b"INVALID CONNECTION\r\n", b"INVALID /CONNECTION PREFACE\r\n", b"PRI * HTTP/2.0\r\nhost: a\r\n"):
        assert re.match(rb"HTTP/1.1 (400|505) ", exchange(server.address, line + b"\r\n")), line
    get = b"GET /json HTTP/1.1\r\nhost: a\r\n\r\n"
    assert exchange(server.address, get + b"INVALID CONNECTION PREFACE\r\n\r\n").count(b"HTTP/1.1 ") == 2
