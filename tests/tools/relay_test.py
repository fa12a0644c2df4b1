"""The relay that the tests of HTTP/3 send their datagrams through."""

import socket

import pytest

from relay import Path, Relay, Weather


def run(count=1000, seed="1", size=1200, step=0.001, **weather):
    """(path, [(number of the datagram, due, data)...] in the order in which they leave)"""
    path = Path(seed, Weather(**weather))
    out = []
    for number in range(count):
        data = number.to_bytes(4, "big") + bytes(size - 4)
        out += [(number, due, piece) for due, piece, _ in path.send(number * step, data)]
    return path, sorted(out, key=lambda entry: entry[1])


def numbers(out):
    return [number for number, _, _ in out]


def test_good_weather_changes_nothing():
    path, out = run()
    assert [(n, due, data[:4]) for n, due, data in out] == [
        (n, n * 0.001, n.to_bytes(4, "big")) for n in range(1000)
    ]
    assert path.counts["out"] == path.counts["in"] == 1000


def test_same_seed_same_weather():
    weather = dict(loss=0.2, jitter=30, reorder=0.1, duplicate=0.1, corrupt=0.1)
    assert run(**weather)[1] == run(**weather)[1]
    assert run(**weather)[1] != run(seed="2", **weather)[1]


def test_one_kind_of_trouble_does_not_move_the_others():
    lost = set(range(1000)) - set(numbers(run(loss=0.1)[1]))
    assert lost == set(range(1000)) - set(numbers(run(loss=0.1, jitter=50, duplicate=0.5, corrupt=0.5)[1]))


@pytest.mark.parametrize("share", [0.01, 0.3])
def test_loss(share):
    path, out = run(10000, loss=share)
    assert path.counts["lost"] == 10000 - len(out)
    assert 0.7 * share < path.counts["lost"] / 10000 < 1.3 * share


def test_loss_in_a_row_is_bounded():
    _, out = run(5000, loss=0.8, loss_run=3)
    gone = numbers(out)
    assert max(after - before for before, after in zip(gone, gone[1:])) == 4


def test_chosen_datagrams_are_dropped():
    assert numbers(run(6, drop=[1, 3])[1]) == [1, 3, 4, 5]


def test_jitter_keeps_the_order():
    _, out = run(delay=50, jitter=50, step=0.005)
    assert numbers(out) == list(range(1000))
    waits = [due - number * 0.005 for number, due, _ in out]
    assert min(waits) >= 0.05 and max(waits) - min(waits) > 0.02


def test_reordering():
    path, out = run(reorder=0.1, reorder_time=5)
    assert numbers(out) != list(range(1000)) and sorted(numbers(out)) == list(range(1000))
    assert 50 < path.counts["reordered"] < 150


def test_duplicates():
    path, out = run(duplicate=0.1)
    assert len(out) == 1000 + path.counts["duplicated"] and 50 < path.counts["duplicated"] < 150


def test_corruption_changes_one_byte():
    path, out = run(corrupt=0.2)
    clean = {number: data for number, _, data in run()[1]}
    changed = [sum(a != b for a, b in zip(data, clean[number])) for number, _, data in out]
    assert set(changed) == {0, 1} and sum(changed) == path.counts["corrupted"]


def test_black_hole_of_large_datagrams():
    assert run(10, size=1281, mtu=1280)[0].counts["too_big"] == 10
    assert len(run(10, size=1280, mtu=1280)[1]) == 10


def test_bottleneck():
    path, out = run(100, size=1250, step=0, rate=1e6, queue=30600)
    # 10 ms each; the queue holds 24 and the one that is on its way.
    assert len(out) == 25 and path.counts["queue_full"] == 75
    assert out[-1][1] == pytest.approx(0.25)


def test_partition_from_a_datagram_on():
    _, out = run(100, block_at=11, block_for=49.5)
    assert numbers(out) == [*range(10), *range(60, 100)]
    assert not run(10, blocked=True)[1]


def test_marks():
    path = Path("1", Weather(mark=1))
    assert path.send(0, b"x", 2)[0][2] == 3 and path.send(0, b"x", 0)[0][2] == 0
    assert (path.counts["ect"], path.counts["ce"]) == (1, 1)


# ---- with sockets ----


@pytest.fixture
def server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


@pytest.fixture
def client():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        yield sock


def pass_on(server, client, relay, data):
    """Sends and answers; the address by which the server saw the client."""
    client.sendto(data, relay.address)
    got, peer = server.recvfrom(2000)
    assert got == data
    server.sendto(data[::-1], peer)
    assert client.recvfrom(2000) == (data[::-1], relay.address)
    return peer


def test_both_ways_and_counted(server, client):
    with Relay(server.getsockname()) as relay:
        assert pass_on(server, client, relay, b"hello") == pass_on(server, client, relay, b"again")
        counts = relay.counts()
        assert counts["up"]["out"] == counts["down"]["out"] == 2 and counts["clients"] == 1


@pytest.mark.parametrize("kind", ["port", "address"])
def test_rebinding(server, client, kind):
    with Relay(server.getsockname()) as relay:
        before = pass_on(server, client, relay, b"one")
        relay.rebind(kind)
        assert relay.counts()["rebinds"] == 1
        after = pass_on(server, client, relay, b"two")
        assert before != after and (before[0] != after[0]) == (kind == "address")
        server.sendto(b"to the old address", before)
        assert pass_on(server, client, relay, b"three") == after


def test_one_way_partition(server, client):
    with Relay(server.getsockname()) as relay:
        relay.tell(down={"blocked": True})
        client.sendto(b"up", relay.address)
        _, peer = server.recvfrom(100)
        server.sendto(b"lost", peer)
        while relay.counts()["down"]["blocked"] == 0:
            pass
        relay.tell(down={"blocked": False})
        pass_on(server, client, relay, b"healed")


def test_congestion_marks_pass(server, client):
    server.setsockopt(socket.IPPROTO_IP, 13, 1)  # IP_RECVTOS
    client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 2)
    with Relay(server.getsockname()) as relay:
        client.sendto(b"marked", relay.address)
        _, notes, _, _ = server.recvmsg(100, 64)
        assert [value[0] & 3 for level, kind, value in notes if kind == socket.IP_TOS] == [2]
