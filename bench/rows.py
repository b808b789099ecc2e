"""Rows a second of one consumer beside psql's \\copy of the same rows into
the same table."""

import json
import re
import shutil
import statistics
import subprocess
import time

import servers
from servers import BUILD, HOME, say

PARTITIONS = 4
TABLE = """
create table {0} (
    id          bigint generated always as identity primary key,
    title       text not null,
    content     text not null,
    created_at  timestamptz not null)
"""


def events(rows):
    for i in range(rows):
        yield (f"title {i:09d}",
               f"the content of an event of usual length, number {i:09d}, "
               "and a little more of it")


def fill(kafka, topic, rows):
    """Produces the backlog; the same rows as a file for \\copy."""
    from confluent_kafka import Producer
    kafka.create(topic, PARTITIONS)
    producer = Producer({"bootstrap.servers": kafka.bootstrap,
                         "linger.ms": 20, "batch.num.messages": 50000,
                         "queue.buffering.max.messages": 2000000})
    path = HOME / "rows.copy"
    size = 0
    with open(path, "w", encoding="utf-8") as out:
        for i, (title, content) in enumerate(events(rows)):
            value = json.dumps({"title": title, "content": content})
            size += len(value)
            producer.produce(topic, value)
            out.write(f"{title}\t{content}\t2026-01-01 00:00:00+00\n")
            if i % 10000 == 0:
                producer.poll(0)
    if producer.flush(60):
        raise SystemExit("bench: the backlog could not be produced")
    say(f"bench: {rows:,} events of {size / rows:.0f} bytes are in Kafka")
    return path


def copy(postgres, path, rows):
    postgres.sql("drop table if exists copied")
    postgres.sql(TABLE.format("copied"))
    started = time.monotonic()
    subprocess.run(
        ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", postgres.url, "-c",
         f"\\copy copied(title, content, created_at) from '{path}'"],
        check=True)
    seconds = time.monotonic() - started
    assert postgres.sql("select count(*) from copied") == str(rows)
    return {"rate": rows / seconds}


def consume(kafka, postgres, topic, rows, turn):
    """The rate between the first commit seen and the last: joining the group
    is no part of it."""
    postgres.sql("drop table if exists consumed")
    postgres.sql(TABLE.format("consumed"))
    port = servers.free_port()
    conf = HOME / "consumer.json"
    conf.write_text(json.dumps({
        "topic": topic, "group": f"bench-{turn}", "start": "earliest",
        "kafka": {"bootstrap.servers": kafka.bootstrap},
        "postgres": postgres.url, "table": "consumed",
        "columns": {
            "title": {"path": "/title", "type": "text", "required": True},
            "content": {"path": "/content", "type": "text",
                        "required": True},
            "created_at": {"meta": "timestamp"}},
        "listen": f"127.0.0.1:{port}"}, indent=2))
    daemon = servers.Process(
        [BUILD / "consumers/sluice-consumer", "--config", conf],
        "consumer.log")
    try:
        first, last = watch(port, rows)
        result = {"rate": (rows - first[1]) / (last[0] - first[0]),
                  "rss_mb": daemon.status("VmHWM") / 1024}
    finally:
        daemon.stop()
    stored = postgres.sql("select count(*), count(distinct title) "
                          "from consumed")
    assert stored == f"{rows}|{rows}", f"{stored} rows of {rows}"
    return result


def watch(port, rows):
    """The first and the last count of committed rows, each with its time."""
    servers.wait_for("the consumer", 30, lambda: servers.listening(port))
    first = None
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        text = servers.get(f"http://127.0.0.1:{port}/metrics")
        found = re.search(r"^sluice_consumer_rows_total(?:\{.*\})? (\d+)",
                          text, re.M)
        seen = (time.monotonic(), int(found.group(1)) if found else 0)
        if seen[1] and not first:
            first = seen
        if seen[1] >= rows:
            return first, seen
        time.sleep(0.01)
    raise SystemExit(f"bench: {seen[1]} of {rows} rows after 120 s")


def measure(rounds, rows):
    kafka = servers.Kafka("kafka-rows")
    postgres = servers.Postgres()
    try:
        path = fill(kafka, "rows", rows)
        results = {"copy": [], "consumer": []}
        for turn in range(rounds):
            results["copy"].append(copy(postgres, path, rows))
            results["consumer"].append(
                consume(kafka, postgres, "rows", rows, turn))
            say(f"bench: round {turn + 1}/{rounds} \\copy "
                f"{results['copy'][-1]['rate']:,.0f} rows/s, consumer "
                f"{results['consumer'][-1]['rate']:,.0f} rows/s, "
                f"{results['consumer'][-1]['rss_mb']:.0f} MiB")
        return results
    finally:
        postgres.stop()
        kafka.stop()
        shutil.rmtree(postgres.dir, ignore_errors=True)


def table(results, rows):
    ratio = statistics.median(
        a["rate"] / b["rate"] for a, b in
        zip(results["consumer"], results["copy"]))
    copied = statistics.median(r["rate"] for r in results["copy"])
    consumed = statistics.median(r["rate"] for r in results["consumer"])
    rss = max(r["rss_mb"] for r in results["consumer"])
    return [f"{rows:,} rows, {PARTITIONS} partitions, one daemon.", "",
            "| what | rows/s | of `\\copy` | peak RSS |",
            "| --- | ---: | ---: | ---: |",
            f"| psql `\\copy` | {copied:,.0f} | 1.00 | |",
            f"| sluice-consumer | {consumed:,.0f} | {ratio:.2f} "
            f"| {rss:.0f} MiB |"]
