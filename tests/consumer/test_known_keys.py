"""Rows of known keys are updated in the order of their keys, which the daemon
makes where bytes tell equal keys; else they are merged."""

import json
import random
import threading

import pytest

from tests.lib.env import loops, wait_for
from tests.lib.history import wait_accounted

CONFIG = {"group": "g", "start": "earliest", "table": "t", "mode": "upsert",
          "key": ["id"], "batch": {"linger": "50ms"},
          "columns": {"id": "/id", "v": "/v"}}
TABLE = "CREATE TABLE t (id integer PRIMARY KEY, v text)"
ORDERED = "copied, in the order of their keys"


def event(ident, v="v", **more):
    return json.dumps({"id": ident, "v": v, **more})


def begin(consumer, database, topics, table, config, first):
    """A daemon that knows of a key that was there, so that it stages."""
    database.query(table)
    topic = topics.create()
    topics.produce(topic, first)
    daemon = consumer({**CONFIG, **config, "topic": topic}, start=False)
    daemon.start("--log-level", "debug")
    wait_accounted(database, len(first))
    topics.produce(topic, first[:1])
    wait_accounted(database, len(first) + 1)
    return daemon, topic


def store(database, topics, topic, records):
    topics.produce(topic, records)
    wait_accounted(database, topics.count(topic))


IDS = {
    "smallint": [-32768, -1, 0, 1, 32767],
    "integer": [-2147483648, -1, 0, 1, 2147483647],
    "bigint": [-2 ** 63, -1, 0, 1, 2 ** 63 - 1],
    "uuid": [f"{n:08x}-0000-4000-8000-0123456789ab" for n in range(5)],
    "text": ["", "a", "A", "ä", "a" * 300, "a" * 299 + "b"],
    "varchar(5)": ["", "a", "ab", "é", "abcde"],
    "bytea": ["", "AA==", "AAA=", "/w==", "AP8="],
    "boolean": [True, False],
    "date": ["0001-01-01", "1999-12-31", "2000-01-01", "infinity"],
    "timestamptz": ["1969-12-31T00:00:00Z", "2000-01-01T00:00:00.000001Z",
                    "-infinity"],
    "time": ["00:00:00", "24:00:00", "12:34:56.789"],
}


@pytest.mark.parametrize("kind", IDS)
def test_of_each_key_the_last_record_stays(consumer, topics, database, kind):
    """Keys that are there, new ones among them, each more than once."""
    ids = IDS[kind]
    daemon, topic = begin(
        consumer, database, topics,
        f"CREATE TABLE t (w text DEFAULT 'd', id {kind} PRIMARY KEY, v text)",
        {}, [event(ident, "old") for ident in ids[1:]])
    chance = random.Random(kind)
    last = {}
    # all keys are known, then one is new
    for turn, some in enumerate((ids[1:], ids)):
        records = [(chance.choice(some), f"v{turn} {n}") for n in range(100)]
        store(database, topics, topic, [event(*record) for record in records])
        last.update({json.dumps(ident): v for ident, v in records})
        assert sorted(database.query("SELECT v FROM t")) \
            == sorted((v,) for v in last.values())
    assert daemon.log().count(ORDERED) == 3
    assert database.value("SELECT count(*) FROM t WHERE w = 'd'") == len(ids)
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0


def test_keys_of_several_columns(consumer, topics, database):
    """Whose bytes, one behind the other, would be the same."""
    columns = {"a": "/a", "v": "/v", "b": "/b", "n": "/n"}
    pairs = [("a", "bc", 1), ("ab", "c", 1), ("", "abc", 1), ("abc", "", -1),
             ("abc", "", 256), ("a", "bc", 2)]

    def record(pair, v):
        return json.dumps({"a": pair[0], "b": pair[1], "n": pair[2], "v": v})

    daemon, topic = begin(
        consumer, database, topics, "CREATE TABLE t (n bigint, v text, b text,"
        " a text, PRIMARY KEY (a, b, n))",
        {"key": ["a", "b", "n"], "columns": columns},
        [record(pair, "old") for pair in pairs])
    store(database, topics, topic,
          [record(pair, f"{number} {turn}") for turn in range(3)
           for number, pair in enumerate(pairs)])
    assert ORDERED in daemon.log()
    assert database.query("SELECT a, b, n, v FROM t ORDER BY v") \
        == [(*pair, f"{number} 2") for number, pair in enumerate(pairs)]


FUNCTION = ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RETURN NEW; END';")


@pytest.mark.parametrize("table, first, again", [
    ("CREATE TABLE t (id numeric PRIMARY KEY, v text)", 1, "1.0"),
    ("CREATE TABLE t (id double precision PRIMARY KEY, v text)", 0, "-0"),
    ("CREATE TABLE t (id timestamptz(0) PRIMARY KEY, v text)",
     "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.1Z"),
    ("CREATE COLLATION c (provider = icu, locale = 'und-u-ks-level2',"
     " deterministic = false);"
     "CREATE TABLE t (id text COLLATE c PRIMARY KEY, v text)", "a", "A"),
    ("CREATE TABLE t (id varchar(3) PRIMARY KEY, v text)", "ab ", "ab  "),
    ("CREATE TABLE t (id integer PRIMARY KEY, v text);" + FUNCTION
     + "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
     1, 1),
    ("CREATE TABLE t (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);"
     "CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (10)", 1, 1),
    ("CREATE TABLE t (id integer PRIMARY KEY, v text, n integer,"
     " CHECK (n IS NULL OR v <> 'never'))", 1, 1),
], ids=["numeric", "float", "precision", "collation", "length", "trigger",
        "partitioned", "check"])
def test_what_could_tell_the_two_apart_is_merged(consumer, topics, database,
                                                 table, first, again):
    daemon, topic = begin(consumer, database, topics, table, {},
                          [event(first, "old")])
    store(database, topics, topic, [event(first, "new"),
                                    event(again, "newest")])
    assert ORDERED not in daemon.log()
    assert database.query("SELECT v FROM t") == [("newest",)]


def test_a_row_that_another_adds_meanwhile_is_updated(consumer, topics,
                                                      database):
    """The UPDATE waits for another row with its snapshot taken: it does not
    see the one that was added and committed by then."""
    _, topic = begin(consumer, database, topics, TABLE, {}, [event(1, "old")])
    session = database.begin("UPDATE t SET v = 'theirs' WHERE id = 1")
    topics.produce(topic, [event(1, "ours"), event(2, "ours"),
                           event(3, "ours")])
    wait_for(database.waits, 20, "the daemon waits")
    database.query("INSERT INTO t VALUES (2, 'theirs')")
    session.commit()
    session.close()
    wait_accounted(database, topics.count(topic))
    assert database.query("SELECT id, v FROM t ORDER BY id") \
        == [(1, "ours"), (2, "ours"), (3, "ours")]


def test_bad_rows_are_dead_letters(consumer, topics, database):
    """Also one that another of its key replaces: its values do not fit."""
    daemon, topic = begin(
        consumer, database, topics,
        "CREATE TABLE t (id integer PRIMARY KEY, v varchar(5)"
        " CHECK (v <> 'bad'))", {"dead_letters": {"hold_above": 1}},
        [event(n) for n in range(5)])
    seen = topics.count(topic)
    store(database, topics, topic, [
        event(0, "new"), event(1, "too long"), event(1, "new"),
        event(2, "bad"), event(3, "too long"), event(4, "new")])
    assert database.query("SELECT v FROM t ORDER BY id") \
        == [("new",), ("new",), ("v",), ("v",), ("new",)]
    assert database.query('SELECT "offset", sqlstate FROM sluice.dead_letters'
                          " ORDER BY 1") \
        == [(seen + 1, "22001"), (seen + 3, "23514"), (seen + 4, "22001")]
    store(database, topics, topic, [event(0, "newer")])
    assert database.value("SELECT v FROM t WHERE id = 0") == "newer"
    assert ORDERED in daemon.log()


def test_a_key_whose_equality_changes_is_merged(consumer, topics, database):
    database.query("CREATE COLLATION c (provider = icu, locale ="
                   " 'und-u-ks-level2', deterministic = false)")
    daemon, topic = begin(consumer, database, topics,
                          "CREATE TABLE t (id text PRIMARY KEY, v text)", {},
                          [event("a", "old")])
    assert ORDERED in daemon.log()
    database.query("ALTER TABLE t ALTER id TYPE text COLLATE c")
    for _ in range(3):
        store(database, topics, topic, [event("a", "new"),
                                        event("A", "newest")])
        assert database.query("SELECT v FROM t") == [("newest",)]


def test_a_key_whose_index_goes_holds(consumer, topics, database):
    daemon, topic = begin(consumer, database, topics, TABLE, {}, [event(1)])
    database.query("ALTER TABLE t DROP CONSTRAINT t_pkey")
    topics.produce(topic, [event(1, "new")])
    assert "unique" in daemon.wait_held()["reason"]
    database.query("ALTER TABLE t ADD PRIMARY KEY (id)")
    wait_accounted(database, 3)
    assert database.query("SELECT v FROM t") == [("new",)]


def test_all_daemons_lock_alike(consumer, topics, database):
    """Some batches are updates, some of tombstones; keys come in opposite
    orders, and a collation orders them in another way than their bytes."""
    database.query("CREATE TABLE t (id text COLLATE \"und-x-icu\" PRIMARY KEY,"
                   " v text)")
    topic = topics.create(partitions=2)
    keys = [f"{letter}{number}" for letter in "aBcÄ" for number in range(100)]
    chance = random.Random(4)
    for turn in range(loops(8, 80)):
        chance.shuffle(keys)
        topics.produce(topic, [
            (key, None if turn % 4 == 3 and key[1:] == "7" else event(key),
             partition)
            for partition, order in ((0, keys), (1, keys[::-1]))
            for key in order])
    config = {**CONFIG, "topic": topic, "mode": "upsert_delete",
              "batch": {"rows": 500, "linger": "1ms"}}
    daemons = [consumer(config, start=False) for _ in range(2)]
    starts = [threading.Thread(target=daemon.start,
                               args=("--log-level", "debug"))
              for daemon in daemons]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    wait_accounted(database, topics.count(topic), 60)
    assert database.value("SELECT deadlocks FROM pg_stat_database"
                          " WHERE datname = current_database()") == 0
    assert any(ORDERED in daemon.log() for daemon in daemons)
