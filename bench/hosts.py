#!/usr/bin/python3
"""What an event costs on one, two and three hosts, which are network
namespaces of this machine: CPU of each process, bytes on disks and networks.

    bench/hosts.py [--seconds 20]

The load is bounded, so that the machine may have other work. Writes
bench/results/hosts.json, from which bench/plan.py takes bytes and what a
replica costs, and the guide's tables."""

import argparse
import contextlib
import datetime
import json
import pathlib
import shutil
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(1, str(TOP))

import plan                                         # noqa: E402
import rows                                         # noqa: E402
import servers                                      # noqa: E402
import way                                          # noqa: E402
from servers import HOME, say                       # noqa: E402
from tests.cluster import hosts, parts              # noqa: E402
from tests.lib.env import wait_for                  # noqa: E402

IDLE = 10       # seconds without load, whose CPU is taken off
PARTITIONS = 6
WARM = 30       # seconds of load until the brokers' code is compiled
# records in a request: requests a second to each host, on connections
LOADS = {1: (2000, 256), 100: (100, 16)}
# hosts, replicas, words of 8 bytes in an event, records in a request
RUNS = ((1, 1, 10, 1), (2, 2, 10, 1), (3, 3, 10, 1), (1, 1, 10, 100),
        (2, 2, 10, 100), (3, 3, 10, 100), (3, 1, 10, 100), (1, 1, 135, 100))
# threads of a JVM that are busy in its first minutes only
COMPILERS = ("C1 CompilerThre", "C2 CompilerThre")
WEB = """
    kafka_producer main {{
        brokers {brokers};
        topic   {topics} partitions=6;
    }}
    server {{
        listen %%ADDRESS%%:%%HTTP_PORT%%;
        location ~ ^/(way[0-9])$ {{
            kafka_pass   main;
            kafka_topic  $1;
            kafka_format auto;
        }}
        location = /ready {{ kafka_ready; }}
    }}
"""
# events of so many words, and a pause before each
LOAD = """
dofile("bench/post.lua")
local first = init
function init(args)
   first(args)
   wrk.body = string.rep('{{"title":"a title of usual length","content":"' ..
      string.rep("content ", {words}) .. '"}}\\n', {batch})
end
function delay() return {pause} end
"""


class Stack:
    """Broker and nginx on each of three hosts, PostgreSQL on the first and
    its standby on the second. The topic of a run has its replicas on the
    first hosts alone, and these have its daemons and its load."""

    def __init__(self, some):
        folder = HOME / "hosts"
        shutil.rmtree(folder, ignore_errors=True)
        self.hosts = some
        self.folder = {host.name: folder / host.name for host in some}
        self.bootstrap = ",".join(f"{host.address}:{parts.KAFKA}"
                                  for host in some)
        self.brokers = [parts.Broker(host, some, self.folder[host.name]
                                     / "kafka") for host in some]
        self.postgres = [parts.Postgres(host, self.folder[host.name]
                                        / "postgres") for host in some[:2]]
        self.daemons = []
        parts.together([one.start for one in self.brokers]
                       + [self.postgres[0].start])
        self.postgres[1].copy(self.postgres[0]).start()
        for number, run in enumerate(RUNS):
            self.create(f"way{number}", *run[:2])
        self.web = [parts.Web(host, WEB.format(
            brokers=self.bootstrap, topics=" partitions=6;\n        topic   "
            .join(f"way{number}" for number in range(len(RUNS)))),
            self.folder[host.name] / "nginx", False).start() for host in some]
        wait_for(lambda: all(one.request("GET", "/ready").status == 200
                             for one in self.web), 60, "nginx is ready")

    def create(self, topic, count, replicas):
        from confluent_kafka.admin import AdminClient, NewTopic
        made = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in made.create_topics([NewTopic(
                topic, PARTITIONS, replica_assignment=[
                    [(partition + n) % count + 1 for n in range(replicas)]
                    for partition in range(PARTITIONS)],
                config={"min.insync.replicas": str(min(2, replicas))}
                )]).values():
            future.result(30)

    def consume(self, topic, count):
        """A table of its own, and daemons on so many hosts."""
        for one in self.daemons:
            one.stop()
        self.postgres[0].query("drop table if exists consumed")
        self.postgres[0].query(way.TABLE.format("consumed"))
        parts.GROUPS[topic] = {
            "topic": topic, "start": "earliest", "table": "consumed",
            "columns": {**rows.COLUMNS, **way.PLACE}}
        self.daemons = [parts.Daemon(
            host, topic, 0, self.bootstrap, self.postgres[0].conninfo(),
            self.folder[host.name]).start() for host in self.hosts[:count]]
        for one in self.daemons:
            one.wait_healthy(60)

    def load(self, topic, count, words, batch, seconds):
        """Requests to the first hosts; each of them has to be answered
        200."""
        rate, connections = LOADS[batch]
        script = HOME / "hosts.lua"
        script.write_text(LOAD.format(
            words=words, batch=batch, pause=round(connections / rate * 1000)))
        loads = [subprocess.Popen(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout",
             "30s", "-s", script, f"http://{host.address}:{parts.HTTP}"
             f"/{topic}", *(["--", "batch"] if batch > 1 else [])],
            cwd=TOP, text=True, stdout=subprocess.PIPE)
            for host in self.hosts[:count]]
        answers = [json.loads(one.communicate(timeout=seconds + 60)[0]
                              .strip().splitlines()[-1]) for one in loads]
        if any(one["socket_errors"] + one["status_errors"]
               for one in answers):
            raise SystemExit(f"bench: requests failed: {answers}")

    def settle(self):
        """Rows, once there come no more."""
        before = -1
        while before != (before := self.rows()):
            time.sleep(1)
        return before

    def rows(self):
        return self.postgres[0].query("select count(*) from consumed")[0][0]

    def cpu(self):
        """Seconds that each kind of process has taken, on the hosts of the
        run."""
        tree, count = servers.tree_cpu_seconds, len(self.daemons)
        return {"nginx": sum(tree(one.pid) for one in self.web[:count]),
                "broker": sum(broker_cpu(one.pid)
                              for one in self.brokers[:count]),
                "daemon": sum(tree(one.pid) for one in self.daemons),
                "PostgreSQL": tree(self.postgres[0].pid),
                "standby": tree(self.postgres[1].pid)}

    def bytes(self, topic):
        """What is on disks, and what came to the hosts by their networks."""
        received = 0
        for host in self.hosts:
            with open(f"/proc/{host.keeper}/net/dev",
                      encoding="ascii") as file:
                received += sum(int(line.split(":")[1].split()[0])
                                for line in file if "eth0:" in line)
        heap, index, wal = self.postgres[0].query(
            "select pg_table_size('consumed'), pg_indexes_size('consumed'),"
            " pg_current_wal_lsn() - '0/0'")[0]
        return {"kafka": sum(
            file.stat().st_size for one in self.brokers
            for file in one.directory.rglob(f"{topic}-*/*.log")),
            "heap": heap, "index": index, "wal": int(wal), "in": received}


def broker_cpu(pid):
    """Seconds of CPU of a JVM's threads, without its compilers."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):      # it ended meanwhile
            if (task / "comm").read_text().strip() not in COMPILERS:
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def used(before, after):
    return {name: after[name] - before[name] for name in after}


def measure(stack, number, seconds):
    """One run: CPU beyond that of an idle stack, an event."""
    count, replicas, words, batch = RUNS[number]
    topic = f"way{number}"
    stack.consume(topic, count)
    stack.load(topic, count, words, batch, 5)
    stack.settle()
    before = stack.cpu()
    time.sleep(IDLE)
    idle = {name: value / IDLE for name, value
            in used(before, stack.cpu()).items()}
    there, cpu, size = stack.rows(), stack.cpu(), stack.bytes(topic)
    began = time.monotonic()
    stack.load(topic, count, words, batch, seconds)
    events = stack.settle() - there
    took = time.monotonic() - began
    cpu, size = used(cpu, stack.cpu()), used(size, stack.bytes(topic))
    run = {"hosts": count, "replicas": replicas, "body": 47 + 8 * words,
           "batch": batch, "rate": events / seconds, "idle": idle,
           "us": {name: (cpu[name] - idle[name] * took) * 1e6 / events
                  for name in cpu},
           "bytes": {name: value / events for name, value in size.items()}}
    run["bytes"]["kafka"] /= replicas
    say(f"bench: {count} hosts, {replicas} replicas, {run['body']} bytes, "
        f"{batch} a request, {run['rate']:,.0f}/s: us an event " + ", ".join(
            f"{name} {value:.1f}" for name, value in run["us"].items())
        + "; bytes " + ", ".join(f"{name} {value:.0f}" for name, value
                                 in run["bytes"].items()))
    return run


def costs(runs):
    """What plan.py takes from here."""
    one, _, three, single, large = runs[3:]
    body, more = one["body"], (large["body"] - one["body"]) / 1000
    size = one["bytes"]
    return {
        "body": body, "kafka": size["kafka"] - body,
        "heap": size["heap"] - body, "index": size["index"],
        "wal": size["wal"] / (size["heap"] + size["index"]),
        "fetch": (three["us"]["broker"] / single["us"]["broker"] - 1)
        / (three["replicas"] - single["replicas"]),
        "kb": {name: max(0, large["us"][name] - one["us"][name]) / more
               for name in ("nginx", "broker", "daemon", "PostgreSQL")}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    hosts.enter()
    switch = hosts.make_switch()
    some = []
    try:
        for number in range(1, 4):
            some.append(hosts.Host(f"h{number}",
                                   f"{hosts.NET}.{number}").plug())
        stack = Stack(some)
        stack.consume("way2", 3)
        for batch in LOADS:
            stack.load("way2", 3, 10, batch, WARM)
        stack.settle()
        runs = [measure(stack, number, args.seconds)
                for number in range(len(RUNS))]
    finally:
        for host in some:
            host.unplug()
        with contextlib.suppress(ProcessLookupError):
            subprocess.run(["kill", str(switch)], check=False)
    plan.HOSTS.write_text(json.dumps({
        "about": f"{args.seconds} s each, {datetime.date.today()}",
        "runs": runs, "costs": costs(runs)},
        indent=1) + "\n")
    plan.write()


if __name__ == "__main__":
    main()
