"""How long a worker leaves a client without an answer: a connection beside
the test's own asks it again and again.

A wait counts as far as the worker's thread used the processor in it, so that
what other programs take from the machine is not counted."""

import contextlib
import os
import socket
import subprocess
import sys
import time

from tests.lib.env import ROOT

ASK = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


def used(pid):
    """Seconds of the processor that the process's first thread has used."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def watch(port, path, pid):
    """Until its input ends; prints the longest wait of each line read."""
    os.set_blocking(0, False)
    longest = 0.0
    ask = ASK % path.encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("ready", flush=True)
        while True:
            before, begin = used(pid), time.monotonic()
            connection.sendall(ask)
            while b"\r\n\r\n" not in connection.recv(4096):
                pass
            wall = time.monotonic() - begin
            longest = max(longest, min(wall, used(pid) - before))
            try:
                line = os.read(0, 100)
            except BlockingIOError:
                continue
            if not line:
                return
            print(longest, flush=True)
            longest = 0.0


class Watch:
    """Of a worker, by a location that answers at once without a body."""

    def __init__(self, port, path, pid):
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-c", "from tests.lib import stall; "
             f"stall.watch({port}, {path!r}, {pid})"], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"

    def longest(self):
        """The longest wait since the last call, in seconds."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def watched(server, path="/live"):
    watch_ = Watch(server.port, path, server.worker())
    try:
        yield watch_
    finally:
        watch_.close()
