"""Another binary under load, and the way back."""

import json
import os
import signal

import pytest

from tests.lib import procs
from tests.lib.env import VALGRIND, loops, wait_for
from tests.lib.history import check_answers, check_topic
from tests.lib.nginx import Daemon

pytestmark = pytest.mark.skipif(
    VALGRIND, reason="memcheck's process titles are not nginx's")

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_key   $arg_key;
        }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
    }
"""


class Loads:
    """Keep-alive connections and new ones, which must never notice."""

    def __init__(self, load, port):
        self.kept = load(port, "/", connections=6, keys=20)
        self.fresh = load(port, "/", connections=3, keys=20,
                          keepalive=False)

    def wait_ok(self):
        self.kept.wait_ok(40)
        self.fresh.wait_ok(20)

    def check(self, topics, name):
        events = self.kept.stop() + self.fresh.stop()
        check_answers(self.fresh.events, only=("ok",))
        assert self.fresh.refused == 0
        answered = [event for event in events if event.status]
        check_answers(answered, only=("ok",))
        records = topics.records(name)
        check_topic(events, records)
        # nginx closes a connection as idle while a request is on its way:
        # no answer, but it was not read either
        assert {json.loads(record.value)["id"] for record in records} \
            == {event.id for event in answered}


def start(nginx, topics):
    name = topics.create(partitions=4)
    return nginx(CONF, kind=Daemon, TOPIC=name, workers=2), name


def winch(server, master):
    """The master's workers go; it stays, to be asked back."""
    os.kill(master, signal.SIGWINCH)
    # the new master is a child of the old one
    wait_for(lambda: not [pid for pid in procs.children(master)
                          if procs.name(pid).startswith("nginx: worker")],
             20, "its workers are gone")
    assert procs.alive(master)


def test_another_binary_under_load(nginx, topics, load):
    server, name = start(nginx, topics)
    loads = Loads(load, server.port)
    for _ in range(loops(1, 5)):
        loads.wait_ok()
        old = server.master
        new = server.upgrade()
        loads.wait_ok()
        winch(server, old)
        loads.wait_ok()
        server.end(old)
        server.master = new
    loads.wait_ok()
    loads.check(topics, name)
    status = server.get("/status").json
    assert status["workers"] == 2
    assert status["in_flight"] == status["queued"] == 0


def test_the_way_back_under_load(nginx, topics, load):
    server, name = start(nginx, topics)
    loads = Loads(load, server.port)
    for _ in range(loops(1, 5)):
        loads.wait_ok()
        new = server.upgrade()
        winch(server, server.master)
        loads.wait_ok()
        # the old one starts its workers again, with the old configuration
        os.kill(server.master, signal.SIGHUP)
        wait_for(lambda: len(server.workers()) == 2, 20, "workers again")
        loads.wait_ok()
        server.end(new)
        wait_for(lambda: server.read_pid() == server.master, 10, "pid file")
    loads.wait_ok()
    loads.check(topics, name)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
