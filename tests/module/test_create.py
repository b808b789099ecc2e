"""topic ... create: made as declared, by one worker, before any handle."""

import re
import subprocess
import threading
import time

from tests.lib.env import BUILD, loops, wait_for
from tests.lib.history import check_topic

CREATE = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%% partitions=%%COUNT%% replication=1 create;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /ready { kafka_ready; }
        location = /status { kafka_status json; }
    }
"""

SLOW = """
    kafka_producer main {
        brokers  %%KAFKA%%;
        timeout  1s;
        property linger.ms 400;
        topic    %%TOPIC%% partitions=1 replication=1 create;
        topic    %%OTHER%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_timeout 20s;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /queued {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_ack   queued;
        }
        location = /other {
            kafka_pass  main;
            kafka_topic %%OTHER%%;
        }
        location = /status { kafka_status json; }
    }
"""

NO_CREATE = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 1s;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass    main;
            kafka_topic   %%TOPIC%%;
            kafka_timeout 2s;
        }
    }
"""


def test_an_absent_topic_is_made_with_the_declared_partitions(nginx, topics):
    name = topics.name()
    server = nginx(CREATE, TOPIC=name, COUNT=5, workers=4)
    assert server.post("/", b"first").status == 200
    assert topics.partitions(name) == 5
    for number in range(20):
        assert server.post("/", b"%d" % number).status == 200
    assert topics.count(name) == 21


def test_an_existing_topic_is_left_as_it_is(nginx, topics):
    name = topics.create(partitions=3)
    topics.produce(name, [b"old"])
    server = nginx(CREATE, TOPIC=name, COUNT=3, workers=3)
    assert server.post("/", b"new").status == 200
    assert topics.partitions(name) == 3
    assert {record.value for record in topics.records(name)} \
        == {b"old", b"new"}
    assert "[error]" not in server.log()


def test_fewer_partitions_than_declared_is_said(nginx, topics):
    name = topics.create(partitions=2)
    server = nginx(CREATE, TOPIC=name, COUNT=6)
    wait_for(lambda: name in server.log() and "partitions" in server.log(),
             10, "an error in the log")
    assert topics.partitions(name) == 2
    wait_for(lambda: server.get("/ready").status == 503, 5, "not ready")


def test_what_a_broker_says_is_one_line_of_the_log(nginx, topics):
    """It refuses three replicas; its words may be anybody's."""
    words = "no\n2026/11/30 [crit] forged\x1b[31m\x7f\u009b\udcff \u00fc\r\n"
    server = nginx(CREATE.replace("replication=1", "replication=3"),
                   TOPIC=topics.name(), COUNT=1, env={"SLUICE_SAID": words},
                   preload=[BUILD / "test" / "faults.so"])
    line = wait_for(lambda: re.search(r"\[error\].* could not create topic .*",
                                      server.log()), 20, "the refusal")
    assert line[0].endswith(
        ': no 2026/11/30 [crit] forged?[31m???? \u00fc; lower "replication" or '
        "start more brokers")


def test_partitions_that_were_added_are_seen(nginx, topics):
    name = topics.create(partitions=2)
    server = nginx(CREATE, TOPIC=name, COUNT=4)
    wait_for(lambda: "partitions" in server.get("/ready").json.get(
        "reason", ""), 10, "too few")
    topics.add_partitions(name, 4)
    wait_for(lambda: server.get("/ready").status == 200, 15, "ready")
    assert server.log().count("fewer than the 4 declared") == 1


def test_a_broker_of_more_than_a_thousand_partitions(nginx):
    """More than the members that a JSON object may have.  Of a mock cluster,
    as a broker takes long to make them."""
    with subprocess.Popen([BUILD / "test/mock", "many", "1100"], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as mock:
        server = nginx(CREATE.replace("create", ""), TOPIC="many", COUNT=1100,
                       KAFKA=mock.stdout.readline().strip())
        assert server.post("/", b"x").status == 200
        wait_for(lambda: server.get("/ready").status == 200, 10, "ready")
        brokers = wait_for(lambda: server.get("/status").json["producers"][0][
            "brokers"], 10, "the broker")
        assert [broker["up"] for broker in brokers] == [1]
        assert "fewer than" not in server.log()
        server.stop()
        mock.stdin.close()


def test_a_long_creation_makes_nobody_late(nginx, own_kafka, own_topics):
    """The broker stands still for longer than "timeout" before it makes the
    topic: what waits for it is tried for all of "timeout" then."""
    name, other = own_topics.name(), own_topics.create()
    own_kafka.pause()
    server = nginx(SLOW, TOPIC=name, OTHER=other, KAFKA=own_kafka.bootstrap)
    answers = []
    clients = [threading.Thread(target=lambda: answers.append(
        server.post("/", b"waited", timeout=30))) for _ in range(3)]
    for client in clients:
        client.start()
    wait_for(lambda: server.get("/status").json["in_flight"] == 3, 10,
             "records wait")
    end = time.monotonic() + 2
    wait_for(lambda: time.monotonic() > end, 5, "twice the time-out")
    own_kafka.resume()
    for client in clients:
        client.join()
    assert [answer.status for answer in answers] == [200] * 3, answers
    assert server.post("/other", b"x").status == 200
    rebuilds = server.get("/status").json["producers"][0]["rebuilds"]
    assert rebuilds["timeout"] == 0
    assert [record.value for record in own_topics.records(name)] \
        == [b"waited"] * 3


def test_a_topic_that_is_not_created_is_not_made_by_the_way(nginx, topics):
    name = topics.name()
    server = nginx(NO_CREATE, TOPIC=name)
    begin = time.monotonic()
    answer = server.post("/", b"x")
    assert answer.status == 503
    assert answer.json["persisted"] == "no"
    assert time.monotonic() - begin < 4
    assert topics.partitions(name) == 0


def test_a_broker_that_auto_creates_makes_none_for_us(nginx, own_kafka,
                                                       own_topics):
    """The broker's own default count would be 1."""
    name = own_topics.name()
    server = nginx(CREATE, TOPIC=name, COUNT=7, workers=4,
                   KAFKA=own_kafka.bootstrap)
    assert server.post("/", b"x").status == 200
    assert own_topics.partitions(name) == 7


def test_the_first_records_of_a_fresh_topic_are_all_kept(nginx, topics, load):
    """Its partitions refuse records for a moment after they were made, and
    a broker without a producer's state takes any sequence number: what
    then comes back as a success without an offset may not be kept."""
    name = topics.name()
    server = nginx(CREATE, TOPIC=name, COUNT=4, workers=2)
    for _ in range(loops(5, 100)):
        one = load(server.port, "/", connections=24)
        one.wait_ok(50)
        events = one.stop()
        check_topic(events, topics.records(name))
        name = topics.name()
        server.write(CREATE, TOPIC=name)
        server.reload(wait_old=10)
