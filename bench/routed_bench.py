#!/usr/bin/python3
"""routed-bench: measures our servers, and what people would use instead, in turns.

    routed-bench --help
    docs/benchmark.md says how to read what comes out.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
# The programs lie beside the name by which this was called: build/PRESET/bench/routed-bench.
BESIDE = pathlib.Path(sys.argv[0]).absolute().parent

from harness import command  # noqa: E402

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:], BESIDE))
