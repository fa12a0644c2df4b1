"""Checks that the documents name only what exists.

- docs/routes.md: every symbol in backticks is in src/, include/ or examples/, every path exists.
- Every document: links to files of the repository lead somewhere.
"""

import pathlib
import re
import sys

SYMBOL = re.compile(r"^[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?:\(\))?$")
CONSTANT = re.compile(r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")
PATH = re.compile(r"^(?:src|include|tests|tools|docs|examples|bench|cmake)/[\w./-]+$")
WORD = re.compile(r"[A-Za-z_]\w*")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def words_of_sources(root):
    words = set()
    for folder in ("src", "include", "examples", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".py", ".mjs", ".js"):
                words.update(WORD.findall(path.read_text()))
    return words


def check_routes(root):
    routes = root / "docs/routes.md"
    if not routes.exists():
        return []
    words = words_of_sources(root)
    mistakes = []
    for number, line in enumerate(routes.read_text().splitlines(), 1):
        for name in re.findall(r"`([^`]+)`", line):
            path, _, test = name.partition("::")
            if (SYMBOL.match(name) or CONSTANT.match(name)) and name.rstrip("()") not in words:
                mistakes.append(f"docs/routes.md:{number}: nothing is called {name}")
            if PATH.match(path) and not (root / path).exists():
                mistakes.append(f"docs/routes.md:{number}: there is no {path}")
            if test and test not in words:
                mistakes.append(f"docs/routes.md:{number}: there is no test {test}")
    return mistakes


def check_links(root):
    mistakes = []
    for document in sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")]):
        for target in LINK.findall(document.read_text()):
            if "://" not in target and not (document.parent / target).exists():
                mistakes.append(f"{document.relative_to(root)}: the link {target} leads nowhere")
    return mistakes


def main(root):
    mistakes = check_routes(root) + check_links(root)
    for mistake in mistakes:
        print(mistake)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)))
