"""Instructions a request, a record of a batch and a row, under callgrind.

Only the functions of the project's own are compared: what librdkafka, libc
and nginx spend beside them depends on threads and machines and is told
alone.  Counts hold for one compiler and C library; the guard compares with
those of the same and says so where there are none."""

import http.client
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import time

import servers

BASELINE = servers.TOP / "bench/counts.json"
GROWTH = 0.03

REQUESTS = 100
BATCHES, BATCH = 5, 200
ROWS = 2000

# entries into the hot path, none of which calls another; the module's begins
# when the body is there, as it comes with the header or behind it
MODULE_ENTRIES = ("ngx_http_kafka_body_handler", "ngx_http_kafka_report")
CONSUMER_ENTRIES = ("row_convert", "batch_add", "message_record",
                    "sink_chunk")

OWN = ("ngx_http_kafka_module.so", "sluice-consumer")
ALLOCATE = {"malloc", "calloc", "realloc", "posix_memalign", "memalign",
            "aligned_alloc"}

EVENT = json.dumps({"title": "a title of usual length",
                    "content": "content " * 10}).encode()

CONF = """
load_module {module};
daemon off;
master_process off;
{user}
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    {temp}

    kafka_producer main {{
        brokers {bootstrap};
        timeout 30s;
        topic   {topic} partitions=1;
    }}

    server {{
        listen 127.0.0.1:{port};
        location = /ready {{ kafka_ready; }}
        location = /delivered {{
            kafka_pass main;
            kafka_topic {topic};
            kafka_format json;
        }}
        location = /batch {{
            kafka_pass main;
            kafka_topic {topic};
            kafka_format ndjson;
        }}
    }}
}}
"""


def toolchain():
    """What counts hold for."""
    def first(*argv):
        return subprocess.run(argv, check=True, text=True,
                              stdout=subprocess.PIPE).stdout.splitlines()[0]

    compiler = first(os.environ.get("CC", "gcc"), "--version")
    return (f"{compiler}, {' '.join(platform.libc_ver())}, "
            f"{platform.machine()}")


class Callgrind:
    """A program under callgrind that counts within "entries" only."""

    def __init__(self, home, name, argv, entries):
        self.out = home / f"{name}.callgrind"
        self.log = home / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["valgrind", "--tool=callgrind", "--collect-atstart=no",
                 f"--callgrind-out-file={self.out}", "--dump-instr=no",
                 *(f"--toggle-collect={entry}" for entry in entries), *argv],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, LC_ALL="C", TZ="UTC"))

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_for(self, what, condition, seconds=90):
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(
                    f"{what}: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)


def counted(path):
    """{file name of a program or library: instructions of its functions},
    and how often ours, or nginx for its pools, called malloc() or its kin."""
    names, counts, allocated = {}, {}, 0
    current = called = None
    skip = False
    for line in path.read_text(errors="replace").splitlines():
        found = re.match(r"(ob|cob|fn|cfn)=\((\d+)\)(?: (.*))?", line)
        if found:
            kind, number, name = found.groups()
            key = kind[-2:], number
            if name:
                names[key] = os.path.basename(name)
            if kind == "ob":
                current = names.get(key, "?")
            elif kind == "cfn":
                called = names.get(key, "?")
        elif line.startswith("calls="):
            if called in ALLOCATE and current in (*OWN, "nginx"):
                allocated += int(re.match(r"calls=(\d+)", line)[1])
            # the next line is what the callee took
            skip = True
        elif re.match(r"[+\-*\d]", line):
            if not skip:
                cost = line.split()
                counts[current] = counts.get(current, 0) + int(
                    cost[1] if len(cost) > 1 else 0)
            skip = False
    return counts, allocated


def connection(port):
    try:
        made = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        made.connect()
        return made
    except OSError:
        return None


def get(client, path):
    client.request("GET", path)
    answer = client.getresponse()
    answer.read()
    return answer.status


def post(client, path, body, kind):
    client.request("POST", path, body, {"Content-Type": kind})
    answer = client.getresponse()
    answer.read()
    return answer.status


def requests(home, module, bootstrap, topic):
    """{name: ({object: instructions}, allocations, how many)} of requests
    and records."""
    found = {}
    lines = (EVENT + b"\n") * BATCH
    for name, path, body, kind, times, records in (
            ("request", "/delivered", EVENT, "application/json", REQUESTS, 1),
            ("record", "/batch", lines, "application/x-ndjson", BATCHES,
             BATCH)):
        port = servers.free_port()
        conf = home / f"{name}.conf"
        conf.write_text(CONF.format(
            module=module, home=home, port=port, bootstrap=bootstrap,
            topic=topic, temp=servers.TEMP_PATHS.format(prefix=home),
            user="user root;" if os.geteuid() == 0 else ""))
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        with Callgrind(home, name, [nginx, "-p", str(home), "-c", str(conf),
                                    "-e", str(home / "error.log")],
                       MODULE_ENTRIES) as server:
            client = []
            server.wait_for("nginx", lambda: client.append(connection(port))
                            or client[-1])
            # a record before its topic is known is parked, which costs more
            server.wait_for("a ready nginx", lambda: get(client[-1],
                                                         "/ready") == 200)
            for _ in range(times):
                status = post(client[-1], path, body, kind)
                if status != 200:
                    raise RuntimeError(f"{name}: answered {status}, see "
                                       f"{home}/error.log")
        found[name] = *counted(server.out), times * records
    return found


def rows(home, program, bootstrap, topic, conninfo, count, name="row",
         group="count"):
    """The same of a row of one of TABLES; "count" tells how many are in table
    "counted"."""
    port = servers.free_port()
    conf = home / f"{name}.json"
    conf.write_text(json.dumps({
        "topic": topic, "group": group, "start": "earliest",
        "kafka": {"bootstrap.servers": bootstrap}, "postgres": conninfo,
        "table": "counted", "columns": TABLES[name][0],
        "listen": f"127.0.0.1:{port}"}))
    root = ["--allow-root"] if os.geteuid() == 0 else []
    with Callgrind(home, name, [program, "--config", str(conf), *root],
                   CONSUMER_ENTRIES) as daemon:
        daemon.wait_for("rows", lambda: count() == ROWS)
    return {name: (*counted(daemon.out), ROWS)}


# {name: (columns of the configuration, of the table, an event)}
TABLES = {
    "row": ({"title": {"path": "/title", "type": "text", "required": True},
             "content": {"path": "/content", "type": "text",
                         "required": True},
             "created_at": {"meta": "timestamp"}},
            "id bigint generated always as identity primary key,"
            " title text not null, content text not null,"
            " created_at timestamptz not null", EVENT),
    "row of types": ({name: f"/{name}" for name in
                      ("id", "price", "ok", "created_at", "ratio")},
                     "id uuid, price numeric(12,2), ok boolean,"
                     " created_at timestamptz, ratio double precision",
                     json.dumps({
                         "id": "00112233-4455-6677-8899-aabbccddeeff",
                         "price": 1234.56, "ok": True,
                         "created_at": "2026-01-31T12:34:56.789Z",
                         "ratio": 0.123456789}).encode())}


def fill(bootstrap, topic, name="row"):
    """The fixed records of the rows: all of one moment, that retention does
    not take."""
    from confluent_kafka import Producer
    moment = int(time.time()) * 1000 + 789
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 3})
    for _ in range(ROWS):
        producer.produce(topic, TABLES[name][2], timestamp=moment,
                         headers={"request-id": "0123456789abcdef" * 2})
    if producer.flush(60):
        raise RuntimeError("the records could not be produced")


def own(found):
    """{name: instructions of ours, each}"""
    return {name: round(sum(n for file, n in counts.items() if file in OWN)
                        / times, 1)
            for name, (counts, _, times) in found.items()}


def compare(measured):
    """(lines to show, whether something grew too much)"""
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    kept = baseline.get(toolchain())
    if kept is None:
        return [f"not compared: bench/counts.json has no counts of "
                f"{toolchain()}"], False
    lines, grown = [], False
    for name, count in measured.items():
        growth = count / kept[name] - 1
        bad = growth > GROWTH
        grown |= bad
        lines.append(f"instructions a {name}: {count:,.0f}, {growth:+.1%} of "
                     f"{kept[name]:,.0f}{' (too many)' if bad else ''}")
    return lines, grown


def store(measured):
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    baseline[toolchain()] = measured
    BASELINE.write_text(json.dumps(baseline, indent=4, sort_keys=True) + "\n")
