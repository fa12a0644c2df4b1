"""The server under test with HTTP/3, and what the tests here share."""

import contextlib
import os
import subprocess
import threading

import pytest

from http3_clients import ForeignServer, build_quic_go
from quic_peer import Peer
from showcase import Showcase, eventually, serving

FOREIGN = os.environ.get("ROUTED_HTTP3_AGAINST") == "ngtcp2"
SETTINGS = ["--limit", "connections_per_address=none"]


def pytest_sessionstart(session):
    """A fresh machine may need longer for quic-go's client than a test may take. Where it cannot be
    built, the tests that want it say so."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        with contextlib.suppress(AssertionError, OSError, subprocess.SubprocessError):
            build_quic_go()


class Site:
    """A server with HTTP/3: the showcase, or the foreign one that calibrates the tests."""

    def __init__(self, server, authority):
        self.server = server
        self.authority = authority

    @property
    def address(self):
        return self.server.secure_address

    def path(self, size):
        """A path that answers with so many bytes of the cycle."""
        if FOREIGN:
            self.server.have(size)
        return f"/bytes/{size}"

    def peer(self, address=None, **settings):
        return Peer(address or self.address, self.authority, **settings)

    def count(self, name):
        return self.server.metrics()[name]

    def assert_counts(self, wanted):
        self.server.assert_numbers(wanted)


@contextlib.contextmanager
def run_site(folder, certificates, *options, mode="in-process", foreign=(), **settings):
    if FOREIGN:
        server = ForeignServer(folder, certificates, *foreign)
        yield Site(server, server.authority)
        server.stop()
        return
    with serving(
        "--https", "0", "--certificates", certificates, *SETTINGS, *options, mode=mode,
        folder=folder, **settings,
    ) as server:  # fmt: skip
        yield Site(server, certificates / "authority.pem")


@pytest.fixture(scope="session")
def foreign_certificates(certificates):
    """The development certificate, made for the foreign server too."""
    if not (certificates / "localhost.pem").exists():
        folder = certificates.parent
        Showcase("--https", "0", "--certificates", certificates, mode="in-process", folder=folder).stop()
    return certificates


@pytest.fixture(scope="module")
def site(tmp_path_factory, foreign_certificates):
    with run_site(tmp_path_factory.mktemp("site"), foreign_certificates) as site:
        yield site


@pytest.fixture
def start_site(tmp_path, foreign_certificates):
    """start_site(*options, mode=..., foreign=[...]) for a server of the test's own."""
    with contextlib.ExitStack() as stack:
        yield lambda *options, **settings: stack.enter_context(
            run_site(tmp_path, foreign_certificates, *options, **settings)
        )


@pytest.fixture
def alive(site):
    """Asks over TCP and over QUIC all the time; fails the test when an answer is missing, and when
    memory is not given back."""
    if FOREIGN:
        yield
        return
    server = site.server
    before, over, mistakes = server.metrics()["memory.held"], threading.Event(), []
    counts = {"tcp": 0, "quic": 0}

    def probe(name, ask):
        while not over.is_set():
            try:
                if ask() != (200, b'{"ok":true}'):
                    mistakes.append(f"a wrong answer over {name}")
            except Exception as error:
                mistakes.append(f"{name}: {error!r}")
            counts[name] += 1
            over.wait(0.05)

    def ask_quic():
        with site.peer(source="127.0.0.99") as peer:
            answer = peer.ask("/json")
            return answer.status, bytes(answer.body)

    threads = [
        threading.Thread(target=probe, args=("tcp", lambda: server.get("/json"))),
        threading.Thread(target=probe, args=("quic", ask_quic)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
        assert eventually(lambda: min(counts.values()) > 3)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not mistakes
    # The connections of clients that left without a word are closing for some round trips.
    assert eventually(lambda: server.metrics()["memory.held"] < before + (4 << 20))
