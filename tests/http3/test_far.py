"""Long and lossy paths, over a line that carries TCP as well as UDP: HTTP/3 against HTTP/2, and what
the limits of a transfer do to it. Times are only compared with each other, taken in turn on the same
line."""

import contextlib
import hashlib
import statistics
import subprocess
import time

import pytest

from conftest import FOREIGN, run_site
from http3_clients import CURL, cycle, quic_go
from line import Line, missing
from showcase import TooSlow, unhurried

pytestmark = pytest.mark.skipif(FOREIGN, reason="about our own windows and answers")

ROUND_TRIP = {"both": {"delay": 50}}
SIZE = 3000000


@pytest.fixture(scope="module", autouse=True)
def line_is_possible():
    if reason := missing():
        pytest.skip(reason)


class Far:
    """A server at one end of the line; what is fetched is fetched from the other."""

    def __init__(self, line, site):
        self.line = line
        self.site = site
        self.port = site.server.secure_port

    def curl(self, version, path, *arguments):
        """Seconds from the end of the handshake to that of the answer, and the answer's content."""
        with self.line.at("client"):
            result = subprocess.run(
                [CURL, "-sS", "--cacert", self.site.authority, "--max-time", "60", version,
                 "--resolve", f"localhost:{self.port}:{self.line.address['server']}",
                 "-w", "%{stderr}%{time_total} %{time_appconnect} %{http_version}",
                 *map(str, arguments), f"https://localhost:{self.port}{path}"], capture_output=True,
            )  # fmt: skip
        assert result.returncode == 0, result.stderr
        total, connected, got = result.stderr.split()
        assert got == {"--http2": b"2", "--http3-only": b"3"}[version]
        return float(total) - float(connected), result.stdout

    def quic_go(self, path, **settings):
        """Seconds, with the handshake: curl's own windows for HTTP/3 are small."""
        began = time.monotonic()
        with self.line.at("client"):
            address = (self.line.address["server"], self.port)
            result = quic_go(address, self.site.authority, [path], timeout=60, **settings)
        return time.monotonic() - began, result.answers[0]


@contextlib.contextmanager
def far(folder, certificates, weather, *options):
    with Line(**weather) as line, line.at("server"):
        with run_site(folder, certificates, "--host", "any", *options) as site:
            yield Far(line, site)


@unhurried(3)
def test_loss(tmp_path, foreign_certificates):
    """Where one packet of twenty is lost, HTTP/3 takes at most twice as long as HTTP/2."""
    weather = {"seed": 5, "both": {"loss": 0.05, "delay": 5}}
    content = cycle(1000000)
    with far(tmp_path, foreign_certificates, weather) as there:
        times = {"--http2": [], "--http3-only": []}
        for _ in range(5):
            for version, taken in times.items():
                seconds, answer = there.curl(version, "/bytes/1000000")
                assert answer == content
                taken.append(seconds)
        counts = there.line.counts()
        assert counts["down"]["lost"] > 100
    if statistics.median(times["--http3-only"]) >= 2 * statistics.median(times["--http2"]):
        raise TooSlow(times)


LIMITED = {
    "download over HTTP/3": "http3_unacknowledged=65536",
    "upload over HTTP/3": "upload_growth=1",
    "upload over HTTP/2": "upload_growth=1",
}


@pytest.mark.parametrize("name", LIMITED)
def test_path_sets_the_pace(name, tmp_path, foreign_certificates):
    """A transfer is as fast as the path, not as a window: with a limit that keeps the window as it
    begins, it takes twice as long and more."""
    data = tmp_path / "data"
    data.write_bytes(cycle(SIZE))
    digest = hashlib.sha256(cycle(SIZE)).hexdigest()

    def transfer(*options):
        begin = ["--limit", "http3_stream_window=65536"]
        with far(tmp_path, foreign_certificates, ROUND_TRIP, *begin, *options) as there:
            if name == "upload over HTTP/2":
                seconds, answer = there.curl("--http2", "/digest", "-T", data, "-X", "POST")
                assert digest in answer.decode()
            elif name == "upload over HTTP/3":
                seconds, answer = there.quic_go("/digest", upload=SIZE)
                text = b'{"length":%d,"sha256":"%s"}' % (SIZE, digest.encode())
                assert answer[1:] == (200, len(text), hashlib.sha256(text).hexdigest())
            else:
                seconds, answer = there.quic_go(f"/bytes/{SIZE}")
                assert answer[1:] == (200, SIZE, digest)
            limit = LIMITED[name].partition("=")[0]
            assert there.site.count(f"limit.{limit}") > 0 or not options
            return seconds

    slow = transfer("--limit", LIMITED[name])
    quick = []
    while not quick or 2 * quick[-1] >= slow:  # the machine may have held it up, but not each time
        assert len(quick) < 5, (quick, slow)
        quick.append(transfer())
