"""What one topic or one record suffers stays with it: an absent topic, a
record that a broker refuses with its whole batch."""

import collections
import json
import time

import pytest
from confluent_kafka.admin import ConfigResource

from tests.lib.env import bound, loops, wait_for
from tests.lib.history import check_answers, check_topic, p99
from tests.lib.problem import assert_problem
from tests.lib.topics import Topics

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%GOOD%%;
        topic   %%OTHER%%;
    }
    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /good  {
            kafka_pass      main;
            kafka_topic     %%GOOD%%;
            kafka_key       $arg_key;
            kafka_timestamp $arg_ts;
        }
        location = /queued {
            kafka_pass  main;
            kafka_topic %%GOOD%%;
            kafka_key   $arg_key;
            kafka_ack   queued;
        }
        location = /batch {
            kafka_pass   main;
            kafka_topic  %%OTHER%%;
            kafka_format ndjson;
        }
        location = /other { kafka_pass main; kafka_topic %%OTHER%%; }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
    }
"""


def test_an_absent_topic_is_said_and_nobody_elses_trouble(nginx, topics,
                                                          load):
    good, absent = topics.create(partitions=2), topics.name()
    server = nginx(CONF, GOOD=good, OTHER=absent)
    one = load(server.port, "/good", connections=4, rate=200, keys=20)
    one.wait_ok(50)
    taken = []
    for path in ["/other"] * loops(60, 1000) + ["/batch"] * 5:
        begin = time.monotonic()
        answer = server.post(path, b"1\n2\n")
        taken.append(time.monotonic() - begin)
        assert_problem(answer, 503, "no", "topic-missing")
    one.wait_ok(50)
    events = one.stop()
    # the first waits for the topic's metadata to propagate
    assert max(taken) < bound(2, 2.9)
    assert sorted(taken)[len(taken) // 2] < 0.2
    check_answers(events, only={"ok"})
    check_topic(events, topics.records(good))
    assert "its client is replaced" not in server.log()
    # it is served as soon as it is there
    topics.create(name=absent)
    wait_for(lambda: server.post("/other", b"x").status == 200, 15, "served")


def test_a_denied_topic_is_nobody_elses_trouble(nginx, guarded_kafka, load):
    topics = Topics(guarded_kafka)
    good, denied = topics.create(partitions=2), topics.create()
    server = nginx(CONF, GOOD=good, OTHER=denied,
                   KAFKA=guarded_kafka.bootstrap)
    loads = [load(server.port, "/good", connections=8, rate=150),
             load(server.port, "/good", connections=8, rate=50, keys=20),
             load(server.port, "/queued", connections=2, rate=50, keys=20)]
    loads[0].wait_ok(50)
    other = load(server.port, "/other", connections=4, rate=20)
    loads[0].wait_ok(loops(300, 2000))
    before = p99(loads[0].events)
    # whatever else stays allowed, and so the topic is still there
    guarded_kafka.acl("--add", "--allow-principal", "All", denied)
    guarded_kafka.acl("--add", "--deny-principal", "Write", denied)
    wait_for(lambda: other.count("fail") > 5, 20, "it is denied")
    begin = time.monotonic()
    loads[0].wait_ok(loops(500, 5000), 60)
    others = other.stop()
    good_events = [event for one in loads for event in one.stop()]
    check_answers(good_events, only={"ok", "queued"})
    check_topic(good_events, topics.records(good))
    check_topic(others, topics.records(denied))
    late = [event for event in others if event.start > begin]
    assert {event.status for event in late} == {503}
    # one after the other, no answer is waited for
    assert p99(late) < bound(0.5, 1)
    through = p99([event for event in loads[0].events
                   if event.start > begin])
    assert through <= 2 * before + 0.2, (before, through)
    assert "its client is replaced" not in server.log()


def set_configs(topics, topic, **configs):
    resource = ConfigResource(
        "topic", topic,
        {name.replace("_", "."): value for name, value in configs.items()})
    topics.admin.alter_configs([resource])[resource].result(20)


# the configuration that the module has read, the one that the broker goes by
# then, and a record that only the broker refuses
REFUSED = {
    "without a key": ({}, {"cleanup_policy": "compact"}, "/good", b"{}"),
    "time": ({"message.timestamp.after.max.ms": "9223372036854775807"},
             {"message_timestamp_after_max_ms": "3600000"},
             "/good?key=bad&ts=%d", b"{}"),
    "size": ({}, {"max_message_bytes": "20000"}, "/good?key=bad",
             b"x" * 50000),
}


@pytest.mark.parametrize("path", ["/good", "/queued"])
@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_record_takes_no_other_one_along(nginx, topics, load, kind,
                                                   path):
    before, after, bad, body = REFUSED[kind]
    if "%d" in bad:
        bad %= (time.time() + 3 * 86400) * 1000
    good, other = topics.create(config=before), topics.create()
    server = nginx(CONF, GOOD=good, OTHER=other)
    # the limits are read, and will be again in a minute only
    assert server.post(bad, b'{"id":"first"}').status == 200
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    beside = load(server.port, "/other", connections=2, rate=100)
    one = load(server.port, path, connections=16, rate=1000, keys=100000)
    one.wait_ok(300)
    set_configs(topics, good, **after)
    answers = []

    def culprit():
        answers.append(server.post(bad, body))
        return answers[-1].status != 200

    wait_for(culprit, 20, "the broker refuses it")
    for _ in range(loops(30, 300)):
        answers.append(server.post(bad, body))
        assert answers[-1].status >= 400 and \
            answers[-1].json["persisted"] == "no", answers[-1]
    one.wait_ok(300)
    events = one.stop()
    others = beside.stop()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 15, "empty")
    check_answers(others, only={"ok"})
    check_topic(others, topics.records(other))
    check_answers(events, only={"ok", "queued"})
    records = [record for record in topics.records(good)
               if record.key != b"bad" and record.key is not None]
    check_topic(events, records)
    # 202 too: no record is lost for another's fault
    found = collections.Counter(json.loads(record.value)["id"]
                                for record in records)
    assert found == {event.id: 1 for event in events}
    count = sum(answer.status == 200 for answer in answers)
    assert len(topics.records(good)) == len(events) + 1 + count
