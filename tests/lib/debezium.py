"""Kafka Connect with Debezium's connector for PostgreSQL: one standalone
worker, whose jars come from Maven Central once."""

import fcntl
import os
import shutil
import subprocess

from tests.lib.env import ROOT, free_port, tail

HOME = ROOT / "build" / "debezium"
LIBS = HOME / "libs"

WORKER = {
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "offset.flush.interval.ms": "1000",
    "plugin.discovery": "only_scan",
    "topic.creation.enable": "true",
}

CONNECTOR = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "plugin.name": "pgoutput",
    "publication.autocreate.mode": "filtered",
    "poll.interval.ms": "50",
    "topic.creation.default.partitions": "3",
    "topic.creation.default.replication.factor": "1",
}


def fetch():
    """About 40 MB, pinned in stack/debezium/pom.xml."""
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (LIBS / ".complete").exists():
            return
        shutil.rmtree(LIBS, ignore_errors=True)
        done = subprocess.run(
            ["mvn", "-B", "-q", "-Dstyle.color=never",
             "-f", str(ROOT / "stack" / "debezium" / "pom.xml"),
             f"-Dmaven.repo.local={ROOT}/build/maven",
             "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:"
             "copy-dependencies", "-DincludeScope=runtime",
             f"-DoutputDirectory={LIBS}"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=300)
        assert done.returncode == 0, done.stdout
        (LIBS / ".complete").touch()


class Connect:
    """A worker with connectors: their settings by name."""

    def __init__(self, directory, kafka, postgres, database, connectors):
        self.directory = directory / "connect"
        self.directory.mkdir()
        self.log = self.directory / "connect.log"
        self.process = None
        self.files = [self._write("worker", {
            **WORKER, "bootstrap.servers": kafka.bootstrap,
            "listeners": f"http://127.0.0.1:{free_port()}",
            "offset.storage.file.filename": self.directory / "offsets"})]
        for name, settings in connectors.items():
            self.files.append(self._write(name, {
                **CONNECTOR, "name": name, "topic.prefix": name,
                "database.hostname": "127.0.0.1",
                "database.port": postgres.port, "database.user": "sluice",
                "database.password": "none", "database.dbname": database,
                "slot.name": name, "publication.name": name, **settings}))

    def _write(self, name, settings):
        file = self.directory / f"{name}.properties"
        file.write_text("".join(f"{key}={value}\n"
                                for key, value in settings.items()))
        return file

    def start(self):
        fetch()
        java = os.path.join(os.environ["JAVA_HOME"], "bin/java") \
            if "JAVA_HOME" in os.environ else "java"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [java, "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC",
                 "-XX:TieredStopAtLevel=1", "-cp", f"{LIBS}/*",
                 "org.apache.kafka.connect.cli.ConnectStandalone",
                 *map(str, self.files)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT)
        return self

    def check(self):
        """Fails as soon as the worker ended or a connector failed."""
        said = self.log.read_text(errors="replace")
        assert self.process.poll() is None, tail(self.log)
        assert "Task threw an uncaught" not in said, tail(self.log, 60)

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
