"""A batch inside an object, as analytics SDKs send it."""

import json

import pytest

from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
        topic   %%DEAD%%;
    }
    client_max_body_size 16m;
    kafka_max_records    2000;
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic       %%TOPIC%%;
        kafka_format      array;
        kafka_batch_field /batch;
        location = /batch { kafka_pass main; }
        location = /deep  { kafka_pass main; kafka_batch_field /a~1b/c; }
        location = /dead {
            kafka_pass    main;
            kafka_key_field /id;
            kafka_invalid dead_letter %%DEAD%%;
        }
        location = /schema {
            kafka_pass   main;
            kafka_schema %%DIR%%/n.json;
        }
        location = /few    { kafka_pass main; kafka_max_records 2; }
        location = /queued { kafka_pass main; kafka_ack queued; }
        # inherited there, and without a meaning
        location = /lines  { kafka_pass main; kafka_format ndjson; }
        location = /events { kafka_pass main; kafka_format cloudevents; }
    }
"""


@pytest.fixture
def server(nginx, topics, topic):
    made = nginx(CONF, start=False, TOPIC=topic, DEAD=topics.create())
    (made.directory / "n.json").write_text(
        '{"properties":{"n":{"type":"integer"}}}')
    return made.start()


def values(topics, topic):
    return [record.value for record in topics.records(topic)]


def test_the_elements_are_the_records(server, topics, topic):
    """The client's own bytes; what stands beside them is left out."""
    body = (b' {"writeKey":"k","sentAt":null,"batch": [ {"n" : 1}, 2 ,"x",'
            b'[{}]],"context":{"library":{"name":"a"}}}\r\n')
    answer = server.post("/batch", body)
    assert answer.status == 200, answer
    assert [result["status"] for result in answer.json["results"]] \
        == [200] * 4
    assert values(topics, topic) == [b'{"n" : 1}', b"2", b'"x"', b"[{}]"]


@pytest.mark.parametrize("body", [
    b'{"a/b":{"c":[1]}}', b'{"a":0,"a/b":{"b":[9],"c":[1],"d":{"c":[]}}}',
    b'{"c":[2],"a/b":{"c":[1]},"z":{"a/b":{"c":[3]}}}',
    b'{"a\\/b":{"\\u0063":[1]}}'])
def test_a_pointer_of_several_names(server, topics, topic, body):
    assert server.post("/deep", body).status == 200
    assert values(topics, topic) == [b"1"]


@pytest.mark.parametrize("path, body", [
    ("/batch", b"[1]"), ("/batch", b"{}"), ("/batch", b'{"other":[1]}'),
    ("/batch", b'{"batch":{"batch":[1]}}'), ("/batch", b'{"batch":1}'),
    ("/batch", b'{"batch":null}'), ("/batch", b'{"Batch":[1]}'),
    ("/batch", b"7"), ("/deep", b'{"a/b":[1]}'), ("/deep", b'{"a/b":{}}')])
def test_the_pointer_is_named_where_there_is_no_array(server, topics, topic,
                                                      path, body):
    problem = assert_problem(server.post(path, body), 400, "no", "not-json")
    pointer = "/batch" if path == "/batch" else "/a~1b/c"
    assert pointer in problem["detail"] and problem["pointer"] == pointer
    assert topics.count(topic) == 0


@pytest.mark.parametrize("body, reason", [
    (b'{"batch":[1],"batch":[2]}', "duplicate member at byte 13"),
    (b'{"batch":[1]', "unexpected end of the text"),
    (b'{"batch":[1}', "unexpected character"),
    (b'{"batch":[1]]', "unexpected character"),
    (b'{"batch":[1]}x', "bytes behind the value"),
    (b'{"batch":[1],}', "unexpected character"),
    (b'{"batch":[1] "x":1}', "unexpected character"),
    (b'{"batch":[1],"x"}', "unexpected character"),
    (b'{"batch":[1],"x":}', "unexpected character"),
    (b'{"batch":[1],"x":01}', "leading zero"),
    (b'{"x":"\xff","batch":[1]}', "UTF-8"),
    (b'{"batch":[1,]}', "unexpected character"),
    (b'{,"batch":[1]}', "unexpected character"),
    (b'{batch:[1]}', "unexpected character")])
def test_what_stands_around_is_json_too(server, topics, topic, body, reason):
    problem = assert_problem(server.post("/batch", body), 400, "no",
                             "not-json")
    assert reason in problem["detail"], problem
    assert topics.count(topic) == 0


def test_an_empty_batch_is_no_record(server, topics, topic):
    for body in (b'{"batch":[]}', b""):
        assert_problem(server.post("/batch", body), 400, "no", "empty-body")
    assert topics.count(topic) == 0


def test_bad_ones_are_answered_as_in_other_batches(server, topics, topic):
    body = b'{"batch":[{"n":1},{"n":"x"},{"n":3}]}'
    problem = assert_problem(server.post("/schema", body), 422, "no",
                             "schema")
    assert [(result["index"], result["pointer"])
            for result in problem["results"]] == [(1, "/n")]
    assert topics.count(topic) == 0
    answer = server.post("/schema", body, {"Prefer": "handling=lenient"})
    assert answer.status == 207
    assert [result["status"] for result in answer.json["results"]] \
        == [200, 422, 200]
    answer = server.post("/dead", b'{"batch":[{"id":1},{}]}')
    assert answer.status == 200
    assert values(topics, server.names["DEAD"]) == [b"{}"]
    assert topics.records(topic)[-1].key == b"1"
    assert server.post("/queued", b'{"batch":[1,2]}').status == 202


def test_it_is_bounded(server, topics, topic):
    assert_problem(server.post("/few", b'{"batch":[1,2,3]}'), 413, "no",
                   "too-many-records")
    large = b'"' + b"x" * 1_100_000 + b'"'
    problem = assert_problem(
        server.post("/batch", b'{"x":%s,"batch":[1]}' % large), 413, "no",
        "record-too-large")
    assert "/batch" in problem["detail"]
    problem = assert_problem(
        server.post("/batch", b'{"batch":[1,%s]}' % large), 413, "no",
        "record-too-large")
    assert [result["index"] for result in problem["results"]] == [1]
    assert topics.count(topic) == 0


def test_a_long_one_is_read_in_turns(server, topics, topic):
    many = [{"n": number, "pad": "x" * 1000} for number in range(2000)]
    body = json.dumps({"before": {str(n): [n] for n in range(1000)},
                       "batch": many, "behind": list(range(50_000))}).encode()
    answer = server.post("/batch", body)
    assert answer.status == 200, answer
    assert [json.loads(value) for value in values(topics, topic)] == many


def test_other_formats_do_not_look_for_it(server, topics, topic):
    assert server.post("/lines", b'{"batch":[1]}\n').status == 200
    event = {"specversion": "1.0", "id": "1", "source": "/", "type": "t"}
    assert server.post("/events", json.dumps([event]).encode(), {
        "Content-Type": "application/cloudevents-batch+json"}).status == 200
    assert topics.count(topic) == 2
