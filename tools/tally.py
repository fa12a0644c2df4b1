"""Adds up what the runners of ./dev test left behind and prints one closing line.

Each runner has a folder: status (its exit status), log, and where it counts tests itself
junit.xml, and for unit tests cmocka/*.xml, which hold the single tests of each ctest entry.
A runner that failed without naming a failed test (it crashed, or was cut off) counts as one
failure; so does a sanitizer report that no test noticed.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
NOTHING_COLLECTED = 5  # the status of pytest when a filter leaves no test
LOG_TAIL = 40


@dataclass
class Case:
    name: str
    outcome: str
    detail: str = ""


def read_junit(path):
    """The cases of a JUnit file; None when it is missing, cut off or no XML."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
        # Tests of a parser print control characters, which XML 1.0 cannot hold.
        root = ElementTree.fromstring(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", text))
    except (OSError, ElementTree.ParseError):
        return None
    return [read_case(element) for element in root.iter("testcase")]


def read_case(element):
    name = element.get("name", "?")
    if element.get("classname") not in (None, "", name):
        name = f"{element.get('classname')}::{name}"
    failures = [*element.findall("failure"), *element.findall("error")]
    if failures:
        output = [*failures, *element.findall("system-out")]
        detail = "\n".join(part.text or part.get("message", "") for part in output)
        return Case(name, FAILED, detail)
    return Case(name, SKIPPED if element.find("skipped") is not None else PASSED)


def single_tests(entry, folder):
    """What cmocka wrote about one ctest entry in place of the entry itself."""
    cases = []
    for path in sorted(folder.glob(f"{entry.name}.*.xml")):
        for case in read_junit(path) or []:
            cases.append(Case(f"{entry.name}::{case.name}", case.outcome, case.detail))
    if not cases:
        return [entry]
    if entry.outcome == FAILED and not any(case.outcome == FAILED for case in cases):
        cases.append(entry)
    return cases


def cases_of(folder):
    status = int((folder / "status").read_text() or 1)
    cases = read_junit(folder / "junit.xml")
    if cases is None and status == 0 and folder.name.startswith("build-"):
        return []  # a build that succeeds is no test, one that fails is a failure
    if cases is None:
        return [Case(folder.name, PASSED if status == 0 else FAILED, log_tail(folder, status))]
    if (folder / "cmocka").is_dir():
        cases = [single for entry in cases for single in single_tests(entry, folder / "cmocka")]
    for report in sorted((folder / "sanitizer").glob("report*")):
        cases.append(Case(f"{folder.name}: {report.name}", FAILED, report.read_text(errors="replace")))
    if status not in (0, NOTHING_COLLECTED) and not any(c.outcome == FAILED for c in cases):
        cases.append(Case(folder.name, FAILED, log_tail(folder, status)))
    return cases


def log_tail(folder, status):
    try:
        lines = (folder / "log").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return "\n".join([f"ended with status {status}", *lines[-LOG_TAIL:]])


def count(cases, outcome):
    return sum(case.outcome == outcome for case in cases)


def main(results):
    runners = {path.parent.name: cases_of(path.parent) for path in sorted(results.glob("*/status"))}
    every = [case for cases in runners.values() for case in cases]
    failed = [(name, case) for name, cases in runners.items() for case in cases if case.outcome == FAILED]
    for name, case in failed:
        print(f"\n---- {name}: {case.name}\n{case.detail.strip()}")
    print()
    for name, cases in runners.items():
        if not cases:
            continue
        skipped = f", {count(cases, SKIPPED)} skipped" if count(cases, SKIPPED) else ""
        print(f"{name:<20} {count(cases, PASSED):>5} passed, {count(cases, FAILED)} failed{skipped}")
    for name, case in failed:
        print(f"FAILED {name}: {case.name}")
    if not every:
        print("no test matched")
    print(f"{count(every, PASSED)} passed, {len(failed)} failed")
    return 1 if failed or not every else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
