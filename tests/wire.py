"""An HTTP/1.1 client that hides nothing: sends the bytes it is given, reads strictly."""

import dataclasses
import socket
import struct

from secure import SecureAddress, SecureSocket


class Cut(Exception):
    """The connection ended before the answer did."""


class Reset(Cut):
    """It ended with a RST."""


@dataclasses.dataclass
class Answer:
    status: int
    reason: str
    version: str
    fields: list
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)
    informs: list = dataclasses.field(default_factory=list)  # Answers with 1xx
    chunks: list = dataclasses.field(default_factory=list)

    def values(self, name):
        return [value for key, value in self.fields if key.lower() == name]

    def value(self, name):
        values = self.values(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None

    @property
    def closes(self):
        return (self.value("connection") or "").lower() == "close"


class Wire:
    """One connection. `target` is (host, port), a SecureAddress, the path of a Unix socket, or a
    socket. A small `receive_buffer` soon holds back what sends to it."""

    def __init__(self, target, timeout=20, receive_buffer=None):
        if isinstance(target, (socket.socket, SecureSocket)):
            self.socket = target
        elif isinstance(target, tuple):
            family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
            self.socket = self._connect(family, tuple(target), timeout, receive_buffer)
            if isinstance(target, SecureAddress):
                self.socket = SecureSocket(self.socket, target.authority)
        else:
            self.socket = self._connect(socket.AF_UNIX, str(target), timeout, receive_buffer)
        self.socket.settimeout(timeout)
        self.buffer = b""

    @staticmethod
    def _connect(family, address, timeout, receive_buffer):
        plain = socket.socket(family)
        plain.settimeout(timeout)
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            plain.connect(address)
        except OSError:
            plain.close()
            raise
        return plain

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- ending ----

    def close(self):
        self.socket.close()

    def reset(self):
        """Leaves with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    # ---- sending ----

    def send(self, *pieces):
        for piece in pieces:
            self.socket.sendall(piece if isinstance(piece, bytes) else piece.encode("latin-1"))

    def request(self, method, target, *fields, body=b"", host="test"):
        """Fields are "name: value"; a body gets its content-length."""
        lines = [f"{method} {target} HTTP/1.1", f"host: {host}", *fields]
        if body:
            lines.append(f"content-length: {len(body)}")
        self.send("\r\n".join(lines) + "\r\n\r\n", body)

    def send_chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    # ---- receiving ----

    def _fill(self):
        try:
            piece = self.socket.recv(262144)
        except ConnectionResetError as error:
            raise Reset(f"reset; before: {self.buffer[:200]!r}") from error
        if not piece:
            raise Cut(f"closed; before: {self.buffer[:200]!r}")
        self.buffer += piece

    def read(self, size):
        while len(self.buffer) < size:
            self._fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_line(self):
        while b"\r\n" not in self.buffer:
            self._fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def read_fields(self):
        fields = []
        while line := self.read_line():
            name, colon, value = line.partition(":")
            assert colon and name and name == name.strip(), f"bad field line {line!r}"
            fields.append((name, value.strip(" \t")))
        return fields

    def read_head(self):
        line = self.read_line()
        version, status, reason = (line.split(" ", 2) + [""])[:3]
        assert version in ("HTTP/1.1", "HTTP/1.0") and len(status) == 3, f"bad line {line!r}"
        return Answer(int(status), reason, version, self.read_fields())

    def read_chunk(self):
        """One chunk of a body; b"" is the last."""
        size = int(self.read_line().partition(";")[0], 16)
        if size == 0:
            return b""
        data = self.read(size)
        assert self.read(2) == b"\r\n", "a chunk without its line end"
        return data

    def read_body(self, answer):
        coding, length = answer.value("transfer-encoding"), answer.value("content-length")
        if coding is not None:
            assert coding == "chunked" and length is None
            while chunk := self.read_chunk():
                answer.chunks.append(chunk)
            answer.body = b"".join(answer.chunks)
            answer.trailers = self.read_fields()
        elif length is not None:
            answer.body = self.read(int(length))
        else:
            assert answer.closes or answer.version == "HTTP/1.0", "a body without an end"
            answer.body = self.read_rest()
        return answer

    def answer(self, method="GET"):
        """The next final answer, with the informational ones before it."""
        informs = []
        head = self.read_head()
        while 100 <= head.status < 200 and head.status != 101:
            informs.append(head)
            head = self.read_head()
        head.informs = informs
        if method == "HEAD" or head.status in (101, 204, 304):
            return head
        return self.read_body(head)

    def read_rest(self):
        """Everything up to a clean end."""
        while piece := self.socket.recv(262144):
            self.buffer += piece
        data, self.buffer = self.buffer, b""
        return data

    def is_closed(self):
        """Waits for the end: True for an end or a reset without a byte before it."""
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def exchange(target, data, timeout=20):
    """Sends bytes, half-closes nothing, reads up to the end of the connection."""
    with Wire(target, timeout) as wire:
        wire.send(data)
        return wire.read_rest()
