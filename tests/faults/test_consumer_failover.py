"""Another PostgreSQL becomes the primary: which commits it has, and which
server is meant."""

import socket
import threading
import time

import psycopg2
import pytest

from tests.lib import procs
from tests.lib.env import LONG, TEST_CONSUMER, bound, wait_for
from tests.lib.numbered import CONFIG, Sender, check, value
from tests.lib.standby import One, Primary, Standby, hosts

# seconds from the last failure until rows are stored again
BACK = bound(15, 30)


@pytest.fixture
def pair(directory):
    server = Primary(directory / "postgres-primary")
    standby = Standby(directory / "postgres-standby")
    yield server.start(), standby.follow(server)
    for one in (server, standby):
        one.stop()


@pytest.fixture
def both(pair):
    """Their databases."""
    made = [One(one) for one in pair]
    yield made
    for one in made:
        one.close()


def count(database):
    try:
        return database.try_count("t")
    except psycopg2.Error:
        return 0


def grows(database, more, timeout=60):
    """Until so many more rows are there; how long it took."""
    begin, before = time.monotonic(), count(database)
    wait_for(lambda: count(database) >= before + more, timeout,
             f"more than {before} rows")
    return time.monotonic() - begin


def test_a_standby_that_lags_is_followed(pair, both, consumer, topics):
    """What the old primary had alone is read from Kafka again."""
    server, standby = pair
    before, after = both
    topic = topics.create(partitions=2)
    # the standby is the first one: it is passed over while it only reads
    daemon = consumer({**CONFIG, "topic": topic, "batch": {"rows": 100}},
                      conninfo=hosts(standby, server))
    sender = Sender(topics, topic)
    sender.start()
    grows(after, 500)
    standby.lag()
    grows(before, 500)
    daemon.pause()
    stored = count(before)
    before.close()
    server.die()
    standby.promote()
    assert count(after) < stored - 400, "the standby lacks rows"
    daemon.resume()
    assert grows(after, 200) < BACK
    daemon.wait_log("no longer has what it committed of offsets")
    check(after, topic, sender.end())


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("point", ["before-commit", "after-commit"])
def test_a_failover_in_the_middle_of_commit(pair, both, consumer, topics,
                                            point, sync):
    """COMMIT is sent to a server that is stopped; or it is done there, and
    nobody hears of that and the standby lacks it.  With a synchronous standby
    it waits for it."""
    server, standby = pair
    before, after = both
    if sync:
        server.set(synchronous_standby_names="*")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic,
                       "batch": {"rows": 200, "linger": "60s"}},
                      program=TEST_CONSUMER, conninfo=hosts(server, standby),
                      start=False).start("--debug",
                                         SLUICE_TEST_STOP=f"{point}:3")
    topics.produce(topic, [value(n) for n in range(400)])
    wait_for(lambda: count(after) == 400, 30, "two batches")
    standby.lag()
    topics.produce(topic, [value(n) for n in range(400, 1000)])
    wait_for(lambda: procs.stopped(daemon.pid), 30, "COMMIT is due")
    if point == "before-commit":
        server.freeze()
        daemon.resume()
        # beside the two batches before
        wait_for(lambda: daemon.log().count("COMMIT is sent") == 3, 10,
                 "COMMIT is sent")
    elif sync:
        wait_for(lambda: before.value(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event ="
            " 'SyncRep'"), 10, "COMMIT waits")
    else:
        wait_for(lambda: count(before) == 600, 10, "it is committed")
    daemon.pause()
    before.close()
    server.die()
    standby.promote()
    assert count(after) == 400
    begin = time.monotonic()
    daemon.resume()
    wait_for(lambda: count(after) == 1000, 60, "all rows")
    assert time.monotonic() - begin < BACK
    check(after, topic, 1000)


def test_commit_waits_for_a_synchronous_standby(pair, both, consumer,
                                                topics):
    """Health says so, nothing is given up meanwhile, and it goes on."""
    server, standby = pair
    _, after = both
    server.set(synchronous_standby_names="*")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, program=TEST_CONSUMER,
                      conninfo=hosts(server, standby),
                      SLUICE_TEST_TIMES="1" if LONG else "5")
    topics.produce(topic, [value(n) for n in range(400)])
    wait_for(lambda: count(after) == 400, 30, "rows")
    standby.lag()
    topics.produce(topic, [value(n) for n in range(400, 1000)])
    daemon.wait_held(60, "a synchronous standby")
    if LONG:
        # the try is over, and the claim waits as well
        daemon.wait_log("no answer in time.*synchronous standby", 120)
        daemon.wait_held(60, "a synchronous standby")
    standby.catch_up()
    wait_for(lambda: count(after) == 1000, 60, "all rows")
    daemon.wait_healthy()
    server.set(synchronous_standby_names="")
    check(both[0], topic, 1000)


def test_a_server_that_only_reads_is_said_and_waited_for(
        pair, both, consumer, topics):
    """Without "target_session_attrs" the standby is taken for the server."""
    server, standby = pair
    _, after = both
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=hosts(standby, attrs=None))
    topics.produce(topic, [value(n) for n in range(100)])
    daemon.wait_held(30, "25006")
    server.die()
    standby.promote()
    begin = time.monotonic()
    wait_for(lambda: count(after) == 100, 60, "rows")
    assert time.monotonic() - begin < BACK
    check(after, topic, 100)


def test_what_kafka_no_longer_has_is_named(pair, both, consumer, topics):
    """The standby lacks rows, and Kafka removed their records."""
    server, standby = pair
    before, after = both
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=hosts(server, standby))
    topics.produce(topic, [value(n) for n in range(200)])
    wait_for(lambda: count(after) == 200, 30, "rows")
    standby.lag()
    topics.produce(topic, [value(n) for n in range(200, 500)])
    wait_for(lambda: count(before) == 500, 30, "more rows")
    topics.remove(topic, 450)
    before.close()
    server.die()
    standby.promote()
    daemon.wait_held(30, "retention removed offsets 200 to 449")
    assert count(after) == 200
    assert daemon.health()[1]["reason"].startswith(f'topic "{topic}"')


class StartingUp(threading.Thread):
    """A server that is not ready for connections yet."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.asked = 0

    def run(self):
        said = b"".join(one + b"\0" for one in (
            b"SFATAL", b"VFATAL", b"C57P03",
            b"Mthe database system is starting up", b""))
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                if client.recv(4096)[4:8] == b"\x04\xd2\x16\x2f":   # SSL?
                    client.sendall(b"N")
                    client.recv(4096)
                client.sendall(
                    b"E" + (len(said) + 4).to_bytes(4, "big") + said)
                self.asked += 1


def test_a_server_that_starts_up_is_passed_over(consumer, topics, database):
    """And waited for where there is no other."""
    starting = StartingUp()
    starting.start()
    topic = topics.create()
    alone = consumer({**CONFIG, "group": "alone", "topic": topic},
                     conninfo=database.conninfo.replace(
                         f"port={database.postgres.port}",
                         f"port={starting.port}"))
    alone.wait_log("PostgreSQL is away, waiting: .*starting up")
    assert alone.health()[0] == 200
    consumer({**CONFIG, "topic": topic}, conninfo=database.conninfo.replace(
        f"port={database.postgres.port}",
        f"port={starting.port},{database.postgres.port}")
        .replace("host=127.0.0.1", "host=127.0.0.1,127.0.0.1"))
    topics.produce(topic, [value(n) for n in range(100)])
    check(database, topic, 100)
    assert starting.asked > 1
    starting.listener.close()


def test_two_primaries_are_each_whole(pair, both, consumer, topics):
    """The old primary is back and takes writes.  A daemon stays where it is;
    one that starts takes the first that writes.  Each database has its rows
    with its offsets, so the one that is kept is completed from Kafka."""
    server, standby = pair
    before, after = both
    topic = topics.create(partitions=2)
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=hosts(server, standby))
    sender = Sender(topics, topic)
    sender.start()
    grows(after, 500)
    before.close()
    server.die()
    standby.promote()
    grows(after, 200)
    server.start()
    stale = count(before)
    grows(after, 500)
    assert count(before) == stale, "it has not moved"
    daemon.stop()
    daemon.start()
    grows(before, 500)
    stale = count(after)
    assert before.value("SELECT count(*) - count(DISTINCT n) FROM t") == 0
    before.close()
    server.die()
    assert count(after) == stale
    assert grows(after, 500) < BACK
    check(after, topic, sender.end())
