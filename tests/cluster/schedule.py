"""Which faults come when: the schedule that a seed draws from their table.

It is computed before anything runs, by the seed and the number of kills
alone, so that a seed runs the same faults again, or a part of them.
"""

import contextlib
import dataclasses
import itertools
import random
import threading
import time
import traceback

from tests.cluster.cluster import NAMES
from tests.cluster.faults import EVERYTHING, KINDS

FIRST = 5.0             # s, before the first fault
GAP = 2.0, 7.0          # s, between the beginnings of two
CALM = 50.0             # s, for the watcher, behind every CALM_EVERY faults
CALM_EVERY = 10
AT_ONCE = 2             # faults that are on together


@dataclasses.dataclass(frozen=True)
class Fault:
    number: int
    at: float               # s, since the start
    kind: str
    host: str
    hold: float             # s
    draw: float             # 0 to 1, for what the kind chooses

    def __str__(self):
        return (f"{self.number:3d}  {self.at:7.1f} s  {self.kind}, "
                f"{self.host}, {self.hold:.1f} s")


def tokens(one, host):
    return [token.format(host=host) for token in one.takes]


def schedule(seed, kills, lacking=()):
    """Faults until so many of them are kills.  Where there is room for it,
    each kind comes once before the rest is drawn by weight."""
    rng = random.Random(seed)
    kinds = [one for one in KINDS.values() if one.needs not in lacking]
    weights = [one.weight for one in kinds]
    first = rng.sample(kinds, len(kinds)) if kills >= len(kinds) else []
    free = {}               # from when on, of each token
    ends = [0.0]
    at = FIRST
    faults = []
    while sum(KINDS[fault.kind].kill for fault in faults) < kills:
        one = first.pop() if first else rng.choices(kinds, weights)[0]
        host = one.host or rng.choice(NAMES)
        hold = rng.uniform(*one.hold)
        if faults and len(faults) % CALM_EVERY == 0:
            at = max(ends) + CALM
        at = max([at + rng.uniform(*GAP), sorted(ends)[-AT_ONCE:][0],
                  *(free.get(token, 0.0) for token in tokens(one, host))])
        faults.append(Fault(len(faults) + 1, round(at, 1), one.name, host,
                            round(hold, 1), rng.random()))
        ends.append(at + hold + one.back)
        for token in tokens(one, host):
            free[token] = ends[-1]
    return faults


def part_of(faults, numbers):
    """Some faults of a schedule, nearer together where others are left
    out."""
    chosen, shift, last = [], 0.0, 0.0
    for fault in faults:
        if fault.number in numbers:
            at = fault.at - shift
            shift += max(0.0, at - last - 2 * CALM)
            last = fault.at - shift
            chosen.append(dataclasses.replace(fault, at=round(last, 1)))
            last += fault.hold
    return chosen


def shrink(faults, fails, say=print):
    """The smallest part found that still fails: by halves, then by quarters,
    and so on (delta debugging).  fails(numbers) runs such a part."""
    numbers = [fault.number for fault in faults]
    pieces = 2
    while len(numbers) > 1:
        size = -(-len(numbers) // pieces)
        parts = [numbers[first:first + size]
                 for first in range(0, len(numbers), size)]
        rest = [[one for one in numbers if one not in part]
                for part in parts] if pieces > 2 else []
        smaller = next((part for part in itertools.chain(parts, rest)
                        if fails(part)), None)
        if smaller:
            pieces = 2 if smaller in parts else max(2, pieces - 1)
            numbers = smaller
            say(f"still fails with {len(numbers)}: {numbers}")
        elif pieces >= len(numbers):
            break
        else:
            pieces = min(len(numbers), 2 * pieces)
    return numbers


class Runner:
    """Runs a schedule, each fault in a thread of its own."""

    def __init__(self, cluster, faults, say=print):
        self.cluster, self.faults, self.say = cluster, faults, say
        self.on = {}                # faults that are on, by number
        self.done = []
        self.broken = []            # faults that could not begin or end
        self._locks = {token: threading.Lock() for token in EVERYTHING}
        self._threads = []
        self._stop = threading.Event()

    def start(self):
        self.begun = time.monotonic()
        self._main = threading.Thread(target=self._run, daemon=True)
        self._main.start()
        return self

    def running(self):
        return self._main.is_alive()

    def stop(self, timeout=180):
        """Begins no more; what is on ends."""
        self._stop.set()
        self._main.join(timeout)
        if self._main.is_alive():
            self.broken.append(f"did not end: {list(self.on.values())}")

    def _run(self):
        for fault in self.faults:
            if self._stop.wait(max(0.0, self.begun + fault.at
                                   - time.monotonic())):
                break
            self._threads = [thread for thread in self._threads
                             if thread.is_alive()]
            self._threads.append(threading.Thread(
                target=self._one, args=(fault,), daemon=True))
            self._threads[-1].start()
        for thread in self._threads:
            thread.join()

    def _one(self, fault):
        one = KINDS[fault.kind]
        with contextlib.ExitStack() as locks:
            # in one order, or two could wait for each other
            for token in sorted(tokens(one, fault.host)):
                locks.enter_context(self._locks[token])
            self.on[fault.number] = fault
            self.say(str(fault))
            try:
                with one.steps(self.cluster, fault):
                    self._stop.wait(fault.hold)
                self.done.append(fault)
            except Exception:       # whatever it is, it has to be told
                self.broken.append(f"{fault}\n{traceback.format_exc()}")
            finally:
                del self.on[fault.number]
