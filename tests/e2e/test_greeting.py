"""How connections begin and end where TLS or HTTP/2 may be spoken: first bytes, close_notify."""

import socket
import ssl
import struct

import pytest

from showcase import eventually, read_cpu_seconds
from wire import Wire

pytestmark = pytest.mark.sanitizer


class Sealed:
    """A TLS client whose records and FIN are sent when the test says so."""

    def __init__(self, server, host="localhost"):
        context = ssl.create_default_context(cafile=server.authority)
        self.received, self.to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.received, self.to_send, server_hostname=host)
        self.socket = socket.create_connection(server.secure_address, 20)
        self.told_end = False
        self._until_done(self.tls.do_handshake)
        self.flush()

    def _until_done(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.socket.recv(65536)
                if not data:
                    raise EOFError from None
                self.received.write(data)

    def flush(self):
        self.socket.sendall(self.to_send.read())

    def queue_close_notify(self):
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()

    def read_all(self):
        """What the server sent, and how it ended: "notified", "cut" or "reset"."""
        text = b""
        while True:
            try:
                piece = self._until_done(lambda: self.tls.read(65536))
            except ssl.SSLZeroReturnError:
                return text, "notified"
            except EOFError:
                return text, "cut"
            except ConnectionResetError:
                return text, "reset"
            if not piece:
                return text, "notified"
            text += piece


def test_part_of_a_preface_costs_nothing(start):
    server = start("--limit", "header_timeout=700", mode="in-process")
    with Wire(server.address) as wire:
        before = read_cpu_seconds(server.pid)
        wire.send("PRI * HTTP/2.0\r\n")
        assert wire.is_closed()
    assert read_cpu_seconds(server.pid) - before < 0.3


def test_http_on_the_port_of_tls_is_turned_away(secure):
    with Wire(secure.secure_address) as wire:
        wire.request("GET", "/json", host="localhost")
        answer = wire.answer()
        assert answer.status == 400 and answer.closes and b"https" in answer.body
        wire.request("GET", "/json", host="localhost")
        assert wire.is_closed()


@pytest.mark.parametrize("has_fin", [False, True])
def test_request_before_close_notify_is_answered(secure, has_fin):
    client = Sealed(secure)
    client.tls.write(b"GET /delay/300 HTTP/1.1\r\nhost: localhost\r\n\r\n")
    client.queue_close_notify()
    client.flush()
    if has_fin:
        client.socket.shutdown(socket.SHUT_WR)
    answer = b""
    with client.socket:
        while data := client.socket.recv(65536):
            client.received.write(data)
            answer += data
    # The client's library opens nothing after its own close_notify: sealed bytes tell enough.
    assert len(answer) > 300


def segments_received(connection):
    told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("I", told, 152)[0]  # tcpi_data_segs_in


def test_ticket_is_written_with_the_first_answer(start, certificates):
    server = start("--https", "0", "--certificates", certificates, "--native-direct")
    server.authority = certificates / "authority.pem"
    client = Sealed(server)
    with client.socket:
        counts = [segments_received(client.socket)]
        for _ in range(2):
            client.tls.write(b"GET /bench HTTP/1.1\r\nhost: localhost\r\n\r\n")
            client.flush()
            answer = b""
            while not answer.endswith(b"}"):
                answer += client._until_done(lambda: client.tls.read(65536))
            counts.append(segments_received(client.socket))
        assert client.tls.session.has_ticket
    assert counts == [1, 2, 3]


def test_end_without_close_notify_is_answered_with_nothing(secure):
    client = Sealed(secure)
    with client.socket:
        client.socket.shutdown(socket.SHUT_WR)
        assert client.socket.recv(65536) == b""


def test_cut_response_has_no_close_notify(start, certificates):
    server = start("--https", "0", "--certificates", certificates, "--drain", "1", mode="bridge")
    server.authority = certificates / "authority.pem"
    client = Sealed(server)
    client.tls.write(b"GET /events/1000?ms=50 HTTP/1.0\r\nhost: localhost\r\n\r\n")
    client.flush()
    with client.socket:
        head = client._until_done(lambda: client.tls.read(1))
        assert head == b"H"
        server.signal(15)
        assert client.read_all()[1] != "notified"
    assert server.wait() == 4


def test_full_house_of_handshakes_holds_up_tls_clients_only(start, certificates):
    """More handshakes than the limit wait in the kernel; the clear port goes on, and so do they
    when a handshake ends."""
    server = start("--https", "0", "--certificates", certificates, "--workers", "1",
                   "--limit", "handshakes=2")  # fmt: skip
    server.authority = certificates / "authority.pem"
    silent = [socket.create_connection(server.secure_address, 20) for _ in range(2)]
    server.assert_numbers({"connections.open": 2})
    with socket.create_connection(server.secure_address, 20):
        assert eventually(lambda: server.metrics()["limit.handshakes"] > 0)
        assert server.get("/json")[0] == 200
        assert server.metrics()["connections.open"] <= 3
        for client in silent:
            client.close()
        client = Sealed(server)
        client.tls.write(b"GET /text HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        client.flush()
        assert client.read_all()[0].endswith(b"hello")
