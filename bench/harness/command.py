"""What routed-bench does: starts the cases, lets them take turns, tells what came out."""

import datetime
import json
import resource
import shlex
import sys
import time

from harness import agreement, counted, fixed, machine, options as command_line, page, results, servers, table, turn, workloads

FAILED = 1


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
        with servers.House(self.programs) as house:
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
                # Who asked for a case by name wants it; otherwise what is not installed is left out.
                self.failed = self.failed or self.options.cases is not None
                self.note(f"{name} is left out: {reason}")
        return opened

    def able(self, workload, cases):
        protocol = workloads.protocol_of(workload, self.options)
        if protocol is None:
            self.note(f"{workload.name} is left out: it has no {self.options.protocol}")
            return []
        silent = [case.name for case in cases if case.name in workload.cases and not case.speaks(protocol)]
        if silent and protocol == "h3":
            self.note(f"no h3 here: {', '.join(silent)}")
        return [case for case in cases if case.name in workload.cases and case.speaks(protocol)]

    def do_load(self, workload, cases):
        able = self.able(workload, cases)
        turns = {case.name: [] for case in able}
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
                say(f"[{iteration + 1}/{self.options.iterations}] {workload.name:18} {case.name:25} "
                    f"{measured['requests_per_second']:>11,.0f}/s  p95 {measured['latency']['p95']:>8,} us  "
                    f"CPU {measured['cpu_us']:>9,.2f} us"
                    + (f"  errors {measured['errors']['total']:,}" if measured["errors"]["total"] else ""))
        calls = self.count_calls(workload, [case for case in able if turns[case.name]])
        protocol = workloads.protocol_of(workload, self.options)
        for case in able:
            if turns[case.name]:
                self.rows.append(results.summarise(case.name, workload, protocol, turns[case.name], calls.get(case.name)))

    def count_calls(self, workload, able):
        counter = None if self.options.no_counted else counted.find_counter()
        if counter is None:
            if not self.options.no_counted:
                self.note("system calls are not counted: neither perf nor strace can here")
            return {}
        counts = {}
        for case in able:
            try:
                counts[case.name] = counted.count(self.programs, case, workload, self.options, counter)
            except turn.LoadFailed as reason:
                self.note(f"{case.name}: system calls of {workload.name} were not counted: {reason}")
        return counts

    def do_rest(self, workload):
        """Each case anew: one that has worked has memory left from that."""
        for name in self.case_names():
            try:
                with servers.House(self.programs) as house:
                    able = self.able(workload, [house.open(name)])
                    measured = [turn.rest(self.programs, case, workload, self.options) for case in able]
            except servers.Unavailable:
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
                    with servers.House(self.programs) as house:
                        began = time.monotonic()
                        house.open(name)
                        spent.append((time.monotonic() - began) * 1000)
            except servers.Unavailable:
                continue
            spent.sort()
            say(f"[1/1] {workload.name:18} {name:25} {spent[len(spent) // 2]:>11,.1f} ms")
            self.startup.append({"label": name, "workload": workload.name, "startupMillis": round(spent[len(spent) // 2], 2)})

    def report(self, arguments):
        names = dict.fromkeys(self.options.workloads)
        spoilt, all_turns = sum(row["disturbed"] for row in self.rows), len(self.rows) * self.options.iterations
        if spoilt * 10 > all_turns:
            self.note(f"others used the machine in {spoilt} of {all_turns} turns: do not quote these figures")
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
    """The last report always lies beside the build."""
    folder = programs.parent
    (folder / "bench.json").write_text(json.dumps(report, indent=2) + "\n")
    for path in {folder / "bench.html", options.report or folder / "bench.html"}:
        path.write_text(page.whole(report))
    say(f"routed-bench: written to {folder / 'bench.json'} and {options.report or folder / 'bench.html'}")


def main(arguments, programs):
    options = command_line.read(arguments)
    raise_descriptors()
    if not (programs / "routed-load").exists():
        say(f"routed-bench: there is no {programs / 'routed-load'}: run ./dev build")
        return FAILED
    if options.check:
        return agreement.check(programs, options)
    if options.gate:
        return fixed.check(programs, options)
    run = Run(programs, options)
    run.do_all()
    report = run.report(arguments)
    keep(report, options, programs)
    print(json.dumps(report, indent=2) if options.json else "\n".join(table.whole(report)))
    if any(row["errors"] for row in run.rows):
        run.failed = True
        say("routed-bench: some requests failed; the table and the JSON count them")
    if not report["gate"]["passed"] or run.failed:
        return FAILED
    return 0
