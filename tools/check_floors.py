"""Checks the sources against the floor plan in cmake/Rooms.cmake and the rules of the house.

- An include points down: to a lower floor or into the own room, and files do not include in circles.
- The protocol machines never reach the loop, not even where their floor would allow it.
- Only io/ includes headers of system calls or reads errno; only tls/ includes GnuTLS.
- Functions that are unsafe, end the process or print do not occur; heap comes from base/memory.h.

Exceptions stand in tools/floors_allowed.txt, each with its reason; one that is no longer needed
is refused as well.
"""

import pathlib
import re
import sys

ROOMS_WITHOUT_IO = {"http", "http1", "http2", "http3", "exchange", "wire", "websocket"}

SYSTEM_HEADERS = re.compile(
    r"^(sys/(?!types\.h|param\.h|cdefs\.h|queue\.h).*|netinet/.*|arpa/.*|net/.*|linux/.*|unistd\.h|fcntl\.h"
    r"|poll\.h|signal\.h|netdb\.h|dirent\.h|spawn\.h|sched\.h|termios\.h|ifaddrs\.h|pwd\.h|grp\.h)$"
)
TLS_HEADERS = re.compile(r"^(gnutls/|ngtcp2/ngtcp2_crypto|openssl/)")

BANNED = {
    "strcpy": "copies without a bound",
    "strcat": "copies without a bound",
    "stpcpy": "copies without a bound",
    "strncpy": "leaves texts unterminated",
    "strncat": "its bound is not the size of the target",
    "sprintf": "prints without a bound",
    "vsprintf": "prints without a bound",
    "gets": "reads without a bound",
    "scanf": "overflows silently",
    "sscanf": "overflows silently",
    "strtok": "keeps state that threads share",
    "atoi": "cannot tell an error",
    "atol": "cannot tell an error",
    "atoll": "cannot tell an error",
    "strtol": "skips white space and reads the locale; see base/decimal.h",
    "strtoul": "skips white space and reads the locale; see base/decimal.h",
    "strtoull": "skips white space and reads the locale; see base/decimal.h",
    "rand": "can be guessed",
    "srand": "can be guessed",
    "random": "can be guessed",
    "alloca": "takes the stack without a bound",
    "localtime": "keeps state that threads share",
    "gmtime": "keeps state that threads share",
    "strerror": "keeps state that threads share",
    "setjmp": "jumps",
    "longjmp": "jumps",
    "abort": "ends the process of the caller",
    "exit": "ends the process of the caller",
    "assert": "ends the process of the caller",
    "printf": "a library prints nothing",
    "vprintf": "a library prints nothing",
    "fprintf": "a library prints nothing",
    "vfprintf": "a library prints nothing",
    "puts": "a library prints nothing",
    "putchar": "a library prints nothing",
    "perror": "a library prints nothing",
    "malloc": "heap comes from base/memory.h",
    "calloc": "heap comes from base/memory.h",
    "realloc": "heap comes from base/memory.h",
    "free": "heap comes from base/memory.h",
    "strdup": "heap comes from base/memory.h",
    "strndup": "heap comes from base/memory.h",
    "asprintf": "heap comes from base/memory.h",
    "vasprintf": "heap comes from base/memory.h",
}
CALL = re.compile(r"(?<![\w.])(?<!->)(" + "|".join(BANNED) + r")\s*\(")

NOISE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def read_floors(text):
    """Room -> number of its floor, counted from the ground."""
    body = re.search(r"set\(ROUTED_FLOORS\s*(.*?)\)", text, re.DOTALL).group(1)
    floors = {}
    for number, line in enumerate(re.findall(r'"([^"]*)"', body)):
        for room in line.split():
            floors[room] = number
    return floors


def read_allowed(text):
    """(path, what) -> reason."""
    allowed = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            path, what, reason = line.split(None, 2)
            allowed[path, what] = reason
    return allowed


def strip_noise(text):
    """Without comments, strings and characters; line numbers stay."""

    def blank(match):
        return " " + "\n" * match.group(0).count("\n")

    return NOISE.sub(blank, text)


class Checker:
    def __init__(self, root):
        self.source = root / "src"
        self.floors = read_floors((root / "cmake/Rooms.cmake").read_text())
        allowed = root / "tools/floors_allowed.txt"
        self.allowed = read_allowed(allowed.read_text()) if allowed.exists() else {}
        self.used = set()
        self.mistakes = []
        self.includes = {}

    def run(self):
        for path in sorted(self.source.rglob("*.[ch]")):
            name = path.relative_to(self.source).as_posix()
            room = name.split("/")[0]
            if room not in self.floors:
                self.mistakes.append(f"src/{name}: the room {room} is not in cmake/Rooms.cmake")
                continue
            self.check_file(name, room, path.read_text())
        self.check_circles()
        for path, what in sorted(set(self.allowed) - self.used):
            self.mistakes.append(f"tools/floors_allowed.txt: {path} no longer needs {what}")
        return self.mistakes

    def refuse(self, name, line, what, reason):
        if (f"src/{name}", what) in self.allowed:
            self.used.add((f"src/{name}", what))
        else:
            self.mistakes.append(f"src/{name}:{line}: {what}: {reason}")

    def check_file(self, name, room, text):
        own = self.includes[name] = []
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start(2)) + 1
            if match.group(1) == "<":
                self.check_system_header(name, room, line, match.group(2))
            else:
                self.check_include(name, room, line, match.group(2))
                own.append(match.group(2))
        code = strip_noise(text)
        for match in CALL.finditer(code):
            what = match.group(1)
            if what in ("printf", "fprintf", "puts", "putchar", "perror") and room == "cli":
                continue
            self.refuse(name, code.count("\n", 0, match.start()) + 1, what, BANNED[what])
        if room != "io" and (match := re.search(r"\berrno\b", code)):
            self.refuse(name, code.count("\n", 0, match.start()) + 1, "errno", "only io/ reads it")

    def check_system_header(self, name, room, line, header):
        if room != "io" and SYSTEM_HEADERS.match(header):
            self.refuse(name, line, header, "only io/ makes system calls")
        if room != "tls" and TLS_HEADERS.match(header):
            self.refuse(name, line, header, "only tls/ knows the TLS library")

    def check_include(self, name, room, line, target):
        other = target.split("/")[0]
        if "/" not in target or other not in self.floors:
            self.refuse(name, line, target, 'own headers are included as "room/file.h"')
        elif not (self.source / target).exists():
            self.refuse(name, line, target, "there is no such file")
        elif other == "io" and room in ROOMS_WITHOUT_IO:
            self.refuse(name, line, target, f"{room} has no input or output")
        elif other != room and self.floors[other] == self.floors[room]:
            self.refuse(name, line, target, f"{room} and {other} are on the same floor")
        elif self.floors[other] > self.floors[room]:
            self.refuse(name, line, target, f"{other} is above {room}")

    def check_circles(self):
        done, trail = set(), []

        def visit(name):
            if name in trail:
                circle = trail[trail.index(name) :] + [name]
                self.mistakes.append("circle of includes: " + " -> ".join(circle))
                return
            if name in done:
                return
            trail.append(name)
            for target in self.includes.get(name, []):
                visit(target)
            trail.pop()
            done.add(name)

        for name in sorted(self.includes):
            visit(name)


def main(root):
    mistakes = Checker(root).run()
    for mistake in mistakes:
        print(mistake)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)))
