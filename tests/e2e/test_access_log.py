"""The access log: one JSON line for each request, and never in the way of one."""

import json
import os
import re
import signal
import subprocess

import pytest

from showcase import eventually
from wire import Wire

pytestmark = pytest.mark.sanitizer


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for(path, count):
    """The lines once there are so many."""
    assert eventually(lambda: path.exists() and len(path.read_text().splitlines()) >= count)
    lines = read(path)
    assert len(lines) == count, lines
    return lines


def test_one_line_for_each_request(start, mode, tmp_path):
    log = tmp_path / "access.log"
    server = start("--access-log", f"json:{log}", mode=mode)
    with Wire(server.address) as wire:
        port = wire.socket.getsockname()[1]
        wire.request("GET", "/json?a=b")
        wire.answer()
        wire.request("POST", "/echo", body=b"x" * 1000)
        wire.answer()
        wire.request("HEAD", "/text")
        wire.answer("HEAD")
        wire.request("GET", "/nowhere/\"\\\x7f".replace("\x7f", "%7f"))
        wire.answer()
    wait_for(log, 4)  # workers write their lines apart
    with Wire(server.address) as wire:
        wire.send("GET / HTTP/1.1\r\nhost : x\r\n\r\n")
        assert wire.answer().status == 400
    lines = wait_for(log, 5)
    first = lines[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", first["time"])
    assert (first["peer"], first["port"]) == ("127.0.0.1", port)
    assert (first["protocol"], first["method"], first["target"]) == ("1.1", "GET", "/json?a=b")
    assert (first["status"], first["bytes_in"], first["bytes_out"]) == (200, 0, 11)
    assert 0 <= first["head_us"] <= first["total_us"] < 10_000_000
    assert isinstance(first["request_id"], str) and first["engine"] is True
    assert [line["status"] for line in lines[:4]] == [200, 200, 200, 404]
    assert (lines[1]["bytes_in"], lines[1]["bytes_out"]) == (1000, 1000)
    assert (lines[2]["method"], lines[2]["bytes_out"]) == ("HEAD", 0)
    assert lines[3]["engine"] is True, "the engine answers 404 where it has no route"
    assert lines[4]["status"] == 400 and lines[4]["engine"] is False
    assert len({line["request_id"] for line in lines[:4]}) == 4


def test_durations(start, tmp_path):
    log = tmp_path / "access.log"
    server = start("--access-log", f"json:{log}")
    server.get("/delay/100")
    wait_for(log, 1)
    server.get("/lines/5?ms=30")
    delay, lines = wait_for(log, 2)
    assert delay["head_us"] >= 90_000
    assert lines["total_us"] >= 90_000 and lines["head_us"] < lines["total_us"]


def test_client_that_left(start, mode, tmp_path):
    log = tmp_path / "access.log"
    server = start("--access-log", f"json:{log}", mode=mode)
    with Wire(server.address) as wire:
        wire.request("GET", "/lines/1000?ms=10")
        wire.read_head()
        wire.read_chunk()
        wire.reset()
    (line,) = wait_for(log, 1)
    assert line["status"] == 200 and line["error"] == "ROUTED_ERROR_CLIENT_GONE"


def test_native_direct_has_no_engine(start, tmp_path):
    log = tmp_path / "access.log"
    server = start("--access-log", f"json:{log}", "--native-direct")
    status, body = server.get("/anything")
    assert (status, body) == (200, b'{"ok":true,"label":"routed_ffi_native_direct"}')
    (line,) = wait_for(log, 1)
    assert line["engine"] is False and line["target"] == "/anything"


def test_hostile_bytes_stay_in_their_line(start, tmp_path):
    log = tmp_path / "access.log"
    server = start("--access-log", f"json:{log}")
    server.get('/a"b\\c%0a')
    wait_for(log, 1)
    with Wire(server.address) as wire:
        wire.send(b"GET /x\x00\x1b[31m HTTP/1.1\r\nhost: x\r\n\r\n")
        assert wire.answer().status == 400
    lines = wait_for(log, 2)
    assert lines[0]["target"] == '/a"b\\c%0a'
    assert b"\x1b" not in log.read_bytes() and b"\0" not in log.read_bytes()


def test_reopened_on_usr1(start, mode, tmp_path):
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    server = start("--access-log", f"json:{log}", mode=mode)
    server.get("/json")
    wait_for(log, 1)
    log.rename(old)
    server.signal(signal.SIGUSR1)

    def arrives_in_the_new_file():
        server.get("/text")
        return log.exists() and log.stat().st_size > 0

    assert eventually(arrives_in_the_new_file)
    lines = read(old) + read(log)
    assert [line["target"] for line in lines] == ["/json"] + ["/text"] * (len(lines) - 1)


def test_many_at_once_do_not_mix(start, tmp_path):
    log = tmp_path / "access.log"
    server = start("--access-log", f"json:{log}")
    wires = [Wire(server.address) for _ in range(20)]
    for _ in range(50):
        for wire in wires:
            wire.request("GET", "/json")
        for wire in wires:
            wire.answer()
    lines = wait_for(log, 1000)
    assert len({line["request_id"] for line in lines}) == 1000


def assert_undisturbed(server):
    with Wire(server.address) as wire:
        for _ in range(500):
            wire.request("GET", "/json")
            assert wire.answer().status == 200
    assert eventually(lambda: server.metrics()["log.dropped"] >= 1)
    assert server.get("/json")[0] == 200


def test_full_disk(start):
    assert_undisturbed(start("--access-log", "json:/dev/full"))


def test_full_file_system(start, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        log = place / "access.log"
        server = start("--access-log", f"json:{log}")
        assert_undisturbed(server)
        assert log.stat().st_size <= 65536
        server.stop()
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_fifo_without_reader(start, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    keeper = os.open(fifo, os.O_RDWR)  # so that it can be opened; nobody reads
    try:
        assert_undisturbed(start("--access-log", f"json:{fifo}"))
    finally:
        os.close(keeper)


def test_unwritable_log_fails_the_start(tmp_path):
    from showcase import BINARY

    result = subprocess.run(
        [BINARY, "--port", "0", "--access-log", f"json:{tmp_path}/no/such/folder/log"],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert result.returncode == 1
    assert "no/such/folder" in result.stderr
