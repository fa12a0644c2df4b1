"""A client of HTTP/3 that can be told to break the rules: aioquic, with hands on its inside.

Left alone it is a correct client. `inject` sends packets with any frames, header bits and numbers
under the connection's own keys, `raw` writes any bytes on a stream, and the hooks of `Scripted`
change transport parameters, TLS extensions and TLS messages. One thread, no event loop: `wait`
runs the connection until a question has its answer."""

import collections
import contextlib
import dataclasses
import json
import os
import select
import socket
import struct
import time

from aioquic.buffer import Buffer, encode_uint_var
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionState
from aioquic.quic.events import (
    ConnectionTerminated, HandshakeCompleted, StopSendingReceived, StreamDataReceived, StreamReset,
)  # fmt: skip
from aioquic.quic.packet import QuicPacketType, encode_long_header_first_byte
from aioquic.tls import Epoch, ExtensionType

INITIAL, HANDSHAKE, ZERO_RTT, ONE_RTT = Epoch.INITIAL, Epoch.HANDSHAKE, Epoch.ZERO_RTT, Epoch.ONE_RTT
PACKET_TYPES = {
    INITIAL: QuicPacketType.INITIAL, HANDSHAKE: QuicPacketType.HANDSHAKE,
    ZERO_RTT: QuicPacketType.ZERO_RTT, ONE_RTT: QuicPacketType.ONE_RTT,
}  # fmt: skip
V1, V2 = 1, 0x6B3343CF

# Frames and streams of HTTP/3 (RFC 9114 sections 7.2 and 6.2, RFC 9204 section 4.2)
DATA, HEADERS, CANCEL_PUSH, SETTINGS, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID = 0, 1, 3, 4, 5, 7, 0xD
PRIORITY_UPDATE = 0xF0700
CONTROL, PUSH, ENCODER, DECODER = 0, 1, 2, 3

# Errors (RFC 9000 section 20.1, RFC 9114 section 8.1, RFC 9204 section 6)
NO_ERROR, INTERNAL_ERROR, CONNECTION_REFUSED, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_LIMIT_ERROR, STREAM_STATE_ERROR, FINAL_SIZE_ERROR, FRAME_ENCODING_ERROR = 4, 5, 6, 7
TRANSPORT_PARAMETER_ERROR, CONNECTION_ID_LIMIT_ERROR, PROTOCOL_VIOLATION = 8, 9, 10
INVALID_TOKEN, CRYPTO_BUFFER_EXCEEDED, KEY_UPDATE_ERROR = 0xB, 0xD, 0xE
ALERT = 0x100  # and the TLS alert
H3_NO_ERROR, H3_INTERNAL_ERROR, H3_STREAM_CREATION_ERROR, H3_CLOSED_CRITICAL_STREAM = 0x100, 0x102, 0x103, 0x104
H3_FRAME_UNEXPECTED, H3_FRAME_ERROR, H3_EXCESSIVE_LOAD, H3_ID_ERROR = 0x105, 0x106, 0x107, 0x108
H3_SETTINGS_ERROR, H3_MISSING_SETTINGS, H3_REQUEST_REJECTED = 0x109, 0x10A, 0x10B
H3_REQUEST_CANCELLED, H3_REQUEST_INCOMPLETE, H3_MESSAGE_ERROR = 0x10C, 0x10D, 0x10E
QPACK_DECOMPRESSION_FAILED, QPACK_ENCODER_STREAM_ERROR, QPACK_DECODER_STREAM_ERROR = 0x200, 0x201, 0x202

varint = encode_uint_var


def frame(kind, payload=b""):
    """A frame of HTTP/3."""
    return varint(kind) + varint(len(payload)) + payload


def field_section(fields):
    """QPACK without tables: each line a literal with a literal name (RFC 9204 section 4.5.6)."""
    out = b"\0\0"
    for name, value in fields:
        name, value = name.encode(), value.encode("latin-1")
        out += prefixed(0x20, 3, len(name)) + name + prefixed(0, 7, len(value)) + value
    return out


def prefixed(first, bits, value):
    """An integer of RFC 7541 section 5.1."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytes([first | limit]), value - limit
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def get(path="/json", *fields, method="GET", scheme="https", authority="localhost"):
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *fields]


def head(*arguments, **settings):
    """The HEADERS frame of a request."""
    return frame(HEADERS, field_section(get(*arguments, **settings)))


def stream_frame(stream, offset, data, fin=False):
    """A STREAM frame of QUIC with offset and length."""
    return bytes([0x0E | fin]) + varint(stream) + varint(offset) + varint(len(data)) + data


def read_parameters(data):
    """[(id, value)...] of transport parameters (RFC 9000 section 18)."""
    buffer, out = Buffer(data=data), []
    while not buffer.eof():
        key, size = buffer.pull_uint_var(), buffer.pull_uint_var()
        out.append((key, buffer.pull_bytes(size)))
    return out


def write_parameters(parameters):
    return b"".join(varint(key) + varint(len(value)) + value for key, value in parameters)


class Scripted(QuicConnection):
    """Hooks: `parameters` changes the list of transport parameters, `extensions` the list of TLS
    extensions, `messages` (epoch, bytes) what TLS says; `acks` counts ACK frames by type."""

    def __init__(self, *, parameters=None, extensions=None, messages=None, **settings):
        self.hook_parameters = parameters
        self.hook_extensions = extensions
        self.hook_messages = messages
        self.acks = collections.Counter()
        self.acked = {}  # epoch: largest number the server acknowledged
        self.server_close = None  # (code, frame type or None, reason)
        self.frames_of_connection_ids = []
        super().__init__(**settings)

    def _serialize_transport_parameters(self):
        data = super()._serialize_transport_parameters()
        if self.hook_parameters:
            data = write_parameters(self.hook_parameters(read_parameters(data)))
        return data

    def _initialize(self, peer_cid):
        super()._initialize(peer_cid)
        if self.hook_extensions:
            self.tls.handshake_extensions = self.hook_extensions(self.tls.handshake_extensions)

    def _push_crypto_data(self):
        for epoch, buffer in self._crypto_buffers.items():
            data = buffer.data
            buffer.seek(0)
            if data and self.hook_messages:
                data = self.hook_messages(epoch, data)
            self._crypto_streams[epoch].sender.write(data)

    def _handle_ack_frame(self, context, frame_type, buf):
        self.acks[frame_type] += 1
        at = buf.tell()
        self.acked[context.epoch] = max(buf.pull_uint_var(), self.acked.get(context.epoch, 0))
        buf.seek(at)
        super()._handle_ack_frame(context, frame_type, buf)

    def _handle_connection_close_frame(self, context, frame_type, buf):
        super()._handle_connection_close_frame(context, frame_type, buf)
        if self.server_close is None and self._close_event:
            event = self._close_event
            self.server_close = (event.error_code, event.frame_type, event.reason_phrase)


class Reset(Exception):
    """The server reset the stream, or the connection; `code` of the error."""

    def __init__(self, code):
        super().__init__(hex(code))
        self.code = code


@dataclasses.dataclass
class Stream:
    heads: list = dataclasses.field(default_factory=list)  # informational ones, final one, trailers
    body: bytearray = dataclasses.field(default_factory=bytearray)
    ended: bool = False
    reset: int = None
    stopped: int = None  # STOP_SENDING

    @property
    def status(self):
        final = [int(dict(fields)[":status"]) for fields in self.heads if ":status" in dict(fields)]
        return final[-1] if final and final[-1] >= 200 else None

    @property
    def fields(self):
        """Of the final response, without pseudo-headers."""
        for fields in self.heads:
            if int(dict(fields).get(":status", 0)) >= 200:
                return [pair for pair in fields if pair[0] != ":status"]
        return []

    @property
    def informs(self):
        return [fields for fields in self.heads if int(dict(fields).get(":status", 200)) < 200]

    @property
    def trailers(self):
        return self.heads[-1] if self.heads and ":status" not in dict(self.heads[-1]) else []

    @property
    def json(self):
        return json.loads(self.body)

    def value(self, name):
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1
        return values[0] if values else None


class Peer:
    """One connection. `address` is (host, port); `authority` the PEM file to trust.

    h3=False opens no stream at all; ticket and token are those that another Peer collected."""

    def __init__(self, address, authority, *, h3=True, alpn=("h3",), ticket=None, token=b"", timeout=20,
                 versions=(V1,), first_version=None, source="127.0.0.1", connect=True, keep=True, ecn=2,
                 idle=30, window=1 << 20, name="localhost", parameters=None, extensions=None,
                 messages=None):  # fmt: skip
        self.address = address
        self.timeout = timeout
        self.source = source
        self.keep = keep  # bodies
        self.ecn = ecn
        self.socket = None
        self.tickets, self.tokens = [], []
        self.streams = collections.defaultdict(Stream)
        self.handshake = None
        self.terminated = None
        self.before_sending = None  # called before each flight
        self.received = self.sent = 0  # bytes of datagrams
        self.datagrams = []  # what came, when somebody asks for it by setting `record`
        self.record = False
        self.largest = 0
        self.rebind()
        settings = QuicConfiguration(
            alpn_protocols=list(alpn), is_client=True, cafile=str(authority), server_name=name,
            session_ticket=ticket, token=token, idle_timeout=idle, max_data=window, max_stream_data=window,
            supported_versions=list(versions), original_version=first_version,
        )  # fmt: skip
        self.quic = Scripted(
            configuration=settings, session_ticket_handler=self.tickets.append, token_handler=self.tokens.append,
            parameters=parameters, extensions=extensions, messages=messages,
        )  # fmt: skip
        self.quic.connect(address, time.monotonic())
        self.h3 = H3Connection(self.quic) if h3 else None
        if connect:
            self.wait(lambda: self.handshake)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.quic.close()
            self.flush()
        self.socket.close()

    def rebind(self, source=None):
        """A socket of its own: a new port, and a new address if one is named."""
        if self.socket:
            self.socket.close()
        self.source = source or self.source
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self.ecn)
        self.socket.bind((self.source, 0))
        self.socket.setblocking(False)

    @property
    def port(self):
        return self.socket.getsockname()[1]

    # ---- running it ----

    def send_datagram(self, data):
        self.sent += len(data)
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            self.socket.sendto(data, self.address)

    def flush(self):
        if self.before_sending:
            self.before_sending(self)
        for data, _ in self.quic.datagrams_to_send(time.monotonic()):
            self.send_datagram(data)

    def turn(self, patience=0.1):
        """Sends what is due, waits for datagrams or a timer, and takes what came."""
        self.flush()
        now = time.monotonic()
        timer = self.quic.get_timer()
        if timer is not None:
            patience = max(0, min(patience, timer - now))
        if select.select([self.socket], [], [], patience)[0]:
            for _ in range(64):
                try:
                    data = self.socket.recv(65535)
                except (BlockingIOError, ConnectionRefusedError):
                    break
                self.received += len(data)
                self.largest = max(self.largest, len(data))
                if self.record:
                    self.datagrams.append(data)
                self.quic.receive_datagram(data, self.address, time.monotonic())
        timer = self.quic.get_timer()
        if timer is not None and time.monotonic() >= timer:
            self.quic.handle_timer(time.monotonic())
        while event := self.quic.next_event():
            self.take(event)
        self.flush()

    def take(self, event):
        if isinstance(event, ConnectionTerminated):
            self.terminated = event
        elif isinstance(event, HandshakeCompleted):
            self.handshake = event
        elif isinstance(event, StreamReset):
            self.streams[event.stream_id].reset = event.error_code
        elif isinstance(event, StopSendingReceived):
            self.streams[event.stream_id].stopped = event.error_code
        elif isinstance(event, StreamDataReceived) and not self.h3:
            self.streams[event.stream_id].body += event.data
        if not self.h3:
            return
        for event in self.h3.handle_event(event):
            stream = self.streams[event.stream_id]
            if isinstance(event, HeadersReceived):
                stream.heads.append([(name.decode(), value.decode("latin-1")) for name, value in event.headers])
            elif isinstance(event, DataReceived) and self.keep:
                stream.body += event.data
            stream.ended |= event.stream_ended

    @property
    def closed(self):
        """(code, frame type or None for HTTP/3's own, reason) of the server; None while open."""
        return self.quic.server_close

    @property
    def over(self):
        return self.terminated or self.quic._state != QuicConnectionState.CONNECTED and self.handshake

    def run(self, seconds):
        """Goes on for a time; ends early with the connection."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.closed and not self.terminated:
            self.turn(max(0, deadline - time.monotonic()))

    def wait(self, question, timeout=None):
        """Until the answer is true; Reset when the connection ends before."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while not (answer := question()):
            if self.closed:
                raise Reset(self.closed[0])
            if self.over:
                raise ConnectionError(f"the connection ended: {self.quic._close_event}")
            if time.monotonic() >= deadline:
                raise TimeoutError("no answer in time")
            self.turn(max(0, min(1, deadline - time.monotonic())))
        return answer

    def wait_closed(self, timeout=None):
        """The error code of the server's CONNECTION_CLOSE and whether it is HTTP/3's own."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while not self.closed:
            if self.over and self.quic._close_event and not self.closed:
                raise ConnectionError(f"the client ended it: {self.quic._close_event}")
            if time.monotonic() >= deadline:
                raise TimeoutError("the server did not close the connection")
            self.turn(max(0, min(1, deadline - time.monotonic())))
        code, kind, _ = self.closed
        return code, kind is None

    def confirm(self):
        """Until HANDSHAKE_DONE has come."""
        self.wait(lambda: self.quic._handshake_confirmed)

    # ---- requests ----

    def request(self, path="/json", *fields, data=None, **settings):
        """Sends a request; its stream. data=... (bytes) is its whole content."""
        stream = self.quic.get_next_available_stream_id()
        lines = [(name.encode(), value.encode("latin-1")) for name, value in get(path, *fields, **settings)]
        self.h3.send_headers(stream, lines, end_stream=data is None)
        if data is not None:
            self.h3.send_data(stream, data, end_stream=True)
        return stream

    def answer(self, stream, timeout=None):
        """The Stream once it has ended; Reset when it, or the connection, was cut."""
        state = self.streams[stream]
        self.wait(lambda: state.ended or state.reset is not None, timeout)
        if state.reset is not None:
            raise Reset(state.reset)
        return state

    def ask(self, path="/json", *fields, **settings):
        return self.answer(self.request(path, *fields, **settings))

    # ---- breaking rules ----

    def raw(self, data=b"", stream=None, fin=False):
        """Any bytes on a stream, a new one of requests unless it is named; the stream."""
        if stream is None:
            stream = self.quic.get_next_available_stream_id()
        self.quic.send_stream_data(stream, data, fin)
        return stream

    def raw_uni(self, data, fin=False):
        stream = self.quic.get_next_available_stream_id(is_unidirectional=True)
        self.quic.send_stream_data(stream, data, fin)
        return stream

    def number(self):
        """The number of the next packet, now taken."""
        self.quic._packet_number += 1
        return self.quic._packet_number - 1

    def seal(self, payload, epoch=ONE_RTT, *, flags=0, number=None, phase=None, size=None, cid=None,
             wide=False, crypto=None, token=b""):  # fmt: skip
        """A packet with these frames. `flags` go over the first byte's bits before protection, `size`
        pads it with PADDING frames, `wide` takes four bytes for the number."""
        quic = self.quic
        crypto = crypto or quic._cryptos[epoch]
        if crypto._update_key_requested:
            crypto._update_key("local_update")
        number = self.number() if number is None else number
        cid = quic._peer_cid.cid if cid is None else cid
        tail = struct.pack(">I", number & 0xFFFFFFFF) if wide else struct.pack(">H", number & 0xFFFF)
        if not wide:
            payload += bytes(max(0, 2 - len(payload)))
        if epoch == ONE_RTT:
            phase = crypto.key_phase if phase is None else phase
            header = bytes([0x40 | phase << 2 | len(tail) - 1 | flags]) + cid + tail
        else:
            start = bytes([encode_long_header_first_byte(quic._version, PACKET_TYPES[epoch], len(tail) - 1) | flags])
            start += struct.pack(">I", quic._version) + bytes([len(cid)]) + cid
            start += bytes([len(quic.host_cid)]) + quic.host_cid
            if epoch == INITIAL:
                start += varint(len(token)) + token
            if size:
                payload += bytes(max(0, size - len(start) - 2 - len(tail) - len(payload) - 16))
            header = start + struct.pack(">H", 0x4000 | len(tail) + len(payload) + 16) + tail
        if size and epoch == ONE_RTT:
            payload += bytes(max(0, size - len(header) - len(payload) - 16))
        return crypto.send.encrypt_packet(header, payload, number)

    def inject(self, payload, epoch=ONE_RTT, **settings):
        self.send_datagram(self.seal(payload, epoch, **settings))


def unacknowledged(peer):
    """Makes a peer that never acknowledges anything."""
    peer.quic._write_ack_frame = lambda *_, **__: None
    return peer


def random_id(size=8):
    return os.urandom(size)


def initial_secret_name(extension):
    return extension == ExtensionType.QUIC_TRANSPORT_PARAMETERS
