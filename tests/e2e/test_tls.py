"""TLS as other programs see it: openssl, sslscan, curl, Python's ssl and websockets."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest
import websockets

from pki import issue, make_authority, openssl, put_pair
from secure import SecureEnd
from showcase import BINARY, Showcase, eventually, serving
from wire import Cut, Wire

pytestmark = pytest.mark.sanitizer


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A folder with an authority, certificates for two servers and a client, and keys."""
    folder = tmp_path_factory.mktemp("pki")

    for authority in ("authority", "stranger"):
        make_authority(folder, authority)

    def issue_one(name, subject, extensions, authority="authority"):
        issue(folder, name, subject, extensions, authority)

    issue_one("first", "/CN=first", "subjectAltName=DNS:first.test,DNS:localhost,IP:127.0.0.1\n")
    issue_one("second", "/CN=second", "subjectAltName=DNS:second.test,DNS:*.wild.test\n")
    issue_one("client", "/O=House/CN=client", "extendedKeyUsage=clientAuth\n")
    issue_one("foreign", "/CN=foreign", "extendedKeyUsage=clientAuth\n", "stranger")
    openssl("pkcs8", "-topk8", "-in", folder / "first-key.pem", "-out", folder / "sealed-key.pem", "-passout", "pass:word")
    return folder


def arguments(pki, name="first"):
    return ["--https", "0", "--certificate", pki / f"{name}.pem", "--key", pki / f"{name}-key.pem"]


@pytest.fixture(scope="module")
def server(pki, tmp_path_factory):
    with serving(
        *arguments(pki), "--certificate-for", f"{pki}/second.pem:{pki}/second-key.pem",
        mode="in-process", folder=tmp_path_factory.mktemp("tls"),
    ) as showcase:  # fmt: skip
        yield showcase


def test_hint_names_the_port_that_was_chosen(tmp_path, certificates):
    server = Showcase("--https", "0", "--certificates", certificates, folder=tmp_path)
    trust, command = server.hints
    assert trust.startswith(f"Trust {certificates}/authority.pem ")
    assert command == f"curl --cacert {certificates}/authority.pem https://localhost:{server.secure_port}/"
    server.stop()


def client(pki, alpn=(), certificate=None):
    context = ssl.create_default_context(cafile=pki / "authority.pem")
    if alpn:
        context.set_alpn_protocols(alpn)
    if certificate:
        context.load_cert_chain(pki / f"{certificate}.pem", pki / f"{certificate}-key.pem")
    return context


def connect(server, context, name="first.test", session=None):
    raw = socket.create_connection(server.secure_address, 20)
    return context.wrap_socket(raw, server_hostname=name, session=session)


def inspect(server, context, name="first.test", host=None):
    with Wire(connect(server, context, name)) as wire:
        wire.request("GET", "/inspect", host=host or name or "x")
        answer = wire.answer()
        return json.loads(answer.body) if answer.status == 200 else answer.status


# ---- versions, ciphers, protocols ----


def test_sslscan(server):
    result = subprocess.run(
        ["sslscan", "--no-colour", f"{server.host}:{server.secure_port}"], capture_output=True, text=True, timeout=100
    )
    for version, state in [("SSLv2", "dis"), ("SSLv3", "dis"), ("TLSv1.0", "dis"), ("TLSv1.1", "dis"),
                           ("TLSv1.2", "en"), ("TLSv1.3", "en")]:  # fmt: skip
        assert re.search(rf"{re.escape(version)}\s+{state}abled", result.stdout), result.stdout
    ciphers = re.findall(r"^(?:Preferred|Accepted)\s+(\S+)\s+\d+ bits\s+(\S+)", result.stdout, re.M)
    assert len(ciphers) >= 5
    for version, cipher in ciphers:
        forward = version == "TLSv1.3" or cipher.startswith("ECDHE-")
        assert forward and re.search(r"GCM|CHACHA20|CCM", cipher), (version, cipher)
    assert "Compression enabled" not in result.stdout
    assert len(re.findall("not vulnerable to heartbleed", result.stdout)) == 2


@pytest.mark.parametrize("flag, works", [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_versions(server, flag, works):
    said = openssl("s_client", "-connect", f"{server.host}:{server.secure_port}", flag, "-cipher",
                   "ALL:@SECLEVEL=0", check=False)  # fmt: skip
    assert ("Cipher is (NONE)" not in said and "BEGIN CERTIFICATE" in said) == works


@pytest.mark.parametrize(
    "offered, chosen",
    [(["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (["h2"], "h2"), ([], None),
     (["http/1.0"], "http/1.0"), (["http/1.0", "http/1.1"], "http/1.1")],
)
def test_alpn(server, pki, offered, chosen):
    with connect(server, client(pki, offered)) as sock:
        assert sock.selected_alpn_protocol() == chosen
        if chosen != "h2":
            wire = Wire(sock)
            wire.request("GET", "/json")
            assert wire.answer().status in (200, 421)


def test_alpn_without_a_common_protocol(server, pki):
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        connect(server, client(pki, ["spdy/3"])).close()


def test_plain_http(server):
    with Wire(server.secure_address) as wire:
        wire.request("GET", "/json")
        answer = wire.answer()
        assert answer.status == 400 and b"https" in answer.body
        assert wire.is_closed()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_resumption(server, pki, version):
    context = client(pki)
    context.minimum_version = context.maximum_version = version
    with connect(server, context) as sock:
        wire = Wire(sock)
        wire.request("GET", "/json", host="first.test")
        assert wire.answer().status == 200
        assert not sock.session_reused
        session = sock.session
    with connect(server, context, session=session) as sock:
        assert sock.session_reused
    with connect(server, context, "second.test", session=session) as sock:
        assert not sock.session_reused, "resumed across names"


# ---- names ----


@pytest.mark.parametrize(
    "name, subject",
    [("first.test", "first"), ("second.test", "second"), ("a.wild.test", "second"), ("unknown.test", "first"), (None, "first")],
)
def test_certificate_by_name(server, pki, name, subject):
    context = client(pki)
    context.check_hostname = False
    with connect(server, context, name) as sock:
        assert ("commonName", subject) in [pair for part in sock.getpeercert()["subject"] for pair in part]


def test_authority_that_does_not_agree(server, pki):
    context = client(pki)
    assert inspect(server, context)["tls"]["server_name"] == "first.test"
    assert inspect(server, context, "second.test", "second.test")["authority"] == "second.test"
    assert inspect(server, context, "first.test", "second.test") == 421
    with Wire(connect(server, context)) as wire:  # a 421 does not end the connection
        wire.request("GET", "/json", host="second.test")
        assert wire.answer().status == 421
        wire.request("GET", "/json", host="first.test")
        assert wire.answer().status == 200


# ---- certificates of clients ----


@pytest.mark.parametrize("rule", ["off", "request", "require"])
@pytest.mark.parametrize("certificate", [None, "client", "foreign"])
def test_client_certificates(start, pki, mode, rule, certificate):
    server = start(*arguments(pki), "--client-certificates", rule, "--client-authorities", pki / "authority.pem",
                   mode=mode)  # fmt: skip
    context = client(pki, certificate=certificate)
    if rule == "require" and certificate != "client":
        with pytest.raises((ssl.SSLError, ConnectionError, Cut)):
            inspect(server, context)
        return
    tls = inspect(server, context)["tls"]
    if rule == "off" or certificate is None:
        assert not tls["client_subject"]
    else:
        assert f"CN={certificate}" in tls["client_subject"]
        fingerprint = openssl("x509", "-in", pki / f"{certificate}.pem", "-noout", "-fingerprint", "-sha256")
        assert fingerprint.strip().partition("=")[2].replace(":", "").lower() == tls["client_fingerprint"].replace(":", "")
        assert (tls["client_verified"] == "success") == (certificate == "client")


# ---- other files while it runs ----


@pytest.mark.parametrize("way", ["signal", "change"])
def test_reload(start, pki, tmp_path, mode, way):
    certificate, key = tmp_path / "a.pem", tmp_path / "a-key.pem"

    def put(name):
        put_pair(pki / name, certificate, key)

    def subject():
        with connect(server, context, None) as sock:
            return sock.getpeercert()["subject"][0][0][1]

    put("first")
    server = start("--https", "0", "--certificate", certificate, "--key", key, mode=mode)
    context = client(pki)
    context.check_hostname = False
    with Wire(connect(server, context, None)) as wire:
        wire.request("GET", "/bytes/1000000?pause=50", host="localhost")
        put("second")
        if way == "signal":
            server.signal(signal.SIGHUP)
        assert eventually(lambda: subject() == "second")
        assert "loaded anew" in server.errors
        assert len(wire.answer().body) == 1000000
    certificate.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    server.signal(signal.SIGHUP)
    assert eventually(lambda: "the old certificates stay in use" in server.errors)
    assert str(certificate) in server.errors
    assert subject() == "second"


# ---- what cannot start ----


@pytest.mark.parametrize(
    "certificate, key, more, text",
    [
        ("nowhere.pem", "first-key.pem", [], r"nowhere\.pem"),
        ("first.pem", "nowhere.pem", [], r"nowhere\.pem"),
        ("first.pem", "second-key.pem", [], r"match|belong"),
        ("first-key.pem", "first-key.pem", [], r"first-key\.pem"),
        ("first.pem", "sealed-key.pem", ["--key-password", "wrong"], r"sealed-key\.pem"),
        ("first.pem", "sealed-key.pem", [], r"sealed-key\.pem.*password|password"),
        ("first.pem", "first-key.pem", ["--ocsp", "nowhere.der"], r"nowhere\.der"),
        ("first.pem", "first-key.pem", ["--client-certificates", "require"], r"(?i)client|authorit"),
    ],
)
def test_faults_at_the_start(pki, certificate, key, more, text):
    command = [BINARY, "--port", "0", "--https", "0", "--certificate", certificate, "--key", key, *more]
    result = subprocess.run(command, cwd=pki, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and not result.stdout
    assert re.search(text, result.stderr), result.stderr


def test_key_with_a_password(start, pki):
    server = start("--https", "0", "--certificate", pki / "first.pem", "--key", pki / "sealed-key.pem",
                   "--key-password", "word", mode="in-process")  # fmt: skip
    assert inspect(server, client(pki))["scheme"] == "https"


# ---- on top ----


def test_websocket(secure):
    context = ssl.create_default_context(cafile=secure.authority)

    async def talk():
        url = f"wss://localhost:{secure.secure_port}/ws/echo"
        async with websockets.connect(url, ssl=context, compression=None, max_size=None) as ws:
            for message in ("hello", os.urandom(1000000), "", "x" * 65536):
                await ws.send(message)
                assert await ws.recv() == message

    asyncio.run(asyncio.wait_for(talk(), 60))


class Shaking(SecureEnd):
    """A handshake that stops after the server's first flight, until it is told to go on."""

    def __init__(self, server, context):
        super().__init__(socket.create_connection(server.secure_address, 20), context, "localhost")
        self._step()
        self._flush()
        self._receive()

    def ask(self):
        self.tls.write(b"GET /json HTTP/1.1\r\nhost: localhost\r\n\r\n")
        self._flush()
        answer = b""
        while True:
            try:
                piece = self.tls.read()
                if not piece:
                    return answer
                answer += piece
            except ssl.SSLWantReadError:
                self._receive()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_stop_answers_who_was_shaking_hands(start, certificates, version):
    server = start(
        "--https", "0", "--certificates", certificates, "--limit", "linger_timeout=20000", mode="in-process"
    )  # fmt: skip
    context = ssl.create_default_context(cafile=certificates / "authority.pem")
    context.minimum_version = context.maximum_version = version
    client = Shaking(server, context)
    server.signal(signal.SIGTERM)
    assert eventually(server.refuses)
    client.finish()
    head, _, body = client.ask().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b'{"ok":true}'
    client.raw.close()
    assert server.wait() == 0


def test_stop_does_not_wait_for_a_handshake_that_stands_still(start, certificates):
    server = start("--https", "0", "--certificates", certificates, "--limit", "linger_timeout=50", mode="in-process")
    context = ssl.create_default_context(cafile=certificates / "authority.pem")
    client = Shaking(server, context)
    start_time = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start_time < 9, "the limit of a handshake"
    client.raw.close()


def test_upload_that_is_cut_without_close_notify_is_no_end(start, certificates, tmp_path):
    ledger = tmp_path / "ledger"
    server = start("--https", "0", "--certificates", certificates, "--ledger", ledger, mode="in-process")
    context = ssl.create_default_context(cafile=certificates / "authority.pem")
    wire = Wire(connect(server, context, "localhost"))
    wire.send("POST /digest HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n", b"x" * 500)
    assert eventually(lambda: server.metrics()["exchanges.open"] == 1)
    wire.close()
    assert eventually(lambda: ledger.exists() and ledger.read_text())
    assert json.loads(ledger.read_text())["outcome"] == "cancelled"
