"""Clients of HTTP/3 that were not written here, as functions that fetch paths and say what came:
quic-go's, ngtcp2's (gtlsclient), aioquic's and curl."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from showcase import ROOT, eventually

CURL = ROOT / ".cache/curl/curl"
QUIC_GO = ROOT / "tests/http3/quic_go"
NGTCP2 = shutil.which("gtlsclient")
GREASED = 0x1A2A3A4A  # a version that nobody has (RFC 9000 section 15)


@dataclasses.dataclass
class Fetch:
    """What a client said."""

    answers: list  # [(path, status, length, SHA-256)...]
    resumed: bool = False
    early: bool = False  # was 0-RTT accepted?
    version: str = "v1"
    moved: int = 0  # to other sockets of its own
    log: str = ""


class Failed(Exception):
    pass


def run(command, timeout, **settings):
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, errors="replace", timeout=timeout + 10, **settings
    )
    return result.returncode, result.stdout, result.stderr


def build_quic_go():
    """The program, built once for each state of its source; needs the network the first time."""
    sources = sorted(path for path in QUIC_GO.iterdir() if path.is_file())
    name = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    program = ROOT / f".cache/quic_go/{name}"
    program.parent.mkdir(parents=True, exist_ok=True)
    with open(program.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local"}
            code, _, errors = run(["go", "build", "-o", program, "."], 300, cwd=QUIC_GO, env=environment)
            assert code == 0, f"the client of quic-go cannot be built: {errors}"
    return program


def quic_go(address, authority, paths, *, parallel=1, upload=None, resume=False, early=False, version2=False,
            migrate=0, timeout=30):  # fmt: skip
    command = [build_quic_go(), "-connect", "%s:%d" % tuple(address), "-authority", authority, "-parallel", parallel,
               "-timeout", f"{timeout}s", "-migrate", migrate]  # fmt: skip
    command += [flag for flag, wanted in (("-resume", resume), ("-early", early), ("-v2", version2)) if wanted]
    if upload is not None:
        command += ["-upload", upload]
    _, out, errors = run([*command, *paths], timeout)
    *lines, last = [json.loads(line) for line in out.splitlines()]
    mistakes = [line["error"] for line in [*lines, last] if "error" in line]
    if mistakes or errors:
        raise Failed(f"{mistakes} {errors}")
    assert {line["protocol"] for line in lines} <= {"HTTP/3.0"}
    result = Fetch([(line["path"], line["status"], line["length"], line["sha256"]) for line in lines])
    result.resumed, result.early, result.version = last["resumed"], last["early"], last["version"]
    result.moved = last["migrated"]
    result.log = "\n".join(line.get("body", "") for line in lines)
    return result


def ngtcp2(address, authority, paths, *, parallel=None, upload=None, resume=False, early=False, version2=False,
           migrate=0, rebind=None, key_update=None, first_version=None, options=(), timeout=30):  # fmt: skip
    """`parallel` has no meaning: all requests are sent at once."""
    with tempfile.TemporaryDirectory() as folder:
        if resume or early:
            options = [*options, f"--session-file={folder}/session", f"--tp-file={folder}/parameters",
                       f"--token-file={folder}/token"]  # fmt: skip
            run_ngtcp2(address, ["/json"], folder, [*options, "--wait-for-ticket"], timeout)
            if not early:
                options.append("--disable-early-data")
        options = list(options)
        if upload is not None:
            with open(f"{folder}/upload", "wb") as file:
                file.write(cycle(upload))
            options += ["-m", "POST", "-d", f"{folder}/upload"]
        if version2:
            options += ["-v", "v2"]
        if first_version:
            options += ["-v", hex(first_version), "--preferred-versions=v1"]
        if migrate:
            options.append("--change-local-addr=20ms")
        if rebind:
            options += [f"--change-local-addr={rebind}ms", "--nat-rebinding"]
        if key_update:
            options.append(f"--key-update={key_update}ms")
        return run_ngtcp2(address, paths, folder, options, timeout)


def run_ngtcp2(address, paths, folder, options, timeout):
    target = tempfile.mkdtemp(dir=folder)
    urls = [f"https://localhost:{address[1]}{path}" for path in paths]
    code, out, errors = run(
        [NGTCP2, "--sni=localhost", "--no-quic-dump", "--no-http-dump", "--exit-on-all-streams-close",
         f"--download={target}", f"--timeout={timeout}s", *options, *address, *urls], timeout,
    )  # fmt: skip
    log = out + errors
    statuses = dict(re.findall(r"http: stream 0x([0-9a-f]+) \[:status: (\d+)\]", log))
    statuses = {int(stream, 16): int(status) for stream, status in statuses.items()}
    if code or len(statuses) < len(paths):
        raise Failed(f"gtlsclient {code}: {log[-3000:]}")
    answers = []
    for number, path in enumerate(paths):
        name = path.partition("?")[0].rpartition("/")[2]
        with open(f"{target}/{name}", "rb") as file:
            data = file.read()
        answers.append((path, statuses[4 * number], len(data), hashlib.sha256(data).hexdigest()))
    result = Fetch(answers, log=log)
    result.resumed = "Early data was" in log or "frm rx" in log and "CRYPTO" in log and was_resumed(log)
    result.early = "type=0RTT" in log and "Early data was rejected" not in log
    result.version = "v2" if "the negotiated version is 0x6b3343cf" in log else "v1"
    result.moved = log.count("path validation succeeded") or log.count("Changing local address")
    return result


def was_resumed(log):
    """A resumed handshake brings no certificate: the server's flight is short."""
    sizes = re.findall(r"frm rx \d+ Handshake CRYPTO\(0x06\) offset=(\d+) len=(\d+)", log)
    return bool(sizes) and max(int(offset) + int(size) for offset, size in sizes) < 400


def aioquic(address, authority, paths, *, parallel=None, upload=None, resume=False, early=False, version2=False,
            first_version=None, key_update=False, timeout=30, **_):  # fmt: skip
    import quic_peer

    versions = (quic_peer.V2, quic_peer.V1) if version2 else (quic_peer.V1,)
    settings = {"timeout": timeout, "versions": versions}
    if first_version:
        settings = {**settings, "versions": (*versions, first_version), "first_version": first_version}
    if resume or early:
        with quic_peer.Peer(address, authority, **settings) as peer:
            peer.ask("/json")
            peer.wait(lambda: peer.tickets and peer.tokens)
            settings["ticket"], settings["token"] = peer.tickets[0], peer.tokens[-1]
            if not early:
                settings["ticket"].max_early_data_size = None
    with quic_peer.Peer(address, authority, connect=not early, **settings) as peer:
        data = None if upload is None else cycle(upload)
        method = "GET" if upload is None else "POST"
        streams = [(path, peer.request(path, method=method, data=data)) for path in paths]
        answers = []
        if key_update:
            peer.confirm()
            for _ in range(key_update):
                first = peer.quic._packet_number
                peer.quic.request_key_update()
                peer.quic.send_ping(first)
                peer.wait(lambda: peer.quic.acked.get(quic_peer.ONE_RTT, 0) >= first)
        for path, stream in streams:
            state = peer.answer(stream)
            answers.append((path, state.status, len(state.body), hashlib.sha256(state.body).hexdigest()))
        result = Fetch(answers, peer.handshake.session_resumed, peer.handshake.early_data_accepted)
        result.version = "v2" if peer.quic._version == quic_peer.V2 else "v1"
        result.log = str(dict(peer.quic.acks))
        return result


CLIENTS = {"quic-go": quic_go, "ngtcp2": ngtcp2, "aioquic": aioquic}


def curl(*arguments, authority, data=None, timeout=30, only=True):
    """stdout of curl over HTTP/3."""
    result = subprocess.run(
        [CURL, "-sS", "-4", "--max-time", str(timeout), "--cacert", authority,
         *(["--http3-only"] if only else []), *map(str, arguments)],
        input=data, capture_output=True, timeout=timeout + 10,
    )  # fmt: skip
    if result.returncode:
        raise Failed(f"curl {result.returncode}: {result.stderr.decode()}")
    return result.stdout


def cycle(size):
    """What /bytes/SIZE answers."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


class ForeignServer:
    """ngtcp2's server with files at /bytes/SIZE: shows whether a test is right about clients,
    relays and rules. ROUTED_HTTP3_AGAINST=ngtcp2 takes it in place of the showcase."""

    def __init__(self, folder, certificates, *options):
        self.authority = certificates / "authority.pem"
        self.folder = folder
        for name in (folder / "bytes", folder / "logs"):
            name.mkdir(exist_ok=True)
        (folder / "json").write_bytes(b'{"ok":true}')
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as free:
            free.bind(("127.0.0.1", 0))
            self.secure_port = free.getsockname()[1]
        self.secure_address = ("127.0.0.1", self.secure_port)
        self.process = subprocess.Popen(
            ["gtlsserver", "127.0.0.1", str(self.secure_port), certificates / "localhost-key.pem",
             certificates / "localhost.pem", "-d", folder, "--quiet", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert eventually(self._is_bound), "gtlsserver did not bind its port"

    def _is_bound(self):
        ports = {line.split()[1].rpartition(":")[2] for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]}
        return f"{self.secure_port:04X}" in ports

    def have(self, size):
        path = self.folder / f"bytes/{size}"
        if not path.exists():
            path.write_bytes(cycle(size))

    def stop(self):
        self.process.terminate()
        self.process.wait(5)


if __name__ == "__main__":  # for trying a client by hand: CLIENT HOST PORT AUTHORITY PATH...
    name, host, port, authority, *paths = sys.argv[1:]
    print(CLIENTS[name]((host, int(port)), authority, paths))
