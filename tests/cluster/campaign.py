"""The campaign: a cluster under load, faults that a seed draws, and the
judgement of the clients' own history.

python3 -m tests.cluster.campaign --kills 100 --records 1000000 [--seed N]
    --only 3,17     these faults of the schedule alone
    --shrink        after a failure, the smallest part that still fails
    --list          the schedule, and nothing else
"""

import argparse
import collections
import os
import pathlib
import random
import subprocess
import sys
import time

import confluent_kafka

from tests.cluster import faults, parts
from tests.cluster.clients import Clients
from tests.cluster.cluster import NAMES, Cluster, main
from tests.cluster.judge import Judge, read_database, told
from tests.cluster.schedule import Runner, part_of, schedule, shrink
from tests.cluster.watcher import Watcher, stack
from tests.lib import procs
from tests.lib.env import BUILD, SANITIZER_LINE, tail

FOLDER = BUILD / "campaign"
SETTLED = 60            # s, until the lag is 0 after the last fault
OVERTIME = 900          # s, for records that faults have kept waiting
# what nginx says of faults that are meant
MEANT = (r"worker process \d+ exited on signal 9",)


def say(text):
    print(text, flush=True)


class Campaign:
    def __init__(self, cluster, plan, records, directory):
        self.cluster, self.plan, self.records = cluster, plan, records
        self.directory = directory
        seconds = plan[-1].at + plan[-1].hold + 10 if plan else 30
        self.seconds = seconds
        self.runner = Runner(cluster, plan, self.tell)
        hosts = [(one.address, one.port) for one in
                 (*cluster.gateways.values(), cluster.front)]
        # some of the time nothing can be sent
        self.clients = Clients(hosts, directory, 1.25 * records / seconds)
        self.watcher = Watcher(self.look, self.evidence)
        self.reader = self.make_reader()
        self.connection = None
        self.unknown = "not yet read"
        self.so_far = 0, ()         # faults done, and on
        self.missing = collections.Counter()
        self.wrong = []
        self.begun = time.monotonic()

    def make_reader(self):
        return confluent_kafka.Consumer(
            {"bootstrap.servers": self.cluster.bootstrap, "log_level": 0,
             "group.id": "watcher"})

    def tell(self, text):
        say(f"{time.monotonic() - self.begun:6.0f} s  {text}")

    def down(self):
        """Servers that are not up."""
        cluster = self.cluster
        names = [f"broker {name}" for name, one in cluster.brokers.items()
                 if not one.alive() or procs.stopped(one.pid)]
        names += [f"PostgreSQL {name}" for name, one
                  in cluster.postgres.items() if not one.alive()]
        names += [f"nginx {name}" for name, one in cluster.gateways.items()
                  if not one.alive() or not one.workers()]
        names += [f"daemon {' '.join(name)}" for name, one
                  in cluster.daemons.items()
                  if not one.alive() or procs.stopped(one.pid)]
        return names

    def look(self):
        """A sample for the watcher.  Faults that begin or end since the last
        one count too."""
        before, down = self.so_far, self.down()
        # who is down without a fault has died by itself
        self.missing = collections.Counter(
            {} if self.runner.on else
            {name: self.missing[name] + 1 for name in down})
        lags = self.lags()
        reasons = [] if down else self.reasons()
        self.so_far = len(self.runner.done), tuple(self.runner.on)
        up = not down and not self.so_far[1] and before == self.so_far
        return up, lags, reasons

    def lags(self):
        """Of each group and partition: the stored offset and the end."""
        try:
            ends = {number: self.reader.get_watermark_offsets(
                confluent_kafka.TopicPartition(parts.TOPIC, number), 3)
                for number in self.reader.list_topics(
                    parts.TOPIC, 3).topics[parts.TOPIC].partitions}
            stored = {(group, part): offset for group, part, offset in
                      self.query("SELECT split_part(group_id, '@', 1),"
                                 " partition, next_offset FROM"
                                 " sluice.offsets")}
        except Exception as reason:     # of Kafka's or PostgreSQL's
            self.unknown = str(reason).strip().split("\n")[0]
            self.reader = self.make_reader()
            return None
        return {(group, part): (stored.get((group, part), low), high)
                for group in parts.GROUPS
                for part, (low, high) in ends.items()}

    def query(self, sql):
        """On a connection of the calling thread alone."""
        try:
            if self.connection is None:
                self.connection = self.cluster.database.postgres.connect()
            with self.connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        except Exception:
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            raise

    def reasons(self):
        found = []
        for (name, group), daemon in self.cluster.daemons.items():
            try:
                status, body = daemon.health()
            except AssertionError:
                continue        # it has ended meanwhile
            if status not in (0, 200) or body and body["reason"]:
                found.append(f"{name} {group}: {body['reason']}")
        return found

    def evidence(self):
        """Stacks and logs of the daemons, in a file; which."""
        text = []
        for (name, group), daemon in self.cluster.daemons.items():
            text.append(f"-- daemon {group} of {name}: {daemon.health()}\n"
                        f"{stack(daemon.pid)}\n{tail(daemon.stderr)}")
        file = self.directory / "evidence"
        file.write_text("\n".join(text))
        return "stacks, logs and health of all daemons: " \
            f"{os.path.relpath(file)}"

    def line(self):
        counts = self.clients.records()
        lag = f"unknown ({self.unknown})"
        if self.watcher.last and self.watcher.last[1] is not None:
            lag = sum(max(0, end - first)
                      for first, end in self.watcher.last[1].values())
        return (f"{len(self.runner.done)}/{len(self.plan)} faults, "
                + ", ".join(f"{name} {counts[name]}" for name in
                            ("ok", "queued", "fail", "maybe"))
                + f", lag {lag}"
                + "".join(f"; {fault.kind} {fault.host}"
                          for fault in list(self.runner.on.values())))

    def run(self):
        self.begun = time.monotonic()
        self.clients.start()
        self.watcher.start()
        self.runner.start()
        end = self.begun + self.seconds + OVERTIME
        while self.runner.running() or sum(self.clients.records().values()) \
                < self.records:
            time.sleep(1)
            self.tell(self.line())
            if time.monotonic() > end:
                self.wrong.append("not done in time")
            died = [name for name, times in self.missing.items()
                    if times > 10]
            if died:
                self.wrong.append(f"died by itself: {died}")
            if self.wrong or self.watcher.wrong or self.runner.broken:
                break
        self.runner.stop()
        self.clients.stop()
        self.settle()
        if self.watcher.stop():
            self.wrong.append(self.watcher.wrong)
        self.wrong += self.runner.broken
        self.judge()
        return not self.wrong

    def settle(self):
        """Invariant 6."""
        begin = time.monotonic()
        try:
            self.cluster.wait_stored(SETTLED)
        except AssertionError as failure:
            self.wrong.append(f"invariant 6: {failure}\n{self.evidence()}")
        self.settled = time.monotonic() - begin

    def judge(self):
        """Invariants 1 to 4, and 7."""
        file = self.directory / "history.sqlite"
        file.unlink(missing_ok=True)
        judge = Judge(file)
        for client in self.clients.all:
            with open(client.file.name, encoding="utf-8") as lines:
                judge.sent(lines)
        connection = self.cluster.database.postgres.connect()
        read_database(judge, connection, parts.TOPIC,
                      f"events@{self.cluster.database.name}", "events")
        growths = sum(fault.kind == "add partitions"
                      for fault in self.runner.done)
        found = judge.faults(growths)
        if found:
            self.wrong.append(told(found))
        for group in parts.GROUPS:
            code, text = self.cluster.daemons[NAMES[0], group].run(
                "verify", "--strict", timeout=600)
            if code != 0 or "Proved" not in text:
                self.wrong.append(f"invariant 4, group {group}: {text}")
        self.logs()
        self.report(judge, found)

    def logs(self):
        """Invariant 7."""
        for name, one in self.cluster.gateways.items():
            for pattern in MEANT:
                one.expect(pattern)
            lines = one.complaints()
            if lines:
                self.wrong.append(f"invariant 7: nginx of {name}: "
                                  + "\n".join(lines[:20]))
        for (name, group), one in self.cluster.daemons.items():
            lines = [line for line in one.log().splitlines()
                     if any(word in line
                            for word in SANITIZER_LINE.split("|"))]
            if lines:
                self.wrong.append(f"invariant 7: {group} of {name}: "
                                  + "\n".join(lines[:20]))

    def report(self, judge, found):
        figures = judge.figures()
        wrong = collections.Counter()
        for _, what, count, _ in found:
            wrong[what] += count
        rows = collections.defaultdict(dict)
        for kind, outcome, count in figures["outcomes"]:
            rows[kind][outcome] = count
        outcomes = ("ok", "queued", "fail", "maybe", "untruthful")
        say("\nrecords by kind and answer")
        for kind, row in rows.items():
            say(f"  {kind:8}" + "".join(f"{name:>8} {row.get(name, 0):<8}"
                                        for name in outcomes))
        say("requests, each try: " + ", ".join(
            f"{name} {count}" for name, count in sum(
                self.clients.requests().values(),
                collections.Counter()).most_common()))
        say("stored, of all: " + ", ".join(
            f"{outcome} {there}/{all_}"
            for outcome, there, all_ in figures["stored"]))
        say(f"sent again where nothing was kept: {figures['again']}; "
            f"dead letters: {figures['dead']}")
        say("faults: " + ", ".join(
            f"{name} {count}" for name, count in collections.Counter(
                fault.kind for fault in self.runner.done).most_common()))
        say(f"watched {self.watcher.still.judged} s, of "
            f"{self.watcher.still.excused} more a daemon said why")
        say(f"longest pause {figures['pause']:.1f} s; lag 0 after "
            f"{self.settled:.1f} s; {time.monotonic() - self.begun:.0f} s")
        say(f"lost {wrong['lost']}, doubled {wrong['doubled']}, ghosts "
            f"{wrong['ghosts']}, out of order {wrong['order']}"
            + "".join(f", {what} {count}" for what, count in wrong.items()
                      if what not in ("lost", "doubled", "ghosts", "order")))


def once(seed, kills, records, only, directory):
    """One run on a cluster of its own; whether it went well."""
    plan = schedule(seed, kills, faults.lacking())
    whole = len(plan)
    if only:
        plan = part_of(plan, only)
        records = records * len(plan) // whole
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "schedule").write_text("\n".join(map(str, plan)) + "\n")
    cluster = Cluster.new()
    try:
        if any(fault.kind == "fill a broker's disk" for fault in plan):
            faults.make_disk(cluster.brokers[faults.SMALL_DISK].directory
                             / "data")
        cluster.up(say)
        # the table refuses what its client calls bad
        cluster.database.query("ALTER TABLE events ADD CHECK"
                               " (id NOT LIKE 'bad%')")
        campaign = Campaign(cluster, plan, records, directory)
        good = campaign.run()
        for text in campaign.wrong:
            say(f"\n{text}")
        return good
    finally:
        cluster.down()


def again(options, numbers):
    """Another run, of some faults, in a program of its own: a namespace is
    entered once.  Whether it fails as well."""
    say(f"== again with {len(numbers)}: {numbers}")
    code = subprocess.run(
        [sys.executable, "-B", "-m", "tests.cluster.campaign",
         "--seed", str(options.seed), "--kills", str(options.kills),
         "--records", str(options.records),
         "--only", ",".join(map(str, numbers))],
        check=False, stdin=subprocess.DEVNULL).returncode
    if code not in (0, 1):
        sys.exit(code)
    return code == 1


def work():
    options = argparse.ArgumentParser(description="see the file")
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--records", type=int, default=1000000)
    options.add_argument("--seed", type=int,
                         default=random.SystemRandom().randrange(10**6))
    options.add_argument("--only", default="")
    options.add_argument("--shrink", action="store_true")
    options.add_argument("--list", action="store_true")
    options = options.parse_args()
    plan = schedule(options.seed, options.kills, faults.lacking())
    only = {int(number) for number in options.only.split(",") if number}
    say(f"seed {options.seed}: {len(plan)} faults, {options.kills} kills, "
        f"{options.records} records, {plan[-1].at / 60:.0f} minutes")
    if options.list:
        say("\n".join(map(str, plan)))
        return 0
    directory = pathlib.Path(FOLDER, str(options.seed))
    if options.shrink:
        numbers = shrink(plan, lambda part: again(options, part), say)
        say("the smallest that fails:\n" + "\n".join(
            map(str, part_of(plan, numbers))))
        return 1
    good = once(options.seed, options.kills, options.records, only,
                directory)
    if not good:
        say(f"\nFAILED.  Again: make campaign SEED={options.seed} KILLS="
            f"{options.kills} RECORDS={options.records}; the smallest part "
            f"that fails: SHRINK=1 beside it; history and schedule: "
            f"{os.path.relpath(directory)}")
    return 0 if good else 1


if __name__ == "__main__":
    main(work)
