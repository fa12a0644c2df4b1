"""The same figures for a terminal."""


def _number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def _memory(size):
    return "-" if size is None else f"{size / 1048576:,.1f}"


COLUMNS = (
    ("transport", lambda row, best: row["label"]),
    ("req/s", lambda row, best: _number(row["requestsPerSecond"])),
    ("p50(us)", lambda row, best: _number(row["p50Micros"])),
    ("p95(us)", lambda row, best: _number(row["p95Micros"])),
    ("p99(us)", lambda row, best: _number(row["p99Micros"])),
    ("p99.9(us)", lambda row, best: _number(row["p999Micros"])),
    ("total(ms)", lambda row, best: _number(row["totalMicros"] / 1000)),
    ("requests", lambda row, best: _number(row["requests"])),
    ("errors", lambda row, best: _number(row["errors"])),
    ("CPU us/req", lambda row, best: _number(row["cpuMicrosPerRequest"], 2)),
    ("user", lambda row, best: _number(row["cpuUserMicrosPerRequest"], 2)),
    ("ratio", lambda row, best: _number(row["cpuMicrosPerRequest"] / best, 2) if best else "-"),
    ("calls/req", lambda row, best: _number(row["systemCallsPerRequest"], 2)),
    ("peak MiB", lambda row, best: _memory(row["peakMemoryBytes"])),
    ("turns", lambda row, best: f"{row['turns']}" + (f" ({row['disturbed']} disturbed)" if row["disturbed"] else "")),
)


def lines(headings, rows):
    widths = [max(len(line[i]) for line in [headings, *rows]) for i in range(len(headings))]
    return ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                      for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in [headings, *rows]]


def base_of(rows):
    """What ratios are told against: the floor, or the first case."""
    for row in rows:
        if row["label"] == "floor":
            return row["cpuMicrosPerRequest"]
    return rows[0]["cpuMicrosPerRequest"] if rows else None


REST_HEADINGS = ("transport", "connections", "bytes each", "held by the library", "after a burst", "held by the library")


def cells(kind, rows):
    """Headings and lines of a workload of this kind."""
    if kind == "idle":
        return REST_HEADINGS, [[row["label"], _number(row["connections"]), _number(row["bytesPerConnection"]),
                                _number(row.get("heldPerConnection")), _number(row["burstBytesPerConnection"]),
                                _number(row.get("burstHeldPerConnection"))] for row in rows]
    if kind == "startup":
        return ("transport", "ms"), [[row["label"], _number(row["startupMillis"], 1)] for row in rows]
    base = base_of(rows)
    return [name for name, _ in COLUMNS], [[read(row, base) for _, read in COLUMNS] for row in rows]


def whole(report):
    said = []
    for part in report["workloads"]:
        rows = [row for row in report["results"] + report["rest"] + report["startup"] if row["workload"] == part["name"]]
        if rows:
            title = f"{part['name']}: {part['title']} ({rows[0].get('protocol') or 'h1'})"
            said += [title, *lines(*cells(part["kind"], rows)), ""]
    return said + report["gate"]["messages"] + [f"note: {note}" for note in report["notes"]]
