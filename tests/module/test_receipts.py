"""`kafka_ack stored`: the answer says what the database did, by receipts that
the test itself sends in the daemon's place."""

import concurrent.futures
import http.client
import json
import os
import re
import signal
import time

import confluent_kafka
import pytest
from confluent_kafka.admin import ConfigResource

from tests.lib import procs, stall, web
from tests.lib.env import ASAN, SANITIZED, VALGRIND, loops, wait_for
from tests.lib.http2 import Streams
from tests.lib.nginx import Daemon
from tests.lib.problem import BASE, assert_problem
from tests.lib.topics import Topics

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
        keepalive_requests 10000000;
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
        location = /live { return 204; }
        location = /status { kafka_status json; }
        location = /metrics { kafka_status prometheus; }
    }
"""

DELIVERED = re.sub(r"kafka_ack +stored;", "", CONF)


def reading(server):
    return server.get("/status").json["producers"][0]["receipts"]["reading"]


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

    def under_way(self):
        """Its record is handed over; on a slow machine it may be reported."""
        wait_for(lambda: self.server.get("/status").json["in_flight"] == 1
                 or self.state()["waiting"], 20, "a request is under way",
                 0.01)

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

    def make(text=CONF, partitions=1, wait="3s", producer="", group="g",
             receipts=None, ready=True, **more):
        topic = topics.create(partitions=partitions)
        receipts = receipts or topics.create()
        server = nginx(text, TOPIC=topic, RECEIPTS=receipts, WAIT=wait,
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
    assert problem["type"] == BASE + "not-a-row"
    assert problem["sqlstate"] == "23505"
    assert problem["reason"] == DEAD["reason"]
    assert (problem["topic"], problem["partition"], problem["offset"]) == (
        receipts.topic, 0, 0)
    assert problem["timestamp"] == receipts.topics.records(
        receipts.topic)[0].timestamp


def test_each_request_waits_its_own_time(stored):
    """Not that of one that was answered before, and in an old worker too."""
    receipts = stored()

    def wait():
        begin = time.monotonic()
        answer = receipts.server.post("/client", b"{}",
                                      {"Prefer": "ack=stored"}, timeout=60)
        assert (answer.status, answer.json["stored"]) == (202, "pending")
        return time.monotonic() - begin

    at_once = receipts.server.post("/client", b"{}",
                                   {"Prefer": "ack=delivered"})
    assert at_once.status == 200
    later = time.monotonic() + 1
    wait_for(lambda: time.monotonic() > later, 5, "a second is over")
    first = receipts.pool.submit(wait)
    receipts.waiting(1)
    second = receipts.pool.submit(wait)
    receipts.waiting(2)
    receipts.server.reload()
    # nginx's clock is that of the last turn of its loop
    assert min(first.result(), second.result()) > 2.9


def test_no_receipt_is_a_202_pending(stored):
    receipts = stored(wait="1500ms")
    begin = time.monotonic()
    answer = receipts.post().result()
    assert 1.4 < time.monotonic() - begin < 15
    assert answer.status == 202
    assert answer.json.items() >= {
        "topic": receipts.topic, "partition": 0, "offset": 0,
        "stored": "pending", "persisted": "yes"}.items()
    assert receipts.state()["waiting"] == 0


def test_receipts_answer_each_their_own(stored):
    """Ranges in any order, a gap between them, one record left over."""
    receipts = stored(wait="6s")
    posts = []
    for number in range(6):
        posts.append(receipts.post())
        receipts.waiting(number + 1)
    receipts.row(4, 6, exceptions=[{"offset": 4, "count": 2,
                                    "stored": "filtered"}])
    receipts.waiting(4)
    receipts.row(0, 2)
    receipts.waiting(2)
    receipts.row(2, 3, exceptions=[{**DEAD, "offset": 2}])
    answers = {post.result().json["offset"]: post.result() for post in posts}
    assert {offset: (answer.status, answer.json.get("stored"))
            for offset, answer in answers.items()} == {
        0: (200, "row"), 1: (200, "row"), 2: (422, None), 3: (202, "pending"),
        4: (200, "filtered"), 5: (200, "filtered")}


def test_a_receipt_may_come_before_the_report(stored):
    """The record lingers while its receipt is there already."""
    receipts = stored(producer="property linger.ms 700;")
    now = int(time.time() * 1000)
    post = receipts.post()
    receipts.under_way()
    receipts.row(timestamps=[now - 1000, now + 5000], exceptions=[DEAD])
    wait_for(lambda: receipts.state()["read"] == 1, 5, "it is read", 0.01)
    assert receipts.state()["waiting"] == 0
    answer = post.result()
    assert_problem(answer, 422, "dead-letter", "not-a-row")
    assert answer.json["reason"] == DEAD["reason"]


def test_a_receipt_that_was_there_before_the_record_is_not_believed(stored):
    """As of a topic of the same name that was deleted."""
    receipts = stored(wait="1500ms", producer="property linger.ms 300;")
    older = receipts.post()
    receipts.waiting()
    receipts.row(0, 100)
    assert older.result().status == 200
    assert receipts.post().result().json["stored"] == "pending"
    # also where another record of the topic is under way
    under_way = receipts.post()
    receipts.under_way()
    receipts.row(2, 100, exceptions=[{"offset": 3, "stored": "filtered"}])
    wait_for(lambda: receipts.state()["read"] == 2, 5, "it is read", 0.01)
    later = receipts.post()
    assert under_way.result().json["stored"] == "row"
    assert later.result().json["stored"] == "pending"


def test_a_receipt_of_other_times_is_not_believed(stored):
    receipts = stored(wait="1500ms")
    post = receipts.post()
    receipts.waiting()
    now = int(time.time() * 1000)
    receipts.row(timestamps=[now - 99000, now - 60000])
    receipts.row(timestamps=[now + 60000, now + 99000])
    assert post.result().json["stored"] == "pending"
    assert receipts.state()["read"] == 2


OTHERS = {
    "group": {"group": "h"},
    "topic": {"topic": "another"},
    "cluster": {"cluster": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("key", [True, False], ids=["key", "no-key"])
@pytest.mark.parametrize("case", OTHERS)
def test_a_receipt_of_others_is_not_believed(stored, case, key):
    receipts = stored(wait="1500ms")
    post = receipts.post()
    receipts.waiting()
    receipts.send({"partition": 0, "first": 0, "next": 1}, key=key,
                  **OTHERS[case])
    receipts.row(partition=1)
    assert post.result().json["stored"] == "pending"
    state = receipts.state()
    assert (state["other"], state["read"], state["unreadable"]) == (1, 1, 0)


def test_the_cluster_itself_is_believed(stored, kafka):
    receipts = stored()
    post = receipts.post()
    receipts.waiting()
    cluster = receipts.topics.admin.list_topics(timeout=20).cluster_id
    receipts.send({"partition": 0, "first": 0, "next": 1}, cluster=cluster,
                  later=["members", {"are": "ignored"}])
    assert post.result().json["stored"] == "row"


def test_a_group_may_be_the_topics_name(stored):
    receipts = stored(group="$kafka_topic")
    post = receipts.post()
    receipts.waiting()
    receipts.row()
    assert post.result().json["stored"] == "row"


def test_what_a_receipt_does_not_know_is_pending_at_once(stored):
    receipts = stored(wait="20s", producer="queue 1m;")
    posts = [receipts.post()]
    receipts.waiting(1)
    posts.append(receipts.post())
    receipts.waiting(2)
    begin = time.monotonic()
    receipts.row(0, 2, known=1)
    answers = sorted((post.result().json for post in posts),
                     key=lambda one: one["offset"])
    assert [one["stored"] for one in answers] == ["row", "pending"]
    assert time.monotonic() - begin < 15


RANGE = {"partition": 0, "first": 0, "next": 1}
UNREADABLE = {
    "nothing": b"",
    "no JSON": b"{",
    "an array": b"[]",
    "byte order mark": b"\xef\xbb\xbf{}",
    "another version": {"version": 2},
    "version as text": {"version": "1"},
    "no group": {"group": None},
    "no topic": {"topic": 7},
    "no partitions": {"partitions": None},
    "partitions no array": {"partitions": RANGE},
    "partition no object": {"partitions": [7]},
    "no next": {"partitions": [{"partition": 0, "first": 0}]},
    "next below first": {"partitions": [{**RANGE, "first": 2}]},
    "negative": {"partitions": [{**RANGE, "first": -1}]},
    "a fraction": {"partitions": [{**RANGE, "next": 1.5}]},
    "too large a number": {"partitions": [{**RANGE, "next": 1 << 70}]},
    "too large a partition": {"partitions": [{**RANGE, "partition": 1 << 31}]},
    "known behind next": {"partitions": [{**RANGE, "known": 2}]},
    "one timestamp": {"partitions": [{**RANGE, "timestamps": [1]}]},
    "timestamps in disorder": {"partitions": [{**RANGE,
                                               "timestamps": [2, 1]}]},
    "exceptions no array": {"partitions": [{**RANGE, "exceptions": {}}]},
    "exception no object": {"partitions": [{**RANGE, "exceptions": [0]}]},
    "exception of no kind": {"partitions": [
        {**RANGE, "exceptions": [{"offset": 0, "stored": "row?"}]}]},
    "exception out of range": {"partitions": [
        {**RANGE, "exceptions": [{"offset": 1, "stored": "filtered"}]}]},
    "exceptions out of range": {"partitions": [
        {**RANGE, "exceptions": [{"offset": 0, "count": 2,
                                  "stored": "filtered"}]}]},
    "no exceptions": {"partitions": [
        {**RANGE, "exceptions": [{"offset": 0, "count": 0,
                                  "stored": "filtered"}]}]},
    "two of an offset": {"partitions": [
        {**RANGE, "exceptions": [{"offset": 0, "stored": "filtered"},
                                 {"offset": 0, "stored": "duplicate"}]}]},
    # the first partition must not count either
    "the second partition": {"partitions": [RANGE, {"partition": 1}]},
    "too long": {"padding": "x" * (512 * 1024)},
}


def test_unreadable_receipts_are_counted_and_not_believed(stored):
    receipts = stored(wait="8s")
    post = receipts.post()
    receipts.waiting()
    for value in UNREADABLE.values():
        if isinstance(value, dict):
            whole = {**receipts.value(RANGE), **value}
            value = json.dumps({name: part for name, part in whole.items()
                                if part is not None}).encode()
        receipts.raw(value)
    wait_for(lambda: receipts.state()["unreadable"] == len(UNREADABLE), 10,
             "all are read")
    assert receipts.state()["waiting"] == 1
    receipts.row()
    assert post.result().json["stored"] == "row"


def test_a_reason_is_cut_at_a_characters_end(stored):
    receipts = stored()
    post = receipts.post()
    receipts.waiting()
    receipts.row(exceptions=[{**DEAD, "reason": "a" + "\u00fc" * 200}])
    assert post.result().json["reason"] == "a" + "\u00fc" * 127


def test_exceptions_in_any_order(stored):
    receipts = stored()
    posts = []
    for number in range(4):
        posts.append(receipts.post())
        receipts.waiting(number + 1)
    receipts.row(0, 4, exceptions=[
        {"offset": 3, "stored": "filtered"}, {**DEAD, "offset": 1},
        {"offset": 0, "stored": "duplicate"}])
    answers = sorted((post.result().json for post in posts),
                     key=lambda one: one["offset"])
    assert [one.get("stored", one.get("sqlstate")) for one in answers] == [
        "duplicate", "23505", "row", "filtered"]


LINES = b'{"n":1}\n{"n":2}\n{"n":3}\n'


def batch(receipts, *exceptions, headers=None, known=3, body=LINES):
    post = receipts.post("/batch", body, headers)
    receipts.waiting(3)
    receipts.row(0, 3, known=known, exceptions=list(exceptions))
    return post.result()


def test_a_batch_of_rows_is_a_200(stored):
    answer = batch(stored(), {"offset": 1, "stored": "duplicate"})
    assert answer.status == 200
    assert [(one["status"], one["persisted"], one["offset"], one["stored"])
            for one in answer.json["results"]] == [
        (200, "yes", 0, "row"), (200, "yes", 1, "duplicate"),
        (200, "yes", 2, "row")]


def test_a_batch_with_a_pending_record_is_a_202(stored):
    answer = batch(stored(), known=2)
    assert answer.status == 202
    assert [(one["status"], one["persisted"], one["stored"])
            for one in answer.json["results"]] == [
        (200, "yes", "row"), (200, "yes", "row"), (202, "yes", "pending")]


def test_a_batch_with_a_dead_letter_is_a_422(stored):
    answer = batch(stored(), {**DEAD, "offset": 1}, known=2)
    problem = assert_problem(answer, 422, "dead-letter", "not-a-row")
    assert [one["status"] for one in problem["results"]] == [200, 422, 202]
    dead = problem["results"][1]
    assert (dead["persisted"], dead["offset"], dead["sqlstate"],
            dead["reason"]) == ("dead-letter", 1, "23505", DEAD["reason"])


@pytest.mark.parametrize("known", [2, 3])
def test_a_lenient_batch_that_is_not_all_rows_is_a_207(stored, known):
    answer = batch(stored(), *[{**DEAD, "offset": 1}] * (known == 3),
                   known=known, headers={"Prefer": "handling=lenient"})
    assert answer.status == 207
    assert answer.headers["preference-applied"] == "handling=lenient"
    assert [one["status"] for one in answer.json["results"]] == (
        [200, 422, 200] if known == 3 else [200, 200, 202])


PREFER = [
    ("ack=stored", "stored", "ack=stored"),
    ('ACK="stored"; why=not', "stored", "ack=stored"),
    ("ack=delivered", "delivered", "ack=delivered"),
    ("ack=queued", "queued", "ack=queued"),
    ("respond-async", "queued", "respond-async"),
    ("respond-async, ack=stored", "stored", "ack=stored"),
    ("ack=queued, ack=stored", "queued", "ack=queued"),
    ("ack=never, ack=stored", "stored", "ack=stored"),
    ("ack=never", "delivered", None),
    (None, "delivered", None),
]


@pytest.mark.parametrize("wish, way, applied", PREFER)
def test_a_client_may_choose(stored, wish, way, applied):
    receipts = stored()
    post = receipts.post("/client", headers={"Prefer": wish} if wish else {})
    if way == "stored":
        receipts.waiting()
        receipts.row()
    answer = post.result()
    assert answer.headers.get("preference-applied") == applied
    assert answer.status == (202 if way == "queued" else 200)
    assert answer.json.get("stored") == ("row" if way == "stored" else None)
    assert answer.json.get("queued") == (True if way == "queued" else None)


def test_without_receipts_a_wish_for_them_is_not_applied(nginx, topic):
    server = nginx(
        DELIVERED.replace("kafka_receipts %%RECEIPTS%% group=%%GROUP%%;", ""),
        TOPIC=topic, WAIT="3s", PRODUCER="")
    answer = server.post("/client", b"{}", {"Prefer": "ack=stored"})
    assert answer.status == 200
    assert "preference-applied" not in answer.headers
    assert "stored" not in answer.json
    assert "receipts" not in server.get("/status").json["producers"][0]
    assert not re.search(r"(stored|receipts)\w*{",
                         server.get("/metrics").body.decode())


@pytest.mark.parametrize("location", ["client", "delivered"])
def test_only_who_needs_receipts_reads_them(nginx, topics, location):
    server = nginx(
        DELIVERED.replace("kafka_ack   client;", f"kafka_ack {location};"),
        TOPIC=topics.create(), RECEIPTS=topics.create(), WAIT="3s", GROUP="g",
        PRODUCER="")
    if location == "client":
        wait_for(lambda: reading(server) == 1, 20, "receipts are read")
    else:
        time.sleep(2)
        assert reading(server) == 0


def rows(receipts, offset, partition=0):
    """A request is answered by the receipt that follows it."""
    post = receipts.post()
    receipts.waiting()
    receipts.row(0, offset + 1, to=partition)
    return post.result().json.get("stored")


def said(receipts, text):
    return receipts.server.log().count(text)


NOT_READ = "could not read receipts from topic"
AGAIN = "receipts are read from topic"


def test_a_topic_that_is_not_there(stored, topics):
    receipts = stored(receipts=topics.name(), wait="1500ms", ready=False)
    wait_for(lambda: said(receipts, NOT_READ), 20, "it is logged")
    assert receipts.post().result().json["stored"] == "pending"
    assert receipts.state()["reading"] == 0
    topics.create(name=receipts.name)
    receipts.reading()
    assert rows(receipts, 1) == "row"
    assert said(receipts, NOT_READ) == said(receipts, AGAIN) == 1


def test_a_topic_that_is_created(stored, topics):
    receipts = stored(CONF.replace("group=%%GROUP%%",
                                   "create partitions=3 group=%%GROUP%%"),
                      receipts=topics.name())
    assert topics.partitions(receipts.name) == 3
    resource = ConfigResource(ConfigResource.Type.TOPIC, receipts.name)
    config = topics.admin.describe_configs([resource])[resource].result(20)
    assert config["retention.ms"].value == "600000"
    assert not said(receipts, NOT_READ)
    assert rows(receipts, 0, partition=2) == "row"


@pytest.mark.parametrize("gap", [True, False], ids=["gap", "at once"])
def test_a_topic_that_is_deleted_and_made_again(stored, topics, gap):
    receipts = stored(wait="2s")
    for offset in range(4):
        assert rows(receipts, offset) == "row"
    topics.delete(receipts.name)
    if gap:
        wait_for(lambda: said(receipts, NOT_READ), 20, "it is logged")
        assert receipts.state()["reading"] == 0
        assert receipts.post().result().json["stored"] == "pending"
    topics.create(name=receipts.name)
    wait_for(lambda: rows(receipts, 1000) == "row", 40, "they count again")
    if gap:
        assert said(receipts, NOT_READ) == said(receipts, AGAIN) == 1


def test_partitions_that_are_added(stored, topics):
    receipts = stored(wait="15s")
    post = receipts.post()
    receipts.waiting()
    topics.add_partitions(receipts.name, 3)
    # before the worker has seen it
    receipts.row(to=2)
    assert post.result().json["stored"] == "row"


def test_brokers_that_are_away(nginx, own_kafka):
    topics = Topics(own_kafka)
    names = {"TOPIC": topics.create(), "RECEIPTS": topics.create()}
    server = nginx(CONF, KAFKA=own_kafka.bootstrap, WAIT="2s", GROUP="g",
                   PRODUCER="", **names)
    receipts = Receipts(topics, server, names["TOPIC"], names["RECEIPTS"])
    receipts.reading()
    kept = receipts.post()
    receipts.waiting()
    own_kafka.pause()
    try:
        answer = kept.result()
        assert (answer.status, answer.json["stored"]) == (202, "pending")
        wait_for(lambda: said(receipts, NOT_READ), 30, "it is logged")
        answer = receipts.post().result()
        assert answer.json["persisted"] in ("no", "possibly")
    finally:
        own_kafka.resume()
    receipts.reading()
    wait_for(lambda: server.post("/client", b"{}").status == 200, 20,
             "brokers are back")
    assert rows(receipts, 1000) == "row"
    assert said(receipts, NOT_READ) == said(receipts, AGAIN) == 1


def test_a_topic_that_may_not_be_read(nginx, guarded_kafka):
    topics = Topics(guarded_kafka)
    names = {"TOPIC": topics.create(), "RECEIPTS": topics.create()}
    for name in names.values():
        guarded_kafka.acl("--add", "--allow-principal", "All", name)
    guarded_kafka.acl("--add", "--deny-principal", "Read", names["RECEIPTS"])
    server = nginx(CONF, KAFKA=guarded_kafka.bootstrap, WAIT="2s", GROUP="g",
                   PRODUCER="", **names)
    receipts = Receipts(topics, server, names["TOPIC"], names["RECEIPTS"])
    wait_for(lambda: said(receipts, "allow the principal to describe and read"),
             20, "it is logged")
    assert receipts.post().result().json["stored"] == "pending"
    assert receipts.state()["reading"] == 0
    guarded_kafka.acl("--remove", "--deny-principal", "Read",
                      names["RECEIPTS"])
    receipts.reading()
    assert rows(receipts, 1) == "row"
    assert said(receipts, NOT_READ) == said(receipts, AGAIN) == 1


def test_a_reload_while_a_request_waits(stored):
    receipts = stored(wait="15s")
    old = receipts.post()
    receipts.waiting()
    pids = receipts.server.reload()
    # in a worker that has only just begun to read
    new = receipts.post()
    receipts.waiting(2)
    receipts.row(0, 2)
    assert [old.result().json["stored"], new.result().json["stored"]] == [
        "row", "row"]
    procs.wait_gone(pids, 20, "the old worker is gone")
    receipts.reading()


def test_a_leaving_worker_waits_no_longer_than_its_requests(stored):
    receipts = stored(wait="2s")
    post = receipts.post()
    receipts.waiting()
    receipts.server.reload(wait_old=10)
    assert post.result().json["stored"] == "pending"


@pytest.mark.skipif(VALGRIND, reason="memcheck's titles are not nginx's")
def test_another_binary_while_a_request_waits(stored):
    receipts = stored(wait="15s", kind=Daemon)
    server = receipts.server
    post = receipts.post()
    receipts.waiting()
    old = server.master
    new = server.upgrade()
    os.kill(old, signal.SIGQUIT)
    wait_for(lambda: "gracefully shutting down" in server.log(), 20,
             "the old worker leaves")
    receipts.row(0, 1)
    assert post.result().json["stored"] == "row"
    procs.wait_gone([old], 30, "the old master is gone")
    server.master = new
    receipts.reading()
    assert rows(receipts, 1) == "row"


def test_a_worker_that_is_killed(stored):
    receipts = stored(wait="15s")
    server = receipts.server
    server.expect(r"exited on signal 9$")
    post = receipts.post()
    receipts.waiting()
    worker = server.worker()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises((OSError, http.client.HTTPException)):
        post.result()
    wait_for(lambda: server.workers() and worker not in server.workers(), 20,
             "another worker")
    receipts.reading()
    assert receipts.state()["waiting"] == 0
    assert rows(receipts, 1) == "row"


def test_clients_that_leave(stored):
    receipts = stored(wait="30s")
    for _ in range(loops(50000 if ASAN else 1000, 100000) // 500):
        clients = []
        for _ in range(500):
            client = web.connect(receipts.server.port)
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: 2\r\n\r\n{}")
            clients.append(client)
        wait_for(lambda: receipts.state()["waiting"] > 400, 20,
                 "most wait", 0.01)
        for number, client in enumerate(clients):
            web.reset(client) if number % 2 else client.close()
        receipts.waiting(0)
    assert receipts.state()["waiting"] == 0
    offset = receipts.topics.count(receipts.topic)
    assert rows(receipts, offset) == "row"


def test_the_longest_stall(stored):
    """1,000 requests wait, and the largest receipt answers them all, behind
    others of its size that answer none."""
    receipts = stored(wait="60s")
    bound = 0.020 if not SANITIZED else 1
    clients = []
    for _ in range(1000):
        client = web.connect(receipts.server.port)
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Length: 2\r\n\r\n{}")
        clients.append(client)
    receipts.waiting(1000)
    exceptions = [{**DEAD, "offset": offset, "reason": "\u00fc" * 127}
                  for offset in range(1000)]
    value = receipts.value({"partition": 0, "first": 0, "next": 1000,
                            "exceptions": exceptions}, padding="")
    value["padding"] = "x" * (512 * 1024 - len(
        json.dumps(value, ensure_ascii=False).encode()))
    large = json.dumps(value, ensure_ascii=False).encode()
    assert len(large) == 512 * 1024
    # the reader's worst: all of it is small tokens
    small = receipts.value({"partition": 7, "first": 0, "next": 1 << 40,
                            "exceptions": []}, padding=[0] * 170000)
    other = json.dumps(small).encode()
    with stall.watched(receipts.server, "/live") as watch:
        watch.longest()
        for _ in range(4):
            receipts.raw(other)
        receipts.raw(large)
        wait_for(lambda: receipts.state()["read"] == 5, 20, "all are read")
        receipts.waiting(0)
        longest = watch.longest()
    for client in clients:
        answer = web.read_answer(client.makefile("rb"))
        assert answer.status == 422
        client.close()
    print(f"longest stall {longest * 1000:.1f} ms")
    assert longest < bound


@pytest.mark.skipif(SANITIZED, reason="memory is not the module's own")
def test_memory_of_a_waiting_request(stored):
    """Beside a request that nginx itself lets wait, before its handler."""
    receipts = stored(
        "limit_req_zone all zone=all:64k rate=1r/m;" + CONF.replace(
            "listen 127.0.0.1:%%PORT%%;",
            "listen 127.0.0.1:%%PORT%%; listen 127.0.0.1:%%PORT2%% http2;"
            "location = /delayed { limit_req zone=all burst=20000;"
            " kafka_pass main; kafka_topic %%TOPIC%%; }"),
        wait="100s")
    server = receipts.server

    def ask(connections, path):
        clients = [Streams(server.port2) for _ in range(connections)]
        for client in clients:
            client.streams = [
                client.begin(path, headers=[("content-length", "2")])
                for _ in range(100)]
            for stream in client.streams:
                client.send(stream, b"{}", end=True)
        return clients

    for client in ask(10, "/client"):
        client.wait(client.streams)
        client.close()
    before = procs.rss(server.worker())
    delayed = ask(100, "/delayed")
    wait_for(lambda: server.log().count("delaying request") >= 9999, 30,
             "all are delayed")
    base = (procs.rss(server.worker()) - before) / 10000
    clients = ask(100, "/")
    receipts.waiting(10000)
    each = (procs.rss(server.worker()) - before) / 10000 - base
    receipts.row(0, 1 << 40)
    for client in clients:
        client.wait(client.streams)
        assert {client.answers[stream].status
                for stream in client.streams} == {200}
    for client in clients + delayed:
        client.close()
    print(f"a waiting request: {each:.0f} bytes, delayed by nginx {base:.0f}")
    assert each - base < 4096


MORE = CONF.replace("location = /live", """
        location = /events {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format cloudevents;
            kafka_ack    stored;
        }
        location = /fixed {
            kafka_pass     main;
            kafka_topic    %%TOPIC%%;
            kafka_ack      stored;
            kafka_response '{"done":"$kafka_stored"}';
        }
        location = /pages {
            kafka_pass             main;
            kafka_topic            %%TOPIC%%;
            kafka_ack              stored;
            kafka_intercept_errors on;
            error_page 422 = /refused;
        }
        location = /refused {
            return 409 "$kafka_error $kafka_stored $kafka_persisted";
        }
        location = /letters {
            kafka_pass    main;
            kafka_topic   %%TOPIC%%;
            kafka_format  ndjson;
            kafka_ack     stored;
            kafka_invalid dead_letter %%DEAD%%;
        }
        location = /mirrored {
            mirror      /copy;
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /copy {
            internal;
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_ack   stored;
        }
        location = /live""")
MORE = MORE.replace("topic   %%TOPIC%%;", "topic   %%TOPIC%%; topic %%DEAD%%;",
                    1)


@pytest.fixture
def more(stored, topics):
    return stored(MORE, DEAD=topics.create())


def event(number):
    return {"specversion": "1.0", "id": str(number), "source": "/s",
            "type": "t", "data": {}}


@pytest.mark.parametrize("kind, headers, body", [
    ("binary", {"Content-Type": "application/json", "ce-specversion": "1.0",
                "ce-id": "1", "ce-source": "/s", "ce-type": "t"}, b"{}"),
    ("structured", {"Content-Type": "application/cloudevents+json"},
     json.dumps(event(1)).encode()),
    ("batched", {"Content-Type": "application/cloudevents-batch+json"},
     json.dumps([event(1), event(2)]).encode())])
def test_events_are_answered_as_other_records(more, kind, headers, body):
    post = more.post("/events", body, headers)
    more.waiting(2 if kind == "batched" else 1)
    more.row(0, 2, exceptions=[DEAD])
    problem = assert_problem(post.result(), 422, "dead-letter", "not-a-row")
    if kind == "batched":
        assert [one["status"] for one in problem["results"]] == [422, 200]
    else:
        assert problem["sqlstate"] == "23505"


def test_a_response_of_ones_own(more):
    post = more.post("/fixed")
    more.waiting()
    more.row()
    answer = post.result()
    assert (answer.status, answer.json) == (200, {"done": "row"})


def test_an_error_page_of_ones_own(more):
    post = more.post("/pages")
    more.waiting()
    more.row(exceptions=[DEAD])
    answer = post.result()
    assert answer.status == 409
    assert answer.body == b"not-a-row dead-letter dead-letter"


def test_dead_letters_of_the_module_are_answered_when_they_are_kept(more):
    post = more.post("/letters", b'{"n":1}\nno json\n')
    more.waiting(1)
    more.row()
    answer = post.result()
    assert answer.status == 200
    row, letter = answer.json["results"]
    assert row["stored"] == "row"
    assert "stored" not in letter and letter["persisted"] == "yes"


def test_a_copy_of_a_request_waits_beside_it(more):
    post = more.post("/mirrored")
    more.waiting(1)
    more.row(0, 2)
    more.waiting(0)
    answer = post.result()
    assert answer.status == 200
    assert "stored" not in answer.json and answer.json["offset"] in (0, 1)


def test_status_and_metrics(more):
    for offset, exceptions in enumerate(
            ([], [DEAD], [{"offset": 2, "stored": "filtered"}])):
        post = more.post()
        more.waiting()
        more.row(offset, offset + 1, exceptions=[
            {**one, "offset": offset} for one in exceptions])
        post.result()
    status = more.server.get("/status").json["producers"][0]
    topic = [one for one in status["topics"] if one["name"] == more.topic][0]
    assert topic["requests"] == {"stored": 2, "not-a-row": 1}
    stored = topic["stored"]
    assert {name: stored[name] for name in (
        "row", "filtered", "duplicate", "dead_letter", "pending")} == {
        "row": 1, "filtered": 1, "duplicate": 0, "dead_letter": 1,
        "pending": 0}
    assert sum(stored["latency"]["counts"]) == 3
    assert status["receipts"] == {
        "topic": more.name, "reading": 1, "waiting": 0, "read": 3, "other": 0,
        "unreadable": 0, "forgotten": 0}
    text = more.server.get("/metrics").body.decode()
    label = f'{{producer="main",topic="{more.topic}"'
    for line in (
            f'sluice_http_records_stored_total{label},stored="row"}} 1',
            f'sluice_http_records_stored_total{label},stored="pending"}} 0',
            f'sluice_http_stored_latency_seconds_count{label}}} 3',
            'sluice_http_receipts_total{producer="main",result="read"} 3',
            'sluice_http_receipts_reading_workers{producer="main"} 1'):
        assert line in text.splitlines(), line


def test_ranges_are_remembered_within_bounds(stored):
    """What had no room is pending, never guessed."""
    receipts = stored(wait="3s", producer="property linger.ms 700;")
    receipts.send(group="another")      # its producer is connected
    post = receipts.post()
    receipts.under_way()
    receipts.send(*[{"partition": 0, "first": first, "next": first + 1}
                    for first in range(300)])
    assert post.result().json["stored"] == "pending"
    assert receipts.state()["forgotten"] == 300 - 256
