"""Stops, kills and zombies: each record is a row once."""

import random
import time

import pytest

from tests.lib import procs
from tests.lib.env import TEST_CONSUMER, loops, wait_for
from tests.lib.history import check_coverage
from tests.lib.numbered import CONFIG, Sender, check, value


def test_a_restart_goes_on_where_it_was(consumer, topics, database):
    topic = topics.create(partitions=3)
    daemon = consumer({**CONFIG, "topic": topic})
    for round_ in range(loops(3, 20)):
        topics.produce(topic, [value(n) for n in range(round_ * 100,
                                                       round_ * 100 + 100)])
        wait_for(lambda r=round_: database.try_count("t") == r * 100 + 100,
                 20, "rows")
        daemon.stop()
        daemon.start()
    check(database, topic, loops(3, 20) * 100)


def test_one_of_several_partitions_has_moved(consumer, topics, database):
    """A batch of four waits for the second one's offset, and finds it claimed
    by another: nothing of the batch is stored, and then all once."""
    topic = topics.create(partitions=4)
    daemon = consumer({**CONFIG, "topic": topic,
                       "batch": {"rows": 500, "linger": "1s"}})
    wait_for(lambda: database.try_count("sluice.offsets") == 4, 20, "a claim")
    daemon.wait_log("partition 3: at offset 0")
    other = database.begin("UPDATE sluice.offsets SET epoch = epoch + 1"
                           " WHERE partition = 1")
    topics.produce(topic, [(None, value(n), 3 - n % 4) for n in range(400)])
    wait_for(database.waits, 20, "the batch waits")
    # they are locked in one order, so that no two daemons wait for each other
    free = database.query("SELECT partition FROM sluice.offsets"
                          " ORDER BY 1 FOR UPDATE SKIP LOCKED")
    other.commit()
    other.close()
    assert free == [(2,), (3,)]
    daemon.wait_log("[1-4] of [1-4] partitions are no longer at the offset")
    check(database, topic, 400)


def test_sigterm_flushes_what_was_read_and_exits_0(consumer, topics,
                                                   database):
    topic = topics.create(partitions=2)
    daemon = consumer({**CONFIG, "topic": topic,
                       "batch": {"rows": 100000, "linger": "10s"}})
    daemon.wait_healthy()
    topics.produce(topic, [value(n) for n in range(500)])
    # the batch is far from due; its records are in memory
    wait_for(lambda: database.try_count("sluice.offsets") == 2, 20,
             "assigned")
    wait_for(lambda: daemon.metric("sluice_consumer_lag") == 500
             or daemon.metric("sluice_consumer_rows_total") == 500, 15,
             "records are seen")
    # nothing outside tells what was read; a fetch takes far less
    end = time.monotonic() + 3
    wait_for(lambda: time.monotonic() > end, 10, "records are read")
    seconds = daemon.stop()
    assert seconds < 5
    assert daemon.process.returncode == 0
    stored = database.try_count("t")
    check_coverage(database, "t", topic, "g")
    # what it had read is not left for the successor
    assert stored == 500
    daemon.start()
    check(database, topic, 500)


def test_sigterm_leaves_the_group(consumer, topics, database):
    """The successor need not wait for the session's end."""
    topic = topics.create(partitions=2)
    config = {**CONFIG, "topic": topic,
              "kafka": {"session.timeout.ms": "45000"}}
    daemon = consumer(config)
    topics.produce(topic, [value(n) for n in range(10)])
    wait_for(lambda: database.try_count("t") == 10, 20, "rows")
    daemon.stop()
    successor = consumer(config)
    topics.produce(topic, [value(n) for n in range(10, 20)])
    wait_for(lambda: database.try_count("t") == 20, 15, "taken over")
    successor.stop()
    check(database, topic, 20)


def test_kill_9_in_a_loop_while_a_producer_runs(consumer, topics, database):
    topic = topics.create(partitions=4)
    config = {**CONFIG, "topic": topic,
              "kafka": {"session.timeout.ms": "1000",
                        "heartbeat.interval.ms": "200"}}
    sender = Sender(topics, topic)
    sender.start()
    daemon = consumer(config)
    kills = loops(8, 200)
    for _ in range(kills):
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b, 30,
                 "it stores rows")
        delay = random.random() * 0.3
        end = time.monotonic() + delay
        wait_for(lambda e=end: time.monotonic() >= e, 5, pause=0.005)
        daemon.kill()
        daemon.start()
    count = sender.end()
    assert count > 1000
    check(database, topic, count)


def test_kill_9_with_bad_records_among_the_good(consumer, topics, database):
    topic = topics.create(partitions=2)
    config = {**CONFIG, "topic": topic, "batch": {"rows": 50},
              "kafka": {"session.timeout.ms": "1000",
                        "heartbeat.interval.ms": "200"}}
    good = [value(n) for n in range(4000)]
    mixed = [v if n % 20 else b"bad" for n, v in enumerate(good)]
    topics.produce(topic, mixed)
    daemon = consumer(config)
    for _ in range(loops(4, 40)):
        before = database.try_count("t")
        if before >= 3800:
            break
        wait_for(lambda b=before: database.try_count("t") > b
                 or b >= 3800, 30, "it stores rows")
        daemon.kill()
        daemon.start()
    wait_for(lambda: database.try_count("t") >= 3800, 60, "all rows")
    assert database.value("SELECT count(DISTINCT n) FROM t") == 3800
    assert database.value("SELECT count(*) FROM t") == 3800
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 200
    check_coverage(database, "t", topic, "g")


def test_a_zombie_changes_nothing_and_blocks_nobody(consumer, topics,
                                                    database):
    """Stopped past its session, continued when a successor has taken
    over."""
    topic = topics.create(partitions=2)
    config = {**CONFIG, "topic": topic,
              "kafka": {"session.timeout.ms": "1000",
                        "heartbeat.interval.ms": "200"}}
    first = consumer(config)
    sender = Sender(topics, topic, 50)
    sender.start()
    wait_for(lambda: database.try_count("t") > 100, 20, "rows")
    for _ in range(loops(2, 20)):
        first.pause()
        second = consumer(config, name="successor")
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b + 50, 15,
                 "the successor goes on")
        first.resume()
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b + 50, 15,
                 "both alive")
        second.stop()
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b + 50, 15,
                 "the first goes on")
    check(database, topic, sender.end())


@pytest.mark.parametrize("point", [
    "before-copy", "in-copy", "after-copy", "before-commit", "after-commit",
])
@pytest.mark.parametrize("end", ["continued", "killed"])
def test_stopped_at_a_point_of_the_transaction(consumer, topics, database,
                                               point, end):
    """The daemon stops itself (SIGSTOP) inside its transaction; a successor
    takes over; then the first is continued, or killed."""
    if not TEST_CONSUMER.exists():
        pytest.fail(f"{TEST_CONSUMER} is not built")
    database.query("CREATE TABLE t (n integer UNIQUE, body bytea,"
                   " part integer, off bigint)")
    topic = topics.create()
    config = {**CONFIG, "topic": topic,
              "kafka": {"session.timeout.ms": "1000",
                        "heartbeat.interval.ms": "200"}}
    topics.produce(topic, [value(n) for n in range(300)])
    first = consumer(config, program=TEST_CONSUMER, name="first",
                     SLUICE_TEST_STOP=point)
    wait_for(lambda: procs.stopped(first.pid), 20, f"it stops at {point}")
    begin = time.monotonic()
    second = consumer(config, name="second")
    wait_for(lambda: database.try_count("t") == 300, 20, "the successor")
    assert time.monotonic() - begin < 15
    # the session that held rows with the successor's keys was ended, once
    second.wait_healthy()
    wait_for(lambda: second.metric("sluice_consumer_terminated_total")
             == (point in ("after-copy", "before-commit")), 5, "it is counted")
    if end == "killed":
        first.kill()
    else:
        first.resume()
    topics.produce(topic, [value(n) for n in range(300, 600)])
    check(database, topic, 600)
    second.stop()
    if end == "continued":
        topics.produce(topic, [value(n) for n in range(600, 700)])
        check(database, topic, 700)


@pytest.mark.parametrize("point", [
    "before-copy", "in-copy", "after-copy", "before-commit", "after-commit",
])
def test_killed_at_a_point_of_the_transaction(consumer, topics, database,
                                              point):
    topic = topics.create()
    config = {**CONFIG, "topic": topic,
              "kafka": {"session.timeout.ms": "1000",
                        "heartbeat.interval.ms": "200"}}
    topics.produce(topic, [value(n) for n in range(300)] + ["bad"])
    daemon = consumer(config, program=TEST_CONSUMER, SLUICE_TEST_STOP=point)
    wait_for(lambda: procs.stopped(daemon.pid), 20, f"it stops at {point}")
    daemon.kill()
    if point != "after-commit":
        assert database.try_count("t") == 0
    daemon.environment.clear()
    daemon.start()
    check(database, topic, 300)
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 1


def test_daemons_that_join_and_leave(consumer, topics, database):
    """Row 17, a rebalance each time."""
    topic = topics.create(partitions=4)
    config = {**CONFIG, "topic": topic,
              "kafka": {"session.timeout.ms": "1000",
                        "heartbeat.interval.ms": "200"}}
    sender = Sender(topics, topic, 100)
    sender.start()
    daemons = [consumer(config) for _ in range(3)]
    for number in range(loops(4, 40)):
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b, 30, "rows")
        daemon = daemons[number % 3]
        daemon.kill() if number % 2 else daemon.stop()
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b, 30, "rows")
        daemon.start()
    check(database, topic, sender.end())


def test_a_static_member_keeps_its_partitions_over_a_restart(consumer, topics,
                                                             database):
    """The other member does not hear of it."""
    topic = topics.create(partitions=2)
    config = {**CONFIG, "topic": topic}
    static = consumer({**config, "kafka": {"group.instance.id": "one",
                                           "session.timeout.ms": "20000"}})
    other = consumer(config)
    wait_for(lambda: [(d.health()[1] or {}).get("partitions")
                      for d in (static, other)] == [1, 1], 30,
             "a partition each")
    topics.produce(topic, [(None, value(n), n % 2) for n in range(50)])
    wait_for(lambda: database.try_count("t") == 50, 20, "rows")
    before = other.metric("sluice_consumer_rebalances_total")
    static.stop()
    topics.produce(topic, [(None, value(n), n % 2) for n in range(50, 100)])
    wait_for(lambda: database.try_count("t") == 75, 20, "the other's rows")
    static.start()
    check(database, topic, 100)
    assert other.metric("sluice_consumer_rebalances_total") == before
    assert other.metric("sluice_consumer_rows_total") == 50


def test_a_static_member_twice(consumer, topics, database):
    """Kafka fences the one that was there; it ends, and says why."""
    topic = topics.create(partitions=2)
    config = {**CONFIG, "topic": topic, "batch": {"rows": 50},
              "kafka": {"group.instance.id": "one"}}
    sender = Sender(topics, topic, 50)
    sender.start()
    daemons = [consumer(config, start=False) for _ in range(2)]
    daemons[0].start()
    for number in range(loops(3, 20)):
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b + 50, 30,
                 "rows")
        old, new = daemons[number % 2], daemons[1 - number % 2]
        new.start()
        wait_for(lambda d=old: not d.alive(), 30, "the older one ends")
        assert old.process.returncode == 1
        assert "fenced by other consumer with same" in old.log()
    check(database, topic, sender.end())
    assert new.alive()
