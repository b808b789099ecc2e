"""HTTP/2, and HTTP/3 where this nginx and this curl have it."""

import os
import subprocess

import pytest

from tests.lib import nginx as programs
from tests.lib import web
from tests.lib.env import wait_for
from tests.lib.http2 import Streams
from tests.lib.problem import assert_problem
from tests.lib.tls import certificate

BUFFER = 16 * 1024

CONF = """
    kafka_producer main {
        brokers  %%KAFKA%%;
        property message.max.bytes 2500000;
        topic    %%TOPIC%%;
    }
    kafka_producer slow {
        brokers  %%KAFKA%%;
        property linger.ms 1500;
        topic    %%TOPIC%%;
    }
    client_max_body_size    2m;
    client_body_buffer_size 16k;
    ssl_certificate         %%DIR%%/server.pem;
    ssl_certificate_key     %%DIR%%/server.key;
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% %%LISTEN%%;
        location = /buffers {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /small {
            client_max_body_size 1k;
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /file {
            client_body_in_file_only clean;
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /json {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
        }
        location = /slow {
            kafka_pass  slow;
            kafka_topic %%TOPIC%%;
        }
        location = /status { kafka_status json; }
        location = /absent {
            kafka_pass  main;
            kafka_topic $arg_topic;
        }
    }
"""


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True).stdout


def has_http3():
    """Skips without it; fails where SLUICE_HTTP3=1 says that it is there."""
    lacks = []
    if "http_v3_module" not in output(programs.PROGRAM, "-V"):
        lacks.append("nginx is built without --with-http_v3_module")
    if "HTTP3" not in output("curl", "-V").split():
        lacks.append("curl is built without HTTP/3")
    if lacks:
        give_up = pytest.fail if os.environ.get("SLUICE_HTTP3") == "1" \
            else pytest.skip
        give_up("; ".join(lacks))


@pytest.fixture(params=["http2", "http3"])
def server(request, nginx, topics):
    if request.param == "http3":
        has_http3()
    topic = topics.create(config={"max.message.bytes": "2500000"})
    made = nginx(CONF, start=False, TOPIC=topic,
                 LISTEN="quic" if request.param == "http3" else "http2")
    certificate(made.directory, "server", "/CN=localhost")
    made.start()
    made.topic = topic
    made.http2 = request.param == "http2"
    if made.http2:
        made.post_stream = web.request_http2
        made.curl = ["--http2-prior-knowledge"]
        made.url = f"http://127.0.0.1:{made.port2}"
    else:
        made.post_stream = web.request_http3
        made.curl = ["--http3-only", "--insecure"]
        made.url = f"https://127.0.0.1:{made.port2}"
    return made


def ask(server, path, body, method="POST"):
    """An answer may come before the body was sent, which curl takes for an
    error: 7.88 in HTTP/2, with OpenSSL's QUIC any."""
    if not server.http2:
        return web.request_http3(server.port2, path, body, "-X", method)
    client = Streams(server.port2)
    answer = client.post(path, body, method)
    client.close()
    return answer


@pytest.mark.parametrize("place", ["buffers", "file"])
def test_bodies_arrive_byte_for_byte(server, topics, place):
    sent = {}
    for size in (0, 1, 4096, BUFFER, BUFFER + 1, 3 * BUFFER + 7, 1 << 20):
        body = os.urandom(size)
        answer = server.post_stream(server.port2, f"/{place}", body)
        assert answer.status == 200, (size, answer)
        sent[answer.json["offset"]] = body
    assert {record.offset: record.value
            for record in topics.records(server.topic)} == sent


def test_a_body_of_unknown_length(server, topics):
    body = os.urandom(100000)
    answer = server.post_stream(server.port2, "/buffers", body, "-H",
                               "Content-Length:")
    assert answer.status == 200
    assert [record.value for record in topics.records(server.topic)] \
        == [body]


def test_refusals_are_problems_and_keep_nothing(server, topics):
    assert_problem(ask(server, "/json", b"{"), 400)
    assert_problem(ask(server, "/absent?topic=x", b"x"), 404)
    assert_problem(ask(server, "/buffers", b"x", "DELETE"), 405)
    assert ask(server, "/small", b"x" * 2000).status == 413
    if server.http2:
        assert ask(server, "/buffers", b"x" * (3 << 20)).status == 413
    assert topics.count(server.topic) == 0


def test_streams_of_one_connection_are_answered_each_its_own(server, topics):
    """All at once: the connection's other streams go on meanwhile."""
    count = 60
    if server.http2:
        client = Streams(server.port2)
        streams = [client.begin("/buffers") for _ in range(count)]
        for stream in reversed(streams):
            client.send(stream, b"x", end=True)
        client.wait(streams)
        said = [str(client.answers[stream].status) for stream in streams]
        client.close()
    else:
        said = output(
            "curl", "-sS", *server.curl, "--max-time", "60", "--parallel",
            "--parallel-max", "30", "--data-binary", "x", "-o", "/dev/null",
            "-w", "%{http_code}\n", f"{server.url}/buffers?[1-{count}]"
        ).split()
    assert said == ["200"] * count
    assert topics.count(server.topic) == count


def test_a_client_that_leaves_is_forgotten(server, topics):
    """Its record was produced already, and stays."""
    gone = subprocess.run(
        ["curl", "-sS", *server.curl, "--max-time", "0.5",
         "--data-binary", "gone", f"{server.url}/slow"],
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert gone.returncode == 28, gone
    wait_for(lambda: topics.count(server.topic) == 1, 30, "the record")
    answer = server.post_stream(server.port2, "/buffers", b"after")
    assert answer.status == 200
    assert answer.json["offset"] == 1


@pytest.mark.parametrize("server", ["http2"], indirect=True)
def test_streams_that_are_reset_leave_the_others(server, topics):
    """Bodies come in turns; a third of the streams end within theirs, a
    third while their records wait."""
    client = Streams(server.port2)
    streams = [client.begin("/slow") for _ in range(30)]
    for stream in streams:
        client.send(stream, b"%d," % stream)
    for stream in streams[::3]:
        client.reset(stream)
    whole = [stream for stream in streams if stream not in streams[::3]]
    for stream in whole:
        client.send(stream, b"%d" % stream, end=True)
    wait_for(lambda: server.get("/status").json["in_flight"] == 20, 5,
             "all that were sent whole wait")
    for stream in whole[::2]:
        client.reset(stream)
    client.wait(whole[1::2])
    assert {stream: answer.status for stream, answer
            in client.answers.items()} == dict.fromkeys(whole[1::2], 200)
    # a record that was produced already stays
    found = {record.offset: record.value
             for record in topics.records(server.topic)}
    assert sorted(found.values()) == sorted(b"%d,%d" % (stream, stream)
                                            for stream in whole)
    for stream, answer in client.answers.items():
        assert found[answer.json["offset"]] == b"%d,%d" % (stream, stream)
    assert server.get("/status").json["in_flight"] == 0
    assert client.post("/buffers", b"after").status == 200
    client.close()
