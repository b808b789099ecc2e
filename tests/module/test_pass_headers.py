"""Headers of requests that records carry by `kafka_pass_headers`."""

import pytest

from tests.lib import web
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    large_client_header_buffers 8 32k;
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        kafka_topic %%TOPIC%%;
        location = /list {
            kafka_pass         main;
            kafka_pass_headers tracestate X-Tenant-* User-Agent;
        }
        location = /all {
            kafka_pass         main;
            kafka_pass_headers *;
        }
        location = /own {
            kafka_pass            main;
            kafka_request_headers off;
            kafka_pass_headers    traceparent idempotency-key;
            kafka_header          x-own $http_x_own;
        }
        location = /lines {
            kafka_pass         main;
            kafka_format       ndjson;
            kafka_pass_headers x-*;
        }
        location = /event {
            kafka_pass         main;
            kafka_format       cloudevents;
            kafka_pass_headers content-type x-a;
        }
        location = /secret {
            kafka_pass         main;
            kafka_pass_headers x-a;
            kafka_header       authorization $http_authorization;
        }
    }
"""

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def server(nginx, topic):
    return nginx(CONF, TOPIC=topic)


def send(server, path, *lines):
    """A request with these lines of its head, as they are."""
    with web.connect(server.port) as client:
        client.sendall(b"\r\n".join(
            [b"POST " + path.encode() + b" HTTP/1.1", b"Host: x",
             b"Content-Length: 1", *lines, b"", b"1"]))
        return web.read_answer(client.makefile("rb"))


def headers(topics, topic):
    record, = topics.records(topic)
    return list(record.headers)


def test_the_listed_ones_travel_in_their_order(server, topics, topic):
    """In lower case, each line of one that is repeated."""
    answer = send(server, "/list", b"x-tenant-b: 1", b"X-Other: no",
                  b"X-TENANT-A: 2", b"user-agent: curl", b"X-Tenant: no",
                  b"x-tenant-b: 3", b"Tracestate: a=1", b"x-tenant-: 4")
    assert answer.status == 200, answer
    assert headers(topics, topic) == [
        ("x-tenant-b", b"1"), ("x-tenant-a", b"2"), ("user-agent", b"curl"),
        ("x-tenant-b", b"3"), ("tracestate", b"a=1"), ("x-tenant-", b"4")]


def test_a_pattern_never_takes_a_secret_or_what_is_of_the_connection(
        server, topics, topic):
    answer = send(server, "/all", b"Authorization: Bearer x", b"Cookie: a=b",
                  b"cookie: c=d",
                  b"Proxy-Authorization: Basic x", b"Proxy-Connection: x",
                  b"Connection: keep-alive, X-Hop", b"X-Hop: no",
                  b"Keep-Alive: 5", b"TE: trailers", b"Trailer: x",
                  b"Upgrade: x", b"HTTP2-Settings: x", b"Expect: ",
                  b"X-Kept: yes", b"Content-Encoding: identity")
    assert answer.status == 200, answer
    assert headers(topics, topic) == [("host", b"x"), ("x-kept", b"yes")]


def test_a_secret_travels_where_kafka_header_names_it(server, topics, topic):
    assert send(server, "/secret", b"Authorization: Bearer x").status == 200
    assert headers(topics, topic) == [("authorization", b"Bearer x")]


def test_what_travels_anyway_travels_once(server, topics, topic):
    answer = send(server, "/list", b"tracestate: a=1", b"tracestate: b=2",
                  b"traceparent: " + TRACE.encode(), b"Idempotency-Key: k")
    assert answer.status == 200, answer
    assert headers(topics, topic) == [
        ("traceparent", TRACE.encode()), ("tracestate", b"a=1,b=2"),
        ("idempotency-key", b"k")]


def test_without_request_headers_they_are_headers_like_others(
        server, topics, topic):
    answer = send(server, "/own", b"traceparent: any", b'Idempotency-Key: "k"',
                  b"X-Own: o")
    assert answer.status == 200, answer
    assert headers(topics, topic) == [("traceparent", b"any"),
                                      ("idempotency-key", b'"k"'),
                                      ("x-own", b"o")]


def test_each_record_of_a_batch_has_them(server, topics, topic):
    answer = server.post("/lines", b"1\n2\n", {"X-A": "1", "X-B": "2",
                                               "Idempotency-Key": "k"})
    assert answer.status == 200
    assert [sorted(record.headers) for record in topics.records(topic)] == [
        [("idempotency-key", b"k:%d" % number), ("x-a", b"1"), ("x-b", b"2")]
        for number in range(2)]


def test_beside_an_events_attributes(server, topics, topic):
    assert server.post("/event", b"1", {
        "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/",
        "ce-type": "t", "Content-Type": "text/plain", "X-A": "1"}).status \
        == 200
    names = [name for name, _ in headers(topics, topic)]
    assert sorted(names) == ["ce_id", "ce_source", "ce_specversion",
                             "ce_type", "content-type", "x-a"]


def test_over_http2(server, topics, topic):
    answer = web.request_http2(server.port2, "/list", b"1", "-H",
                               "X-Tenant-A: 1", "-A", "me")
    assert answer.status == 200, answer
    assert sorted(headers(topics, topic)) == [("user-agent", b"me"),
                                              ("x-tenant-a", b"1")]


def test_what_cannot_be_kept_is_refused(server, topics, topic):
    for line in (b"X-Tenant-A: \xff", b"X-Tenant-A: a\x01b",
                 b"X-Tenant-A: " + b"x" * 4097):
        problem = assert_problem(send(server, "/list", line), 400, "no",
                                 "bad-header")
        assert "X-Tenant-A" in problem["detail"]
    assert topics.count(topic) == 0
    assert send(server, "/list", b"X-Tenant-A: \xc3\xa4").status == 200
    assert headers(topics, topic) == [("x-tenant-a", "\u00e4".encode())]


def test_they_are_bounded(server, topics, topic):
    many = [b"X-Tenant-%d: x" % number for number in range(65)]
    assert_problem(send(server, "/list", *many), 400, "no", "bad-header")
    long = [b"X-Tenant-%d: " % number + b"x" * 4000 for number in range(5)]
    assert_problem(send(server, "/list", *long), 400, "no", "bad-header")
    assert topics.count(topic) == 0
    # others do not count
    assert send(server, "/list", *many[:-1], b"X-Other: 1").status == 200
    assert len(headers(topics, topic)) == 64
