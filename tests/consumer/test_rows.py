"""A record becomes a row: typed, and byte for byte."""

import decimal
import json

from tests.lib.env import wait_for


def wait_rows(database, table, count, timeout=20):
    wait_for(lambda: database.try_count(table) >= count, timeout,
             f"{count} rows in {table}")
    assert database.value(f"SELECT count(*) FROM {table}") == count


def test_columns_take_their_values_with_their_types(consumer, topics,
                                                    database):
    topic = topics.create()
    topics.produce(topic, [
        ("k1", json.dumps({
            "id": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
            "amount": {"total": 19.99, "large": 12345678901234567890.125},
            "n": -32768, "big": 9223372036854775807, "ok": True,
            "tags": ["a", "b"], "at": "2026-01-31T12:00:00.5+01:00",
            "text": "t"})),
        (None, json.dumps({"id": "7d444840-9dc0-11d1-b245-5ffdce74fad3"})),
    ], timestamp=1769857200123)
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "things",
        "create_table": True,
        "columns": {
            "id": {"path": "/id", "type": "uuid", "required": True},
            "total": {"path": "/amount/total", "type": "numeric(12,2)"},
            "large": {"path": "/amount/large", "type": "numeric"},
            "n": {"path": "/n", "type": "smallint"},
            "big": {"path": "/big", "type": "bigint", "default": 5},
            "ok": {"path": "/ok", "type": "boolean", "default": False},
            "first": {"path": "/tags/0", "type": "text"},
            "tags": {"path": "/tags", "type": "jsonb"},
            "at": {"path": "/at", "type": "timestamptz"},
            "text": "/text",
            "whole": "",
            "t": {"meta": "topic", "type": "text"},
            "p": {"meta": "partition", "type": "integer"},
            "o": {"meta": "offset", "type": "bigint"},
            "ts": {"meta": "timestamp", "type": "timestamptz"},
            "k": {"meta": "key", "type": "bytea"},
            "v": {"meta": "value", "type": "bytea"},
        }})
    wait_rows(database, "things", 2)
    sql = ("SELECT id::text, total, large, n, big, ok, first, tags,"
           " at = '2026-01-31T11:00:00.5Z', text, t, p, o,"
           " extract(epoch FROM ts), k FROM things ORDER BY o")
    first, second = database.query(sql)
    assert first[:-1] == (
        "7d444840-9dc0-11d1-b245-5ffdce74fad2", decimal.Decimal("19.99"),
        # every digit: nothing passes through a double
        decimal.Decimal(json.dumps(12345678901234567890.125)), -32768,
        9223372036854775807, True, "a", ["a", "b"], True, "t", topic, 0, 0,
        decimal.Decimal("1769857200.123"))
    assert bytes(first[-1]) == b"k1"
    assert second[1:5] == (None, None, None, 5)
    assert second[5] is False
    assert second[-1] is None
    whole = database.query("SELECT whole, v FROM things ORDER BY o")
    values = [record.value for record in topics.records(topic)]
    assert [bytes(row[1]) for row in whole] == values
    assert [json.loads(row[0]) if isinstance(row[0], str) else row[0]
            for row in whole] == [json.loads(value) for value in values]


def test_numbers_keep_every_digit(consumer, topics, database):
    topic = topics.create()
    numbers = ["0.1", "1e-15000", "1" * 1000, "-0.00", "123456789.987654321",
               "1e1000", "9007199254740993"]
    topics.produce(topic, [f'{{"n":{number}}}' for number in numbers])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "n",
        "create_table": True,
        "columns": {"n": {"path": "/n", "type": "numeric"},
                    "j": {"path": "/n", "type": "jsonb"},
                    "o": {"meta": "offset", "type": "bigint"}}})
    wait_rows(database, "n", len(numbers))
    for offset, number in enumerate(numbers):
        assert database.value(
            "SELECT n = %s::numeric AND j::numeric = n FROM n WHERE o = %s",
            number, offset), number
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0


def test_text_is_stored_byte_for_byte(consumer, topics, database):
    """Row 34: what COPY's format gives a meaning, and every code point."""
    texts = ["", " ", "\t", "\r", "\n", "\r\n", "\\", "\\.", "\\N", "N",
             "\\t", "\\x41", "\\\\", "\\.\n", "\n\\.\n", "a\tb\nc\\d",
             '"', "'", "\b\f\v\x01\x1f\x7f", "null", "\ufeff", "\u0085",
             "\u2028", "e\u0301"]
    planes = [code for code in range(1, 0x110000)
              if not 0xd800 <= code < 0xe000]
    for at in range(0, len(planes), 20000):
        texts.append("".join(map(chr, planes[at:at + 20000])))
    topic = topics.create()
    # escaped and raw forms of each
    topics.produce(topic, [json.dumps({"t": text, "k": number})
                           for number, text in enumerate(texts)])
    topics.produce(topic, [
        json.dumps({"t": text, "k": number + len(texts)},
                   ensure_ascii=False).encode()
        for number, text in enumerate(texts)])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "texts",
        "create_table": True,
        "columns": {"t": {"path": "/t", "type": "text"},
                    "k": {"path": "/k", "type": "integer"}}})
    wait_rows(database, "texts", 2 * len(texts))
    for number, text in database.query("SELECT k, t FROM texts"):
        assert text == texts[number % len(texts)], number


def test_keys_and_values_are_stored_byte_for_byte(consumer, topics, database):
    blobs = [bytes(range(256)), b"", b"\\x00", b"\\.\n", b"\t\n\\N"]
    topic = topics.create()
    topics.produce(topic, [(blob, blob) for blob in blobs])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "blobs",
        "create_table": True,
        "columns": {"k": {"meta": "key", "type": "bytea"},
                    "v": {"meta": "value", "type": "bytea"},
                    "o": {"meta": "offset", "type": "bigint"}}})
    wait_rows(database, "blobs", len(blobs))
    rows = database.query("SELECT k, v FROM blobs ORDER BY o")
    assert [(bytes(k), bytes(v)) for k, v in rows] \
        == [(blob, blob) for blob in blobs]


def test_an_existing_table_gives_the_types(consumer, topics, database):
    database.query("CREATE TABLE post (id bigserial, title varchar(10),"
                   " n integer DEFAULT 7, extra text DEFAULT 'e')")
    topic = topics.create()
    topics.produce(topic, ['{"title":"a","n":1}', '{"title":"b"}',
                           '{"title":"much too long a title","n":2}',
                           '{"title":"c","n":3}'])
    consumer({"topic": topic, "group": "g", "start": "earliest",
              "table": "post", "columns": {"title": "/title", "n": "/n"}})
    wait_rows(database, "post", 3)
    assert database.query("SELECT title, n, extra FROM post ORDER BY id") \
        == [("a", 1, "e"), ("b", None, "e"), ("c", 3, "e")]
    assert database.query(
        'SELECT "offset", sqlstate FROM sluice.dead_letters') \
        == [(2, "22001")]


def test_identity_column_and_a_table_in_a_schema(consumer, topics, database):
    database.query("CREATE SCHEMA shop")
    topic = topics.create()
    topics.produce(topic, ['{"a":"x"}', '{"a":"y"}'])
    consumer({
        "topic": topic, "group": "g", "start": "earliest",
        "table": "shop.orders", "create_table": True,
        "columns": {"id": {"generated": "identity", "type": "bigint"},
                    "a": {"path": "/a", "type": "text"}}})
    wait_rows(database, "shop.orders", 2)
    assert database.query("SELECT id, a FROM shop.orders ORDER BY id") \
        == [(1, "x"), (2, "y")]


def test_names_are_quoted_never_executed(consumer, topics, database):
    """Row 37."""
    database.query("CREATE TABLE victim (a int)")
    evil = 'a"; DROP TABLE victim; --'
    topic = topics.create()
    topics.produce(topic, [json.dumps({evil: "x"})])
    consumer({
        "topic": topic, "group": "g'; DROP TABLE victim; --",
        "start": "earliest", "table": [evil], "create_table": True,
        "columns": {evil: {"path": "/" + evil, "type": "text"}}})
    quoted = '"' + evil.replace('"', '""') + '"'
    wait_rows(database, quoted, 1)
    assert database.query(f"SELECT * FROM {quoted}") == [("x",)]
    assert database.value("SELECT count(*) FROM victim") == 0


def test_order_within_a_partition_is_kept(consumer, topics, database):
    topic = topics.create()
    topics.produce(topic, ['{"n":%d}' % n for n in range(5000)])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "n",
        "create_table": True, "batch": {"rows": 100},
        "columns": {"id": {"generated": "identity", "type": "bigint"},
                    "n": {"path": "/n", "type": "integer"}}})
    wait_rows(database, "n", 5000)
    assert database.value(
        "SELECT bool_and(n = id - 1) FROM n") is True
