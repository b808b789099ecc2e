"""Records without a value: DELETE, an empty body, an event without data."""

import pytest

from tests.lib import web
from tests.lib.problem import assert_problem

CONF = """
    kafka_limit_zone $http_x_tenant zone=small:64k records=1/s;
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
        topic   %%DEAD%%;
        topic   %%KEYED%% key=/id;
    }
    log_format kafka '$request_method $kafka_status $kafka_error';
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        access_log   %%DIR%%/kafka.log kafka;
        kafka_topic  %%TOPIC%%;
        kafka_key    $arg_key;
        location ~ ^/rows/(?<id>\\w*)$ {
            kafka_pass   main;
            kafka_format json;
            kafka_schema %%DIR%%/object.json;
            kafka_key    $id;
            kafka_delete on;
        }
        location = /raw  { kafka_pass main; kafka_delete on; }
        location = /none { kafka_pass main; }
        location = /null {
            kafka_pass   main;
            kafka_format auto;
            kafka_empty  null;
        }
        location = /lines {
            kafka_pass   main;
            kafka_format ndjson;
            kafka_empty  null;
            kafka_delete on;
        }
        location = /pixel {
            kafka_pass   main;
            kafka_delete on;
            kafka_body   '{"from":"$request_body"}';
        }
        location = /queued {
            kafka_pass   main;
            kafka_delete on;
            kafka_ack    queued;
        }
        location = /dead {
            kafka_pass    main;
            kafka_format  json;
            kafka_delete  on;
            kafka_timestamp $arg_at;
            kafka_invalid dead_letter %%DEAD%%;
        }
        location = /limited {
            kafka_pass   main;
            kafka_delete on;
            kafka_limit  zone=small burst_records=2;
        }
        location = /field {
            kafka_key_field /id;
            kafka_pass   main;
            kafka_topic  %%KEYED%%;
            kafka_format json;
            if ($request_method = DELETE) {
                kafka_key    $arg_id;
                kafka_delete on;
            }
        }
        location = /event {
            kafka_pass   main;
            kafka_format cloudevents;
            kafka_empty  null;
            kafka_delete on;
        }
        location = /event-value {
            kafka_pass   main;
            kafka_format cloudevents;
        }
    }
"""

EVENT = {"ce-specversion": "1.0", "ce-id": "17", "ce-source": "/shop/1",
         "ce-type": "order.deleted"}


@pytest.fixture
def server(nginx, topics, topic):
    made = nginx(CONF, start=False, TOPIC=topic, DEAD=topics.create(),
                 KEYED=topics.create())
    (made.directory / "object.json").write_text(
        '{"type":"object","required":["a"]}')
    return made.start()


def delete(server, path, headers=None, body=None):
    return server.request("DELETE", path, body, headers)


def pairs(topics, topic):
    return [(record.key, record.value) for record in topics.records(topic)]


def test_delete_makes_a_record_without_a_value(server, topics, topic):
    """A schema has nothing to judge in it."""
    assert server.post("/rows/7", b'{"a":1}').status == 200
    answer = delete(server, "/rows/7")
    assert answer.status == 200
    assert answer.json["topic"] == topic and answer.json["offset"] == 1
    assert delete(server, "/raw?key=8").status == 200
    assert pairs(topics, topic) == [(b"7", b'{"a":1}'), (b"7", None),
                                    (b"8", None)]
    assert "DELETE yes -\n" in (server.directory / "kafka.log").read_text()


def test_delete_over_http2(server, topics, topic):
    answer = web.request_http2(server.port2, "/rows/7", b"", "-X", "DELETE")
    assert answer.status == 200, answer
    assert pairs(topics, topic) == [(b"7", None)]


@pytest.mark.parametrize("path", ["/rows/", "/raw", "/raw?key=", "/dead"])
def test_a_record_without_a_value_needs_a_key(server, topics, topic, path):
    """It is no dead letter either: it would name nothing."""
    problem = assert_problem(delete(server, path), 422, "no", "no-key")
    assert "value" in problem["detail"]
    assert topics.count(topic) == topics.count(server.names["DEAD"]) == 0


@pytest.mark.parametrize("path, allowed", [
    ("/none", "POST, PUT, OPTIONS"), ("/null", "POST, PUT, OPTIONS"),
    ("/raw", "POST, PUT, DELETE, OPTIONS"),
    ("/pixel", "GET, POST, PUT, DELETE, OPTIONS")])
def test_allow_names_delete_where_it_is_taken(server, topics, topic, path,
                                              allowed):
    answer = server.request("OPTIONS", path)
    assert answer.status == 204 and answer.headers["allow"] == allowed
    answer = server.request("PATCH", path, b"x")
    assert answer.headers["allow"] == allowed
    answer = delete(server, f"{path}?key=k")
    if "DELETE" in allowed:
        assert answer.status == 200
        assert pairs(topics, topic) == [(b"k", None)]
    else:
        assert_problem(answer, 405, "no", "method-not-allowed")
        assert answer.headers["allow"] == allowed
        assert topics.count(topic) == 0


def test_a_delete_has_no_body(server, topics, topic):
    for path in ("/rows/7", "/raw?key=7", "/lines?key=7", "/pixel?key=7"):
        assert_problem(delete(server, path, body=b'{"a":1}'), 400, "no",
                       "body-not-empty")
    answer = server.request(
        "DELETE", "/raw?key=7", iter([b"x"]),
        {"Transfer-Encoding": "chunked"}, chunked=True)
    assert_problem(answer, 400, "no", "body-not-empty")
    assert topics.count(topic) == 0
    assert delete(server, "/raw?key=7", body=b"").status == 200


def test_the_headers_travel(server, topics, topic):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    for path in ("/raw?key=7", "/lines?key=7"):
        assert delete(server, path, {"Idempotency-Key": "k",
                                     "traceparent": trace}).status == 200
    assert [dict(record.headers) for record in topics.records(topic)] \
        == [{"idempotency-key": b"k", "traceparent": trace.encode()}] * 2


@pytest.mark.parametrize("headers", [
    {}, {"Content-Type": "application/json"}, {"Content-Type": "text/plain"},
    {"Content-Type": "application/octet-stream"}])
def test_an_empty_body_is_null_where_it_says_so(server, topics, topic,
                                                headers):
    assert server.post("/null?key=7", b"", headers).status == 200
    assert server.post("/null?key=7", b"null", headers).status == 200
    assert server.request("PUT", "/null?key=7", b"", headers).status == 200
    assert_problem(server.post("/null", b"", headers), 422, "no", "no-key")
    assert pairs(topics, topic) == [(b"7", None), (b"7", b"null"),
                                    (b"7", None)]


def test_an_empty_batch_is_no_record(server, topics, topic):
    assert_problem(server.post("/lines?key=7", b""), 400, "no", "empty-body")
    # a DELETE is one record, whatever the format
    answer = delete(server, "/lines?key=7")
    assert answer.status == 200 and "results" not in answer.json
    assert pairs(topics, topic) == [(b"7", None)]


def test_without_it_an_empty_value_stays_one(server, topics, topic):
    assert server.post("/raw?key=7", b"").status == 200
    assert pairs(topics, topic) == [(b"7", b"")]


def test_an_event_without_data(server, topics, topic):
    """Kafka binding, section 3.2.2; in structured mode there is a value."""
    headers = {**EVENT, "ce-partitionkey": "7"}
    assert server.post("/event", b"", headers).status == 200
    assert delete(server, "/event", headers).status == 200
    assert_problem(server.post("/event", b"", EVENT), 422, "no", "no-key")
    assert delete(server, "/event?key=8", EVENT).status == 200
    assert server.post("/event-value", b"", headers).status == 200
    found = topics.records(topic)
    assert [(record.key, record.value) for record in found] \
        == [(b"7", None), (b"7", None), (b"8", None), (b"7", b"")]
    for record in found:
        assert dict(record.headers)["ce_id"] == b"17"
    assert_problem(delete(server, "/event?key=7"), 400, "no",
                   "not-cloudevent")
    assert_problem(server.post("/event?key=7", b"", {
        "Content-Type": "application/cloudevents+json"}), 400, "no",
        "empty-body")


def test_a_key_from_a_field_and_a_delete_by_its_own(server, topics):
    assert server.post("/field", b'{"id":7}').status == 200
    assert delete(server, "/field?id=7").status == 200
    assert_problem(delete(server, "/field"), 422, "no", "no-key")
    assert pairs(topics, server.names["KEYED"]) == [(b"7", b'{"id":7}'),
                                                    (b"7", None)]


def test_a_queued_delete_is_a_202(server, topics, topic):
    assert delete(server, "/queued?key=7").status == 202


def test_a_limit_counts_it(server, topics, topic):
    headers = {"X-Tenant": "a"}
    assert [delete(server, "/limited?key=7", headers).status
            for _ in range(3)] == [200, 200, 429]


def test_a_dead_letter_keeps_that_there_is_no_value(server, topics):
    answer = delete(server, "/dead?key=7&at=soon")
    assert answer.status == 200
    assert answer.json["dead_letter"] == "bad-timestamp"
    assert pairs(topics, server.names["DEAD"]) == [(b"7", None)]


def test_it_waits_for_its_topic(nginx, topics):
    """Then its record is copied."""
    name = topics.name()
    server = nginx("""
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%% partitions=1 replication=1 create;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location / {
            kafka_pass main; kafka_topic %%TOPIC%%;
            kafka_key  k;    kafka_empty null;
        }
    }
    """, TOPIC=name)
    assert server.post("/", b"").status == 200
    assert pairs(topics, name) == [(b"k", None)]
