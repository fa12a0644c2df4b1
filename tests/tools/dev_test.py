"""What ./dev says before it does anything, and that its words match what is there."""

import json
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def dev(*arguments):
    return subprocess.run([ROOT / "dev", *arguments], capture_output=True, text=True, timeout=60, cwd="/")


def test_help_names_every_verb():
    verbs = re.search(r"^(run \|.*)\) \"", (ROOT / "dev").read_text(), re.MULTILINE).group(1).split(" | ")
    done = dev("help")
    assert done.returncode == 0
    assert re.findall(r"^  (\w+) ", done.stdout, re.MULTILINE) == verbs


def test_help_names_every_preset_for_people():
    presets = [preset["name"] for preset in json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]]
    listed = re.search(r"presets: (.*)", dev("help").stdout).group(1).split()
    assert listed == [name for name in presets if name != "base" and not name.startswith("lint-")]


@pytest.mark.parametrize(
    "arguments, complaint",
    [(["nonsense"], "unknown verb nonsense"), (["test", "--nonsense"], "unknown option --nonsense"),
     (["test", "--sanitize", "memory"], "--sanitize address"), (["fuzz", "--time", "soon"], "takes seconds")],
)
def test_mistakes_are_told(arguments, complaint):
    done = dev(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_doctor_tells_what_is_missing_for_every_section():
    done = dev("doctor")
    assert done.returncode == 0
    for section in ("build", "test", "lint", "fuzz", "bench"):
        assert re.search(rf"^for {section}\s+\S", done.stdout, re.MULTILINE)
