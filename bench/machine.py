"""What the kernel counts: CPU time of process trees, loopback bytes, busy cores, memory.

Used by run.py; only reads /proc.
"""
import contextlib
import os
import re
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
SLICE = 0.2


def parent(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rpartition(")")[2].split()[1])


def tree(roots):
    """Process ids of these processes and all their descendants."""
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            children.setdefault(parent(pid), []).append(int(pid))
    found, open_ = [], list(roots)
    while open_:
        pid = open_.pop()
        found.append(pid)
        open_ += children.get(pid, [])
    return found


def cpu_ns(pids):
    """Nanoseconds of CPU, user and system, that every thread of these processes has used."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/schedstat") as f:
                    total += int(f.read().split()[0])
    return total


def memory_kib(pids):
    """Present PSS: a page shared by n processes counts as 1/n in each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as f:
            total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M)[1])
    return total


def busy_seconds(cores):
    """Seconds that each of these cores was not idle, since boot."""
    with open("/proc/stat") as f:
        rows = {row.split()[0]: [int(n) / TICK for n in row.split()[1:]] for row in f if row.startswith("cpu")}
    return [sum(rows[f"cpu{n}"][:3]) + sum(rows[f"cpu{n}"][5:7]) for n in cores]


def _loopback_bytes():
    with open("/proc/net/dev") as f:
        return int(next(row for row in f if row.strip().startswith("lo:")).split()[1])


class Slices:
    """Samples CPU time and loopback bytes every 0.2 s while a load runs.

    Every request of one scenario moves the same number of bytes, so a slice's requests are its share
    of all bytes. That tells apart the moments at which the machine ran at full speed.
    """

    def __init__(self, pids):
        self.pids, self.ticks, self.over = pids, [], threading.Event()
        self.thread = threading.Thread(target=self._sample)

    def _sample(self):
        while True:
            self.ticks.append((cpu_ns(self.pids), _loopback_bytes()))
            if self.over.wait(SLICE):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def cost_us(self, requests):
        """CPU microseconds per request of each slice that had a fair share of the load."""
        moved = self.ticks[-1][1] - self.ticks[0][1]
        pairs = [(b[0] - a[0], (b[1] - a[1]) / moved * requests) for a, b in zip(self.ticks, self.ticks[1:])]
        enough = max((n for _, n in pairs), default=0) / 5
        return [ns / 1e3 / n for ns, n in pairs if n > enough]


def calibrate(core, home):
    """Milliseconds that a fixed loop takes on a core: the machine's speed just now."""
    os.sched_setaffinity(0, {core})
    begun = time.process_time()
    sum(i * i for i in range(300_000))
    took = time.process_time() - begun
    os.sched_setaffinity(0, {home})
    return took * 1000
