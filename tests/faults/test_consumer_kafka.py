"""Kafka and the machine under the consumer: brokers that go, logs with holes,
partitions that are added, clocks that jump, limits of the system."""

import glob
import os
import resource
import signal
import time

import confluent_kafka
import pytest
from confluent_kafka.admin import ConfigResource, NewPartitions, NewTopic

from tests.lib import procs
from tests.lib.env import TEST_CONSUMER, loops, wait_for
from tests.lib.history import RANGES
from tests.lib.numbered import CONFIG, SHORT_SESSION, Sender, check, value
from tests.lib.servers import Kafka
from tests.lib.topics import Topics


def test_brokers_bounced_one_after_the_other(cluster, consumer, database):
    """Three brokers, three replicas, two in sync at least."""
    topic = cluster.topics.name()
    new = NewTopic(topic, 3, 3, config={"min.insync.replicas": "2"})
    cluster.topics.admin.create_topics([new])[topic].result(30)
    consumer({**CONFIG, "topic": topic}, broker=cluster)
    sender = Sender(cluster.topics, topic, 50)
    sender.start()
    for number in range(loops(3, 30)):
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b + 50, 60,
                 "rows")
        victim = cluster.brokers[number % 3]
        if number % 3 == 1:
            victim.pause()
            end = time.monotonic() + loops(3, 10)
            wait_for(lambda e=end: time.monotonic() > e, 20, pause=0.1)
            victim.resume()
        else:
            victim.kill()
            victim.start()
    check(database, topic, sender.end())


def test_slow_commits_to_kafka_hold_up_no_heartbeat(cluster, consumer,
                                                    database):
    """A broker answers a connection's requests one after the other, and here
    each commit takes half a second: the membership stays all the same, and
    the last commit is made."""
    topic = cluster.topics.name()
    cluster.topics.admin.create_topics([NewTopic(topic, 1, 3)])[topic].result(
        30)
    daemon = consumer({**CONFIG, "topic": topic,
                       "batch": {"rows": 10, "linger": "1ms"},
                       "kafka": {"session.timeout.ms": "2000",
                                 "heartbeat.interval.ms": "300"}},
                      broker=cluster)
    sender = Sender(cluster.topics, topic, 50)
    sender.start()
    wait_for(lambda: database.try_count("t") > 50, 60, "rows")
    for broker in cluster.brokers:
        broker.slow("__consumer_offsets")
    before = daemon.metric("sluice_consumer_rebalances_total")
    end = time.monotonic() + loops(10, 60)
    wait_for(lambda: time.monotonic() > end, 90, pause=0.1)
    assert daemon.metric("sluice_consumer_rebalances_total") == before
    check(database, topic, sender.end())
    daemon.stop(60)
    for broker in cluster.brokers:
        broker.slow(None)
    admin = confluent_kafka.Consumer({
        "bootstrap.servers": cluster.bootstrap, "log_level": 0,
        "group.id": f"{CONFIG['group']}@{database.name}"})
    told, = admin.committed([confluent_kafka.TopicPartition(topic, 0)], 20)
    admin.close()
    assert told.offset == cluster.topics.count(topic)


def test_transaction_markers_are_gaps(consumer, topics, database):
    """What was aborted, and each marker, is an offset without a record."""
    topic = topics.create()
    producer = confluent_kafka.Producer({
        "bootstrap.servers": topics.kafka.bootstrap, "log_level": 0,
        "transactional.id": topic, "linger.ms": 0})
    producer.init_transactions(60)
    number = 0
    for turn in range(6):
        producer.begin_transaction()
        for _ in range(10):
            text = value(number) if turn % 2 == 0 else "aborted"
            producer.produce(topic, text)
            number += turn % 2 == 0
        if turn % 2 == 0:
            producer.commit_transaction(60)
        else:
            producer.flush(60)
            producer.abort_transaction(60)
    consumer({**CONFIG, "topic": topic,
              "kafka": {"isolation.level": "read_committed"}})
    wait_for(lambda: database.try_count("t") == 30, 30, "rows")
    check(database, topic, 30)
    assert database.value(f"SELECT sum(n - f) FROM {RANGES}"
                          " WHERE kind = 'gap'") == 2 * (10 + 2)      # but the last
    # those of a batch are stored by one statement
    assert database.value(
        "SELECT count(DISTINCT (xmin::text, cmin::text))"
        " - count(DISTINCT xmin::text) FROM sluice.batches"
        " WHERE kind = 'gap'") == 0


@pytest.fixture
def compacting(directory):
    broker = Kafka(directory / "kafka-compacting", [
        "log.cleaner.enable=true", "log.cleaner.backoff.ms=200",
        "log.cleaner.min.cleanable.ratio=0.01"])
    try:
        yield broker.start()
    finally:
        broker.stop()


def test_a_compacted_log_is_read_with_its_holes(compacting, consumer,
                                                database):
    topics = Topics(compacting)
    topic = topics.create(config={
        "cleanup.policy": "compact", "segment.ms": "200",
        "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0",
        "max.compaction.lag.ms": "500"})
    # each second one goes
    topics.produce(topic, [(b"k%d" % (n if n % 2 else n % 10), value(n))
                           for n in range(1000)])

    def holes():
        # the active segment is never compacted: a new record rolls it
        topics.produce(topic, [(b"last", b'{"n":-1}')])
        found = topics.records(topic)
        return len(found) < found[-1].offset - 400 and found

    wait_for(holes, 60, "it is compacted", pause=0.5)
    topics.admin.alter_configs([ConfigResource("topic", topic, {
        "cleanup.policy": "delete", "retention.ms": "-1"})])
    kept = [(r.offset, r.value.decode()) for r in topics.records(topic)]
    daemon = consumer({**CONFIG, "topic": topic}, broker=compacting)
    wait_for(lambda: database.try_count("t") >= len(kept), 60, "rows")
    rows = database.query("SELECT off, body FROM t ORDER BY off")
    found = [(off, bytes(body).decode()) for off, body in rows]
    # what was compacted away between the two looks is a gap as well
    assert set(found) <= set(kept) and len(found) > 10
    assert [row for row in found if '"n":-1' not in row[1]] \
        == [row for row in kept if '"n":-1' not in row[1]]
    assert database.value(f"SELECT sum(n - f) FROM {RANGES}"
                          " WHERE kind = 'gap'") > 400
    assert database.value("SELECT count(*) FROM sluice.batches"
                          " WHERE kind = 'gap'") < 15
    daemon.verify()


@pytest.mark.parametrize("properties", [
    {"topic.metadata.refresh.interval.ms": "500"}, {}])
def test_partitions_that_are_added_are_read_from_their_beginning(
        consumer, topics, database, properties):
    """Within half a minute without a word: nobody else would notice."""
    topic = topics.create(partitions=1)
    consumer({**CONFIG, "topic": topic, "kafka": properties})
    topics.produce(topic, [value(n) for n in range(100)])
    wait_for(lambda: database.try_count("t") == 100, 30, "rows")
    topics.admin.create_partitions([NewPartitions(topic, 3)])[topic].result(20)
    wait_for(lambda: topics.partitions(topic) == 3, 20, "three partitions")
    topics.produce(topic, [(None, value(n), n % 3) for n in range(100, 400)])
    check(database, topic, 400)
    assert database.value("SELECT count(DISTINCT part) FROM t") == 3


def test_two_daemons_on_one_partition(consumer, topics, database):
    """Each thinks that the partition is its own: groups of their own in
    Kafka, one set of offsets in PostgreSQL.  They fence each other."""
    topic = topics.create()
    config = {**CONFIG, "topic": topic, "batch": {"rows": 20}}
    daemons = [consumer(config, program=TEST_CONSUMER, name=name,
                        SLUICE_TEST_GROUP=name + topic)
               for name in ("one", "two")]
    sender = Sender(topics, topic, 50)
    sender.start()
    for daemon in daemons:
        daemon.wait_healthy()
    wait_for(lambda: sum(d.metric("sluice_consumer_fenced_total")
                         for d in daemons) >= loops(2, 20), 120,
             "they fence each other")
    count = sender.end()
    check(database, topic, count)
    assert all(daemon.alive() for daemon in daemons)


def test_four_daemons_that_join_and_leave(consumer, topics, database):
    """Row 17: every 5 s, in make faults for 5 minutes."""
    topic = topics.create(partitions=4)
    config = {**CONFIG, "topic": topic, "kafka": SHORT_SESSION}
    sender = Sender(topics, topic, 100)
    sender.start()
    daemons = [consumer(config) for _ in range(4)]
    begin = time.monotonic()
    turn = 0
    while time.monotonic() - begin < loops(15, 300):
        daemon = daemons[turn % 4]
        if turn % 3:
            daemon.stop()
        else:
            daemon.kill()
        due = time.monotonic() + loops(2, 5)
        before = database.try_count("t")
        daemon.start()
        wait_for(lambda b=before, d=due: database.try_count("t") > b
                 and time.monotonic() > d, 60, "rows")
        turn += 1
    check(database, topic, sender.end())


FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"


def test_a_clock_that_jumps(consumer, topics, database, directory):
    """Row 23: an hour forth and back; time-outs are monotonic."""
    library = glob.glob(FAKETIME)
    assert library, "faketime is missing (make deps)"
    clock = directory / "clock"
    clock.write_text("+0\n")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, LD_PRELOAD=library[0],
                      FAKETIME_TIMESTAMP_FILE=str(clock),
                      FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1",
                      DONT_FAKE_MONOTONIC="1")
    sent = 0
    for hours in [0, 1, -1, 0] * loops(1, 5):
        clock.write_text(f"{hours:+}h\n")
        topics.produce(topic, [value(n) for n in range(sent, sent + 100)])
        sent += 100
        begin = time.monotonic()
        wait_for(lambda s=sent: database.try_count("t") == s, 30, "rows")
        assert time.monotonic() - begin < 20
        # by the daemon's own clock
        committed = "sluice_consumer_last_commit_timestamp_seconds"
        wait_for(lambda s=sent: daemon.metric("sluice_consumer_rows_total")
                 == s, 10, "it counts them")
        ahead = daemon.metric(committed) - time.time() - hours * 3600
        assert abs(ahead) < 60
    daemon.wait_healthy()
    assert "were revoked" not in daemon.log()
    check(database, topic, sent)


def test_few_descriptors(consumer, topics, database):
    """Row 22: none is left for a connection; it goes on when there are."""
    topic = topics.create(partitions=2)
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, [value(n) for n in range(100)])
    wait_for(lambda: database.try_count("t") == 100, 30, "rows")
    used = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    # poll() takes no more entries than this
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (10, 4096))
    database.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()")
    topics.produce(topic, [value(n) for n in range(100, 200)])
    wait_for(lambda: "away" in daemon.log() or "could not" in daemon.log(),
             30, "it says so")
    assert daemon.alive() and database.try_count("t") == 100
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    check(database, topic, 200)
    wait_for(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) <= used + 2,
             20, "as many as before")


def test_little_memory(consumer, topics, database):
    """Row 22: it goes on, or ends and is started again; nothing is lost."""
    topic = topics.create(partitions=2)
    topics.produce(topic, [value(n) for n in range(20000)])
    daemon = consumer({**CONFIG, "topic": topic, "batch": {"rows": 2000}})
    wait_for(lambda: database.try_count("t") > 0, 30, "rows")
    now = procs.virtual(daemon.pid)
    resource.prlimit(daemon.pid, resource.RLIMIT_AS,
                     (now + (1 << 20), resource.RLIM_INFINITY))
    sent = 20000
    for _ in range(loops(2, 20)):
        topics.produce(topic, [value(n) for n in range(sent, sent + 5000)])
        sent += 5000
        before = database.try_count("t")
        wait_for(lambda b=before, s=sent: not daemon.alive()
                 or database.try_count("t") > b
                 or database.try_count("t") == s, 60, "rows, or an end")
        if not daemon.alive():
            # as systemd would
            assert daemon.process.returncode in (1, -signal.SIGABRT), \
                daemon.log()[-2000:]
            daemon.start()
    if daemon.alive():
        resource.prlimit(daemon.pid, resource.RLIMIT_AS,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    check(database, topic, sent)
