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


COMMON = {
    "id": "uuid", "price": "numeric(10,2)", "much": "numeric", "ok": "boolean",
    "at": "timestamptz(3)", "local": "timestamp", "day": "date",
    "clock": "time", "ratio": "double precision", "rough": "real",
    "mood": "mood", "tags": "text[]", "cells": "integer[]", "cents": "cents",
    "docs": "jsonb[]", "money": "cents[]", "span": "interval", "ip": "inet",
    "net": "cidr", "mac": "macaddr", "mac8": "macaddr8", "flags": "bit(3)",
    "more_flags": "varbit", "page": "xml", "ips": "inet[]"}


def test_the_common_types(consumer, topics, database):
    """As by text: both tables have the same, one has a type more."""
    columns = ", ".join(f"{name} {kind}" for name, kind in COMMON.items())
    database.query(
        "CREATE TYPE mood AS ENUM ('sad', 'ok');"
        "CREATE DOMAIN cents AS numeric(9,2) CHECK (value <> 7);"
        f"CREATE TABLE t (off bigint, {columns}{ASKED};"
        f"CREATE TABLE u (off bigint, more point, {columns}{ASKED}")
    values = [
        {"id": "{00112233-4455-6677-8899-AABBCCDDEEFF}", "price": 1.005,
         "much": "1e-20", "ok": True, "at": "2026-01-31T12:34:56.7895+01:00",
         "local": "2026-01-31 12:34:56Z", "day": "20260131", "clock": "12:34",
         "ratio": 4.9e-324, "rough": "NaN", "mood": "sad",
         "tags": ["a\t\"b\\", None, ""], "cells": [[1, None], [3, 4]],
         "cents": "7.50", "docs": [{"a": [1, "x"]}, None], "money": [1, 2.5],
         "span": "P1Y2M3DT4H5M6.5S", "ip": "10.1.2.3/24", "net": "10.0.0.0/8",
         "mac": "08:00:2b:01:02:03", "mac8": "08:00:2b:01:02:03:04:05",
         "flags": "101", "more_flags": "", "page": "<a>é</a>",
         "ips": ["10.1.2.3", None, "2001:db8::1"]},
        {"id": "00112233445566778899aabbccddeeff", "price": "-0",
         "much": "-Infinity", "ok": "off", "at": "infinity",
         "local": "2026-01-31 23:59:60", "day": "10000-02-29",
         "clock": "24:00", "ratio": "-0", "rough": 1e-45, "mood": "ok",
         "tags": [], "cells": "{}", "cents": -1, "docs": "{}",
         "money": [], "span": "3 days 04:05:06.789", "ip": "2001:DB8::/32",
         "net": "::/0", "mac": "08-00-2B-01-02-03",
         "mac8": "FF-FF-FF-FF-FF-FF-FF-FF", "flags": "000",
         "more_flags": "1" * 70, "page": "text", "ips": "{}"},
        {}]
    topic = topics.create()
    topics.produce(topic, [json.dumps(value) for value in values])
    for table in "t", "u":
        consumer({
            "topic": topic, "group": table, "start": "earliest",
            "table": table,
            "columns": {"off": {"meta": "offset"},
                        **{name: f"/{name}" for name in COMMON},
                        **({"more": "/more"} if table == "u" else {})}})
    for table, how in ("t", True), ("u", False):
        wait_for(lambda: database.try_count(table) == len(values), 30, table)
        assert database.value("SELECT bool_and(sql LIKE '%(FORMAT binary)%')"
                              f" FROM {table}") == how
    names = ", ".join(COMMON)
    shown = [database.query(f"SELECT ({names})::text FROM {table}"
                            " ORDER BY off") for table in "tu"]
    assert shown[0] == shown[1]
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0


@pytest.mark.parametrize("kind", ["money", "tsvector", "point", "int4range"])
def test_other_types_go_as_text(consumer, topics, database, kind):
    database.query(f"CREATE TABLE t (off bigint, v {kind}" + ASKED)
    topic = topics.create()
    topics.produce(topic, ["{}"])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "columns": {"off": {"meta": "offset"}, "v": "/v"}})
    assert "(FORMAT binary)" not in stored(database, "t", 1)[0][2]


UPSERT = {"mode": "upsert", "key": ["off"]}


@pytest.mark.parametrize("kind, bad, sqlstate, reason", [
    ("uuid", "x", "22P02", 'invalid input syntax for type uuid: "x"'),
    ("numeric", "1e200000", "22003", "value overflows numeric format"),
    ("double precision", "1e400", "22003",
     '"1e400" is out of range for type double precision'),
    ("mood", "glad", "22P02", 'invalid input value for enum mood: "glad"'),
    ("five", "5x", "22P02", 'invalid input syntax for type integer: "5x"'),
])
@pytest.mark.parametrize("more", [{}, UPSERT], ids=["append", "upsert"])
def test_a_value_of_no_sense(consumer, topics, database, kind, bad, sqlstate,
                             reason, more):
    """It is the dead letter that the text would be, and the rest is stored."""
    database.query("CREATE TYPE mood AS ENUM ('sad');"
                   "CREATE DOMAIN five AS integer CHECK (value > 5);"
                   f"CREATE TABLE t (off bigint PRIMARY KEY, v {kind})")
    topic = topics.create()
    topics.produce(topic, [json.dumps({"v": bad} if number == 7 else {})
                           for number in range(10)])
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "dead_letters": {"hold_above": 1},
        "batch": {"rows": 10, "linger": "1m"},
        "columns": {"off": {"meta": "offset"},
                    "v": {"path": "/v", "type": "text"}}, **more})
    stored(database, "t", 9)
    found = database.query('SELECT "offset", sqlstate, reason'
                           ' FROM sluice.dead_letters')
    assert [row[:2] for row in found] == [(7, sqlstate)]
    assert reason in found[0][2]
    # tuples before it, lines from it on, in halves
    assert daemon.metric("sluice_consumer_copies_total") <= 1 + 2 + 4


@pytest.mark.parametrize("kind, odd, shown", [
    ("uuid", "0011-2233-4455-6677-8899-aabb-ccdd-eeff",
     "00112233-4455-6677-8899-aabbccddeeff"),
    ("double precision", "0x10", "16"), ("integer", " +5", "5"),
    ("boolean", " yes ", "true"), ("timestamptz", "epoch",
                                   "1970-01-01 00:00:00+00"),
    ("integer[]", "[2:3]={1, 2}", "[2:3]={1,2}"),
    ("integer[]", "{7,null}", "{7,NULL}")])
def test_a_spelling_that_few_use(consumer, topics, database, kind, odd,
                                 shown):
    database.query(f"CREATE TABLE t (off bigint, v {kind})")
    topic = topics.create()
    topics.produce(topic, [json.dumps({"v": odd})] * 3 + ["{}"])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "columns": {"off": {"meta": "offset"},
                    "v": {"path": "/v", "type": "text"}}})
    rows = stored(database, "t", 4)
    database.query("SET TimeZone = 'UTC'")
    assert database.value("SELECT v::text FROM t WHERE off = 1") == shown
    assert rows[3][1] is None
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0


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
    # by halves of halves
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
