import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import check_docs  # noqa: E402


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "src/http1").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "src/http1/parser.c").write_text("int http1_parser_feed(void);\n#define LIMIT_HEAD 1\n")
    return tmp_path


def routes(tree, text):
    (tree / "docs/routes.md").write_text(text)
    return check_docs.check_routes(tree)


def test_this_tree_names_only_what_exists():
    assert check_docs.check_routes(ROOT) + check_docs.check_links(ROOT) == []


def test_names_that_exist(tree):
    assert routes(tree, "`http1_parser_feed`, `http1_parser_feed()`, `src/http1/parser.c`, `LIMIT_HEAD`") == []


@pytest.mark.parametrize(
    "name", ["http1_parser_fed", "http1_parser", "LIMIT_BODY", "src/http1/lexer.c", "src/http1/parser.c::no_test"]
)
def test_names_that_do_not(tree, name):
    assert len(routes(tree, f"text\nand `{name}`\n")) == 1


def test_words_that_are_no_symbols(tree):
    assert routes(tree, "`close`, `GET /json`, `./dev run`, http1_nothing without backticks\n") == []


def test_links(tree):
    (tree / "README.md").write_text("[a](docs/routes.md) [b](https://example.org/x) [c](#part) [d](gone.md)")
    (tree / "docs/routes.md").write_text("[up](../README.md#part)")
    assert check_docs.check_links(tree) == ["README.md: the link gone.md leads nowhere"]
