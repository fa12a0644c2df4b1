"""Node's clients, without packages."""

import re
import subprocess

import pytest

from showcase import ROOT

SCRIPT = ROOT / "tests/e2e/client.mjs"


@pytest.mark.sanitizer
def test_node(server):
    result = subprocess.run(
        ["node", str(SCRIPT), server.url], capture_output=True, text=True, timeout=90
    )
    assert result.returncode == 0, result.stdout + result.stderr
    checks = re.findall(r"^  async (\w+)\(", SCRIPT.read_text(), re.MULTILINE)
    assert result.stdout.split() == checks
