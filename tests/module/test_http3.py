"""HTTP/3, where this nginx and this curl have it."""

import os
import subprocess

import pytest

from tests.lib import nginx as programs
from tests.lib import web
from tests.lib.env import wait_for
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
        listen 127.0.0.1:%%PORT2%% quic;
        location = /buffers {
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
        location = /absent {
            kafka_pass  main;
            kafka_topic $arg_topic;
        }
    }
"""


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True).stdout


@pytest.fixture(scope="module")
def http3():
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


@pytest.fixture
def server(http3, nginx, topics):
    topic = topics.create(config={"max.message.bytes": "2500000"})
    made = nginx(CONF, start=False, TOPIC=topic)
    certificate(made.directory, "server", "/CN=localhost")
    made.start()
    made.topic = topic
    return made


@pytest.mark.parametrize("place", ["buffers", "file"])
def test_bodies_arrive_byte_for_byte(server, topics, place):
    sent = {}
    for size in (0, 1, 4096, BUFFER, BUFFER + 1, 3 * BUFFER + 7, 1 << 20):
        body = os.urandom(size)
        answer = web.request_http3(server.port2, f"/{place}", body)
        assert answer.status == 200, (size, answer)
        sent[answer.json["offset"]] = body
    assert {record.offset: record.value
            for record in topics.records(server.topic)} == sent


def test_a_body_of_unknown_length(server, topics):
    body = os.urandom(100000)
    answer = web.request_http3(server.port2, "/buffers", body, "-H",
                               "Content-Length:")
    assert answer.status == 200
    assert [record.value for record in topics.records(server.topic)] \
        == [body]


def test_refusals_are_problems_and_keep_nothing(server, topics):
    assert_problem(web.request_http3(server.port2, "/json", b"{"), 400)
    assert_problem(web.request_http3(server.port2, "/absent?topic=x", b"x"),
                   404)
    assert_problem(web.request_http3(server.port2, "/buffers", b"x", "-X",
                                     "DELETE"), 405)
    assert web.request_http3(server.port2, "/buffers",
                             b"x" * (3 << 20)).status == 413
    assert topics.count(server.topic) == 0


def test_streams_of_one_connection_are_answered_each_its_own(server, topics):
    """All at once: the connection's other streams go on meanwhile."""
    count = 60
    said = output(
        "curl", "-sS", "--http3-only", "--insecure", "--max-time", "60",
        "--parallel", "--parallel-max", "30", "--data-binary", "x",
        "-o", "/dev/null", "-w", "%{http_code}\n",
        f"https://127.0.0.1:{server.port2}/buffers?[1-{count}]")
    assert said.split() == ["200"] * count
    assert topics.count(server.topic) == count


def test_a_client_that_leaves_is_forgotten(server, topics):
    """Its record was produced already, and stays."""
    gone = subprocess.run(
        ["curl", "-sS", "--http3-only", "--insecure", "--max-time", "0.5",
         "--data-binary", "gone",
         f"https://127.0.0.1:{server.port2}/slow"],
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert gone.returncode == 28, gone
    wait_for(lambda: topics.count(server.topic) == 1, 30, "the record")
    answer = web.request_http3(server.port2, "/buffers", b"after")
    assert answer.status == 200
    assert answer.json["offset"] == 1
