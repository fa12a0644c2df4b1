"""tools/packages.sh against configurations of apt that exist only for the test."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt here")


def shell(script, *arguments):
    """Status and output of a script after tools/packages.sh has been read."""
    done = subprocess.run(
        ["bash", "-uc", f". {ROOT}/tools/packages.sh\n{script}", "bash", *arguments],
        capture_output=True, text=True, timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.fixture
def backports(tmp_path):
    """A function that writes a sources.list and .sources files and asks for the backports."""

    def derive(codename, one_line="", command='backports_source "$1"', **stanzas):
        parts = tmp_path / "parts"
        parts.mkdir()
        (tmp_path / "lists/partial").mkdir(parents=True)
        (tmp_path / "sources.list").write_text(one_line)
        for name, text in stanzas.items():
            (parts / f"{name}.sources").write_text(text)
        options = (
            f"ROUTED_APT_OPTIONS=(-o Dir::Etc::sourcelist={tmp_path}/sources.list"
            f" -o Dir::Etc::sourceparts={parts} -o Dir::State::lists={tmp_path}/lists/)"
        )
        return shell(f"{options}\n{command}", codename)

    return derive


STANZA = """# the archive
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg
"""


def test_from_a_stanza(backports):
    other = "Types: deb\nURIs: http://other.example/\nSuites: stable\nComponents: main\n"
    assert backports("bookworm", a_other=other, debian=STANZA) == (0, (
        "Types: deb\n"
        "URIs: http://mirror.example/debian\n"
        "Suites: bookworm-backports\n"
        "Components: main contrib\n"
        "Signed-By: /usr/share/keyrings/archive.gpg\n"
    ))


def test_the_stanza_of_the_release_among_others(backports):
    security = STANZA.replace("/debian", "/security").replace("bookworm bookworm-updates", "bookworm-security")
    status, source = backports("bookworm", debian=f"{security}\n{STANZA}\n{security}")
    assert status == 0
    assert "URIs: http://mirror.example/debian\n" in source
    assert source.count("Types:") == 1


def test_a_stanza_that_is_switched_off(backports):
    off = STANZA.replace("mirror", "off") + "Enabled: no\n"
    status, source = backports("bookworm", debian=f"{off}\n{STANZA}")
    assert status == 0
    assert "URIs: http://mirror.example/debian\n" in source


def test_an_embedded_key_is_kept(backports):
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n"
    stanza = STANZA.replace("Signed-By: /usr/share/keyrings/archive.gpg\n", key)
    assert backports("bookworm", debian=stanza)[1].endswith(key)


def test_from_a_line(backports):
    lines = "# deb http://no.example/debian bookworm main\ndeb http://mirror.example/debian bookworm main contrib # here\n"
    assert backports("bookworm", lines) == (0, (
        "Types: deb\n"
        "URIs: http://mirror.example/debian\n"
        "Suites: bookworm-backports\n"
        "Components: main contrib\n"
    ))


def test_from_a_line_with_options(backports):
    line = "deb [ arch=amd64,arm64 signed-by=/keys/a.gpg ] file:/srv/debian trixie main\n"
    assert backports("trixie", line) == (0, (
        "Types: deb\n"
        "URIs: file:/srv/debian\n"
        "Suites: trixie-backports\n"
        "Components: main\n"
        "Architectures: amd64 arm64\n"
        "Signed-By: /keys/a.gpg\n"
    ))


def test_nothing_to_add_where_they_are_configured(backports):
    assert backports("bookworm", debian=STANZA.replace("bookworm-updates", "bookworm-backports")) == (0, "")


def test_another_release_from_the_same_place(backports):
    status, source = backports("bookworm", command='suite_source "$1" trixie', debian=STANZA)
    assert status == 0
    assert "URIs: http://mirror.example/debian\nSuites: trixie\n" in source


def test_no_source_brings_the_release(backports):
    assert backports("noble", debian=STANZA) == (1, "")


def test_entries_of_sections(tmp_path):
    listing = tmp_path / "packages.txt"
    listing.write_text("# c\n[build]\ngcc\ncmake>=3.22 # why\n\n[test]\ncurl\ngcc\n[lint]\nx?\n")
    assert shell('packages_wanted "$@"', str(listing), "build", "test")[1].split() == ["gcc", "cmake>=3.22", "curl"]
    assert shell('packages_wanted "$@"', str(listing), "lint")[1].split() == ["x?"]


@pytest.mark.parametrize(
    "entry, name, floor",
    [("gcc", "gcc", ""), ("cmake>=3.22", "cmake", "3.22"), ("clang-format-14?", "clang-format-14", ""),
     ("node=nodejs", "nodejs", "")],
)
def test_parts_of_an_entry(entry, name, floor):
    assert shell('package_name "$1"', entry)[1] == f"{name}\n"
    assert shell('package_floor "$1"', entry)[1].strip() == floor


@pytest.mark.parametrize(
    "entry, present",
    [("dpkg", True), ("dpkg>=1.0", True), ("dpkg>=99", False), ("routed-no-such", False),
     ("routed-no-such?", True), ("bash=routed-no-such", True), ("routed-no-tool=routed-no-such", False),
     ("routed-no-tool=dpkg", True), ("bash=routed-no-such>=1", True), ("bash=dpkg>=99:1", False)],
)
def test_what_is_missing(tmp_path, entry, present):
    listing = tmp_path / "packages.txt"
    listing.write_text(f"[build]\n{entry}\n")
    missing = shell('packages_missing "$@"', str(listing), "build")[1].split()
    assert missing == ([] if present else [entry])


@pytest.mark.parametrize("version, is_enough", [("2:1.19~1", "no"), ("2:1.23~2~bpo12+1", "yes"), ("2:1.24~2", "yes")])
def test_go_of_the_backports_is_new_enough(version, is_enough):
    entry = shell('packages_wanted "$@" | grep ^go=', str(ROOT / "tools/packages.txt"), "test")[1].strip()
    compare = 'dpkg --compare-versions "$1" ge "$(package_floor "$2")" && echo yes || echo no'
    assert shell(compare, version, entry) == (0, f"{is_enough}\n")


def test_every_section_of_the_list_is_known():
    text = (ROOT / "tools/packages.txt").read_text()
    sections = [line[1:-1] for line in text.splitlines() if line.startswith("[")]
    assert sections == ["build", "test", "fuzz", "lint", "bench"]
