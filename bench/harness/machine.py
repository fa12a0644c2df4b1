"""What the kernel knows: cores, time spent, memory, and who else used the machine."""

import os
import pathlib

TICK = 1 / os.sysconf("SC_CLK_TCK")


def cores():
    """The core of the servers and that of the load; the same where there is only one."""
    own = sorted(os.sched_getaffinity(0))
    return own[0], own[-1]


def pinned(core, command):
    return ["taskset", "-c", str(core), *map(str, command)]


def bound_to_us(command):
    """Whatever ends this process, SIGKILL for one, ends that one too."""
    return ["setpriv", "--pdeathsig", "KILL", *map(str, command)]


def family(pid):
    """A process and its descendants that still live."""
    found = [pid]
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _nanoseconds(pid):
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError, IndexError):
            pass
    return total


def _ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def cpu(pids):
    """Seconds of these processes: in all, and of those in user space and in the kernel. The first
    is exact to the nanosecond; the other two count ticks and are good for their ratio."""
    total = user = system = 0
    for pid in pids:
        try:
            own = _ticks(pid)
            total += _nanoseconds(pid) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            continue
        user += own[0] * TICK
        system += own[1] * TICK
    return total or user + system, user, system


def memory(pids, field):
    """Bytes, summed: VmHWM is the peak of what is resident, RssAnon what is of the process alone."""
    total = 0
    for pid in pids:
        try:
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(field + ":"):
                    total += int(line.split()[1]) * 1024
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def forget_peaks(pids):
    for pid in pids:
        try:
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
        except OSError:
            pass


def ticks():
    with open("/proc/stat") as file:
        return [int(word) for word in file.readline().split()[1:]]


def stolen(before, after):
    """The share of the machine's time that its host gave to somebody else."""
    spent = [b - a for a, b in zip(before, after)]
    return spent[7] / max(1, sum(spent[:8]))


def taken_by_others(before, after, own_seconds):
    """The share of the machine's time that processes other than those measured were busy; 0 for
    times that are too short to be told in ticks."""
    spent = [b - a for a, b in zip(before, after)]
    if sum(spent[:8]) < 20:
        return 0.0
    busy = sum(spent[:3]) + sum(spent[5:7])  # user, nice, system, and the two kinds of interrupts
    return max(0.0, busy - own_seconds / TICK) / max(1, sum(spent[:8]))


def describe():
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release,
            "architecture": os.uname().machine, "loadAverage": round(os.getloadavg()[0], 2)}
