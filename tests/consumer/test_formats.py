"""Formats of a record, zero bytes, filters, and columns of their own."""

import json

import pytest

from tests.lib.env import wait_for

KEEP = {"dead_letters": {"hold_above": 1}}


def wait_accounted(database, count, timeout=30):
    wait_for(lambda: database.try_count("sluice.offsets") and database.value(
        "SELECT sum(next_offset) FROM sluice.offsets") >= count, timeout,
        f"{count} records are accounted")


def reasons(database):
    return database.query('SELECT "offset", sqlstate, reason FROM'
                          ' sluice.dead_letters ORDER BY 1')


@pytest.mark.parametrize("policy, stored", [
    ("strip", ["ab", "a\\u0000b", "ab", "ab", "ab"]),
    ("replace", ["a\ufffdb", "a\\u0000b", "a\ufffdb", "a\ufffdb",
                 "a\ufffdb"])])
def test_zero_bytes_are_taken_out_as_told(consumer, topics, database, policy,
                                          stored):
    database.query("CREATE TABLE t (o bigint, a text, j jsonb, h text,"
                   " k text, raw bytea)")
    topic = topics.create()
    values = [b'{"a":"a\\u0000b"}', b'{"a":"a\\\\u0000b"}',
              b'{"a":"a\x00b"}', b'{"a\\u0000":1,"a":"ab"}', b'{"a":1}\x00']
    topics.produce(topic, [(b"a\x00b", value, 0, [("h", b"a\x00b")])
                           for value in values])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "nul": policy, **KEEP, "columns": {
            "o": {"meta": "offset"}, "a": "/a", "j": "",
            "h": {"header": "h"}, "k": {"meta": "key"},
            "raw": {"meta": "value"}}})
    wait_accounted(database, len(values))
    rows = database.query("SELECT o, a, j, h, k, raw FROM t ORDER BY o")
    assert [row[1] for row in rows[:3]] == stored[:3]
    assert [row[2] for row in rows[:3]] == [{"a": text}
                                            for text in stored[:3]]
    assert {row[3:5] for row in rows} == {(stored[3], stored[4])}
    # what a bytea takes stays as it is
    assert [bytes(row[5]) for row in rows] \
        == [values[row[0]] for row in rows]
    # without its zero byte the name is there twice
    twice = [] if policy == "replace" else [3]
    assert [row[0] for row in reasons(database)] == [*twice, 4]


def test_raw_text_and_raw_bytes(consumer, topics, database):
    database.query("CREATE TABLE texts (o bigint, v text, n integer);"
                   "CREATE TABLE blobs (o bigint, v bytea)")
    topic = topics.create()
    values = [b"7", b"", b"{not json", b"\\.\n\t\\N", "é😀".encode(),
              b"\xff\xfe", b"a\x00b", b"8"]
    topics.produce(topic, values)
    consumer({
        "topic": topic, "group": "t", "start": "earliest", "table": "texts",
        "format": "text", **KEEP, "columns": {
            "o": {"meta": "offset"}, "v": {"meta": "value"}}})
    consumer({
        "topic": topic, "group": "b", "start": "earliest", "table": "blobs",
        "format": "bytes", "columns": {
            "o": {"meta": "offset"}, "v": {"meta": "value"}}})
    wait_accounted(database, 2 * len(values))
    texts = database.query("SELECT o, v FROM texts ORDER BY o")
    assert texts == [(n, value.decode()) for n, value in enumerate(values)
                     if n not in (5, 6)]
    assert [row[:2] for row in reasons(database)] == [(5, "22021"),
                                                      (6, "22021")]
    assert [bytes(row[0]) for row in database.query(
        "SELECT v FROM blobs ORDER BY o")] == values


EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t.x"}


def binary(value, content="application/json", **more):
    headers = [(f"ce_{name}", text.encode())
               for name, text in {**EVENT, **more}.items() if text]
    if content:
        headers.append(("content-type", content.encode()))
    return (None, value, 0, headers)


def structured(event, content="application/cloudevents+json"):
    text = event if isinstance(event, bytes) else json.dumps(event)
    return (None, text, 0,
            [("content-type", content.encode())] if content else [])


def test_cloudevents_of_both_modes(consumer, topics, database):
    database.query("CREATE TABLE e (o bigint, id text, kind text,"
                   " at timestamptz, n integer, data jsonb, blob bytea,"
                   " tenant text)")
    topic = topics.create()
    data = {"n": 7, "s": "x"}
    records = [
        binary('{"n":7,"s":"x"}', time="2026-01-31T12:00:00Z",
               tenant='a"\\\n'),
        structured({**EVENT, "time": "2026-01-31T12:00:00Z", "data": data,
                    "tenant": 'a"\\\n'}, "application/cloudevents+json; "
                   "charset=UTF-8"),
        structured({**EVENT, "data": data}, None),
        binary(b"\x00\xff", "application/octet-stream"),
        structured({**EVENT, "data_base64": "AP8="}),
        binary("plain\n", "text/plain; charset=utf-8"),
        binary(' "a" ', None), binary(None),
        # no events, or not whole
        binary('{"n":7,"s":"x"}', id=""), structured({"id": "1"}),
        binary('1,"extra":2'), binary('1},{"a":1'), binary("{"),
        binary('"a","data":1'),
        structured({**EVENT, "specversion": "0.3"}),
        structured([EVENT], "application/cloudevents-batch+json"),
        structured(b"\x00", "application/cloudevents+avro"),
        (None, '{"n":1}'), (None, None)]
    topics.produce(topic, records)
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "e",
        "format": "cloudevents", **KEEP, "columns": {
            "o": {"meta": "offset"}, "id": "/id", "kind": "/type",
            "at": "/time", "n": "/data/n", "data": "/data",
            "blob": "/data_base64", "tenant": "/tenant"}})
    wait_accounted(database, len(records))
    rows = database.query(
        "SELECT o, id, kind, at = '2026-01-31T12:00:00Z', n, data, blob,"
        " tenant FROM e ORDER BY o")
    assert [(*row[:6], row[6] and bytes(row[6]), row[7]) for row in rows] == [
        (0, "1", "t.x", True, 7, data, None, 'a"\\\n'),
        (1, "1", "t.x", True, 7, data, None, 'a"\\\n'),
        (2, "1", "t.x", None, 7, data, None, None),
        (3, "1", "t.x", None, None, None, b"\x00\xff", None),
        (4, "1", "t.x", None, None, None, b"\x00\xff", None),
        (5, "1", "t.x", None, None, "plain\n", None, None),
        (6, "1", "t.x", None, None, "a", None, None),
        (7, "1", "t.x", None, None, None, None, None)]
    dead = {row[0]: row[1:] for row in reasons(database)}
    assert sorted(dead) == list(range(8, len(records)))
    assert dead[8] == ("22023",
                       'no CloudEvent: attribute "id" is missing')
    assert dead[10] == ("22032", "the event's data is not JSON")
    assert dead[13][0] == "22032"
    assert dead[14] == ("22023", "the CloudEvent is of another specversion"
                        " than 1.0")
    assert dead[15][0] == dead[16][0] == "22023"
    assert dead[18] == ("22004", "the value is null")


@pytest.mark.parametrize("where, taken", [
    ({"path": "/type", "equals": "order"}, [0, 1]),
    ({"path": "/type", "in": ["refund", 5, None]}, [2, 3, 4, 5]),
    ({"path": "/type", "exists": False}, [6]),
    ({"header": "kind", "in": ["a"]}, [1])])
def test_a_filter_takes_what_it_says(consumer, topics, database, where,
                                     taken):
    database.query("CREATE TABLE t (o bigint)")
    topic = topics.create()
    values = ['{"type":"order"}', '{"type":"\\u006frder"}',
              '{"type":"refund"}', '{"type":5}', '{"type":5.0e0}',
              '{"type":null}', '{"x":{"type":"order"}}',
              '{"type":["order"]}']
    records = [(None, value, 0, [("kind", b"a")] if n == 1 else [])
               for n, value in enumerate(values)]
    topics.produce(topic, records)
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "where": where, "columns": {"o": {"meta": "offset"}}})
    wait_accounted(database, len(records))
    assert [row[0] for row in database.query("SELECT o FROM t ORDER BY o")] \
        == taken
    left = len(records) - len(taken)
    assert database.query(
        "SELECT sum(records), sum(rows), sum(filtered), sum(dead_letters)"
        " FROM sluice.batches") == [(len(records), len(taken), left, 0)]
    wait_for(lambda: daemon.metric("sluice_consumer_filtered_total") == left,
             20, "the filtered are counted")


def test_offsets_go_on_where_all_is_filtered(consumer, topics, database):
    database.query("CREATE TABLE t (o bigint)")
    topic = topics.create()
    config = {"topic": topic, "group": "g", "start": "earliest", "table": "t",
              "batch": {"rows": 100}, "where": {"path": "/a", "equals": 1},
              "columns": {"o": {"meta": "offset"}}}
    topics.produce(topic, ['{"a":2}'] * 1000)
    daemon = consumer(config)
    wait_accounted(database, 1000)
    daemon.stop()
    # the last record was compared with the one stored: it is the same
    topics.produce(topic, ['{"a":1}', '{"a":2}', "no json"])
    daemon.start()
    wait_accounted(database, 1003)
    assert "compared" not in daemon.log()
    assert database.query("SELECT o FROM t") == [(1000,)]
    assert database.query(
        "SELECT sum(records), sum(rows), sum(filtered), sum(dead_letters)"
        " FROM sluice.batches WHERE kind = 'records'") \
        == [(1003, 1, 1001, 1)]
    # a bad record is no filtered one
    assert [row[:2] for row in reasons(database)] == [(1002, "22032")]


def test_auto_columns_are_those_of_the_table(consumer, topics, database):
    database.query(
        'CREATE TABLE t (id bigserial PRIMARY KEY, name text NOT NULL,'
        ' n numeric(8,2) DEFAULT 1.5, "Odd ~/""name" integer,'
        " state text DEFAULT 'new', tags text[] DEFAULT '{a,b}',"
        " doc jsonb DEFAULT '{\"a\": 1}', raw bytea DEFAULT '\\x00ff',"
        " at timestamptz NOT NULL DEFAULT now(), rest jsonb,"
        " twice numeric GENERATED ALWAYS AS (n * 2) STORED)")
    topic = topics.create()
    topics.produce(topic, [
        json.dumps({"name": "a", "n": 2, 'Odd ~/"name': 7, "state": "paid",
                    "tags": ["x"], "doc": [], "raw": "AQ==", "id": 99,
                    "more": {"b": [1, "\t"]}, "twice": 3, "rest": 0}),
        '{"name":"b"}', '{"n":1}', "[]"])
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "columns": "auto", "rest": "rest", **KEEP})
    wait_accounted(database, 4)
    assert database.query(
        'SELECT id > 0, name, n, "Odd ~/""name", state, tags, doc,'
        " encode(raw, 'hex'), at > now() - interval '1 hour', rest, twice"
        " FROM t ORDER BY id") == [
            (True, "a", 2, 7, "paid", ["x"], [], "01", True,
             {"id": 99, "more": {"b": [1, "\t"]}, "twice": 3, "rest": 0}, 4),
            (True, "b", 1.5, None, "new", ["a", "b"], {"a": 1}, "00ff", True,
             {}, 3)]
    dead = reasons(database)
    assert dead[0][:2] == (2, "23502")
    assert dead[1] == (3, "2203C", "the value is an array, not an object with"
                                   " fields")
    assert 'column "at" of table "t" is left to the table' in daemon.log()


def test_rest_takes_what_no_column_begins_with(consumer, topics, database):
    topic = topics.create()
    topics.produce(topic, ['{"a":{"b":1,"c":2}, "d" : [1, {"e":"\\n"}],"f":"",'
                           '"\\u0067":null}', '{"a":1}'])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "create_table": True, "rest": "more", "columns": {
            "o": {"meta": "offset", "type": "bigint"},
            "b": {"path": "/a/b", "type": "integer"}}})
    wait_for(lambda: database.try_count("t") >= 2, 20, "rows")
    assert database.query("SELECT b, more FROM t ORDER BY o") == [
        (1, {"d": [1, {"e": "\n"}], "f": "", "g": None}), (None, {})]


def test_what_cannot_be_filled_holds_and_says_so(consumer, topics, database):
    database.query("CREATE TABLE t (a integer)")
    topic = topics.create()
    topics.produce(topic, ['{"a":1}'])
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "columns": {"a": {"path": "/a", "default": "many"}}})
    assert daemon.wait_held()["reason"] == \
        '"default" of column "a": not a whole number'
    code, said = daemon.run("--check")
    assert code == 1
    assert '"default" of column "a": not a whole number' in said
    database.query("ALTER TABLE t ALTER a TYPE text")
    daemon.wait_healthy()
    wait_for(lambda: database.value("SELECT count(*) FROM t") == 1, 20,
             "the row")
