"""The rolling upgrade: every program of every host is replaced, one after the
other, while posts go on.  Nothing but 2xx may be answered.

SLUICE_OLD_CONSUMER and SLUICE_OLD_MODULE name the programs to begin with;
without them both versions are the one at hand.
"""

import collections
import os
import signal

from tests.cluster.cluster import Cluster, say
from tests.cluster.tour import PATIENCE, Tour
from tests.lib import procs
from tests.lib.env import CONSUMER, MODULE, wait_for


class Roll(Tour):
    def whole(self):
        self.cluster.wait_ready(PATIENCE)
        self.loads[0].wait_ok(100, 60)

    def nginx(self, name):
        """USR2, WINCH, QUIT: the old workers answer what they have."""
        self.stage(f"another nginx on {name}")
        one = self.cluster.gateways[name]
        old = one.master
        one.write(one.http, MODULE=MODULE)
        new = one.upgrade()
        self.loads[0].wait_ok(50, 60)
        os.kill(old, signal.SIGWINCH)
        wait_for(lambda: procs.children(old) == [new], 60, "they are gone")
        one.end(old)
        one.master = new
        self.whole()

    def daemon(self, name, group):
        self.stage(f"another daemon {group} on {name}")
        one = self.cluster.daemons[name, group]
        one.stop()
        one.program = CONSUMER
        one.start()
        self.whole()

    def broker(self, name):
        """It hands its partitions on before it ends."""
        self.stage(f"another broker on {name}")
        one = self.cluster.brokers[name]
        one.stop()
        self.loads[0].wait_ok(100, 60)
        one.start()
        self.whole()

    def postgres(self):
        """The standby first; then it takes over, and the old primary
        follows it."""
        old, new = self.stores()
        self.stage(f"another PostgreSQL on {new}")
        self.cluster.postgres[new].stop()
        self.cluster.postgres[new].start()
        self.whole()
        self.stage(f"{new} takes over from {old}")
        self.cluster.database.close()
        self.cluster.postgres[old].stop()
        self.cluster.promote(new)
        self.cluster.rejoin(old)
        self.whole()

    def judge(self):
        """The tour's counts, and what was no 2xx in which stage."""
        failures = 0
        ends = [begin for begin, _ in self.stages[1:]] + [float("inf")]
        for (begin, name), end in zip(self.stages, ends):
            events = [event for load in self.loads for event in load.events
                      if begin <= event.start < end]
            told = collections.Counter(
                f"{event.status} {event.outcome}" for event in events
                if event.outcome != "ok")
            say(f"{name}: {len(events):,} records, {dict(told) or 'all ok'}")
            # the first stage is the cluster's warming up
            failures += bool(told) and begin != self.stages[0][0]
        for one in self.cluster.daemons.values():
            for line in one.log().splitlines():
                if "holding" in line:
                    say(f"BROKEN: {line}")
                    failures += 1
        return super().judge() + failures


def roll():
    """On a cluster of its own."""
    cluster = Cluster.new()
    old = os.environ.get("SLUICE_OLD_CONSUMER")
    for one in cluster.daemons.values():
        one.program = old or one.program
    for one in cluster.gateways.values():
        one.names["MODULE"] = os.environ.get("SLUICE_OLD_MODULE") or MODULE
        # as a service has it: a record waits for a broker that has just come
        # back, and below the front's 10 s
        one.http = one.http.replace("timeout 5s", "timeout 7s").replace(
            "kafka_timeout       6s", "kafka_timeout       8s")
    try:
        cluster.up()
        one = Roll(cluster, 4)

        def all_stages():
            one.quiet()
            for name in cluster.gateways:
                one.nginx(name)
            for name, group in cluster.daemons:
                one.daemon(name, group)
            for name in cluster.brokers:
                one.broker(name)
            one.postgres()

        return one.run(all_stages)
    finally:
        cluster.down()
