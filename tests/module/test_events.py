"""CloudEvents 1.0.2: the three modes, as the Kafka binding maps them."""

import json

import pytest

from tests.lib import web
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    kafka_request_headers off;
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic %%TOPIC%%;
        location = / {
            kafka_pass   main;
            kafka_format cloudevents;
        }
        location = /auto {
            kafka_pass   main;
            kafka_format auto;
        }
        location = /key {
            kafka_pass   main;
            kafka_format cloudevents;
            kafka_key    $arg_k;
        }
        location = /schema {
            kafka_pass   main;
            kafka_format cloudevents;
            kafka_schema %%DIR%%/data.schema.json;
        }
    }
"""

BINARY = {"ce-specversion": "1.0", "ce-id": "17", "ce-source": "/shop/1",
          "ce-type": "order.created"}
EVENT = {"specversion": "1.0", "id": "18", "source": "/shop/1",
         "type": "order.created", "data": {"n": 1}}
STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
BATCHED = {"Content-Type": "application/cloudevents-batch+json"}


@pytest.fixture
def server(nginx, topic):
    made = nginx(CONF, start=False, TOPIC=topic)
    (made.directory / "data.schema.json").write_text(
        '{"type":"object","required":["n"]}')
    made.start()
    return made


def test_binary_mode(server, topics, topic):
    answer = server.post("/", b"\x00\x01 any bytes", {
        **BINARY, "ce-subject": "Z%C3%BCrich %E2%82%AC", "ce-time":
        "2026-01-01T00:00:00Z", "ce-partitionkey": "k1", "X-Other": "no",
        "Content-Type": "application/octet-stream"})
    assert answer.status == 200, answer
    record, = topics.records(topic)
    assert record.value == b"\x00\x01 any bytes" and record.key == b"k1"
    assert dict(record.headers) == {
        "ce_specversion": b"1.0", "ce_id": b"17", "ce_source": b"/shop/1",
        "ce_type": b"order.created", "ce_time": b"2026-01-01T00:00:00Z",
        "ce_subject": "Z\u00fcrich \u20ac".encode(), "ce_partitionkey": b"k1",
        "content-type": b"application/octet-stream"}


def test_binary_mode_by_auto(server, topics, topic):
    assert server.post("/auto", b"<xml/>", {
        **BINARY, "Content-Type": "application/xml"}).status == 200
    record, = topics.records(topic)
    assert dict(record.headers)["content-type"] == b"application/xml"


@pytest.mark.parametrize("path", ["/", "/auto"])
def test_structured_mode(server, topics, topic, path):
    body = json.dumps({**EVENT, "partitionkey": "p\u00e4"}).encode()
    assert server.post(path, body, STRUCTURED).status == 200
    record, = topics.records(topic)
    assert record.value == body and record.key == "p\u00e4".encode()
    assert dict(record.headers) == {
        "content-type": b"application/cloudevents+json; charset=UTF-8"}


@pytest.mark.parametrize("path", ["/", "/auto"])
def test_batched_mode(server, topics, topic, path):
    events = [{**EVENT, "id": str(n)} for n in range(5)]
    answer = server.post(path, json.dumps(events).encode(), BATCHED)
    assert answer.status == 200 and len(answer.json["results"]) == 5
    found = topics.records(topic)
    assert [json.loads(record.value) for record in found] == events
    assert {dict(record.headers)["content-type"] for record in found} \
        == {b"application/cloudevents+json; charset=UTF-8"}


@pytest.mark.parametrize("missing", sorted(BINARY))
def test_binary_without_an_attribute_is_400(server, topics, topic, missing):
    headers = {name: value for name, value in BINARY.items()
               if name != missing}
    problem = assert_problem(server.post("/", b"x", headers), 400, "no",
                             "not-cloudevent")
    assert missing in problem["detail"]
    assert topics.count(topic) == 0


@pytest.mark.parametrize("change", [
    {"id": ""}, {"id": 7}, {"id": None}, {"source": []}, {"type": ""},
    {"specversion": "0.3"}, {"specversion": 1.0}])
def test_structured_with_a_wrong_attribute_is_400(server, topics, topic,
                                                  change):
    body = json.dumps({**EVENT, **change}).encode()
    problem = assert_problem(server.post("/", body, STRUCTURED), 400, "no",
                             "not-cloudevent")
    assert list(change)[0] in problem["detail"]
    for body in (b"[]", b"7", b'"x"'):
        assert_problem(server.post("/", body, STRUCTURED), 400, "no",
                       "not-cloudevent")
    assert topics.count(topic) == 0


def test_one_bad_event_of_a_batch(server, topics, topic):
    events = [EVENT, {"id": "1"}, EVENT]
    problem = assert_problem(
        server.post("/", json.dumps(events).encode(), BATCHED), 400, "no",
        "not-cloudevent")
    assert [result["index"] for result in problem["results"]] == [1]
    assert topics.count(topic) == 0


@pytest.mark.parametrize("name, value", [
    ("ce-subject", "%"), ("ce-subject", "%4"), ("ce-subject", "%ff"),
    ("ce-subject", "%0a"), ("ce-subject", "%00"), ("ce-subject", "%1b[1m"),
    ("ce-subject", "x" * 5000), ("ce-sub-ject", "x")])
def test_a_header_that_cannot_be_kept_is_400(server, topics, topic, name,
                                             value):
    answer = server.post("/", b"x", {**BINARY, name: value})
    assert_problem(answer, 400, "no", "bad-header")
    assert topics.count(topic) == 0


def test_an_attribute_twice_is_400(server, topics, topic):
    head = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode())
                    for name, value in BINARY.items())
    with web.connect(server.port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head
                           + b"ce-id: 18\r\nContent-Length: 1\r\n\r\nx")
        answer = web.read_answer(connection.makefile("rb"))
    assert_problem(answer, 400, "no", "bad-header")
    assert topics.count(topic) == 0


def test_the_locations_key_wins(server, topics, topic):
    body = json.dumps({**EVENT, "partitionkey": "event"}).encode()
    assert server.post("/key?k=mine", body, STRUCTURED).status == 200
    assert server.post("/key?k=mine", b"x", {
        **BINARY, "ce-partitionkey": "event"}).status == 200
    assert [record.key for record in topics.records(topic)] \
        == [b"mine", b"mine"]


def test_a_schema_is_about_the_data(server, topics, topic):
    assert server.post("/schema", json.dumps(EVENT).encode(),
                       STRUCTURED).status == 200
    assert server.post("/schema", b'{"n":2}', BINARY).status == 200
    for body, headers in ((json.dumps({**EVENT, "data": {}}).encode(),
                           STRUCTURED), (b"{}", BINARY)):
        problem = assert_problem(server.post("/schema", body, headers), 422,
                                 "no", "schema")
        assert problem["keyword"] == "required"
    without = {name: value for name, value in EVENT.items()
               if name != "data"}
    assert_problem(server.post("/schema", json.dumps(without).encode(),
                               STRUCTURED), 400, "no", "not-cloudevent")
    assert topics.count(topic) == 2
