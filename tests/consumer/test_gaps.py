"""Gaps: offsets without a record, which transactions and compaction leave."""

import json

import confluent_kafka
import pytest

from tests.lib.env import loops, wait_for
from tests.lib.history import RANGES, check_coverage
from tests.lib.numbered import CONFIG, value

COMMITTED = {**CONFIG, "kafka": {"isolation.level": "read_committed"}}


@pytest.fixture
def producer(topics):
    producer = confluent_kafka.Producer({
        "bootstrap.servers": topics.kafka.bootstrap, "log_level": 0,
        "transactional.id": topics.name(), "linger.ms": 0})
    producer.init_transactions(60)
    return producer


def commit(producer, topic, numbers, partitions=1):
    """A transaction with these records in each partition; a marker follows."""
    producer.begin_transaction()
    for partition in range(partitions):
        for number in numbers:
            producer.produce(topic, value(number), partition=partition)
    producer.commit_transaction(60)


def abort(producer, topic, count):
    producer.begin_transaction()
    for _ in range(count):
        producer.produce(topic, "aborted", partition=0)
    producer.flush(60)
    producer.abort_transaction(60)


def stored(database):
    return database.query("SELECT partition, next_offset FROM sluice.offsets"
                          " ORDER BY 1")


def gaps(database):
    """Rows of gaps, gaps, and the most that a row has."""
    return database.query(
        "SELECT count(*), sum(coalesce(array_length(holes, 1), 1)),"
        " max(array_length(holes, 1)) FROM sluice.batches"
        " WHERE kind = 'gap'")[0]


def reset(daemon, partition, offset):
    code, said = daemon.run(
        "offsets", "reset", "--allow-duplicates", "--to-offset", str(offset),
        "--partition", str(partition), timeout=60)
    assert code == 0, said


def where(daemon, topic, offset):
    code, said = daemon.run("where", f"{topic}/0/{offset}", "--json")
    assert code == 0, said
    return json.loads(said)[0]["state"]


def test_a_hundred_thousand_gaps(consumer, topics, database, producer):
    """A thousand transactions over a hundred partitions, in the long form."""
    turns = loops(120, 1000)
    topic = topics.create(partitions=100)
    daemon = consumer({**COMMITTED, "topic": topic})
    for number in range(turns + 1):
        commit(producer, topic, [number], 100)
    all_rows = 100 * (turns + 1)
    wait_for(lambda: database.try_count("t") == all_rows, 60, "rows")
    daemon.stop()
    rows, count, most = gaps(database)
    # a batch's gaps go into a row whole, so it may have room for a few more
    assert count == 100 * turns and 90 <= most <= 100 and rows <= 2 * turns
    daemon.verify()
    # into the middle of a row of gaps, in front of one
    reset(daemon, 7, turns + 1)
    assert "gap" not in database.value(
        "SELECT detail->'ranges' #>> '{}' FROM sluice.audit")
    assert database.value("SELECT detail->>'gaps' FROM sluice.audit") \
        == str(turns // 2)
    daemon.verify()
    assert gaps(database)[1] == 100 * turns - turns // 2
    database.query("DELETE FROM t WHERE part = 7 AND off > %s", turns)
    daemon.start()
    wait_for(lambda: database.try_count("t") == all_rows, 60, "rows again")
    daemon.stop()
    rows, count, most = gaps(database)
    assert count == 100 * turns and 90 <= most <= 100
    assert rows <= 2 * turns + 1
    daemon.verify()
    assert where(daemon, topic, turns) == "row"
    assert where(daemon, topic, turns + 1) == "gap"


@pytest.fixture
def holed(consumer, topics, database, producer):
    """Offsets 0 2 6 8 are rows; 1, 3 to 5, 7 are gaps."""
    def make(**more):
        topic = topics.create()
        commit(producer, topic, [0])
        commit(producer, topic, [1])
        abort(producer, topic, 1)
        commit(producer, topic, [2])
        commit(producer, topic, [3])
        daemon = consumer({**COMMITTED, "topic": topic}, **more)
        wait_for(lambda: database.try_count("t") == 4, 30, "rows")
        daemon.stop()
        return topic, daemon
    return make


HOLED = ["row", "gap", "row", "gap", "gap", "gap", "row", "gap", "row"]


def test_a_reset_to_each_offset(holed, topics, database):
    """Before, into and behind each gap of a row."""
    topic, daemon = holed()
    assert gaps(database) == (1, 3, 3)
    assert [where(daemon, topic, n) for n in range(9)] == HOLED
    for target in (8, 7, 6, 5, 4, 3, 2, 1, 0):
        reset(daemon, 0, target)
        daemon.verify()
        database.query("DELETE FROM t WHERE off >= %s", target)
        daemon.verify()
        assert [where(daemon, topic, n) for n in range(target)] \
            == HOLED[:target]
        daemon.start()
        wait_for(lambda: database.try_count("t") == 4, 30, "rows again")
        daemon.stop()
        daemon.verify()
        assert database.query(f"SELECT f, n FROM {RANGES} WHERE kind = 'gap'"
                              " ORDER BY 1") \
            == ([(1, 2), (3, 6), (7, 8)] if target not in (4, 5)
                else [(1, 2), (3, target), (target, 6), (7, 8)])
    assert gaps(database)[0] == 1
    check_coverage(database, "t", topic, "g")


def test_a_fresh_row_where_the_last_is_full(holed, topics, database,
                                            producer):
    """A row of 98 takes two more, and the next one begins another."""
    topic, daemon = holed()
    database.query("""
        UPDATE sluice.batches SET holes = holes || ARRAY(
            SELECT ARRAY[-i, 1 - i]::bigint[] FROM generate_series(1, 95) i)
        WHERE kind = 'gap'""")
    for number in (4, 5, 6):
        commit(producer, topic, [number])
        daemon.start()
        wait_for(lambda n=number: database.try_count("t") == n + 1, 30, "row")
        daemon.stop()
        assert gaps(database) == {
            4: (1, 99, 99), 5: (1, 100, 100), 6: (2, 101, 100)}[number]
    database.query("UPDATE sluice.batches SET holes = holes[:5]"
                   " WHERE array_length(holes, 1) = 100")
    daemon.verify()


def test_beside_gaps_that_have_a_row_each(holed, topics, database, producer):
    """As version 3 of the schema had them: they stay as they are."""
    topic, daemon = holed()

    def store(count):
        daemon.start()
        wait_for(lambda: database.try_count("t") == count, 30, "rows")
        daemon.stop()

    database.query("""
        WITH merged AS (
            DELETE FROM sluice.batches WHERE holes IS NOT NULL RETURNING *)
        INSERT INTO sluice.batches (cluster_id, group_id, topic, table_name,
                                    partition, kind, first_offset,
                                    next_offset, records, dead_letters)
        SELECT cluster_id, group_id, topic, table_name, partition, kind, f, n,
               0, 0
        FROM merged, unnest(holes[:][1:1], holes[:][2:2]) AS h (f, n)""")
    assert gaps(database) == (3, 3, None)
    daemon.verify()
    assert [where(daemon, topic, n) for n in range(9)] == HOLED
    commit(producer, topic, [4])
    commit(producer, topic, [5])
    store(6)
    assert gaps(database) == (4, 5, 2)
    check_coverage(database, "t", topic, "g")
    states = HOLED + ["gap", "row", "gap", "row"]
    for target in (11, 10, 5, 3, 0):
        assert [where(daemon, topic, n) for n in range(13)] == states
        reset(daemon, 0, target)
        daemon.verify()
        database.query("DELETE FROM t WHERE off >= %s", target)
        store(6)
        daemon.verify()
        check_coverage(database, "t", topic, "g")
