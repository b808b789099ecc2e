"""The faults of a campaign: a table.  tests/cluster/schedule.py draws from it.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import tempfile

from tests.cluster.cluster import NAMES
from tests.cluster.hosts import run
from tests.cluster.parts import GROUPS, TOPIC
from tests.lib import procs

# what faults take away; none takes what another one has
EVERYTHING = ("brokers", "postgres", "topic",
              *(f"{part} {host}" for part in ("nginx", "daemon")
                for host in NAMES))

MOST_PARTITIONS = 18
SMALL_DISK = NAMES[-1]  # its broker has its data in memory
DISK = "2g"
FULL = 1 << 20          # bytes left on a disk that is full


@dataclasses.dataclass(frozen=True)
class Kind:
    """steps: a context manager, of the cluster and the fault: it begins,
    and ends what it began.  hold: seconds between, the least and the most.
    back: seconds until what it took is of use again.  needs: what a machine
    may lack.  host: the only one it is for."""
    name: str
    takes: tuple
    hold: tuple
    weight: int
    back: float
    kill: bool
    needs: str
    host: str
    steps: callable


KINDS = {}


def kind(name, takes, hold=(0.0, 0.0), weight=4, back=4.0, kill=False,
         needs="", host=""):
    """Adds a function of two steps, with a yield between, to the table."""
    def add(steps):
        KINDS[name] = Kind(name, takes, hold, weight, back, kill, needs,
                           host, contextlib.contextmanager(steps))
        return steps
    return add


def lacking():
    """What this machine has not."""
    return set() if faketime() else {"faketime"}


def faketime(name="libfaketimeMT.so.1"):
    return next(pathlib.Path("/usr/lib").glob(f"*/faketime/{name}"), None)


def one_of(things, fault):
    return things[int(fault.draw * len(things))]


def daemon_of(cluster, fault):
    return cluster.daemons[fault.host, one_of(list(GROUPS), fault)]


# Processes killed: -9, without a word.

@kind("kill a worker", ("nginx {host}",), weight=20, kill=True)
def kill_worker(cluster, fault):
    os.kill(one_of(cluster.gateways[fault.host].workers(), fault),
            signal.SIGKILL)
    yield


@kind("kill nginx", ("nginx {host}",), (0.5, 4.0), weight=20, kill=True)
def kill_master(cluster, fault):
    """Its workers go on without it until they are ended too, fast or
    gracefully."""
    gateway = cluster.gateways[fault.host]
    session = gateway.session
    os.kill(gateway.master, signal.SIGKILL)
    yield
    left = procs.session_members(session)
    for pid in left:
        os.kill(pid, signal.SIGKILL if fault.draw < 0.5 else signal.SIGQUIT)
    procs.wait_gone(left, 30, "its workers are gone")
    gateway.start()


@kind("kill a daemon", ("daemon {host}",), (0.0, 15.0), weight=20, kill=True)
def kill_daemon(cluster, fault):
    daemon = daemon_of(cluster, fault)
    daemon.kill()
    yield
    daemon.start()


@kind("kill a broker", ("brokers",), (0.0, 15.0), weight=20, back=12.0,
      kill=True)
def kill_broker(cluster, fault):
    broker = cluster.brokers[fault.host]
    broker.kill()
    yield
    broker.start()


@kind("kill PostgreSQL", ("postgres",), (0.0, 10.0), weight=20, kill=True)
def kill_postmaster(cluster, fault):
    server = cluster.postgres[cluster.primary]
    server.kill()
    yield
    server.start()


# Processes stopped, longer than others believe in them.

def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


@kind("stop a worker", ("nginx {host}",), (2.0, 8.0))
def stop_worker(cluster, fault):
    yield from stopped(one_of(cluster.gateways[fault.host].workers(), fault))


@kind("stop a daemon past its session", ("daemon {host}",), (12.0, 20.0))
def stop_daemon(cluster, fault):
    yield from stopped(daemon_of(cluster, fault).pid)


@kind("stop a broker past its session", ("brokers",), (4.0, 15.0), back=10.0)
def stop_broker(cluster, fault):
    yield from stopped(cluster.brokers[fault.host].pid)


# The network: packets are dropped, nothing is refused.

def isolated(cut, host):
    cut()
    yield
    host.heal()


@kind("cut a host off", EVERYTHING, (3.0, 15.0), weight=2, back=10.0)
def cut(cluster, fault):
    host = cluster.hosts[fault.host]
    yield from isolated(host.cut, host)


@kind("cut what comes in", EVERYTHING, (3.0, 15.0), weight=2, back=10.0)
def cut_in(cluster, fault):
    host = cluster.hosts[fault.host]
    yield from isolated(host.cut_in, host)


@kind("cut what goes out", EVERYTHING, (3.0, 15.0), weight=2, back=10.0)
def cut_out(cluster, fault):
    host = cluster.hosts[fault.host]
    yield from isolated(host.cut_out, host)


# The disk and the clock.

def make_disk(place, size=DISK):
    """A file system in memory, whose room can be changed."""
    place.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)


@kind("fill a broker's disk", ("brokers",), (3.0, 12.0), back=15.0,
      host=SMALL_DISK)
def fill_disk(cluster, fault):
    broker = cluster.brokers[fault.host]
    disk = broker.directory / "data"
    state = os.statvfs(disk)
    used = (state.f_blocks - state.f_bfree) * state.f_frsize
    run("mount", "-o", f"remount,size={used + FULL}", disk)
    yield
    run("mount", "-o", f"remount,size={DISK}", disk)
    if broker.alive():
        # without a log folder it would not come back by itself
        broker.kill()
    broker.start()


def turned(start, fault, library):
    """start(environment) begins a process whose clock is in a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".clock", delete=False,
                                     encoding="ascii") as file:
        file.write("+0")
    clock = pathlib.Path(file.name)
    try:
        start({"LD_PRELOAD": str(library),
               "FAKETIME_TIMESTAMP_FILE": file.name,
               "FAKETIME_NO_CACHE": "1",
               "FAKETIME_DONT_FAKE_MONOTONIC": "1",
               "DONT_FAKE_MONOTONIC": "1"})
        clock.write_text("-3600" if fault.draw < 0.5 else "+3600")
        yield
        clock.write_text("+0")
    finally:
        start({})
        clock.unlink()


@kind("turn a daemon's clock by an hour", ("daemon {host}",), (5.0, 15.0),
      needs="faketime")
def turn_daemon(cluster, fault):
    daemon = daemon_of(cluster, fault)

    def start(environment):
        daemon.stop()
        daemon.start(**environment)

    yield from turned(start, fault, faketime("libfaketime.so.1"))


@kind("turn nginx's clock by an hour", ("nginx {host}",), (5.0, 15.0),
      needs="faketime")
def turn_nginx(cluster, fault):
    gateway = cluster.gateways[fault.host]
    main = gateway.names["MAIN"]

    def start(environment):
        gateway.end(gateway.master)
        gateway.env = environment
        gateway.attach = False
        gateway.write(gateway.http, MAIN=main + "".join(
            f"env {name};\n" for name in environment))
        gateway.start()

    yield from turned(start, fault, faketime())


# What an operator does.

@kind("move leaders", ("brokers", "topic"), back=5.0)
def move_leaders(cluster, fault):
    """Each partition's next replica becomes the preferred one."""
    found = cluster.topics.admin.list_topics(TOPIC, timeout=20).topics[TOPIC]
    plan = {"version": 1, "partitions": [
        {"topic": TOPIC, "partition": number,
         "replicas": part.replicas[1:] + part.replicas[:1]}
        for number, part in found.partitions.items()]}
    with tempfile.NamedTemporaryFile("w", suffix=".json",
                                     encoding="ascii") as file:
        json.dump(plan, file)
        file.flush()
        tool = cluster.brokers[fault.host].tool
        where = ["--bootstrap-server", cluster.bootstrap]
        tool("org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
             *where, "--execute", "--reassignment-json-file", file.name)
        tool("org.apache.kafka.tools.LeaderElectionCommand", *where,
             "--election-type", "preferred", "--all-topic-partitions")
    yield


@kind("add partitions", ("brokers", "topic"), weight=2, back=5.0)
def add_partitions(cluster, fault):
    count = cluster.topics.partitions(TOPIC)
    if count < MOST_PARTITIONS:
        cluster.topics.add_partitions(TOPIC, count + 1)
    yield


@kind("reload nginx", ("nginx {host}",))
def reload_nginx(cluster, fault):
    cluster.gateways[fault.host].reload()
    yield


@kind("change a daemon's configuration", ("daemon {host}",), (1.0, 5.0))
def change_daemon(cluster, fault):
    """Other batches, by SIGHUP; and back."""
    daemon = daemon_of(cluster, fault)
    before = daemon.file.read_text()
    config = json.loads(before)
    config["batch"] = {"rows": int(50 + 1000 * fault.draw),
                       "linger": f"{int(100 * fault.draw)}ms"}

    def change(text):
        said = len(daemon.log())
        daemon.file.write_text(text)
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_log("SIGHUP: .* starting again", start=said)

    change(json.dumps(config))
    yield
    change(before)
