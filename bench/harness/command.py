"""What routed-bench does: starts the cases, lets them take turns, tells what came out."""

import datetime
import json
import resource
import shlex
import shutil
import signal
import sys
import time

from harness import agreement, counted, fixed, machine, options as command_line, page, results, servers, table, turn, workloads

FAILED = 1
SPARE_DESCRIPTORS = 64  # of the load, beside its connections


class Interrupted(KeyboardInterrupt):
    """By a signal, which everything that was started has to be stopped for as well."""


def heed_signals():
    def interrupt(number, frame):
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup has its reasons
            signal.signal(number, interrupt)


def say(text):
    print(text, file=sys.stderr, flush=True)


def raise_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Run:
    def __init__(self, programs, options):
        self.programs, self.options = programs, options
        self.notes, self.rows, self.rest, self.startup = [], [], [], []
        self.failed = False
        self.turns = 0

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
            say(f"routed-bench: {text}")

    def wanted(self, kind):
        return [workloads.ALL[name] for name in dict.fromkeys(self.options.workloads)
                if workloads.ALL[name].kind == kind]

    def case_names(self):
        needed = {case for name in self.options.workloads for case in workloads.ALL[name].cases}
        return [name for name in servers.NAMES if name in (self.options.cases or servers.NAMES) and name in needed]

    def do_all(self):
        with servers.House(self.programs, self.options.address) as house:
            cases = self.open_all(house)
            for workload in self.wanted("load"):
                self.do_load(workload, cases)
        for workload in self.wanted("idle"):
            self.do_rest(workload)
        for workload in self.wanted("startup"):
            self.do_startup(workload)

    def open_all(self, house):
        opened = []
        if not self.wanted("load"):
            return opened
        for name in self.case_names():
            try:
                opened.append(house.open(name))
            except servers.Unavailable as reason:
                self.leave_out(name, reason)
        return opened

    def leave_out(self, name, reason):
        """Who asked for a case by name wants it, and what we build must run; otherwise what is not
        installed is missing, libmicrohttpd among it."""
        self.failed = self.failed or self.options.cases is not None or name in servers.ALWAYS
        self.note(f"{name} is left out: {reason}")

    def able(self, workload, cases):
        protocol = workloads.protocol_of(workload, self.options)
        if protocol is None:
            self.note(f"{workload.name} is left out: it has no {self.options.protocol}")
            return []
        wanted, most = workloads.connections_of(workload, self.options), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if wanted + SPARE_DESCRIPTORS > most:
            self.failed = True
            self.note(f"{workload.name} is left out: {wanted:,} connections need more than {most:,} descriptors (ulimit -n)")
            return []
        silent = [case.name for case in cases if case.name in workload.cases and not case.speaks(protocol)]
        if silent and protocol == "h3":
            self.note(f"no h3 here: {', '.join(silent)}")
        return [case for case in cases if case.name in workload.cases and case.speaks(protocol)]

    def do_load(self, workload, cases):
        able = self.able(workload, cases)
        turns, calls = {case.name: [] for case in able}, {}
        try:
            self.take_turns(workload, able, turns)
            calls = self.count_calls(workload, [case for case in able if turns[case.name]])
        finally:
            protocol = workloads.protocol_of(workload, self.options)
            self.rows += [results.summarise(case.name, workload, protocol, turns[case.name], calls.get(case.name))
                          for case in able if turns[case.name]]

    def take_turns(self, workload, able, turns):
        for iteration in range(self.options.iterations):
            shift = iteration % max(1, len(able))
            for case in able[shift:] + able[:shift]:
                try:
                    measured = turn.take(self.programs, case, workload, self.options)
                except turn.LoadFailed as reason:
                    self.failed = True
                    self.note(f"{case.name} failed at {workload.name}: {reason}")
                    continue
                turns[case.name].append(measured)
                self.turns += 1
                say(f"[{iteration + 1}/{self.options.iterations}] {workload.name:18} {case.name:25} "
                    f"{measured['requests_per_second']:>11,.0f}/s  p95 {measured['latency']['p95']:>8,} us  "
                    f"CPU {measured['cpu_us']:>9,.2f} us"
                    + (f"  errors {measured['errors']['total']:,}" if measured["errors"]["total"] else ""))

    def count_calls(self, workload, able):
        counter = None if self.options.no_counted else counted.find_counter()
        if counter is None:
            if not self.options.no_counted:
                self.note("system calls are not counted: neither perf nor strace can here")
            return {}
        counts = {}
        for case in able:
            try:
                port = case.ports[workloads.protocol_of(workload, self.options)]
                counts[case.name] = counted.count(self.programs, case, workloads.arguments(workload, self.options), port, counter)
            except turn.LoadFailed as reason:
                self.note(f"{case.name}: system calls of {workload.name} were not counted: {reason}")
        return counts

    def do_rest(self, workload):
        """Each case anew: one that has worked has memory left from that."""
        for name in self.case_names():
            try:
                with servers.House(self.programs, self.options.address) as house:
                    able = self.able(workload, [house.open(name)])
                    measured = [turn.rest(self.programs, case, workload, self.options) for case in able]
            except servers.Unavailable as reason:
                self.leave_out(name, reason)
                continue
            except turn.LoadFailed as reason:
                self.failed = True
                self.note(f"{name} failed at {workload.name}: {reason}")
                continue
            for found in measured:
                self.tell_rest(name, workload, found)

    def tell_rest(self, name, workload, found):
        say(f"[1/1] {workload.name:18} {name:25} {found['resting']:>11,.0f} bytes each, "
            f"{found['burst']:,.0f} after a burst")
        row = {"label": name, "workload": workload.name, "protocol": self.options.protocol,
               "connections": found["connections"], "bytesPerConnection": round(found["resting"], 1),
               "burstBytesPerConnection": round(found["burst"], 1)}
        if found.get("resting_held"):
            row["heldPerConnection"] = round(found["resting_held"], 1)
            row["burstHeldPerConnection"] = round(found["burst_held"], 1)
        self.rest.append(row)

    def do_startup(self, workload):
        for name in self.case_names():
            spent = []
            try:
                for _ in range(max(3, self.options.iterations)):
                    with servers.House(self.programs, self.options.address) as house:
                        began = time.monotonic()
                        house.open(name)
                        spent.append((time.monotonic() - began) * 1000)
            except servers.Unavailable as reason:
                self.leave_out(name, reason)
                continue
            spent.sort()
            say(f"[1/1] {workload.name:18} {name:25} {spent[len(spent) // 2]:>11,.1f} ms")
            self.startup.append({"label": name, "workload": workload.name, "startupMillis": round(spent[len(spent) // 2], 2)})

    def report(self, arguments):
        names = dict.fromkeys(self.options.workloads)
        spoilt = sum(row["disturbed"] for row in self.rows)
        if spoilt * 10 > self.turns:
            self.note(f"others used the machine in {spoilt} of {self.turns} turns: do not quote these figures")
        rates = results.gate(self.rows, self.options)
        return {
            "options": results.options_of(self.options), "results": self.rows, "gate": rates,
            "rest": self.rest, "startup": self.startup,
            "workloads": [{"name": name, "title": workloads.ALL[name].title, "kind": workloads.ALL[name].kind,
                           "unit": workloads.ALL[name].unit} for name in names],
            "machine": machine.describe(), "notes": self.notes,
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "command": shlex.join(["routed-bench", *arguments]),
        }


def keep(report, options, programs):
    """The last report always lies beside the build. False: something could not be written."""
    folder, whole = programs.parent, page.whole(report)
    files = {folder / "bench.json": json.dumps(report, indent=2) + "\n", folder / "bench.html": whole}
    if options.report:
        files[options.report] = whole
    written = []
    for path, content in files.items():
        try:
            path.write_text(content)
            written.append(str(path))
        except OSError as reason:
            say(f"routed-bench: {path} is not written: {reason.strerror}")
    if written:
        say(f"routed-bench: written to {', '.join(written)}")
    return len(written) == len(files)


def main(arguments, programs):
    options = command_line.read(arguments)
    raise_descriptors()
    heed_signals()
    if not (programs / "routed-load").exists():
        say(f"routed-bench: there is no {programs / 'routed-load'}: run ./dev build")
        return FAILED
    missing = [tool for tool in servers.TOOLS if not shutil.which(tool)]
    if missing:
        say(f"routed-bench: there is no {' and no '.join(missing)}")
        return FAILED
    try:
        if options.check:
            return agreement.check(programs, options)
        if options.gate:
            return fixed.check(programs, options)
        return measure(arguments, options, programs)
    except (turn.LoadFailed, servers.Unavailable, RuntimeError) as reason:
        say(f"routed-bench: {reason}")
        return FAILED
    except Interrupted as interruption:
        say("routed-bench: interrupted")
        return 128 + interruption.args[0]


def measure(arguments, options, programs):
    run, interruption = Run(programs, options), None
    try:
        run.do_all()
    except Interrupted as reason:
        interruption = reason
        run.note("interrupted: these are the turns that were over by then, and no report was written")
    report = run.report(arguments)
    if not interruption:
        run.failed = not keep(report, options, programs) or run.failed
    print(json.dumps(report, indent=2) if options.json else "\n".join(table.whole(report)))
    if interruption:
        raise interruption
    if any(row["errors"] for row in run.rows):
        run.failed = True
        say("routed-bench: some requests failed; the table and the JSON count them")
    if not report["gate"]["passed"] or run.failed:
        return FAILED
    return 0
