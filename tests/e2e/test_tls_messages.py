"""TLS message by message: what is odd or broken gets the alert that the RFCs name, and no harm is done.

The clients are tlslite-ng, which sends what it is told to, and records made by hand."""

import contextlib
import os
import socket
import struct

import pytest
from tlslite.constants import AlertDescription, CipherSuite, ContentType, ExtensionType, KeyUpdateMessageType
from tlslite.errors import TLSAbruptCloseError, TLSRemoteAlert
from tlslite.extensions import TLSExtension
from tlslite.handshakesettings import HandshakeSettings
from tlslite.messages import ClientHello, Finished, Message
from tlslite.tlsconnection import TLSConnection

from pki import issue, make_authority
from showcase import serving

pytestmark = pytest.mark.sanitizer

HANDSHAKE, ALERT = ContentType.handshake, ContentType.alert
REQUEST = b"GET /json HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(scope="module", params=["ec", "rsa"])
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    make_authority(folder, "authority")
    issue(folder, "own", "/CN=localhost", "subjectAltName=DNS:localhost\n", "authority", request.param)
    with serving("--https", "0", "--certificate", folder / "own.pem", "--key", folder / "own-key.pem",
                 mode="in-process", folder=folder) as showcase:  # fmt: skip
        yield showcase


@pytest.fixture(autouse=True)
def others_are_served(server):
    yield
    with connect(server) as connection:
        assert ask(connection).startswith(b"HTTP/1.1 200 ")


# ---- in the clear ----


def record(content, kind=HANDSHAKE, length=None, version=0x0301):
    return struct.pack("!BHH", kind, version, len(content) if length is None else length) + content


def message(kind, body):
    return struct.pack("!I", kind << 24 | len(body)) + body


def make_hello(suites=(CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                       CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
               version=(3, 3), extensions=(), compression=(0,)):  # fmt: skip
    """The bytes of a ClientHello of TLS 1.2; extensions are (type, bytes)."""
    usual = [
        (ExtensionType.supported_groups, bytes.fromhex("0002 0017")),
        (ExtensionType.signature_algorithms, bytes.fromhex("0006 0403 0401 0804")),
    ]
    made = [TLSExtension(extType=kind).create(kind, bytearray(body)) for kind, body in (*usual, *extensions)]
    hello = ClientHello().create(version, bytearray(os.urandom(32)), bytearray(), list(suites), extensions=made)
    hello.compression_methods = list(compression)
    return bytes(hello.write())


def alpn(*names):
    listed = b"".join(struct.pack("!B", len(name)) + name for name in names)
    return ExtensionType.alpn, struct.pack("!H", len(listed)) + listed


def read_record(file):
    """(type, content); None at an end."""
    head = file.read(5)
    if len(head) < 5:
        return None
    kind, _, length = struct.unpack("!BHH", head)
    return kind, file.read(length)


def talk(server, *pieces):
    """The first record that comes back after all the pieces were sent; an alert has to be the last."""
    with socket.create_connection(server.secure_address, 20) as sock, sock.makefile("rb") as file:
        for piece in pieces:
            sock.sendall(piece)
        first = read_record(file)
        if first and first[0] == ALERT:
            try:
                assert file.read(1) == b"", "more after an alert"
            except ConnectionResetError:
                pass
        return first


def alert(name):
    return ALERT, bytes([2, getattr(AlertDescription, name)])


HELLO = make_hello()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_hello_in_many_records(server, size):
    pieces = [record(HELLO[begin : begin + size]) for begin in range(0, len(HELLO), size)]
    kind, content = talk(server, b"".join(pieces))
    assert kind == HANDSHAKE and content[0] == 2


def test_hello_byte_by_byte(server):
    whole = record(HELLO)
    kind, content = talk(server, *(whole[at : at + 1] for at in range(len(whole))))
    assert kind == HANDSHAKE and content[0] == 2


REFUSED = {
    "long record": (record(b"\1" * 16385), "record_overflow"),
    "unknown type": (record(HELLO, kind=42), "unexpected_message"),
    "data first": (record(b"GET / HTTP/1.1\r\n", kind=ContentType.application_data), "unexpected_message"),
    "ServerHello": (record(message(2, HELLO[4:])), "unexpected_message"),
    "Finished": (record(message(20, b"x" * 12)), "unexpected_message"),
    "body too short": (record(message(1, HELLO[4:30])), "decode_error"),
    "body too long": (record(message(1, HELLO[4:] + b"\0")), "decode_error"),
    "TLS 1.1": (record(make_hello(version=(3, 2))), "protocol_version"),
    "SSL 3": (record(make_hello(version=(3, 0))), "protocol_version"),
    "no suite of ours": (record(make_hello(suites=[CipherSuite.TLS_RSA_WITH_AES_128_CBC_SHA])), "handshake_failure"),
    "no suite": (record(make_hello(suites=[])), "decode_error"),
    "compression only": (record(make_hello(compression=[1])), "illegal_parameter"),
    "empty ALPN": (record(make_hello(extensions=[alpn()])), "decode_error"),
    "ALPN with an empty name": (record(make_hello(extensions=[alpn(b"h2", b"")])), "decode_error"),
    "ALPN of nonsense": (record(make_hello(extensions=[(ExtensionType.alpn, b"\0\5\xffh2")])), "decode_error"),
    "ALPN unknown": (record(make_hello(extensions=[alpn(b"spdy/3")])), "no_application_protocol"),
}


@pytest.mark.parametrize("data, expected", REFUSED.values(), ids=REFUSED)
def test_refused_in_the_clear(server, data, expected):
    assert talk(server, data) == alert(expected)


# ---- under keys ----

TLS12, TLS13 = (3, 3), (3, 4)
versions = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])


@contextlib.contextmanager
def connect(server, version=TLS13, names=()):
    """A connection of tlslite-ng."""
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    with socket.create_connection(server.secure_address, 20) as sock:
        connection = TLSConnection(sock)
        connection.handshakeClientCert(serverName="localhost", settings=settings, alpn=list(names) or None)
        yield connection


def ask(connection):
    connection.write(REQUEST)
    answer = b""
    while not answer.endswith(b'{"ok":true}'):
        piece = connection.read(max=65536)
        assert piece, answer
        answer += piece
    return answer


def send(connection, content, kind=HANDSHAKE):
    """Any message under the keys of now."""
    for _ in connection._sendMsg(Message(kind, bytearray(content)), update_hashes=False):
        pass


def how_it_ends(connection):
    """The name of the alert that came, "close_notify" included, or "cut"."""
    try:
        while connection.read(max=65536):
            pass
        return "close_notify"
    except TLSRemoteAlert as error:
        return AlertDescription.toStr(error.description)
    except (TLSAbruptCloseError, ConnectionError):
        return "cut"


@versions
def test_ask(server, version):
    with connect(server, version) as connection:
        assert connection.version == version
        assert ask(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("last, chosen", [(b"h2", b"h2"), (b"http/1.1", b"http/1.1"), (b"spdy/3", None)])
def test_alpn_of_many_names(server, last, chosen):
    """60 KiB of names that nobody knows, and then one."""
    names = [b"%0240d" % number for number in range(255)] + [last]
    if chosen:
        with connect(server, names=names) as connection:
            assert connection.session.appProto == chosen
    else:
        with pytest.raises(TLSRemoteAlert) as told, connect(server, names=names):
            pass
        assert told.value.description == AlertDescription.no_application_protocol


@pytest.mark.parametrize("secure", [False, True])
def test_renegotiation(server, secure):
    with connect(server, TLS12) as connection:
        assert ask(connection)
        again = make_hello(extensions=[(ExtensionType.renegotiation_info, b"\0")] if secure else [])
        send(connection, again)
        assert how_it_ends(connection) == "no_renegotiation"


@pytest.mark.parametrize("kind", [1, 4, 20, 99], ids=["ClientHello", "NewSessionTicket", "Finished", "unknown"])
def test_handshake_message_after_the_handshake(server, kind):
    # GnuTLS tries to read a ClientHello before it asks whether one may come.
    expected = {"unexpected_message", "illegal_parameter"} if kind == 1 else {"unexpected_message"}
    with connect(server) as connection:
        assert ask(connection)
        send(connection, HELLO if kind == 1 else message(kind, b"x" * 32))
        assert how_it_ends(connection) in expected


@pytest.mark.parametrize("kind", [ContentType.heartbeat, 99])
@versions
def test_record_of_another_type(server, version, kind):
    with connect(server, version) as connection:
        assert ask(connection)
        send(connection, b"\1\0\0", kind)
        assert how_it_ends(connection) == "unexpected_message"


@versions
def test_change_of_cipher_after_the_handshake(server, version):
    with connect(server, version) as connection:
        assert ask(connection)
        connection.sock.sendall(record(b"\1", ContentType.change_cipher_spec, version=0x0303))
        # Of TLS 1.2 it would have to be encrypted.
        assert how_it_ends(connection) == ("bad_record_mac" if version == TLS12 else "unexpected_message")


def update_keys(connection, kind):
    for _ in connection.send_keyupdate_request(kind):
        pass


def test_key_updates(server):
    with connect(server) as connection:
        for kind in (KeyUpdateMessageType.update_requested, KeyUpdateMessageType.update_not_requested):
            update_keys(connection, kind)
            assert ask(connection)


@pytest.mark.parametrize("body", [b"\2", b"\0\0", b""])
def test_broken_key_update(server, body):
    with connect(server) as connection:
        assert ask(connection)
        send(connection, message(24, body))
        assert how_it_ends(connection) == ("illegal_parameter" if body == b"\2" else "decode_error")


def test_flood_of_key_updates(server):
    with connect(server) as connection:
        assert ask(connection)
        with pytest.raises((ConnectionError, TLSRemoteAlert, TLSAbruptCloseError)):
            for _ in range(100000):
                update_keys(connection, KeyUpdateMessageType.update_requested)


@versions
def test_flood_of_empty_records(server, version):
    with connect(server, version) as connection:
        assert ask(connection)
        with pytest.raises((ConnectionError, TLSRemoteAlert, TLSAbruptCloseError)):
            for _ in range(100000):
                send(connection, b"", ContentType.application_data)


@versions
def test_record_that_was_changed(server, version):
    with connect(server, version) as connection:
        assert ask(connection)
        connection.sock.sendall(record(os.urandom(100), ContentType.application_data, version=0x0303))
        assert how_it_ends(connection) == "bad_record_mac"


@versions
def test_record_that_is_too_long(server, version):
    size = 16384 + (1024 if version == TLS12 else 256) + 1
    with connect(server, version) as connection:
        assert ask(connection)
        connection.sock.sendall(record(b"", ContentType.application_data, size, 0x0303) + bytes(size))
        assert how_it_ends(connection) == "record_overflow"


@versions
def test_finished_that_was_changed(server, version, monkeypatch):
    make = Finished.create

    def make_another(self, verify_data):
        return make(self, bytearray(byte ^ 1 for byte in verify_data))

    monkeypatch.setattr(Finished, "create", make_another)
    with pytest.raises(TLSRemoteAlert) as told:
        with connect(server, version) as connection:
            connection.read()
    assert told.value.description == AlertDescription.decrypt_error
    monkeypatch.undo()
