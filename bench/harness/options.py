"""The command line. Usage errors end with status 64, as they always have."""

import argparse
import pathlib
import sys

from harness import servers, workloads

USAGE = 64
CONNECTIONS = 64
PROTOCOLS = ("h1", "h1s", "h2", "h2c", "h3")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def not_negative(text):
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below zero")
    return number


def positive_real(text):
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


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
    load.add_argument("--requests", type=positive, default=5000, metavar="N", help="in each turn [%(default)s]")
    load.add_argument("--duration", type=positive_real, metavar="SECONDS", help="so long instead of so many")
    load.add_argument("--concurrency", "--connections", type=positive, metavar="N", dest="connections",
                      help=f"clients at once, each with one connection [{CONNECTIONS}]")
    load.add_argument("--streams", type=positive, default=1, metavar="N",
                      help="requests under way on each HTTP/2 or HTTP/3 connection [%(default)s]")
    load.add_argument("--pipeline", type=positive, default=1, metavar="N",
                      help="the same on HTTP/1.1 [%(default)s]")
    load.add_argument("--rate", type=positive_real, metavar="N",
                      help="open loop: N requests a second at fixed times; latency counts from then")
    load.add_argument("--warmup", type=not_negative, default=300, metavar="N",
                      help="requests before those that count [%(default)s]")
    load.add_argument("--body", type=not_negative, metavar="BYTES", help="POST that many bytes")
    load.add_argument("--protocol", choices=PROTOCOLS, default="h1",
                      help="h1s, h2 and h3 are over TLS [%(default)s]")
    load.add_argument("--table", type=not_negative, metavar="BYTES",
                      help="HTTP/3: the QPACK table that the load offers for the fields of answers; 0: none [65536]")
    load.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                      help="where the load connects to [%(default)s]")
    what = parser.add_argument_group("what is measured")
    what.add_argument("--case", type=names_of("case", servers.NAMES), action="extend", dest="cases",
                      metavar="NAME,...", help=f"all that are installed, or of {', '.join(servers.NAMES)}")
    what.add_argument("--workload", type=names_of("workload", workloads.ALL), action="extend", dest="workloads",
                      metavar="NAME,...", help=f"all, or of {', '.join(workloads.ALL)} [tiny]")
    what.add_argument("--iterations", type=positive, default=1, metavar="N",
                      help="turns of each case; medians are told [%(default)s]")
    gates = parser.add_argument_group("gates: routed_ffi against routed_io, workload by workload")
    gates.add_argument("--min-req-per-sec-ratio", type=positive_real, metavar="RATIO")
    gates.add_argument("--max-p95-ratio", type=positive_real, metavar="RATIO")
    told = parser.add_argument_group("what is told")
    told.add_argument("--json", action="store_true", help="JSON on standard output in place of the table")
    told.add_argument("--report", type=pathlib.Path, metavar="FILE.html", help="a page with charts")
    told.add_argument("--no-counted", action="store_true", help="leave the phase out that counts system calls")
    other = parser.add_argument_group("other things to do")
    other.add_argument("--check", action="store_true",
                       help="compare our load generator with wrk and h2load instead")
    other.add_argument("--gate", action="store_true",
                       help="check what does not vary: system calls, allocations and instructions a request; "
                            "with the ratio gate beside it")
    return parser


def read(arguments):
    parser = make_parser()
    options = parser.parse_args(arguments)
    options.connections_given = options.connections is not None
    options.connections = options.connections or CONNECTIONS
    if not options.workloads:
        options.workloads = ["tiny"] if options.body is None else ["post"]
    if not options.cases:
        options.cases = None
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
