"""Kafka and PostgreSQL by stack/: the session's, and a test's own.

python3 -m tests.lib.servers stop    stops what SLUICE_KEEP=1 left running
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import psycopg2

from tests.lib import procs
from tests.lib.env import KEEP, ROOT, SCRATCH, free_port, wait_for

# Short sessions, so that a killed member's partitions are free again soon;
# several tests make many topics, so keep each one small.
KAFKA_PROPERTIES = [
    "group.min.session.timeout.ms=100",
    # a broker back from kill -9 waits until its old registration ends
    "broker.session.timeout.ms=1500",
    "broker.heartbeat.interval.ms=300",
    "num.partitions=1",
    # records with old timestamps stay
    "log.retention.ms=-1",
    "log.segment.delete.delay.ms=1000",
    "log.cleaner.enable=false",
]
# What a test loses with its machine may be lost.
POSTGRES_SETTINGS = ["fsync=off", "max_connections=100",
                     "log_lock_waits=on", "deadlock_timeout=1s"]


class Server:
    script = ""
    settings = []
    prefix = []             # of its commands: into a namespace
    address = "127.0.0.1"

    def __init__(self, directory, settings=(), port=None, **environment):
        self.directory = pathlib.Path(directory)
        self.extra = list(self.settings) + list(settings)
        self.port = port or free_port()
        self.environment = environment

    def start(self):
        self._call("start", self.directory, self.port, *self.extra)
        return self

    def stop(self):
        self._call("stop", self.directory)

    def _call(self, verb, *words):
        command = [*self.prefix, ROOT / "stack" / self.script, verb, *words]
        done = subprocess.run([str(word) for word in command], cwd=ROOT,
                              env=dict(os.environ, **self.environment),
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise AssertionError(f"{self.script} {verb}: {done.stdout}")

    @property
    def pid(self):
        return int((self.directory / "pid").read_text())

    def alive(self):
        try:
            return procs.alive(self.pid)
        except (OSError, ValueError):
            return False

    def kill(self):
        """kill -9; a start brings it back on the same data and port."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        # the leader is a zombie before its threads let go of the port
        wait_for(lambda: not procs.alive(pid) and not self.listening(), 10,
                 f"{self.script} is dead")

    def listening(self):
        with socket.socket() as probe:
            probe.settimeout(2)
            return probe.connect_ex((self.address, self.port)) == 0

    def pause(self):
        pid = self.pid
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: procs.stopped(pid), 5, f"{self.script} is stopped")

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)


class Kafka(Server):
    script = "kafka"
    settings = KAFKA_PROPERTIES

    @property
    def bootstrap(self):
        return f"{self.address}:{self.port}"

    def tool(self, name, *words):
        """A tool of Kafka's own, by its Java class."""
        return subprocess.run(
            [str(ROOT / "stack" / "kafka"), "tool", name, *words], cwd=ROOT,
            env=dict(os.environ, **self.environment), check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True).stdout

    def acl(self, change, kind, operation, topic):
        """Adds or removes ("--add") what clients are allowed or denied
        ("--deny-principal") on a topic; for a broker with an authorizer."""
        name = ("kafka.admin.AclCommand"
                if os.environ.get("KAFKA_VERSION", "").startswith("3.")
                else "org.apache.kafka.tools.AclCommand")
        self.tool(name, "--bootstrap-server", self.bootstrap, "--force",
                  change, kind, "User:ANONYMOUS", "--operation", operation,
                  "--topic", topic)


class Postgres(Server):
    script = "postgres"
    settings = POSTGRES_SETTINGS

    def conninfo(self, database="sluice", user="sluice"):
        return (f"host={self.address} port={self.port} dbname={database} "
                f"user={user}")

    def connect(self, database="sluice", user="sluice"):
        connection = psycopg2.connect(self.conninfo(database, user))
        connection.autocommit = True
        return connection


@contextlib.contextmanager
def _locked(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sweep():
    """Stops what a test run left that was itself killed."""
    for directory in SCRATCH.glob("run-*"):
        if procs.alive(int(directory.name[4:])):
            continue
        for script, kind in (("kafka", Kafka), ("postgres", Postgres)):
            for pid in directory.rglob("pid"):
                if (pid.parent / "data").exists() and pid.parent.name \
                        .startswith(script):
                    kind(pid.parent, port=1).stop()
        shutil.rmtree(directory, ignore_errors=True)


def run_directory():
    """This test run's own folder."""
    directory = SCRATCH / f"run-{os.getpid()}"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def session_start():
    with _locked(SCRATCH / "lock"):
        _sweep()
        base = SCRATCH / "kept" if KEEP else run_directory()
        base.mkdir(parents=True, exist_ok=True)
        servers = []
        for kind in (Kafka, Postgres):
            file = base / f"{kind.script}.port"
            server = kind(base / kind.script)
            if server.alive() and file.exists():
                server.port = json.loads(file.read_text())
            else:
                file.write_text(json.dumps(server.port))
                server.start()
            servers.append(server)
        return servers


def session_stop(servers):
    if KEEP:
        return
    for server in servers:
        server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)
        server.directory.with_suffix(".port").unlink(missing_ok=True)


def main():
    if sys.argv[1:] != ["stop"]:
        sys.exit("usage: python3 -m tests.lib.servers stop")
    with _locked(SCRATCH / "lock"):
        _sweep()
        for kind in (Kafka, Postgres):
            kind(SCRATCH / "kept" / kind.script, port=1).stop()
        shutil.rmtree(SCRATCH / "kept", ignore_errors=True)


if __name__ == "__main__":
    main()
