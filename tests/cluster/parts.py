"""What runs on the hosts: a broker, PostgreSQL, nginx with the module, the
daemons, and the nginx in front.  Each is the class of tests/lib with its host
under it; a program that attaches finds what runs by its pid file."""

import concurrent.futures
import pathlib
import types
import uuid

import psycopg2

from tests.lib import daemon, nginx, procs, servers
from tests.lib.database import Database
from tests.lib.env import ROOT, wait_for

KAFKA, CONTROLLER, POSTGRES, HTTP, METRICS = 9092, 9093, 5432, 8080, 9465
TOPIC = "events"
PARTITIONS = 6

# What a machine of two cores takes: three brokers of 350 MB each.
HEAP = "-Xms64m -Xmx192m -XX:ReservedCodeCacheSize=64m"
BROKER = [
    "offsets.topic.replication.factor=3",
    "default.replication.factor=3",
    "min.insync.replicas=2",
    # a broker is out after 3 s of silence; its followers too
    "broker.session.timeout.ms=3000",
    "broker.heartbeat.interval.ms=500",
    "replica.lag.time.max.ms=3000",
    # connections of a host whose power failed end early
    "replica.socket.timeout.ms=5000",
    # who comes back leads its partitions again, soon
    "leader.imbalance.check.interval.seconds=10",
    "num.network.threads=2",
    "num.io.threads=2",
    "background.threads=2",
    "log.cleaner.enable=false",
]

GATEWAY = """
    kafka_producer main {
        brokers %%BROKERS%%;
        timeout 5s;
        queue   16m;
        topic   %%TOPIC%% partitions=%%PARTITIONS%% replication=3 create;
    }
    kafka_drain_timeout 10s;
    kafka_timeout       6s;
    kafka_topic         %%TOPIC%%;
    server {
        listen %%ADDRESS%%:%%HTTP_PORT%%;
        location = /events {
            kafka_pass   main;
            kafka_key    $arg_key;
            kafka_format json;
        }
        location = /batch {
            kafka_pass   main;
            kafka_format ndjson;
        }
        location = /cloudevents {
            kafka_pass   main;
            kafka_format cloudevents;
        }
        location = /queued {
            kafka_pass   main;
            kafka_format json;
            kafka_ack    queued;
        }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
    }
"""

# The groups: every record a row, and the latest record of each key.
GROUPS = {
    "events": {
        "topic": TOPIC, "start": "earliest", "table": "events",
        "create_table": True,
        "batch": {"rows": 1000, "linger": "20ms"},
        "columns": {
            "id": {"path": "/id", "type": "text", "required": True},
            "body": {"meta": "value", "type": "bytea"},
            "part": {"meta": "partition", "type": "integer"},
            "off": {"meta": "offset", "type": "bigint"},
        },
    },
    "latest": {
        "topic": TOPIC, "start": "earliest", "table": "latest",
        "create_table": True, "mode": "upsert", "key": ["key"],
        "batch": {"rows": 1000, "linger": "20ms"},
        "columns": {
            "key": {"path": "/key", "type": "text", "required": True},
            "id": {"path": "/id", "type": "text"},
            "part": {"meta": "partition", "type": "integer"},
            "off": {"meta": "offset", "type": "bigint"},
        },
    },
}


def read_pid(file):
    """The number in a pid file, if that process lives."""
    try:
        pid = int(pathlib.Path(file).read_text())
    except (OSError, ValueError):
        return None
    return pid if procs.alive(pid) else None


class Broker(servers.Kafka):
    """Broker and controller in one process.  All three have to be started
    together: one alone is no quorum."""

    settings = BROKER

    def __init__(self, host, hosts, directory):
        self.host = host
        self.prefix = host.inside
        self.address = host.address
        self.number = hosts.index(host) + 1
        voters = ",".join(f"{number}@{other.address}:{CONTROLLER}"
                          for number, other in enumerate(hosts, 1))
        # the same for all, whoever asks
        cluster = uuid.uuid5(uuid.NAMESPACE_URL, "sluice:cluster").hex[:22]
        super().__init__(directory, [
            f"node.id={self.number}", f"controller.quorum.voters={voters}",
            f"listeners=PLAINTEXT://{host.address}:{KAFKA},"
            f"CONTROLLER://{host.address}:{CONTROLLER}",
            f"advertised.listeners=PLAINTEXT://{host.address}:{KAFKA}",
        ], KAFKA, KAFKA_CLUSTER_ID=cluster, KAFKA_HEAP=HEAP)


class Postgres(servers.Postgres):
    """The primary, or a standby that streams from it asynchronously: what it
    lacks when it is promoted are rows and their offsets together, so the
    daemons read those records again."""

    def __init__(self, host, directory):
        self.host = host
        self.prefix = host.inside
        self.address = host.address
        self.hba = pathlib.Path(directory) / "pg_hba.conf"
        super().__init__(directory, [
            "listen_addresses=*", f"hba_file={self.hba}",
            "shared_buffers=32MB", "wal_keep_size=256MB",
            # a silent partner is given up after 5 s
            "wal_receiver_timeout=5s", "wal_sender_timeout=5s",
            "wal_retrieve_retry_interval=500ms",
        ], POSTGRES)

    def start(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.hba.write_text("host all,replication all 127.0.0.0/8 trust\n"
                            "host all,replication all 198.18.0.0/15 trust\n")
        self.hba.chmod(0o644)
        return super().start()

    def was_standby(self):
        """Whether its data follows another server."""
        return (self.directory / "data" / "standby.signal").exists()

    def copy(self, primary):
        """Becomes a standby of another one, from a base backup."""
        self.stop()
        self._call("copy", self.directory,
                   primary.conninfo() + " connect_timeout=5")
        return self

    def query(self, sql):
        """One statement, within seconds or an error."""
        connection = psycopg2.connect(
            self.conninfo() + " connect_timeout=2 tcp_user_timeout=4000"
            " options='-c statement_timeout=5000'")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def is_standby(self):
        return self.query("SELECT pg_is_in_recovery()")[0][0]

    def streams(self):
        """Whether this standby receives what the primary writes."""
        return self.query("SELECT count(*) FROM pg_stat_wal_receiver"
                          " WHERE status = 'streaming'")[0][0] == 1

    def stop_following(self):
        """The standby lags from now on: it receives nothing more."""
        self.query("ALTER SYSTEM SET primary_conninfo = ''")
        self.query("SELECT pg_reload_conf()")
        wait_for(lambda: not self.streams(), 20, "it follows no more", 0.1)

    def promote(self):
        """Makes the standby the primary.  The old one must be stopped, cut
        or dead: two primaries are the caller's mistake."""
        assert self.query("SELECT pg_promote(true, 20)")[0][0], "promoted"
        wait_for(lambda: not self.is_standby(), 20, "it is primary", 0.1)


class Primary:
    """Whichever host's PostgreSQL is the primary, as a client finds it."""

    port = POSTGRES

    def __init__(self, addresses):
        self.addresses = addresses

    def conninfo(self, database="sluice", user="sluice"):
        return (f"host={','.join(self.addresses)} port={POSTGRES} "
                f"dbname={database} user={user} "
                "target_session_attrs=read-write")

    def connect(self, database="sluice", user="sluice"):
        connection = psycopg2.connect(
            self.conninfo(database, user) + " connect_timeout=2"
            " tcp_user_timeout=4000 keepalives_idle=2 keepalives_interval=1"
            " keepalives_count=3 options='-c statement_timeout=20000'")
        connection.autocommit = True
        return connection

    def alive(self):
        return True

    def database(self):
        """The cluster's database: query(), value(), try_count()."""
        return Database(self, "sluice")


class Web(nginx.Daemon):
    """An nginx on a host."""

    def __init__(self, host, http, directory, attach, **names):
        self.host = host
        self.address = host.address
        self.attach = attach
        super().__init__(directory, http, prefix=host.inside,
                         ADDRESS=host.address, HTTP_PORT=HTTP, **names)
        self.port = HTTP
        self.master = self.session = read_pid(self.directory / "nginx.pid")

    def write(self, http, **names):
        if self.attach and self.file.exists():      # as another left it
            self.http = http
            self.names.update(names)
        else:
            super().write(http, **names)

    def alive(self):
        return self.master is not None and procs.alive(self.master)

    def start(self):
        self.attach = False
        if not self.alive():
            (self.directory / "nginx.pid").unlink(missing_ok=True)
            super().start()
        return self


class Gateway(Web):
    """nginx with the module: /events (JSON, ?key=), /batch (NDJSON),
    /cloudevents, /queued, /status and /ready."""

    def __init__(self, host, brokers, directory, attach=False):
        super().__init__(host, GATEWAY, directory, attach, BROKERS=brokers,
                         TOPIC=TOPIC, PARTITIONS=PARTITIONS)

    def ready(self):
        try:
            return self.request("GET", "/ready", timeout=2).status == 200
        except OSError:
            return False


class Front(Web):
    """examples/nginx/front.conf with the hosts' addresses: it spreads
    requests, and tries another host where nothing was kept."""

    def __init__(self, host, gateways, directory, attach=False):
        http = (ROOT / "examples" / "nginx" / "front.conf").read_text()
        for number, address in enumerate(gateways, 1):
            assert f"192.0.2.{number}:8080" in http
            http = http.replace(f"192.0.2.{number}:8080",
                                f"{address}:{HTTP}")
        http = http.replace("listen 8080", f"listen {host.address}:{HTTP}")
        super().__init__(host, http, directory, attach)


class Daemon(daemon.Daemon):
    """A daemon of a group; its conninfo has both hosts of PostgreSQL."""

    def __init__(self, host, group, number, brokers, conninfo, directory,
                 attach=False):
        self.host = host
        self.prefix = host.inside
        self.address = host.address
        self.group = group
        directory = pathlib.Path(directory)
        file = directory / f"{group}.json"
        config = {**GROUPS[group], "group": group,
                  "listen": f"{host.address}:{METRICS + number}"}
        kept = file.read_text() if attach and file.exists() else None
        super().__init__(directory, config,
                         types.SimpleNamespace(bootstrap=brokers), conninfo,
                         name=group)
        if kept:
            self.file.write_text(kept)
        self.port = METRICS + number
        self.pid_file = directory / f"{group}.pid"
        pid = read_pid(self.pid_file)
        self.process = procs.Process(pid) if pid else None

    def start(self, *more, **environment):
        if not self.alive():
            super().start(*more, **environment)
            self.pid_file.write_text(str(self.pid))
        return self


def together(calls):
    """All of them at once; the first failure is raised at the end."""
    with concurrent.futures.ThreadPoolExecutor(max(1, len(calls))) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()
