"""What a record has beside its value: key, headers, partition, time."""

import json
import re
import time

import pytest

from tests.lib import web
from tests.lib.env import wait_for
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
        topic   %%KEYED%% key=/user/id;
    }
    map $arg_bad $bad {
        default "";
        line    "a\\nb";
    }
    log_format kafka '$kafka_partition $kafka_offset $kafka_latency';
    server {
        listen 127.0.0.1:%%PORT%%;
        access_log %%DIR%%/kafka.log kafka;
        kafka_topic %%TOPIC%%;
        location = /plain {
            kafka_pass main;
        }
        location = /bare {
            kafka_pass main;
            kafka_request_headers off;
        }
        location = /id {
            kafka_pass   main;
            kafka_header request-id $request_id;
            add_header   X-Id $request_id always;
        }
        location = /headers {
            kafka_pass   main;
            kafka_header Tenant    $http_x_tenant;
            kafka_header tenant    second;
            kafka_header path      $uri?$args;
            kafka_header empty     "";
        }
        location = /bad {
            kafka_pass   main;
            kafka_header value "$bad$http_x_value";
        }
        location = /field {
            kafka_pass      main;
            kafka_format    json;
            kafka_key_field /user/id;
        }
        location = /fields {
            kafka_pass              main;
            kafka_format            ndjson;
            kafka_key_field         /k;
            kafka_idempotency_field /id;
        }
        location = /batch {
            kafka_pass   main;
            kafka_format ndjson;
        }
        location = /topic-key {
            kafka_pass  main;
            kafka_topic %%KEYED%%;
        }
        location = /topic-key-own {
            kafka_pass  main;
            kafka_topic %%KEYED%%;
            kafka_key   own;
        }
        location = /placed {
            kafka_pass      main;
            kafka_partition $arg_p;
            kafka_timestamp $arg_t;
        }
        location = /now {
            kafka_pass      main;
            kafka_timestamp $msec;
        }
        location = /client {
            kafka_pass main;
            kafka_ack  client;
        }
        location = /pixel {
            kafka_pass     main;
            kafka_body     '{"page":"$kafka_json_arg_page"}';
            kafka_format   json;
        }
    }
"""

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def server(nginx, topics):
    made = nginx(CONF, start=False, TOPIC=topics.create(partitions=4),
                 KEYED=topics.create())
    made.topic, made.keyed = made.names["TOPIC"], made.names["KEYED"]
    return made.start()


def only(topics, name):
    record, = topics.records(name)
    return record


def test_trace_and_idempotency_key_travel(server, topics):
    answer = server.post("/plain", b"x", {
        "traceparent": TRACE, "Idempotency-Key": '"a \\"b\\\\"',
        "X-Other": "never", "Cookie": "never"})
    assert answer.status == 200
    headers = dict(only(topics, server.topic).headers)
    assert sorted(headers) == ["idempotency-key", "traceparent"]
    assert headers["traceparent"] == TRACE.encode()
    assert headers["idempotency-key"] == b'a "b\\'


def test_a_record_has_no_header_that_nobody_asked_for(server, topics):
    other = {"Accept": "*/*", "Accept-Encoding": "br", "User-Agent": "x",
             "Prefer": "wait=1", "X-Trace-Par": "x" * 11}
    assert server.post("/plain", b"x", other).status == 200
    assert server.post("/batch", b"1\n2\n3\n", other).status == 200
    assert [record.headers for record in topics.records(server.topic)] \
        == [()] * 4


def test_headers_are_found_in_any_case_and_the_first_counts(server, topics):
    with web.connect(server.port) as client:
        client.sendall(
            b"POST /plain HTTP/1.1\r\nHost: x\r\nX-Other: 1\r\n"
            b"IDEMPOTENCY-KEY: first\r\nidempotency-key: second\r\n"
            + b"".join(b"X-%d: x\r\n" % n for n in range(40))
            + b"TraceParent: " + TRACE.encode() + b"\r\n"
            b"Content-Length: 1\r\n\r\nx")
        assert web.read_answer(client.makefile("rb")).status == 200
    assert dict(only(topics, server.topic).headers) == {
        "idempotency-key": b"first", "traceparent": TRACE.encode()}


def test_the_request_id_travels_where_it_is_named(server, topics):
    answer = server.post("/id", b"x")
    assert answer.status == 200
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-id"])
    assert only(topics, server.topic).headers \
        == (("request-id", answer.headers["x-id"].encode()),)


@pytest.mark.parametrize("lines, kept", [
    (["a=1,b@c=2"], "a=1,b@c=2"),
    (["a=1", "b=2"], "a=1,b=2"),
    (["a=" + "x" * 510], "a=" + "x" * 510),
    (["a=" + "x" * 511], None),
    (["a=" + "x" * 300, "b=" + "x" * 300], None),
    (["a=\u00e4"], None),
    ([""], None)])
def test_the_state_of_a_trace_travels_with_it(server, topics, lines, kept):
    with web.connect(server.port) as client:
        client.sendall("\r\n".join([
            "POST /plain HTTP/1.1", "Host: x", "Connection: close",
            "Content-Length: 1", f"traceparent: {TRACE}",
            *(f"Tracestate: {line}" for line in lines), "", "x"])
            .encode("latin-1"))
        assert b" 200 " in client.makefile("rb").read().split(b"\r\n")[0]
    headers = dict(only(topics, server.topic).headers)
    assert headers["traceparent"] == TRACE.encode()
    assert headers.get("tracestate") == (kept and kept.encode())


def test_a_state_without_its_trace_is_left_behind(server, topics):
    assert server.post("/plain", b"x", {"tracestate": "a=1"}).status == 200
    assert "tracestate" not in dict(only(topics, server.topic).headers)


def test_a_bare_idempotency_key(server, topics):
    assert server.post("/plain", b"x",
                       {"Idempotency-Key": 'ab"c'}).status == 200
    assert dict(only(topics, server.topic).headers)["idempotency-key"] \
        == b'ab"c'


@pytest.mark.parametrize("trace", [
    TRACE.upper(), TRACE[:-1], "01" + TRACE[2:], TRACE.replace("-", "_"),
    "00-" + "0" * 32 + TRACE[35:], TRACE[:36] + "0" * 16 + "-01"])
def test_a_malformed_trace_is_left_behind(server, topics, trace):
    assert server.post("/plain", b"x", {"traceparent": trace}).status == 200
    assert "traceparent" not in dict(only(topics, server.topic).headers)


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "\x7f", "\u00e4",
                                 '"a\\n"', '"a\\"'])
def test_an_idempotency_key_that_cannot_be_one_is_400(server, topics, key):
    assert_problem(server.post("/plain", b"x", {
        "Idempotency-Key": key.encode("latin-1")}), 400, "no", "bad-header")
    assert topics.count(server.topic) == 0


def test_nothing_travels_where_it_is_off(server, topics):
    assert server.post("/bare", b"x", {"traceparent": TRACE}).status == 200
    assert only(topics, server.topic).headers == ()


def test_named_headers_in_their_order(server, topics):
    assert server.post("/headers?a=1", b"x",
                       {"X-Tenant": "Z\u00fcrich".encode()}).status == 200
    assert only(topics, server.topic).headers == (
        ("Tenant", "Z\u00fcrich".encode()), ("tenant", b"second"),
        ("path", b"/headers?a=1"))


@pytest.mark.parametrize("path, value", [
    ("/bad?bad=line", ""), ("/bad", b"a\x1bb"), ("/bad", b"\xff"),
    ("/bad", b"\xc0\x80"), ("/bad", "x" * 4097)])
def test_a_header_value_that_is_no_text_is_400(server, topics, path, value):
    problem = assert_problem(server.post(path, b"x", {"X-Value": value}), 400,
                             "no", "bad-header")
    assert '"value"' in problem["detail"]
    assert topics.count(server.topic) == 0
    assert server.post("/bad", b"x", {"X-Value": "x" * 4096}).status == 200


@pytest.mark.parametrize("body, key", [
    ({"user": {"id": "a\u00e4\"\n"}}, "a\u00e4\"\n"),
    ({"user": {"id": 12345678901234567890}}, "12345678901234567890"),
    ({"user": {"id": True}}, "true")])
def test_the_key_from_a_field(server, topics, body, key):
    assert server.post("/field", json.dumps(body).encode()).status == 200
    assert only(topics, server.topic).key == key.encode()


@pytest.mark.parametrize("body", [
    b"{}", b'{"user":7}', b'{"user":{"id":null}}', b'{"user":{"id":{}}}',
    b'{"user":{"id":[]}}', b'{"user":{"id":""}}'])
def test_no_key_in_the_field_is_422(server, topics, body):
    assert_problem(server.post("/field", body), 422, "no", "no-key")
    assert_problem(server.post("/topic-key", body), 422, "no", "no-key")
    assert topics.count(server.topic) == 0


def test_each_record_of_a_batch_has_its_own(server, topics):
    body = b'{"k":"a","id":"1"}\n{"k":"b","id":2}\n{"k":"a","id":"3"}\n'
    answer = server.post("/fields", body)
    assert answer.status == 200
    found = {record.value: record for record in topics.records(server.topic)}
    for line, key, ident in zip(body.splitlines(), (b"a", b"b", b"a"),
                                (b"1", b"2", b"3")):
        assert found[line].key == key
        assert dict(found[line].headers)["idempotency-key"] == ident
    results = answer.json["results"]
    assert results[0]["partition"] == results[2]["partition"]
    problem = assert_problem(server.post("/fields", b'{"k":"a"}\n'), 422,
                             "no", "no-key")
    assert problem["results"][0]["index"] == 0


def test_a_batchs_idempotency_key_counts_its_records(server, topics):
    assert server.post("/batch", b"1\n2\n3\n",
                       {"Idempotency-Key": "b7"}).status == 200
    assert {record.value: dict(record.headers)["idempotency-key"]
            for record in topics.records(server.topic)} \
        == {b"1": b"b7:0", b"2": b"b7:1", b"3": b"b7:2"}


def test_the_topics_own_key(server, topics):
    assert server.post("/topic-key", b'{"user":{"id":5}}').status == 200
    assert server.post("/topic-key-own", b"no json").status == 200
    assert [record.key for record in topics.records(server.keyed)] \
        == [b"5", b"own"]


def test_partition_and_timestamp(server, topics):
    for number, path in enumerate(("/placed?p=2&t=1700000000123",
                                   "/placed?p=2&t=1700000001.456",
                                   "/placed?p=3")):
        answer = server.post(path, b"%d" % number)
        assert answer.status == 200
        assert answer.json["partition"] == int(path[10])
    found = {record.value: record for record in topics.records(server.topic)}
    assert found[b"0"].timestamp == 1700000000123
    assert found[b"1"].timestamp == 1700000001456
    assert abs(found[b"2"].timestamp - time.time() * 1000) < 60000
    assert server.post("/now", b"now").status == 200


@pytest.mark.parametrize("arguments, code", [
    ("p=4", "bad-partition"), ("p=-1", "bad-partition"),
    ("p=x", "bad-partition"), ("p=99999999999", "bad-partition"),
    ("t=0", "bad-timestamp"), ("t=x", "bad-timestamp"),
    ("t=1.5", "bad-timestamp"), ("t=.123", "bad-timestamp"),
    ("t=1700000000.1234", "bad-timestamp"),
    ("t=99999999999999999999", "bad-timestamp")])
def test_a_place_that_there_is_not_is_400(server, topics, arguments, code):
    # the first record makes the topic's partitions known
    assert server.post("/plain", b"first").status == 200
    assert_problem(server.post(f"/placed?{arguments}", b"x"), 400, "no", code)
    assert topics.count(server.topic) == 1


def test_the_client_may_choose_not_to_wait(server, topics):
    answer = server.post("/client", b"1")
    assert answer.status == 200 and "preference-applied" not in answer.headers
    answer = server.post("/client", b"2", {"Prefer": "Respond-Async"})
    assert answer.status == 202
    assert answer.headers["preference-applied"] == "respond-async"
    # not where the location says delivered
    answer = server.post("/plain", b"3", {"Prefer": "respond-async"})
    assert answer.status == 200 and "preference-applied" not in answer.headers
    wait_for(lambda: topics.count(server.topic) == 3, 10, "all records")


def test_a_pixel_has_its_record_from_the_configuration(server, topics):
    assert server.get("/pixel?page=a%20b").status == 200
    assert server.post("/pixel?page=c", b"ignored").status == 200
    assert server.request("DELETE", "/pixel").headers["allow"] \
        == "GET, POST, PUT, OPTIONS"
    assert sorted(record.value for record in topics.records(server.topic)) \
        == [b'{"page":"a b"}', b'{"page":"c"}']


def test_the_place_in_the_log(server):
    answer = server.post("/plain", b"x")
    log = server.directory / "kafka.log"
    wait_for(lambda: log.exists() and log.read_text(), 5, "a line")
    partition, offset, latency = log.read_text().split()
    assert (int(partition), int(offset)) \
        == (answer.json["partition"], answer.json["offset"])
    assert 0 <= float(latency) < 20 and "." in latency
