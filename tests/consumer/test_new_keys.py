"""Rows of new keys are copied into the table itself, at no risk."""

import json
import time

import pytest

from tests.lib.env import wait_for
from tests.lib.history import wait_accounted

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "mode": "upsert",
    "key": ["id"], "batch": {"linger": "5ms"},
    "columns": {"id": {"path": "/id", "type": "integer"}, "v": "/v"},
}
TABLE = "CREATE TABLE t (id integer PRIMARY KEY, v text)"

# counts the temporary tables made, those of failed transactions, too
COUNTED = ("CREATE SEQUENCE staged;"
           "CREATE FUNCTION count_staged() RETURNS event_trigger"
           " LANGUAGE plpgsql AS"
           " $$BEGIN PERFORM nextval('public.staged'); END$$;"
           "CREATE EVENT TRIGGER staged ON ddl_command_start WHEN TAG IN"
           " ('CREATE TABLE AS') EXECUTE FUNCTION count_staged()")


def event(ident, v="v"):
    return json.dumps({"id": ident, "v": v})


def staged(database):
    return database.value("SELECT CASE WHEN is_called THEN last_value ELSE 0"
                          " END FROM staged")


def begin(database, statement):
    """Another session's transaction."""
    session = database.postgres.connect(database.name)
    session.autocommit = False
    session.cursor().execute(statement)
    return session


def wait_waiting(database):
    wait_for(lambda: database.value(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database()"), 20, "the daemon waits")


def store(database, topics, topic, records):
    topics.produce(topic, records)
    wait_accounted(database, topics.count(topic))


@pytest.mark.parametrize("other", ["integer", "inet"])
@pytest.mark.parametrize("mode", ["ignore", "upsert", "upsert_delete"])
def test_only_what_meets_is_staged(consumer, topics, database, mode, other):
    """As tuples, and as text where a type has none."""
    database.query(f"{TABLE};ALTER TABLE t ADD w {other};{COUNTED}")
    topic = topics.create()
    consumer({**CONFIG, "topic": topic, "mode": mode,
              "batch": {"rows": 1},
              "columns": {**CONFIG["columns"], "w": "/w"}})
    store(database, topics, topic, [event(n) for n in range(10)])
    assert staged(database) == 0
    # one that is there; then new ones go the longer way for a while
    store(database, topics, topic, [event(3, "again")])
    store(database, topics, topic, [event(n) for n in range(10, 160)])
    assert staged(database) == 100
    if mode == "upsert_delete":
        store(database, topics, topic, [("5", None)])
        assert staged(database) == 101
        assert database.value("SELECT count(*) FROM t WHERE id = 5") == 0
    assert database.value("SELECT v FROM t WHERE id = 3") \
        == ("v" if mode == "ignore" else "again")
    assert database.value("SELECT count(*) FROM t") \
        == (159 if mode == "upsert_delete" else 160)
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0


@pytest.mark.parametrize("makes", [
    TABLE + ";CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN NEW; END';"
    "CREATE TRIGGER f AFTER UPDATE ON t EXECUTE FUNCTION f()",
    "CREATE TABLE t (id integer UNIQUE, v text)",
    "CREATE TABLE made (id integer PRIMARY KEY, v text);"
    "CREATE VIEW t AS SELECT * FROM made",
], ids=["trigger", "key that may be null", "view"])
def test_what_could_tell_the_two_apart_is_staged(consumer, topics, database,
                                                 makes):
    database.query(makes + ";" + COUNTED)
    topic = topics.create()
    consumer({**CONFIG, "topic": topic})
    store(database, topics, topic, [event(1), event(2)])
    assert staged(database) > 0
    assert database.value("SELECT count(*) FROM t") == 2


@pytest.mark.parametrize("mode", ["ignore", "upsert"])
def test_a_key_whose_index_goes_holds(consumer, topics, database, mode):
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "mode": mode})
    store(database, topics, topic, [event(1), event(2)])
    database.query("ALTER TABLE t DROP CONSTRAINT t_pkey")
    topics.produce(topic, [event(2), event(3)])
    assert "unique" in daemon.wait_held()["reason"]
    assert database.value("SELECT count(*) FROM t") == 2
    database.query("ALTER TABLE t ADD PRIMARY KEY (id)")
    wait_accounted(database, 4)
    assert database.query("SELECT id FROM t ORDER BY 1") == [(1,), (2,), (3,)]


def test_it_gives_way_before_there_is_a_deadlock(consumer, topics, database):
    """Keys come as 9, 1; another session adds 1 and then 9."""
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    store(database, topics, topic, [event(5)])
    session = begin(database, "INSERT INTO t VALUES (1, 'theirs')")
    topics.produce(topic, [event(9, "ours"), event(1, "ours")])
    wait_waiting(database)
    session.cursor().execute("INSERT INTO t VALUES (9, 'theirs')")
    session.commit()
    session.close()
    wait_accounted(database, 3)
    assert database.query("SELECT id, v FROM t ORDER BY id") \
        == [(1, "ours"), (5, "v"), (9, "ours")]
    assert database.value("SELECT deadlocks FROM pg_stat_database"
                          " WHERE datname = current_database()") == 0
    assert "deadlock" not in daemon.log()


def test_only_new_keys_are_not_waited_for(consumer, topics, database):
    """The next table of the transaction is, longer than those."""
    database.query(TABLE + ";CREATE TABLE u (id integer)")
    topic = topics.create()
    daemon = consumer({
        "group": "g", "start": "earliest", "topic": topic,
        "batch": {"linger": "5ms"},
        "route": {"path": "/type", "tables": {
            "t": {key: CONFIG[key]
                  for key in ("table", "mode", "key", "columns")},
            "u": {"table": "u", "columns": {"id": "/id"}}}}})
    store(database, topics, topic, ['{"type":"t","id":1}'])
    session = begin(database, "LOCK TABLE u")
    topics.produce(topic, ['{"type":"t","id":2}', '{"type":"u","id":3}'])
    wait_waiting(database)
    time.sleep(0.5)
    session.commit()
    session.close()
    wait_accounted(database, 3)
    assert database.value("SELECT count(*) FROM u") == 1
    assert "lock timeout" not in daemon.log()
