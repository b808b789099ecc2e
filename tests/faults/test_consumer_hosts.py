"""PostgreSQL's hosts: one is silent, or nobody tells where one is."""

import contextlib
import socket
import time

import psycopg2
import pytest

from tests.lib import procs
from tests.lib.env import CONSUMER, LONG, bound, loops, wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "create_table": True,
    "columns": {"n": {"path": "/n", "type": "integer"}},
}


@pytest.fixture(params=["accepts", "drops"])
def silent(request):
    """The port of a host that answers nothing: it accepts a connection, or
    it drops each SYN because its backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(
            ("127.0.0.1", 0), backlog=100 if request.param == "accepts"
            else 0))
        port = listener.getsockname()[1]
        for _ in range(0 if request.param == "accepts" else 8):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port


def hosts(database, first):
    """The database's conninfo with another port before its own."""
    port = database.postgres.port
    return database.conninfo.replace(f"port={port}", f"port={first},{port}") \
        .replace("host=127.0.0.1", "host=127.0.0.1,127.0.0.1")


def count(database):
    try:
        return database.try_count("t")
    except psycopg2.Error:
        return 0


def test_the_first_host_is_silent(consumer, topics, database, silent):
    """The second one is reached within 15 s, again after a lost session."""
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=hosts(database, silent))
    for n in range(loops(1, 3)):
        begin = time.monotonic()
        topics.produce(topic, [b'{"n":%d}' % n])
        wait_for(lambda rows=n + 1: count(database) == rows, 25, "the row")
        assert time.monotonic() - begin < bound(15, 20)
        database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                       " WHERE application_name LIKE 'sluice%'")
    assert daemon.stop() < bound(1, 6)


def test_all_hosts_are_silent(consumer, topics, database, silent):
    """The loop turns meanwhile, and SIGTERM ends it at once."""
    daemon = consumer({**CONFIG, "topic": topics.create()},
                      conninfo=hosts(database, silent)
                      .replace(f",{database.postgres.port}", f",{silent}"))
    daemon.wait_healthy()
    assert daemon.metric("sluice_consumer_postgres_up") == 0
    if LONG:
        daemon.wait_log("could not connect: .*timeout expired", 40)
    assert daemon.stop() < bound(1, 6)


def test_a_resolver_that_never_answers(consumer, topics, database, directory,
                                       silent_resolver):
    """The loop turns meanwhile, and one thread waits, however often it
    tries; SIGTERM ends it at once."""
    program = directory / "isolated"
    words = "' '".join([*silent_resolver, str(CONSUMER)])
    program.write_text(f"#!/bin/sh\nexec '{words}' \"$@\"\n")
    program.chmod(0o755)
    daemon = consumer({**CONFIG, "topic": topics.create()}, start=False,
                      program=program, conninfo=database.conninfo.replace(
                          "127.0.0.1", "db.test")).start("--debug")
    daemon.wait_healthy()
    begin = time.monotonic()
    while time.monotonic() - begin < 3:
        asked = time.monotonic()
        assert daemon.metric("sluice_consumer_postgres_up") == 0
        assert time.monotonic() - asked < bound(0.5, 2)
    if LONG:
        daemon.wait_log("could not connect: no answer in time", 60)
        threads = procs.threads(daemon.pid)
        daemon.wait_log("PostgreSQL: connecting", 60, len(daemon.log()))
        assert procs.threads(daemon.pid) == threads
    assert daemon.stop() < bound(1, 6)
