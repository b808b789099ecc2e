"""How a row meets one that is there: modes, stale events, tombstones."""

import json
import random
import threading

import pytest

from tests.lib.env import loops, wait_for
from tests.lib.history import accounted, wait_accounted

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "mode": "upsert",
    "key": ["id"], "batch": {"linger": "5ms"},
    "columns": {
        "id": {"path": "/id", "type": "integer"},
        "v": {"path": "/v", "type": "text"},
        "ver": {"path": "/ver", "type": "integer"},
    },
}
TABLE = ("CREATE TABLE t (id integer PRIMARY KEY, v text, ver integer,"
         " made text DEFAULT 'd')")


def event(ident, v=None, ver=None, **more):
    return json.dumps({"id": ident, "v": v, "ver": ver, **more})


def wait_stored(database, topics, topic, timeout=30):
    wait_accounted(database, topics.count(topic), timeout)


def rows(database, sql="SELECT id, v FROM t ORDER BY id"):
    return database.query(sql)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_upsert_the_last_wins(consumer, topics, database, size):
    """Whatever lies in one batch; columns of others stay."""
    database.query(TABLE)
    database.query("INSERT INTO t VALUES (1, 'old', 0, 'mine')")
    topic = topics.create()
    topics.produce(topic, [event(1, "a"), event(2, "b"), event(1, "c"),
                           event(3, "d"), event(2, "e"), event(2, None)])
    consumer({**CONFIG, "topic": topic, "batch": {"rows": size}})
    wait_stored(database, topics, topic)
    assert rows(database) == [(1, "c"), (2, None), (3, "d")]
    assert database.value("SELECT made FROM t WHERE id = 1") == "mine"
    assert database.value("SELECT sum(records) FROM sluice.batches") == 6


def test_upsert_keys_of_several_columns_in_any_script(consumer, topics,
                                                      database):
    topic = topics.create()
    config = {**CONFIG, "topic": topic, "table": ["s", "täble \"x\""],
              "create_table": True, "key": ["key\"a", "größe"],
              "columns": {"key\"a": {"path": "/a", "type": "text"},
                          "größe": {"path": "/b", "type": "numeric"},
                          "v": "/v"}}
    database.query("CREATE SCHEMA s")
    topics.produce(topic, ['{"a":"x","b":1,"v":"1"}',
                           '{"a":"x","b":1.0,"v":"2"}',
                           '{"a":"x","b":2,"v":"3"}',
                           '{"a":"","b":1,"v":"4"}'])
    consumer(config)
    wait_stored(database, topics, topic)
    assert database.query('SELECT v FROM s."täble ""x""" ORDER BY v') \
        == [("2",), ("3",), ("4",)]


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_stale_event_never_overwrites(consumer, topics, database, size):
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, [
        event(1, "new", 5), event(1, "stale", 4), event(1, "none"),
        event(2, "first"), event(2, "second", 1), event(2, "third", 1),
        event(3, "newest", 9), event(3, "stale", 8)])
    consumer({**CONFIG, "topic": topic, "newer": "ver",
                       "batch": {"rows": size}})
    wait_stored(database, topics, topic)
    assert rows(database) == [(1, "new"), (2, "third"), (3, "newest")]


def test_ignore_keeps_what_is_there(consumer, topics, database):
    database.query(TABLE)
    database.query("ALTER TABLE t ADD UNIQUE (v)")
    database.query("INSERT INTO t VALUES (1, 'old')")
    topic = topics.create()
    topics.produce(topic, [event(1, "a"), event(2, "b"), event(2, "c")])
    consumer({**CONFIG, "topic": topic, "mode": "ignore"})
    wait_stored(database, topics, topic)
    assert rows(database) == [(1, "old"), (2, "b")]
    # another constraint than the key's is a fault of the row
    topics.produce(topic, [event(5, "b")])
    wait_stored(database, topics, topic)
    assert database.value("SELECT sqlstate FROM sluice.dead_letters") \
        == "23505"


def test_ignore_without_a_key_meets_any_constraint(consumer, topics,
                                                   database):
    database.query(TABLE)
    database.query("ALTER TABLE t ADD UNIQUE (v)")
    topic = topics.create()
    topics.produce(topic, [event(1, "a"), event(2, "a"), event(1, "b"),
                           event(3, "c")])
    config = {**CONFIG, "topic": topic, "mode": "ignore"}
    del config["key"]
    consumer(config)
    wait_stored(database, topics, topic)
    assert rows(database) == [(1, "a"), (3, "c")]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_tombstone_deletes_in_the_records_order(consumer, topics, database,
                                                  size):
    database.query(TABLE)
    database.query("INSERT INTO t VALUES (1, 'old', 9, 'mine'),"
                   " (9, 'x', 1, 'mine')")
    topic = topics.create()
    topics.produce(topic, [
        ("1", event(1, "a", 9)), ("1", None), ("1", event(1, "b", 2)),
        ("2", event(2, "c", 1)), ("2", None),
        ("3", None), ("3", event(3, "d", 5)), ("3", event(3, "e", 4)),
        ('{"id":9}', None)])
    consumer({**CONFIG, "topic": topic, "mode": "upsert_delete",
                       "newer": "ver", "batch": {"rows": size}})
    wait_stored(database, topics, topic)
    assert rows(database, "SELECT id, v, made FROM t ORDER BY id") \
        == [(1, "b", "d"), (3, "d", "d")]
    assert database.try_count("sluice.dead_letters") == 0


def test_a_tombstones_key(consumer, topics, database):
    """A JSON object by the columns' pointers, or one text; else a dead
    letter."""
    database.query("CREATE TABLE t (a integer, b text, v text,"
                   " PRIMARY KEY (a, b))")
    database.query("INSERT INTO t VALUES (1, 'x', 'v'), (2, 'y', 'v')")
    topic = topics.create()
    topics.produce(topic, [
        ('{"k":{"a":1,"b":"x"},"more":[]}', None), ("1", None),
        ('{"k":{"a":1}}', None), (None, None), ('{"k":{"a":"z","b":"x"}}',
                                                None)])
    consumer({
        **CONFIG, "topic": topic, "mode": "upsert_delete", "key": ["b", "a"],
        "dead_letters": {"hold_above": 1},
        "columns": {"a": {"path": "/k/a"}, "v": "/v", "b": "/k/b"}})
    wait_stored(database, topics, topic)
    assert database.query("SELECT a FROM t") == [(2,)]
    assert database.query('SELECT "offset" FROM sluice.dead_letters'
                          " ORDER BY 1") == [(1,), (2,), (3,), (4,)]


def test_a_filter_by_header_holds_for_tombstones(consumer, topics, database):
    database.query(TABLE)
    topic = topics.create()
    eu, us = [("region", b"eu")], [("region", b"us")]
    topics.produce(topic, [
        ("1", event(1, "a"), 0, eu), ("2", event(2, "b"), 0, eu),
        ("1", None, 0, us), ("2", None, 0, eu), (None, None, 0, us)])
    consumer({**CONFIG, "topic": topic, "mode": "upsert_delete",
              "where": {"header": "region", "equals": "eu"}})
    wait_stored(database, topics, topic)
    assert rows(database) == [(1, "a")]
    assert database.try_count("sluice.dead_letters") == 0
    assert database.value("SELECT sum(filtered) FROM sluice.batches") == 2


def test_a_key_that_is_null_goes_aside(consumer, topics, database):
    """Of a unique constraint, two of them would be two rows."""
    database.query("CREATE TABLE t (id integer UNIQUE, v text, ver integer)")
    topic = topics.create()
    topics.produce(topic, [event(None, "a"), event(1, "b"),
                           event(None, "c"), event(2, "d")])
    consumer({**CONFIG, "topic": topic,
                       "dead_letters": {"hold_above": 1}})
    wait_stored(database, topics, topic)
    assert rows(database) == [(1, "b"), (2, "d")]
    assert database.query('SELECT "offset", sqlstate FROM'
                          " sluice.dead_letters ORDER BY 1") \
        == [(0, "23502"), (2, "23502")]


def test_a_key_without_its_constraint_holds(consumer, topics, database):
    database.query("CREATE TABLE t (id integer, v text, ver integer)")
    topic = topics.create()
    topics.produce(topic, [event(1, "a")])
    daemon = consumer({**CONFIG, "topic": topic})
    assert "unique" in daemon.wait_held()["reason"]
    database.query("ALTER TABLE t ADD PRIMARY KEY (id)")
    wait_for(lambda: rows(database) == [(1, "a")], 20, "it goes on")


def test_partitioned_with_triggers_and_a_foreign_key(consumer, topics,
                                                     database):
    database.query(
        "CREATE TABLE parent (p integer PRIMARY KEY);"
        "INSERT INTO parent VALUES (1);"
        "CREATE TABLE t (id integer PRIMARY KEY, v text, ver integer"
        " REFERENCES parent) PARTITION BY RANGE (id);"
        "CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (10) TO (20);"
        "CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.v := upper(NEW.v); RETURN NEW; END';"
        "CREATE TRIGGER up BEFORE INSERT ON t FOR EACH ROW"
        " EXECUTE FUNCTION up()")
    topic = topics.create()
    topics.produce(topic, [event(1, "a", 1), event(11, "b", 1),
                           event(12, "c", 7), event(1, "d", 1)])
    consumer({**CONFIG, "topic": topic})
    wait_stored(database, topics, topic)
    assert rows(database) == [(1, "D"), (11, "B")]
    assert database.query('SELECT "offset", sqlstate FROM'
                          " sluice.dead_letters") == [(2, "23503")]


def test_two_daemons_on_one_key_space_do_not_deadlock(consumer, topics,
                                                      database):
    """Keys in opposite orders from two partitions."""
    database.query(TABLE)
    topic = topics.create(partitions=2)
    keys = list(range(400))
    for _ in range(loops(8, 80)):
        random.shuffle(keys)
        topics.produce(topic, [
            (str(key), None if key % 7 == 3 else event(key, "v"), partition)
            for partition, order in ((0, keys), (1, keys[::-1]))
            for key in order])
    config = {**CONFIG, "topic": topic, "mode": "upsert_delete",
              "batch": {"rows": 500, "linger": "1ms"}}
    daemons = [consumer(config), consumer(config)]
    wait_stored(database, topics, topic, 60)
    assert database.value("SELECT deadlocks FROM pg_stat_database"
                          " WHERE datname = current_database()") == 0
    assert not any("deadlock" in daemon.log() for daemon in daemons)
    assert sorted(row[0] for row in rows(database)) \
        == [key for key in sorted(keys) if key % 7 != 3]


def model(records):
    """What one by one would leave: upsert_delete with newer."""
    table = {}
    for key, value in records:
        if value is None:
            table.pop(int(key), None)
            continue
        new = json.loads(value)
        old = table.get(new["id"])
        if old is None or old["ver"] is None or (
                new["ver"] is not None and new["ver"] >= old["ver"]):
            table[new["id"]] = new
    return sorted((row["id"], row["v"], row["ver"])
                  for row in table.values())


def test_kill_9_in_a_loop_leaves_what_one_by_one_would(consumer, topics,
                                                       database):
    """Upserts, stale ones, tombstones and bad ones; the daemon dies."""
    database.query(TABLE + ";ALTER TABLE t ADD CHECK (v <> 'bad')")
    topic = topics.create()
    chance = random.Random(11)
    records, good = [], []
    for number in range(loops(3000, 40000)):
        key = chance.randrange(60)
        kind = chance.random()
        if kind < 0.1:
            record = (str(key), None)
        elif kind < 0.11:
            records.append((str(key), event(key, "bad", 99)))
            continue
        else:
            record = (str(key), event(
                key, f"v{number}", chance.choice([None] + list(range(50)))))
        records.append(record)
        good.append(record)
    config = {**CONFIG, "topic": topic, "mode": "upsert_delete",
              "newer": "ver", "batch": {"rows": 200, "linger": "1ms"},
              "kafka": {"session.timeout.ms": "1000",
                        "heartbeat.interval.ms": "300",
                        "group.instance.id": "one"}}
    daemon = consumer(config)
    sender = threading.Thread(target=lambda: [
        topics.produce(topic, records[at:at + 100])
        for at in range(0, len(records), 100)])
    sender.start()
    for kill in range(loops(4, 40)):
        more = min(accounted(database) + 100, len(records))
        wait_for(lambda more=more: accounted(database) >= more, 60,
                 f"progress before kill {kill}")
        daemon.kill()
        daemon.start()
    sender.join(60)
    wait_for(lambda: accounted(database) == len(records), 60, "all is stored")
    assert rows(database, "SELECT id, v, ver FROM t ORDER BY id") \
        == model(good)
    # a bad one that another of its batch replaces is never looked at
    dead = database.value("SELECT count(*) FROM sluice.dead_letters")
    assert 0 < dead <= len(records) - len(good)
