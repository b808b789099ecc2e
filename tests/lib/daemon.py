"""One sluice-consumer of a test."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

from tests.lib import procs, web
from tests.lib.env import CONSUMER, SANITIZER_LINE, free_port, tail, wait_for


class Daemon:
    """Adds to the test's configuration what only the run knows: where Kafka
    and PostgreSQL are, a listening port, a short Kafka session; and makes
    the group's name the test's own."""

    # the last one of each database, topic, group and table
    latest = {}
    address = "127.0.0.1"
    prefix = []             # of its commands: into a namespace

    def __init__(self, directory, config, kafka, conninfo, program=CONSUMER,
                 name="consumer", **environment):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.program = program
        self.port = free_port()
        self.file = directory / f"{name}.json"
        self.stderr = directory / f"{name}.log"
        self.environment = environment
        self.process = None
        self.started = 0
        if isinstance(config, dict):
            config = {
                "postgres": conninfo, "listen": f"{self.address}:{self.port}",
                **config}
            config["kafka"] = {
                "bootstrap.servers": kafka.bootstrap,
                "session.timeout.ms": "6000",
                "heartbeat.interval.ms": "500",
                **config.get("kafka", {})}
            if config.get("group"):
                # another test's killed member would delay ours
                database = re.search(r"dbname=(\S+)", conninfo)[1]
                config["group"] += f"@{database}"
                self.latest[database, str(config.get("topic")),
                            config["group"], str(config.get("table"))] = self
            config = json.dumps(config, indent=4)
        self.file.write_text(config)

    def _environment(self):
        env = dict(os.environ, TZ="UTC", **self.environment)
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        return env

    def command(self, *more):
        root = ["--allow-root"] if os.geteuid() == 0 else []
        return [*self.prefix, str(self.program), "--config", str(self.file),
                *root, *more]

    def run(self, *more, timeout=30):
        """Runs to its end: exit code and what it said."""
        done = subprocess.run(
            self.command(*more),
            env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=timeout)
        return done.returncode, done.stdout.decode(errors="replace")

    def verify(self):
        """Proves that every offset is accounted for, by the subcommand."""
        code, said = self.run("verify", "--strict")
        assert code == 0 and "Proved" in said, said

    def start(self, *more, **environment):
        env = self._environment()
        env.update(environment)
        self.started = self.stderr.stat().st_size if self.stderr.exists() \
            else 0
        with open(self.stderr, "ab") as stderr:
            self.process = subprocess.Popen(
                self.command(*more), env=env,
                stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                start_new_session=True)
        return self

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.stderr.read_text(errors="replace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def _must_live(self):
        assert self.alive(), \
            f"the daemon ended with {self.process.returncode}:\n" \
            + tail(self.stderr)

    def health(self):
        """Status and body of /healthz; (0, None) while it does not
        answer."""
        self._must_live()
        try:
            answer = web.request(self.port, "GET", "/healthz", timeout=5,
                                 host=self.address)
        except OSError:
            return 0, None
        return answer.status, answer.json

    def wait_healthy(self, timeout=30):
        self._wait(lambda: self.health()[0] == 200, timeout, "healthy")
        return self

    def wait_held(self, timeout=30, reason=""):
        """Until /healthz says 503 for that reason; its body."""
        found = {}

        def held():
            status, body = self.health()
            found.update(body or {})
            return status == 503 and reason in body["reason"]

        self._wait(held, timeout, f"held: {reason}")
        return found

    def _wait(self, condition, timeout, what):
        try:
            wait_for(condition, timeout, what)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{tail(self.stderr)}") from None

    def wait_log(self, pattern, timeout=30, start=0):
        self._wait(lambda: re.search(pattern, self.log()[start:]), timeout,
                   f"the log says {pattern!r}")

    def metrics(self):
        """The samples of /metrics: name with labels to number."""
        answer = web.request(self.port, "GET", "/metrics", timeout=5,
                             host=self.address)
        assert answer.status == 200
        samples = {}
        for line in answer.body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def metric(self, name, label=""):
        """The sum over a metric's labels, or over those with this one."""
        return sum(value for sample, value in self.metrics().items()
                   if sample.split("{")[0] == name and label in sample)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)
        wait_for(lambda: procs.stopped(self.pid), 5, "the daemon is stopped")

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)

    def stop(self, timeout=20):
        """SIGTERM; the seconds it took.  It must leave with 0."""
        if not self.alive():
            return 0.0
        # its first words come when it is ready for signals
        wait_for(lambda: self.stderr.stat().st_size > self.started
                 or not self.alive(), 10, "the daemon speaks")
        begin = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("the daemon did not end on SIGTERM:\n"
                                 + tail(self.stderr)) from None
        assert self.process.returncode == 0, tail(self.stderr)
        return time.monotonic() - begin

    def finish(self):
        try:
            if self.alive():
                self.resume()
                self.stop()
        finally:
            if self.alive():
                self.kill()
        if self.stderr.exists():
            bad = [line for line in self.log().splitlines()
                   if re.search(SANITIZER_LINE, line)]
            assert not bad, "\n".join(bad) + "\n" + tail(self.stderr, 80)
