"""What an idle connection costs the server, in every mode."""

import socket

import pytest

from showcase import MODES, eventually

COUNT = 400
MOST = 1100  # bytes of the library's own; TLS is GnuTLS's

REQUEST = (
    b"GET /text?a=b HTTP/1.1\r\nhost: www.example.com\r\nuser-agent: Mozilla/5.0 (X11; Linux)\r\n"
    b"accept: text/html,*/*;q=0.8\r\naccept-language: en\r\naccept-encoding: gzip, br\r\n\r\n"
)


def use(client):
    client.sendall(REQUEST)
    assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("mode", [*MODES, "native-direct"])
def test_idle_connections(start, mode):
    server = start("--workers", "1", "--limit", "connections_per_address=none", mode=mode)
    clients = [socket.create_connection(server.address, 10)]
    try:
        use(clients[0])
        before = server.metrics()["memory.held"]
        for _ in range(COUNT):
            clients.append(socket.create_connection(server.address, 10))
            use(clients[-1])
        assert eventually(lambda: server.metrics()["connections.idle"] == COUNT + 1)
        each = (server.metrics()["memory.held"] - before) / COUNT
        assert each <= MOST, f"an idle connection holds {each:.0f} bytes"
    finally:
        for client in clients:
            client.close()
