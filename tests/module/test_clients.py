"""What clients do around a request: wait for 100, close one side, send
more."""

import http.client
import socket

import pytest

from tests.lib import web
from tests.lib.env import wait_for
from tests.lib.http2 import Streams
from tests.lib.metrics import scrape

EXPECT = """
    kafka_producer main {
        brokers  %%KAFKA%%;
        property message.max.bytes 100000;
        topic    %%TOPIC%%;
    }
    kafka_topic          %%TOPIC%%;
    client_max_body_size 1m;
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        location = / {
            kafka_pass   main;
            kafka_format auto;
        }
        location = /raw { kafka_pass main; }
        location ~ ^/(?<t>named)$ {
            kafka_pass   main;
            kafka_topic  $t;
        }
        location = /intercepted {
            kafka_pass   main;
            kafka_format json;
            kafka_intercept_errors on;
            error_page   405 413 415 = @own;
        }
        location = /denied {
            deny         all;
            error_page   403 = @own;
            kafka_pass   main;
        }
        location = /denied-plainly {
            deny         all;
            kafka_pass   main;
        }
        location @own {
            default_type text/plain;
            return 418   "own";
        }
    }
"""

# method, path, more headers, length, status
REFUSED = [
    ("DELETE", "/", {}, 10, 405), ("PATCH", "/", {}, 10, 405),
    ("OPTIONS", "/", {}, 10, 204), ("POST", "/named", {}, 10, 404),
    ("POST", "/raw", {}, 200000, 413),
    # nginx's own, by client_max_body_size
    ("POST", "/", {}, 2000000, 413),
    ("POST", "/", {"Content-Encoding": "compress"}, 10, 415),
    ("POST", "/", {"Content-Type": "image/png"}, 10, 415),
    ("DELETE", "/intercepted", {}, 10, 418),
    ("POST", "/intercepted", {}, 200000, 418),
    ("POST", "/intercepted", {"Content-Encoding": "compress"}, 10, 418)]
CHUNKED = {"Transfer-Encoding": "chunked"}


@pytest.fixture
def expecting(nginx, topic):
    return nginx(EXPECT, TOPIC=topic)


def head(method, path, headers, length=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Expect: 100-continue",
             *(f"{name}: {value}" for name, value in headers.items())]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def first(client):
    """Status and Connection of the first answer: nobody knows whether the
    body follows a refusal, so no other request may."""
    file = client.makefile("rb")
    status = file.readline().split()[1]
    headers = http.client.parse_headers(file)
    return int(status), headers["Connection"]


@pytest.mark.parametrize("sent", ["waits", "does not wait"])
def test_a_refusal_comes_without_a_100_before(expecting, topics, topic, sent):
    """RFC 9110, section 10.1.1: a final status at once."""
    for method, path, headers, length, status in REFUSED:
        with web.connect(expecting.port) as client:
            client.sendall(head(method, path, headers, length))
            if sent != "waits":
                client.sendall(b"x" * length)
            assert first(client) == (status, "close"), (method, path, headers)
    for method, path, headers, _, status in REFUSED[-4:-2]:
        with web.connect(expecting.port) as client:
            client.sendall(head(method, path, {**headers, **CHUNKED}))
            assert first(client) == (status, "close")
    assert topics.count(topic) == 0


def test_what_nginx_itself_refuses(expecting, topics, topic):
    """Alike, but a "return" of its error_page sends a 100 first."""
    for path, statuses in (("/denied-plainly", [403]), ("/denied", [100, 418])):
        with web.connect(expecting.port) as client:
            client.sendall(head("POST", path, {}, 10))
            file = client.makefile("rb")
            for status in statuses:
                assert int(file.readline().split()[1]) == status
                http.client.parse_headers(file)
    assert topics.count(topic) == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_taken_is_asked_for_by_a_100(expecting, topics, topic,
                                             chunked):
    with web.connect(expecting.port) as client:
        file = client.makefile("rb")
        for _ in range(2):
            client.sendall(head("POST", "/", CHUNKED) if chunked
                           else head("POST", "/", {}, 4))
            assert file.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert file.readline() == b"\r\n"
            client.sendall(b"4\r\n1234\r\n0\r\n\r\n" if chunked else b"1234")
            answer = web.read_answer(file)
            assert answer.status == 200
            assert answer.headers["connection"] == "keep-alive"
    assert topics.count(topic) == 2


def test_http2_refuses_at_once_and_sends_no_100(expecting, topics, topic):
    """nginx sends none over HTTP/2, so a client sends after its own wait."""
    client = Streams(expecting.port2)
    for method, path, headers, length, status in REFUSED:
        stream = client.begin(path, method, [
            ("expect", "100-continue"), ("content-length", str(length)),
            *((name.lower(), value) for name, value in headers.items())])
        client.wait([stream])
        assert client.answers[stream].status == status
    stream = client.begin("/", headers=[("expect", "100-continue"),
                                        ("content-length", "4")])
    client.send(stream, b"1234", end=True)
    client.wait([stream])
    assert client.answers[stream].status == 200
    assert client.interim == 0
    client.close()
    assert topics.count(topic) == 1


HALF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 5s;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /metrics { kafka_status prometheus; }
        location = /status { kafka_status json; }
    }
"""
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nhalf"


def left(server):
    return scrape(server).sum("sluice_http_requests_total",
                              code="client-left")


def test_a_client_that_closes_its_half_while_it_waits_has_left(
        nginx, own_kafka, own_topics):
    """nginx takes it for gone, as proxy_pass does: no answer, and the record
    may be kept."""
    topic = own_topics.create()
    server = nginx(HALF, TOPIC=topic, KAFKA=own_kafka.bootstrap)
    assert server.post("/", b"first").status == 200
    own_kafka.pause()
    with web.connect(server.port) as client:
        client.sendall(POST)
        wait_for(lambda: server.get("/status").json["in_flight"], 10,
                 "it waits")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b"", "closed without an answer"
    wait_for(lambda: left(server) == 1, 10, "it is counted")
    own_kafka.resume()
    wait_for(lambda: server.post("/", b"last").status == 200, 20, "serving")
    assert sorted(record.value for record in own_topics.records(topic)) \
        == [b"first", b"half", b"last"]
    assert left(server) == 1


def test_a_client_that_closes_its_half_with_the_request(nginx, topics, topic):
    """Answered, or taken for gone; the record comes once and is counted
    once."""
    server = nginx(HALF, TOPIC=topic)
    assert server.post("/", b"first").status == 200
    answered = 0
    for _ in range(20):
        with web.connect(server.port) as client:
            client.sendall(POST)
            client.shutdown(socket.SHUT_WR)
            answered += client.makefile("rb").read().startswith(
                b"HTTP/1.1 200 ")
    found = wait_for(lambda: next(
        (found for found in (scrape(server),)
         if found.sum("sluice_http_records_total", result="kept") == 21),
        None), 20, "all are kept")
    assert found.sum("sluice_http_requests_total", code="kept") \
        == 1 + answered
    assert found.sum("sluice_http_requests_total", code="client-left") \
        == 20 - answered
    assert topics.count(topic) == 21


COPIED = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT2%%;
        location / { return 200 "app"; }
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /bare { proxy_pass http://127.0.0.1:%%PORT2%%; }
        location = /copied {
            mirror     /copy;
            proxy_pass http://127.0.0.1:%%PORT2%%;
        }
        location = /copy {
            internal;
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_ack   queued;
        }
        location / { return 204; }
    }
"""
CLOSE_WAIT = 8      # of enum in linux/tcp_states.h


def lingers(server, path):
    """Whether nginx still reads after its last answer, as it does where more
    may come: what comes is then not met by a reset, which could take the
    answer away from its client."""
    with web.connect(server.port) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: "
                       "close\r\nContent-Length: 4\r\n\r\nbody".encode())
        assert client.makefile("rb").read().endswith(b"app")
        client.send(b"more")
        assert server.get("/").status == 204
        return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO,
                                 1)[0] == CLOSE_WAIT


def test_a_copy_leaves_the_connection_of_its_request_alone(nginx, topics,
                                                           topic):
    server = nginx(COPIED, TOPIC=topic)
    assert lingers(server, "/bare")
    assert lingers(server, "/copied")
    wait_for(lambda: topics.count(topic) == 1, 10, "the copy")
