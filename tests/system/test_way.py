"""The whole way: a request is answered 200 and is a row exactly once."""

import json
import os
import signal

import psycopg2
import pytest

from tests.lib.env import loops, wait_for
from tests.lib.history import (check_answers, check_coverage, check_order,
                               check_stored)

HTTP = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        queue   16m;
        topic   %%TOPIC%% partitions=4 replication=1 create;
    }
    kafka_drain_timeout 5s;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass    main;
            kafka_topic   %%TOPIC%%;
            kafka_key     $arg_key;
            kafka_format  json;
            kafka_timeout 4s;
        }
        location = /queued {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
            kafka_ack    queued;
        }
        location = /status { kafka_status json; }
    }
"""

DAEMON = {
    "group": "g", "start": "earliest", "table": "t", "create_table": True,
    "batch": {"rows": 1000, "linger": "10ms"},
    "kafka": {"session.timeout.ms": "1000", "heartbeat.interval.ms": "200"},
    "columns": {
        "id": {"path": "/id", "type": "text", "required": True},
        "body": {"meta": "value", "type": "bytea"},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}


class Way:
    """nginx, a topic, a daemon and a table."""

    def __init__(self, nginx, consumer, kafka, topics, database):
        self.kafka, self.topics, self.database = kafka, topics, database
        self.topic = topics.name()
        self.nginx = nginx(HTTP, TOPIC=self.topic, workers=2,
                           KAFKA=kafka.bootstrap)
        wait_for(lambda: topics.partitions(self.topic) == 4, 20, "the topic")
        self.daemon = consumer({**DAEMON, "topic": self.topic}, broker=kafka,
                               conninfo=database.conninfo)

    def rows(self):
        try:
            return self.database.try_count("t")
        except psycopg2.Error:
            return 0

    def check(self, events, only=None, timeout=60):
        """Invariants 1 to 4 and 6, when the lag is 0."""
        check_answers([event for event in events if event.status], only)
        self.settle(timeout)
        stored = [(ident, bytes(body)) for ident, body in
                  self.database.query("SELECT id, body FROM t")]
        check_stored(events, stored)
        places = {(part, off): ident for part, off, ident in
                  self.database.query("SELECT part, off, id FROM t")}
        for event in events:
            if event.outcome == "ok" and event.offset is not None:
                assert places[event.partition, event.offset] == event.id
        check_order(events)
        check_coverage(self.database, "t", self.topic, "g")
        # nothing is in the topic that is not in the table
        assert len(stored) == self.topics.count(self.topic)

    def settle(self, timeout):
        wait_for(lambda: self.nginx.get("/status").json["queued"] == 0,
                 timeout, "the queue is empty")
        wait_for(lambda: self.rows() == self.topics.count(self.topic),
                 timeout, "the lag is 0")


@pytest.fixture
def way(nginx, consumer, kafka, topics, database):
    return Way(nginx, consumer, kafka, topics, database)


def test_every_200_is_a_row_exactly_once(way, load):
    one = load(way.nginx.port, "/", connections=12, keys=30, size=500)
    one.wait_ok(loops(1500, 100000), 600)
    way.check(one.stop(), only=("ok",))


def test_every_202_is_a_row_at_most_once(way, load):
    one = load(way.nginx.port, "/queued", connections=4)
    one.wait_ok(500)
    events = one.stop()
    way.check(events, only=("queued",))
    # nothing was in the way, so all arrived
    assert way.rows() == len(events)


def test_reload_under_load(way, load):
    one = load(way.nginx.port, "/", connections=6, keys=10)
    fresh = load(way.nginx.port, "/", connections=3, keepalive=False)
    for _ in range(loops(3, 20)):
        one.wait_ok(100)
        fresh.wait_ok(30)
        way.nginx.reload()
    one.wait_ok(100)
    way.check(one.stop() + fresh.stop(), only=("ok",))


def test_the_daemon_killed_under_load(way, load):
    one = load(way.nginx.port, "/", connections=8, keys=10)
    for _ in range(loops(3, 50)):
        before = way.rows()
        wait_for(lambda b=before: way.rows() > b + 50, 30, "rows")
        way.daemon.kill()
        way.daemon.start()
    one.wait_ok(100)
    way.check(one.stop(), only=("ok",))


def test_a_worker_killed_under_load(way, load):
    way.nginx.expect(r"exited on signal")
    one = load(way.nginx.port, "/", connections=8, keys=10)
    for _ in range(loops(2, 30)):
        one.wait_ok(100)
        os.kill(way.nginx.worker(), signal.SIGKILL)
        wait_for(lambda: len(way.nginx.workers()) == 2, 20, "a new worker")
    one.wait_ok(100)
    way.check(one.stop())


def test_the_broker_killed_and_restarted(nginx, own_kafka, own_topics,
                                         consumer, database, load):
    way = Way(nginx, consumer, own_kafka, own_topics, database)
    one = load(way.nginx.port, "/", connections=16, keys=10)
    for _ in range(loops(2, 20)):
        one.wait_ok(300, 40)
        own_kafka.kill()
        own_kafka.start()
    one.wait_ok(300, 40)
    way.check(one.stop())


def test_the_broker_stopped_and_continued(nginx, own_kafka, own_topics,
                                          consumer, database, load):
    way = Way(nginx, consumer, own_kafka, own_topics, database)
    one = load(way.nginx.port, "/", connections=16, keys=10)
    one.wait_ok(300, 40)
    own_kafka.pause()
    refused = one.count("fail") + one.count("maybe")
    wait_for(lambda: one.count("fail") + one.count("maybe") > refused + 50,
             20, "refusals")
    own_kafka.resume()
    one.wait_ok(300, 40)
    way.check(one.stop())


def test_postgres_killed_and_restarted(nginx, own_postgres, own_database,
                                       consumer, kafka, topics, load):
    way = Way(nginx, consumer, kafka, topics, own_database)
    one = load(way.nginx.port, "/", connections=8, keys=10)
    for _ in range(loops(2, 20)):
        before = way.rows()
        wait_for(lambda b=before: way.rows() > b + 100, 30, "rows")
        own_postgres.kill()
        one.wait_ok(200)        # requests do not notice
        own_postgres.start()
    one.wait_ok(100)
    way.check(one.stop(), only=("ok",))


def test_a_bad_record_is_a_dead_letter_and_its_200_is_kept(way):
    """Valid JSON without the required member: 200, and not lost."""
    answer = way.nginx.post("/", b'{"other":1}')
    assert answer.status == 200
    wait_for(lambda: way.database.try_count("sluice.dead_letters") == 1, 20,
             "the dead letter")
    place, value = way.database.query(
        'SELECT "offset", value FROM sluice.dead_letters')[0]
    assert place == answer.json["offset"]
    assert json.loads(bytes(value)) == {"other": 1}


def test_everything_at_once(nginx, own_kafka, own_topics, own_postgres,
                            own_database, consumer, load):
    """Each part dies in turn, none waits for the others to recover."""
    way = Way(nginx, consumer, own_kafka, own_topics, own_database)
    way.nginx.expect(r"exited on signal")
    one = load(way.nginx.port, "/", connections=12, keys=10)
    for _ in range(loops(1, 10)):
        one.wait_ok(200, 60)
        own_kafka.kill()
        own_postgres.kill()
        way.daemon.kill()
        os.kill(way.nginx.worker(), signal.SIGKILL)
        own_kafka.start()
        way.daemon.start()
        way.nginx.reload()
        own_postgres.start()
    one.wait_ok(200, 60)
    way.check(one.stop())
