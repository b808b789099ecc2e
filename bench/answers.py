"""Requests a second beside bare nginx, which reads the same POST and answers
202 without doing anything, beside what a user would write instead (peers.py)
and beside a bare librdkafka producer."""

import json
import resource
import statistics
import subprocess
from concurrent import futures

import servers
from servers import most_connections, say

TOPICS = {"bench": 4, "bench_keyed": 12, "bench_batch": 4}
KINDS = ("bare", "queued", "delivered")
FEW = (1, 16)   # connections, compared with linger.ms 0
BATCH = 1000    # records; see post.lua

CONF = """
    client_max_body_size 8m;
    client_body_buffer_size 256k;

    limit_req_zone $server_port zone=all:32k rate=5000r/s;

    kafka_producer main {{
        brokers {bootstrap};
        queue   256m;
        topic   bench partitions=4;
        topic   bench_keyed partitions=12;
        topic   bench_batch partitions=4;
    }}

    kafka_producer now {{
        brokers  {bootstrap};
        property linger.ms 0;
        topic    bench partitions=4;
    }}

    server {{
        listen 127.0.0.1:{port} backlog=4096;

        location = /bare {{ return 202; }}
        location = /status {{ kafka_status json; }}
        location = /waiting {{
            limit_req zone=all burst=20000;
            limit_req_log_level info;
            stub_status;
        }}
        location = /queued {{
            kafka_pass main;
            kafka_topic bench;
            kafka_format json;
            kafka_ack queued;
        }}
        location = /delivered {{
            kafka_pass main;
            kafka_topic bench;
            kafka_format json;
        }}
        location = /now {{
            kafka_pass now;
            kafka_topic bench;
            kafka_format json;
        }}
        location = /keyed {{
            kafka_pass main;
            kafka_topic bench_keyed;
            kafka_key $request_id;
            kafka_format json;
        }}
        location = /batch {{
            kafka_pass main;
            kafka_topic bench_batch;
            kafka_format ndjson;
            kafka_request_headers off;
        }}
    }}
"""


def wrk(url, connections, seconds, *script, pid=None):
    """One run of the load; with "pid" the server's CPU a request."""

    def limits():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    before = servers.cpu_seconds(pid) if pid else 0
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout",
         "10s", "-s", servers.TOP / "bench/post.lua", url,
         *(["--", *script] if script else [])],
        check=True, text=True, capture_output=True, preexec_fn=limits,
        timeout=seconds + 60).stdout
    run = json.loads(next(l for l in out.splitlines() if l.startswith("{")))
    run["rate"] = run["requests"] / run["seconds"]
    if pid:
        used = servers.cpu_seconds(pid) - before
        run["cpu_us"] = used * 1e6 / max(run["requests"], 1)
    return run


def start(kafka, name="nginx"):
    port = servers.free_port()
    return (servers.Nginx(CONF.format(port=port, bootstrap=kafka.bootstrap),
                          port, name), f"http://127.0.0.1:{port}")


def memory(kafka, path):
    """The most that the worker of a fresh nginx takes: one that has served
    others keeps what they freed.  With the broker paused all are in flight;
    what waits in nginx is answered 405 at last."""
    nginx, url = start(kafka, "nginx-memory")
    count = most_connections()

    def in_flight():
        return json.loads(servers.get(f"{url}/status"))["in_flight"]

    try:
        worker = nginx.worker()
        wrk(f"{url}/{path}", 64, 1)
        with futures.ThreadPoolExecutor() as threads:
            run = threads.submit(wrk, f"{url}/{path}", count, 4)
            if path == "delivered":
                servers.wait_for("load", 2, in_flight)
                with kafka.paused():
                    servers.wait_for("all in flight", 2,
                                     lambda: in_flight() >= count)
            run.result()
        return {"rss_kb": servers.memory_kb(worker, "VmHWM")}
    finally:
        nginx.stop()


def plan(kafka, nginx, url, peers, seconds, numbers):
    """(name, connections, a run of it), what is compared side by side."""
    worker = nginx.worker()
    runs = []

    def add(name, connections, address, *script, pid=worker):
        runs.append((name, connections, lambda: wrk(
            address, connections, seconds, *script, pid=pid)))

    for connections in numbers:
        connections = min(connections, most_connections())
        for name in KINDS:
            add(name, connections, f"{url}/{name}")
        if connections in FEW:
            add("now", connections, f"{url}/now")
        if connections == 1:
            runs.append(("trip", 1, lambda: kafka.produce(
                "bench", "trip", seconds)))
        if connections == 256:
            add("keyed", connections, f"{url}/keyed")
        for peer in peers:
            if connections in peer.connections:
                add(peer.name, connections, peer.url, pid=peer.pid)
    add("batch", 16, f"{url}/batch", "batch")
    runs.append(("bare-batch", 0, lambda: kafka.produce(
        "bench_batch", "rate", seconds)))
    return runs


def measure(kafka, rounds, seconds, connections, start_peers):
    """{name: {connections: [a run a round]}}; start_peers(kafka, topic) gives
    the peers, each with name, url and the connections it is compared at."""
    nginx, peers = None, []
    try:
        for topic, partitions in TOPICS.items():
            kafka.create(topic, partitions)
        nginx, url = start(kafka)
        peers = start_peers(kafka, "bench")
        for path in ("bare", "queued", "delivered", "now", "keyed"):
            wrk(f"{url}/{path}", 64, 2)
        wrk(f"{url}/batch", 4, 2, "batch")
        for peer in peers:
            wrk(peer.url, 16, 2)
        runs = plan(kafka, nginx, url, peers, seconds, connections)
        results = {}
        if max(connections) >= most_connections():
            for path in ("waiting", "delivered"):
                results[f"memory-{path}"] = {most_connections(): [
                    memory(kafka, path)]}
        for turn in range(rounds):
            for name, connections, run in runs:
                try:
                    found = run()
                except (SystemExit, Exception) as error:
                    say(f"bench: {name} at {connections}: {error}")
                    found = dict(FAILED)
                results.setdefault(name, {}).setdefault(
                    connections, []).append(found)
                if "rate" in found:
                    text = f"{found['rate']:>9,.0f}/s"
                else:
                    text = f"{found['p50_us']:>8.0f} us"
                say(f"bench: round {turn + 1}/{rounds} {name:>10} "
                    f"{connections:>5} connections {text}")
        return results
    finally:
        for server in (nginx, *peers):
            if server:
                server.stop()


def median(runs, field):
    return statistics.median(run[field] for run in runs)


def ratio(runs, others, field="rate"):
    """The median of the rounds' ratios; 0 where nothing was measured."""
    return statistics.median([a[field] / b[field]
                              for a, b in zip(runs, others) if b[field]]
                             or [0])


def summary(results):
    """What the goals speak of, of what was measured."""
    found = {}
    bare, delivered = results.get("bare", {}), results.get("delivered", {})
    for name in ("delivered", "queued"):
        for connections, runs in results.get(name, {}).items():
            found[f"{name}_{connections}"] = ratio(runs, bare[connections])
    for name in PEERS:
        for connections, runs in results.get(name, {}).items():
            if ratio(runs, delivered[connections]):
                found[f"{name}_{connections}"] = ratio(delivered[connections],
                                                       runs)
    found["errors"] = sum(run["socket_errors"] + run["status_errors"]
                          for name in ("queued", "delivered")
                          for runs in results.get(name, {}).values()
                          for run in runs)
    if 256 in delivered:
        found["cpu_256"] = ratio(delivered[256], bare[256], "cpu_us")
    now = results.get("now", {})
    if 1 in now:
        found["now_p50"] = ratio(delivered[1], now[1], "p50_us")
    if 16 in now:
        found["now_rate"] = ratio(delivered[16], now[16])
    if "trip" in results:
        found["trip"] = ratio(delivered[1], results["trip"][1], "p50_us")
    if "batch" in results:
        found["batch_of_bare"] = BATCH * ratio(results["batch"][16],
                                               results["bare-batch"][0])
    if "memory-delivered" in results:
        most = max(results["memory-delivered"])
        found["in_flight_kb"] = (
            median(results["memory-delivered"][most], "rss_kb")
            - median(results["memory-waiting"][most], "rss_kb")) / most
    if {16, 64} < set(delivered):
        costs = [median(runs, "cpu_us") for connections, runs
                 in delivered.items() if connections >= 16]
        found["request_spread"] = max(costs) / (min(costs) or 1)
    return found


def table(results):
    """Lines of Markdown: medians, ratios taken round by round."""
    lines = ["| connections | what | requests/s | of bare nginx | p50 ms "
             "| p99 ms | worker CPU us a request | errors |",
             "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for connections in results["bare"]:
        for name, label in LABELS.items():
            runs = results.get(name, {}).get(connections)
            if not runs or "rate" not in runs[0]:
                continue
            errors = sum(run["socket_errors"] + run["status_errors"]
                         for run in runs)
            cpu = (f"{median(runs, 'cpu_us'):.1f}" if "cpu_us" in runs[0]
                   else "")
            lines.append(
                f"| {connections:,} | {label} | {median(runs, 'rate'):,.0f} "
                f"| {ratio(runs, results['bare'][connections]):.2f} "
                f"| {median(runs, 'p50_us') / 1000:.2f} "
                f"| {median(runs, 'p99_us') / 1000:.2f} "
                f"| {cpu} | {errors} |")
    found = summary(results)
    if "trip" in found:
        lines += ["", "One connection against one record at a time of a bare "
                  "librdkafka producer with the same settings: p50 "
                  f"{found['trip']:.2f} × its "
                  f"{median(results['trip'][1], 'p50_us') / 1000:.2f} ms."]
    if "batch_of_bare" in found:
        batch, producer = (median(results[name][connections], "rate") for
                           name, connections in (("batch", 16),
                                                 ("bare-batch", 0)))
        lines += ["", f"Batches of {BATCH:,} NDJSON records, acks=all, 16 "
                  f"connections: {found['batch_of_bare']:.2f} of a bare "
                  f"librdkafka producer ({BATCH * batch:,.0f} records/s of "
                  f"its {producer:,.0f})."]
    for name in PEERS:
        for connections in results.get(name, ()):
            if f"{name}_{connections}" in found:
                lines += ["", "Delivered is "
                          f"{found[f'{name}_{connections}']:.1f} × "
                          f"{LABELS[name]} ({connections} connections)."]
    missing = [LABELS[name] for name in PEERS if name not in results]
    if missing:
        lines += ["", "Not measured: " + "; ".join(missing) + "."]
    if "in_flight_kb" in found:
        lines += ["", "Memory of a request in flight at "
                  f"{max(results['memory-delivered']):,} connections, over "
                  "one that waits in nginx itself (`limit_req`): "
                  f"{found['in_flight_kb']:.1f} KiB."]
    return lines


# a run that failed
FAILED = {"requests": 0, "seconds": 0, "rate": 0, "p50_us": 0, "p99_us": 0,
          "percentiles_us": [], "socket_errors": 0, "status_errors": 0,
          "cpu_us": 0}

LABELS = {
    "bare": "bare nginx, `return 202`",
    "queued": "queued (202)",
    "delivered": "delivered (200, acks=all), 4 partitions",
    "now": "the same with `linger.ms` 0",
    "keyed": "delivered, keyed, 12 partitions",
    "express": "Express + KafkaJS, acks=all",
    "go": "Go, net/http + franz-go, acks=all",
    "rust": "Rust, axum + rdkafka, acks=all",
}
PEERS = ("express", "go", "rust")
