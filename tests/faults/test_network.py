"""The network between nginx and the broker: lossy, slow, cut, silent."""

import shutil
import time

import pytest

from tests.lib.env import bound, free_port, loops, wait_for
from tests.lib.history import check_answers, check_topic
from tests.lib.network import FarKafka
from tests.lib.problem import assert_problem
from tests.lib.topics import Topics

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 4s;
        topic   %%TOPIC%%;
    }
    client_body_buffer_size 256k;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_key   $arg_key;
        }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
    }
"""


@pytest.fixture(scope="module")
def broker(network, run_directory):
    made = FarKafka(network, run_directory / "kafka-far", free_port())
    try:
        yield made.start()
    finally:
        made.stop()
        shutil.rmtree(made.directory, ignore_errors=True)


@pytest.fixture
def far_topics(broker):
    made = Topics(broker)
    yield made
    made.clean()


@pytest.fixture
def served(nginx, broker, far_topics, load):
    """nginx, its topic, and load that has begun."""
    name = far_topics.create(partitions=3)
    server = nginx(CONF, TOPIC=name, KAFKA=broker.bootstrap, workers=2)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    one = load(server.port, "/", connections=12, keys=9, rate=300)
    one.wait_ok(50)
    return server, one, name


def during(one, seconds):
    """Lets the load run; a fault has its time."""
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end, seconds + 5, pause=0.1)


def back(server, one, seconds):
    """How long it took until records were kept again."""
    begin = time.monotonic()
    one.wait_ok(30, 60)
    took = time.monotonic() - begin
    assert took < seconds, took
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready again")


def settled(server, one, topics, name):
    events = one.stop()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 20, "empty")
    check_topic(events, [record for record in topics.records(name)
                         if record.value != b'{"id":"probe"}'])
    return events


def test_a_twentieth_of_all_packets_lost(network, served, far_topics):
    server, one, name = served
    with network.rule("tcp dport != 0 numgen random mod 100 < 5 drop"):
        for _ in range(loops(1, 20)):
            one.wait_ok(100, 60)
            during(one, 1)
    back(server, one, 10)
    settled(server, one, far_topics, name)


def test_connections_reset(network, served, far_topics):
    server, one, name = served
    for _ in range(loops(1, 10)):
        with network.rule("meta l4proto tcp reject with tcp reset",
                          ["input"]):
            wait_for(lambda: server.get("/ready").status == 503, 20,
                     "known down")
            # without a connection nothing waits; one may be let through
            # until that is known
            answers = [server.post("/", b'{"id":"probe"}').json
                       for _ in range(50)]
            assert sum(answer["type"].endswith("brokers-down")
                       and answer["persisted"] == "no"
                       for answer in answers) >= 47
        back(server, one, 4)
    settled(server, one, far_topics, name)


def test_silence(network, served, far_topics):
    """Half-open: no packet passes, no end of a connection is heard."""
    server, one, name = served
    for seconds in loops([5], [2, 6, 20, 60]):
        with network.rule("drop"):
            during(one, seconds)
        back(server, one, 10)
    settled(server, one, far_topics, name)


def test_connections_cut(network, served, far_topics):
    server, one, name = served
    cut = 0
    for _ in range(loops(5, 100)):
        one.wait_ok(40)
        cut += network.cut()
    assert cut > 0
    back(server, one, 4)
    settled(server, one, far_topics, name)


def test_a_slow_network_sheds_and_keeps_what_it_takes(nginx, network, broker,
                                                      far_topics, load):
    """Records come three times as fast as they drain.  Without a limit by
    latency the queue of 64 MiB would wait far beyond their time-out."""
    name = far_topics.create(partitions=3)
    server = nginx(CONF, TOPIC=name, KAFKA=broker.bootstrap)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    with network.slow("32mbit"):
        one = load(server.port, "/", connections=700, size=60000, rate=400)
        wait_for(lambda: one.count("fail") > 100, 60, "some are shed")
        answers = []
        wait_for(lambda: answers.append(server.post("/", b'{"id":"probe"}'))
                 or answers[-1].status == 503, 20, "shed")
        assert_problem(answers[-1], 503, "no", "overloaded")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 4
        assert server.get("/ready").status == 503
        during(one, loops(4, 30))
        one.wait_ok(50)
        events = one.stop()
    settled(server, one, far_topics, name)
    # what was taken was kept in time: nothing ran into its time-out
    check_answers(events, only=("ok", "fail"))
    slowest = max(event.end - event.start for event in events
                  if event.outcome == "ok")
    assert slowest < bound(4, 5), slowest
    refused = [event.end - event.start for event in events
               if event.outcome == "fail"]
    assert sorted(refused)[len(refused) // 2] < 0.1
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready again")


def test_a_sudden_overload_is_kept_in_time_by_a_queue_that_fits(
        nginx, network, broker, far_topics):
    """Eight times what drains, from the first moment: before its rate is
    known the default queue holds more than drains in time."""
    name = far_topics.create(partitions=3)
    conf = CONF.replace("timeout 4s;", "timeout 4s; queue 8m;") \
        .replace("kafka_key   $arg_key;",
                 "kafka_ack queued; kafka_format ndjson;") \
        .replace("body_buffer_size 256k", "max_body_size 1m")
    server = nginx(conf, TOPIC=name, KAFKA=broker.bootstrap)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    body = (b'"' + b"x" * 60000 + b'"\n') * 10
    statuses = []
    with network.slow("32mbit"):
        begin = time.monotonic()
        while time.monotonic() < begin + loops(6, 30):
            if len(statuses) * len(body) < (time.monotonic() - begin) * 32e6:
                statuses.append(server.post("/", body).status)
            else:
                time.sleep(0.002)
        wait_for(lambda: server.get("/status").json["queued"] == 0, 20,
                 "empty")
    assert set(statuses) == {202, 503}
    assert statuses.count(503) > len(statuses) / 2
    assert "its client is replaced" not in server.log()
    assert far_topics.count(name) == 10 * statuses.count(202)


@pytest.mark.parametrize("rate, code, least, most", loops(
    [("4mbit", "queue-full", 2, 6)],
    [("4mbit", "queue-full", 2, 6), ("2mbit", "overloaded", 7, 14)]))
def test_a_full_queue_says_when_there_is_room(nginx, network, broker,
                                              far_topics, rate, code, least,
                                              most):
    """Half a megabyte a second drains, or a quarter, and four may wait, or
    what drains in half of "timeout"."""
    name = far_topics.create()
    conf = CONF.replace("timeout 4s;", "timeout 20s; queue 4m;"
                        " property batch.size 100000;") \
        .replace("kafka_key   $arg_key;", "kafka_ack queued;")
    server = nginx(conf, TOPIC=name, KAFKA=broker.bootstrap)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    with network.slow(rate):
        answers = []
        end = time.monotonic() + 15
        # as fast as it drains, and faster: the rate is known by then
        while time.monotonic() < end:
            answers.append(server.post("/", b"x" * 100000))
            if answers[-1].status == 503 and time.monotonic() > end - 10:
                break
        assert_problem(answers[-1], 503, "no", code)
        wait = int(answers[-1].headers["retry-after"])
        # half of it at that rate, which is measured
        assert least <= wait <= most, wait
        begin = time.monotonic()
        wait_for(lambda: time.monotonic() > begin + wait, wait + 5)
        # what was taken before the rate was known may be too old by then
        answers.append(server.post("/", b"x" * 100000))
        assert answers[-1].status == 202 or code == "overloaded"
    taken = sum(answer.status == 202 for answer in answers)
    wait_for(lambda: server.get("/status").json["queued"] == 0, 30, "empty")
    assert far_topics.count(name) == taken
