"""The whole way: POST, 200, committed row; and how long a row takes."""

import threading
import time

import rows
import servers
from answers import wrk
from servers import say

PARTITIONS = 4
CONNECTIONS = 400    # fewer wait for batches, more for each other
RATE = 1000    # events a second where latency is measured

CONF = """
    kafka_producer main {{
        brokers {bootstrap};
        topic   way partitions=4;
    }}

    server {{
        listen 127.0.0.1:{port} backlog=4096;

        location = /way {{
            kafka_pass main;
            kafka_topic way;
            kafka_format json;
        }}
    }}
"""

TABLE = """
create table {0} (
    id          bigint generated always as identity primary key,
    title       text not null,
    content     text not null,
    created_at  timestamptz not null,
    part        int not null,
    place       bigint not null)
"""
PLACE = {"part": {"meta": "partition"}, "place": {"meta": "offset"}}


def measure(kafka, postgres, seconds):
    """Sustained: what is answered 200 is in the table once, and soon."""
    kafka.create("way", PARTITIONS)
    postgres.make(TABLE, "consumed")
    port = servers.free_port()
    daemon = nginx = None
    try:
        nginx = servers.Nginx(CONF.format(
            port=port, bootstrap=kafka.bootstrap), port, name="way")
        url = f"http://127.0.0.1:{port}/way"
        wrk(url, 16, 2)
        daemon = rows.Consumer(kafka, postgres, "way",
                               f"way-{time.time_ns()}",
                               columns={**rows.COLUMNS, **PLACE})
        warm = settled(kafka)
        daemon.wait(warm, 60)
        worst = watch(daemon)
        run = wrk(url, CONNECTIONS, seconds, pid=nginx.worker())
        ended = time.monotonic()
        behind = kafka.records("way", PARTITIONS) - daemon.rows()
        daemon.wait(kafka.records("way", PARTITIONS), 60)
        run["lag_s"] = time.monotonic() - ended
        kept = settled(kafka)
        daemon.wait(kept, 60)
        run["lag_records"] = behind
        run["consumer_rss_mb"] = max(worst())
    finally:
        for server in (nginx, daemon):
            if server:
                server.stop()
    total, distinct = postgres.sql(
        "select count(*), count(distinct (part, place)) from consumed"
    ).split("|")
    run["rows"] = int(total) - warm
    run["once"] = (int(total) == int(distinct) == kept
                   and 0 <= kept - warm - run["requests"] <= CONNECTIONS)
    postgres.sql("drop table consumed")
    kafka.delete("way")
    say(f"bench: the whole way {run['rate']:,.0f}/s over {seconds} s, lag "
        f"{run['lag_s']:.2f} s at the end, every row once: {run['once']}")
    return run


def settled(kafka):
    """Records of the topic once none is on its way any more: the load's last
    requests are cut off, not waited for."""
    while True:
        count = kafka.records("way", PARTITIONS)
        time.sleep(0.5)
        if kafka.records("way", PARTITIONS) == count:
            return count


def watch(daemon):
    """Memory of the daemon, looked at once a second until it is asked."""
    seen, ended = [0], threading.Event()

    def look():
        while not ended.wait(1):
            seen.append(servers.memory_kb(daemon.process.pid) / 1024)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()

    def end():
        ended.set()
        thread.join()
        return seen

    return end


def latency(kafka, postgres, seconds):
    """From the record's timestamp to its transaction's commit."""
    kafka.create("pace", PARTITIONS)
    postgres.make(rows.TABLE, "consumed")
    daemon = rows.Consumer(kafka, postgres, "pace", f"pace-{time.time_ns()}")
    try:
        # one event to know that it reads
        kafka.produce("pace", "fill", RATE)
        daemon.wait(RATE, 30)
        before = daemon.cpu()
        kafka.produce("pace", "pace", seconds, RATE, timeout=seconds + 60)
        used = daemon.cpu() - before
        daemon.wait(RATE * (seconds + 1), 30)
    finally:
        daemon.stop()
    points = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
    out = postgres.sql(
        "select percentile_disc(array[" + ",".join(map(str, points))
        + "]) within group (order by extract(epoch from "
        "pg_xact_commit_timestamp(xmin) - created_at) * 1000) "
        f"from consumed where id > {RATE}")
    times = [float(x) for x in out.strip("{}").split(",")]
    run = {"percentiles_ms": [[p * 100, t] for p, t in zip(points, times)],
           "p50_ms": times[2], "p99_ms": times[6], "rate": RATE,
           "cpu_percent": used / seconds * 100}
    postgres.sql("drop table consumed")
    kafka.delete("pace")
    say(f"bench: event to row at {RATE:,}/s: p50 {run['p50_ms']:.1f} ms, "
        f"p99 {run['p99_ms']:.1f} ms")
    return run


def table(run, late):
    lines = []
    if run:
        lines += [
            f"POST, 200, committed row, {run['seconds']:.0f} s at "
            f"{CONNECTIONS} connections, one worker, one daemon: "
            f"**{run['rate']:,.0f}/s** ({run['rate'] * 60 / 1e6:.1f} million "
            f"a minute), p50 {run['p50_us'] / 1000:.2f} ms, p99 "
            f"{run['p99_us'] / 1000:.2f} ms. At the end {run['lag_records']:,}"
            f" records were behind, all rows were there {run['lag_s']:.2f} s "
            f"later, each once: {'yes' if run['once'] else 'NO'}. The "
            f"daemon took {run['consumer_rss_mb']:.0f} MiB at most."]
    if late:
        lines += ["", f"Event to committed row at {late['rate']:,} events/s: "
                  f"p50 {late['p50_ms']:.1f} ms, p99 {late['p99_ms']:.1f} ms; "
                  f"the daemon took {late['cpu_percent']:.1f} % of a core."]
    return lines
