"""A session with PostgreSQL goes silent: no reset, no refusal, packets are
dropped.  A standby on this side becomes the primary."""

import json
import re
import time

import pytest

from tests.faults.test_consumer_failover import BACK, count, grows
from tests.lib import procs
from tests.lib.env import CONSUMER, TEST_CONSUMER, bound, free_port, wait_for
from tests.lib.numbered import CONFIG, Sender, check, value
from tests.lib.standby import FarPrimary, One, Standby

SILENT = "does not acknowledge what is sent"
BATCH = {"rows": 2000, "linger": "60s"}


@pytest.fixture
def far(network, directory):
    """A primary on the other side, on the port that the standby has here."""
    made = FarPrimary(network, directory / "postgres-far", free_port())
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def near(far, directory):
    made = Standby(directory / "postgres-near", port=far.port)
    try:
        yield made.follow(far)
    finally:
        made.stop()


@pytest.fixture
def after(near):
    made = One(near)
    yield made
    made.close()


def conninfo(*names, port):
    return (f"host={','.join(names)} port={port} dbname=sluice user=sluice"
            " target_session_attrs=read-write")


@pytest.mark.parametrize("way", [("input", "output"), ("output",)],
                         ids=["both ways", "back"])
@pytest.mark.parametrize("point", ["in-copy", "before-commit"])
def test_a_session_is_cut_at_work(network, far, near, after, consumer, topics,
                                  point, way):
    """COPY or COMMIT gets no further; or it arrives, and no word comes back."""
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "batch": BATCH},
                      program=TEST_CONSUMER, SLUICE_TEST_STOP=f"{point}:2",
                      conninfo=conninfo(network.far, "127.0.0.1",
                                        port=far.port))
    topics.produce(topic, [value(n) for n in range(6000)])
    wait_for(lambda: procs.stopped(daemon.pid), 30, "it is at work")
    with network.rule("drop", way):
        near.promote()
        begin = time.monotonic()
        daemon.resume()
        wait_for(lambda: count(after) == 6000, 60, "all rows")
        assert time.monotonic() - begin < BACK
        assert SILENT in daemon.log()
        far.die()
    check(after, topic, 6000)


def test_an_idle_session_is_cut(network, far, near, after, consumer, topics):
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, conninfo=conninfo(
        network.far, "127.0.0.1", port=far.port))
    topics.produce(topic, [value(n) for n in range(100)])
    wait_for(lambda: count(after) == 100, 30, "rows")
    with network.rule("drop"):
        near.promote()
        begin = time.monotonic()
        daemon.wait_log(SILENT, 20)
        assert time.monotonic() - begin < bound(8, 12)
        topics.produce(topic, [value(n) for n in range(100, 200)])
        wait_for(lambda: count(after) == 200, 30, "rows")
        assert time.monotonic() - begin < BACK
        far.die()
    check(after, topic, 200)


def test_two_silent_hosts_before_the_primary(network, far, near, after,
                                             consumer, topics):
    """Each costs 4 s."""
    topic = topics.create()
    with network.rule("drop"):
        near.promote()
        daemon = consumer({**CONFIG, "topic": topic}, conninfo=conninfo(
            network.far, network.far, "127.0.0.1", port=far.port))
        begin = time.monotonic()
        topics.produce(topic, [value(n) for n in range(100)])
        wait_for(lambda: count(after) == 100, 30, "rows")
        assert time.monotonic() - begin < BACK
        assert daemon.stop() < bound(1, 6)
        far.die()
    check(after, topic, 100)


def test_a_host_name_that_moved(network, far, near, after, directory,
                                consumer, topics):
    """A name is looked up for each connection."""
    names, program = directory / "hosts", directory / "named"
    names.write_text(f"{network.far} db.test\n")
    program.write_text(
        "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind"
        f" {names} /etc/hosts && exec \"$@\"' sh {CONSUMER} \"$@\"\n")
    program.chmod(0o755)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, program=program,
                      conninfo=conninfo("db.test", port=far.port))
    sender = Sender(topics, topic)
    sender.start()
    grows(after, 500)
    with network.rule("drop"):
        near.promote()
        names.write_text("127.0.0.1 db.test\n")
        assert grows(after, 500) < BACK
        far.die()
        # what looks at the offsets has no other names
        daemon.file.write_text(json.dumps({
            **json.loads(daemon.file.read_text()),
            "postgres": conninfo("127.0.0.1", port=far.port)}))
    check(after, topic, sender.end())


def test_a_server_that_takes_no_bytes_is_not_silent(consumer, topics,
                                                    database):
    """A trigger waits, the connection is full, and the host acknowledges the
    probes: the session stays."""
    database.query("""CREATE TABLE t (n integer, body bytea, part integer,
                                      off bigint);
        CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END';
        CREATE TRIGGER waits BEFORE INSERT ON t FOR EACH ROW
        EXECUTE FUNCTION waits()""")
    other = database.begin("SELECT pg_advisory_xact_lock(1)")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "batch": {
        "rows": 8000, "bytes": "64m", "linger": "60s"}})
    topics.produce(topic, ['{"n":%d,"pad":"%s"}' % (n, "x" * 3000)
                           for n in range(8000)])
    wait_for(lambda: database.waits(10), 40, "a row waits for 10 s")
    other.rollback()
    other.close()
    wait_for(lambda: database.try_count("t") == 8000, 60, "rows")
    assert not re.search(f"{SILENT}|PostgreSQL is away", daemon.log())
    daemon.verify()
