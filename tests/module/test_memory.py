"""What a request holds ends with its records, not with its client."""

import gzip
import json
import os
import random
import signal
import subprocess

import pytest

from tests.lib import procs, web
from tests.lib.env import SANITIZED, loops, wait_for
from tests.lib.http2 import Streams
from tests.lib.problem import assert_problem
from tests.lib.tls import certificate
from tests.module.test_encoding import zstd
from tests.module.test_streams import has_http3

MIB = 1024 * 1024
COUNT = 24
SIZE = 7 * MIB              # of a body, decoded

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        queue   %%QUEUE%%;
        timeout 30s;
        property linger.ms %%LINGER%%;
        topic   %%TOPIC%%;
    }
    kafka_timeout           40s;
    client_max_body_size    8m;
    client_body_buffer_size 16k;
    ssl_certificate         %%DIR%%/server.pem;
    ssl_certificate_key     %%DIR%%/server.key;
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% %%LISTEN%%;
        kafka_topic %%TOPIC%%;
        location = /lines  { kafka_pass main; kafka_format ndjson; }
        location = /queued {
            kafka_pass   main;
            kafka_format ndjson;
            kafka_ack    queued;
        }
        location = /errors {
            kafka_pass   main;
            kafka_format ndjson;
            kafka_intercept_errors on;
            error_page   400 = /page;
        }
        location = /raw    { kafka_pass main; }
        location = /page   { return 400 "no\\n"; }
        location = /bare   { proxy_pass http://127.0.0.1:%%PORT%%/page; }
        location = /status { kafka_status json; }
    }
"""

# few bytes as they are sent, many decoded; what the answer is
BLANK = b"\n" * SIZE
LONG = b'{"a":1}' + b" " * 5000
BODIES = {
    "kept": (b'{"a":1}\n' + BLANK, 200),
    "records": ((LONG + b"\n") * 1000, 200),
    "bad records": (b"{" * 7000 + b"\n" + (b'{"a":\n' * 999), 400),
    "empty": (BLANK, 400),
    "too many": (b"1\n" * (SIZE // 2), 413),
}


def start(nginx, topics, listen="http2", linger=1, queue="64m"):
    server = nginx(CONF, start=False, LISTEN=listen, LINGER=linger,
                   QUEUE=queue,
                   TOPIC=topics.create(
                       config={"max.message.bytes": "9000000"}))
    certificate(server.directory, "server", "/CN=localhost")
    return server.start()


class Growth:
    """Resident bytes of the worker above those after a first request."""

    def __init__(self, server, post):
        assert server.post("/lines", b"1").status == 200
        for _ in range(2):
            post()
        self.worker = server.worker()
        self.server = server
        self.before = procs.rss(self.worker)

    def now(self):
        return procs.rss(self.worker) - self.before

    def ends(self, bound, what):
        """The allocator's own back-log is a few blocks of the largest."""
        assert self.server.worker() == self.worker
        if not SANITIZED:
            wait_for(lambda: self.now() < bound, 10, what)


def packed(name, coding):
    body, status = BODIES[name]
    sent = gzip.compress(body, 9) if coding == "gzip" else zstd(body, "-19")
    assert len(sent) < 16 * 1024
    return sent, status


def posts(client, path, sent, coding, count=COUNT):
    """Streams of a client that opens no window: heads of answers come."""
    streams = []
    for _ in range(count):
        stream = client.begin(path, headers=[
            ("content-encoding", coding), ("content-length", str(len(sent)))])
        client.send(stream, sent, end=True)
        streams.append(stream)
        client.hear(streams)
    return [client.answers[stream].status for stream in streams]


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("name", BODIES)
def test_answers_that_nobody_reads_hold_no_bodies(nginx, topics, name,
                                                  coding):
    server = start(nginx, topics)
    sent, status = packed(name, coding)

    def one():
        answer = server.post("/lines", sent, {"Content-Encoding": coding})
        assert answer.status == status, answer

    growth = Growth(server, one)
    client = Streams(server.port2, window=0)
    assert posts(client, "/lines", sent, coding) == [status] * COUNT
    growth.ends(24 * MIB, "bodies are freed")
    client.close()


@pytest.mark.parametrize("path", ["/queued", "/errors"])
def test_queued_and_intercepted_answers_hold_no_bodies(nginx, topics, path):
    server = start(nginx, topics)
    name, status = ("kept", 202) if path == "/queued" else ("empty", 400)
    sent = packed(name, "zstd")[0]

    def one():
        assert server.post(path, sent, {"Content-Encoding": "zstd"}
                           ).status == status

    growth = Growth(server, one)
    client = Streams(server.port2, window=0)
    assert posts(client, path, sent, "zstd") == [status] * COUNT
    growth.ends(24 * MIB, "bodies are freed")
    client.close()


def test_a_record_made_of_the_body_ends_too(nginx, topics):
    """kafka_body with the decoded body in it, and that escaped."""
    server = nginx(CONF.replace("location = /page", """location = /made {
            kafka_pass   main;
            kafka_format json;
            kafka_body   '{"sent":"$kafka_json_request_body"}';
        }
        location = /page"""), start=False, LISTEN="http2", LINGER=1,
                   QUEUE="64m", TOPIC=topics.create())
    certificate(server.directory, "server", "/CN=localhost")
    server.start()
    sent = gzip.compress(b"x" * 950_000, 9)

    def one():
        assert server.post("/made", sent, {"Content-Encoding": "gzip"}
                           ).status == 200

    growth = Growth(server, one)
    client = Streams(server.port2, window=0)
    assert posts(client, "/made", sent, "gzip", 2 * COUNT) == [200] * 2 * COUNT
    growth.ends(24 * MIB, "bodies are freed")
    client.close()


def test_bodies_as_they_are_and_their_files_end_too(nginx, topics):
    """Half of them in nginx's buffer, half in a file."""
    server = start(nginx, topics)
    worker = server.worker()
    assert server.post("/raw", b"x").status == 200
    client = Streams(server.port2, window=0)
    before = procs.descriptors(worker)
    streams = []
    for number in range(loops(40, 400)):
        body = os.urandom(15_000 if number % 2 else 100_000)
        stream = client.begin("/raw", headers=[
            ("content-length", str(len(body)))])
        client.send(stream, body, end=True)
        streams.append(stream)
        client.hear(streams)
    assert {client.answers[stream].status for stream in streams} == {200}
    assert procs.descriptors(worker) <= before + 1
    client.close()


@pytest.mark.parametrize("name", BODIES)
def test_pipelined_requests_hold_no_bodies(nginx, topics, name):
    server = start(nginx, topics)
    sent, status = packed(name, "zstd")
    head = (b"POST /lines HTTP/1.1\r\nHost: x\r\nContent-Encoding: zstd\r\n"
            b"Content-Length: %d\r\n\r\n" % len(sent))

    def one():
        assert server.post("/lines", sent, {"Content-Encoding": "zstd"}
                           ).status == status

    growth = Growth(server, one)
    requests = server.get("/status").json["requests"]
    with web.connect(server.port) as connection:
        connection.sendall((head + sent) * COUNT)
        file = connection.makefile("rb")
        # as many as there is room for: the others wait in the socket
        assert web.read_answer(file).status == status
        growth.ends(24 * MIB, "bodies are freed")
        for _ in range(COUNT - 1):
            assert web.read_answer(file).status == status
    assert requests != server.get("/status").json["requests"]


def test_bodies_that_are_read_at_once_are_bounded_by_queue(nginx, topics):
    """Each takes several turns of the loop, so that all are begun."""
    server = start(nginx, topics, queue="16m")
    sent = packed("empty", "zstd")[0]
    growth = Growth(server, lambda: server.post(
        "/lines", sent, {"Content-Encoding": "zstd"}))
    client = Streams(server.port2)
    streams = [client.begin("/lines", headers=[
        ("content-encoding", "zstd"), ("content-length", str(len(sent)))])
        for _ in range(64)]
    for stream in streams:
        client.send(stream, sent, end=True)
    client.wait(streams)
    said = [client.answers[stream] for stream in streams]
    assert {answer.status for answer in said} == {400, 503}
    for answer in said:
        if answer.status == 503:
            assert_problem(answer, 503, "no", "queue-full")
    peak = procs.peak_rss(growth.worker) - growth.before
    if not SANITIZED:
        # the queue, one that is read in one turn, zstd's own
        assert peak < 48 * MIB, peak
    client.close()
    assert server.post("/lines", b"1").status == 200


def test_bodies_end_while_their_records_wait(nginx, topics):
    """Handed over: librdkafka has a copy of each record, nobody else."""
    server = start(nginx, topics, linger=12_000)
    sent = packed("kept", "zstd")[0]
    assert server.post("/queued", b"1").status == 202
    worker = server.worker()
    before = procs.rss(worker)
    client = Streams(server.port2)
    for number in range(1, COUNT + 1):
        stream = client.begin("/lines", headers=[
            ("content-encoding", "zstd"), ("content-length", str(len(sent)))])
        client.send(stream, sent, end=True)
        wait_for(lambda: server.get("/status").json["in_flight"] == number,
                 10, "it waits")
    if not SANITIZED:
        assert procs.rss(worker) - before < 32 * MIB
    client.close()


def test_http3_answers_that_nobody_reads_hold_no_bodies(nginx, topics,
                                                        tmp_path):
    """The client stops while its records wait."""
    has_http3()
    server = start(nginx, topics, listen="quic", linger=1500)
    sent = packed("kept", "zstd")[0]
    (tmp_path / "body").write_bytes(sent)
    growth = Growth(server, lambda: None)
    client = subprocess.Popen(
        ["curl", "-sS", "--http3-only", "--insecure", "--parallel",
         "--parallel-max", str(COUNT), "-H", "Content-Encoding: zstd",
         "--data-binary", f"@{tmp_path}/body", "-o", "/dev/null",
         f"https://127.0.0.1:{server.port2}/lines?[1-{COUNT}]"])
    try:
        wait_for(lambda: server.get("/status").json["in_flight"] == COUNT,
                 20, "all wait")
        client.send_signal(signal.SIGSTOP)
        wait_for(lambda: server.get("/status").json["in_flight"] == 0, 20,
                 "all are answered")
        growth.ends(24 * MIB, "bodies are freed")
    finally:
        client.kill()
        client.wait()


SHARED = """
    log_format body escape=json '$request_body';
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    client_body_buffer_size 16k;
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic %%TOPIC%%;
        location = /log {
            access_log %%DIR%%/body.log body;
            kafka_pass main;
        }
    }
"""

MIRRORED = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    client_body_buffer_size 16k;
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic %%TOPIC%%;
        location = /both {
            mirror     /copy;
            kafka_pass main;
        }
        location = /copy { internal; kafka_pass main; }
        location = /fallback {
            kafka_pass main;
            kafka_format json;
            kafka_intercept_errors on;
            error_page 400 = @raw;
        }
        location @raw { kafka_pass main; }
        location = /after {
            kafka_pass  main;
            post_action @raw;
        }
    }
"""


@pytest.mark.parametrize("size", [10, 15_000, 100_000])
def test_who_else_wants_the_body_still_has_it(nginx, topics, size):
    """Mirrors, pages for errors and post_action read it after the answer."""
    topic = topics.create()
    server = nginx(MIRRORED, TOPIC=topic)
    bodies = [random.Random(number).randbytes(size) for number in range(3)]
    for path, body in zip(["/both", "/fallback", "/after"], bodies):
        assert server.post(path, body).status == 200, path
    wanted = sorted(bodies[:1] * 2 + bodies[1:2] + bodies[2:] * 2)
    wait_for(lambda: sorted(record.value for record in topics.records(topic))
             == wanted, 10, "each body once more, but the fallback's")


def test_a_body_that_is_logged_is_kept_for_it(nginx, topics):
    server = nginx(SHARED, TOPIC=topics.create())
    body = b"b" * 15_000
    assert server.post("/log", body).status == 200
    log = server.directory / "body.log"
    wait_for(lambda: log.exists() and log.read_bytes().strip(), 5, "a line")
    assert log.read_bytes().strip() == body


def test_a_long_answer_ends_with_its_text(nginx, topics):
    """Results of a batch nobody reads cost their text and no more."""
    server = start(nginx, topics)
    lines = b"\n".join(b'{"a":%d}' % number for number in range(1000))

    def one():
        answer = server.post("/lines", lines)
        assert answer.status == 200
        return len(answer.body)

    growth = Growth(server, one)
    text = one()
    client = Streams(server.port2, window=0)
    count = loops(100, 120)
    said = posts(client, "/lines", gzip.compress(lines), "gzip", count)
    assert said == [200] * count
    growth.ends(count * (text + 16 * 1024) + 8 * MIB, "records are freed")
    client.close()
    assert json.loads(server.get("/status").body)["in_flight"] == 0
