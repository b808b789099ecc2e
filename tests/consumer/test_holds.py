"""Faults that are not the row's: held, said, nothing lost, gone on with."""

import json

import pytest

from tests.lib import web
from tests.lib.env import wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "batch": {"linger": "5ms"},
    "columns": {
        "n": {"path": "/n", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}

pytestmark = pytest.mark.usefixtures("proved")


def values(start, stop):
    return ['{"n":%d}' % n for n in range(start, stop)]


def numbers(database):
    return [row[0] for row in database.query("SELECT n FROM t ORDER BY n")]


def assert_held(daemon, word):
    body = daemon.wait_held()
    assert word in " ".join(map(str, body.values())), body
    ready = web.request(daemon.port, "GET", "/readyz", timeout=5)
    assert ready.status == 503
    assert ready.json["state"] == "held" and word in ready.json["reason"]
    assert daemon.metric("sluice_consumer_held") == 1
    assert daemon.metric("sluice_consumer_ready") == 0
    assert word in daemon.log()


def assert_goes_on(daemon, database, count):
    wait_for(lambda: database.try_count("t") == count, 30, "it goes on")
    assert numbers(database) == list(range(count))
    daemon.wait_healthy()
    assert daemon.metric("sluice_consumer_held") == 0
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0


def test_a_missing_table_holds_until_it_is_there(consumer, topics, database):
    topic = topics.create()
    topics.produce(topic, values(0, 20))
    daemon = consumer({**CONFIG, "topic": topic})
    assert_held(daemon, '"t"')
    database.query("CREATE TABLE t (n integer, off bigint)")
    assert_goes_on(daemon, database, 20)


@pytest.mark.parametrize("breaks, mends, word", [
    ("DROP TABLE t", "CREATE TABLE t (n integer, off bigint)",
     '"public.t"'),
    ("ALTER TABLE t RENAME COLUMN n TO m",
     "ALTER TABLE t RENAME COLUMN m TO n", '"n"'),
    ("ALTER TABLE t RENAME TO other", "ALTER TABLE other RENAME TO t",
     '"public.t"'),
])
def test_a_table_that_changes_under_the_daemon_holds(consumer, topics,
                                                     database, breaks, mends,
                                                     word):
    database.query("CREATE TABLE t (n integer, off bigint)")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 10))
    wait_for(lambda: database.try_count("t") == 10, 20, "10 rows")
    database.query("CREATE TABLE saved AS SELECT * FROM t")
    database.query(breaks)
    topics.produce(topic, values(10, 20))
    assert_held(daemon, word)
    database.query(mends)
    if breaks.startswith("DROP"):
        database.query("INSERT INTO t SELECT * FROM saved")
    assert_goes_on(daemon, database, 20)


def test_permission_revoked_holds_until_granted(consumer, topics, database):
    database.query("CREATE TABLE t (n integer, off bigint)")
    role = database.role()
    database.query(f'GRANT CREATE ON DATABASE "{database.name}" TO "{role}"')
    database.query(f'GRANT INSERT ON t TO "{role}"')
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=database.postgres.conninfo(database.name,
                                                          role))
    topics.produce(topic, values(0, 10))
    wait_for(lambda: database.try_count("t") == 10, 20, "10 rows")
    database.query(f'REVOKE INSERT ON t FROM "{role}"')
    topics.produce(topic, values(10, 20))
    assert_held(daemon, "permission denied")
    database.query(f'GRANT INSERT ON t TO "{role}"')
    assert_goes_on(daemon, database, 20)
    database.query(f'DROP OWNED BY "{role}" CASCADE')


def test_no_partition_for_a_row_holds(consumer, topics, database):
    """The row is fine; an operator forgot next month's partition."""
    database.query("CREATE TABLE t (n integer, off bigint)"
                   " PARTITION BY RANGE (n)")
    database.query("CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0)"
                   " TO (10)")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 20))
    assert_held(daemon, "no partition")
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0
    database.query("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (10)"
                   " TO (100)")
    assert_goes_on(daemon, database, 20)


def refuse(database, message, sqlstate):
    """Makes a table that refuses each row.  The sequence "tries" counts how
    often, as no rollback takes it back."""
    database.query("CREATE TABLE t (n integer, off bigint)")
    database.query("CREATE SEQUENCE tries")
    database.query(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" PERFORM nextval('tries'); RAISE EXCEPTION '{message}' USING"
        f" ERRCODE = '{sqlstate}'; END $$")
    database.query("CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW"
                   " EXECUTE FUNCTION no()")


def test_a_hold_is_said_once(consumer, topics, database):
    refuse(database, "not now", "42501")
    topic = topics.create()
    topics.produce(topic, values(0, 20))
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.value("SELECT last_value FROM tries") > 2, 30,
             "tries")
    assert_held(daemon, "not now")
    assert daemon.log().count("holding, nothing is skipped") == 1
    assert daemon.log().count("not now") == 1
    database.query("DROP TRIGGER no ON t")
    assert_goes_on(daemon, database, 20)
    assert daemon.log().count("going on: ") == 1


def test_a_server_that_asks_one_that_is_away_is_told_once(
        consumer, topics, database):
    """As of a foreign table, or of a node: a new session does not help, and
    waits grow until a batch is stored."""
    refuse(database, "no node", "08001")
    topic = topics.create()
    topics.produce(topic, values(0, 20))
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.value("SELECT last_value FROM tries") > 4, 30,
             "tries")
    assert "no node" in daemon.health()[1]["reason"]
    assert daemon.log().count("PostgreSQL is away") == 1
    assert "going on" not in daemon.log()
    database.query("DROP TRIGGER no ON t")
    assert_goes_on(daemon, database, 20)
    assert daemon.log().count("going on: ") == 1


def test_a_topic_deleted_and_created_again_holds_and_names_the_range(
        consumer, topics, database):
    database.query("CREATE TABLE t (n integer, off bigint)")
    topic = topics.create()
    config = {**CONFIG, "topic": topic}
    daemon = consumer(config)
    topics.produce(topic, values(0, 20))
    wait_for(lambda: database.try_count("t") == 20, 20, "20 rows")
    daemon.stop()
    topics.delete(topic)
    topics.create(name=topic)
    # filled past the stored offset: nothing but the last record differs
    topics.produce(topic, values(100, 150))
    daemon.start()
    body = json.dumps(daemon.wait_held())
    assert topic in body or topic in daemon.log()
    assert "20" in body + daemon.log(), "the offset is named"
    assert numbers(database) == list(range(20)), "nothing is skipped into"


@pytest.mark.parametrize("again", ["at once", "later"])
def test_a_topic_recreated_under_the_daemon_holds(consumer, topics,
                                                   database, again):
    """Filled past the stored offset, where librdkafka would continue."""
    database.query("CREATE TABLE t (n integer, off bigint)")
    database.query("CREATE TABLE u (n integer, off bigint)")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 20))
    wait_for(lambda: database.try_count("t") == 20, 20, "20 rows")
    if again == "later":
        topics.delete(topic)
        wait_for(lambda: "Unknown topic" in daemon.health()[1]["reason"], 30,
                 "it says so")
        assert topic in daemon.health()[1]["reason"]
        assert "Unknown topic" in daemon.log()
        assert daemon.health()[0] == 200
        assert web.request(daemon.port, "GET", "/readyz").status == 503
    else:
        topics.admin.delete_topics([topic])[topic].result(20)
    assert database.value("SELECT next_offset FROM sluice.offsets") == 20
    topics.create(name=topic)
    topics.produce(topic, values(100, 150))
    reason = daemon.wait_held()["reason"]
    assert "0 to 19 would be skipped" in reason
    assert "offsets reset" in reason
    assert numbers(database) == list(range(20))
    assert database.value("SELECT next_offset FROM sluice.offsets") == 20
    daemon.stop()
    code, said = daemon.run("offsets", "reset", "--to-earliest", "--into",
                            "u")
    assert code == 0, said
    consumer({**CONFIG, "topic": topic, "table": "u"})
    wait_for(lambda: database.try_count("u") == 50, 20, "50 rows")
    assert database.query("SELECT n FROM u ORDER BY off") \
        == [(n,) for n in range(100, 150)]
    assert numbers(database) == list(range(20))


def test_a_topic_recreated_and_shorter_holds(consumer, topics, database):
    database.query("CREATE TABLE t (n integer, off bigint)")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 20))
    wait_for(lambda: database.try_count("t") == 20, 20, "20 rows")
    daemon.stop()
    topics.delete(topic)
    topics.create(name=topic)
    topics.produce(topic, values(100, 105))
    daemon.start()
    daemon.wait_held()
    assert "20" in daemon.log()
    assert numbers(database) == list(range(20))


def test_retention_passing_the_offset_names_the_lost_range(
        consumer, topics, database):
    database.query("CREATE TABLE t (n integer, off bigint)")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 20))
    wait_for(lambda: database.try_count("t") == 20, 20, "20 rows")
    daemon.stop()
    topics.produce(topic, values(20, 60))
    topics.remove(topic, 45)
    daemon.start()
    said = json.dumps(daemon.wait_held()) + daemon.log()
    # the exact range: 20 to 44
    assert "20" in said and ("44" in said or "45" in said), said
    assert numbers(database) == list(range(20))


def test_an_existing_topic_that_has_gone_waits(consumer, topics, database):
    database.query("CREATE TABLE t (n integer, off bigint)")
    topic = topics.name()
    daemon = consumer({**CONFIG, "topic": topic})
    daemon.wait_log(topic)
    assert daemon.alive()
    topics.create(name=topic)
    topics.produce(topic, values(0, 5))
    assert_goes_on(daemon, database, 5)
