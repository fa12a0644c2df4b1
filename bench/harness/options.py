"""The command line. Usage errors end with status 64, as they always have."""

import argparse
import os
import pathlib
import re
import socket
import sys

from harness import servers, workloads

USAGE = 64
CONNECTIONS = 64
PROTOCOLS = ("h1", "h1s", "h2", "h2c", "h3")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


# What routed-load takes (bench/load/options.h): whoever asks for more is told before servers start.
CONNECTIONS_MAX, DEPTH_MAX, BODY_MAX, TABLE_MAX = 60_000, 1024, 1 << 30, 1 << 24
RATE_MAX, DURATION_MAX = 10_000_000, 86_400
COUNT_MAX = 1_000_000_000_000


def bounded(kind, form, named, least, most):
    """Reads numbers of that form between these."""

    def read(text):
        number = kind(text) if re.fullmatch(form, text) else -1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no {named} from {least:,} to {most:,}")
        return number

    return read


def whole(least, most):
    return bounded(int, r"[0-9]{1,15}", "whole number", least, most)


def real(least, most):
    """With a point or without."""
    return bounded(float, r"[0-9]{1,15}(\.[0-9]{0,9})?|\.[0-9]{1,9}", "number", least, most)


ratio = real(0.000_001, 1_000_000)


def own_address(text):
    """The first address of a host that servers can listen on here, as numbers."""
    try:
        for family, kind, _, _, place in socket.getaddrinfo(text, 0, type=socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                probe.bind(place)
                return place[0]
    except OSError as reason:
        raise argparse.ArgumentTypeError(f"{text!r} is no address of this machine: {reason.strerror}") from None


def page_path(text):
    """A file that can be written: a mistake is told before anything is measured."""
    path = pathlib.Path(text)
    place = path if path.exists() else path.parent
    if path.is_dir() or not path.parent.is_dir() or not os.access(place, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written")
    return path


def names_of(kind, known):
    """A comma-separated list of names; "all" is all of them."""

    def read(text):
        names = list(known) if text == "all" else text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {kind} {name}; there are {', '.join(known)}")
        return names

    return read


def make_parser():
    parser = Parser(
        prog="routed-bench", allow_abbrev=False,
        description="Measures our servers, and what people would use instead, in turns.",
        epilog="Exit status: 0 measured, 1 a gate was missed or something failed, 64 usage.",
    )
    load = parser.add_argument_group("load")
    load.add_argument("--requests", type=whole(1, COUNT_MAX), default=5000, metavar="N", help="in each turn [%(default)s]")
    load.add_argument("--duration", type=real(0.001, DURATION_MAX), metavar="SECONDS", help="so long instead of so many")
    load.add_argument("--concurrency", "--connections", type=whole(1, CONNECTIONS_MAX), metavar="N", dest="connections",
                      help=f"clients at once, each with one connection [{CONNECTIONS}]")
    load.add_argument("--streams", type=whole(1, DEPTH_MAX), default=1, metavar="N",
                      help="requests under way on each HTTP/2 or HTTP/3 connection [%(default)s]")
    load.add_argument("--pipeline", type=whole(1, DEPTH_MAX), default=1, metavar="N",
                      help="the same on HTTP/1.1 [%(default)s]")
    load.add_argument("--rate", type=real(0.001, RATE_MAX), metavar="N",
                      help="open loop: N requests a second at fixed times; latency counts from then")
    load.add_argument("--warmup", type=whole(0, COUNT_MAX), default=300, metavar="N",
                      help="requests before those that count [%(default)s]")
    load.add_argument("--body", type=whole(0, BODY_MAX), metavar="BYTES", help="POST that many bytes")
    load.add_argument("--protocol", choices=PROTOCOLS, default="h1",
                      help="h1s, h2 and h3 are over TLS [%(default)s]")
    load.add_argument("--table", type=whole(0, TABLE_MAX), metavar="BYTES",
                      help="HTTP/3: the QPACK table that the load offers for the fields of answers; 0: none [65536]")
    load.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                      help="where the servers listen and the load connects to [%(default)s]")
    what = parser.add_argument_group("what is measured")
    what.add_argument("--case", type=names_of("case", servers.NAMES), action="extend", dest="cases",
                      metavar="NAME,...", help=f"all that are installed, or of {', '.join(servers.NAMES)}")
    what.add_argument("--workload", type=names_of("workload", workloads.ALL), action="extend", dest="workloads",
                      metavar="NAME,...", help=f"all, or of {', '.join(workloads.ALL)} [tiny]")
    what.add_argument("--iterations", type=whole(1, 1000), default=1, metavar="N",
                      help="turns of each case; medians are told [%(default)s]")
    gates = parser.add_argument_group("gates: routed_ffi against routed_io, workload by workload")
    gates.add_argument("--min-req-per-sec-ratio", type=ratio, metavar="RATIO")
    gates.add_argument("--max-p95-ratio", type=ratio, metavar="RATIO")
    told = parser.add_argument_group("what is told")
    told.add_argument("--json", action="store_true", help="JSON on standard output in place of the table")
    told.add_argument("--report", type=page_path, metavar="FILE.html", help="a page with charts")
    told.add_argument("--no-counted", action="store_true", help="leave the phase out that counts system calls")
    other = parser.add_argument_group("other things to do").add_mutually_exclusive_group()
    other.add_argument("--check", action="store_true",
                       help="compare our load generator with wrk and h2load instead")
    other.add_argument("--gate", action="store_true",
                       help="check what does not vary: system calls, allocations and instructions a request; "
                            "with the ratio gate beside it")
    return parser


# What the other modes look at; anything else would be given in vain.
HEEDED = {
    "check": {"check", "json"},
    "gate": {"gate", "json", "requests", "duration", "connections", "pipeline", "rate", "warmup", "host",
             "iterations", "min_req_per_sec_ratio", "max_p95_ratio"},
}


def refuse_what_has_no_effect(parser, options):
    for mode, heeded in HEEDED.items():
        for name, value in vars(options).items():
            if getattr(options, mode) and name not in heeded and value != parser.get_default(name):
                flag = {"cases": "case", "workloads": "workload"}.get(name, name.replace("_", "-"))
                parser.error(f"--{mode} does not go with --{flag}")


def read(arguments):
    parser = make_parser()
    options = parser.parse_args(arguments)
    refuse_what_has_no_effect(parser, options)
    try:
        options.address = own_address(options.host)
    except argparse.ArgumentTypeError as reason:
        parser.error(f"argument --host: {reason}")
    options.connections_given = options.connections is not None
    options.connections = options.connections or CONNECTIONS
    if not options.workloads:
        options.workloads = ["tiny"] if options.body is None else ["post"]
    if not options.cases:
        options.cases = None
    if options.body is not None and "post" not in options.workloads:
        parser.error("--body goes with the workload post")
    has_streams = options.protocol in workloads.WITH_STREAMS
    if options.streams > 1 and not has_streams:
        parser.error("--streams goes with h2, h2c and h3; --pipeline is for HTTP/1.1")
    if options.pipeline > 1 and has_streams:
        parser.error("--pipeline goes with h1 and h1s; --streams is for HTTP/2 and HTTP/3")
    if options.table is not None and options.protocol != "h3":
        parser.error("--table goes with h3")
    has_gate = options.min_req_per_sec_ratio or options.max_p95_ratio
    if has_gate and has_streams:
        parser.error("the ratio gates compare with routed_io, which speaks HTTP/1.1 only")
    if has_gate and options.cases and not {"routed_io", "routed_ffi"} <= set(options.cases):
        parser.error("the ratio gates need the cases routed_io and routed_ffi")
    return options
