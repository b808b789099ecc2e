"""The whole way: POST, 200, committed row; what it costs each process; how
long a row takes; and the stack of "make up", two workers and two groups."""

import json
import statistics
import subprocess
import threading
import time

import rows
import servers
from answers import median, ratio, wrk
from servers import BUILD, HOME, TOP, say

PARTITIONS = 4
CONNECTIONS = 400    # fewer wait for batches, more for each other
RATE = 1000    # events a second where latency is measured
LINGER = 20    # ms, the daemon's default batch.linger

CONF = """
    kafka_producer main {{
        brokers {bootstrap};
        topic   way partitions=4;
    }}

    server {{
        listen 127.0.0.1:{port} backlog=4096;

        location = /bare {{ return 202; }}
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


def cpu(nginx, kafka, daemon, postgres):
    """Seconds of CPU that each has taken."""
    return {"nginx's worker": servers.tree_cpu_seconds(nginx.worker()),
            "broker": servers.tree_cpu_seconds(kafka.pid()),
            "daemon": daemon.cpu(),
            "PostgreSQL": servers.tree_cpu_seconds(postgres.pid())}


def measure(kafka, postgres, seconds, bare_seconds):
    """Sustained, between two runs of bare nginx: what is answered 200 is in
    the table once, and soon."""
    kafka.create("way", PARTITIONS)
    postgres.make(TABLE, "consumed")
    port = servers.free_port()
    daemon = nginx = None
    try:
        nginx = servers.Nginx(CONF.format(
            port=port, bootstrap=kafka.bootstrap), port, name="way")
        url = f"http://127.0.0.1:{port}"
        wrk(f"{url}/way", 16, 2)
        daemon = rows.Consumer(kafka, postgres, "way",
                               f"way-{time.time_ns()}",
                               columns={**rows.COLUMNS, **PLACE})
        warm = settled(kafka, "way")
        daemon.wait(warm, 60)

        def bare():
            return wrk(f"{url}/bare", CONNECTIONS, bare_seconds,
                       pid=nginx.worker())

        beside = [bare()]
        worst = watch(daemon)
        before = cpu(nginx, kafka, daemon, postgres)
        run = wrk(f"{url}/way", CONNECTIONS, seconds)
        ended = time.monotonic()
        behind = kafka.records("way", PARTITIONS) - daemon.rows()
        daemon.wait(kafka.records("way", PARTITIONS), 60)
        run["lag_s"] = time.monotonic() - ended
        after = cpu(nginx, kafka, daemon, postgres)
        kept = settled(kafka, "way")
        daemon.wait(kept, 60)
        run["lag_records"] = behind
        run["consumer_rss_mb"] = max(worst())
        beside.append(bare())
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
    run["bare_rate"] = statistics.mean(one["rate"] for one in beside)
    run["bare_cpu_us"] = statistics.mean(one["cpu_us"] for one in beside)
    run["cpu_us"] = {name: (after[name] - before[name]) * 1e6
                     / max(run["requests"], 1) for name in after}
    postgres.sql("drop table consumed")
    kafka.delete("way")
    say(f"bench: the whole way {run['rate']:,.0f}/s over {seconds} s "
        f"({run['rate'] / run['bare_rate']:.2f} of bare nginx), lag "
        f"{run['lag_s']:.2f} s at the end, every row once: {run['once']}")
    return run


def settled(kafka, topic):
    """Records of the topic once none is on its way any more: the load's last
    requests are cut off, not waited for."""
    count = -1
    for _ in range(60):
        before, count = count, kafka.records(topic, PARTITIONS)
        if count == before:
            return count
        time.sleep(0.5)
    raise SystemExit(f"bench: {topic} does not come to rest")


# two workers that do nothing, beside the stack's
BARE = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /bare {{ return 202; }}
    }}
"""
GROUPS = ("post", "post_audit")


def start_stack(kafka, postgres):
    """nginx.conf.example and both groups of examples/post, as "make up"
    starts them: (nginx, its address, daemons)."""
    port, status = servers.free_port(), servers.free_port()
    home = HOME / "stack"
    conf = subprocess.run(
        [TOP / "stack/nginx-conf", home, str(port), str(status),
         kafka.bootstrap, BUILD / "module/ngx_http_kafka_module.so"],
        check=True, text=True, stdout=subprocess.PIPE, timeout=20).stdout
    started = [servers.Nginx(None, port, "stack", conf=conf.replace(
        "auto;", "2;", 1))]
    try:
        servers.wait_for("the way to Kafka", 20, lambda: ready(status))
        for name in GROUPS:
            example = json.loads(
                (TOP / f"examples/post/{name}.json").read_text())
            for key in ("kafka", "postgres", "listen"):
                del example[key]
            postgres.sql(f"drop table if exists {example['table']}")
            started.append(rows.Consumer(
                kafka, postgres, example.pop("topic"), example.pop("group"),
                name, **example))
    except BaseException:
        for server in started:
            server.stop()
        raise
    return started[0], f"http://127.0.0.1:{port}/topics/post", started[1:]


def ready(port):
    try:
        servers.get(f"http://127.0.0.1:{port}/ready")
        return True
    except OSError:
        return False


def stack(kafka, postgres, rounds, seconds, bare_seconds):
    """{"bare", "stack": [a run a round]}: a rate of the stack is that of rows
    that both groups have, up to the last."""
    results = {"bare": [], "stack": []}
    port = servers.free_port()
    bare = None
    nginx, url, daemons = start_stack(kafka, postgres)
    try:
        bare = servers.Nginx(BARE.format(port=port), port, "bare", workers=2)
        wrk(url, 16, 2)
        for turn in range(rounds):
            results["bare"].append(wrk(f"http://127.0.0.1:{port}/bare",
                                       CONNECTIONS, bare_seconds))
            warm = stored(daemons, settled(kafka, "post"))
            began = time.monotonic()
            run = wrk(url, CONNECTIONS, seconds)
            kept = stored(daemons, kafka.records("post", PARTITIONS))
            run["rate"] = (kept - warm) / (time.monotonic() - began)
            results["stack"].append(run)
            say(f"bench: round {turn + 1}/{rounds} the stack "
                f"{run['rate']:>9,.0f} rows/s of each group, bare nginx "
                f"{results['bare'][-1]['rate']:>9,.0f}/s")
        kept = stored(daemons, settled(kafka, "post"))
    finally:
        for server in (nginx, bare, *daemons):
            if server:
                server.stop()
    found = postgres.sql("select (select count(*) from post), "
                         "(select count(*) from post_audit)")
    if found != f"{kept}|{kept}":
        raise SystemExit(f"bench: {found} rows of {kept} events in each "
                         "group's table")
    postgres.sql("drop table post, post_audit")
    kafka.delete("post")
    return results


def stored(daemons, count):
    """So many, once each daemon has stored them."""
    for daemon in daemons:
        daemon.wait(count, 60)
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


def summary(data):
    """What the goals speak of, of all parts of the way."""
    found = {}
    if data.get("way", {}).get("bare_rate"):
        run = data["way"]
        found["of_bare"] = run["rate"] / run["bare_rate"]
        found["lag"] = run["lag_s"] * 1000 / LINGER
        found["cost"] = sum(run["cpu_us"].values()) / run["bare_cpu_us"]
    if data.get("stack"):
        found["stack"] = ratio(data["stack"]["stack"], data["stack"]["bare"])
    if data.get("late"):
        found["p50"] = data["late"]["p50_ms"] / LINGER
        found["p99"] = data["late"]["p99_ms"] / LINGER
    return found


def costs(run):
    """[(process, us of CPU an event)], and bare nginx's for a request."""
    return [*run["cpu_us"].items(), ("a bare nginx request",
                                     run["bare_cpu_us"])]


def cost_table(run):
    bare = run["bare_cpu_us"]
    total = sum(run["cpu_us"].values())
    lines = ["", "CPU of one event over that way, beside that of a request "
             "that bare nginx answers in the same run:", "",
             "| process | us an event | in bare nginx requests |",
             "| --- | ---: | ---: |"]
    lines += [f"| {name} | {us:.2f} | {us / bare:.2f} |" for name, us
              in [*run["cpu_us"].items(), ("**together**", total),
                  ("a request of bare nginx", bare)]]
    return lines


def table(data):
    found = summary(data)
    run, late, both = (data.get(name) for name in ("way", "late", "stack"))
    lines = []
    if run:
        lines += [
            f"POST, 200, committed row, {run['seconds']:.0f} s at "
            f"{CONNECTIONS} connections, one worker, one daemon: "
            f"**{found['of_bare']:.2f} of bare nginx** "
            f"({run['rate']:,.0f}/s of {run['bare_rate']:,.0f}/s just before "
            f"and behind it), p50 {run['p50_us'] / 1000:.2f} ms, p99 "
            f"{run['p99_us'] / 1000:.2f} ms. At the end {run['lag_records']:,}"
            f" records were behind, all rows were there {run['lag_s']:.2f} s "
            f"later, each once: {'yes' if run['once'] else 'NO'}. The "
            f"daemon took {run['consumer_rss_mb']:.0f} MiB at most."]
        lines += cost_table(run)
    if both:
        lines += ["", "The stack of `make up` (nginx.conf.example, two "
                  "workers, two groups), POST to the last row of both: "
                  f"**{found['stack']:.2f} of bare nginx** with two workers "
                  f"({median(both['stack'], 'rate'):,.0f}/s of "
                  f"{median(both['bare'], 'rate'):,.0f}/s)."]
    if late:
        lines += ["", f"Event to committed row at {late['rate']:,} events/s: "
                  f"p50 {late['p50_ms']:.1f} ms, p99 {late['p99_ms']:.1f} ms "
                  f"(`batch.linger` is {LINGER} ms); the daemon took "
                  f"{late['cpu_percent']:.1f} % of a core."]
    return lines
