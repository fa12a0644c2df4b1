"""What the turns of a case come to, the ratio gate, and all of it as JSON.

The names that the predecessor's reports had are kept; everything else stands beside them."""

import statistics

STEAL_LIMIT = 0.01  # of the machine's time given to other guests of its host
OTHERS_LIMIT = 0.1  # and taken by processes that have nothing to do with the measurement
PERCENTILES = {"p50Micros": "p50", "p90Micros": "p90", "p95Micros": "p95", "p99Micros": "p99", "p999Micros": "p99.9"}


def is_disturbed(turn):
    return turn["stolen"] > STEAL_LIMIT or turn["others"] > OTHERS_LIMIT


def sound(turns):
    """Turns that nobody else's work has spoilt; all of them where none is sound."""
    good = [turn for turn in turns if not is_disturbed(turn)]
    return good or turns


def median(turns, key):
    return statistics.median(key(turn) for turn in turns)


def summarise(label, workload, protocol, turns, system_calls=None):
    """One row: medians over the turns of what each turn really measured."""
    used = sound(turns)
    rate = median(used, lambda turn: turn["requests_per_second"])
    requests = round(median(used, lambda turn: turn["requests"]))
    split = [sum(turn["cpu_seconds"][part] for turn in used) for part in (1, 2)]
    # Ticks of 10 ms: fewer of them than this tell nothing.
    share = split[0] / sum(split) if sum(split) >= 0.2 else None
    cpu = median(used, lambda turn: turn["cpu_us"])
    middle = sorted(used, key=lambda turn: turn["latency"]["p99"])[len(used) // 2]
    row = {
        "label": label, "requests": requests, "totalMicros": round(median(used, lambda turn: turn["elapsed_us"])),
        "requestsPerSecond": round(rate, 2),
    }
    row |= {name: round(median(used, lambda turn, key=key: turn["latency"][key])) for name, key in PERCENTILES.items()}
    row |= {
        "meanMicros": round(median(used, lambda turn: turn["latency"]["mean"]), 2),
        "maxMicros": max(turn["latency"]["max"] for turn in used),
        "workload": workload.name, "unit": workload.unit, "protocol": protocol,
        "connections": used[0]["connections"], "depth": used[0]["depth"],
        "errors": sum(turn["errors"]["total"] for turn in turns),
        "errorKinds": {kind: sum(turn["errors"][kind] for turn in turns) for kind in turns[0]["errors"] if kind != "total"},
        "missed": sum(turn["missed"] for turn in used),
        "answersFromTable": sum(turn["from_table"] for turn in used) if protocol == "h3" else None,
        "contentBytesPerRequest": round(median(used, lambda turn: turn["content_bytes"] / max(1, turn["requests"])), 1),
        "cpuMicrosPerRequest": round(cpu, 3), "cpuUserMicrosPerRequest": None if share is None else round(cpu * share, 3),
        "cpuSystemMicrosPerRequest": None if share is None else round(cpu * (1 - share), 3),
        "cpuLowest": round(min(turn["cpu_us"] for turn in used), 3),
        "cpuHighest": round(max(turn["cpu_us"] for turn in used), 3),
        "peakMemoryBytes": max(turn["peak_memory"] for turn in used),
        "systemCallsPerRequest": None if system_calls is None else round(system_calls, 3),
        "turns": len(used), "disturbed": sum(map(is_disturbed, turns)),
        "curve": middle["curve"],
    }
    return row


def gate(rows, options):
    """routed_ffi against routed_io, for each workload that both did."""
    messages, passed = [], True
    found = {(row["workload"], row["label"]): row for row in rows}

    def judge(workload, name, ratio, wanted, is_good):
        nonlocal passed
        passed = passed and is_good
        word = "PASS" if is_good else "FAIL"
        messages.append(f"{word}: {workload}: {name} ratio {ratio:.3f}, wanted {wanted}")

    for workload in dict.fromkeys(row["workload"] for row in rows):
        plain, ours = found.get((workload, "routed_io")), found.get((workload, "routed_ffi"))
        if not plain or not ours:
            continue
        for row in (plain, ours):
            if row["errors"]:
                passed = False
                messages.append(f"FAIL: {workload}: {row['label']} had {row['errors']} errors")
        least, most = options.min_req_per_sec_ratio, options.max_p95_ratio
        if least is not None and plain["requestsPerSecond"] > 0:
            ratio = ours["requestsPerSecond"] / plain["requestsPerSecond"]
            judge(workload, "req/s", ratio, f"at least {least:g}", ratio >= least)
        if most is not None and plain["p95Micros"] == 0:
            messages.append(f"WARN: {workload}: p95 of routed_io is 0, no ratio")
        elif most is not None:
            ratio = ours["p95Micros"] / plain["p95Micros"]
            judge(workload, "p95", ratio, f"at most {most:g}", ratio <= most)
    wanted = options.min_req_per_sec_ratio is not None or options.max_p95_ratio is not None
    if wanted and not messages:
        passed = False
        messages.append("FAIL: no workload was measured with both routed_io and routed_ffi")
    return {"passed": passed, "messages": messages}


def options_of(options):
    return {
        "requests": options.requests, "concurrency": options.connections, "warmup": options.warmup,
        "host": options.host, "iterations": options.iterations,
        "minReqPerSecRatio": options.min_req_per_sec_ratio, "maxP95Ratio": options.max_p95_ratio,
        "protocol": options.protocol, "connections": options.connections, "streams": options.streams,
        "pipeline": options.pipeline, "body": options.body, "rate": options.rate, "duration": options.duration,
        "table": options.table,
        "workloads": options.workloads,
    }
