"""PostgreSQL or Kafka away: waits, says so once, goes on by itself."""

import os
import signal
import time

import psycopg2
import pytest

from tests.lib import procs
from tests.lib.env import LONG, TEST_CONSUMER, loops, wait_for
from tests.lib.history import check_coverage

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "create_table": True,
    "batch": {"rows": 500, "linger": "5ms"},
    "columns": {
        "n": {"path": "/n", "type": "integer"},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}


def values(start, stop):
    return ['{"n":%d}' % n for n in range(start, stop)]


def count(database):
    try:
        return database.try_count("t")
    except psycopg2.Error:
        return 0


def away(daemon):
    """Alive, and saying that it waits for a server."""
    status, body = daemon.health()
    return status == 200 and not (body["kafka"] and body["postgres"])


def up(daemon):
    """Whether Kafka and PostgreSQL can be reached, as the metrics say."""
    return (daemon.metric("sluice_consumer_kafka_up"),
            daemon.metric("sluice_consumer_postgres_up"))


def check(database, topic, number):
    wait_for(lambda: count(database) >= number, 40, f"{number} rows")
    assert [row[0] for row in database.query("SELECT n FROM t ORDER BY n")] \
        == list(range(number))
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0
    check_coverage(database, "t", topic, "g")


def test_postgres_killed_and_back(own_postgres, own_database, consumer,
                                  topics):
    topic = topics.create(partitions=2)
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=own_database.conninfo)
    sent = 0
    for _ in range(loops(2, 20)):
        topics.produce(topic, values(sent, sent + 1000))
        wait_for(lambda s=sent: count(own_database) > s, 30, "rows come")
        own_postgres.kill()
        topics.produce(topic, values(sent + 1000, sent + 1500))
        wait_for(lambda: away(daemon), 10, "it says so")
        assert up(daemon) == (1, 0)
        sent += 1500
        own_postgres.start()
        begin = time.monotonic()
        wait_for(lambda s=sent: count(own_database) == s, 30, "back")
        assert time.monotonic() - begin < 8
        daemon.wait_healthy()
        assert up(daemon) == (1, 1)
    check(own_database, topic, sent)


def test_postgres_away_is_said_once(own_postgres, own_database, consumer,
                                    topics):
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=own_database.conninfo)
    topics.produce(topic, values(0, 10))
    wait_for(lambda: count(own_database) == 10, 30, "rows")
    before = len(daemon.log().splitlines())
    own_postgres.stop()
    topics.produce(topic, values(10, 20))
    wait_for(lambda: away(daemon), 10, "it says so")
    end = time.monotonic() + loops(4, 30)
    wait_for(lambda: time.monotonic() > end, 60, pause=0.1)
    said = daemon.log().splitlines()[before:]
    assert 1 <= len(said) <= 4, said
    # no busy loop
    assert procs.cpu_seconds(daemon.pid) < 3
    own_postgres.start()
    check(own_database, topic, 20)


def test_postgres_away_at_the_start(own_postgres, own_database, consumer,
                                    topics):
    topic = topics.create()
    topics.produce(topic, values(0, 10))
    own_postgres.stop()
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=own_database.conninfo)
    wait_for(lambda: away(daemon), 20, "it says so")
    own_postgres.start()
    check(own_database, topic, 10)


def test_backends_terminated_while_rows_flow(consumer, topics, database):
    topic = topics.create(partitions=2)
    topics.produce(topic, values(0, 20000))
    consumer({**CONFIG, "topic": topic})
    for _ in range(loops(6, 60)):
        before = count(database)
        database.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()")
        if before < 20000:
            wait_for(lambda b=before: count(database) > b, 30, "it goes on")
    check(database, topic, 20000)


@pytest.mark.parametrize("point", ["in-copy", "after-copy", "before-commit"])
def test_a_backend_terminated_in_the_transaction(consumer, topics, database,
                                                 point):
    """At a point where the daemon stands still, for certain."""
    database.query("CREATE TABLE t (n integer, part integer, off bigint)")
    topic = topics.create()
    # rows that no single send takes, and a bad one
    topics.produce(topic, ["bad"] + values(0, 20000))
    daemon = consumer({**CONFIG, "topic": topic,
                       "batch": {"rows": 5000, "linger": "1s"}},
                      program=TEST_CONSUMER, SLUICE_TEST_STOP=point)
    wait_for(lambda: procs.stopped(daemon.pid), 30, f"it stops at {point}")
    terminated = database.query(
        "SELECT state, pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND xact_start IS NOT NULL AND backend_type = 'client backend'")
    assert terminated == [("active" if point == "in-copy"
                           else "idle in transaction", True)]
    daemon.resume()
    wait_for(lambda: count(database) == 20000, 40, "it goes on")
    assert database.value("SELECT count(DISTINCT n) FROM t") == 20000
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 1
    assert daemon.metric("sluice_consumer_reconnects_total") == 1
    check_coverage(database, "t", topic, "g")


def test_a_lock_on_the_table_is_waited_for(consumer, topics, database):
    database.query("CREATE TABLE t (n integer, part integer, off bigint)")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 10))
    wait_for(lambda: count(database) == 10, 20, "rows")
    other = database.begin("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    topics.produce(topic, values(10, 20))
    wait_for(database.waits, 20, "it waits")
    if LONG:
        # beyond lock_timeout
        wait_for(lambda: daemon.metric("sluice_consumer_retries_total",
                                       'class="55"') > 0, 30, "55P03")
        assert "lock timeout" in daemon.log()
        assert daemon.health()[0] == 200
    other.rollback()
    other.close()
    check(database, topic, 20)
    assert daemon.alive()


def test_read_only_is_waited_for(consumer, topics, database):
    """A failover to a standby, or an operator's hand."""
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 10))
    wait_for(lambda: count(database) == 10, 20, "rows")
    database.query(f'ALTER DATABASE "{database.name}"'
                   " SET default_transaction_read_only = on")
    database.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()")
    topics.produce(topic, values(10, 20))
    wait_for(lambda: "read-only" in daemon.log(), 20, "it says so")
    database.query("SET default_transaction_read_only = off")
    database.query(f'ALTER DATABASE "{database.name}"'
                   " RESET default_transaction_read_only")
    check(database, topic, 20)


def test_kafka_killed_and_back(own_kafka, own_topics, consumer, database):
    topic = own_topics.create(partitions=2)
    daemon = consumer({**CONFIG, "topic": topic}, broker=own_kafka)
    sent = 0
    for _ in range(loops(1, 10)):
        own_topics.produce(topic, values(sent, sent + 1000))
        wait_for(lambda s=sent: count(database) == s + 1000, 30, "rows")
        before = len(daemon.log().splitlines())
        own_kafka.kill()
        wait_for(lambda: away(daemon) or "were revoked" in daemon.log(), 20,
                 "it says so")
        wait_for(lambda: up(daemon) == (0, 1), 20, "the metrics say so")
        own_kafka.start()
        own_topics.produce(topic, values(sent + 1000, sent + 1500))
        sent += 1500
        wait_for(lambda s=sent: count(database) == s, 40, "back")
        daemon.wait_healthy()
        wait_for(lambda: up(daemon) == (1, 1), 20, "and that it is back")
        assert len(daemon.log().splitlines()) - before <= 10
    check(database, topic, sent)


def test_kafka_paused_past_the_session(own_kafka, own_topics, consumer,
                                       database):
    topic = own_topics.create(partitions=2)
    consumer({**CONFIG, "topic": topic,
              "kafka": {"session.timeout.ms": "1000",
                        "heartbeat.interval.ms": "200"}}, broker=own_kafka)
    own_topics.produce(topic, values(0, 100))
    wait_for(lambda: count(database) == 100, 30, "rows")
    own_kafka.pause()
    end = time.monotonic() + loops(3, 60)
    wait_for(lambda: time.monotonic() > end, 90, pause=0.1)
    own_kafka.resume()
    own_topics.produce(topic, values(100, 200))
    check(database, topic, 200)


def test_kafka_away_at_the_start(own_kafka, own_topics, consumer, database):
    topic = own_topics.create()
    own_topics.produce(topic, values(0, 10))
    own_kafka.kill()
    daemon = consumer({**CONFIG, "topic": topic}, broker=own_kafka)
    wait_for(lambda: away(daemon), 20, "it says so")
    own_kafka.start()
    check(database, topic, 10)


def test_both_away_and_sigterm_still_ends(own_kafka, own_topics, consumer,
                                          own_postgres, own_database):
    topic = own_topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, broker=own_kafka,
                      conninfo=own_database.conninfo)
    own_topics.produce(topic, values(0, 10))
    wait_for(lambda: count(own_database) == 10, 30, "rows")
    own_postgres.stop()
    os.kill(own_kafka.pid, signal.SIGSTOP)
    wait_for(lambda: away(daemon), 20, "it says so")
    assert daemon.stop(timeout=20) < 15
    own_kafka.resume()
    own_postgres.start()
