"""librdkafka fails for good, or does not start."""

import os
import time

import pytest

from tests.lib import procs, web
from tests.lib.env import BUILD, SANITIZED, loops, wait_for
from tests.lib.history import check_answers, check_topic
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_key   $arg_key;
        }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
        location = /live   { kafka_live; }
    }
"""


@pytest.fixture
def failing(nginx, directory):
    """Makes an nginx whose librdkafka fails while one of two files is
    there."""
    def make(**more):
        server = nginx(CONF, preload=[BUILD / "test" / "faults.so"],
                       env={"SLUICE_FATAL": str(directory / "fatal"),
                            "SLUICE_NO_NEW": str(directory / "no-new")},
                       **more)
        server.fatal = directory / "fatal"
        server.no_new = directory / "no-new"
        return server
    return make


def fail(server):
    server.fatal.touch()
    wait_for(lambda: not server.fatal.exists(), 10, "it has failed")


def test_a_fatal_error_under_load(failing, topics, load):
    name = topics.create(partitions=3)
    server = failing(TOPIC=name, workers=2)
    one = load(server.port, "/", connections=12, keys=9)
    slowest = 0.0
    for _ in range(loops(4, 60)):
        one.wait_ok(100)
        fail(server)
        begin = time.monotonic()
        one.wait_ok(20)
        slowest = max(slowest, time.monotonic() - begin)
    one.wait_ok(200)
    events = one.stop()
    assert slowest < (10 if SANITIZED else 2), slowest
    assert "asked for by a test" in server.log()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 20, "empty")
    check_topic(events, topics.records(name))
    check_answers(events, only=("ok", "fail", "maybe"))
    assert server.get("/status").json["in_flight"] == 0


def test_a_fatal_error_while_records_wait(failing, own_kafka, own_topics):
    """What is outstanding is answered truthfully, and the loop goes on."""
    name = own_topics.create()
    server = failing(TOPIC=name, KAFKA=own_kafka.bootstrap)
    assert server.post("/", b"before").status == 200
    own_kafka.pause()
    waiting = []
    for number in range(20):
        connection = web.connect(server.port)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: 2\r\n\r\n%02d" % number)
        waiting.append(connection)
    wait_for(lambda: server.get("/status").json["in_flight"] == 20, 10,
             "they wait")
    fail(server)
    begin = time.monotonic()
    assert server.get("/live").status == 200
    assert time.monotonic() - begin < 0.5
    answers = []
    for connection in waiting:
        answers.append(web.read_answer(connection.makefile("rb")))
        connection.close()
    # those of another client than the one that failed wait for "timeout"
    assert time.monotonic() - begin < 8
    own_kafka.resume()
    wait_for(lambda: server.post("/", b"after").status == 200, 20, "back")
    values = [record.value for record in own_topics.records(name)]
    assert values.count(b"before") == 1 and values.count(b"after") >= 1
    for number, answer in enumerate(answers):
        times = values.count(b"%02d" % number)
        if answer.status == 200:
            assert times == 1
        elif answer.status == 503:
            assert_problem(answer, 503, "no")
            assert times == 0
        else:
            assert_problem(answer, 504, "possibly")
            assert times <= 1


def test_nothing_is_left_of_failed_clients(failing, topics, topic):
    server = failing(TOPIC=topic)
    assert server.post("/", b"x").status == 200
    worker = server.worker()
    server.wait_prompt()
    before = procs.descriptors(worker), procs.threads(worker)
    for _ in range(loops(5, 100)):
        fail(server)
        wait_for(lambda: server.post("/", b"x").status == 200, 10, "back")
    assert server.worker() == worker
    wait_for(lambda: abs(procs.descriptors(worker) - before[0]) <= 2
             and abs(procs.threads(worker) - before[1]) <= 2, 20,
             "threads and descriptors as before")


def test_a_client_that_does_not_start(failing, topics, topic):
    server = failing(TOPIC=topic)
    assert server.post("/", b"before").status == 200
    server.no_new.touch()
    fail(server)
    wait_for(lambda: server.post("/", b"meanwhile").status == 503, 10,
             "not started")
    assert_problem(server.post("/", b"meanwhile"), 503, "no", "not-started")
    assert server.get("/ready").status == 503
    assert server.get("/live").status == 200
    os.unlink(server.no_new)
    begin = time.monotonic()
    wait_for(lambda: server.post("/", b"after").status == 200, 10, "back")
    assert time.monotonic() - begin < (10 if SANITIZED else 2)
    values = [record.value for record in topics.records(topic)]
    assert values == [b"before", b"after"]


def test_a_worker_whose_client_does_not_start_at_first(failing, topics,
                                                       topic):
    server = failing(TOPIC=topic)
    server.no_new.touch()
    # the configuration is proved in a child that cannot start one either
    os.unlink(server.no_new)
    old = server.reload()
    assert old
    server.no_new.touch()
    victim = server.worker()
    server.expect(r"exited on signal 9")
    os.kill(victim, 9)
    wait_for(lambda: server.workers() and victim not in server.workers(), 10,
             "a new worker")
    assert_problem(server.post("/", b"x"), 503, "no", "not-started")
    os.unlink(server.no_new)
    wait_for(lambda: server.post("/", b"y").status == 200, 10, "back")
    assert [record.value for record in topics.records(topic)] == [b"y"]
