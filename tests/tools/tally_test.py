import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import tally  # noqa: E402

PASSING = '<testsuite><testcase classname="m" name="a"/><testcase name="b"/></testsuite>'
FAILING = '<testsuite><testcase name="a"><failure>why</failure></testcase></testsuite>'
SKIPPING = '<testsuite><testcase name="a"><skipped/></testcase></testsuite>'
BOTH = '<testsuite><testcase name="a"><failure>1</failure><error>2</error></testcase></testsuite>'


@pytest.fixture
def closing(tmp_path, capsys):
    """A function that lays out one runner and returns (closing line, status, all output)."""

    def run(files, name="runner"):
        for path, text in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        status = tally.main(tmp_path)
        output = capsys.readouterr().out
        return output.splitlines()[-1], status, output

    return run


def test_passed(closing):
    assert closing({"status": "0\n", "junit.xml": PASSING})[:2] == ("2 passed, 0 failed", 0)


def test_failed(closing):
    line, status, output = closing({"status": "1\n", "junit.xml": FAILING})
    assert (line, status) == ("0 passed, 1 failed", 1)
    assert "---- runner: a\nwhy" in output
    assert "FAILED runner: a\n" in output


def test_a_failure_with_an_error_in_its_clean_up_is_one(closing):
    assert closing({"status": "1\n", "junit.xml": BOTH})[0] == "0 passed, 1 failed"


def test_skipped_is_neither(closing):
    line, status, output = closing({"status": "0\n", "junit.xml": SKIPPING})
    assert (line, status) == ("0 passed, 0 failed", 0)
    assert "1 skipped" in output


def test_a_runner_without_junit_counts_as_one(closing):
    assert closing({"status": "0\n"})[:2] == ("1 passed, 0 failed", 0)
    line, status, output = closing({"status": "139\n", "log": "SEGV\n"}, "second")
    assert (line, status) == ("1 passed, 1 failed", 1)
    assert "SEGV" in output and "status 139" in output


def test_a_build_counts_only_when_it_fails(closing):
    assert closing({"status": "0\n"}, "build-asan")[:2] == ("0 passed, 0 failed", 1)
    assert closing({"status": "1\n"}, "build-asan")[:2] == ("0 passed, 1 failed", 1)


def test_a_runner_that_died_after_its_tests_passed(closing):
    assert closing({"status": "134\n", "junit.xml": PASSING})[:2] == ("2 passed, 1 failed", 1)


def test_a_junit_file_that_was_cut_off(closing):
    assert closing({"status": "124\n", "junit.xml": PASSING[:30]})[:2] == ("0 passed, 1 failed", 1)


def test_a_filter_that_leaves_nothing(closing, tmp_path, capsys):
    empty = "<testsuite></testsuite>"
    line, status, output = closing({"status": "5\n", "junit.xml": empty})
    assert (line, status) == ("0 passed, 0 failed", 1)
    assert "no test matched" in output


def test_a_sanitizer_report_that_no_test_noticed(closing):
    files = {"status": "0\n", "junit.xml": PASSING, "sanitizer/report.12": "leak\n"}
    assert closing(files)[:2] == ("2 passed, 1 failed", 1)


def ctest(outcome):
    failure = "<failure/>" if outcome == "failed" else ""
    return f'<testsuite><testcase name="unit_x" classname="unit_x">{failure}</testcase></testsuite>'


def test_single_tests_stand_in_for_their_executable(closing):
    files = {"status": "0\n", "junit.xml": ctest("passed"), "cmocka/unit_x.tests.xml": PASSING}
    assert closing(files)[:2] == ("2 passed, 0 failed", 0)


def test_a_failed_single_test_is_counted_once(closing):
    files = {"status": "8\n", "junit.xml": ctest("failed"), "cmocka/unit_x.tests.xml": FAILING}
    assert closing(files)[:2] == ("0 passed, 1 failed", 1)


def test_an_executable_that_crashed_before_it_wrote(closing):
    files = {"status": "8\n", "junit.xml": ctest("failed"), "cmocka/other.tests.xml": PASSING}
    assert closing(files)[:2] == ("0 passed, 1 failed", 1)


def test_an_executable_that_leaked_after_its_tests_passed(closing):
    files = {"status": "8\n", "junit.xml": ctest("failed"), "cmocka/unit_x.tests.xml": PASSING}
    assert closing(files)[:2] == ("2 passed, 1 failed", 1)


def test_control_characters_in_a_report(closing):
    text = FAILING.replace("why", "got \x01\x00 here")
    assert closing({"status": "1\n", "junit.xml": text})[0] == "0 passed, 1 failed"
