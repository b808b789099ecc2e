"""Programs a user would write instead: Express with KafkaJS, Go with franz-go
and pgx, Rust with axum and rdkafka.  What cannot be built is told, and the
others go on.

Each asks for acks of all in-sync replicas, answers 200 behind the delivery
report, and waits 1 ms for more records, but KafkaJS, which knows no linger.
The module checks JSON by RFC 8259, UTF-8, and members that are there twice;
Go and Rust check all but the last; Express parses and prints."""

import os
import signal
import subprocess
import time

import connect
import rows
import servers
from servers import HOME, TOP, say

# the servers, and the connections at which each is compared
HTTP = {"express": (256, 400), "go": (256,), "rust": (256,)}

# nginx's one worker has two busy threads, its own and librdkafka's: Go gets
# as many, and Rust has one for HTTP beside those of librdkafka
THREADS = {"GOMAXPROCS": "2"}


def run(name, argv, seconds, **options):
    """A command that ends in time, with all that it started."""
    path = HOME / f"{name}.log"
    with open(path, "wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, start_new_session=True,
                                   **options)
    try:
        code = process.wait(seconds)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code:
        said = path.read_text(errors="replace").splitlines() or ["nothing"]
        raise OSError(f"{argv[0]} failed: {said[-1]} (see {path})")


def express():
    home, source = HOME / "express", TOP / "bench/express"
    home.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.js"):
        (home / name).write_bytes((source / name).read_bytes())
    if not (home / "node_modules/kafkajs").is_dir():
        run("npm", ["npm", "install", "--no-audit", "--no-fund", "--silent"],
            180, cwd=home)
    return {"express": ["node", home / "server.js"]}


def go():
    out = HOME / "go"
    out.mkdir(parents=True, exist_ok=True)
    run("go", ["go", "build", "-buildvcs=false", "-o", f"{out}/", "./..."],
        600, cwd=TOP / "bench/go",
        env=dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="-mod=readonly"))
    return {"go": [out / "post"], "pgx": [out / "rows"]}


def rust():
    out = HOME / "rust"
    run("cargo", ["cargo", "build", "--quiet", "--release", "--locked",
                  "--target-dir", out], 900, cwd=TOP / "bench/rust")
    return {"rust": [out / "release/post"]}


def build():
    """{name: argv} of those that can be had."""
    found = {}
    for name, make in (("Express + KafkaJS", express), ("Go", go),
                       ("Rust", rust), ("Kafka Connect", connect.fetch)):
        try:
            found.update(make() or {})
        except (OSError, subprocess.SubprocessError) as error:
            say(f"bench: without the peer {name}: {error}")
    return found


def start(programs, kafka, topic):
    """Those of HTTP that come up, each with "name", "url" and
    "connections"."""
    found = []
    for name in HTTP:
        if name not in programs:
            continue
        port = servers.free_port()
        peer = servers.Process(
            [*programs[name], f"127.0.0.1:{port}", kafka.bootstrap, topic],
            f"{name}.log", env=dict(os.environ, **THREADS))
        peer.name, peer.connections = name, HTTP[name]
        peer.url = f"http://127.0.0.1:{port}/"
        try:
            servers.wait_for(name, 20, lambda: servers.listening(port))
            found.append(peer)
        except SystemExit as error:
            say(f"bench: without {name}: {error}")
            peer.stop()
    return found


class Rows:
    """The consumer in Go: called once a round, with a fresh group and
    table."""

    def __init__(self, argv, kafka, postgres, count):
        self.argv, self.count = argv, count
        self.kafka, self.postgres = kafka, postgres

    def __call__(self):
        self.postgres.make(rows.TABLE, "consumed")
        run("pgx", [*self.argv, self.kafka.bootstrap, "rows",
                    f"bench-pgx-{time.time_ns()}", self.postgres.url,
                    str(self.count)], 90, env=dict(os.environ, **THREADS))
        stored = self.postgres.sql("select count(*) from consumed")
        if stored != str(self.count):
            raise SystemExit(f"bench: {stored} of {self.count} rows by pgx")
        return {"rate": rows.rate(rows.commits(self.postgres))}
