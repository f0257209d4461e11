"""What the kernel says about process trees: CPU time, memory, wake-ups."""
import os
import re


def _stat_fields(pid):
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
        return file.read().rpartition(")")[2].split()


def process_tree(roots):
    """The roots and all their living descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(int(_stat_fields(name)[1]), []).append(int(name))
            except (OSError, IndexError):
                pass
    found, todo = [], list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(children.get(pid, []))
    return found


def cpu_seconds(pid):
    """User and system time of a process and all its threads, to the nanosecond."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    except (OSError, IndexError):
        pass
    return total * 1e-9


def tree_cpu_seconds(roots):
    return sum(cpu_seconds(pid) for pid in process_tree(roots))


def resident_kib(pid):
    """Memory of this process, alone or shared, without what the C library's files bring, which all processes share."""
    total, counts = 0, True
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if not words[0].endswith(":"):
                counts = not re.search(r"/(libc|ld-[a-z]+)[^/]*\.so", words[-1])
            elif words[0] == "Rss:" and counts:
                total += int(words[1])
    return total


def wake_ups(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])
    return 0
