"""Processes through /proc: state, size, and who belongs to a session."""

import os
import signal
import subprocess
import time

from tests.lib.env import wait_for

PAGE = os.sysconf("SC_PAGE_SIZE")


def stat(pid):
    """The fields of /proc/PID/stat behind the name, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    fields = stat(pid)
    return fields is not None and fields[0] not in "ZX"


def stopped(pid):
    fields = stat(pid)
    return fields is not None and fields[0] == "T"


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    found = []
    for other in all_pids():
        fields = stat(other)
        if fields and fields[0] not in "ZX" and int(fields[1]) == pid:
            found.append(other)
    return sorted(found)


def session_members(session):
    """Living processes of a session, by the id of its leader."""
    found = []
    for pid in all_pids():
        fields = stat(pid)
        if fields and fields[0] not in "ZX" and int(fields[3]) == session:
            found.append(pid)
    return sorted(found)


def cpu_seconds(pid):
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid):
    """Resident bytes."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


def virtual(pid):
    """Mapped bytes."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * PAGE


def peak_rss(pid):
    """The largest resident size so far, in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def tasks(pid):
    """The names of a process's threads, by their ids."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm",
                      encoding="utf-8") as file:
                found[int(task)] = file.read().strip()
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def name(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="latin-1") as file:
            return file.read().replace("\0", " ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_gone(pids, timeout, what="processes are gone"):
    wait_for(lambda: not [p for p in pids if alive(p)], timeout, what)


class Process:
    """One that another program started, with the words of a Popen.  Its exit
    code is not known: returncode is 0 once it is gone."""

    def __init__(self, pid):
        self.pid = pid
        self.returncode = None

    def poll(self):
        if self.returncode is None and not alive(self.pid):
            self.returncode = 0
        return self.returncode

    def wait(self, timeout=30):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() >= end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)
