"""Rows a second of the consumer beside psql's \\copy of the same rows into
the same table.

Rates are taken from the times of the commits (track_commit_timestamp), so
that joining the group is no part of them and nobody has to look meanwhile."""

import datetime
import json
import os
import subprocess
import time

import servers
from answers import median, ratio
from servers import BUILD, HOME, say

PARTITIONS = 4
SIZES = (100, 300, 1000, 3000, 10000, 30000, 50000)
PEERS = ("connect", "pgx")
TABLE = """
create table {0} (
    id          bigint generated always as identity primary key,
    title       text not null,
    content     text not null,
    created_at  timestamptz not null)
"""
DEDUPE = {"dedupe": {"header": "request-id", "window": "24h"}}
# nor is a client's key known
FORGET = """;
do $$begin
    if to_regclass('sluice.seen') is not null then
        truncate sluice.seen;
    end if;
end$$
"""
# all keys are there
UPDATE = """
create table {0} (like known including all);
insert into {0} select * from known
"""
TYPES = """
create table {0} (
    id          uuid not null,
    price       numeric(12,2) not null,
    ok          boolean not null,
    created_at  timestamptz not null,
    ratio       double precision not null)
"""
COLUMNS = {
    "title": {"path": "/title", "type": "text", "required": True},
    "content": {"path": "/content", "type": "text", "required": True},
    "created_at": {"meta": "timestamp"}}
TYPES_COLUMNS = ("id", "price", "ok", "created_at", "ratio")
# and each page has room for them once more
ROOM = """
create table {0} (like known including all) with (fillfactor = 50);
insert into {0} select * from known
"""
UPSERT = """
create table {0} (
    title       text primary key,
    content     text not null,
    created_at  timestamptz not null)
"""


def copy_lines(path, rows, line):
    """A file of so many lines for \\copy, whose times move on by 1 ms each
    1,000 of them; line(n, stamp) is one."""
    at = datetime.datetime.now(datetime.timezone.utc)
    with open(path, "w", encoding="utf-8") as out:
        for n in range(rows):
            if n % 1000 == 0:
                at += datetime.timedelta(milliseconds=1)
                stamp = at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "+00"
            out.write(line(n, stamp))
    return path


def copy_file(rows):
    """The rows of the topic as \\copy reads them; see producer_event()."""
    return copy_lines(
        HOME / "rows.copy", rows, lambda n, stamp:
        f"title {n:09d}\tthe content of an event of usual length, number "
        f"{n:09d}, and a little more of it\t{stamp}\n")


def types_file(rows):
    """The same of the topic of common types; see producer_types()."""
    return copy_lines(
        HOME / "types.copy", rows, lambda n, stamp:
        f"{n * 2654435761 % 4294967296:08x}-0000-4000-8000-{n:012x}\t"
        f"{n % 10000}.{n % 100:02}\t{'t' if n % 3 else 'f'}\t{stamp}\t"
        f"0.{n:09}\n")


def copy(postgres, path, rows, table=TABLE,
         columns=("title", "content", "created_at")):
    postgres.make(table, "copied")
    started = time.monotonic()
    subprocess.run(
        ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", postgres.url, "-c",
         f"\\copy copied({', '.join(columns)}) from '{path}'"],
        check=True, timeout=120)
    seconds = time.monotonic() - started
    assert postgres.sql("select count(*) from copied") == str(rows)
    postgres.sql("drop table copied")
    return {"rate": rows / seconds}


class Consumer:
    """One sluice-consumer."""

    def __init__(self, kafka, postgres, topic, group, name="consumer",
                 columns=None, **more):
        self.port = servers.free_port()
        path = HOME / f"{name}.json"
        path.write_text(json.dumps({
            "topic": topic, "group": group, "start": "earliest",
            "kafka": {"bootstrap.servers": kafka.bootstrap},
            "postgres": postgres.url, "table": "consumed",
            "columns": columns or COLUMNS,
            "listen": f"127.0.0.1:{self.port}", **more}, indent=2))
        self.process = servers.Process(
            [BUILD / "consumers/sluice-consumer", "--config", path,
             *(["--allow-root"] if os.geteuid() == 0 else [])],
            f"{name}.log")

    def rows(self):
        """Rows that are committed; -1 while it does not answer."""
        try:
            text = servers.get(f"http://127.0.0.1:{self.port}/metrics")
        except OSError:
            if self.process.process.poll() is not None:
                raise SystemExit("bench: the consumer ended: "
                                 + self.said()[-1]) from None
            return -1
        return sum(int(float(line.rsplit(" ", 1)[1]))
                   for line in text.splitlines()
                   if line.startswith(("sluice_consumer_rows_total",
                                       "sluice_consumer_duplicates_total",
                                       "sluice_consumer_deduped_total")))

    def said(self):
        return self.process.log.read_text(errors="replace").splitlines() \
            or [""]

    def wait(self, rows, seconds, others=()):
        """Until so many rows are committed; how many are."""
        deadline = time.monotonic() + seconds
        seen = 0
        while time.monotonic() < deadline:
            seen = sum(c.rows() for c in (self, *others))
            if seen >= rows:
                break
            time.sleep(0.05)
        return seen

    def cpu(self):
        return servers.cpu_seconds(self.process.pid)

    def stop(self):
        self.process.stop()


def commits(postgres):
    """[(time, rows)] of each transaction that wrote to the table."""
    out = postgres.sql(
        "select extract(epoch from pg_xact_commit_timestamp(x)), n from "
        "(select xmin as x, count(*) as n from consumed group by xmin) t "
        "order by 1")
    return [(float(at), int(n)) for at, n in
            (line.split("|") for line in out.splitlines())]


def rate(found):
    """Rows behind the first commit over the time from it to the last."""
    seconds = found[-1][0] - found[0][0] if found else 0
    return sum(n for _, n in found[1:]) / seconds if seconds > 0 else 0


def consume(kafka, postgres, topic, rows, table=TABLE, seconds=120,
            whole=True, idle=0, columns=None, unique="title", **more):
    """One daemon, one fresh group and table."""
    postgres.make(table, "consumed")
    daemon = Consumer(kafka, postgres, topic, f"bench-{time.time_ns()}",
                      columns=columns, **more)
    result = {}
    try:
        seen = daemon.wait(rows, seconds)
        result["cpu_us"] = daemon.cpu() * 1e6 / max(seen, 1)
        result["rss_mb"] = servers.memory_kb(daemon.process.pid,
                                             "VmHWM") / 1024
        if idle:
            before = daemon.cpu()
            time.sleep(idle)
            result["idle_percent"] = (daemon.cpu() - before) / idle * 100
    finally:
        daemon.stop()
    result["rate"] = rate(commits(postgres))
    if whole:
        stored = postgres.sql(f"select count(*), count(distinct {unique}) "
                              "from consumed")
        if stored != f"{rows}|{rows}":
            raise SystemExit(f"bench: {stored} rows of {rows}: "
                             + daemon.said()[-1])
    return result


def consume_by_two(kafka, postgres, topic, rows):
    """Two daemons of one group; a lock on the table holds both back until
    each has its two partitions."""
    postgres.make(TABLE, "consumed")
    lock = subprocess.Popen(
        ["psql", "-XqAt", "-d", postgres.url], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True)
    daemons = []
    try:
        lock.stdin.write("begin; lock table consumed in share mode;\n"
                         "select 'locked';\n")
        lock.stdin.flush()
        lock.stdout.readline()
        group = f"bench-two-{time.time_ns()}"
        for name in ("consumer-1", "consumer-2"):
            daemons.append(Consumer(kafka, postgres, topic, group, name))
        servers.wait_for("half of the partitions each", 14, lambda: all(
            any("2 partitions of topic" in line for line in d.said())
            for d in daemons))
        lock.stdin.close()
        lock.wait(10)
        daemons[0].wait(rows, 120, daemons[1:])
    finally:
        lock.kill()
        lock.wait()
        for daemon in daemons:
            daemon.stop()
    assert postgres.sql("select count(*) from consumed") == str(rows)
    return {"rate": rate(commits(postgres))}


def measure(kafka, postgres, rounds, rows, start_peers, all_modes=True):
    """{name: [a run a round]}; start_peers() gives peers by name, once the
    topics are full.  Without all modes: what is compared with the peers."""
    for topic, form in (("rows", ""), ("rows_ids", "ids"),
                        ("rows_types", "types"))[:3 if all_modes else 1]:
        kafka.create(topic, PARTITIONS)
        kafka.produce(topic, "fill", rows, form)
    say(f"bench: {rows:,} events are in Kafka")
    path = copy_file(rows)
    types = types_file(rows) if all_modes else None

    def run(*args, **more):
        return lambda: consume(kafka, postgres, *args, **more)

    runs = {
        "copy": lambda: copy(postgres, path, rows),
        "consumer": run("rows", rows),
        "two daemons": lambda: consume_by_two(kafka, postgres, "rows", rows),
        "copy types": lambda: copy(postgres, types, rows, TYPES,
                                   TYPES_COLUMNS),
        "types": run("rows_types", rows, TYPES, unique="id", columns={
            name: {"meta": "timestamp"} if name == "created_at"
            else f"/{name}" for name in TYPES_COLUMNS}),
        "upsert": run("rows_ids", rows, UPSERT, mode="upsert",
                      key=["title"]),
        "update": run("rows_ids", rows, UPDATE, mode="upsert",
                      key=["title"]),
        "update room": run("rows_ids", rows, ROOM, mode="upsert",
                           key=["title"]),
        "dedupe": run("rows_ids", rows, TABLE + FORGET, **DEDUPE),
        "dedupe more": run("rows_ids", rows, **DEDUPE),
    }
    if not all_modes:
        runs = {name: runs[name] for name in ("copy", "consumer")}
    runs.update(start_peers())

    # the broker's code is compiled by its JVM while it runs first, and
    # PostgreSQL makes WAL files
    consume(kafka, postgres, "rows", rows)
    copy(postgres, path, rows)
    if all_modes:
        runs["upsert"]()
        postgres.sql("drop table if exists known")
        postgres.sql("alter table consumed rename to known")
    return turns(runs, rounds)


def turns(runs, rounds):
    """What fails once is told and not tried again."""
    results = {}
    for turn in range(rounds):
        for name in list(runs):
            try:
                found = runs[name]()
            except (SystemExit, Exception) as error:
                say(f"bench: without {name}: {error}")
                results.pop(name, None)
                del runs[name]
                continue
            results.setdefault(name, []).append(found)
            say(f"bench: round {turn + 1}/{rounds} {name:>12} "
                f"{found['rate']:>9,.0f} rows/s")
    return results


def sizes(kafka, postgres, rows):
    """[(rows a batch, rows/s)], two and a half seconds of each."""
    found = []
    for size in SIZES:
        run = consume(kafka, postgres, "rows", rows, seconds=2.5,
                      whole=False, batch={"rows": size})
        found.append((size, run["rate"]))
        say(f"bench: batches of {size:>6,} rows {run['rate']:>9,.0f} rows/s")
    return found


def begin(kafka, postgres):
    """Seconds of CPU until a daemon has its partitions, with nothing in
    them."""
    kafka.create("backlog_none", PARTITIONS)
    postgres.make(TABLE, "consumed")
    daemon = Consumer(kafka, postgres, "backlog_none", "bench-none")
    try:
        servers.wait_for("its partitions", 20, lambda: any(
            f"partition {PARTITIONS - 1}: at offset 0" in line
            for line in daemon.said()))
        return daemon.cpu()
    finally:
        daemon.stop()
        kafka.delete("backlog_none")


def backlogs(kafka, postgres, counts, idle):
    """[(records, run)]; the last daemon is looked at for so many idle
    seconds."""
    found = []
    begun = begin(kafka, postgres)
    say(f"bench: a daemon begins for {begun * 1e3:.1f} ms of CPU")
    for count in counts:
        topic = f"backlog_{count}"
        kafka.create(topic, PARTITIONS)
        kafka.produce(topic, "fill", count)
        run = consume(kafka, postgres, topic, count, seconds=150,
                      idle=idle if count == counts[-1] else 0,
                      whole=count < 5000000)
        run["cpu_us"] -= begun * 1e6 / count
        found.append((count, run))
        say(f"bench: backlog of {count:>10,}: {run['rate']:>9,.0f} rows/s, "
            f"{run['cpu_us']:.2f} us CPU a row, {run['rss_mb']:.0f} MiB")
        kafka.delete(topic)
    postgres.sql("drop table consumed")
    return found


def beside(name):
    """The \\copy of the same rows."""
    return "copy types" if name.endswith("types") else "copy"


def summary(results, lengths):
    found = {}
    for name, runs in results.items():
        if beside(name) in results and name not in PEERS:
            found[name.replace(" ", "_")] = ratio(runs, results[beside(name)])
    for name in PEERS:
        if name in results and "consumer" in results:
            found[name] = ratio(results["consumer"], results[name])
    if lengths:
        found["rss_mb"] = max(run["rss_mb"] for _, run in lengths)
    if lengths and "idle_percent" in lengths[-1][1]:
        found["idle_percent"] = lengths[-1][1]["idle_percent"]
    if lengths and len(lengths) > 1:
        costs = [run["cpu_us"] for count, run in lengths]
        found["row_spread"] = max(costs) / min(costs)
    return found


def table(results, by_size, lengths, rows):
    labels = {
        "copy": "psql `\\copy`", "consumer": "sluice-consumer",
        "two daemons": "two of them, two partitions each",
        "copy types": "psql `\\copy` of uuid, numeric, boolean, timestamptz, "
        "double precision", "types": "sluice-consumer of the same",
        "upsert": "mode `upsert` (primary key on text), new keys",
        "update": "the same, keys that are there",
        "update room": "the same, `fillfactor` 50",
        "dedupe": "dedupe by a header, no key known at first",
        "dedupe more": "the same, as many others known at first",
        "connect": "Kafka Connect, Debezium JDBC sink",
        "pgx": "Go, franz-go + pgx `CopyFrom`, at least once"}
    copied = median(results["copy"], "rate") if "copy" in results else 0

    def of(part):
        return f"{part:.2f}" if part else ""

    lines = [f"{rows:,} rows of 4 partitions; medians.", "",
             "| what | rows/s | of `\\copy` |", "| --- | ---: | ---: |"]
    for name, runs in results.items():
        lines.append(f"| {labels[name]} | {median(runs, 'rate'):,.0f} "
                     f"| {of(ratio(runs, results.get(beside(name), ())))} |")
    missing = [labels[name] for name in labels if name not in results]
    if missing:
        lines += ["", "Not measured: " + "; ".join(missing) + "."]
    if lengths:
        lines += ["", "| backlog | rows/s | of `\\copy` "
                  "| daemon CPU us a row | peak RSS MiB |",
                  "| ---: | ---: | ---: | ---: | ---: |"]
        for count, run in lengths:
            lines.append(f"| {count:,} | {run['rate']:,.0f} "
                         f"| {of(copied and run['rate'] / copied)} "
                         f"| {run['cpu_us']:.2f} | {run['rss_mb']:.0f} |")
        lines += ["", "CPU of a row without that of the daemon's start."]
        if "idle_percent" in lengths[-1][1]:
            lines[-1] += (" CPU of the idle daemon behind it: "
                          f"{lengths[-1][1]['idle_percent']:.2f} % of a "
                          "core.")
    if by_size:
        lines += ["", "| `batch.rows` | rows/s | of `\\copy` |",
                  "| ---: | ---: | ---: |"]
        lines += [f"| {size:,} | {found:,.0f} "
                  f"| {of(copied and found / copied)} |"
                  for size, found in by_size]
    return lines
