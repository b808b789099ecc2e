"""The servers of a benchmark run: started on loopback, stopped by pid."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / os.environ.get("BUILD", "build")
HOME = BUILD / "bench"


class OutOfTime(BaseException):
    """Ends the run; no part goes on behind it, as behind its own failures."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise SystemExit(f"bench: {what} did not come up within {seconds} s")


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        return True
    except OSError:
        return False


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def cpu_seconds(pid):
    """User and system time of a process with all its threads, to the
    nanosecond: clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def children(pid):
    out = subprocess.run(["pgrep", "-P", str(pid)], check=False, text=True,
                         stdout=subprocess.PIPE)
    return [int(child) for child in out.stdout.split()]


def tree_cpu_seconds(pid):
    """The same of a process, its children, and the children that ended: of
    these to 10 ms."""
    total = 0
    for one in (pid, *children(pid)):
        try:
            total += cpu_seconds(one)
            with open(f"/proc/{one}/stat", encoding="ascii") as file:
                ended = file.read().rsplit(")", 1)[1].split()[13:15]
            total += sum(map(int, ended)) / os.sysconf("SC_CLK_TCK")
        except OSError:    # it ended meanwhile
            pass
    return total


def memory_kb(pid, field="VmRSS"):
    """A field of /proc/PID/status, in kB; 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


class Server:
    """What stack/ starts, in "dir"."""

    def pid(self):
        return int((self.dir / "pid").read_text())


class Kafka(Server):
    """One broker; what is produced is thrown away above 1 GiB a partition,
    so that a run cannot fill the disk."""

    def __init__(self, name="kafka"):
        self.dir = HOME / name
        shutil.rmtree(self.dir, ignore_errors=True)
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        subprocess.run(
            [TOP / "stack/kafka", "start", self.dir, str(self.port),
             "log.retention.bytes=1073741824",
             "log.segment.bytes=134217728",
             "log.retention.check.interval.ms=10000"],
            check=True, stdout=subprocess.DEVNULL, timeout=180)

    def admin(self):
        from confluent_kafka.admin import AdminClient
        return AdminClient({"bootstrap.servers": self.bootstrap,
                            "log_level": 3})

    def create(self, topic, partitions):
        from confluent_kafka.admin import NewTopic
        admin = self.admin()
        for future in admin.create_topics(
                [NewTopic(topic, partitions, 1)]).values():
            future.result(30)

    def delete(self, topic):
        admin = self.admin()
        for future in admin.delete_topics([topic]).values():
            future.result(30)

    def records(self, topic, partitions):
        """How many a topic has taken since it was made."""
        from confluent_kafka import Consumer, TopicPartition
        consumer = Consumer({"bootstrap.servers": self.bootstrap,
                             "group.id": "bench-records", "log_level": 3})
        try:
            return sum(consumer.get_watermark_offsets(
                TopicPartition(topic, p), timeout=30)[1]
                       for p in range(partitions))
        finally:
            consumer.close()

    def produce(self, topic, *how, timeout=120):
        """bench/producer.c; its line of JSON."""
        out = subprocess.run(
            [BUILD / "bench/producer", self.bootstrap, topic,
             *map(str, how)],
            check=True, text=True, stdout=subprocess.PIPE, timeout=timeout)
        return json.loads(out.stdout)

    @contextlib.contextmanager
    def paused(self):
        """Takes no requests meanwhile, with its connections open."""
        os.kill(self.pid(), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid(), signal.SIGCONT)

    def stop(self):
        subprocess.run([TOP / "stack/kafka", "stop", self.dir], check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
        shutil.rmtree(self.dir, ignore_errors=True)


class Postgres(Server):
    """Keeps the time of each commit, from which rates and latencies come,
    and its WAL files for use again, as a server does that runs for long."""

    def __init__(self, name="postgres"):
        self.dir = HOME / name
        shutil.rmtree(self.dir, ignore_errors=True)
        self.port = free_port()
        subprocess.run([TOP / "stack/postgres", "start", self.dir,
                        str(self.port), "track_commit_timestamp=on",
                        "max_wal_size=8GB", "min_wal_size=4GB"], check=True,
                       stdout=subprocess.DEVNULL, timeout=120)
        self.url = f"postgresql://sluice@127.0.0.1:{self.port}/sluice"

    def sql(self, query):
        return subprocess.run(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url,
             "-c", "set client_min_messages = warning", "-c", query],
            check=True, text=True, stdout=subprocess.PIPE,
            timeout=180).stdout.strip()

    def make(self, table, name):
        """A fresh table, and no WAL file that were to be made on the way."""
        self.sql(f"drop table if exists {name}")
        self.sql(table.format(name))
        self.sql("checkpoint")

    def stop(self):
        subprocess.run([TOP / "stack/postgres", "stop", self.dir],
                       check=True, stdout=subprocess.DEVNULL, timeout=60)
        shutil.rmtree(self.dir, ignore_errors=True)


class Process:
    """A child of this run that ends with it."""

    def __init__(self, argv, log, stop=signal.SIGTERM, **options):
        self.log = HOME / log
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                **options)
        self.stop_signal = stop

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# what is in the prefix alone, so that no path outside is opened
TEMP_PATHS = "\n    ".join(f"{kind}_temp_path {{prefix}}/{kind};" for kind in (
    "client_body", "proxy", "fastcgi", "scgi", "uwsgi"))

CONF = """
load_module {build}/module/ngx_http_kafka_module.so;
worker_processes {workers};
worker_rlimit_nofile {files};
worker_shutdown_timeout 50s;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log warn;
events {{ worker_connections {files}; }}
http {{
    access_log off;
    keepalive_requests 10000000;
    """ + TEMP_PATHS + """

{http}
}}
"""


def most_connections():
    """As many as this user may open files for, at most 10,000."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 10240:
        return hard - 240
    return 10000


def most_files():
    """Connections of a run, and those of the one before that still close."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = most_connections() + 4000
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


class Nginx(Process):
    """"http" is what its http block has beside the common; or all is in
    "conf"."""

    def __init__(self, http, port, name="nginx", workers=1, conf=None):
        self.prefix = HOME / name
        (self.prefix / "logs").mkdir(parents=True, exist_ok=True)
        path = self.prefix / "nginx.conf"
        path.write_text(conf or CONF.format(
            build=BUILD, prefix=self.prefix, files=most_files(),
            workers=workers, http=http))
        super().__init__(["nginx", "-p", str(self.prefix), "-c", str(path),
                          "-e", str(self.prefix / "error.log"),
                          "-g", "daemon off;"], f"{name}.log",
                         stop=signal.SIGQUIT)
        wait_for("nginx", 20, lambda: listening(port))

    def worker(self):
        """The pid of its only worker."""
        return children(self.pid)[0]


def machine():
    cpu = next((line.split(":")[1].strip() for line in
                open("/proc/cpuinfo", encoding="utf-8")
                if line.startswith("model name")), "unknown")
    memory = int(open("/proc/meminfo", encoding="ascii")
                 .readline().split()[1]) // 1048576
    return f"{os.cpu_count()} cores ({cpu}), {memory} GiB"


def version(argv, stream="stdout"):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return getattr(done, stream).strip().splitlines()[0]


def package(name):
    """A library's version, as pkg-config knows it."""
    return version(["pkg-config", "--modversion",
                    name.replace("librdkafka", "rdkafka")])
