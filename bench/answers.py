"""Requests a second beside bare nginx, which reads the same POST and answers
202 without doing anything, and beside Express with KafkaJS."""

import json
import statistics
import subprocess

import servers
from servers import BUILD, HOME, say

TOPICS = {"bench": 4, "bench_keyed": 12}
CONNECTIONS = (1, 64, 256, 1000)

CONF = """
load_module {build}/module/ngx_http_kafka_module.so;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    scgi_temp_path {prefix}/scgi;
    uwsgi_temp_path {prefix}/uwsgi;

    kafka_producer main {{
        brokers {bootstrap};
        queue   256m;
        topic   bench partitions=4;
        topic   bench_keyed partitions=12;
    }}

    server {{
        listen 127.0.0.1:{port} backlog=4096;

        location = /bare {{ return 202; }}
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
        location = /keyed {{
            kafka_pass main;
            kafka_topic bench_keyed;
            kafka_key $request_id;
            kafka_format json;
        }}
    }}
}}
"""


def wrk(url, connections, seconds):
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout",
         "10s", "-s", servers.TOP / "bench/post.lua", url],
        check=True, text=True, capture_output=True).stdout
    line = next(l for l in out.splitlines() if l.startswith("{"))
    run = json.loads(line)
    run["rate"] = run["requests"] / run["seconds"]
    return run


def express(kafka):
    """The peer, or None where npm or node is absent."""
    home = HOME / "express"
    source = servers.TOP / "bench/express"
    home.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.js"):
        (home / name).write_bytes((source / name).read_bytes())
    try:
        if not (home / "node_modules/kafkajs").is_dir():
            say("bench: npm install express kafkajs")
            subprocess.run(["npm", "install", "--no-audit", "--no-fund",
                            "--silent"], cwd=home, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        say(f"bench: without Express + KafkaJS: {error}")
        return None
    port = servers.free_port()
    peer = servers.Process(["node", "server.js", str(port), kafka.bootstrap,
                            "bench"], "express.log", cwd=home)
    servers.wait_for("express", 20, lambda: servers.listening(port))
    peer.url = f"http://127.0.0.1:{port}/"
    return peer


def plan(url, peer):
    """(name, connections, address), what is compared side by side."""
    runs = []
    for connections in CONNECTIONS:
        for name in ("bare", "queued", "delivered"):
            runs.append((name, connections, f"{url}/{name}"))
        if connections == 256:
            runs.append(("keyed", connections, f"{url}/keyed"))
            if peer:
                runs.append(("express", connections, peer.url))
    return runs


def measure(rounds, seconds):
    kafka = servers.Kafka()
    nginx = peer = None
    try:
        for topic, partitions in TOPICS.items():
            kafka.create(topic, partitions)
        port = servers.free_port()
        nginx = servers.Nginx(CONF.format(
            build=BUILD, prefix=HOME / "nginx", port=port,
            bootstrap=kafka.bootstrap), port)
        peer = express(kafka)
        runs = plan(f"http://127.0.0.1:{port}", peer)
        for name, connections, address in runs[1:3] + runs[-1:]:
            wrk(address, 16, 1)
        results = {}
        for turn in range(rounds):
            for name, connections, address in runs:
                run = wrk(address, connections, seconds)
                results.setdefault((name, connections), []).append(run)
                say(f"bench: round {turn + 1}/{rounds} {name:>9} "
                    f"{connections:>5} connections {run['rate']:>9,.0f}/s")
        return results
    finally:
        for server in (nginx, peer, kafka):
            if server:
                server.stop()


def table(results):
    """Lines of Markdown: medians, ratios taken round by round."""
    def median(name, connections, field):
        return statistics.median(
            run[field] for run in results[name, connections])

    def ratio(name, other, connections):
        return statistics.median(
            a["rate"] / b["rate"] for a, b in
            zip(results[name, connections], results[other, connections]))

    lines = ["| connections | what | requests/s | of bare nginx | p50 ms "
             "| p99 ms | errors |",
             "| ---: | --- | ---: | ---: | ---: | ---: | ---: |"]
    for name, connections in results:
        errors = sum(run["socket_errors"] + run["status_errors"]
                     for run in results[name, connections])
        lines.append(
            f"| {connections} | {LABELS[name]} "
            f"| {median(name, connections, 'rate'):,.0f} "
            f"| {ratio(name, 'bare', connections):.2f} "
            f"| {median(name, connections, 'p50_us') / 1000:.2f} "
            f"| {median(name, connections, 'p99_us') / 1000:.2f} "
            f"| {errors} |")
    if ("express", 256) in results:
        times = ratio("delivered", "express", 256)
        lines += ["", f"Delivered is {times:.1f} × Express + KafkaJS "
                  "(both acks=all, 256 connections)."]
    return lines


LABELS = {
    "bare": "bare nginx, `return 202`",
    "queued": "queued (202)",
    "delivered": "delivered (200, acks=all), 4 partitions",
    "keyed": "delivered, keyed, 12 partitions",
    "express": "Express + KafkaJS, acks=all",
}
