"""Which records are stored: conditions, and conditions of conditions."""

import json
import random

from tests.lib.history import wait_accounted

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "batch": {"linger": "5ms"}, "dead_letters": {"hold_above": 1},
    "columns": {"o": {"meta": "offset"}},
}


def equals(field, value):
    return {"path": field, "equals": value}


def holds(where, record, headers):
    """What the manual says of a condition."""
    if "all" in where:
        return all(holds(part, record, headers) for part in where["all"])
    if "any" in where:
        return any(holds(part, record, headers) for part in where["any"])
    values, name = (headers, where["header"]) if "header" in where \
        else (record, where["path"][1:])
    if "exists" in where:
        return (name in values) == where["exists"]
    return name in values and values[name] in where.get(
        "in", [where.get("equals")])


def condition(rng, depth):
    if depth and rng.random() < 0.6:
        return {rng.choice(["all", "any"]): [
            condition(rng, depth - 1) for _ in range(rng.randint(1, 3))]}
    where = {"path": "/" + rng.choice("abc")} if rng.random() < 0.7 \
        else {"header": rng.choice("hi")}
    kind = rng.choice(["equals", "in", "exists"])
    words = ["x", "y"] if "header" in where else ["x", 1, None]
    where[kind] = {"equals": rng.choice(words), "exists": rng.random() < 0.5,
                   "in": rng.sample(words, rng.randint(1, 2))}[kind]
    return where


def test_conditions_of_conditions(consumer, topics, database):
    """Twelve of them, up to four deep, of fields and headers."""
    rng = random.Random(18)
    topic = topics.create()
    records = []
    for _ in range(120):
        record = {name: rng.choice(["x", "y", 1, None])
                  for name in "abc" if rng.random() < 0.6}
        headers = {name: rng.choice("xyz") for name in "hi"
                   if rng.random() < 0.6}
        records.append((record, headers))
    topics.produce(topic, [
        (None, json.dumps(record), 0, list(headers.items()))
        for record, headers in records])
    stored = set()
    for number in range(12):
        where = {"any": [condition(rng, 3), condition(rng, 3)]} if number \
            else {"all": [equals("/a", "x"), {"any": [
                equals("/b", 1), {"header": "h", "equals": "x"}]}]}
        table = f"t{number}"
        database.query(f"CREATE TABLE {table} (o bigint)")
        daemon = consumer({**CONFIG, "topic": topic, "where": where,
                           "table": table, "group": f"g{number}"})
        wait_accounted(database, len(records) * (number + 1))
        offsets = [row[0] for row in database.query(
            f"SELECT o FROM {table} ORDER BY o")]
        assert offsets == [offset for offset, (record, headers)
                           in enumerate(records)
                           if holds(where, record, headers)], where
        daemon.stop()
        daemon.verify()
        stored.add(len(offsets))
    assert len(stored) > 3


def test_a_tombstone_has_headers_alone(consumer, topics, database):
    """What is asked of a field holds for it; what is asked of a header
    counts."""
    database.query("CREATE TABLE t (id text PRIMARY KEY, o bigint);"
                   "INSERT INTO t VALUES ('1', 0), ('2', 0), ('3', 0)")
    topic = topics.create()
    topics.produce(topic, [
        ("1", None, 0, [("h", "no")]), ("2", None, 0, [("h", "x")]),
        ("3", None), ("4", '{"id":"4","a":1}', 0, [("h", "x")]),
        ("5", '{"id":"5","a":2}', 0, [("h", "x")])])
    daemon = consumer({
        **CONFIG, "topic": topic, "mode": "upsert_delete", "key": ["id"],
        "columns": {"id": "/id", "o": {"meta": "offset"}},
        "where": {"all": [equals("/a", 1), {"header": "h", "equals": "x"}]}})
    wait_accounted(database, 5)
    assert database.query("SELECT id FROM t ORDER BY id") \
        == [("1",), ("3",), ("4",)]
    assert database.value("SELECT sum(filtered) FROM sluice.batches") == 3
    daemon.stop()
    daemon.verify()
