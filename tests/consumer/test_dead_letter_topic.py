"""Dead letters in a topic as well: all of them, before the commit."""

import pytest

from tests.lib import procs
from tests.lib.env import LONG, TEST_CONSUMER, wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "columns": {"id": {"path": "/id", "type": "integer"}},
    "kafka": {"session.timeout.ms": "1000", "heartbeat.interval.ms": "200"},
}


def dead_ones(database):
    return database.try_count("sluice.dead_letters")


@pytest.mark.parametrize("store", ["all", "reason"])
def test_it_arrives_as_it_was_with_where_and_why(consumer, topics, database,
                                                 store):
    """Whether the daemon or PostgreSQL found it."""
    database.query("CREATE TABLE t (id integer CHECK (id < 10))")
    topic, dead = topics.create(), topics.create(partitions=2)
    own = [("a", b"1"), ("a", b"\x00\xff"), ("none", None), ("empty", b"")]
    topics.produce(topic, ['{"id":1}', (b"k\xff", b"\x00bad", 0, own),
                           '{"id":2}', ("key", '{"id":10}'), '{"id":3}'],
                   timestamp=1769857200123)
    daemon = consumer({**CONFIG, "topic": topic,
                       "dead_letters": {"topic": dead, "store": store}})
    wait_for(lambda: dead_ones(database) == 2, 20, "dead letters")
    assert [row[0] for row in database.query("SELECT id FROM t ORDER BY 1")] \
        == [1, 2, 3]

    found = {dict(r.headers)["sluice-offset"]: r for r in topics.records(dead)}
    assert set(found) == {b"1", b"3"}
    for offset, key, value, headers in (
            (1, b"k\xff", b"\x00bad", own), (3, b"key", b'{"id":10}', [])):
        record = found[b"%d" % offset]
        state, reason = database.query(
            "SELECT sqlstate, reason FROM sluice.dead_letters"
            f' WHERE "offset" = {offset}')[0]
        why = [("sluice-topic", topic.encode()), ("sluice-partition", b"0"),
               ("sluice-offset", b"%d" % offset),
               ("sluice-timestamp", b"1769857200123"),
               ("sluice-sqlstate", state.encode()),
               ("sluice-reason", reason.encode())]
        if store == "all":
            assert (record.key, record.value) == (key, value)
            assert list(record.headers) == headers + why
        else:
            assert (record.key, record.value) == (None, None)
            assert list(record.headers) == why
    assert daemon.health()[0] == 200


def test_many_at_once_and_none_too_few(consumer, topics, database):
    """More than the producer takes at a time."""
    topic, dead = topics.create(), topics.create(partitions=3)
    database.query("CREATE TABLE t (id integer)")
    topics.produce(topic, ["bad"] * 25000 + ['{"id":1}'])
    consumer({**CONFIG, "topic": topic, "batch": {"linger": "1s"},
              "dead_letters": {"topic": dead, "hold_above": 1}})
    wait_for(lambda: database.try_count("t") == 1, 40, "the row behind them")
    assert dead_ones(database) == 25000
    offsets = {dict(r.headers)["sluice-offset"] for r in topics.records(dead)}
    assert offsets == {b"%d" % n for n in range(25000)}


def test_a_topic_that_is_missing_holds_until_it_is_made(consumer, topics,
                                                        database):
    topic, dead = topics.create(), topics.name()
    database.query("CREATE TABLE t (id integer)")
    topics.produce(topic, ['{"id":1}', "bad", '{"id":2}'])
    daemon = consumer({**CONFIG, "topic": topic,
                       "dead_letters": {"topic": dead}})
    code, said = daemon.run("--check")
    assert code == 1 and dead in said, said
    assert dead in str(daemon.wait_held())
    daemon.wait_log("of \"dead_letters.topic\" does not exist")
    assert database.try_count("t") == 0
    assert topics.partitions(dead) == 0
    topics.create(name=dead)
    wait_for(lambda: dead_ones(database) == 1, 30, "the dead letter")
    assert topics.count(dead) >= 1
    assert database.value("SELECT count(*) FROM t") == 2
    daemon.wait_healthy()
    code, said = daemon.run("--check")
    assert code == 0 and f'topic "{dead}" with 1 partitions' in said, said
    daemon.verify()


def test_too_large_for_the_topic_holds(consumer, topics, database):
    topic = topics.create()
    dead = topics.create(config={"max.message.bytes": "2000"})
    database.query("CREATE TABLE t (id integer)")
    topics.produce(topic, ['{"id":1}', "bad" * 1000])
    daemon = consumer({**CONFIG, "topic": topic,
                       "dead_letters": {"topic": dead}})
    assert "too large" in str(daemon.wait_held())
    assert database.try_count("t") == 0


def test_killed_before_the_commit_it_comes_again(consumer, topics, database):
    """Once in the table, at least once in the topic."""
    topic, dead = topics.create(), topics.create()
    database.query("CREATE TABLE t (id integer)")
    topics.produce(topic, ['{"id":1}', "bad", '{"id":2}'])
    daemon = consumer({**CONFIG, "topic": topic,
                       "dead_letters": {"topic": dead}},
                      program=TEST_CONSUMER,
                      SLUICE_TEST_STOP="before-commit")
    wait_for(lambda: procs.stopped(daemon.pid), 20, "it stops")
    assert topics.count(dead) == 1
    assert dead_ones(database) == 0
    daemon.kill()
    daemon.environment.clear()
    daemon.start()
    wait_for(lambda: dead_ones(database) == 1, 30, "the dead letter")
    assert [row[0] for row in database.query("SELECT id FROM t ORDER BY 1")] \
        == [1, 2]
    assert [r.value for r in topics.records(dead)] == [b"bad", b"bad"]
    daemon.verify()


@pytest.mark.skipif(not LONG, reason="only in make faults")
@pytest.mark.parametrize("session", ["stays", "ends"])
def test_kafka_goes_away_before_it_arrives(consumer, own_kafka, own_topics,
                                           database, session):
    """The transaction does not outlast its wait, and is done again."""
    topic, dead = own_topics.create(), own_topics.create()
    database.query("CREATE TABLE t (id integer)")
    own_topics.produce(topic, ['{"id":1}', "bad", '{"id":2}'])
    daemon = consumer({**CONFIG, "topic": topic,
                       "dead_letters": {"topic": dead}},
                      broker=own_kafka, program=TEST_CONSUMER,
                      SLUICE_TEST_STOP="after-copy")
    wait_for(lambda: procs.stopped(daemon.pid), 20, "it stops")
    own_kafka.kill()
    daemon.resume()
    if session == "ends":
        wait_for(lambda: database.value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state ="
            " 'idle in transaction' AND query LIKE '%dead_letters%'"), 10)
        daemon.wait_log("PostgreSQL is away")
    else:
        daemon.wait_log("trying again: could not produce dead letters")
    assert dead_ones(database) == 0
    own_kafka.start()
    wait_for(lambda: dead_ones(database) == 1, 60, "the dead letter")
    assert database.value("SELECT count(*) FROM t") == 2
    assert own_topics.count(dead) >= 1
    daemon.verify()


def test_a_topic_that_feeds_itself_is_refused(consumer):
    daemon = consumer({**CONFIG, "topic": "t", "dead_letters": {"topic": "t"}},
                      start=False)
    code, said = daemon.run("--check")
    assert code != 0
    assert '"dead_letters.topic" cannot be "topic"' in said
