"""The codec of docs/BRIDGE_PROTOCOL.md, version 1, written from that document alone.

Strings of the protocol are bytes; here they are str with one character for each byte (latin-1).
"""

PAYLOAD_MAX = 64 << 20
HEAD_MAX = 96 << 10
FIELDS_MAX = 1024

TOKENS = """host connection user-agent accept accept-encoding accept-language content-type
content-length transfer-encoding cookie set-cookie cache-control pragma upgrade authorization origin
referer location server date x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port
x-request-id sec-websocket-key sec-websocket-version sec-websocket-protocol
sec-websocket-extensions""".split()
LITERAL_NAME = 0xFFFF

SINGLE = {"requests": (1, 11), "responses": (2, 12)}
START = {"requests": (3, 13), "responses": (6, 14)}
CHUNK = {"requests": 4, "responses": 7}
END = {"requests": 5, "responses": 8}
TUNNEL_CHUNK, TUNNEL_CLOSE = 9, 10
LITERAL_TYPES = (1, 2, 3, 6)
REQUEST_LINE = ("method", "scheme", "authority", "path", "query", "protocol")


class BridgeError(Exception):
    """Bytes that the protocol does not allow here."""


# ---- writing: payloads, and frames, which begin with the payload's size ----


def number(value, size):
    return value.to_bytes(size, "big")


def string(content):
    if isinstance(content, str):
        content = content.encode("latin-1")
    return number(len(content), 4) + content


def fields(pairs, literal=False):
    out = number(len(pairs), 4)
    for name, value in pairs:
        if literal:
            out += string(name)
        elif name in TOKENS:
            out += number(TOKENS.index(name), 2)
        else:
            out += number(LITERAL_NAME, 2) + string(name)
        out += string(value)
    return out


def payload(kind, rest=b""):
    return bytes((1, kind)) + rest


def frame(payload):
    return number(len(payload), 4) + payload


def response(kind, status, pairs, body=None):
    """Type 12 with a body, 14 without one."""
    rest = number(status, 2) + fields(pairs, kind in LITERAL_TYPES)
    return payload(kind, rest + (b"" if body is None else string(body)))


def request(kind, line, pairs, body=None):
    """Type 11 with a body, 13 without one. `line` has the six strings of the request line."""
    rest = b"".join(map(string, line)) + fields(pairs, kind in LITERAL_TYPES)
    return payload(kind, rest + (b"" if body is None else string(body)))


def chunk(kind, content):
    return payload(kind, string(content))


# ---- reading ----


class Decoder:
    """feed() takes bytes as they come and returns events: ("head", dict), ("body", bytes),
    ("end", None), ("tunnel", bytes), ("tunnel_close", None), ("error", text). After an error the
    connection is of no more use."""

    def __init__(self, direction, phase="head"):
        self.direction = direction
        self.phase = phase  # head, body, upgrade, tunnel, over
        self.input = bytearray()
        self.events = []
        self.left = 0  # of the payload
        self.head_left = 0
        self.is_between_frames = True
        self.steps = self._read_frames()

    def feed(self, data):
        self.input += data
        self.events = []
        try:
            next(self.steps)
        except BridgeError as problem:
            self._tell("error", str(problem))
        return self.events

    def enter_tunnel(self):
        """The response to the request that was just read has status 101."""
        self.phase = "tunnel"

    def is_idle(self):
        return self.phase == "head" and self.is_between_frames and not self.input

    def _tell(self, kind, value=None):
        self.events.append((kind, value))

    def _wait(self, size):
        while len(self.input) < size:
            yield

    def _take(self, size):
        if size > self.left:
            raise BridgeError("truncated frame")
        self.left -= size
        yield from self._wait(size)
        piece = bytes(self.input[:size])
        del self.input[:size]
        return piece

    def _number(self, size):
        return int.from_bytes((yield from self._take(size)), "big")

    def _string(self):
        size = yield from self._number(4)
        self.head_left -= size
        if self.head_left < 0:
            raise BridgeError("head too large")
        return (yield from self._take(size)).decode("latin-1")

    def _content(self, kind):
        """The last field of its frame, told as it arrives."""
        size = yield from self._number(4)
        self._check_last(size)
        while self.left:
            yield from self._wait(1)
            piece = bytes(self.input[: self.left])
            del self.input[: len(piece)]
            self.left -= len(piece)
            self._tell(kind, piece)

    def _check_last(self, size):
        if size != self.left:
            raise BridgeError("truncated frame" if size > self.left else "trailing bytes in frame")

    def _read_frames(self):
        while True:
            self.left = 4
            yield from self._wait(1)
            self.is_between_frames = False
            size = yield from self._number(4)
            if not 2 <= size <= PAYLOAD_MAX:
                raise BridgeError("frame too large" if size > 2 else "truncated frame")
            self.left = size
            if (yield from self._number(1)) != 1:
                raise BridgeError("unsupported version")
            yield from self._read_payload((yield from self._number(1)))
            self._check_last(0)
            self.is_between_frames = True

    def _read_payload(self, kind):
        direction = self.direction
        if self.phase == "head" and kind in SINGLE[direction] + START[direction]:
            yield from self._read_head(kind, kind in SINGLE[direction])
        elif self.phase == "body" and kind == CHUNK[direction]:
            yield from self._content("body")
        elif self.phase == "body" and kind == END[direction]:
            self.phase = "head"
            self._check_last(0)
            self._tell("end")
        elif self.phase == "upgrade" and kind == END[direction]:
            self.phase = "tunnel"
        elif self.phase == "tunnel" and kind == TUNNEL_CHUNK:
            yield from self._content("tunnel")
        elif self.phase == "tunnel" and kind == TUNNEL_CLOSE:
            self.phase = "over"
            self._check_last(0)
            self._tell("tunnel_close")
        else:
            raise BridgeError("unknown frame type, or frame out of turn")

    def _read_head(self, kind, is_single):
        head = {"type": kind, "body_size": 0}
        self.head_left = HEAD_MAX
        status = 0
        if self.direction == "requests":
            for name in REQUEST_LINE:
                head[name] = yield from self._string()
        else:
            status = head["status"] = yield from self._number(2)
            if not 100 <= status <= 999 or (is_single and status < 200 and status != 101):
                raise BridgeError("status out of range")
        head["fields"] = yield from self._read_fields(kind in LITERAL_TYPES)
        if not is_single:
            self._check_last(0)
            self._tell("head", head)
            if status == 101:
                self.phase = "upgrade"
            elif status < 100 or status >= 200:  # an interim response is a head only
                self.phase = "body"
            return
        size = head["body_size"] = yield from self._number(4)
        self._check_last(size)
        if status == 101 and size:
            raise BridgeError("content in an upgrade response")
        self._tell("head", head)
        while self.left:
            yield from self._wait(1)
            self._tell("body", (yield from self._take(min(self.left, len(self.input)))))
        if status == 101:
            self.phase = "tunnel"
        else:
            self._tell("end")

    def _read_fields(self, literal):
        count = yield from self._number(4)
        if count > FIELDS_MAX:
            raise BridgeError("too many fields")
        pairs = []
        for _ in range(count):
            token = LITERAL_NAME if literal else (yield from self._number(2))
            if token != LITERAL_NAME and token >= len(TOKENS):
                raise BridgeError("unknown field name token")
            name = TOKENS[token] if token != LITERAL_NAME else (yield from self._string())
            pairs.append((name, (yield from self._string())))
        return pairs
