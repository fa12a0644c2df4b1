"""cmake --install, as a Debian user would meet what it puts down."""

import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from showcase import lasting_port

ROOT = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(os.environ.get("ROUTED_BUILD_DIR", ROOT / "build/release"))
HEADERS = sorted(path.name for path in (ROOT / "include/routed").glob("*.h"))

CONSUMER_CMAKE = """
cmake_minimum_required(VERSION 3.22)
project(consumer LANGUAGES C)
find_package(routed_ffi 0.1 REQUIRED)
add_executable(shared main.c)
target_link_libraries(shared PRIVATE routed_ffi::routed_ffi)
add_executable(static main.c)
target_link_libraries(static PRIVATE routed_ffi::routed_ffi_static)
"""
CONSUMER = """
#include <routed/error.h>
#include <stdio.h>

int main(void)
{
    return puts(routed_error_name(ROUTED_ERROR_CHUNK)) < 0;
}
"""


def run(*command, **options):
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100, **options,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    place = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--prefix", place)
    return place


@pytest.fixture(scope="module")
def library(prefix):
    return next(prefix.rglob("librouted_ffi.so")).parent


def pkg_config(library, *arguments):
    """The words pkg-config answers about the installed library."""
    environment = {**os.environ, "PKG_CONFIG_PATH": str(library / "pkgconfig")}
    return run("pkg-config", *arguments, "routed_ffi", env=environment).split()


def test_staged_below_destdir(tmp_path):
    run("cmake", "--install", BUILD, env={**os.environ, "DESTDIR": str(tmp_path)})
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {"librouted_ffi.a", "librouted_ffi.so.0.1.0", "routed_ffi.pc", "error.h"} <= files
    assert all(path.is_relative_to(tmp_path / "usr/local") for path in tmp_path.rglob("*") if path.is_file())


def test_what_is_put_down(prefix, library):
    assert sorted(path.name for path in (prefix / "include/routed").iterdir()) == HEADERS
    assert {path.name for path in (prefix / "include").iterdir()} == {"routed"}
    assert (library / "librouted_ffi.so").resolve().name == "librouted_ffi.so.0.1.0"
    assert (library / "librouted_ffi.so.0").is_symlink()
    assert (library / "librouted_ffi.a").is_file()
    assert (library / "pkgconfig/routed_ffi.pc").is_file()
    configs = {path.name for path in (library / "cmake/routed_ffi").iterdir()}
    assert {"routed_ffiConfig.cmake", "routed_ffiConfigVersion.cmake", "routed_ffiTargets.cmake"} <= configs


def test_soname(library):
    assert "Library soname: [librouted_ffi.so.0]" in run("readelf", "-d", library / "librouted_ffi.so")


def test_pkg_config_names_the_version_and_only_the_library(prefix, library):
    assert pkg_config(library, "--modversion") == ["0.1.0"]
    assert pkg_config(library, "--libs") == [f"-L{library}", "-lrouted_ffi"]
    assert "-lnettle" in pkg_config(library, "--libs", "--static")


def symbols(*arguments):
    lines = run("nm", "--defined-only", *arguments).splitlines()
    return [(match.group(2), match.group(1)) for line in lines
            if (match := re.match(r"[0-9a-f]+ (\w) ([\w.]+)", line))]


def test_symbols_of_the_shared_library_are_the_listed_ones(library):
    listed = (ROOT / "tests/abi/symbols.txt").read_text().split()
    shown = [name for name, kind in symbols("-D", library / "librouted_ffi.so") if kind != "A"]
    assert shown == sorted(listed), "a new public symbol is added to tests/abi/symbols.txt, none is ever taken away"
    assert all(name.startswith("routed_") for name in shown)


def test_symbols_of_the_archive_are_the_same(library):
    shown = [name for name, kind in symbols("-g", library / "librouted_ffi.a")]
    assert sorted(shown) == sorted((ROOT / "tests/abi/symbols.txt").read_text().split())


def test_every_declared_function_is_exported():
    declared = set()
    for name in HEADERS:
        text = re.sub(r"/\*.*?\*/", "", (ROOT / "include/routed" / name).read_text(), flags=re.DOTALL)
        declared |= set(re.findall(r"ROUTED_API\b[^;{]*?\b(routed_\w+)\s*\(", text))
    assert declared == set((ROOT / "tests/abi/symbols.txt").read_text().split())


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(
    "compiler, language", [("gcc", "-std=c99"), ("gcc", "-std=c17"), ("g++", "-std=c++11"), ("g++", "-std=c++20")]
)
def test_a_header_stands_alone(header, compiler, language, tmp_path):
    suffix = ".cc" if compiler == "g++" else ".c"
    (tmp_path / f"alone{suffix}").write_text(f"#include <routed/{header}>\n#include <routed/{header}>\nint alone;\n")
    run(compiler, language, "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
        f"-I{ROOT}/include", tmp_path / f"alone{suffix}")


def test_cmake_package(prefix, library, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER_CMAKE)
    (tmp_path / "main.c").write_text(CONSUMER)
    run("cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path / "build")
    for program in ("shared", "static"):
        assert run(tmp_path / "build" / program) == "ROUTED_ERROR_CHUNK\n"


def readme_program():
    """The first C block of the README."""
    return re.search(r"```c\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)


def test_the_program_of_the_readme_is_the_example():
    assert readme_program() == (ROOT / "examples/hello/hello.c").read_text()
    assert len(readme_program().splitlines()) <= 25


def wait_until_served(process, port):
    """Status and body of its one route once it accepts; fails when the program ends first."""
    while True:
        if process.poll() is not None:
            pytest.fail(f"the program ended with {process.returncode}: {process.stdout.read()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello/reader", timeout=10) as response:
                return response.status, response.read()
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
        select.select([process.stdout], [], [], 0.02)  # until it says something or ends, or a moment


def served_by(*command, library, port):
    """What the program answers; it is stopped then."""
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(library)},
    )
    try:
        return wait_until_served(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("way", ["shared", "static"])
def test_the_program_of_the_readme_serves(way, prefix, library, tmp_path):
    port = lasting_port()
    source = tmp_path / "hello.c"
    source.write_text(re.sub(r"\b8080\b", str(port), readme_program()))
    flags = pkg_config(library, "--cflags", "--libs", *(["--static"] if way == "static" else []))
    if way == "static":
        shutil.copy(library / "librouted_ffi.a", tmp_path)
        flags = [flag.replace(f"-L{library}", f"-L{tmp_path}") for flag in flags]
    run("gcc", "-std=c17", "-Wall", "-Wextra", "-Werror", source, "-o", tmp_path / "hello", *flags)
    assert served_by(tmp_path / "hello", library=library, port=port) == (200, b"Hello, reader!\n")


def test_the_python_host_serves(library):
    port = lasting_port()
    script = ROOT / "examples/python/hello.py"
    assert served_by(sys.executable, script, port, library=library, port=port) == (200, b"Hello, reader!\n")
