"""`kafka_ack stored`: the answer says what the database did, by receipts that
the test itself sends in the daemon's place."""

import concurrent.futures
import json
import time

import confluent_kafka
import pytest

from tests.lib.env import wait_for
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 1s;
        topic   %%TOPIC%%;
        kafka_receipts %%RECEIPTS%% group=%%GROUP%%;
        %%PRODUCER%%
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_timeout %%WAIT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_ack   stored;
        }
        location = /client {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_ack   client;
        }
        location = /batch {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format ndjson;
            kafka_ack    stored;
        }
        location = /status { kafka_status json; }
        location = /metrics { kafka_status prometheus; }
    }
"""


class Receipts:
    """What a daemon of the group would send."""

    def __init__(self, topics, server, topic, receipts, group="g"):
        self.topics = topics
        self.server = server
        self.topic = topic
        self.name = receipts
        self.group = group
        self.pool = concurrent.futures.ThreadPoolExecutor(64)
        self.producer = confluent_kafka.Producer(
            {"bootstrap.servers": topics.kafka.bootstrap, "log_level": 0,
             "linger.ms": 0, "message.max.bytes": 2000000})

    def state(self):
        return self.server.get("/status").json["producers"][0]["receipts"]

    def reading(self, workers=1):
        wait_for(lambda: self.state()["reading"] == workers, 20,
                 "receipts are read")
        return self

    def post(self, path="/", body=b"{}", headers=None):
        return self.pool.submit(self.server.post, path, body, headers,
                                timeout=60)

    def waiting(self, count=1):
        wait_for(lambda: self.state()["waiting"] == count, 20,
                 f"{count} records wait for a receipt", 0.01)

    def value(self, *partitions, **more):
        return {"version": 1, "group": self.group, "topic": self.topic,
                "table": "public.t", "partitions": list(partitions), **more}

    def raw(self, value, key=None, partition=0):
        failed = []
        self.producer.produce(
            self.name, value, key, partition=partition,
            on_delivery=lambda error, _: error and failed.append(error))
        assert self.producer.flush(20) == 0
        assert not failed, failed

    def send(self, *partitions, key=True, to=0, **more):
        value = self.value(*partitions, **more)
        key = f"{value['group']}/{value['topic']}" if key else None
        self.raw(json.dumps(value).encode(), key, to)

    def row(self, first=0, following=1, partition=0, **more):
        self.send({"partition": partition, "first": first, "next": following,
                   **more})


@pytest.fixture
def stored(nginx, topics):
    made = []

    def make(http=CONF, partitions=1, wait="3s", producer="", group="g",
             receipts=None, ready=True, **more):
        topic = topics.create(partitions=partitions)
        receipts = receipts or topics.create()
        server = nginx(http, TOPIC=topic, RECEIPTS=receipts, WAIT=wait,
                       GROUP=group, PRODUCER=producer, **more)
        made.append(Receipts(topics, server, topic, receipts,
                             topic if group.startswith("$") else group))
        return made[-1].reading() if ready else made[-1]

    yield make
    for one in made:
        one.pool.shutdown()


DEAD = {"offset": 0, "stored": "dead-letter", "sqlstate": "23505",
        "reason": 'duplicate key "a" – \u00fc'}


def test_a_row_is_a_200(stored):
    receipts = stored()
    post = receipts.post()
    receipts.waiting()
    assert not post.done()
    receipts.row()
    answer = post.result()
    assert answer.status == 200
    assert answer.json == {"topic": receipts.topic, "partition": 0,
                           "offset": 0, "stored": "row",
                           "timestamp": answer.json["timestamp"]}
    assert receipts.topics.records(receipts.topic)[0].timestamp \
        == answer.json["timestamp"]
    assert receipts.state()["waiting"] == 0


@pytest.mark.parametrize("kind", ["filtered", "duplicate"])
def test_a_filtered_record_and_a_duplicate_are_200(stored, kind):
    receipts = stored()
    post = receipts.post()
    receipts.waiting()
    receipts.row(exceptions=[{"offset": 0, "stored": kind}])
    answer = post.result()
    assert answer.status == 200
    assert answer.json["stored"] == kind


def test_a_dead_letter_is_a_422_with_the_reason(stored):
    receipts = stored()
    post = receipts.post()
    receipts.waiting()
    receipts.row(exceptions=[DEAD])
    answer = post.result()
    problem = assert_problem(answer, 422, "dead-letter")
    assert problem["type"] == "urn:sluice:problem:not-a-row"
    assert problem["sqlstate"] == "23505"
    assert problem["reason"] == DEAD["reason"]
    assert (problem["topic"], problem["partition"], problem["offset"]) == (
        receipts.topic, 0, 0)
    assert problem["timestamp"] == receipts.topics.records(
        receipts.topic)[0].timestamp


def test_no_receipt_is_a_202_pending(stored):
    receipts = stored(wait="1500ms")
    begin = time.monotonic()
    answer = receipts.post().result()
    assert 1.4 < time.monotonic() - begin < 5
    assert answer.status == 202
    assert answer.json.items() >= {
        "topic": receipts.topic, "partition": 0, "offset": 0,
        "stored": "pending", "persisted": "yes"}.items()
    assert receipts.state()["waiting"] == 0
