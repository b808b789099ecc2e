"""One record, several rows: the elements of an array."""

import json
import random

import pytest

from tests.lib.env import wait_for
from tests.lib.history import wait_accounted

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "each": "/items",
    "batch": {"linger": "5ms"}, "dead_letters": {"hold_above": 1},
    "columns": {
        "o": {"meta": "offset"}, "n": {"meta": "element"},
        "id": {"path": "/id", "root": "record"}, "sku": "/sku",
        "count": "/count"},
}
TABLE = ("CREATE TABLE t (o bigint, n integer, id text, sku text,"
         " count integer CHECK (count > 0))")


def order(ident, *items, **more):
    return json.dumps({"id": ident, "items": [
        {"sku": sku, "count": count} for sku, count in items], **more})


def totals(database):
    return database.query("SELECT sum(records), sum(rows), sum(filtered),"
                          " sum(dead_letters) FROM sluice.batches")[0]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_elements_become_rows(consumer, topics, database, size):
    """With what the record has; an empty array is a counted filter, no array
    a dead letter, and "where" asks the record."""
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, [
        order("a", ("x", 1), ("y", 2)), order("b"), order("c", ("x", 3)),
        '{"id":"d"}', '{"id":"e","items":{}}', order("f", ("z", 1), out=1),
        order("g", ("z", "many")), order("h", ("x", 1), (None, None))])
    daemon = consumer({**CONFIG, "topic": topic, "batch": {"rows": size},
                       "where": {"path": "/out", "exists": False}})
    wait_accounted(database, 8)
    assert database.query("SELECT * FROM t ORDER BY o, n") == [
        (0, 0, "a", "x", 1), (0, 1, "a", "y", 2), (2, 0, "c", "x", 3),
        (7, 0, "h", "x", 1), (7, 1, "h", None, None)]
    assert totals(database) == (8, 3, 2, 3)
    reasons = database.query('SELECT "offset", reason FROM'
                             " sluice.dead_letters ORDER BY 1")
    assert [offset for offset, _ in reasons] == [3, 4, 6]
    assert "missing" in reasons[0][1] and "an object" in reasons[1][1]
    assert reasons[2][1].startswith('element 0: column "count"')
    wait_for(lambda: daemon.metric("sluice_consumer_rows_total") == 5, 10,
             "its rows are counted")
    daemon.stop()
    daemon.verify()


@pytest.mark.parametrize("size", [2, 1000])
@pytest.mark.parametrize("seed", range(2))
def test_a_bad_element_takes_all_of_its_record(consumer, topics, database,
                                               seed, size):
    """Which PostgreSQL refuses, among good ones; half of the records have
    values that only lines can have.  The dead letters are whole: replayed
    once the table takes them, each is all of its rows."""
    rng = random.Random(seed)
    database.query(TABLE)
    records, good = [], []
    for offset in range(60):
        items = [(rng.choice(["x", "y"]), rng.randint(1, 9))
                 for _ in range(rng.randint(1, 7))]
        if rng.random() < 0.2:
            items[rng.randrange(len(items))] = ("bad", -1)
        else:
            good.append((offset, len(items)))
        records.append(order(str(offset), *items))
    topic = topics.create()
    topics.produce(topic, records)
    daemon = consumer({**CONFIG, "topic": topic, "batch": {"rows": size}})
    wait_accounted(database, len(records), 60)
    stored = "SELECT o, count(*) FROM t GROUP BY o ORDER BY o"
    assert database.query(stored) == good
    assert totals(database)[0] == 60
    assert totals(database)[3] == 60 - len(good) > 0
    daemon.stop()
    daemon.verify()
    database.query("ALTER TABLE t DROP CONSTRAINT t_count_check")
    code, said = daemon.run("dead-letters", "replay", "--all")
    assert code == 0 and f"{60 - len(good)} dead letters replayed" in said
    assert database.query(stored) == [
        (offset, len(json.loads(record)["items"]))
        for offset, record in enumerate(records)]


def test_keys_within_a_record(consumer, topics, database):
    """The later element wins, as a later record does; with the element's
    number in the key a replay adds nothing."""
    database.query("CREATE TABLE t (o bigint, n integer, sku text UNIQUE,"
                   " count integer, UNIQUE (o, n))")
    columns = {name: column for name, column in CONFIG["columns"].items()
               if name != "id"}
    topic = topics.create()
    topics.produce(topic, [order("a", ("x", 1), ("y", 1), ("x", 2)),
                           order("b", ("y", 3))])
    daemon = consumer({**CONFIG, "topic": topic, "mode": "upsert",
                       "key": ["sku"], "columns": columns})
    wait_accounted(database, 2)
    assert database.query("SELECT sku, count, o, n FROM t ORDER BY 1") \
        == [("x", 2, 0, 2), ("y", 3, 1, 0)]
    daemon.stop()
    daemon.verify()
    database.query("TRUNCATE t;ALTER TABLE t DROP CONSTRAINT t_sku_key")
    for group, total in (("h", 2), ("i", 4)):
        daemon = consumer({**CONFIG, "topic": topic, "mode": "ignore",
                           "group": group, "key": ["o", "n"],
                           "columns": columns})
        wait_accounted(database, 2 + total)
        assert database.value("SELECT count(*) FROM t") == 4
        daemon.stop()


def test_a_retry_is_a_retry_of_all_rows(consumer, topics, database):
    database.query(TABLE)
    topic = topics.create()
    header = [("k", "1")]
    topics.produce(topic, [
        (None, order("a", ("x", 1), ("y", 2)), 0, header),
        (None, order("a", ("x", 1), ("y", 2)), 0, header),
        (None, order("b", ("z", 1)))])
    daemon = consumer({**CONFIG, "topic": topic, "dedupe": {"header": "k"}})
    wait_accounted(database, 3)
    assert database.query("SELECT o, n FROM t ORDER BY 1, 2") \
        == [(0, 0), (0, 1), (2, 0)]
    assert database.value("SELECT sum(duplicates) FROM sluice.batches") == 1
    daemon.stop()
    daemon.verify()


def test_bounds_of_a_record(consumer, topics, database):
    """Of its elements and of the bytes of their rows."""
    database.query("CREATE TABLE t (v text, w jsonb)")
    topic = topics.create()
    topics.produce(topic, [
        json.dumps([0] * 10000), json.dumps([0] * 10001),
        json.dumps(["x" * 300] * 100)])
    daemon = consumer({
        **CONFIG, "topic": topic, "each": "",
        "batch": {"bytes": "1m", "linger": "5ms"},
        "columns": {"v": "", "w": {"path": "", "root": "record"}}})
    wait_accounted(database, 3)
    # each row of the first one would have the whole array
    assert database.query('SELECT "offset", sqlstate FROM sluice.dead_letters'
                          " ORDER BY 1") \
        == [(0, "54000"), (1, "54000"), (2, "54000")]
    daemon.stop()
    daemon = consumer({
        **CONFIG, "topic": topic, "each": "", "group": "h",
        "columns": {"v": ""}})
    wait_accounted(database, 6)
    assert database.value("SELECT count(*) FROM t") == 10100
    assert totals(database)[3] == 4
    daemon.stop()
    daemon.verify()
