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


@pytest.mark.parametrize("name", [
    "id", "source", "specversion", "type", "datacontenttype", "dataschema",
    "subject", "time"])
def test_an_attribute_in_json_is_a_string(server, topics, topic, name):
    for value in (7, 1.5, True, False, [], ["x"], {}, {"a": "x"}):
        event = {**EVENT, name: value}
        problem = assert_problem(
            server.post("/", json.dumps(event).encode(), STRUCTURED), 400,
            "no", "not-cloudevent")
        assert name in problem["detail"] and problem["keyword"] == name
        problem = assert_problem(
            server.post("/", json.dumps([event]).encode(), BATCHED), 400,
            "no", "not-cloudevent")
        assert problem["results"][0]["keyword"] == name
    assert topics.count(topic) == 0


def test_one_bad_event_of_a_batch(server, topics, topic):
    events = [EVENT, {"id": "1"}, EVENT]
    problem = assert_problem(
        server.post("/", json.dumps(events).encode(), BATCHED), 400, "no",
        "not-cloudevent")
    assert [result["index"] for result in problem["results"]] == [1]
    assert topics.count(topic) == 0


def send(server, mode, event):
    """An event in one of the three modes; None: an attribute is left out."""
    event = {name: value for name, value in event.items()
             if value is not None}
    if mode == "structured":
        return server.post("/", json.dumps(event).encode(), STRUCTURED)
    if mode == "batched":
        return server.post("/", json.dumps([event]).encode(), BATCHED)
    return server.post("/", b"data", {f"ce-{name}": value for name, value
                                      in event.items() if name != "data"})


MODES = ["binary", "structured", "batched"]
WRONG = [("specversion", "0.3"), ("specversion", "1.0.2"),
         ("specversion", "1"), ("specversion", ""), ("specversion", None),
         ("id", ""), ("id", None), ("source", ""), ("type", ""),
         ("subject", ""), ("time", ""), ("dataschema", ""),
         ("datacontenttype", "")]


@pytest.mark.parametrize("mode", MODES)
def test_an_attribute_is_checked_alike_in_every_mode(server, topics, topic,
                                                     mode):
    for name, value in WRONG:
        problem = assert_problem(send(server, mode, {**EVENT, name: value}),
                                 400, "no", "not-cloudevent")
        found = problem["results"][0] if mode == "batched" else problem
        assert name in found["detail"] and found["keyword"] == name
    assert topics.count(topic) == 0


@pytest.mark.parametrize("mode", MODES)
def test_attributes_that_may_be_are_taken_in_every_mode(server, topics, topic,
                                                        mode):
    event = {**EVENT, "subject": "s", "time": "2026-01-01T00:00:00Z",
             "dataschema": "http://x/y", "myextension": ""}
    assert send(server, mode, event).status == 200
    assert topics.count(topic) == 1


def test_an_attribute_that_is_null_is_none(server):
    body = json.dumps({**EVENT, "subject": None, "time": None}).encode()
    assert server.post("/", body, STRUCTURED).status == 200
    body = json.dumps(EVENT).replace('"1.0"', '"1\\u002e0"').encode()
    assert server.post("/", body, STRUCTURED).status == 200


VALUES = {
    '"quoted text"': "quoted text", r'"a \"b\" \\ c"': r'a "b" \ c',
    '"Z%C3%BCrich"': "Z\u00fcrich", r'"100\%25"': "100%",
    'say "hi there"': "say hi there", "%22x%22": '"x"', "%2522": "%22",
    r"back\slash": r"back\slash"}


def test_a_value_is_unquoted_then_percent_decoded(server, topics, topic):
    """HTTP binding, section 3.1.3.2."""
    for sent in VALUES:
        answer = server.post("/", b"x", {**BINARY, "ce-subject": sent,
                                         "ce-specversion": '"1.0"'})
        assert answer.status == 200, sent
    found = [dict(record.headers) for record in topics.records(topic)]
    assert [headers["ce_subject"].decode() for headers in found] \
        == list(VALUES.values())
    assert {headers["ce_specversion"] for headers in found} == {b"1.0"}


UNKEPT = [
    ("ce-subject", "percent-encoding", ["%", "100%", "%4", "%zz", '"%"']),
    ("ce-subject", "quoted string", ['"open', '"open\\', '"open\\"']),
    ("ce-subject", "malformed", ["%ff", "%C0%A0", "%0a", "%00", "%1b[1m"]),
    ("ce-subject", "too long", ["x" * 5000]), ("ce-sub-ject", "malformed", "x")]


def test_a_header_that_cannot_be_kept_is_400(server, topics, topic):
    for name, reason, values in UNKEPT:
        for value in values:
            problem = assert_problem(
                server.post("/", b"x", {**BINARY, name: value}), 400, "no",
                "bad-header")
            assert reason in problem["detail"] and name in problem["detail"]
    assert topics.count(topic) == 0


@pytest.mark.parametrize("name", [b"ce-id", b"ce-subject", b"CE-Other"])
def test_an_attribute_twice_is_400(server, topics, topic, name):
    head = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode())
                    for name, value in BINARY.items())
    with web.connect(server.port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head
                           + 2 * (name + b": 18\r\n")
                           + b"Content-Length: 1\r\n\r\nx")
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
