"""Answers of `kafka_ack stored`: how long a client waits for its row, beside
delivered; what receipts cost both programs; what a waiting request takes."""

import json
import os
import signal
from concurrent import futures

import rows
import servers
from answers import median, ratio, wrk
from servers import most_connections, say

LINGERS = (0, 5, 20)    # ms, batch.linger; a topic and a daemon each
PARTITIONS = 4
RECEIPTS = "bench-receipts"
COST = 256    # connections, where receipts on and off are compared

CONF = """
    limit_req_zone $server_port zone=all:32k rate=5000r/s;
    kafka_drain_timeout 40s;

    kafka_producer main {{
        brokers {bootstrap};
        {receipts}
        topic stored_0 partitions=4;
        topic stored_5 partitions=4;
        topic stored_20 partitions=4;
    }}

    server {{
        listen 127.0.0.1:{port} backlog=4096;

        location = /status {{ kafka_status json; }}
        location = /waiting {{
            limit_req zone=all burst=20000;
            limit_req_log_level info;
            stub_status;
        }}
        location ~ ^/delivered/(?<topic>.+)$ {{
            kafka_pass main;
            kafka_topic $topic;
            kafka_format json;
        }}
        {location}
    }}
"""
STORED = """
        location ~ ^/stored/(?<topic>.+)$ {
            kafka_pass main;
            kafka_topic $topic;
            kafka_format json;
            kafka_ack stored;
            kafka_timeout 30s;
        }
"""
ON = {"receipts": {"topic": RECEIPTS}}


def start(kafka, receipts=True):
    """nginx and its address; with receipts its worker reads them."""
    port = servers.free_port()
    return servers.Nginx(CONF.format(
        port=port, bootstrap=kafka.bootstrap,
        receipts=f"kafka_receipts {RECEIPTS} group=$kafka_topic;"
        if receipts else "", location=STORED if receipts else ""),
        port, "stored"), f"http://127.0.0.1:{port}"


def daemon(kafka, postgres, linger, **more):
    """Of the topic with that linger; its group has the topic's name."""
    topic = f"stored_{linger}"
    postgres.make(rows.TABLE, topic)
    return rows.Consumer(kafka, postgres, topic, topic, topic, table=topic,
                         start="latest", batch={"linger": f"{linger}ms"},
                         **more)


def state(url):
    return json.loads(servers.get(f"{url}/status"))["producers"][0]


def pending(url):
    return sum(topic.get("stored", {}).get("pending", 0)
               for topic in state(url)["topics"])


def ready(url, lingers=LINGERS):
    """Until receipts are read and each daemon's rows are told."""
    servers.wait_for("the reader of receipts", 30,
                     lambda: state(url)["receipts"]["reading"] == 1)
    for linger in lingers:
        servers.wait_for(f"receipts of stored_{linger}", 30, lambda: wrk(
            f"{url}/stored/stored_{linger}", 1, 1)["requests"])


def waits(kafka, postgres, rounds, seconds, numbers):
    """{name: {connections: [a run a round]}}, taking turns."""
    nginx, url = start(kafka)
    daemons = []
    try:
        daemons += [daemon(kafka, postgres, linger, **ON)
                    for linger in LINGERS]
        ready(url)
        kinds = [("delivered", f"{url}/delivered/stored_20")] + [
            (f"stored_{linger}", f"{url}/stored/stored_{linger}")
            for linger in LINGERS]
        for _, address in kinds:
            wrk(address, 64, 1)
        results = {}
        for turn in range(rounds):
            for connections in numbers:
                for name, address in kinds:
                    before = pending(url)
                    run = wrk(address, connections, seconds)
                    run["pending"] = pending(url) - before
                    results.setdefault(name, {}).setdefault(
                        connections, []).append(run)
                    say(f"bench: round {turn + 1}/{rounds} {name:>10} "
                        f"{connections:>5} connections p50 "
                        f"{run['p50_us'] / 1000:>7.2f} ms, p99 "
                        f"{run['p99_us'] / 1000:>7.2f} ms")
        return results
    finally:
        for server in (*daemons, nginx):
            server.stop()


def cost(kafka, postgres, rounds, seconds):
    """Delivered requests while a daemon stores them: {on, off: [a run]}."""
    results = {"on": [], "off": []}
    for turn in range(rounds):
        # neither is always the first
        for name in ("on", "off") if turn % 2 else ("off", "on"):
            nginx, url = start(kafka, name == "on")
            one = daemon(kafka, postgres, 20, **(ON if name == "on" else {}))
            try:
                one.wait(0, 20)
                wrk(f"{url}/delivered/stored_20", COST, 2)
                results[name].append(wrk(f"{url}/delivered/stored_20", COST,
                                         seconds))
            finally:
                for server in (nginx, one):
                    server.stop()
            say(f"bench: round {turn + 1}/{rounds} receipts {name:>3} "
                f"{results[name][-1]['rate']:>9,.0f} delivered/s")
    return results


def cost_of_rows(kafka, postgres, rounds, count):
    """A back-log: {on, off: [a run]}."""
    kafka.create("stored_rows", PARTITIONS)
    kafka.produce("stored_rows", "fill", count)
    rows.consume(kafka, postgres, "stored_rows", count)
    results = {"on": [], "off": []}
    for turn in range(rounds):
        for name in ("on", "off") if turn % 2 else ("off", "on"):
            results[name].append(rows.consume(
                kafka, postgres, "stored_rows", count,
                **(ON if name == "on" else {})))
            say(f"bench: round {turn + 1}/{rounds} receipts {name:>3} "
                f"{results[name][-1]['rate']:>9,.0f} rows/s")
    kafka.delete("stored_rows")
    return results


def memory(kafka, postgres, path):
    """The most that a fresh worker takes, in kB: the daemon is stopped
    meanwhile, so that all wait; what waits in nginx itself is answered 405
    at last."""
    nginx, url = start(kafka)
    one = daemon(kafka, postgres, 0, **ON)
    count = most_connections()

    def waiting():
        return state(url)["receipts"]["waiting"]

    try:
        worker = nginx.worker()
        ready(url, [0])
        wrk(f"{url}/{path}", 64, 1)
        os.kill(one.process.pid, signal.SIGSTOP)
        with futures.ThreadPoolExecutor() as threads:
            run = threads.submit(wrk, f"{url}/{path}", count, 8)
            if path != "waiting":
                servers.wait_for("all wait", 8, lambda: waiting() >= count)
            run.result()
        return servers.memory_kb(worker, "VmHWM")
    finally:
        os.kill(one.process.pid, signal.SIGCONT)
        for server in (one, nginx):
            server.stop()


def measure(kafka, postgres, rounds, seconds, numbers, count):
    """With no rows: how long clients wait, and no costs."""
    for name in [RECEIPTS] + [f"stored_{linger}" for linger in LINGERS]:
        kafka.create(name, 1 if name == RECEIPTS else PARTITIONS)
    results = {"waits": waits(kafka, postgres, rounds, seconds, numbers)}
    if not count:
        return results
    results["cost"] = cost(kafka, postgres, rounds, 2 * seconds)
    # a percent is looked for
    results["rows"] = cost_of_rows(kafka, postgres, rounds + 2, count)
    taken = [memory(kafka, postgres, path)
             for path in ("waiting", "stored/stored_0")]
    results["waiting_kb"] = (taken[1] - taken[0]) / most_connections()
    return results


def summary(results):
    """What the goals speak of: waits in "batch.linger", or in those of
    delivered where that is 0."""
    waited, found = results["waits"], {}
    for linger in LINGERS:
        runs = waited[f"stored_{linger}"][1]
        found[f"wait_{linger}"] = (
            median(runs, "p50_us") / 1000 / linger if linger
            else ratio(runs, waited["delivered"][1], "p50_us"))
    if "waiting_kb" in results:
        found["delivered"] = ratio(results["cost"]["on"],
                                   results["cost"]["off"])
        found["rows"] = ratio(results["rows"]["on"], results["rows"]["off"])
        found["waiting_kb"] = results["waiting_kb"]
    found["not_told"] = sum(
        run["pending"] + run["socket_errors"] + run["status_errors"]
        for name, by in waited.items() if name != "delivered"
        for runs in by.values() for run in runs)
    return found


def table(results):
    """Lines of Markdown: medians."""
    waited, found = results["waits"], summary(results)
    lines = ["p50 and p99 in ms, from the request to its answer: delivered "
             "when Kafka has the record, stored when its row is committed; "
             "one worker, a daemon for each `batch.linger`.", "",
             "| connections | delivered | stored, 0 ms | 5 ms | 20 ms "
             "| delivered/s | stored/s, 0 ms | 5 ms | 20 ms |",
             "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: "
             "| ---: |"]
    kinds = ["delivered"] + [f"stored_{linger}" for linger in LINGERS]
    for connections in waited["delivered"]:
        times = [f"{median(waited[name][connections], 'p50_us') / 1000:.1f}, "
                 f"{median(waited[name][connections], 'p99_us') / 1000:.1f}"
                 for name in kinds]
        rates = [f"{median(waited[name][connections], 'rate'):,.0f}"
                 for name in kinds]
        lines.append(f"| {connections:,} | {' | '.join(times + rates)} |")
    lines += ["", "Answers that did not tell (202 pending, or errors): "
              f"{found['not_told']:,}."]
    if "waiting_kb" not in found:
        return lines
    return lines + [
        "", f"With receipts on, of off: delivered {found['delivered']:.2f} "
        f"({COST} connections), rows {found['rows']:.2f}; CPU of a row "
        f"{ratio(results['rows']['on'], results['rows']['off'], 'cpu_us'):.2f}.",
        "", f"Memory of a request that waits for its row, at "
        f"{most_connections():,} connections, over one that waits in nginx "
        f"itself (`limit_req`): {found['waiting_kb']:.1f} KiB."]
