"""One topic into several tables, in one transaction."""

import json
import random
import threading

import pytest

from tests.lib.env import loops, wait_for
from tests.lib.history import accounted, wait_accounted

PLACE = {"part": {"meta": "partition"}, "off": {"meta": "offset"}}
CONFIG = {
    "group": "g", "start": "earliest", "batch": {"linger": "5ms"},
    "dead_letters": {"hold_above": 1},
    "route": {
        "path": "/type",
        "tables": {
            "order": {"table": "orders", "mode": "upsert", "key": ["id"],
                      "columns": {"id": "/id", "v": "/v", **PLACE}},
            "order.changed": "order",
            "visit": {"table": "s.visits",
                      "columns": {"page": "/page", **PLACE}},
        },
    },
}
TABLES = ("CREATE SCHEMA s;"
          "CREATE TABLE orders (id integer PRIMARY KEY, v text CHECK"
          " (v <> 'bad'), part integer, off bigint);"
          "CREATE TABLE s.visits (page text CHECK (page <> 'bad'),"
          " part integer, off bigint);"
          "CREATE TABLE rest (v jsonb, part integer, off bigint)")


def order(ident, v, kind="order"):
    return json.dumps({"type": kind, "id": ident, "v": v})


def visit(page):
    return json.dumps({"type": "visit", "page": page})


def route(**more):
    return {**CONFIG["route"], **more}


def test_each_value_has_its_table(consumer, topics, database):
    """Faults stay with their table; the rest of the batch is stored."""
    database.query(TABLES)
    topic = topics.create()
    topics.produce(topic, [
        order(1, "a"), visit("/"), order(1, "b", "order.changed"),
        visit("bad"), order(2, "bad"), visit("/x"), '{"type":"other"}',
        '{"no":"type"}', "not json", '{"type":null}', order(3, "c"),
        '{"type":"\\u006frder","id":4}', None])
    consumer({**CONFIG, "topic": topic})
    wait_accounted(database, 13)
    assert database.query("SELECT id, v FROM orders ORDER BY id") \
        == [(1, "b"), (3, "c"), (4, None)]
    assert database.query("SELECT page, off FROM s.visits ORDER BY off") \
        == [("/", 1), ("/x", 5)]
    dead = database.query('SELECT "offset", table_name, sqlstate FROM'
                          ' sluice.dead_letters ORDER BY "offset"')
    assert dead == [
        (3, "s.visits", "23514"), (4, "orders", "23514"),
        (6, "(route)", "22023"), (7, "(route)", "22023"),
        (8, "(route)", "22032"), (9, "(route)", "22023"),
        (12, "(route)", "22004")]
    assert database.query("SELECT DISTINCT table_name FROM sluice.offsets") \
        == [("(route)",)]


@pytest.mark.parametrize("what, rest, filtered", [
    ({"default": "filter"}, 0, 2),
    ({"default": "table"}, 2, 0),
])
def test_what_has_no_table(consumer, topics, database, what, rest, filtered):
    """A configuration that gets a route later keeps its offsets."""
    database.query(TABLES)
    topic = topics.create()
    config = {**CONFIG, "topic": topic, "route": route(**what)}
    if rest:
        config.update(table="rest", columns={"v": "", **PLACE})
        before = consumer({key: value for key, value in config.items()
                           if key != "route"})
        topics.produce(topic, [order(9, "before")])
        wait_accounted(database, 1)
        before.stop()
    else:
        topics.produce(topic, [order(9, "before")])
    topics.produce(topic, [order(1, "a"), '{"type":"other"}', "[]",
                           visit("/")])
    daemon = consumer(config)
    wait_accounted(database, 5)
    assert database.try_count("orders") == 2 - (rest != 0)
    assert database.try_count("s.visits") == 1
    assert database.try_count("rest") == rest + (rest != 0)
    daemon.wait_healthy()
    assert database.value("SELECT sum(filtered) FROM sluice.batches") \
        == filtered


def test_what_is_filtered_needs_no_table(consumer, topics, database):
    database.query(TABLES)
    topic = topics.create()
    topics.produce(topic, [
        '{"type":"order","id":1,"tenant":"a"}', '{"type":"x","tenant":"b"}',
        '{"type":"order","id":2,"tenant":"b"}', '{"type":"x","tenant":"a"}'])
    consumer({**CONFIG, "topic": topic, "dead_letters": {"hold_above": 1},
              "where": {"path": "/tenant", "equals": "a"}})
    wait_accounted(database, 4)
    assert database.query("SELECT id FROM orders") == [(1,)]
    assert database.query('SELECT "offset" FROM sluice.dead_letters') \
        == [(3,)]
    assert database.value("SELECT sum(filtered) FROM sluice.batches") == 2


def test_by_a_header_with_tombstones(consumer, topics, database):
    database.query(TABLES)
    topic = topics.create()
    tables = json.loads(json.dumps(CONFIG["route"]["tables"]))
    tables["order"]["mode"] = "upsert_delete"
    consumer({**CONFIG, "topic": topic,
              "route": {"header": "t", "tables": tables}})
    topics.produce(topic, [
        ("1", '{"id":1}', 0, [("t", b"order")]),
        ("2", '{"id":2}', 0, [("t", b"x"), ("t", b"order.changed")]),
        ("1", None, 0, [("t", b"order")]),
        ("p", '{"page":"/"}', 0, [("t", b"visit")]),
        ("p", '{"page":"/"}', 0, [])])
    wait_accounted(database, 5)
    assert database.query("SELECT id FROM orders") == [(2,)]
    assert database.try_count("s.visits") == 1
    assert database.query('SELECT "offset" FROM sluice.dead_letters') \
        == [(4,)]


def test_tables_that_are_made_and_shown(consumer, topics, database):
    topic = topics.create()
    tables = {name: {"table": f"t_{name}", "create_table": True,
                     "columns": {"n": {"path": "/n", "type": "integer"}}}
              for name in "abc"}
    topics.produce(topic, ['{"k":"%s","n":%d}' % ("abc"[n % 3], n)
                           for n in range(300)])
    daemon = consumer({**CONFIG, "topic": topic,
                       "route": {"path": "/k", "tables": tables}},
                      start=False)
    code, said = daemon.run("--check")
    assert code == 0, said
    assert all(f'"t_{name}"' in said for name in "abc")
    daemon.start()
    wait_accounted(database, 300)
    assert [database.try_count(f"t_{name}") for name in "abc"] == [100] * 3


def test_one_missing_table_holds_all(consumer, topics, database):
    database.query(TABLES + ";DROP TABLE s.visits")
    topic = topics.create()
    topics.produce(topic, [order(1, "a"), visit("/")])
    daemon = consumer({**CONFIG, "topic": topic})
    assert "visits" in daemon.wait_held()["reason"]
    assert database.try_count("orders") == 0
    database.query("CREATE TABLE s.visits (page text, part integer,"
                   " off bigint)")
    wait_accounted(database, 2)
    assert database.try_count("orders") == 1


def test_going_back_asks_each_table(consumer, topics, database):
    """One table that appends is enough to refuse it; --into names none."""
    database.query(TABLES)
    topic = topics.create()
    orders = {"order": CONFIG["route"]["tables"]["order"]}
    config = {**CONFIG, "topic": topic, "route": route(tables=orders)}
    topics.produce(topic, [order(1, "a"), '{"type":"other"}',
                           order(2, "bad"), order(3, "c")], 1769900000000)
    daemon = consumer(config)
    wait_accounted(database, 4)
    daemon.stop()
    back = ("offsets", "reset", "--to-earliest")
    window = ("replay", "--from", "2026-01-31T22:53:00Z",
              "--to", "2026-01-31T22:54:00Z")
    for words in (back, window):
        code, said = daemon.run(*words, "--into", "rest")
        assert code == 1, said
        assert '--into cannot be used: "route" names the tables' in said

    mixed = consumer({
        **config, "group": "h", "table": "rest", "mode": "upsert",
        "key": ["part", "off"], "columns": {"v": "", **PLACE},
        "route": route(default="table", tables={
            **orders, "visit": CONFIG["route"]["tables"]["visit"]})},
        start=False)
    code, said = mixed.run(*window)
    assert code == 1 and 'table "s.visits" would hold rows' in said, said
    assert "--into" not in said

    code, said = daemon.run("where", f"{topic}/0/1")
    assert code == 0 and "dead letter" in said, said
    code, said = daemon.run("verify", "--json")
    partition = json.loads(said)["partitions"][0]
    assert (code, partition["dead_letters"], partition["taken_out"]) \
        == (0, 2, 0)
    code, said = daemon.run(*back)
    assert code == 0, said
    assert database.try_count("sluice.dead_letters") == 0
    daemon.start()
    wait_accounted(database, 4)
    daemon.stop()
    assert database.query("SELECT id, v FROM orders ORDER BY id") \
        == [(1, "a"), (3, "c")]
    assert database.try_count("sluice.dead_letters") == 2
    assert daemon.run("verify", "--strict")[0] == 0


def test_kill_9_in_a_loop(consumer, topics, database):
    """Each record once, in its own table, among bad ones."""
    database.query(TABLES)
    topic = topics.create(partitions=2)
    chance = random.Random(3)
    count = loops(2000, 30000)
    records = []
    for number in range(count):
        kind = chance.random()
        records.append(
            order(number, "bad" if kind < 0.01 else "v") if kind < 0.5
            else visit("bad" if kind < 0.51 else "/") if kind < 0.95
            else '{"type":"other"}')
    config = {**CONFIG, "topic": topic,
              "batch": {"rows": 200, "linger": "1ms"},
              "kafka": {"session.timeout.ms": "1000",
                        "heartbeat.interval.ms": "300",
                        "group.instance.id": "one"}}
    daemon = consumer(config)
    sender = threading.Thread(target=lambda: [
        topics.produce(topic, records[at:at + 100])
        for at in range(0, count, 100)])
    sender.start()
    for kill in range(loops(4, 30)):
        more = min(accounted(database) + 100, count)
        wait_for(lambda more=more: accounted(database) >= more, 60,
                 f"progress before kill {kill}")
        daemon.kill()
        daemon.start()
    sender.join(60)
    wait_accounted(database, count, 60)
    places = database.query(
        "SELECT part, off FROM orders UNION ALL SELECT part, off FROM"
        " s.visits UNION ALL SELECT partition, \"offset\" FROM"
        " sluice.dead_letters")
    assert len(places) == len(set(places)) == count
    good = sum("bad" not in record and "other" not in record
               for record in records)
    assert database.try_count("orders") + database.try_count("s.visits") \
        == good


@pytest.mark.parametrize("change, words", [
    ({"path": "type"}, ["Pointer"]),
    ({"header": "t"}, ["one of", "route"]),
    ({"default": "row"}, ["default", "table"]),
    ({"default": "table"}, ['"table"']),
    ({"tables": {}}, ["tables"]),
    ({"tables": {"a": "b"}}, ['"a"', '"b"']),
    ({"tables": {"a": 5}}, ["object"]),
    ({"tables": {"a": {"table": "t"}}}, ["columns"]),
    ({"tables": {"a": {"columns": {"x": "/x"}}}}, ["table"]),
    ({"tables": {"a": {"table": "t", "colums": {}}}}, ["columns"]),
    ({"tables": {"a": {"table": "t", "columns": "auto", "mode": "upsert"}}},
     ["key"]),
    ({"tables": {"a": {"table": "t", "columns": {"x": "/x"}, "mode":
                       "upsert", "key": ["x"]},
                 "b": {"table": "t", "columns": {"x": "/x"}}}}, ["twice"]),
])
def test_a_wrong_route_is_refused(consumer, change, words):
    daemon = consumer({**CONFIG, "topic": "t", "route": route(**change)},
                      start=False)
    code, said = daemon.run()
    assert code == 78, said
    assert ".json:" in said
    for word in words:
        assert word in said, said
