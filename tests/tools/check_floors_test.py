import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from check_floors import Checker, read_floors, strip_noise  # noqa: E402

ROOMS = 'set(ROUTED_FLOORS\n "base"\n "http io"\n "exchange tls"\n "http1"\n "cli ffi")\n'


@pytest.fixture
def house(tmp_path):
    """A function that writes files (path under src/ -> text) and returns what is refused."""
    (tmp_path / "cmake").mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / "cmake/Rooms.cmake").write_text(ROOMS)

    def check(files, allowed=""):
        for name, text in files.items():
            path = tmp_path / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "tools/floors_allowed.txt").write_text(allowed)
        return Checker(tmp_path).run()

    return check


def test_this_tree_keeps_the_rules():
    assert Checker(ROOT).run() == []


def test_floors_are_counted_from_the_ground():
    floors = read_floors(ROOMS)
    assert floors["base"] == 0
    assert floors["http"] == floors["io"] == 1
    assert floors["ffi"] == 4


def test_an_include_may_point_down_and_into_the_own_room(house):
    assert house({
        "base/span.h": "",
        "http/field.h": '#include "base/span.h"\n',
        "http/field.c": '#include "http/field.h"\n#include <string.h>\n',
        "http1/parser.c": '#include "http/field.h"\n#include "base/span.h"\n',
    }) == []


@pytest.mark.parametrize(
    "name, text, complaint",
    [
        ("base/a.c", '#include "http/field.h"', "http is above base"),
        ("tls/a.c", '#include "exchange/e.h"', "same floor"),
        ("http/a.c", '#include "io/loop.h"', "no input or output"),
        ("http1/a.c", '#include "io/loop.h"', "no input or output"),
        ("http/a.c", '#include "http/nowhere.h"', "no such file"),
        ("http/a.c", '#include "field.h"', "room/file.h"),
        ("cellar/a.c", "", "the room cellar is not in"),
        ("http/a.c", "#include <sys/socket.h>", "only io/"),
        ("http/a.c", "#include <unistd.h>", "only io/"),
        ("http/a.c", "  #  include <fcntl.h>", "only io/"),
        ("http/a.c", "int f(void) { return errno; }", "only io/"),
        ("http/a.c", "#include <gnutls/gnutls.h>", "only tls/"),
        ("http/a.c", "void f(char *a) { strcpy(a, a); }", "strcpy"),
        ("http/a.c", "void f(void) { abort (); }", "abort"),
        ("io/a.c", "void f(void) { exit(1); }", "exit"),
        ("http/a.c", "void f(int a) { assert(a); }", "assert"),
        ("http/a.c", "void *f(void) { return malloc(1); }", "malloc"),
        ("ffi/a.c", 'void f(void) { printf(""); }', "printf"),
    ],
)
def test_what_is_refused(house, name, text, complaint):
    there = {"http/field.h": "", "exchange/e.h": "", "io/loop.h": ""}
    mistakes = house({**there, name: text + "\n"})
    assert len(mistakes) == 1
    assert complaint in mistakes[0]
    assert mistakes[0].startswith(f"src/{name}")


def test_the_line_is_named(house):
    assert house({"http/a.c": "/* one\n two */\n\nvoid f(void)\n{\n    abort();\n}\n"})[0].startswith(
        "src/http/a.c:6: abort"
    )


def test_words_that_only_look_banned(house):
    assert house({
        "http/a.c": """
/* abort() in a comment */ // exit(1)
static const char *text = "strcpy(a, b)\\" abort()";
_Static_assert(1, "fine");
static_assert(1, "fine");
void f(struct heap *heap) { heap->free(0); heap_free(heap); _exit(1); (*heap).malloc(1); }
""",
        "cli/a.c": 'void f(void) { printf("usage"); }\n',
        "io/a.c": "#include <sys/epoll.h>\nint f(void) { return errno; }\n",
        "tls/a.c": "#include <gnutls/gnutls.h>\n",
    }) == []


def test_circles_are_refused(house):
    mistakes = house({
        "http/a.h": '#include "http/b.h"\n',
        "http/b.h": '#include "http/c.h"\n',
        "http/c.h": '#include "http/a.h"\n',
    })
    assert mistakes == ["circle of includes: http/a.h -> http/b.h -> http/c.h -> http/a.h"]


def test_an_exception_needs_to_be_listed_and_to_be_needed(house):
    files = {"http/a.c": "#include <unistd.h>\n"}
    assert house(files, "# comment\nsrc/http/a.c unistd.h  reads the clock\n") == []
    mistakes = house(files, "src/http/a.c unistd.h  reads\nsrc/http/a.c fcntl.h  opens\n")
    assert mistakes == ["tools/floors_allowed.txt: src/http/a.c no longer needs fcntl.h"]


def test_strip_noise_keeps_lines():
    assert strip_noise("a /* x\ny */ b '\"' c").count("\n") == 1
    assert '"' not in strip_noise("a '\"' b")
