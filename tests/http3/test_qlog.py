"""Files of events for people who look for a fault: in debug builds only, bounded, and whole."""

import json
import re
import stat
import subprocess

import pytest

from conftest import FOREIGN
from quic_peer import Peer
from showcase import BINARY, BUILD, eventually

BUILT = "ROUTED_QLOG:BOOL=ON" in (BUILD / "CMakeCache.txt").read_text()
pytestmark = [pytest.mark.sanitizer, pytest.mark.skipif(FOREIGN, reason="about files of ours")]


def read(path):
    """The records of a JSON text sequence (RFC 7464): each between RS and LF."""
    content = path.read_bytes()
    assert content[:1] == b"\x1e" and content[-1:] == b"\n"
    return [json.loads(record) for record in content[1:].split(b"\x1e")]


def run_to_the_end(folder, *options):
    return subprocess.run(
        [BINARY, "--port", "0", *options], cwd=folder, capture_output=True, text=True, timeout=30
    )  # fmt: skip


@pytest.mark.skipif(BUILT, reason="about builds without it")
def test_refused_where_it_was_not_built(tmp_path, certificates):
    result = run_to_the_end(tmp_path, "--https", "0", "--certificates", certificates, "--qlog", "q")
    assert result.returncode == 1
    assert "built without qlog" in result.stderr
    assert not (tmp_path / "q").exists()


@pytest.mark.skipif(not BUILT, reason="about builds with it")
@pytest.mark.parametrize("option, text", [("/nowhere/q", "qlog /nowhere/q: "), ("plain", "qlog needs HTTP/3")])
def test_what_cannot_be(tmp_path, certificates, option, text):
    secure = [] if option == "plain" else ["--https", "0", "--certificates", certificates]
    result = run_to_the_end(tmp_path, *secure, "--qlog", option)
    assert result.returncode == 1 and text in result.stderr


@pytest.mark.skipif(not BUILT, reason="about builds with it")
@pytest.mark.parametrize("options, mode", [([], "in-process"), (["--http3-process"], "processes")])
def test_a_file_for_each_connection(start, certificates, tmp_path, options, mode):
    folder = tmp_path / "events"
    server = start(
        "--https", "0", "--certificates", certificates, "--qlog", folder, "--limit", "qlog_files=2",
        *options, mode=mode,
    )  # fmt: skip
    for _ in range(3):
        with Peer(server.secure_address, certificates / "authority.pem") as peer:
            assert peer.ask("/json").status == 200
    server.assert_numbers({"quic.connections": 0, "limit.qlog_files": 1})
    server.stop()
    assert f"written to {folder}" in server.errors and server.errors.count("qlog_files") == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert len(files) == 2
    for file in files:
        assert re.fullmatch(r"[0-9a-f]{16,40}\.sqlog", file.name)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        head, *events = read(file)
        assert head["qlog_format"] == "JSON-SEQ" and head["trace"]["vantage_point"]["type"] == "server"
        names = {event["name"] for event in events}
        assert {"transport:packet_received", "transport:packet_sent", "recovery:metrics_updated"} <= names
        times = [event["time"] for event in events]
        assert times == sorted(times)


@pytest.mark.skipif(not BUILT, reason="about builds with it")
def test_what_is_written_ends_with_a_whole_record(start, certificates, tmp_path):
    folder = tmp_path / "events"
    server = start(
        "--https", "0", "--certificates", certificates, "--qlog", folder, "--limit", "qlog_bytes=5000",
        mode="in-process",
    )  # fmt: skip
    with Peer(server.secure_address, certificates / "authority.pem") as peer:
        assert len(peer.ask("/bytes/100000").body) == 100000
    server.assert_numbers({"limit.qlog_bytes": 1})
    server.stop()
    (file,) = folder.iterdir()
    assert 2000 < file.stat().st_size <= 5000
    assert len(read(file)) > 5
