"""Rows go in the binary format where every column's type allows it, and the
table holds what it would hold by text."""

import json

import pytest

from tests.lib.env import wait_for

# the statement that brought a row says its format
ASKED = ", sql text DEFAULT current_query())"

ODD = ["", "a\tb\nc\\d\r\b\f\v", "\\N", "\\.", "é😀", "x" * 70000, "\\x41"]


def stored(database, table, count):
    wait_for(lambda: database.try_count(table) == count, 30,
             f"{count} rows in {table}")
    return database.query(f"SELECT * FROM {table} ORDER BY off")


def test_all_types_it_knows(consumer, topics, database):
    database.query(
        "CREATE DOMAIN short AS varchar(5) CHECK (value <> 'never');"
        "CREATE TABLE t (off bigint, part smallint, n integer, big bigint,"
        " a text, v short, c char(3), j jsonb, js json, k bytea,"
        " at timestamptz" + ASKED)
    topic = topics.create()
    values = [{"n": number, "big": -(2 ** 63) + number, "a": text,
               "v": "five5", "c": "x", "j": {"t": text}}
              for number, text in enumerate(ODD)]
    values.append({})
    topics.produce(topic, [(b"\x00\xff\\k", json.dumps(value))
                           for value in values[:-1]]
                   + [(None, json.dumps(values[-1]))],
                   timestamp=1769862896789)
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "columns": {
            "off": {"meta": "offset"}, "part": {"meta": "partition"},
            "n": "/n", "big": "/big", "a": "/a", "v": "/v", "c": "/c",
            "j": "/j", "js": "/j", "k": {"meta": "key"},
            "at": {"meta": "timestamp"}}})
    rows = stored(database, "t", len(values))
    for offset, (row, value) in enumerate(zip(rows, values)):
        assert row[:3] == (offset, 0, value.get("n"))
        assert row[3] == value.get("big")
        assert row[4] == value.get("a")
        assert row[5] == value.get("v")
        assert row[6] == ("x  " if value else None)
        assert row[7] == value.get("j") == row[8]
        assert (row[9] is None) == (not value)
        assert not value or bytes(row[9]) == b"\x00\xff\\k"
        assert "(FORMAT binary)" in row[11]
    assert database.value("SELECT DISTINCT extract(epoch FROM at)::text "
                          "FROM t") == "1769862896.789000"


@pytest.mark.parametrize("kind", ["numeric", "uuid", "timestamptz",
                                  "boolean", "text[]", "real"])
def test_other_types_go_as_text(consumer, topics, database, kind):
    database.query(f"CREATE TABLE t (off bigint, v {kind}" + ASKED)
    topic = topics.create()
    topics.produce(topic, ["{}"])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "columns": {"off": {"meta": "offset"}, "v": "/v"}})
    assert "(FORMAT binary)" not in stored(database, "t", 1)[0][2]


@pytest.mark.parametrize("bad, reason", [
    ({"v": "sixsix"}, "value too long for type character varying(5)"),
    ({"v": "no"}, "violates check constraint"),
    ({}, "violates not-null constraint"),
    ({"v": "boom"}, "boom is refused"),
])
def test_a_bad_row_among_good_ones(consumer, topics, database, bad, reason):
    database.query(
        "CREATE TABLE t (off bigint, v varchar(5) NOT NULL"
        " CHECK (v <> 'no')" + ASKED + ";"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " IF new.v = 'boom' THEN RAISE 'boom is refused'; END IF;"
        " RETURN new; END$$;"
        "CREATE TRIGGER b BEFORE INSERT ON t FOR EACH ROW"
        " EXECUTE FUNCTION f()")
    topic = topics.create()
    topics.produce(topic, [json.dumps(bad if number == 70 else {"v": "good"})
                           for number in range(100)])
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "batch": {"rows": 100, "linger": "1m"},
        "columns": {"off": {"meta": "offset"}, "v": "/v"}})
    rows = stored(database, "t", 99)
    assert [row[0] for row in rows] == [n for n in range(100) if n != 70]
    found = database.query('SELECT "offset", reason FROM sluice.dead_letters')
    assert len(found) == 1 and found[0][0] == 70
    assert reason in found[0][1]
    # by halves of halves, as lines
    assert daemon.metric("sluice_consumer_copies_total") <= 1 + 7 + 2


def test_an_offset_too_large_for_its_column(consumer, topics, database):
    """Refused for the row's sake, and not as a breach of the protocol."""
    database.query("CREATE TABLE t (off smallint)")
    topic = topics.create()
    topics.produce(topic, ["{}"] * 32771)
    consumer({"topic": topic, "group": "g", "start": "earliest",
              "table": "t", "dead_letters": {"hold_above": 1},
              "columns": {"off": {"meta": "offset"}}})
    wait_for(lambda: database.try_count("sluice.dead_letters") == 3, 60,
             "dead letters")
    assert database.try_count("t") == 32768
    assert database.query("SELECT DISTINCT sqlstate FROM"
                          " sluice.dead_letters") == [("22003",)]


@pytest.mark.parametrize("mode, kind", [
    ("append", "numeric"), ("append", "integer"), ("upsert", "text"),
    ("upsert", "double precision")])
def test_types_that_change_while_it_runs(consumer, topics, database, mode,
                                         kind):
    """A tuple's bytes are never taken for those of another type."""
    database.query("CREATE TABLE t (off bigint PRIMARY KEY, v bigint"
                   + ASKED)
    topic = topics.create()
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "columns": {"off": {"meta": "offset"}, "v": "/v"}, "mode": mode,
        **({"key": ["off"]} if mode == "upsert" else {})})
    topics.produce(topic, ['{"v":1}'])
    assert "(FORMAT binary)" in stored(database, "t", 1)[0][2]
    database.query(f"ALTER TABLE t ALTER v TYPE {kind} USING v::{kind}")
    topics.produce(topic, ['{"v":2}', '{"v":3}'])
    assert [int(row[1]) for row in stored(database, "t", 3)] == [1, 2, 3]
    assert "the table has changed" in daemon.log()
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0
