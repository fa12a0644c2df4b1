"""A TLS connection that stands in for a socket, and can do what ssl.SSLSocket cannot: end its own
side and read on, and be read and written by two threads at once."""

import socket
import ssl
import threading


class SecureAddress(tuple):
    """(host, port) of a server that speaks TLS, and whom to trust there."""

    def __new__(cls, address, authority):
        made = super().__new__(cls, address)
        made.authority = authority
        return made


class SecureEnd:
    """A client's end of TLS over a socket, which shakes hands step by step."""

    def __init__(self, raw, context, name=None):
        self.raw = raw
        self.received, self.to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.received, self.to_send, server_hostname=name)
        self.lock = threading.Lock()

    def finish(self):
        """The handshake, or the rest of it."""
        while not self._step():
            self._flush()
            self._receive()
        self._flush()

    def _step(self):
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def _flush(self):
        self.raw.sendall(self.to_send.read())

    def _receive(self):
        piece = self.raw.recv(262144)
        if not piece:
            raise ConnectionResetError("the end of TCP before that of TLS")
        with self.lock:
            self.received.write(piece)


class SecureSocket(SecureEnd):
    """An end without close_notify is a reset here; what has no method here is the socket's own."""

    def __init__(self, raw, authority):
        context = ssl.create_default_context(cafile=authority)
        context.check_hostname = False  # no name is sent, so that any host may be asked for
        super().__init__(raw, context)
        self.finish()

    def __getattr__(self, name):
        return getattr(self.raw, name)

    def recv(self, size):
        while True:
            try:
                with self.lock:
                    return self.tls.read(size)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                self._receive()

    def sendall(self, data):
        for begin in range(0, len(data), 65536):
            with self.lock:
                self.tls.write(data[begin : begin + 65536])
                records = self.to_send.read()
            self.raw.sendall(records)

    def shutdown(self, how):
        """Ends this side: close_notify, and nothing after it."""
        assert how == socket.SHUT_WR
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._flush()
