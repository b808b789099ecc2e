"""Few records do not wait for "linger.ms": a client of librdkafka sends them at
once, and no order is lost between it and the one that gathers."""

import os
import re
import time

import pytest

from tests.lib import procs
from tests.lib.env import VALGRIND, loops, wait_for
from tests.lib.history import check_answers, check_topic
from tests.lib.http2 import Streams
from tests.lib.metrics import scrape

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%TOPIC%%;
        %%PRODUCER%%
    }
    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        kafka_topic   %%TOPIC%%;
        kafka_key     $arg_key;
        kafka_timeout 4s;
        location = /       { kafka_pass main; }
        location = /queued { kafka_pass main; kafka_ack queued; }
        location = /batch  { kafka_pass main; kafka_format ndjson; }
        location = /status { kafka_status json; }
        location = /metrics { kafka_status prometheus; }
    }
"""
ESTABLISHED = "01"      # include/net/tcp_states.h


def prompt(server):
    return server.get("/status").json["producers"][0]["prompt"]


def start(nginx, topic, **more):
    """With the client for few records ready."""
    server = nginx(CONF, TOPIC=topic, **{"PRODUCER": "", **more})
    server.wait_prompt()
    return server


def connections(pid, port):
    """How many a process has to a port."""
    mine = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]",
                                 os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            continue
        if found:
            mine.add(found[1])
    with open("/proc/net/tcp", encoding="ascii") as file:
        lines = [line.split() for line in list(file)[1:]]
    return sum(line[9] in mine and line[3] == ESTABLISHED
               and int(line[2].split(":")[1], 16) == port for line in lines)


def test_one_after_the_other_does_not_linger(nginx, kafka, topics, topic):
    server = start(nginx, topic)
    for number in range(50):
        assert server.post("/", b"%d" % number).status == 200
    assert server.post("/batch", b"1\n" * 10).status == 200
    assert prompt(server) == {"ready": 1, "records": 60}
    found = scrape(server)
    assert found.one("sluice_http_producer_prompt_workers") == 1
    assert found.one("sluice_http_producer_prompt_records_total") == 60
    assert found.sum("sluice_http_records_total", result="kept") == 60
    assert len(topics.records(topic)) == 60
    # nobody waits for these, and those are many
    for number in range(20):
        assert server.post("/queued", b"%d" % number).status == 202
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "kept")
    assert server.post("/batch", b"1\n" * 100).status == 200
    assert prompt(server)["records"] == 60
    port = int(kafka.bootstrap.rpartition(":")[2])
    assert connections(server.worker(), port) == 2


def test_a_linger_that_is_set_holds_for_all(nginx, kafka, topic):
    server = nginx(CONF, TOPIC=topic,
                   PRODUCER="property queue.buffering.max.ms 200;")
    for number in range(8):
        begin = time.monotonic()
        assert server.post("/", b"%d" % number).status == 200
        assert time.monotonic() - begin > 0.19
    assert prompt(server) == {"ready": 0, "records": 0}
    port = int(kafka.bootstrap.rpartition(":")[2])
    assert connections(server.worker(), port) == 1


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_what_was_answered_before_comes_first(nginx, topics, topic, protocol):
    """Queued records are answered before they are kept: those that wait for
    them must not pass them by."""
    server = start(nginx, topic)
    post = server.post
    if protocol == "http2":
        streams = Streams(server.port2)
        post = streams.post
    count = loops(400, 10000)
    for number in range(count):
        path = "/queued?key=a" if number % 3 == 1 else "/?key=a"
        answer = post(path, b"%d" % number)
        assert answer.status == (202 if number % 3 == 1 else 200)
    assert prompt(server)["records"] > 0
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "kept")
    assert [int(record.value) for record in topics.records(topic)] \
        == list(range(count))


def test_streams_that_were_answered_come_before_the_next(nginx, topics,
                                                         topic):
    """Groups of streams on one connection, few and many in turn."""
    server = start(nginx, topic)
    client = Streams(server.port2)
    group = 0
    for many in [3, 100, 1, 70, 2] * loops(5, 100):
        streams = []
        for _ in range(many):
            body = b"%d" % group
            stream = client.begin("/?key=a", headers=[
                ("content-length", str(len(body)))])
            client.send(stream, body, end=True)
            streams.append(stream)
        client.wait(streams)
        assert {client.answers[stream].status for stream in streams} == {200}
        group += 1
    found = [int(record.value) for record in topics.records(topic)]
    assert found == sorted(found)
    assert 0 < prompt(server)["records"] < len(found)


def bursts(server, load, one, times):
    """Many clients come and go beside the few."""
    events = []
    for _ in range(times):
        many = load(server.port, "/", connections=120, keys=7)
        many.wait_ok(300, 40)
        events += many.stop()
        before = prompt(server)["records"]
        one.wait_ok(20, 40)
        # 30 s if a broker was late
        wait_for(lambda: prompt(server)["records"] > before, 60,
                 "few again")
    return events


@pytest.mark.skipif(VALGRIND, reason="\"timeout\" is too short for memcheck")
def test_order_by_key_while_clients_come_and_go(nginx, topics, load):
    name = topics.create(partitions=3)
    server = start(nginx, name)
    one = load(server.port, "/", connections=6, keys=7)
    events = bursts(server, load, one, loops(3, 50))
    events += one.stop()
    check_answers(events, only=("ok",))
    check_topic(events, topics.records(name))
    assert prompt(server)["records"] < len(events)
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "empty")


@pytest.mark.skipif(VALGRIND, reason="\"timeout\" is too short for memcheck")
@pytest.mark.parametrize("seconds", [1, 5])
def test_a_broker_that_stops_holds_neither(nginx, own_kafka, own_topics, load,
                                           seconds):
    """For less than "timeout", and for so long that both clients are
    replaced."""
    name = own_topics.create(partitions=3)
    server = start(nginx, name, KAFKA=own_kafka.bootstrap)
    one = load(server.port, "/", connections=6, keys=7)
    events = bursts(server, load, one, 1)
    own_kafka.pause()
    begin = time.monotonic()
    wait_for(lambda: time.monotonic() > begin + seconds, 10, pause=0.1)
    own_kafka.resume()
    one.wait_ok(50, 40)
    server.wait_prompt()
    events += bursts(server, load, one, 1)
    events += one.stop()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "empty")
    check_topic(events, own_topics.records(name))
    port = int(own_kafka.bootstrap.rpartition(":")[2])
    wait_for(lambda: connections(server.worker(), port) == 2, 20,
             "two connections")


@pytest.mark.skipif(VALGRIND, reason="\"timeout\" is too short for memcheck")
def test_reload_and_a_killed_worker_between_few_and_many(nginx, topics, load):
    name = topics.create(partitions=3)
    server = start(nginx, name)
    one = load(server.port, "/", connections=6, keys=7)
    events = bursts(server, load, one, 1)
    server.reload(wait_old=10)
    server.wait_prompt()
    many = load(server.port, "/", connections=120, keys=7)
    many.wait_ok(200, 40)
    worker = server.worker()
    os.kill(worker, 9)
    server.expect("exited on signal 9|open socket")
    wait_for(lambda: not procs.alive(worker), 10, "it is gone")
    many.wait_ok(200, 40)
    events += many.stop()
    server.wait_prompt()
    events += bursts(server, load, one, 1)
    events += one.stop()
    check_topic(events, topics.records(name))
