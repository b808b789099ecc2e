"""A bad record is kept aside with its reason; its neighbours are rows."""

import json
import re
import time

import pytest

from tests.lib.env import wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "columns": {
        "id": {"path": "/id", "type": "integer", "required": True},
        "name": {"path": "/name", "type": "text"},
        "at": {"path": "/at", "type": "timestamptz"},
    },
}


def run(consumer, topics, database, bad, before=20, after=20, **more):
    """Good, bad, good; waits for the good ones and gives the dead ones."""
    topic = topics.create()
    good = ['{"id":%d}' % n for n in range(before + after)]
    values = good[:before] + list(bad) + good[before:]
    topics.produce(topic, values)
    daemon = consumer({**CONFIG, "topic": topic, **more})
    wait_for(lambda: database.try_count("t") == len(good), 20, "all rows")
    wait_for(lambda: database.value(
        "SELECT count(*) FROM sluice.dead_letters") == len(bad), 5, "dead")
    assert [row[0] for row in database.query("SELECT id FROM t ORDER BY 1")] \
        == list(range(len(good)))
    return topic, daemon, database.query(
        'SELECT topic, partition, "offset", key, value, sqlstate, reason'
        ' FROM sluice.dead_letters ORDER BY "offset"')


@pytest.mark.parametrize("bad", [
    pytest.param(b"not json", id="not JSON"),
    pytest.param(b"", id="empty"),
    pytest.param(None, id="null"),
    pytest.param(b'{"id":1,"id":2}', id="duplicate member"),
    pytest.param(b'{"id":1}\0', id="trailing NUL"),
    pytest.param(b'{"id":1,"name":"\\u0000"}', id="escaped NUL"),
    pytest.param(b'{"id":1,"name":"\xff"}', id="invalid UTF-8"),
    pytest.param(b"{}", id="required is missing"),
    pytest.param(b'{"id":null}', id="required is null"),
    pytest.param(b'{"id":"x"}', id="type"),
    pytest.param(b'{"id":1.5}', id="fraction"),
    pytest.param(b'{"id":2147483648}', id="out of range"),
    pytest.param(b'{"id":{}}', id="object for a number"),
    pytest.param(b'{"id":1,"at":"yesterday-ish"}', id="only PostgreSQL sees"),
    pytest.param(b'{"id":1,"at":"2026-02-30T00:00:00Z"}', id="no such day"),
])
def test_a_bad_record_goes_aside_with_its_reason(consumer, topics, database,
                                                 bad):
    database.query("CREATE TABLE t (id integer, name text, at timestamptz)")
    topic, daemon, dead = run(consumer, topics, database, [bad])
    assert len(dead) == 1
    where, partition, offset, key, value, state, reason = dead[0]
    assert (where, partition, offset, key) == (topic, 0, 20, None)
    assert (None if value is None else bytes(value)) == bad
    assert len(state) == 5
    assert reason
    assert daemon.metric("sluice_consumer_dead_letters_total") == 1
    assert daemon.metric("sluice_consumer_rows_total") == 40
    assert daemon.health()[0] == 200


def test_what_the_table_refuses_goes_aside(consumer, topics, database):
    """CHECK, unique and NOT NULL are known to the server alone."""
    database.query("CREATE TABLE t (id integer UNIQUE CHECK (id < 1000),"
                   " name text NOT NULL DEFAULT 'n', at timestamptz)")
    topic = topics.create()
    topics.produce(topic, [
        json.dumps({"id": n, "name": "x"}) for n in (1, 2, 1001, 3, 2, 4)]
        + ['{"id":5}', '{"id":6,"name":"x"}'])
    consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 5, 20, "rows")
    assert [row[0] for row in database.query("SELECT id FROM t ORDER BY 1")] \
        == [1, 2, 3, 4, 6]
    assert database.query('SELECT "offset", sqlstate FROM sluice.dead_letters'
                          ' ORDER BY 1') \
        == [(2, "23514"), (4, "23505"), (6, "23502")]


def test_many_bad_ones_in_every_place(consumer, topics, database):
    """First, last, adjacent; each kind beside the others; several batches."""
    database.query("CREATE TABLE t (id integer CHECK (id <> 13), name text,"
                   " at timestamptz)")
    topic = topics.create()
    values, good = [], []
    for number in range(2000):
        if number % 97 == 0 or number in (1, 2, 1999):
            values.append(["{", '{"id":13}', "{}", '{"id":1,"at":"x"}']
                          [number % 4])
        else:
            values.append('{"id":%d}' % (number + 10000))
            good.append(number + 10000)
    topics.produce(topic, values)
    consumer({**CONFIG, "topic": topic, "batch": {"rows": 300}})
    wait_for(lambda: database.try_count("t") == len(good), 30, "rows")
    wait_for(lambda: database.value(
        "SELECT count(*) FROM sluice.dead_letters")
        == len(values) - len(good), 5, "dead letters")
    assert [row[0] for row in database.query("SELECT id FROM t ORDER BY 1")] \
        == good
    for offset, value in database.query(
            'SELECT "offset", value FROM sluice.dead_letters'):
        assert bytes(value).decode() == values[offset]


def test_the_key_and_time_of_a_dead_letter_are_kept(consumer, topics,
                                                    database):
    database.query("CREATE TABLE t (id integer, name text, at timestamptz)")
    topic = topics.create()
    topics.produce(topic, [(b"\0key\xff", b"bad")], timestamp=1769857200123)
    consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("sluice.dead_letters") == 1, 20)
    key, seconds = database.query(
        'SELECT key, extract(epoch FROM "timestamp")'
        ' FROM sluice.dead_letters')[0]
    assert bytes(key) == b"\0key\xff"
    assert float(seconds) == 1769857200.123


def test_too_large_a_share_of_bad_records_holds(consumer, topics, database):
    """A wrong deployment must not move a whole topic aside."""
    database.query("CREATE TABLE t (id integer, name text, at timestamptz)")
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'] * 1000 + ["{}"] * 3000)
    config = {**CONFIG, "topic": topic, "batch": {"rows": 100}}
    daemon = consumer(config)
    held = daemon.wait_held()
    first = database.value("SELECT next_offset FROM sluice.offsets")
    shown = re.findall(r"[e;] partition 0, offset (\d+): [^;]+ \(\w{5}\)",
                       held["reason"])
    assert [int(offset) for offset in shown] == [first, first + 1, first + 2]
    assert held["reason"] in daemon.log()
    assert daemon.metric("sluice_consumer_held") == 1
    assert database.value("SELECT count(*) FROM sluice.dead_letters") <= 300
    assert daemon.alive()
    daemon.stop()
    again = consumer({**config, "dead_letters": {"hold_above": 1}})
    wait_for(lambda: database.value(
        "SELECT count(*) FROM sluice.dead_letters") == 3000, 30, "all aside")
    again.wait_healthy()
    assert database.value("SELECT count(*) FROM t") == 1000


def test_a_row_too_big_takes_no_other_row_with_it(consumer, topics, database):
    """COPY fails behind it: rows are inserted by the thousand."""
    topic = topics.create()
    database.query("CREATE TABLE t (n integer, body text)")
    database.query("ALTER TABLE t ALTER body SET STORAGE PLAIN")
    values = ['{"n":%d,"body":"ok"}' % n for n in range(3000)]
    values[400] = '{"n":400,"body":"%s"}' % ("x" * 9000)
    topics.produce(topic, values)
    consumer({"topic": topic, "group": "g", "start": "earliest",
              "table": "t", "columns": {"n": "/n", "body": "/body"}})
    wait_for(lambda: database.value("SELECT count(*) FROM t") == 2999, 30,
             "the others")
    assert database.query(
        'SELECT "offset", sqlstate FROM sluice.dead_letters') \
        == [(400, "54000")]


LATE = {**CONFIG, "columns": {
    "id": {"path": "/id", "type": "integer", "required": True},
    "of": {"path": "/of", "type": "integer"}}}


def late(consumer, topics, database, *records):
    """A daemon that waits for a foreign key's row."""
    database.query("CREATE TABLE p (id integer PRIMARY KEY);"
                   "CREATE TABLE t (id integer CHECK (id >= 0),"
                   " of integer REFERENCES p)")
    topic = topics.create()
    topics.produce(topic, [json.dumps(record) for record in records])
    daemon = consumer({**LATE, "topic": topic}).wait_healthy()
    wait_for(lambda: daemon.metric("sluice_consumer_retries_total") > 0, 20,
             "it waits")
    return daemon


def test_beside_a_bad_row_a_foreign_keys_is_waited_for(consumer, topics,
                                                       database):
    late(consumer, topics, database, {"id": 1, "of": 7}, {"id": -1})
    database.query("INSERT INTO p VALUES (7)")
    wait_for(lambda: database.try_count("t") == 1, 20, "the row")
    assert database.query('SELECT "offset" FROM sluice.dead_letters') \
        == [(1,)]


def test_an_outage_is_no_time_to_wait_for_a_foreign_keys_row(
        consumer, topics, database):
    daemon = late(consumer, topics, database, {"id": 1, "of": 7})
    database.query("ALTER TABLE t RENAME TO away")
    daemon.wait_log("holding", 20)
    begin = time.monotonic()
    # longer than a row is waited for
    wait_for(lambda: time.monotonic() - begin > 5.5, 10)
    tries = daemon.metric("sluice_consumer_retries_total")
    database.query("ALTER TABLE away RENAME TO t")
    wait_for(lambda: daemon.metric("sluice_consumer_retries_total") > tries,
             20, "it waits again")
    database.query("INSERT INTO p VALUES (7)")
    wait_for(lambda: database.try_count("t") == 1, 20, "the row")
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0
