"""The tour: posts at a steady rate while hosts fail, then counts.

Each stage breaks one thing, lets the posts go on, mends it, and waits until
the cluster is whole and nothing lags.  The judge is tests/lib/history.py.
"""

import collections
import time

from tests.cluster import parts
from tests.cluster.cluster import Cluster, say
from tests.cluster.show import Show
from tests.lib.env import wait_for
from tests.lib.history import (Load, check_answers, check_coverage,
                               check_order, check_stored)

RATE = 100                      # requests a second, each a record
BATCHES = 4                     # and of ten records each
HOLD = 8                        # seconds that a fault lasts
PATIENCE = 180                  # until the cluster is whole again


class Tour:
    def __init__(self, cluster, hold=HOLD):
        self.cluster = cluster
        self.hold = hold
        self.stages = []        # begin and name
        self.before = set()     # rows of others
        front = cluster.front
        self.loads = [
            Load(front.port, "/events", connections=12, keys=20, rate=RATE,
                 host=front.address),
            Load(front.port, "/batch", connections=4, rate=BATCHES, batch=10,
                 host=front.address)]

    def stage(self, text):
        self.stages.append((time.monotonic(), text))
        say(f"== {text}")

    def wait(self, seconds):
        end = time.monotonic() + seconds
        wait_for(lambda: time.monotonic() > end, seconds + 5, pause=0.1)

    def mend(self, text, work):
        """Mends it; returns when the cluster is whole and has stored what
        Kafka had then."""
        say(f"   {text}")
        begin = time.monotonic()
        work()
        self.cluster.wait_ready(PATIENCE)
        took = time.monotonic() - begin
        self.cluster.wait_stored(PATIENCE)
        say(f"   whole after {took:.1f} s, all rows after "
            f"{time.monotonic() - begin:.1f} s")
        self.loads[0].wait_ok(RATE, 60)

    def quiet(self):
        self.stage("three hosts")
        self.wait(self.hold / 2)

    def power(self, name):
        self.stage(f"{name} loses its power")
        self.cluster.kill(name)
        self.wait(self.hold)
        self.mend(f"{name} is switched on", lambda: self.cluster.start(name))

    def network(self, name, cut, text):
        host = self.cluster.hosts[name]
        self.stage(f"{name} {text}")
        getattr(host, cut)()
        self.wait(self.hold)
        self.mend(f"the network of {name} is mended", host.heal)

    def stores(self):
        """The hosts of the primary and of the standby."""
        old = self.cluster.primary
        return old, next(name for name in self.cluster.postgres
                         if name != old)

    def count(self, name):
        """Rows that PostgreSQL of this host has."""
        return int(self.cluster.postgres[name].query(
            f"SELECT count(*) FROM {parts.TOPIC}")[0][0])

    def grown(self, rows):
        """The primary's rows, once there are so many."""
        have = self.cluster.database.try_count(parts.TOPIC)
        return have if have >= rows else None

    def promote(self, name, had):
        self.cluster.database.close()
        self.cluster.promote(name)
        has = self.count(name)
        say(f"   {name} is the primary: it lacks {max(0, had - has):,} rows "
            "and their offsets; the daemons read them again from Kafka")

    def promotion(self):
        """The primary's host dies while the standby lags."""
        cluster = self.cluster
        old, new = self.stores()
        self.stage(f"the standby {new} lags, and {old} with the primary "
                   "loses its power")
        cluster.postgres[new].stop_following()
        has = self.count(new)
        had = wait_for(lambda: self.grown(has + RATE), 30, "the standby lags",
                       0.2)
        cluster.kill(old)
        self.promote(new, had)
        self.wait(self.hold)
        self.mend(f"{old} is switched on, as a standby",
                  lambda: cluster.start(old))

    def isolation(self):
        """The primary lives on where nobody reaches it but its own host's
        daemons: what they store there counts for nothing."""
        cluster = self.cluster
        old, new = self.stores()
        self.stage(f"{old} with the primary is cut off, and {new} is "
                   "promoted")
        had = cluster.database.try_count(parts.TOPIC)
        cluster.hosts[old].cut()
        self.wait(2)
        self.promote(new, had)
        self.wait(self.hold)

        def mend():
            cluster.postgres[old].stop()
            cluster.hosts[old].heal()
            cluster.rejoin(old)

        self.mend(f"PostgreSQL of {old} is stopped, its network is mended, "
                  "and it comes back as a standby", mend)

    def run(self, stages):
        # a daemon is healthy before it has found its topic
        wait_for(lambda: self.cluster.database.value(
            f"SELECT to_regclass('{parts.TOPIC}')"), 60, "the table", 0.2)
        self.before = {ident for ident, _ in self.rows()}
        for load in self.loads:
            load.start()
        try:
            with Show(self.cluster):
                self.loads[0].wait_ok(1, 60)
                stages()
                self.stage("no more posts")
                for load in self.loads:
                    load.stop()
                self.cluster.wait_stored()
        finally:
            for load in self.loads:
                load.stop()
        return self.judge()

    def rows(self):
        return [(ident, bytes(body)) for ident, body in
                self.cluster.database.query("SELECT id, body FROM events")]

    def judge(self):
        """Says what was lost, doubled and never sent; 0 if nothing was."""
        single, batches = (load.events for load in self.loads)
        events = single + batches
        stored = [row for row in self.rows() if row[0] not in self.before]
        times = collections.Counter(ident for ident, _ in stored)
        outcome = {event.id: event.outcome for event in events}
        told = collections.Counter(outcome.values())
        lost = sum(said == "ok" and not times[ident]
                   for ident, said in outcome.items())
        doubled = sum(count > 1 for count in times.values())
        ghosts = sum(outcome.get(ident, "fail") == "fail" for ident in times)
        pause, when = self.longest_pause(events)
        say(f"memory of all hosts: {self.cluster.memory() / 1e9:.2f} GB")
        say(f"sent {len(events):,}, answered: "
            + ", ".join(f"{told[name]:,} {name}" for name in sorted(told)))
        say(f"rows {len(stored):,}: lost {lost}, doubled {doubled}, "
            f"ghosts {ghosts}, longest pause {pause:.1f} s ({when})")
        failures = [found for found in (
            self.broken(check_answers, events),
            self.broken(check_stored, events, stored),
            self.broken(check_order, single),
            self.broken(check_coverage, self.cluster.database, "events",
                        parts.TOPIC, "events")) if found]
        for found in failures:
            say(f"BROKEN: {found}")
        if not failures:
            say("every promise was kept")
        return len(failures)

    @staticmethod
    def broken(check, *words):
        try:
            check(*words)
            return None
        except AssertionError as reason:
            return f"{check.__name__}: {reason}"

    def longest_pause(self, events):
        """The longest time without a good answer, and in which stage."""
        good = sorted(event.end for event in events if event.outcome == "ok")
        pause, end = max((after - before, after) for before, after
                         in zip(good, good[1:]))
        begun = [name for begin, name in self.stages if begin <= end]
        return pause, begun[-1] if begun else "at first"


def tour(short=False):
    """On the cluster that is up, or on one of its own."""
    cluster = Cluster.attach()
    own = cluster is None
    if own:
        cluster = Cluster.new()
    try:
        if own:
            cluster.up()
        one = Tour(cluster, HOLD / 2 if short else HOLD)

        def all_stages():
            one.quiet()
            if not short:
                one.power("h3")
                one.network("h2", "cut", "is cut off, both ways")
                one.network("h3", "cut_in", "hears nothing")
                one.network("h3", "cut_out", "is not heard")
            one.promotion()
            if not short:
                one.isolation()

        return one.run(all_stages)
    finally:
        if own:
            cluster.down()
