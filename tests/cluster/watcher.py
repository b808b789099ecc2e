"""Standing still is a fault too.

Once all servers have been up for CALM seconds, each partition with lag has to
go on within PATIENCE seconds, and the lag of all has to fall; otherwise a
daemon's /healthz has to say why.  This file knows no cluster: it is told what
it judges.
"""

import shutil
import subprocess
import threading
import time

CALM = 30.0             # s
PATIENCE = 15.0         # s
EVERY = 1.0             # s
SLACK = 3000            # records that are on their way while load runs


class Still:
    """Judges samples."""

    def __init__(self, calm=CALM, patience=PATIENCE, slack=SLACK):
        self.calm, self.patience, self.slack = calm, patience, slack
        self.up_since = None
        self.moved = {}         # partition: its next offset, since when
        self.least = None       # lag, since when
        self.judged = 0         # samples in which standing still was a fault
        self.excused = 0        # samples in which a daemon said why

    def sample(self, now, up, lags, reasons):
        """up: all servers are up, and no fault is on.  lags: next offset and
        end of each partition; None where nobody answers, which is no excuse.
        reasons: what daemons say.  Returns what is wrong, or None."""
        if not up:
            self.up_since = None
        elif self.up_since is None:
            self.up_since = now
        calm = up and now - self.up_since >= self.calm
        self.excused += bool(calm and reasons)
        self.judged += bool(calm and not reasons)
        if not up or reasons:
            self.moved, self.least = {}, None

        for part, (next_offset, end) in (lags or {}).items():
            known = self.moved.get(part)
            if not known or known[0] != next_offset or next_offset >= end:
                self.moved[part] = next_offset, now
        if lags is not None:
            lag = sum(max(0, end - first) for first, end in lags.values())
            if not self.least or lag < self.least[0] or lag <= self.slack:
                self.least = lag, now

        if not calm or reasons:
            return None
        wrong = [f"partition {part} stays at offset {next_offset} for "
                 f"{now - since:.0f} s"
                 for part, (next_offset, since) in sorted(self.moved.items())
                 if now - since >= self.patience]
        if self.least and now - self.least[1] >= self.patience:
            wrong.append(f"the lag is not below {self.least[0]} for "
                         f"{now - self.least[1]:.0f} s")
        return "; ".join(wrong) or None


class Watcher(threading.Thread):
    """Takes samples until it is stopped; look() gives what Still.sample()
    takes, without the time.  evidence() is called at the first fault."""

    def __init__(self, look, evidence, still=None, every=EVERY):
        super().__init__(daemon=True)
        self.look, self.evidence, self.every = look, evidence, every
        self.still = still or Still()
        self.wrong = None       # the first fault, and the evidence
        self.last = None        # the last sample
        self._end = threading.Event()

    def run(self):
        while not self._end.wait(self.every):
            begin = time.monotonic()
            self.last = self.look()
            # a sample that took long tells of its begin
            said = self.still.sample(begin, *self.last)
            if said and not self.wrong:
                self.wrong = f"standing still: {said}\n{self.evidence()}"

    def stop(self):
        self._end.set()
        self.join(60)
        return self.wrong


def stack(pid):
    """Where the threads of a process stand, as far as a tool tells."""
    for words in (["eu-stack", "-p"], ["gdb", "-batch", "-nx", "-ex",
                                       "thread apply all bt", "-p"]):
        if shutil.which(words[0]):
            try:
                return subprocess.run(
                    [*words, str(pid)], stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, errors="replace", timeout=30,
                    check=False).stdout
            except subprocess.TimeoutExpired:
                return f"{words[0]}: no answer in 30 s\n"
    return "no eu-stack, no gdb\n"
