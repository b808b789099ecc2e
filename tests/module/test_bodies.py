"""Bodies of every size and form arrive byte for byte."""

import os
import random

import pytest

from tests.lib import web
from tests.lib.problem import assert_problem

# 16 KiB: client_body_buffer_size of the configurations below
BUFFER = 16 * 1024
SIZES = [0, 1, 2, 4095, 4096, 8191, 8192, 8193, BUFFER - 1, BUFFER,
         BUFFER + 1, 3 * BUFFER + 7, 1024 * 1024 - 1, 1024 * 1024,
         1024 * 1024 + 1]
LARGEST = 20 * 1024 * 1024

CONF = """
    kafka_producer main {
        brokers  %%KAFKA%%;
        queue    128m;
        property message.max.bytes 25000000;
        topic    %%TOPIC%%;
    }
    client_max_body_size    20m;
    client_body_buffer_size 16k;
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        location = /buffers {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /memory {
            client_body_buffer_size 21m;
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /single {
            client_body_in_single_buffer on;
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /file {
            client_body_in_file_only clean;
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /small {
            client_body_buffer_size 1k;
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
    }
"""


@pytest.fixture
def large_topic(topics):
    return topics.create(config={"max.message.bytes": "25000000"})


def body(size):
    return random.Random(size).randbytes(size)


def assert_arrived(topics, topic, answers):
    """answers: pairs of an answer's offset and the body sent."""
    found = {record.offset: record.value for record in topics.records(topic)}
    assert len(found) == len(answers)
    for offset, sent in answers:
        assert len(found[offset]) == len(sent)
        assert found[offset] == sent


@pytest.mark.parametrize("place", ["buffers", "memory", "single", "file",
                                   "small"])
def test_every_size(nginx, topics, large_topic, place):
    server = nginx(CONF, TOPIC=large_topic)
    answers = []
    for size in SIZES + ([LARGEST] if place in ("memory", "file") else []):
        answer = server.post(f"/{place}", body(size))
        assert answer.status == 200, (size, answer)
        answers.append((answer.json["offset"], body(size)))
    assert_arrived(topics, large_topic, answers)
    assert not any(files for _, _, files in
                   os.walk(server.directory / "body")), "files are left"


@pytest.mark.parametrize("place", ["buffers", "file", "small"])
def test_chunked(nginx, topics, large_topic, place):
    server = nginx(CONF, TOPIC=large_topic)
    answers = []
    for size in SIZES:
        whole = body(size)
        step = max(1, min(size // 3, 5000))
        pieces = [whole[at:at + step] for at in range(0, size, step)]
        answer = server.post(f"/{place}", iter(pieces),
                             {"Transfer-Encoding": "chunked"}, chunked=True)
        assert answer.status == 200, (size, answer)
        answers.append((answer.json["offset"], whole))
    assert_arrived(topics, large_topic, answers)


@pytest.mark.parametrize("place", ["buffers", "file", "small"])
def test_http2(nginx, topics, large_topic, place):
    server = nginx(CONF, TOPIC=large_topic)
    answers = []
    for size in SIZES:
        answer = web.request_http2(server.port2, f"/{place}", body(size))
        assert answer.status == 200, (size, answer)
        answers.append((answer.json["offset"], body(size)))
    assert_arrived(topics, large_topic, answers)


def test_a_body_that_comes_in_pieces(nginx, topics, large_topic):
    server = nginx(CONF, TOPIC=large_topic)
    answers = []
    for size in (10, 5000, BUFFER + 1, 5 * BUFFER):
        whole = body(size)
        with web.connect(server.port) as connection:
            connection.sendall(b"POST /buffers HTTP/1.1\r\nHost: x\r\n"
                               b"Content-Length: %d\r\n\r\n" % size)
            for at in range(0, size, size // 5):
                connection.sendall(whole[at:at + size // 5])
                # an answer to something else: the piece was read alone
                assert server.get("/nothing").status == 404
            answer = web.read_answer(connection.makefile("rb"))
        assert answer.status == 200
        answers.append((answer.json["offset"], whole))
    assert_arrived(topics, large_topic, answers)


def test_pipelined_requests_answer_in_order(nginx, topics, large_topic):
    server = nginx(CONF, TOPIC=large_topic)
    bodies = [body(size) for size in (3, 0, 100, BUFFER + 5, 1, 9000)]
    with web.connect(server.port) as connection:
        connection.sendall(b"".join(
            b"POST /buffers HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
            b"\r\n%b" % (len(one), one) for one in bodies))
        file = connection.makefile("rb")
        answers = [web.read_answer(file) for _ in bodies]
    assert [answer.status for answer in answers] == [200] * len(bodies)
    offsets = [answer.json["offset"] for answer in answers]
    assert offsets == sorted(offsets)
    assert_arrived(topics, large_topic, list(zip(offsets, bodies)))


def test_keep_alive_after_every_kind_of_answer(nginx, topics, large_topic):
    server = nginx(CONF, TOPIC=large_topic)
    with web.connect(server.port) as connection:
        file = connection.makefile("rb")
        for method, path, size, status in (
                (b"POST", b"/file", 70000, 200), (b"GET", b"/file", 0, 405),
                (b"POST", b"/nothing", 5, 404),
                (b"POST", b"/small", 2000, 200)):
            connection.sendall(
                b"%b %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                % (method, path, size) + body(size))
            assert web.read_answer(file).status == status
    assert [len(record.value) for record in topics.records(large_topic)] \
        == [70000, 2000]


def test_above_client_max_body_size_is_413(nginx, topics, large_topic):
    server = nginx(CONF, TOPIC=large_topic)
    answer = server.post("/memory", body(LARGEST))
    assert answer.status == 200
    with web.connect(server.port) as connection:
        connection.sendall(b"POST /memory HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: %d\r\n\r\n" % (LARGEST + 1))
        assert web.read_answer(connection.makefile("rb")).status == 413
    assert topics.count(large_topic) == 1


RECORD_LIMIT = """
    kafka_producer main {
        brokers  %%KAFKA%%;
        property message.max.bytes 100000;
        topic    %%TOPIC%%;
    }
    client_max_body_size 1m;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
    }
"""


def test_a_record_above_the_limit_is_413_and_leaves_the_others(nginx, topics,
                                                                topic):
    server = nginx(RECORD_LIMIT, TOPIC=topic)
    assert server.post("/", b"before").status == 200
    problem = assert_problem(server.post("/", b"x" * 200000), 413)
    assert "100000" in problem["detail"], "the limit is named"
    assert server.post("/", b"x" * 90000).status == 200
    assert server.post("/", b"after").status == 200
    assert [len(record.value) for record in topics.records(topic)] \
        == [6, 90000, 5]


@pytest.mark.parametrize("head, rest", [
    (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!"),
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
     b"5\r\nhello\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\n", b"zz\r\nhello\r\n0\r\n\r\n"),
    (b"Content-Length: -1\r\n", b"hello"),
])
def test_a_body_of_unclear_length_is_400(nginx, topics, large_topic, head,
                                         rest):
    server = nginx(CONF, TOPIC=large_topic)
    with web.connect(server.port) as connection:
        connection.sendall(b"POST /buffers HTTP/1.1\r\nHost: x\r\n" + head
                           + b"\r\n" + rest)
        assert web.read_answer(connection.makefile("rb")).status == 400
    assert topics.count(large_topic) == 0
