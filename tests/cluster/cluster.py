"""The cluster: three hosts with a broker, nginx with the module and a daemon
of each group each; PostgreSQL on the first two, the primary and a standby;
an nginx in front on a host of its own.

A program of its own begins with

    cluster = Cluster.attach() or Cluster.new()     # and then cluster.up()

which moves it into the switch (hosts.enter), from where every address of the
cluster is reached: cluster.front takes POSTs, cluster.database reads the
primary, cluster.topics and cluster.brokers[name] speak to Kafka.  The parts
are dictionaries by the host's name, daemons by (host, group); each is a class
of parts.py, with the words of tests/lib: kill(), pause(), resume(), start().

What runs outlives the program.  build/cluster/state.json has the addresses
and the processes that keep the namespaces; below it each host has a folder
with its servers' logs, data and pid files.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import time

import confluent_kafka
import psycopg2

from tests.cluster import hosts, parts
from tests.cluster.hosts import Host, net_of
from tests.lib.env import BUILD, wait_for
from tests.lib.topics import Topics

# another place: another cluster, which knows nothing of the first one
DIRECTORY = pathlib.Path(os.environ.get("SLUICE_CLUSTER", BUILD / "cluster"))
STATE = DIRECTORY / "state.json"

NAMES = ("h1", "h2", "h3")
STORES = ("h1", "h2")           # which have PostgreSQL
ADDRESSES = {"h1": f"{hosts.NET}.1", "h2": f"{hosts.NET}.2",
             "h3": f"{hosts.NET}.3", "front": f"{hosts.NET}.8"}


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Cluster:
    def __init__(self, switch, made, attach):
        """made: the hosts by name, plugged in."""
        self.switch = switch            # the process that keeps the switch
        self.hosts = made
        self.primary = STORES[0]        # the host that is to be it
        self._make_parts(attach)

    def _make_parts(self, attach):
        three = [self.hosts[name] for name in NAMES]
        folder = {name: DIRECTORY / name for name in self.hosts}
        self.bootstrap = ",".join(f"{host.address}:{parts.KAFKA}"
                                  for host in three)
        store = parts.Primary([ADDRESSES[name] for name in STORES])
        self.conninfo = store.conninfo()
        self.database = store.database()
        self.brokers = {host.name: parts.Broker(
            host, three, folder[host.name] / "kafka") for host in three}
        self.postgres = {name: parts.Postgres(
            self.hosts[name], folder[name] / "postgres") for name in STORES}
        self.gateways = {host.name: parts.Gateway(
            host, self.bootstrap, folder[host.name] / "nginx", attach)
            for host in three}
        self.daemons = {(host.name, group): parts.Daemon(
            host, group, number, self.bootstrap, self.conninfo,
            folder[host.name], attach)
            for host in three for number, group in enumerate(parts.GROUPS)}
        self.front = parts.Front(
            self.hosts["front"], [host.address for host in three],
            folder["front"] / "nginx", attach)
        self.topics = Topics(self)

    def alive(self):
        """As of a broker; Topics asks."""
        return any(broker.alive() for broker in self.brokers.values())

    @classmethod
    def state(cls):
        """What state.json says, if the cluster is there; else None."""
        try:
            state = json.loads(STATE.read_text())
        except (OSError, ValueError):
            return None
        return state if net_of(state["switch"]) == state["net"] else None

    @classmethod
    def attach(cls):
        """The cluster that is up, or None.  Moves this program into its
        switch."""
        state = cls.state()
        if state is None:
            return None
        hosts.enter(state["switch"])
        made = {name: Host(name, one["address"], one["keeper"])
                for name, one in state["hosts"].items()}
        cluster = cls(state["switch"], made, attach=True)
        cluster.primary = state["primary"]
        return cluster

    @classmethod
    def new(cls):
        """Hosts on a new switch, which this program moves into; nothing
        runs on them.  A cluster that is up is an error."""
        if cls.state():
            raise AssertionError("the cluster is up: make cluster-down")
        hosts.enter()
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir(parents=True)
        made = {name: Host(name, address)
                for name, address in ADDRESSES.items()}
        switch = hosts.make_switch(made.values())
        cluster = cls(switch, made, attach=False)
        cluster.save()
        return cluster

    def save(self):
        whole = STATE.with_suffix(".new")
        whole.write_text(json.dumps({
            "switch": self.switch, "net": net_of(self.switch),
            "primary": self.primary, "front":
            f"http://{ADDRESSES['front']}:{parts.HTTP}",
            "postgres": self.conninfo, "kafka": self.bootstrap,
            "hosts": {name: {"address": host.address, "keeper": host.keeper}
                      for name, host in self.hosts.items()}}, indent=4))
        whole.replace(STATE)

    def up(self, progress=say, timeout=180):
        """Starts what does not run; returns when a record can go the whole
        way on every host."""
        begin = time.monotonic()
        primary, standby = (self.postgres[name] for name in STORES)

        def stores():
            primary.start()
            progress("the primary of PostgreSQL runs on h1")
            standby.copy(primary)
            standby.start()
            progress("its standby runs on h2")

        def brokers():
            parts.together([one.start for one in self.brokers.values()])
            progress("three brokers run")

        parts.together([stores, brokers])
        parts.together([one.start for one in (*self.gateways.values(),
                                              self.front)])
        progress("nginx runs on three hosts and in front of them")
        for one in self.daemons.values():
            one.start()
        self.wait_ready(timeout, progress)
        progress(f"ready after {time.monotonic() - begin:.0f} s")
        return self

    def down(self):
        """Ends every process of the hosts, and the hosts.  Logs and data
        stay below build/cluster until the next time."""
        for host in self.hosts.values():
            host.unplug()
        STATE.unlink(missing_ok=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.switch, signal.SIGKILL)

    def wait_ready(self, timeout=120, progress=None):
        """Until all brokers are in sync, every nginx is ready, every daemon
        is healthy, the partitions are claimed and the standby streams."""
        end = time.monotonic() + timeout
        missing = said = None
        while (missing := self.missing()) is not None:
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout} s: {missing}")
            if progress and missing != said:
                progress(f"waiting: {missing}")
            said = missing
            time.sleep(0.3)

    def missing(self):
        """What keeps the cluster from being whole; None: nothing."""
        for name, one in self.gateways.items():
            if not one.ready():
                return f"nginx of {name} is not ready"
        for name in STORES:
            try:
                if name != self.primary and not self.postgres[name].streams():
                    return f"the standby {name} does not stream"
            except Exception as reason:     # psycopg2's, of many kinds
                return f"PostgreSQL of {name}: {str(reason).strip()}"
        for (name, group), one in self.daemons.items():
            if not one.alive():
                return f"the daemon {group} of {name} does not run"
            if one.health()[0] != 200:
                return f"the daemon {group} of {name} is not healthy"
        return self._out_of_sync()

    def _out_of_sync(self):
        try:
            found = self.metadata()
        except Exception as reason:         # Kafka's
            return f"Kafka: {reason}"
        for name, topic in found.topics.items():
            for number, one in topic.partitions.items():
                if len(one.isrs) < len(NAMES):
                    return f"partition {number} of {name} is not in sync"
        if parts.TOPIC not in found.topics:
            return f"there is no topic {parts.TOPIC}"
        return self._unclaimed(len(found.topics[parts.TOPIC].partitions))

    def _unclaimed(self, partitions):
        try:
            claimed = self.database.value("SELECT count(*) FROM sluice.offsets"
                                          " WHERE topic = %s", parts.TOPIC)
        except psycopg2.Error as reason:
            return f"PostgreSQL: {str(reason).strip()}"
        if claimed < partitions * len(parts.GROUPS):
            return f"{claimed} partitions are claimed"
        return None

    def metadata(self):
        """Kafka's, as one of the brokers sees it."""
        return self.topics.admin.list_topics(timeout=5)

    def memory(self):
        """Bytes of all processes of all hosts; what they share, once."""
        total = 0
        for host in self.hosts.values():
            for pid in host.pids():
                with contextlib.suppress(OSError):
                    text = pathlib.Path(f"/proc/{pid}/smaps_rollup") \
                        .read_text()
                    total += int(re.search(r"\nPss: +(\d+)", text)[1]) * 1024
        return total

    def leaders(self):
        """How many partitions of the topic each host leads."""
        found = self.metadata().topics[parts.TOPIC].partitions.values()
        return {name: sum(one.leader == self.brokers[name].number
                          for one in found) for name in NAMES}

    def accounted(self, group="events"):
        """Records that the group's committed transactions accounted for."""
        return int(self.database.value(
            "SELECT coalesce(sum(records), 0) FROM sluice.batches"
            " WHERE group_id = %s", f"{group}@{self.database.name}"))

    def lag(self, group="events", ends=None):
        """Records in Kafka, or before these ends, behind what the group has
        stored."""
        stored = dict(self.database.query(
            "SELECT partition, next_offset FROM sluice.offsets"
            " WHERE topic = %s AND group_id = %s", parts.TOPIC,
            f"{group}@{self.database.name}"))
        return sum(max(0, high - stored.get(number, low)) for number,
                   (low, high) in enumerate(ends or self.ends()))

    def ends(self):
        """First and next offset of each partition of the topic."""
        reader = confluent_kafka.Consumer(
            {"bootstrap.servers": self.bootstrap, "log_level": 0,
             "group.id": "ends"})
        try:
            return [reader.get_watermark_offsets(
                confluent_kafka.TopicPartition(parts.TOPIC, number), 10)
                for number in range(self.topics.partitions(parts.TOPIC))]
        finally:
            reader.close()

    def wait_stored(self, timeout=120):
        """Until every group has stored what Kafka has now."""
        ends = None

        def behind():
            nonlocal ends
            try:
                ends = ends or self.ends()
                return [group for group in parts.GROUPS
                        if self.lag(group, ends)]
            except Exception as reason:     # Kafka's or PostgreSQL's
                return [str(reason)]
        wait_for(lambda: not behind(), timeout, "no group lags", 0.5)

    def kill(self, name):
        """A host's power fails."""
        self.hosts[name].kill()

    def start(self, name):
        """A host is switched on again: its broker, PostgreSQL, nginx and
        daemons.  A PostgreSQL that was primary while another one was
        promoted comes back as its standby."""
        self.hosts[name].heal()
        todo = [self.brokers[name].start]
        if name in STORES:
            todo.append(lambda: self._start_postgres(name))
        parts.together(todo)
        self.gateways[name].start()
        for group in parts.GROUPS:
            self.daemons[name, group].start()

    def _start_postgres(self, name):
        one = self.postgres[name]
        if name == self.primary or one.was_standby():
            one.start()
        else:
            self.rejoin(name)

    def rejoin(self, name):
        """PostgreSQL of this host becomes the primary's standby."""
        self.postgres[name].copy(self.postgres[self.primary]).start()

    def promote(self, name):
        """The standby becomes the primary.  The old primary must be dead or
        cut off; before its host is healed, stop its PostgreSQL."""
        self.postgres[name].promote()
        self.primary = name
        self.save()


def main(work):
    """Runs work() and ends the program: 2 where there is no cluster to be
    had here."""
    try:
        sys.exit(work())
    except hosts.Unavailable as reason:
        print(f"no cluster: {reason}", file=sys.stderr)
        sys.exit(2)
