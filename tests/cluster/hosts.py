"""Hosts on one machine.  Each is a network namespace with an address of
198.18.0.0/15, on a bridge in a namespace of its own, the switch.

A program first calls enter(): it goes on in the switch, from where every
host is reached by its address.  Nothing outside is touched.  A caller who is
not root has a user namespace of his own, in which he keeps his number: what
refuses to run as root then runs.

No process namespace: a host's processes are those with its network.
"""

import ctypes
import os
import shutil
import signal
import subprocess

from tests.lib import procs
from tests.lib.env import ROOT, wait_for
from tests.lib.network import ruleset, run

NET = "198.18.0"                # /24
SWITCH = f"{NET}.254"           # the address of who stands in the switch
PROGRAMS = ("ip", "nft", "nsenter", "unshare", "setpriv")

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAPABILITIES = 0x20080522       # the version of capset's header


class Unavailable(Exception):
    """This machine has no namespaces for the caller; why."""


_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *words):
    if getattr(_libc, name)(*words) != 0:
        code = ctypes.get_errno()
        raise Unavailable(f"{name}: {os.strerror(code)}: this machine does "
                          "not allow namespaces; be root, or allow user "
                          "namespaces (user.max_user_namespaces)")


def enter(keeper=None):
    """Moves this program into a new switch, or into the one that the
    process "keeper" is in.  Call it while the program has one thread."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        raise Unavailable(f"missing: {' '.join(missing)} (make deps)")
    own, user, group = os.geteuid() != 0, os.geteuid(), os.getegid()
    if keeper:
        for kind, flag in (("user", CLONE_NEWUSER), ("net", CLONE_NEWNET),
                           ("mnt", CLONE_NEWNS)):
            if kind == "user" and not own:
                continue
            with open(f"/proc/{keeper}/ns/{kind}", "rb") as file:
                _call("setns", file.fileno(), flag)
        os.chdir(ROOT)
    else:
        _call("unshare", CLONE_NEWNET | CLONE_NEWNS
              | (CLONE_NEWUSER if own else 0))
        if own:
            for name, text in (("setgroups", "deny"),
                               ("uid_map", f"{user} {user} 1"),
                               ("gid_map", f"{group} {group} 1")):
                with open(f"/proc/self/{name}", "w",
                          encoding="ascii") as file:
                    file.write(text)
        # what is mounted here is seen here alone
        _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    if own:
        _keep_capabilities()


def _keep_capabilities():
    """For the programs that this one starts: not being root in the user
    namespace, they would lose them."""
    header = (ctypes.c_uint32 * 2)(CAPABILITIES, 0)
    sets = (ctypes.c_uint32 * 6)()      # twice: effective, permitted,
    _call("capget", header, sets)       # inheritable
    for half in (0, 3):
        sets[half + 2] = sets[half + 1]
    _call("capset", header, sets)
    permitted = sets[1] | sets[4] << 32
    for number in range(64):
        if permitted >> number & 1:
            _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0)


def keep(*prefix):
    """A process that keeps the namespaces it is started in; its number."""
    return subprocess.Popen(
        [*prefix, "sleep", "infinity"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True).pid


def net_of(pid):
    """What tells network namespaces apart; None: no such process."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return None


def make_switch(all_hosts):
    """The bridge in the new switch that the caller stands in, and the hosts
    on it.  The number of the process that keeps it."""
    try:
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "addr", "add", f"{SWITCH}/24", "dev", "br0")
        run("ip", "link", "set", "br0", "up")
        for host in all_hosts:
            host.plug()
    except AssertionError as reason:
        for host in all_hosts:
            host.unplug()
        raise Unavailable(f"this kernel lacks a part: {reason}") from None
    return keep()


class Host:
    """One host.  plug() makes it, unplug() removes it with all that runs
    there.  Cuts are silent, as of a switch that drops packets: nothing is
    refused."""

    def __init__(self, name, address, keeper=None):
        self.name = name
        self.address = address
        self.keeper = keeper        # the process that keeps the namespace
        self.net = net_of(keeper) if keeper else None

    @property
    def inside(self):
        """The words before a command that shall run on this host."""
        return ["nsenter", f"--net=/proc/{self.keeper}/ns/net"]

    def plug(self):
        self.keeper = keep("unshare", "--net")
        here = net_of("self")
        wait_for(lambda: net_of(self.keeper) not in (None, here), 10,
                 f"{self.name} has a network")
        self.net = net_of(self.keeper)
        device = f"to-{self.name}"
        run("ip", "link", "add", device, "type", "veth", "peer", "name",
            "eth0", "netns", self.keeper)
        run("ip", "link", "set", device, "master", "br0", "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        # whether it can be cut
        self.cut()
        self.heal()

    def unplug(self):
        if self.net is not None and net_of(self.keeper) == self.net:
            self.kill_processes()
            os.kill(self.keeper, signal.SIGKILL)

    def run(self, *words, text=None, timeout=30):
        """A command on this host, to its end: what it said."""
        return run(*self.inside, *words, text=text, timeout=timeout)

    def start(self, *words, **more):
        """A command on this host, in a session of its own; its Popen."""
        return subprocess.Popen(
            [*self.inside, *(str(word) for word in words)],
            start_new_session=True, **{"stdin": subprocess.DEVNULL, **more})

    def pids(self):
        """All that runs on this host, whoever started it."""
        return [pid for pid in procs.all_pids()
                if pid != self.keeper and net_of(pid) == self.net]

    def kill_processes(self):
        """kill -9 of everything that runs here."""
        def some():
            left = self.pids()
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return left

        wait_for(lambda: not some(), 20, f"nothing runs on {self.name}")

    def kill(self):
        """A power failure: no more packets, and every process ends.  What
        was written stays.  heal() before it starts again."""
        self.cut()
        self.kill_processes()

    def cut(self):
        """Nothing comes in and nothing goes out."""
        self.rule("drop")

    def cut_in(self):
        """It speaks and does not hear."""
        self.rule("drop", ("input",))

    def cut_out(self):
        """It hears and is not heard."""
        self.rule("drop", ("output",))

    def heal(self):
        """Every cut and rule ends."""
        self.run("nft", "flush", "ruleset")

    def rule(self, text, hooks=("input", "output")):
        """A rule of nft's for what comes in and goes out, in place of the
        one before; what stays on the host is left alone."""
        self.run("nft", "-f", "-",
                 text="flush ruleset\n" + ruleset(text, hooks))
