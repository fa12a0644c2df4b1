"""tools/python.sh: the environment is made once, for its list, and whole or not at all."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def ensure(tmp_path):
    """ensure(list) makes an environment without a network; returns (status, what it said)."""

    def ensure_one(text):
        (tmp_path / "list.txt").write_text(text)
        script = (
            f'PYTHON=/usr/bin/python3 PIP_NO_INDEX=1; export PIP_NO_INDEX; say() {{ echo "$*" >&2; }}\n'
            f'. {ROOT}/tools/packages.sh; . {ROOT}/tools/python.sh\n'
            'python_ensure "$1/list.txt" "$1/environment"'
        )
        done = subprocess.run(["bash", "-uc", script, "bash", tmp_path], capture_output=True, text=True, timeout=100)
        return done.returncode, done.stderr

    return ensure_one


def test_once_for_each_list(ensure, tmp_path):
    status, said = ensure("# nothing\n")
    assert status == 0 and "making" in said
    done = subprocess.run(
        [tmp_path / "environment/bin/python", "-c", "import pytest, sys; print(sys.prefix)"], capture_output=True, text=True
    )
    assert done.stdout.strip() == str(tmp_path / "environment"), done.stderr
    assert ensure("# nothing\n") == (0, "")
    status, said = ensure("# nothing else\n")
    assert status == 0 and "making" in said


def test_nothing_is_left_of_one_that_fails(ensure, tmp_path):
    status, said = ensure("routed-no-such==1.0\n")
    assert status == 1 and "routed-no-such" in said
    assert not (tmp_path / "environment").exists()


def test_every_version_of_the_list_is_pinned():
    lines = [line.partition("#")[0].strip() for line in (ROOT / "tools/python.txt").read_text().splitlines()]
    assert all("==" in line for line in lines if line)
