"""Reload, quit, stop, crashes and clients that leave."""

import json
import os
import signal
import time

import pytest

from tests.lib import procs, web
from tests.lib.env import SANITIZED, VALGRIND, bound, loops, wait_for
from tests.lib.history import check_answers, check_topic
from tests.lib.metrics import scrape

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%TOPIC%%;
    }
    kafka_drain_timeout 5s;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass    main;
            kafka_topic   %%TOPIC%%;
            kafka_key     $arg_key;
            kafka_timeout 4s;
        }
        location = /status { kafka_status json; }
        location = /metrics { kafka_status prometheus; }
        location = /other { return 204; }
    }
"""


def test_a_thousand_clients_that_leave_early_harm_nothing(nginx, topics,
                                                          topic):
    """RST at different moments: in the head, in the body, right behind it,
    and while the record waits for its acknowledgement."""
    server = nginx(CONF, TOPIC=topic)
    worker = server.worker()
    assert server.post("/", b"warm").status == 200
    server.wait_prompt()
    before = procs.descriptors(worker), procs.threads(worker)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    whole = head + b"x" * 1000
    for number in range(loops(1000, 100000)):
        connection = web.connect(server.port)
        cut = (len(whole), len(head), len(head) + 500, 20, len(whole))
        connection.sendall(whole[:cut[number % 5]])
        if number % 5 == 4:
            # the worker has read it when another request is answered
            if number % 50 == 4:
                assert server.get("/other").status == 204
        web.reset(connection)
    answer = server.post("/", b"last")
    assert answer.status == 200
    assert server.worker() == worker
    wait_for(lambda: server.get("/status").json["in_flight"] == 0, 10,
             "no request is suspended")
    wait_for(lambda: abs(procs.descriptors(worker) - before[0]) <= 2
             and abs(procs.threads(worker) - before[1]) <= 2, 20,
             "descriptors and threads as before")
    # a tenth of those that sent all of it waits for the worker
    assert scrape(server).sum("sluice_http_requests_total",
                              code="client-left") >= loops(20, 2000)
    values = {record.value for record in topics.records(topic)}
    assert values <= {b"warm", b"last", b"x" * 1000}
    assert {b"warm", b"last"} <= values
    assert server.get("/status").json["queued"] == 0


def test_clients_that_leave_while_the_broker_is_stopped(nginx, own_kafka,
                                                        own_topics):
    """The report comes when the request is long gone."""
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap)
    assert server.post("/", b"warm").status == 200
    own_kafka.pause()
    gone = []
    for number in range(200):
        connection = web.connect(server.port)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: 4\r\n\r\n%04d" % number)
        gone.append(connection)
    wait_for(lambda: server.get("/status").json["in_flight"] > 0, 5,
             "requests wait")
    for connection in gone:
        web.reset(connection)
    wait_for(lambda: server.get("/status").json["in_flight"] == 0, 10,
             "no request waits")
    own_kafka.resume()
    wait_for(lambda: server.post("/", b"last").status == 200, 20, "back")
    values = [record.value for record in own_topics.records(name)]
    assert len(values) == len(set(values))


@pytest.mark.skipif(VALGRIND, reason="\"timeout\" is too short for memcheck")
def test_reload_under_load_answers_only_2xx_and_loses_nothing(nginx, topics,
                                                              load):
    name = topics.create(partitions=4)
    server = nginx(CONF, TOPIC=name, workers=2)
    kept = load(server.port, "/", connections=6, keys=20)
    fresh = load(server.port, "/", connections=3, keys=20, keepalive=False)
    for _ in range(loops(4, 20)):
        kept.wait_ok(50)
        fresh.wait_ok(20)
        server.reload()
    kept.wait_ok(50)
    events = kept.stop() + fresh.stop()
    check_answers(fresh.events, only=("ok",))
    assert fresh.refused == 0
    answered = [event for event in events if event.status]
    check_answers(answered, only=("ok",))
    records = topics.records(name)
    check_topic(events, records)
    # a connection that nginx closes as idle while a request is on its way
    # brings no answer, but then the request was not read either
    assert {json.loads(record.value)["id"] for record in records} \
        == {event.id for event in answered}
    wait_for(lambda: len(procs.children(server.pid)) == 2, 15,
             "the old workers are gone")
    assert server.get("/status").json["requests"] >= len(answered)


def test_nothing_is_left_open_after_many_reloads(nginx, topic):
    server = nginx(CONF, TOPIC=topic)
    assert server.post("/", b"x").status == 200
    worker = server.worker()
    server.wait_prompt()
    before = procs.descriptors(worker), procs.threads(worker)
    master = procs.descriptors(server.pid)
    for _ in range(loops(4, 30)):
        server.reload(wait_old=10)
        assert server.post("/", b"x").status == 200
    worker = server.worker()
    server.wait_prompt()
    assert abs(procs.descriptors(worker) - before[0]) <= 2
    assert abs(procs.threads(worker) - before[1]) <= 2
    assert abs(procs.descriptors(server.pid) - master) <= 2


def test_reload_with_an_unreachable_broker_lets_old_workers_go(nginx, topic):
    server = nginx(CONF, TOPIC=topic, KAFKA="127.0.0.1:1")
    waiting = web.connect(server.port)
    waiting.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n"
                    b"Content-Length: 1\r\n\r\nx")
    wait_for(lambda: server.get("/status").json["in_flight"] > 0, 5,
             "it waits")
    begin = time.monotonic()
    old = server.reload()
    answer = web.read_answer(waiting.makefile("rb"))
    waiting.close()
    assert answer.status == 503
    assert answer.json["persisted"] == "no"
    procs.wait_gone(old, 8, "the old worker is gone")
    assert time.monotonic() - begin < 5 + 1


@pytest.mark.parametrize("broker", ["unreachable", "stopped"])
def test_quit_without_a_broker_ends_in_the_drain_timeout(
        nginx, own_kafka, own_topics, broker):
    conf = CONF.replace("timeout 3s;", "timeout 2s;") \
        .replace("kafka_timeout 4s;", "kafka_timeout 3s; kafka_ack queued;") \
        .replace("kafka_drain_timeout 5s;", "kafka_drain_timeout 4s;")
    name = own_topics.create()
    if broker == "unreachable":
        server = nginx(conf, TOPIC=name, KAFKA="127.0.0.1:1")
    else:
        server = nginx(conf, TOPIC=name, KAFKA=own_kafka.bootstrap)
        assert server.post("/", b"warm").status == 202
        wait_for(lambda: server.get("/status").json["queued"] == 0, 10)
        own_kafka.pause()
    assert server.post("/", b"x").status == 202
    assert server.get("/status").json["queued"] == 1
    assert server.stop(signal.SIGQUIT, 20) < 4 + 1


def test_the_drain_timeout_cuts_what_still_waits(nginx, own_kafka,
                                                 own_topics):
    """Nothing else ends a record as early."""
    conf = CONF.replace("timeout 3s;", "timeout 2s;") \
        .replace("kafka_timeout 4s;",
                 "kafka_timeout 2001ms; kafka_ack queued;") \
        .replace("kafka_drain_timeout 5s;", "kafka_drain_timeout 2002ms;")
    topic = own_topics.create()
    server = nginx(conf, TOPIC=topic, KAFKA=own_kafka.bootstrap)
    assert server.post("/", b"warm").status == 202
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10)
    own_kafka.pause()
    assert server.post("/", b"x").status == 202
    server.expect("1 records were not reported within kafka_drain_timeout")
    took = server.stop(signal.SIGQUIT, 20)
    assert 1.9 < took < bound(2.5, 4)
    assert "not reported within kafka_drain_timeout" in server.log()


def test_quit_under_load_answers_what_was_accepted(nginx, topics, load):
    name = topics.create(partitions=2)
    server = nginx(CONF, TOPIC=name, workers=2)
    one = load(server.port, "/", connections=8, keepalive=False)
    one.wait_ok(100)
    assert server.stop(signal.SIGQUIT, 20) < 6
    events = one.stop()
    answered = [event for event in events if event.status]
    check_answers(answered, only=("ok",))
    check_topic(events, topics.records(name))


def full_queue(nginx, own_kafka, own_topics, queue, location, body):
    """A server whose queue takes no such body any more."""
    topic = own_topics.create()
    conf = CONF.replace("timeout 3s;", f"timeout 60s; queue {queue};") \
        .replace("kafka_timeout 4s;", "kafka_timeout 61s; kafka_ack queued;"
                 f" client_max_body_size 2m; {location}") \
        .replace("kafka_drain_timeout 5s;", "")
    server = nginx(conf, TOPIC=topic, KAFKA=own_kafka.bootstrap)
    assert server.post("/", b"0").status == 202
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10)
    own_kafka.pause()
    wait_for(lambda: server.post("/", body).status == 503, 20,
             "the queue is full")
    return server


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_fast_stop_with_a_full_queue_takes_less_than_1500_ms(
        nginx, own_kafka, own_topics, name):
    server = full_queue(nginx, own_kafka, own_topics, "8m", "",
                        b"x" * 400000)
    assert server.stop(name, 10) < bound(1.5, 6)


def test_fast_stop_with_the_smallest_records_takes_less_than_1500_ms(
        nginx, own_kafka, own_topics):
    """The default queue holds 150,000 of them."""
    server = full_queue(nginx, own_kafka, own_topics, "64m",
                        "kafka_format ndjson; kafka_max_records 10000;"
                        " kafka_request_headers off;",
                        b'{"pad":"%090d"}\n' % 0 * 10000)
    assert server.get("/status").json["queued"] > 100000
    assert server.stop(signal.SIGTERM, 10) < bound(1.5, 6)


def test_queued_records_are_flushed_on_quit(nginx, topics, topic):
    server = nginx(CONF.replace("kafka_key     $arg_key;",
                                "kafka_ack queued;"), TOPIC=topic)
    for number in range(300):
        assert server.post("/", b"%d" % number).status == 202
    server.stop(signal.SIGQUIT, 10)
    assert topics.count(topic) == 300


@pytest.mark.parametrize("reachable", [True, False])
def test_fast_stop_under_load_takes_less_than_1500_ms(nginx, topics, load,
                                                      reachable):
    name = topics.create()
    more = {} if reachable else {"KAFKA": "127.0.0.1:1"}
    server = nginx(CONF, TOPIC=name, workers=2, **more)
    one = load(server.port, "/", connections=16)
    if reachable:
        one.wait_ok(200)
    else:
        wait_for(lambda: server.get("/status").json["in_flight"] > 0
                 or one.count() > 0, 5, "requests")
    seconds = server.stop(signal.SIGTERM, 10)
    events = one.stop()
    assert seconds < (6 if SANITIZED else 1.5)
    if reachable:
        check_topic([event for event in events
                     if event.outcome != "untruthful"],
                    topics.records(name))


@pytest.mark.parametrize("name", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crashed_worker_loses_no_200_and_is_replaced(nginx, topics, load,
                                                       name):
    topic = topics.create(partitions=2)
    server = nginx(CONF, TOPIC=topic, workers=2)
    server.expect(r"exited on signal|DEADLYSIGNAL|AddressSanitizer|shared "
                  r"memory zone|open socket|==\d+==|rdk|SUMMARY|ngx_")
    one = load(server.port, "/", connections=8, keys=5)
    for _ in range(loops(2, 20)):
        one.wait_ok(100)
        victim = server.worker()
        os.kill(victim, name)
        begin = time.monotonic()
        # the other one serves meanwhile
        assert server.post("/", b'{"id":"other"}').status == 200
        wait_for(lambda: victim not in server.workers()
                 and len(server.workers()) == 2, 20, "a new worker")
        assert time.monotonic() - begin < bound(1, 5)
    one.wait_ok(100)
    events = one.stop()
    check_topic(events, [record for record in topics.records(topic)
                         if record.value != b'{"id":"other"}'])
    status = server.get("/status").json
    assert status["workers"] == 2
    assert status["in_flight"] == 0


def test_one_process_without_a_master(nginx, topics, topic):
    server = nginx(CONF, TOPIC=topic, main="master_process off;",
                   start=False)
    server.workers = lambda: [server.pid]
    server.start()
    assert server.post("/", b"x").status == 200
    assert [record.value for record in topics.records(topic)] == [b"x"]
    server.stop(signal.SIGQUIT)


def test_without_a_producer_a_worker_has_no_thread(nginx):
    server = nginx("""
    server {
        listen 127.0.0.1:%%PORT%%;
        location / { return 200 ok; }
    }
    """)
    assert server.get("/").body == b"ok"
    assert procs.threads(server.worker()) == 1


def test_worker_affinity_does_not_bind_librdkafkas_threads(nginx, topic):
    server = nginx(CONF, TOPIC=topic, main="worker_cpu_affinity 0001;")
    assert server.post("/", b"x").status == 200
    worker = server.worker()
    assert os.sched_getaffinity(worker) == {0}
    # the module's own short-lived threads may be bound
    tasks = [task for task, name in procs.tasks(worker).items()
             if name.startswith("rdk:")]
    assert len(tasks) > 1
    assert all(len(os.sched_getaffinity(task)) == os.cpu_count()
               for task in tasks)
