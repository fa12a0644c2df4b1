"""The scenarios of the QUIC interop runner, by clients that were not written here, through the
relay: every transfer byte by byte, no request lost.

Each row names the clients that can do it; with fewer than two of quic-go's and ngtcp2's, aioquic's
takes the place."""

import contextlib
import hashlib
import re
import threading
import time

import pytest

from conftest import FOREIGN
from http3_clients import CLIENTS, GREASED, Failed, cycle
from relay import Relay
from showcase import TooSlow, eventually, unhurried

MB = 1000000
GO, NG, AIO = "quic-go", "ngtcp2", "aioquic"
ROWS = {}


def scenario(*clients, options=(), foreign=()):
    """Puts a function into the table: `options` are those of a server of its own."""

    def put(function):
        ROWS[function.__name__] = (function, clients, options, foreign)
        return function

    return put


class Run:
    """One scenario with one client."""

    def __init__(self, site, client):
        self.site = site
        self.client = CLIENTS[client]
        self.name = client
        self.relay = None
        self.before = {} if FOREIGN else site.server.metrics()

    @contextlib.contextmanager
    def through(self, **weather):
        with Relay(self.site.address, **weather) as self.relay:
            yield self.relay

    def fetch(self, *sizes, **settings):
        """Fetches so many bytes each, and compares them."""
        address = self.relay.address if self.relay else self.site.address
        paths = [self.site.path(size) for size in sizes]
        result = self.client(address, self.site.authority, paths, **settings)
        got = {path: (status, length, digest) for path, status, length, digest in result.answers}
        assert len(result.answers) == len(paths)
        for path, size in zip(paths, sizes):
            assert got[path] == (200, size, hashlib.sha256(cycle(size)).hexdigest())
        return result

    def grows(self, name, by=None):
        """Does a number of the server grow, or grow by so much? The foreign one has none and passes."""

        def grown():
            return self.site.server.metrics()[name] - self.before[name]

        return FOREIGN or eventually(lambda: grown() == by if by else grown() > 0)


# ---- the table ----


@scenario(NG, AIO)
def versionnegotiation(run):
    result = run.fetch(1000, first_version=GREASED)
    assert result.version == "v1" and run.grows("quic.version_negotiations")


@scenario(GO, NG)
def handshake(run):
    assert run.fetch(1000).version == "v1"


@scenario(GO, NG)
def longrtt(run):
    with run.through(both={"delay": 375}):
        started = time.monotonic()
        run.fetch(50000)
        assert time.monotonic() - started > 1.5


@scenario(GO, NG)
def transfer(run):
    run.fetch(10 * MB, 5 * MB, 2 * MB, parallel=3)


@scenario(GO, NG)
def multiplexing(run):
    """More requests than streams are allowed at once."""
    run.fetch(*range(32, 532), parallel=200)


@scenario(GO, NG, options=["--limit", "http3_retry_from=1"], foreign=["--validate-addr"])
def retry(run):
    """Each datagram of a ClientHello is answered, and that of Go 1.23 has two."""
    run.fetch(1000)
    assert run.grows("quic.retries")


@scenario(GO, NG)
def resumption(run):
    assert run.fetch(5000, resume=True).resumed


@scenario(GO, NG, AIO, options=["--early-data"])
def zerortt(run):
    assert run.fetch(5000, early=True).early
    assert run.grows("quic.early_data", by=1)


@scenario(GO, NG)
def http3(run):
    run.fetch(*range(100000, 100010), 0, parallel=5)


@scenario(GO, NG)
def amplificationlimit(run):
    """The client's second datagram and those after it are lost: until one of them arrives the
    server may have sent no more than three times what came."""
    with run.through(up={"drop": [2, 3, 4]}) as relay:
        run.fetch(1000)
        first = relay.counts()["first"]
    assert first["up"] >= 1200 and 0 < first["down"] <= 3 * first["up"]


@scenario(GO, NG)
def blackhole(run):
    with run.through(both={"delay": 5}, down={"block_at": 500, "block_for": 1500}, up={"block_at": 100, "block_for": 1500}) as relay:
        run.fetch(3 * MB)
        assert relay.counts()["down"]["blocked"] > 0


@scenario(NG, AIO)
def keyupdate(run):
    with run.through(both={"delay": 5}):
        run.fetch(3 * MB, key_update=2)
        assert run.grows("quic.key_updates")


@scenario(GO, NG)
def handshakeloss(run):
    handshakes(run, loss=0.3, loss_run=3)


@scenario(GO, NG)
def transferloss(run):
    with run.through(seed=2, both={"delay": 5, "loss": 0.02}) as relay:
        run.fetch(2 * MB)
        assert relay.counts()["down"]["lost"] > 5


@scenario(GO, NG)
def handshakecorruption(run):
    handshakes(run, corrupt=0.3)


@scenario(GO, NG)
def transfercorruption(run):
    with run.through(seed=2, both={"delay": 5, "corrupt": 0.02}) as relay:
        run.fetch(2 * MB)
        assert relay.counts()["down"]["corrupted"] > 5


def handshakes(run, **weather):
    """Ten connections at once, each with luck of its own."""
    mistakes = []

    def one(seed):
        try:
            mine = Run(run.site, run.name)
            with mine.through(seed=seed, both={"delay": 5, **weather}):
                mine.fetch(1000, timeout=45)
        except Exception as error:
            mistakes.append(error)

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not mistakes, mistakes


@scenario(GO, NG)
def ecn(run):
    """Marks are set and counted both ways, and what the network says by them is taken. Who finds
    that its first ten marks are not counted by the other side sets no more."""
    with run.through(both={"delay": 2}, down={"mark": 0.05}) as relay:
        run.fetch(MB)
        counts = relay.counts()
    assert counts["up"]["ect"] > 10 and counts["down"]["ect"] > 100 and counts["down"]["ce"] > 0


@scenario(GO, NG)
def rebind_port(run):
    with run.through(both={"delay": 5}, rebind_every=40) as relay:
        run.fetch(3 * MB)
        assert relay.counts()["rebinds"] > 0
    assert run.grows("quic.migrations")


@scenario(GO, NG)
def rebind_addr(run):
    with run.through(both={"delay": 5}, rebind_every=40, rebind_kind="address") as relay:
        run.fetch(3 * MB)
        assert relay.counts()["rebinds"] > 0
    assert run.grows("quic.migrations")


@scenario(GO, NG, foreign=["--available-versions=v2,v1", "--preferred-versions=v2,v1"])
def v2(run):
    # quic-go updates keys after 100 packets, and by the label of version 1 (RFC 9369 section 3.3.2).
    assert run.fetch(50000, version2=True).version == "v2"


@scenario(GO, NG)
def connectionmigration(run):
    with run.through(both={"delay": 5}):
        assert run.fetch(3 * MB, migrate=1).moved > 0
    assert run.grows("quic.migrations")


@scenario(GO, NG)
@unhurried(5)
def goodput(run):
    """At least 60 % of what a link of 10 Mbit/s and 30 ms can carry."""
    link = {"delay": 15, "rate": 10e6, "queue": 40000}
    with run.through(both=link):
        started = time.monotonic()
        run.fetch(2 * MB)
        speed = 2 * MB * 8 / (time.monotonic() - started)
    if speed <= 0.6 * 10e6:
        raise TooSlow(f"{speed / 1e6:.1f} Mbit/s")


@scenario(GO, NG)
@unhurried(5)
def crosstraffic(run):
    """Two transfers share a bottleneck; neither starves."""
    link = {"delay": 15, "rate": 10e6, "queue": 40000}
    with run.through(both=link):
        times, mistakes = [], []

        def one():
            started = time.monotonic()
            try:
                run.fetch(MB)
            except Failed as error:
                mistakes.append(error)
            times.append(time.monotonic() - started)

        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not mistakes, mistakes
    if max(times) >= 2 * 2 * MB * 8 / 10e6 + 1:
        raise TooSlow(times)


def test_table_is_whole():
    assert len(ROWS) == 23 and all(len(set(clients)) >= 2 for _, clients, _, _ in ROWS.values())


@pytest.fixture(scope="module")
def sites(site, tmp_path_factory, foreign_certificates):
    """A server for each set of options that a row asks for."""
    from conftest import run_site

    with contextlib.ExitStack() as stack:
        made = {(): site}

        def get(options, foreign):
            key = (*options, *(foreign if FOREIGN else ()))
            if key not in made:
                folder = tmp_path_factory.mktemp("site")
                made[key] = stack.enter_context(run_site(folder, foreign_certificates, *options, foreign=foreign))
            return made[key]

        yield get


@pytest.mark.parametrize("row, client", [(row, client) for row, (_, clients, _, _) in ROWS.items() for client in clients])
def test_scenario(sites, row, client):
    function, _, options, foreign = ROWS[row]
    function(Run(sites(options, foreign), client))
