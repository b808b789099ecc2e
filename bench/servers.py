"""The servers of a benchmark run: started on loopback, stopped by pid."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
HOME = BUILD / "bench"


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


class Kafka:
    def __init__(self, name="kafka", **properties):
        self.dir = HOME / name
        shutil.rmtree(self.dir, ignore_errors=True)
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        subprocess.run(
            [TOP / "stack/kafka", "start", self.dir, str(self.port)]
            + [f"{k.replace('_', '.')}={v}" for k, v in properties.items()],
            check=True, stdout=subprocess.DEVNULL)

    def create(self, topic, partitions):
        from confluent_kafka.admin import AdminClient, NewTopic
        admin = AdminClient({"bootstrap.servers": self.bootstrap,
                             "log_level": 3})
        for future in admin.create_topics(
                [NewTopic(topic, partitions, 1)]).values():
            future.result(30)

    def stop(self):
        subprocess.run([TOP / "stack/kafka", "stop", self.dir], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)


class Postgres:
    def __init__(self):
        self.dir = HOME / "postgres"
        self.port = free_port()
        subprocess.run([TOP / "stack/postgres", "start", self.dir,
                        str(self.port)], check=True,
                       stdout=subprocess.DEVNULL)
        self.url = f"postgresql://sluice@127.0.0.1:{self.port}/sluice"

    def sql(self, query):
        return subprocess.run(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url,
             "-c", "set client_min_messages = warning", "-c", query],
            check=True, text=True, stdout=subprocess.PIPE).stdout.strip()

    def stop(self):
        subprocess.run([TOP / "stack/postgres", "stop", self.dir],
                       check=True, stdout=subprocess.DEVNULL)


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

    def status(self, field):
        """A field of /proc/PID/status, in kB."""
        for line in open(f"/proc/{self.pid}/status", encoding="ascii"):
            if line.startswith(field + ":"):
                return int(line.split()[1])
        return 0


class Nginx(Process):
    def __init__(self, conf, port):
        self.prefix = HOME / "nginx"
        (self.prefix / "logs").mkdir(parents=True, exist_ok=True)
        path = self.prefix / "nginx.conf"
        path.write_text(conf)
        super().__init__(["nginx", "-p", str(self.prefix), "-c", str(path),
                          "-e", str(self.prefix / "error.log"),
                          "-g", "daemon off;"], "nginx.log",
                         stop=signal.SIGQUIT)
        wait_for("nginx", 10, lambda: listening(port))


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
