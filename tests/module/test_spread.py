"""Records without a key are spread over partitions, a batch each."""

import time

from tests.lib import procs
from tests.lib.env import SANITIZED, VALGRIND, wait_for

CONF = """
    kafka_producer main {
        brokers  %%KAFKA%%;
        timeout  10s;
        property linger.ms %%LINGER%%;
        topic    %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format ndjson;
            kafka_ack    queued;
        }
        location = /ready  { kafka_ready; }
        location = /status { kafka_status json; }
    }
"""
BATCH = 10      # librdkafka lets five records of a partition be under way


def elapse(seconds):
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end, 30, pause=0.01)


def test_batches_take_turns_over_partitions(nginx, topics):
    name = topics.create(partitions=3)
    server = nginx(CONF, TOPIC=name, LINGER=20)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    for _ in range(12):
        assert server.post("/", b"1\n" * BATCH).status == 202
        elapse(0.03)
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "kept")
    found = [record.partition for record in topics.records(name)]
    assert [found.count(partition) for partition in range(3)] == [4 * BATCH] * 3


def test_a_broker_that_stops_keeps_no_thread_busy(nginx, own_kafka,
                                                  own_topics):
    """A batch behind another one of its partition made librdkafka's thread
    spin until that was acknowledged."""
    name = own_topics.create(partitions=3)
    server = nginx(CONF, TOPIC=name, LINGER=100, KAFKA=own_kafka.bootstrap)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    assert server.post("/", b"1\n" * BATCH).status == 202
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "kept")
    elapse(0.3)
    own_kafka.pause()
    worker = server.worker()
    assert server.post("/", b"1\n" * BATCH).status == 202
    elapse(0.15)
    assert server.post("/", b"1\n" * BATCH).status == 202
    elapse(0.3)
    before = procs.cpu_seconds(worker)
    elapse(2)
    used = procs.cpu_seconds(worker) - before
    own_kafka.resume()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 20, "kept")
    assert used < (1 if VALGRIND or SANITIZED else 0.1)
