"""The broker stopped, killed, unknown: truthful answers, bounded memory."""

import collections
import re
import statistics
import threading
import time

import pytest

from tests.lib import procs, web
from tests.lib.env import SANITIZED, bound, loops, wait_for
from tests.lib.history import check_answers, check_topic
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 2s;
        queue   %%QUEUE%%;
        topic   %%TOPIC%%;
    }
    client_max_body_size 2m;
    keepalive_requests 1000000;
    client_body_buffer_size 1m;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass    main;
            kafka_topic   %%TOPIC%%;
            kafka_key     $arg_key;
            kafka_timeout 3s;
        }
        location = /queued {
            kafka_pass    main;
            kafka_topic   %%TOPIC%%;
            kafka_ack     queued;
            kafka_timeout 3s;
        }
        location = /batch {
            kafka_pass      main;
            kafka_topic     %%TOPIC%%;
            kafka_format    ndjson;
            kafka_key_field /key;
        }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
        location = /live   { kafka_live; }
    }
"""


def assert_outage(answer):
    """503 no, or 504 possibly; both with the way out."""
    if answer.status == 503:
        assert_problem(answer, 503, "no")
        assert int(answer.headers["retry-after"]) >= 1
    else:
        assert_problem(answer, 504, "possibly")


def test_a_stopped_broker_is_answered_truthfully_and_in_time(nginx, own_kafka,
                                                             own_topics):
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, QUEUE="8m")
    assert server.post("/", b"before").status == 200
    own_kafka.pause()
    begin = time.monotonic()
    answer = server.post("/", b"during")
    assert time.monotonic() - begin < 3.5
    assert_outage(answer)
    own_kafka.resume()
    begin = time.monotonic()
    wait_for(lambda: server.post("/", b"after").status == 200, 12, "back")
    assert time.monotonic() - begin < 10
    values = [record.value for record in own_topics.records(name)]
    assert values.count(b"before") == 1
    assert values.count(b"after") == 1
    assert values.count(b"during") <= (1 if answer.status == 504 else 0)


def test_known_down_is_503_at_once_and_back_afterwards(nginx, own_kafka,
                                                       own_topics, load):
    name = own_topics.create(partitions=2)
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, QUEUE="8m")
    wait_for(lambda: server.get("/ready").status == 200, 10, "ready")
    one = load(server.port, "/", connections=8, rate=200)
    one.wait_ok(50)
    own_kafka.kill()
    wait_for(lambda: server.get("/ready").status == 503, 10, "known down")
    assert server.get("/live").status == 200
    taken = []
    for _ in range(loops(1000, 10000)):
        begin = time.monotonic()
        answer = server.post("/", b'{"id":"x"}')
        taken.append(time.monotonic() - begin)
        assert_problem(answer, 503, "no")
    taken.sort()
    restart = time.monotonic()
    own_kafka.start()
    begin = time.monotonic()
    one.wait_ok(50, 15)
    assert time.monotonic() - begin < bound(2, 6)
    assert time.monotonic() - restart < bound(10, 30)
    events = one.stop()
    # a probe may wait its whole time, one each 200 ms
    assert taken[int(len(taken) * 0.99)] <= (0.3 if SANITIZED else 0.05), \
        (statistics.median(taken), taken[-5:])
    records = [record for record in own_topics.records(name)
               if record.value != b'{"id":"x"}']
    check_topic(events, records)
    wait_for(lambda: server.get("/ready").status == 200, 10, "ready again")


@pytest.mark.parametrize("seconds", loops([5], [5, 60]))
def test_a_broker_stopped_for_longer_than_the_timeout_stays_known_down(
        nginx, own_kafka, own_topics, load, seconds):
    """No new client begins as if brokers were up."""
    name = own_topics.create(partitions=2)
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, QUEUE="8m")
    one = load(server.port, "/", connections=20, rate=200)
    one.wait_ok(50)
    own_kafka.pause()
    begin = time.monotonic()
    wait_for(lambda: "its client is replaced" in server.log(), 10, "the first is over")
    known = time.monotonic()
    wait_for(lambda: time.monotonic() > begin + seconds, seconds + 5,
             pause=0.1)
    assert server.get("/ready").status == 503
    end = time.monotonic()
    own_kafka.resume()
    begin = time.monotonic()
    one.wait_ok(50, 30)
    assert time.monotonic() - begin < bound(2, 6)
    events = one.stop()
    # those that were let through before have ended
    taken = sorted(event.end - event.start for event in events
                   if known + 0.6 < event.start < end)
    # a probe each 200 ms waits for its record
    probes = sum(one > 0.5 for one in taken)
    assert probes <= (end - known) * 5 + 1
    taken = taken[:len(taken) - probes]
    assert len(taken) > bound(500, 100)
    # one moment in which the machine does something else touches all 20
    # connections: of a few hundred answers that is more than a hundredth
    rank = bound(0.99, 0.9)
    assert taken[int(len(taken) * rank)] <= bound(0.05, 0.3), taken[-50:]
    check_topic(events, own_topics.records(name))


@pytest.mark.parametrize("path, more", [
    ("/", {}), ("/batch", {"batch": 25, "rate": 200})])
def test_a_broker_killed_under_load_loses_and_doubles_nothing(
        nginx, own_kafka, own_topics, load, path, more):
    """A batch lies in all partitions, and may be kept in some of them."""
    name = own_topics.create(partitions=4)
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, QUEUE="8m",
                   workers=2)
    one = load(server.port, path, connections=16, keys=10, **more)
    for _ in range(loops(1, 10)):
        one.wait_ok(300, 40)
        own_kafka.kill()
        own_kafka.start()
    one.wait_ok(300, 40)
    events = one.stop()
    check_topic(events, own_topics.records(name))
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "empty")
    assert server.get("/status").json["in_flight"] == 0


def test_before_the_first_connection_requests_wait(nginx, own_kafka,
                                                   own_topics):
    """A worker that has just begun must not answer 503."""
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, QUEUE="8m",
                   workers=2)
    for _ in range(loops(5, 30)):
        server.reload()
        assert server.post("/", b"x").status == 200


def test_never_reachable_is_503_in_time(nginx, topic):
    server = nginx(CONF, TOPIC=topic, KAFKA="127.0.0.1:1", QUEUE="8m")
    begin = time.monotonic()
    assert_problem(server.post("/", b"x"), 503, "no")
    assert time.monotonic() - begin < 3.5


def test_debug_does_not_hide_what_is_wrong(nginx, topic):
    conf = CONF.replace("queue   %%QUEUE%%;", "property debug all;")
    server = nginx(conf, TOPIC=topic, KAFKA="127.0.0.1:1")
    # more lines than a second may have come before
    wait_for(lambda: re.search(r"\[error\].* Connection refused", server.log()),
             5, "the refusal")
    wait_for(lambda: "more lines of librdkafka" in server.log(), 5, "the rest")


@pytest.mark.parametrize("size", [100, 100000])
def test_the_queue_bounds_memory_while_the_broker_is_stopped(
        nginx, own_kafka, own_topics, size):
    name = own_topics.create()
    bound = 16 * 1024 * 1024
    server = nginx(CONF.replace("timeout 2s;", "timeout 60s;")
                   .replace("kafka_timeout 3s;", "kafka_timeout 61s;"),
                   TOPIC=name, KAFKA=own_kafka.bootstrap, QUEUE="16m")
    for _ in range(20):
        assert server.post("/queued", b"x" * size).status == 202
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "idle")
    worker = server.worker()
    idle = procs.rss(worker)
    own_kafka.pause()
    try:
        statuses = post_many(server.port, "/queued", b"x" * size,
                             2 * bound // (size + 320) + 200)
        assert statuses[202] * (size + 320) <= bound
        # the bound is used, not much less
        assert statuses[202] * (size + 320) >= bound * 0.7 \
            or statuses[503] > 0
        assert statuses[503] > 0
        assert set(statuses) == {202, 503}
        if not SANITIZED:
            grown = procs.peak_rss(worker) - idle
            assert grown <= bound * 1.2, f"{grown / bound:.2f} of the queue"
        answer = server.post("/", b"x" * size)
        problem = assert_problem(answer, 503, "no")
        assert problem
    finally:
        own_kafka.resume()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 30, "drained")
    wait_for(lambda: server.post("/", b"last").status == 200, 20, "back")
    values = own_topics.count(name)
    assert values == 20 + statuses[202] + 1


def post_many(port, path, body, count):
    """Pipelined on one connection; how often each status came.  Ends when
    100 were refused."""
    statuses = collections.Counter()
    step = max(1, min(200, 1000000 // len(body)))
    one = (b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
           % (path.encode(), len(body)) + body)
    with web.connect(port) as connection:
        file = connection.makefile("rb")
        while count > 0 and statuses[503] < 100:
            sender = threading.Thread(target=connection.sendall,
                                      args=(one * step,))
            sender.start()
            for _ in range(step):
                statuses[web.read_answer(file).status] += 1
            sender.join()
            count -= step
    return statuses


def test_queue_full_says_so(nginx, own_kafka, own_topics):
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, QUEUE="1m")
    assert server.post("/", b"x").status == 200
    own_kafka.pause()
    try:
        statuses = [server.post("/queued", b"x" * 400000)
                    for _ in range(4)]
        assert [answer.status for answer in statuses[:2]] == [202, 202]
        assert_problem(statuses[3], 503, "no", "queue-full")
        assert "[queue-full]" in server.log()
    finally:
        own_kafka.resume()


def test_a_worker_never_blocks_while_the_broker_is_away(nginx, own_kafka,
                                                        own_topics):
    """Other requests of the same worker are answered in the meantime."""
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, QUEUE="8m")
    assert server.post("/", b"x").status == 200
    own_kafka.pause()
    waiting = []
    slowest = 0.0
    for _ in range(40):
        connection = web.connect(server.port)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: 1\r\n\r\nx")
        waiting.append(connection)
        begin = time.monotonic()
        assert server.get("/live").status == 200
        slowest = max(slowest, time.monotonic() - begin)
    for connection in waiting:
        answer = web.read_answer(connection.makefile("rb"))
        assert_outage(answer)
        connection.close()
    assert slowest < 0.1
    own_kafka.resume()


def test_a_topic_deleted_under_load_is_answered_in_time(nginx, topics):
    name = topics.create()
    server = nginx(CONF, TOPIC=name, QUEUE="8m")
    assert server.post("/", b"x").status == 200
    topics.delete(name)
    begin = time.monotonic()
    answer = server.post("/", b"y")
    assert time.monotonic() - begin < 3.5
    assert_outage(answer)
    topics.create(name=name)
    wait_for(lambda: server.post("/", b"z").status == 200, 20, "back")
    assert topics.records(name)[-1].value == b"z"


def test_answers_are_counted_as_failed(nginx, topic):
    server = nginx(CONF, TOPIC=topic, KAFKA="127.0.0.1:1", QUEUE="8m")
    answers = [server.post("/", b"x") for _ in range(2)]
    assert [answer.status for answer in answers] == [503] * 2
    status = server.get("/status").json
    assert status["requests"] == 2
    assert status["failed"] == 2
    assert status["acked"] == 0
    assert status["queued"] == 0


def test_every_answer_during_pauses_is_truthful(nginx, own_kafka, own_topics,
                                                load):
    name = own_topics.create(partitions=3)
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, QUEUE="1m",
                   workers=2)
    one = load(server.port, "/", connections=32, keys=7)
    for _ in range(loops(1, 6)):
        one.wait_ok(200, 40)
        own_kafka.pause()
        failures = one.count("fail") + one.count("maybe")
        wait_for(lambda: one.count("fail") + one.count("maybe")
                 > failures + 20, 20, "refusals")
        own_kafka.resume()
    one.wait_ok(200, 40)
    events = one.stop()
    check_answers(events)
    check_topic(events, own_topics.records(name))
