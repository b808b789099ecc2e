"""What a daemon tells over HTTP, as Prometheus reads it, and what it tells
Kafka, which is never read back."""

import os
import pathlib
import re
import signal
import time

import confluent_kafka

import pytest

from tests.lib import web
from tests.lib.env import ROOT, TEST_CONSUMER, wait_for
from tests.lib.metrics import Metrics

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "create_table": True,
    "columns": {
        "n": {"path": "/n", "type": "integer", "required": True},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}
PREFIX = "sluice_consumer_"


def value(number):
    return '{"n":%d}' % number


def scrape(daemon):
    answer = web.request(daemon.port, "GET", "/metrics", timeout=5)
    assert answer.status == 200
    assert answer.headers["content-type"] \
        == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(answer.body.decode())


def ready(daemon):
    answer = web.request(daemon.port, "GET", "/readyz", timeout=5)
    return answer.status, answer.json


def test_the_figures_of_what_was_stored(consumer, topics, database):
    topic = topics.create(partitions=2)
    now = int(time.time() * 1000)
    records = [(None, value(n), n % 2) for n in range(100)]
    topics.produce(topic, records, now - 7000)
    topics.produce(topic, [(b"key", "bad", 0)], now - 100_000)
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 100
             and database.try_count("sluice.dead_letters") == 1, 20, "rows")
    wait_for(lambda: ready(daemon)[0] == 200, 20, "ready")
    found = scrape(daemon)
    for name, count in (("rows", 100), ("dead_letters", 1), ("filtered", 0),
                        ("dropped", 0), ("fenced", 0), ("reconnects", 0)):
        assert found.one(f"{PREFIX}{name}_total") == count, name
    assert found.one(f"{PREFIX}bytes_total") \
        == sum(len(text) for _, text, _ in records) + len("keybad")
    batches = found.one(f"{PREFIX}batches_total")
    assert 1 <= batches <= 101
    for name in ("batch_rows", "commit_seconds", "copy_seconds"):
        assert found.one(f"{PREFIX}{name}_count") <= batches
        assert found.one(f"{PREFIX}{name}_sum") > 0
    assert found.one(f"{PREFIX}batch_rows_sum") == 101
    assert found.one(f"{PREFIX}latency_seconds_count") == 101
    assert found.one(f"{PREFIX}latency_seconds_sum") >= 800
    assert found.one(f"{PREFIX}latency_seconds_bucket", le="5") == 0
    assert found.one(f"{PREFIX}latency_seconds_bucket", le="300") == 101
    for partition, offset in (("0", 51), ("1", 50)):
        labels = {"topic": topic, "partition": partition}
        assert found.one(f"{PREFIX}next_offset", **labels) == offset
        assert found.one(f"{PREFIX}epoch", **labels) == 1
        assert found.one(f"{PREFIX}lag", **labels) == 0
    assert found.one(f"{PREFIX}ready") == 1
    assert now / 1000 - 1 <= found.one(
        f"{PREFIX}last_commit_timestamp_seconds") <= time.time() + 1
    # the manual's table has these and no others
    rows = dict(re.findall(
        r"^\| `(sluice_consumer_\w+|process_\w+)` \| (\w+) \|",
        (ROOT / "docs/reference/consumer.md").read_text(), re.M))
    # of a daemon with "topics" alone: test_topics.py
    assert rows.pop(f"{PREFIX}topic_held") == "gauge"
    assert rows == {
        name + ("_total" if kind == "counter" else ""): kind
        for name, kind in found.types.items()}
    assert all(("topic", topic) in labels for _, labels in found.samples)


def proc(pid, name):
    return (pathlib.Path("/proc") / str(pid) / name).read_text()


def test_what_runs_and_what_it_takes(consumer, topics, database):
    """Names and units as other programs have them, held against /proc."""
    before = time.time()
    daemon = consumer({**CONFIG, "topic": topics.create()}).wait_healthy()
    wait_for(lambda: ready(daemon)[0] == 200, 20, "ready")
    found = scrape(daemon)
    info, one = found.find(f"{PREFIX}build_info")[0]
    assert one == 1 and re.fullmatch(r"\d+\.\d+\.\d+", info["version"])
    assert re.match(r"\d+\.\d+", info["librdkafka"])
    assert before - 1 <= found.one("process_start_time_seconds") <= time.time()
    assert 0 < found.one("process_cpu_seconds_total") <= time.time() - before
    limit = re.search(r"Max open files\s+(\d+)", proc(daemon.pid, "limits"))
    assert found.one("process_max_fds") == int(limit[1])
    resident = int(re.search(r"VmRSS:\s+(\d+) kB",
                             proc(daemon.pid, "status"))[1]) * 1024
    assert 0.5 < found.one("process_resident_memory_bytes") / resident < 2
    # that of the request that counts is one of them
    opened = len(list((pathlib.Path("/proc") / str(daemon.pid) / "fd")
                      .iterdir()))
    assert abs(found.one("process_open_fds") - opened) <= 8 < opened
    # each class of SQLSTATE from the start
    assert [value for _, value in found.find(f"{PREFIX}retries_total")] \
        == [0] * 9


def test_a_refused_reload_shows(consumer, topics, database):
    daemon = consumer({**CONFIG, "topic": topics.create()}).wait_healthy()
    good = daemon.file.read_text()
    name = f"{PREFIX}last_reload_successful"
    assert scrape(daemon).one(name) == 1
    began = scrape(daemon).one("process_start_time_seconds")
    daemon.file.write_text("{")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_for(lambda: scrape(daemon).one(name) == 0, 20, "it is refused")
    assert scrape(daemon).one("process_start_time_seconds") == began
    daemon.file.write_text(good)
    os.kill(daemon.pid, signal.SIGHUP)

    def runs_again():
        try:
            return scrape(daemon).one(name) == 1
        except OSError:
            return False

    wait_for(runs_again, 30, "the next run")
    assert scrape(daemon).one("process_start_time_seconds") > began


def live(daemon):
    return web.request(daemon.port, "GET", "/livez", timeout=5).status


def test_live_while_a_restart_would_not_help(consumer, topics, database):
    """A query that outlives all its time-outs, 180 s, is 0.18 s here; a
    daemon whose loop does not turn answers nothing."""
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, program=TEST_CONSUMER,
                      SLUICE_TEST_TIMES="1000")
    topics.produce(topic, [value(1)])
    wait_for(lambda: database.try_count("t") == 1, 20, "a row")
    wait_for(lambda: live(daemon) == 200, 10, "nothing is wrong")
    lock = database.begin("LOCK TABLE t IN SHARE MODE")
    topics.produce(topic, [value(2)])
    wait_for(lambda: live(daemon) == 503, 10, "a query that does not end")
    lock.close()
    wait_for(lambda: live(daemon) == 200, 10, "it has ended")
    wait_for(lambda: database.try_count("t") == 2, 20, "its row")

    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):
            web.request(daemon.port, "GET", "/livez", timeout=2)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    wait_for(lambda: live(daemon) == 200, 10, "it turns again")


def test_ready_only_while_records_are_stored(consumer, topics, database):
    """Health stays well while PostgreSQL is waited for; a table that is
    missing makes it ill; each is counted by its class."""
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "create_table": False})
    wait_for(lambda: daemon.health()[0] == 503, 20, "held")
    status, body = ready(daemon)
    assert status == 503 and body["state"] == "held"
    # nothing that a restart would mend
    assert live(daemon) == 200
    database.query("CREATE TABLE t (n integer, part integer, off bigint)")
    wait_for(lambda: ready(daemon)[0] == 200, 20, "ready")
    assert daemon.health()[0] == 200
    database.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'sluice:%%'"
        " AND datname = current_database()")
    topics.produce(topic, [value(1)])
    wait_for(lambda: database.try_count("t") == 1, 20, "a row")
    found = scrape(daemon)
    assert found.sum(f"{PREFIX}retries_total") >= 1
    assert found.one(f"{PREFIX}retries_total", **{"class": "57"}) \
        + found.one(f"{PREFIX}retries_total", **{"class": "08"}) >= 1


def test_a_standby_is_ready(consumer, topics, database):
    """One partition, two daemons: the second waits for its turn."""
    topic = topics.create()
    daemons = [consumer({**CONFIG, "topic": topic}) for _ in range(2)]
    for daemon in daemons:
        wait_for(lambda d=daemon: d.health()[0] == 200
                 and ready(d)[0] == 200, 30, "ready")


def test_rebalances_are_counted(consumer, topics, database):
    """An assignment; then, as another daemon comes, one that is taken back
    and one of half of it."""
    topic = topics.create(partitions=2)
    config = {**CONFIG, "topic": topic}
    first = consumer(config).wait_healthy()
    wait_for(lambda: ready(first)[0] == 200, 20, "ready")
    assert first.metric(f"{PREFIX}rebalances_total") == 1
    second = consumer(config).wait_healthy()
    wait_for(lambda: ready(second)[0] == 200, 30, "the second is ready")
    wait_for(lambda: ready(first)[0] == 200, 20, "the first is ready again")
    wait_for(lambda: first.metric(f"{PREFIX}rebalances_total") == 3, 5,
             "both are counted")
    assert second.metric(f"{PREFIX}rebalances_total") == 1


def committed(topics, group, topic):
    reader = confluent_kafka.Consumer({
        "bootstrap.servers": topics.kafka.bootstrap, "group.id": group,
        "log_level": 0})
    try:
        return reader.committed(
            [confluent_kafka.TopicPartition(topic, 0)], 20)[0].offset
    finally:
        reader.close()


def commit(topics, group, topic, offset):
    reader = confluent_kafka.Consumer({
        "bootstrap.servers": topics.kafka.bootstrap, "group.id": group,
        "log_level": 0, "enable.auto.commit": False})
    try:
        reader.commit(offsets=[confluent_kafka.TopicPartition(
            topic, 0, offset)], asynchronous=False)
    finally:
        reader.close()


def test_a_wrong_offset_in_kafka_is_ignored(consumer, topics, database):
    topic = topics.create()
    group = f"g@{database.name}"
    topics.produce(topic, [value(n) for n in range(10)])
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: committed(topics, group, topic) == 10, 20, "mirrored")
    for wrong, count in ((3, 15), (14, 20)):
        daemon.stop()
        commit(topics, group, topic, wrong)
        topics.produce(topic, [value(n) for n in range(count - 5, count)])
        daemon.start()
        wait_for(lambda c=count: database.try_count("t") == c, 20, "rows")
        wait_for(lambda c=count: committed(topics, group, topic) == c, 20,
                 "mirrored again")
    daemon.stop()
    assert [row[0] for row in database.query("SELECT n FROM t ORDER BY 1")] \
        == list(range(20))
    daemon.verify()
