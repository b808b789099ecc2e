"""What bad rows cost, in COPYs, and that a batch of them ends."""

import json
import math
import random
import time

import confluent_kafka
import pytest

from tests.lib.env import wait_for

ROWS = 10000
DEAR = 3665     # as many halves as any row of them is behind
CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    # one full batch, whatever the machine's pace
    "batch": {"rows": ROWS, "linger": "1m"},
    "dead_letters": {"hold_above": 1},
    "columns": {"id": {"path": "/id"}, "v": "/v"},
}
UPSERT = {"mode": "upsert", "key": ["id"]}


def run(consumer, topics, database, table, rows, timeout=60, **more):
    """Stores one batch; the daemon behind it."""
    database.query(table)
    topic = topics.create()
    topics.produce(topic, [json.dumps({"id": number, "v": value})
                           for number, value in enumerate(rows)])
    daemon = consumer({**CONFIG, "topic": topic, **more}).wait_healthy()
    wait_for(lambda: daemon.metric("sluice_consumer_batches_total") == 1,
             timeout, "the batch is stored")
    assert database.value("SELECT sum(records) FROM sluice.batches") \
        == len(rows)
    return daemon


TABLES = [
    pytest.param("CREATE TABLE t (id integer, v timestamptz)", {}, id="type"),
    pytest.param("CREATE TABLE t (id integer, v text CHECK (v <> 'x'))", {},
                 id="check"),
    pytest.param("CREATE TABLE t (id integer, v text);CREATE UNIQUE INDEX"
                 " ON t ((CASE v WHEN 'x' THEN -1 ELSE id END));"
                 "INSERT INTO t VALUES (-1, '1')", {}, id="unique"),
    # with a trigger it is never copied into the table itself
    pytest.param("CREATE TABLE t (id integer PRIMARY KEY, v text"
                 " CHECK (v <> 'x'));CREATE FUNCTION f() RETURNS trigger"
                 " LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';CREATE"
                 " TRIGGER f BEFORE INSERT ON t FOR EACH ROW"
                 " EXECUTE FUNCTION f()", UPSERT, id="upsert"),
    pytest.param("CREATE TABLE t (id integer, v text);CREATE FUNCTION f()"
                 " RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.v ="
                 " ''x'' THEN RAISE ''no'' USING ERRCODE=''23000''; END IF;"
                 " RETURN NEW; END';CREATE CONSTRAINT TRIGGER c AFTER INSERT"
                 " ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE"
                 " FUNCTION f()", {}, id="deferred"),
]


def costs_log_n_and_two(daemon, database, place, tries):
    assert daemon.metric("sluice_consumer_copies_total") \
        <= tries + math.ceil(math.log2(ROWS)) + 2
    assert database.query('SELECT "offset" FROM sluice.dead_letters') \
        == [(place,)]
    assert database.value("SELECT count(*) FROM t WHERE id >= 0") == ROWS - 1


def values(place):
    found = ["2026-01-01"] * ROWS
    found[place] = "x"
    return found


@pytest.mark.parametrize("place", [0, None, DEAR, ROWS - 1])
@pytest.mark.parametrize("table, more", TABLES)
def test_a_bad_row_costs_log_n_and_two(consumer, topics, database, table,
                                       more, place):
    place = random.randrange(ROWS) if place is None else place
    daemon = run(consumer, topics, database, table, values(place), **more)
    assert daemon.metric("sluice_consumer_retries_total") == 0
    costs_log_n_and_two(daemon, database, place, 1)


@pytest.mark.parametrize("place", [0, DEAR, ROWS - 1])
@pytest.mark.parametrize("table", [
    pytest.param("CREATE TABLE t (id integer PRIMARY KEY, v timestamptz)",
                 id="type"),
    pytest.param("CREATE TABLE t (id integer PRIMARY KEY, v text"
                 " CHECK (v <> 'x'))", id="check"),
    pytest.param("CREATE TABLE t (id integer PRIMARY KEY, v text);"
                 "CREATE UNIQUE INDEX ON t"
                 " ((CASE v WHEN 'x' THEN -1 ELSE id END));"
                 "INSERT INTO t VALUES (-1, '1')", id="unique"),
])
def test_among_new_keys_it_costs_one_more(consumer, topics, database, table,
                                          place):
    """Into the table itself, into the temporary one, and then the halves."""
    daemon = run(consumer, topics, database, table, values(place), **UPSERT)
    costs_log_n_and_two(daemon, database, place, 2)


def test_where_a_key_is_known_it_costs_one_more(consumer, topics, database):
    """What was met first says nothing of the bad row then."""
    daemon = run(consumer, topics, database,
                 "CREATE TABLE t (id integer PRIMARY KEY, v text"
                 " CHECK (v <> 'x'));INSERT INTO t VALUES (7, '1')",
                 values(DEAR), **UPSERT)
    costs_log_n_and_two(daemon, database, DEAR, 2)


@pytest.mark.parametrize("place, key, more", [
    (0, "", {}), (None, "", {}), (ROWS - 1, "", {}),
    (DEAR, "PRIMARY KEY", UPSERT)])
def test_a_missing_row_costs_log_n_and_two(consumer, topics, database, place,
                                           key, more):
    """It may yet come: the batch is tried again meanwhile."""
    place = random.randrange(ROWS) if place is None else place
    daemon = run(consumer, topics, database,
                 "CREATE TABLE p (v text PRIMARY KEY);INSERT INTO p VALUES"
                 f" ('2026-01-01');CREATE TABLE t (id integer {key}, v text"
                 " REFERENCES p)", values(place), **more)
    tries = 1 + daemon.metric("sluice_consumer_retries_total")
    assert tries > 1
    costs_log_n_and_two(daemon, database, place, tries)


@pytest.mark.parametrize("table, more", [
    pytest.param("CREATE TABLE t (id integer, v text CHECK (v <> 'x'))", {},
                 id="append"),
    pytest.param("CREATE TABLE t (id integer PRIMARY KEY, v text"
                 " CHECK (v <> 'x'))", UPSERT, id="upsert"),
])
def test_a_batch_of_bad_rows_ends(consumer, topics, database, table, more):
    begin = time.monotonic()
    daemon = run(consumer, topics, database, table, ["x"] * ROWS, 120, **more)
    assert time.monotonic() - begin < 60
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == ROWS
    assert database.try_count("t") == 0
    # among so many each is sent about once
    assert daemon.metric("sluice_consumer_copies_total") < ROWS * 1.2


def test_batches_grow_where_writing_them_takes_long(consumer, topics,
                                                    database):
    """A batch costs 50 ms here whatever its size: one that ended as soon as
    the last was written would be seen 60 times in these three seconds."""
    database.query(
        "CREATE TABLE t (id integer, v text);CREATE FUNCTION slow() RETURNS"
        " trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05);"
        " RETURN NULL; END';CREATE TRIGGER slow AFTER INSERT ON t"
        " FOR EACH STATEMENT EXECUTE FUNCTION slow()")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic,
                       "batch": {"linger": "20ms"}}).wait_healthy()
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": topics.kafka.bootstrap, "linger.ms": 0})
    producer.produce(topic, json.dumps({"id": 0, "v": "x"}))
    producer.flush(20)
    wait_for(lambda: database.try_count("t") == 1, 20, "it stores")
    sent, until = 1, time.monotonic() + 3
    while time.monotonic() < until:
        producer.produce(topic, json.dumps({"id": sent, "v": "x"}))
        sent += 1
        producer.poll(0.005)
    assert producer.flush(20) == 0
    wait_for(lambda: database.try_count("t") == sent, 20, "all rows")
    assert sent > 100
    assert daemon.metric("sluice_consumer_batches_total") < 35
