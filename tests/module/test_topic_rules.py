"""What a topic takes beside sizes: keys where it is compacted, timestamps
within its bounds.  A record that it does not take is refused alone."""

import json
import os
import time

import pytest
from confluent_kafka.admin import ConfigResource

from tests.lib.env import wait_for
from tests.lib.problem import assert_problem
from tests.lib.topics import Topics

HOUR = 3600_000
DAY = 24 * HOUR
OLD_KAFKA = os.environ.get("KAFKA_VERSION", "").startswith("3.")

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
        topic   %%DEAD%%;
        topic   %%OTHER%%;
    }
    kafka_request_headers off;
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic     %%TOPIC%%;
        kafka_timestamp $arg_ts;
        location = /key    { kafka_key $arg_key; kafka_pass main; }
        location = /queued {
            kafka_key  $arg_key;
            kafka_pass main;
            kafka_ack  queued;
        }
        location = /lines {
            kafka_key    $arg_key;
            kafka_pass   main;
            kafka_format ndjson;
        }
        location = /events {
            kafka_pass   main;
            kafka_format cloudevents;
        }
        location = /pixel {
            kafka_key    $arg_key;
            kafka_pass   main;
            kafka_body   '{"n":1}';
        }
        location = /dead {
            kafka_key     $arg_key;
            kafka_pass    main;
            kafka_format  ndjson;
            kafka_invalid dead_letter %%DEAD%%;
        }
        location = /dead-too {
            kafka_key     $arg_key;
            kafka_topic   %%OTHER%%;
            kafka_pass    main;
            kafka_format  ndjson;
            kafka_invalid dead_letter %%TOPIC%%;
        }
        location = /other  { kafka_topic %%OTHER%%; kafka_pass main; }
        location = /status { kafka_status json; }
    }
"""

COMPACTED = {"cleanup.policy": "compact"}
LENIENT = {"Prefer": "handling=lenient"}
BATCHED = {"Content-Type": "application/cloudevents-batch+json"}


def now():
    return int(time.time() * 1000)


def configure(topics, topic, **config):
    resource = ConfigResource(
        "topic", topic,
        {name.replace("_", "."): value for name, value in config.items()})
    topics.admin.alter_configs([resource])[resource].result(20)


def counts(server, topic):
    return next(entry for producer in server.get("/status").json["producers"]
                for entry in producer["topics"] if entry["name"] == topic)


@pytest.fixture
def serve(nginx, topics):
    """nginx with a topic of that configuration, which it has read."""
    def make(config, dead=None, **more):
        names = {"TOPIC": topics.create(config=config),
                 "DEAD": topics.create(config=dead),
                 "OTHER": topics.create()}
        server = nginx(CONF, **names, **more)
        server.topic, server.dead = names["TOPIC"], names["DEAD"]
        server.other = names["OTHER"]
        wait_for(lambda: all(counts(server, name)["max_message_bytes"]
                             for name in names.values()), 20,
                 "the topics' configurations are read")
        return server

    return make


def assert_final(answer, status, code):
    """Not kept, and to be sent again in vain."""
    problem = assert_problem(answer, status, "no", code)
    assert "retry-after" not in answer.headers
    return problem


def never_handed_over(server):
    """The broker saw none that it refused."""
    of_topic = counts(server, server.topic)
    return of_topic["not_kept"] == of_topic["maybe_kept"] == 0


# a topic, and beside a good load with ?key=x what one client sends
CULPRITS = {
    "no key": (COMPACTED, lambda: "", 422, "no-key"),
    "far ahead": ({"message.timestamp.after.max.ms": str(HOUR)},
                  lambda: f"key=c&ts={now() + 3 * DAY}", 400,
                  "bad-timestamp"),
    "long ago": ({"message.timestamp.before.max.ms": str(HOUR)},
                 lambda: f"key=c&ts={now() - 3 * DAY}", 400, "bad-timestamp"),
}


@pytest.mark.parametrize("culprit", CULPRITS)
@pytest.mark.parametrize("path", ["/key", "/queued"])
def test_others_do_not_suffer(serve, topics, load, culprit, path):
    """Ten bad ones a second beside a steady good load."""
    config, arguments, status, code = CULPRITS[culprit]
    server = serve(config, workers=2)
    good = load(server.port, path, connections=8, keys=5, rate=400)
    good.wait_ok(100)
    for _ in range(30):
        begin = time.monotonic()
        assert_final(server.post(f"{path}?{arguments()}", b"culprit"), status,
                     code)
        time.sleep(max(0, begin + 0.1 - time.monotonic()))
    events = good.stop()
    assert {event.outcome for event in events} \
        == {"ok" if path == "/key" else "queued"}
    wait_for(lambda: topics.count(server.topic) == len(events), 20,
             "all good records are kept")
    assert sorted(record.value for record in topics.records(server.topic)) \
        == sorted(event.body for event in events)
    assert never_handed_over(server)
    assert counts(server, server.topic)["requests"][code] == 30


def test_a_key_is_due_in_each_form_of_a_request(serve, topics):
    server = serve(COMPACTED)
    for path in ("/key", "/key?key=", "/queued", "/pixel"):
        assert_final(server.post(path, b"x"), 422, "no-key")
        assert_final(server.request("PUT", path, b"x"), 422, "no-key")
    assert_final(server.get("/pixel"), 422, "no-key")
    problem = assert_final(server.post("/lines", b"1\n2\n"), 422, "no-key")
    assert [result["index"] for result in problem["results"]] == [0, 1]
    assert_final(server.post("/lines", b"1\n2\n", LENIENT), 422, "no-key")
    # an empty key is none, and anything else is one
    assert server.post("/key?key=0", b"x").status == 200
    assert server.get("/pixel?key=x").status == 200
    assert server.post("/lines?key=x", b"1\n2\n").status == 200
    assert topics.count(server.topic) == 4
    assert never_handed_over(server)


def event(number, **more):
    return {"specversion": "1.0", "id": str(number), "source": "/t",
            "type": "t", **more}


def test_a_batch_with_and_without_keys(serve, topics):
    server = serve(COMPACTED)
    body = json.dumps([event(1, partitionkey="a"), event(2),
                       event(3, partitionkey="c")]).encode()
    problem = assert_final(server.post("/events", body, BATCHED), 422,
                           "no-key")
    assert [result["index"] for result in problem["results"]] == [1]
    assert topics.count(server.topic) == 0
    answer = server.post("/events", body, {**BATCHED, **LENIENT})
    assert answer.status == 207
    first, second, third = answer.json["results"]
    assert first["status"] == third["status"] == 200
    assert second["status"] == 422 and second["persisted"] == "no"
    assert second["type"].endswith("no-key")
    assert [record.key for record in topics.records(server.topic)] \
        == [b"a", b"c"]
    # a structured and a binary event
    assert_final(server.post(
        "/events", json.dumps(event(4)).encode(),
        {"Content-Type": "application/cloudevents+json"}), 422, "no-key")
    binary = {f"ce-{name}": value for name, value in event(5).items()}
    assert_final(server.post("/events", b"x", binary), 422, "no-key")
    assert server.post("/events", b"x",
                       {**binary, "ce-partitionkey": "k"}).status == 200
    assert never_handed_over(server)


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_a_dead_letter_of_a_record_without_a_key(serve, topics, policy):
    server = serve({"cleanup.policy": policy})
    answer = server.post("/dead", b"1\n")
    assert answer.status == 200
    assert answer.json["results"][0]["topic"] == server.dead
    dead, = topics.records(server.dead)
    assert dead.value == b"1"
    assert dict(dead.headers)["sluice-error"] == b"no-key"


def test_a_dead_letter_that_is_not_taken_either(serve, topics):
    """The dead letters' topic is compacted, or takes none so large."""
    server = serve(COMPACTED)
    body = b'1\nno json\n3\n'
    problem = assert_final(server.post("/dead-too", body), 400, "not-json")
    assert [result["index"] for result in problem["results"]] == [1]
    answer = server.post("/dead-too", body, LENIENT)
    assert [result["status"] for result in answer.json["results"]] \
        == [200, 400, 200]
    assert topics.count(server.other) == 2
    answer = server.post("/dead-too?key=k", body)
    assert answer.status == 200
    assert answer.json["results"][1]["topic"] == server.topic
    assert [record.value for record in topics.records(server.topic)] \
        == [b"no json"]


def test_a_dead_letter_that_is_too_large_there(serve, topics):
    server = serve({"max.message.bytes": "5000", **COMPACTED})
    body = b"1\n" + b"x" * 6000 + b"\n"
    assert_final(server.post("/dead-too?key=k", body), 400, "not-json")
    answer = server.post("/dead-too?key=k", body, LENIENT)
    assert [result["status"] for result in answer.json["results"]] \
        == [200, 400]


def test_timestamps_at_their_bounds(serve, topics):
    server = serve({"message.timestamp.before.max.ms": str(DAY),
                    "message.timestamp.after.max.ms": str(HOUR)})
    for ts in (now() - DAY - 60_000, now() + HOUR + 60_000, 1):
        for path in ("/key", "/queued", "/pixel", "/lines"):
            problem = assert_final(server.post(f"{path}?ts={ts}", b"1"), 400,
                                   "bad-timestamp")
            assert str(ts) in str(problem)
    for ts in (now() - DAY + 60_000, now() + HOUR - 60_000, ""):
        assert server.post(f"/key?ts={ts}", b"1").status == 200
    assert topics.count(server.topic) == 3
    assert never_handed_over(server)
    # near a bound the broker decides
    answers = [server.post(f"/key?ts={now() + HOUR + more}", b"1")
               for more in range(-2000, 2001, 500)]
    for answer in answers:
        assert answer.status == 200 \
            or assert_final(answer, 400, "bad-timestamp")
    assert [answer.status for answer in answers].count(200) in range(1, 9)
    assert topics.count(server.topic) \
        == 3 + [answer.status for answer in answers].count(200)


@pytest.mark.skipif(not OLD_KAFKA, reason="Kafka 4 has no such setting")
def test_timestamps_by_their_difference(serve):
    """Kafka 3: it bounds both sides where they have no bound of their own."""
    server = serve({"message.timestamp.difference.max.ms": str(DAY),
                    "message.timestamp.after.max.ms": str(HOUR)})
    for far in (-DAY - 60_000, HOUR + 60_000):
        assert_final(server.post(f"/key?ts={now() + far}", b"1"), 400,
                     "bad-timestamp")
    assert server.post(f"/key?ts={now() - DAY + 60_000}", b"1").status == 200
    assert never_handed_over(server)


def test_the_broker_sets_the_time(serve, topics):
    server = serve({"message.timestamp.type": "LogAppendTime",
                    "message.timestamp.after.max.ms": str(HOUR)})
    answer = server.post(f"/key?ts={now() + 3 * DAY}", b"1")
    assert answer.status == 200
    assert abs(answer.json["timestamp"] - now()) < 60_000
    # but it has to be a time
    assert_final(server.post("/key?ts=yesterday", b"1"), 400,
                 "bad-timestamp")


@pytest.mark.parametrize("when", ["yesterday", "in three days"])
def test_a_dead_letter_of_a_bad_time_has_another(serve, topics, when):
    ts = when if when == "yesterday" else now() + 3 * DAY
    server = serve({"message.timestamp.after.max.ms": str(HOUR)},
                   dead={"message.timestamp.after.max.ms": str(HOUR)})
    answer = server.post(f"/dead?ts={ts}", b"1\nno json\n")
    assert answer.status == 200
    assert {result["topic"] for result in answer.json["results"]} \
        == {server.dead}
    dead = topics.records(server.dead)
    assert [dict(record.headers)["sluice-error"] for record in dead] \
        == [b"bad-timestamp", b"not-json"]
    assert all(abs(record.timestamp - now()) < 60_000 for record in dead)
    assert_final(server.post(f"/lines?ts={ts}", b"1\n", LENIENT), 400,
                 "bad-timestamp")


CHANGES = {
    "a key is due": (COMPACTED, lambda: "", 422, "no-key"),
    "times are bounded": ({"message.timestamp.before.max.ms": str(HOUR)},
                          lambda: f"key=c&ts={now() - 3 * DAY}", 400,
                          "bad-timestamp"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_first_refusal_is_the_last_of_the_broker(serve, topics, change):
    """The configuration changes while nginx runs; a reload takes it back."""
    config, arguments, status, code = CHANGES[change]
    server = serve({}, workers=2)
    assert server.post(f"/key?{arguments()}", b"before").status == 200
    configure(topics, server.topic, **config)

    def refused():
        answer = server.post(f"/key?{arguments()}", b"after")
        assert answer.status in (200, status), answer
        return answer.status == status \
            and answer.json["type"].endswith(code) \
            and "takes" in answer.json["detail"]
    wait_for(refused, 20, "the module refuses it itself")

    before = counts(server, server.topic)
    for path in ("/key", "/queued") * 5:
        assert_final(server.post(f"{path}?{arguments()}", b"x"), status, code)
        assert server.post(f"{path}?key=x", b"good").status in (200, 202)
    after = counts(server, server.topic)
    assert after["not_kept"] == before["not_kept"]
    wait_for(lambda: [record.value for record
                      in topics.records(server.topic)].count(b"good") == 10,
             20, "the good ones are kept")

    configure(topics, server.topic)
    server.reload(wait_old=20)
    wait_for(lambda: server.post(f"/key?{arguments()}", b"x").status == 200,
             20, "the new configuration is read")


def test_rules_that_may_not_be_read(nginx, guarded_kafka):
    """Only the broker knows, and says it of each."""
    topics = Topics(guarded_kafka)
    names = {"TOPIC": topics.create(config={
                 "message.timestamp.after.max.ms": str(HOUR), **COMPACTED}),
             "DEAD": topics.create(), "OTHER": topics.create()}
    guarded_kafka.acl("--add", "--allow-principal", "All",
                      names["TOPIC"])
    guarded_kafka.acl("--add", "--deny-principal", "DescribeConfigs",
                      names["TOPIC"])
    server = nginx(CONF, KAFKA=guarded_kafka.bootstrap, **names)
    wait_for(lambda: "could not read the configuration of topic "
             f'"{names["TOPIC"]}"' in server.log(), 20, "it says so")
    wait_for(lambda: server.post("/key?key=k", b"1").status == 200, 20,
             "it serves")
    ahead = f"key=c&ts={now() + 3 * DAY}"
    for _ in range(3):
        assert_final(server.post("/key", b"x"), 422, "no-key")
        assert_final(server.post(f"/key?{ahead}", b"x"), 400,
                     "bad-timestamp")
    # in a batch, the one at fault alone
    body = json.dumps([event(1, partitionkey="a"), event(2),
                       event(3, partitionkey="c")]).encode()
    answer = server.post("/events", body, {**BATCHED, **LENIENT})
    assert [result["status"] for result in answer.json["results"]] \
        == [200, 422, 200]
    assert answer.json["results"][1]["type"].endswith("no-key")
    answer = server.post("/events", body, BATCHED)
    assert_problem(answer, 504, "possibly")
    assert [result["persisted"] for result in answer.json["results"]] \
        == ["yes", "no", "yes"]
    assert topics.count(names["TOPIC"]) == 5
    # and this is no record's fault
    guarded_kafka.acl("--add", "--deny-principal", "Write", names["TOPIC"])
    wait_for(lambda: server.post("/key?key=k", b"1").status != 200, 20,
             "the broker refuses the topic")
    answer = server.post("/key?key=k", b"1")
    assert_problem(answer, 503, "no", "not-delivered")
    assert "retry-after" in answer.headers
    assert server.post("/other", b"1").status == 200
