"""A booted Debian (stack/boot) and what is done in there."""

import os
import pathlib
import shutil
import subprocess

from tests.lib import procs
from tests.lib.env import ROOT, tail, wait_for


# where its folder and the packages were made
MADE = pathlib.Path(os.environ.get("SLUICE_MADE", ROOT / "build"))


class Machine:
    def __init__(self, suite, directory):
        self.suite = suite
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.console = self.directory / "console.log"
        self.process = None
        self.init = None            # the process of its systemd

    @property
    def root(self):
        """Its files, as the machine sees them; while it runs."""
        return pathlib.Path("/proc", str(self.init), "root")

    def boot(self):
        with open(self.console, "ab") as console:
            self.process = subprocess.Popen(
                [ROOT / "stack" / "boot", "run", self.suite, self.directory],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                env={**os.environ, "BUILD": str(MADE)})
        self.init = wait_for(self._find, 30, "systemd runs")
        try:
            wait_for(lambda: self.run("systemctl", "is-system-running",
                                      check=False).strip() == "running",
                     120, "the machine is up", pause=0.2)
        except AssertionError as failure:
            failed = self.run("systemctl", "--failed", "--no-legend",
                              check=False)
            raise AssertionError(
                f"{failure}\n{failed}\n{tail(self.console)}") from None
        return self

    def _find(self):
        assert self.process.poll() is None, tail(self.console)
        pids = [self.process.pid]
        for pid in pids:
            if procs.name(pid).startswith("/lib/systemd/systemd"):
                return pid
            pids += procs.children(pid)
        return None

    def run(self, *command, check=True, timeout=300):
        """What a command in there said."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.init), "--all", "env", "-i",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
             "DEBIAN_FRONTEND=noninteractive", *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=timeout,
            check=False)
        assert not check or done.returncode == 0, \
            f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def show(self, unit, name):
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name,
                        unit).strip()

    def active(self, unit):
        return self.run("systemctl", "is-active", unit,
                        check=False).strip()

    def write(self, path, text, mode=0o644):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def copy(self, file):
        """A file of this machine in the other one's folder /srv."""
        shutil.copy(file, self.root / "srv")
        return f"/srv/{file.name}"

    def reboot(self):
        self.run("systemctl", "--no-block", "reboot")
        self.process.wait(timeout=120)
        return self.boot()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.run("systemctl", "--no-block", "poweroff", check=False)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                # its process 1 takes all others along
                subprocess.run(["kill", "-KILL", str(self.init)], check=True)
                self.process.wait(timeout=60)
