"""One nginx of a test: its configuration, its life and what it logged."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from tests.lib import procs, web
from tests.lib.env import (ASAN, MODULE, PATIENCE, ROOT, SANITIZED,
                           SANITIZER_LINE, VALGRIND, free_port, tail, wait_for)

PROGRAM = os.environ.get("NGINX") or shutil.which(
    "nginx", path=os.environ["PATH"] + ":/usr/sbin")

FRAME = """\
%%USER%%
daemon %%DAEMON%%;
pid %%DIR%%/nginx.pid;
error_log %%DIR%%/error.log info;
load_module %%MODULE%%;
worker_processes %%WORKERS%%;
%%MAIN%%
events {
    worker_connections 4096;
}
http {
    access_log off;
    client_body_temp_path %%DIR%%/body;
    proxy_temp_path %%DIR%%/proxy;
    fastcgi_temp_path %%DIR%%/fastcgi;
    uwsgi_temp_path %%DIR%%/uwsgi;
    scgi_temp_path %%DIR%%/scgi;
%%HTTP%%
}
"""


def library(name):
    return subprocess.run(["gcc", f"-print-file-name={name}"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def environment(directory, preload=(), more=None):
    env = dict(os.environ, TZ="UTC", **(more or {}))
    # nginx would take it for the sockets of a binary upgrade
    env.pop("NGINX", None)
    preload = [str(path) for path in preload]
    if ASAN:
        preload = [library("libasan.so"), library("libubsan.so"), *preload]
    if preload:
        env["LD_PRELOAD"] = " ".join(preload)
    if ASAN:
        env["ASAN_OPTIONS"] = f"detect_leaks=0:log_path={directory}/asan"
        env["UBSAN_OPTIONS"] = ("print_stacktrace=1:"
                                f"log_path={directory}/ubsan")
    return env


class Nginx:
    """%%NAMES%% in the configuration are replaced: %%PORT%% (and %%PORT2%%),
    %%DIR%%, and what the test gives as keywords.  prefix is a command that
    runs the program, preload are libraries, env is more of its
    environment."""

    address = "127.0.0.1"

    def __init__(self, directory, http, main="", workers=1, user=None,
                 prefix=(), preload=(), env=None, **names):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o777 if SANITIZED else 0o755)
        self.port = free_port()
        self.port2 = free_port()
        if user is None and os.geteuid() == 0:
            user = "root"
        self.names = {"PORT": self.port, "PORT2": self.port2,
                      "DIR": self.directory, "MODULE": MODULE,
                      "WORKERS": workers, "MAIN": main, "DAEMON": "off",
                      "USER": f"user {user};" if user else "", **names}
        self.file = self.directory / "nginx.conf"
        self.error_log = self.directory / "error.log"
        self.stderr = self.directory / "stderr"
        self.expected = []
        self.exit_code = 0
        self.process = None
        self.prefix = [str(word) for word in prefix]
        self.preload = preload
        self.env = env
        self.write(http)

    def write(self, http, **names):
        """A new configuration for the next start or reload."""
        self.http = http
        self.names.update(names)
        text = FRAME.replace("%%HTTP%%", http)
        for _ in range(2):      # main may hold names too
            for name, value in self.names.items():
                text = text.replace(f"%%{name}%%", str(value))
        missing = re.findall(r"%%\w+%%", text)
        assert not missing, missing
        self.file.write_text(text)

    def line_of(self, marker):
        """The last line of the configuration that holds marker."""
        lines = self.file.read_text().splitlines()
        return max(number for number, line in enumerate(lines, 1)
                   if marker in line)

    def command(self, *more):
        return [*self.memcheck(), PROGRAM, "-p", str(self.directory), "-e",
                str(self.error_log), "-c", str(self.file), *more]

    def memcheck(self):
        """What a process and its children find is in valgrind.PID each."""
        return [
            "valgrind", "--quiet", "--trace-children=yes",
            "--fair-sched=try", "--leak-check=full", "--num-callers=30",
            "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
            "--gen-suppressions=all",
            f"--suppressions={ROOT}/tests/valgrind.supp",
            f"--log-file={self.directory}/valgrind.%p"] if VALGRIND else []

    def test(self, *more):
        """nginx -t (or -T): exit code and what it said."""
        done = subprocess.run(self.command("-t", *more),
                              env=environment(self.directory),
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              timeout=30 * PATIENCE)
        return done.returncode, done.stdout.decode(errors="replace")

    def start(self):
        with open(self.stderr, "ab") as stderr:
            self.process = subprocess.Popen(
                self.prefix + self.command(),
                env=environment(self.directory, self.preload, self.env),
                stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                start_new_session=True)
        wait_for(self._listening, 30, "nginx listens")
        return self

    def _listening(self):
        if self.process.poll() is not None:
            raise AssertionError(
                f"nginx ended with {self.process.returncode}:\n"
                f"{tail(self.stderr)}\n{tail(self.error_log)}")
        with socket.socket() as probe:
            listening = probe.connect_ex((self.address, self.port)) == 0
        # a worker has its name a little after it was forked
        return listening and len(self.workers()) >= self.names["WORKERS"]

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        """Living workers that are not shutting down."""
        return self.workers_of(self.pid)

    def workers_of(self, master):
        pids = procs.children(master)
        if not VALGRIND:
            return [pid for pid in pids
                    if procs.name(pid) == "nginx: worker process"]
        # memcheck keeps the title from the outside: what the log says
        log = self.log()
        return [pid for pid in pids
                if f": start worker process {pid}\n" in log
                and f" {pid}#{pid}: gracefully shutting down" not in log]

    def worker(self):
        return self.workers()[0]

    def log(self):
        return self.error_log.read_text(errors="replace") \
            + self.stderr.read_text(errors="replace")

    def expect(self, pattern):
        """Lets lines through that would fail the test."""
        self.expected.append(re.compile(pattern))

    def reload(self, wait_old=None):
        """SIGHUP; returns when the new workers run (and, with wait_old
        seconds, the old ones are gone)."""
        old = set(self.workers())
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: set(self.workers()) - old
                 and not set(self.workers()) & old, 20, "new workers")
        if wait_old:
            procs.wait_gone(old, wait_old, "old workers are gone")
        return sorted(old)

    def reload_refused(self):
        """SIGHUP with a configuration that is refused; what was logged."""
        self.expect(r"\[emerg\]")
        before = len(self.log())
        workers = self.workers()
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: "[emerg]" in self.log()[before:], 20,
                 "the reload is refused")
        assert self.workers() == workers
        return self.log()[before:]

    def request(self, method, path, body=None, headers=None, **more):
        return web.request(self.port, method, path, body, headers,
                           host=self.address, **more)

    def post(self, path, body=b"", headers=None, **more):
        return self.request("POST", path, body, headers, **more)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def wait_prompt(self, workers=1):
        """Until each has its client of few records, with its threads and
        descriptors.  The configuration has /status."""
        wait_for(lambda: self.get("/status").json["producers"][0]["prompt"][
            "ready"] == workers, 20, "the client of few records is ready")

    def stop(self, name=signal.SIGTERM, timeout=20):
        """Ends the master; the seconds it took."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        begin = time.monotonic()
        self.process.send_signal(name)
        try:
            self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"nginx did not end in {timeout} s on {name!r}:\n"
                + tail(self.error_log)) from None
        return time.monotonic() - begin

    def finish(self):
        """The end of every test: stopped, nothing left, nothing bad said."""
        session = self.process.pid if self.process else 0
        if VALGRIND:
            # a fast stop kills what is not gone within a second
            self.expect(r"worker process \d+ exited on signal 9$")
        try:
            self.stop(signal.SIGQUIT if VALGRIND else signal.SIGTERM)
        finally:
            left = procs.session_members(session) if session else []
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        assert not left, f"nginx left processes: {left}"
        if self.process:
            assert self.process.returncode == self.exit_code
        bad = self.complaints()
        assert not bad, "nginx logged:\n" + "\n".join(bad)

    def complaints(self):
        texts = [path.read_text(errors="replace") for path in
                 (self.error_log, self.stderr) if path.exists()]
        for pattern in ("asan.*", "ubsan.*"):
            texts += [path.read_text(errors="replace")
                      for path in self.directory.glob(pattern)]
        bad = re.compile(r"\[alert\]|\[emerg\]|exited on signal|"
                         + SANITIZER_LINE)
        return [line for text in texts for line in text.splitlines()
                if bad.search(line)
                and not any(e.search(line) for e in self.expected)] \
            + [line for path in self.directory.glob("valgrind.*")
               for line in path.read_text(errors="replace").splitlines()]


class Daemon(Nginx):
    """One that leaves its parent, as in production: only such a master
    takes SIGUSR2."""

    def start(self):
        self.names["DAEMON"] = "on"
        # the new binary is to run under the sanitizers too
        self.names["MAIN"] += "".join(f"env {variable}; " for variable in
                                      ("LD_PRELOAD", "ASAN_OPTIONS",
                                       "UBSAN_OPTIONS"))
        self.write(self.http)
        with open(self.stderr, "ab") as stderr:
            subprocess.run(self.prefix + self.command(), check=True,
                           timeout=30, env=environment(self.directory, self.preload,
                                           self.env),
                           stdin=subprocess.DEVNULL, stdout=stderr,
                           stderr=stderr)
        self.master = self.read_pid()
        self.session = self.master
        wait_for(lambda: self.workers(), 30, "workers")
        return self

    def read_pid(self, suffix=""):
        """Of a master, once its pid file is there."""
        file = self.directory / f"nginx.pid{suffix}"
        return int(wait_for(lambda: file.exists() and file.read_text(), 20,
                            file.name))

    @property
    def pid(self):
        return self.master

    def upgrade(self):
        """SIGUSR2: a second master beside the first, with its workers;
        returns its pid."""
        os.kill(self.master, signal.SIGUSR2)
        self.read_pid(".oldbin")
        new = wait_for(lambda: self.read_pid() != self.master
                       and self.read_pid(), 20, "a new master")
        wait_for(lambda: self.workers_of(new), 20, "its workers")
        return new

    def end(self, master, timeout=30):
        """SIGQUIT; returns when it is gone."""
        os.kill(master, signal.SIGQUIT)
        procs.wait_gone([master], timeout, "the master is gone")

    def finish(self):
        left = [pid for pid in procs.session_members(self.session)]
        for pid in left:
            if procs.name(pid).startswith("nginx: master"):
                os.kill(pid, signal.SIGTERM)
        try:
            procs.wait_gone(left, 20, "nginx ends")
        finally:
            for pid in procs.session_members(self.session):
                os.kill(pid, signal.SIGKILL)
        bad = self.complaints()
        assert not bad, "nginx logged:\n" + "\n".join(bad)
