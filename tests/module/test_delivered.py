"""A request becomes a record, and the answer names it."""

import http.client
import json

from tests.lib import procs, web
from tests.lib.env import SANITIZED, loops, wait_for
from tests.lib.problem import assert_problem

KEYED = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /fixed {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_key   always;
        }
        location = /header {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_key   $http_x_user-$arg_n;
        }
        location = /none {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /argument {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_key   $arg_key;
        }
    }
"""

TOPIC_VARIABLE = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%ONE%%;
        topic   %%TWO%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location ~ ^/topics/(?<t>.+)$ {
            kafka_pass  main;
            kafka_topic $t;
        }
        location = /topic-argument {
            kafka_pass  main;
            kafka_topic $arg_t;
        }
        location = /status { kafka_status json; }
    }
"""

MANY_TOPICS = """
    kafka_producer main {
        brokers %%KAFKA%%;
        %%TOPICS%%
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location ~ ^/topics/(?<t>.+)$ {
            kafka_pass   main;
            kafka_topic  $t;
            kafka_format json;
        }
    }
"""

QUEUED = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_ack   queued;
        }
        location = /fixed {
            kafka_pass     main;
            kafka_topic    %%TOPIC%%;
            kafka_ack      queued;
            kafka_response '{"success":true}';
        }
    }
"""

RESPONSE = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass     main;
            kafka_topic    %%TOPIC%%;
            kafka_response '{"success":true,"message":"done"}';
        }
    }
"""


def test_200_names_the_record_that_is_in_kafka(nginx, topics):
    name = topics.create(partitions=3)
    server = nginx(KEYED, TOPIC=name)
    answers = {}
    for number in range(20):
        body = b"body %d" % number
        answer = server.post("/none", body)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert sorted(answer.json) == ["offset", "partition", "timestamp",
                                       "topic"]
        assert answer.json["topic"] == name
        answers[body] = answer.json

    records = topics.records(name)
    assert len(records) == 20
    for record in records:
        assert record.key is None
        assert answers[record.value]["partition"] == record.partition
        assert answers[record.value]["offset"] == record.offset
        assert answers[record.value]["timestamp"] == record.timestamp


def test_the_key_is_the_records_key(nginx, topics, topic):
    server = nginx(KEYED, TOPIC=topic)
    assert server.post("/fixed", b"1").status == 200
    assert server.post("/header?n=7", b"2",
                       {"X-User": "Zo\u00eb".encode()}).status == 200
    assert server.post("/argument?key=k%20", b"3").status == 200
    found = {record.value: record.key for record in topics.records(topic)}
    assert found[b"1"] == b"always"
    assert found[b"2"] == "Zo\u00eb-7".encode()
    # nginx gives arguments as sent
    assert found[b"3"] == b"k%20"


def test_one_key_one_partition_as_java_places_it(nginx, topics):
    name = topics.create(partitions=12)
    server = nginx(KEYED, TOPIC=name)
    for number in range(30):
        assert server.post(f"/argument?key=user-{number % 5}",
                           b"%d" % number).status == 200
    by_key = {}
    for record in topics.records(name):
        by_key.setdefault(record.key, set()).add(record.partition)
    assert len(by_key) == 5
    for key, partitions in by_key.items():
        assert partitions == {(murmur2(key) & 0x7fffffff) % 12}


def murmur2(data):
    """Kafka's org.apache.kafka.common.utils.Utils.murmur2."""
    mask, mix = 0xffffffff, 0x5bd1e995
    result = 0x9747b28c ^ len(data)
    full = len(data) // 4 * 4
    for at in range(0, full, 4):
        word = int.from_bytes(data[at:at + 4], "little") * mix & mask
        word = (word ^ word >> 24) * mix & mask
        result = result * mix & mask ^ word
    if full < len(data):
        result ^= int.from_bytes(data[full:], "little")
        result = result * mix & mask
    result = (result ^ result >> 13) * mix & mask
    return result ^ result >> 15


def test_queued_is_202_and_arrives(nginx, topics, topic):
    server = nginx(QUEUED, TOPIC=topic)
    for number in range(10):
        answer = server.post("/", b"%d" % number)
        assert answer.status == 202
        assert "offset" not in answer.json
    sent = {b"%d" % number for number in range(10)}
    wait_for(lambda: topics.count(topic) == 10, 10, "10 records")
    assert {record.value for record in topics.records(topic)} == sent


def test_nothing_turns_a_202_into_a_200(nginx, topic):
    server = nginx(QUEUED, TOPIC=topic)
    answer = server.post("/fixed", b"x")
    assert answer.status == 202
    assert answer.json == {"success": True}


def test_kafka_response_replaces_the_success_body(nginx, topics, topic):
    server = nginx(RESPONSE, TOPIC=topic)
    answer = server.post("/", b"x")
    assert answer.status == 200
    assert answer.body == b'{"success":true,"message":"done"}'
    assert [record.value for record in topics.records(topic)] == [b"x"]


STATUS = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        kafka_topic  %%TOPIC%%;
        kafka_format auto;
        location = /204 { kafka_pass main; kafka_response 204; }
        location = /202 { kafka_pass main; kafka_response 202 later; }
        location = /200 { kafka_pass main; kafka_response 200; }
        location = /told {
            kafka_pass main; kafka_response 202 '{"at":$kafka_offset}';
        }
        location /queued/ {
            kafka_ack queued;
            location = /queued/204 { kafka_pass main; kafka_response 204; }
            location = /queued/200 { kafka_pass main; kafka_response 200 ok; }
        }
        location = /status { kafka_status json; }
    }
"""


def test_a_success_has_the_status_of_the_location(nginx, topics, topic):
    server = nginx(STATUS, TOPIC=topic)
    answer = server.post("/204", b"1")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers
    answer = server.post("/202", b"2")
    assert (answer.status, answer.body) == (202, b"later")
    answer = server.post("/200", b"3")
    assert answer.status == 200 and answer.json["offset"] == 2
    answer = server.post("/told", b"4")
    assert (answer.status, answer.json) == (202, {"at": 3})
    assert answer.headers["content-type"] == "application/json"
    answer = web.request_http2(server.port2, "/204", b"5")
    assert (answer.status, answer.body) == (204, b"")
    assert [record.value for record in topics.records(topic)] \
        == [b"1", b"2", b"3", b"4", b"5"]
    assert_problem(server.post("/204", b"{"), 400, "no", "not-json")
    # they are counted as what they are: kept
    counted = server.get("/status").json
    assert counted["acked"] == 5 and counted["requests"] == 6


def test_no_status_makes_more_of_a_202(nginx, topics, topic):
    server = nginx(STATUS, TOPIC=topic)
    answer = server.post("/queued/204", b"1")
    assert answer.status == 202 and answer.json["queued"] is True
    answer = server.post("/queued/200", b"2")
    assert (answer.status, answer.body) == (202, b"ok")


def test_mixed_results_are_told_whatever_the_location_says(nginx, topics,
                                                           topic):
    server = nginx(STATUS, TOPIC=topic)
    lines = {"Content-Type": "application/x-ndjson"}
    for path in ("/204", "/202", "/200"):
        answer = server.post(path, b"1\nx\n", {
            **lines, "Prefer": "handling=lenient"})
        assert answer.status == 207
        assert [result["status"] for result in answer.json["results"]] \
            == [200, 400]
    assert server.post("/204", b"1\n2\n", lines).status == 204


def test_a_topic_from_a_variable_reaches_only_declared_topics(nginx, topics):
    one, two = topics.create(), topics.create()
    undeclared = topics.create()
    server = nginx(TOPIC_VARIABLE, ONE=one, TWO=two)
    assert server.post(f"/topics/{one}", b"1").json["topic"] == one
    assert server.post(f"/topics/{two}", b"2").json["topic"] == two
    assert server.post(f"/topic-argument?t={two}", b"3").status == 200
    hostile = [undeclared, one.upper(), one[:-1], one + "x", "x" * 250,
               "__consumer_offsets", one + "%2f", one + "%01"]
    for name in hostile:
        problem = assert_problem(server.post(f"/topics/{name}", b"no"), 404)
        assert "topic" in problem["detail"]
    for name in hostile + ["", "../" + one, "%00", one + "%00"]:
        assert_problem(server.post(f"/topic-argument?t={name}", b"no"), 404)
    assert [record.value for record in topics.records(one)] == [b"1"]
    assert [record.value for record in topics.records(two)] == [b"2", b"3"]
    assert topics.records(undeclared) == []


def test_each_of_many_topics_is_found_by_its_name(nginx):
    """Only the key of the topic that is asked for is not in the body."""
    names = [f"{letter}{number * 7919 % 100}" for letter in "nN"
             for number in range(100)]
    server = nginx(MANY_TOPICS, TOPICS=" ".join(
        f"topic {name} key=/{name};" for name in names))
    for name in names:
        body = json.dumps({other: 1 for other in names if other != name})
        assert_problem(server.post(f"/topics/{name}", body.encode()), 422,
                       "no", "no-key")
    for name in ("n100", "n", "n1N"):
        assert_problem(server.post(f"/topics/{name}", b"{}"), 404)


def test_many_distinct_names_leave_memory_alone(nginx, topics, topic):
    server = nginx(TOPIC_VARIABLE, ONE=topic, TWO=topics.create())
    connection = http.client.HTTPConnection(
        "127.0.0.1", server.port)

    def strangers(count):
        for number in range(count):
            connection.request("POST", f"/topics/stranger-{number}", b"x")
            reply = connection.getresponse()
            reply.read()
            assert reply.status == 404

    strangers(500)
    server.wait_prompt()
    worker = server.worker()
    before = procs.rss(worker), procs.threads(worker)
    strangers(loops(3000, 200000))
    assert procs.threads(worker) == before[1]
    if not SANITIZED:
        # ASan keeps what was freed
        assert procs.rss(worker) < before[0] + 4 * 1024 * 1024
    connection.close()


def test_no_body_is_an_empty_value(nginx, topics, topic):
    server = nginx(KEYED, TOPIC=topic)
    assert server.request("POST", "/none").status == 200
    assert server.post("/fixed", b"").status == 200
    records = topics.records(topic)
    assert [record.value for record in records] == [b"", b""]
    assert [record.key for record in records] == [None, b"always"]
