"""Where a group begins, goes on, and shares."""

import datetime

from tests.lib.env import wait_for
from tests.lib.history import check_coverage

CONFIG = {
    "table": "t", "create_table": True, "batch": {"linger": "5ms"},
    "columns": {
        "n": {"path": "/n", "type": "integer"},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}


def values(start, stop):
    return ['{"n":%d}' % n for n in range(start, stop)]


def numbers(database, table="t"):
    return [row[0] for row in
            database.query(f"SELECT n FROM {table} ORDER BY n")]


def test_earliest_begins_with_what_is_there(consumer, topics, database):
    topic = topics.create(partitions=3)
    topics.produce(topic, values(0, 50))
    consumer({**CONFIG, "topic": topic, "group": "g", "start": "earliest"})
    wait_for(lambda: database.try_count("t") == 50, 20, "50 rows")
    topics.produce(topic, values(50, 100))
    wait_for(lambda: database.try_count("t") == 100, 20, "100 rows")
    assert numbers(database) == list(range(100))
    check_coverage(database, "t", topic, "g")


def test_latest_begins_with_what_comes(consumer, topics, database):
    topic = topics.create(partitions=3)
    topics.produce(topic, values(0, 50))
    daemon = consumer({**CONFIG, "topic": topic, "group": "g",
                       "start": "latest"}).wait_healthy()
    wait_for(lambda: database.try_count("sluice.offsets") == 3, 20,
             "the start is stored")
    topics.produce(topic, values(50, 60))
    wait_for(lambda: database.try_count("t") == 10, 20, "10 rows")
    # used once: what came while it was away is not skipped
    daemon.stop()
    topics.produce(topic, values(60, 70))
    daemon.start()
    wait_for(lambda: database.try_count("t") == 20, 20, "20 rows")
    assert numbers(database) == list(range(50, 70))


def test_a_time_begins_with_the_first_record_not_before_it(consumer, topics,
                                                           database):
    topic = topics.create()
    base = 1769857200000
    for number in range(10):
        topics.produce(topic, values(number, number + 1),
                       timestamp=base + number * 1000)
    when = datetime.datetime.fromtimestamp(
        base / 1000 + 4, datetime.timezone.utc).isoformat()
    consumer({**CONFIG, "topic": topic, "group": "g", "start": when})
    wait_for(lambda: database.try_count("t") == 6, 20, "6 rows")
    assert numbers(database) == [4, 5, 6, 7, 8, 9]


def test_two_groups_each_get_everything(consumer, topics, database):
    topic = topics.create(partitions=2)
    topics.produce(topic, values(0, 100))
    consumer({**CONFIG, "topic": topic, "group": "a", "start": "earliest",
              "table": "ta"})
    consumer({**CONFIG, "topic": topic, "group": "b", "start": "earliest",
              "table": "tb"})
    for table in ("ta", "tb"):
        wait_for(lambda name=table: database.try_count(name) == 100, 20)
        assert numbers(database, table) == list(range(100))
    check_coverage(database, "ta", topic, "a")
    check_coverage(database, "tb", topic, "b")


def test_daemons_of_one_group_share_partitions(consumer, topics, database):
    topic = topics.create(partitions=4)
    config = {**CONFIG, "topic": topic, "group": "g", "start": "earliest"}
    daemons = [consumer(config).wait_healthy() for _ in range(2)]
    sent = 0
    # both get partitions: both store rows
    def both():
        nonlocal sent
        topics.produce(topic, [
            (None, value, number % 4)
            for number, value in enumerate(values(sent, sent + 40))])
        sent += 40
        return all(d.metric("sluice_consumer_rows_total") > 0
                   for d in daemons)
    wait_for(both, 30, "both store rows", pause=0.2)
    wait_for(lambda: database.try_count("t") == sent, 20, "all rows")
    assert numbers(database) == list(range(sent))
    check_coverage(database, "t", topic, "g")
    # one leaves, the other takes all over
    daemons[0].stop()
    topics.produce(topic, [(None, value, number % 4) for number, value
                           in enumerate(values(sent, sent + 40))])
    wait_for(lambda: database.try_count("t") == sent + 40, 20, "taken over")
    assert numbers(database) == list(range(sent + 40))
    check_coverage(database, "t", topic, "g")


def test_batches_cover_every_offset(consumer, topics, database):
    """sluice.batches: ranges and gaps from the first batch on."""
    topic = topics.create(partitions=2)
    consumer({**CONFIG, "topic": topic, "group": "g", "start": "earliest",
              "batch": {"rows": 50, "linger": "5ms"}})
    topics.produce(topic, [(None, value, number % 2)
                           for number, value in enumerate(values(0, 500))]
                   + [(None, "bad", 0)])
    wait_for(lambda: database.try_count("t") == 500, 20, "rows")
    wait_for(lambda: database.try_count("sluice.dead_letters") == 1, 20)
    check_coverage(database, "t", topic, "g")
    assert database.query(
        "SELECT partition, min(first_offset), max(next_offset)"
        " FROM sluice.batches WHERE topic = %s GROUP BY 1 ORDER BY 1",
        topic) == [(0, 0, 251), (1, 0, 250)]


def test_lag_is_measured_and_comes_back_to_0(consumer, topics, database):
    topic = topics.create(partitions=2)
    topics.produce(topic, values(0, 1000))
    daemon = consumer({**CONFIG, "topic": topic, "group": "g",
                       "start": "earliest"})
    wait_for(lambda: database.try_count("t") == 1000, 20, "rows")
    wait_for(lambda: [name for name in daemon.metrics()
                      if name.startswith("sluice_consumer_lag")], 10, "lag")
    wait_for(lambda: daemon.metric("sluice_consumer_lag") == 0, 10, "no lag")
    assert daemon.metric("sluice_consumer_rows_total") == 1000
    assert daemon.metric("sluice_consumer_batches_total") >= 1
    assert daemon.metric("sluice_consumer_held") == 0
    status, body = daemon.health()
    assert status == 200
    assert isinstance(body, dict)
    for partition in (0, 1):
        assert any(f'topic="{topic}"' in name
                   and f'partition="{partition}"' in name
                   for name in daemon.metrics()
                   if name.startswith("sluice_consumer_lag"))


def test_records_that_are_gone_before_the_start_are_a_gap(consumer, topics,
                                                          database):
    """A first start behind retention: earliest is where the log begins."""
    topic = topics.create()
    topics.produce(topic, values(0, 10))
    topics.remove(topic, 4)
    consumer({**CONFIG, "topic": topic, "group": "g", "start": "earliest"})
    wait_for(lambda: database.try_count("t") == 6, 20, "6 rows")
    assert numbers(database) == [4, 5, 6, 7, 8, 9]
