"""The peer: Kafka Connect with Debezium's JDBC sink, one standalone worker
with as many tasks as partitions."""

import shutil
import subprocess
import time

import rows
import servers
from servers import BUILD, HOME, TOP, say

LIBS = BUILD / "connect/libs"

WORKER = """
bootstrap.servers={bootstrap}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=true
offset.storage.file.filename={home}/connect.offsets
plugin.discovery=only_scan
listeners=http://127.0.0.1:{port}
consumer.max.poll.records=5000
consumer.fetch.min.bytes=65536
"""

# batches as large as it takes, and the driver's multi-row inserts
SINK = """
name={name}
connector.class=io.debezium.connector.jdbc.JdbcSinkConnector
tasks.max={tasks}
topics={topic}
consumer.override.auto.offset.reset=earliest
connection.url=jdbc:postgresql://127.0.0.1:{pgport}/sluice?reWriteBatchedInserts=true
connection.username=sluice
connection.password=none
collection.name.format=consumed
insert.mode=insert
primary.key.mode=none
schema.evolution=none
batch.size=5000
"""

TABLE = rows.TABLE.replace("timestamptz not null",
                           "timestamptz not null default now()")


def fetch():
    """Its jars from Maven Central; its own jackson makes way for Kafka's."""
    if (LIBS / ".complete").exists():
        return
    shutil.rmtree(LIBS, ignore_errors=True)
    say("bench: fetching Kafka Connect and Debezium's JDBC sink (about "
        "60 MB) with Maven")
    subprocess.run(
        ["mvn", "-B", "-q", "-Dstyle.color=never", "-f",
         str(TOP / "bench/connect/pom.xml"),
         f"-Dmaven.repo.local={BUILD}/maven",
         "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:"
         "copy-dependencies", "-DincludeScope=runtime",
         f"-DoutputDirectory={LIBS}"], check=True, timeout=300)
    (LIBS / ".complete").touch()


class Peer:
    """Called once a round, each time with a fresh group and table."""

    def __init__(self, kafka, postgres, count):
        fetch()
        self.kafka = kafka
        self.postgres = postgres
        self.count = count
        kafka.create("connect", rows.PARTITIONS)
        kafka.produce("connect", "fill", count, "schema")

    def __call__(self):
        self.postgres.make(TABLE, "consumed")
        worker, sink = HOME / "connect.properties", HOME / "sink.properties"
        worker.write_text(WORKER.format(
            bootstrap=self.kafka.bootstrap, home=HOME,
            port=servers.free_port()))
        sink.write_text(SINK.format(
            name=f"bench-{time.time_ns()}", topic="connect",
            tasks=rows.PARTITIONS, pgport=self.postgres.port))
        peer = servers.Process(
            ["java", "-Xms256m", "-Xmx1g", "-cp", f"{LIBS}/*",
             "org.apache.kafka.connect.cli.ConnectStandalone",
             str(worker), str(sink)], "connect.log")
        try:
            seen, deadline = 0, time.monotonic() + 90
            while seen < self.count and time.monotonic() < deadline:
                time.sleep(0.3)
                if peer.process.poll() is not None:
                    raise SystemExit("bench: Kafka Connect ended, see "
                                     f"{peer.log}")
                seen = int(self.postgres.sql(
                    "select count(*) from consumed"))
        finally:
            peer.stop()
        if seen != self.count:
            raise SystemExit(f"bench: {seen} of {self.count} rows by Kafka "
                             f"Connect in 90 s, see {peer.log}")
        return {"rate": rows.rate(rows.commits(self.postgres))}
