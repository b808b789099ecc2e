"""What an error says, and who says it."""

import pytest

from tests.lib.env import wait_for
from tests.lib.problem import assert_problem

PLAIN = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
    }
"""

INTERCEPT = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    log_format kafka '$uri $status $kafka_status $kafka_error';
    server {
        listen 127.0.0.1:%%PORT%%;
        access_log %%DIR%%/kafka.log kafka;
        location = /own {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
            error_page   400 =418 /teapot;
            error_page   405 = /teapot;
            kafka_intercept_errors on;
        }
        location = /ours {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
            error_page   400 =418 /teapot;
        }
        location = /teapot {
            internal;
            return 200 "teapot $sent_http_allow";
        }
    }
"""


def test_put_is_as_good_as_post(nginx, topics, topic):
    server = nginx(PLAIN, TOPIC=topic)
    assert server.request("PUT", "/", b"put").status == 200
    assert [record.value for record in topics.records(topic)] == [b"put"]


def test_options_is_204_with_allow(nginx, topics, topic):
    server = nginx(PLAIN, TOPIC=topic)
    for body in (None, b"a body"):
        answer = server.request("OPTIONS", "/", body)
        assert answer.status == 204 and answer.body == b""
        assert answer.headers["allow"] == "POST, PUT, OPTIONS"
    assert topics.count(topic) == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH"])
def test_another_method_is_405_with_allow(nginx, topics, topic, method):
    server = nginx(PLAIN, TOPIC=topic)
    answer = server.request(method, "/")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, PUT, OPTIONS"
    if method != "HEAD":
        assert_problem(answer, 405)
    assert topics.count(topic) == 0


def test_intercepted_errors_go_to_error_page(nginx, topics, topic):
    server = nginx(INTERCEPT, TOPIC=topic)
    answer = server.post("/own", b"{")
    assert answer.status == 418
    assert answer.body.startswith(b"teapot")
    answer = server.get("/own")
    assert answer.body.startswith(b"teapot")
    assert_problem(server.post("/ours", b"{"), 400)
    assert server.post("/own", b"{}").status == 200
    log = server.directory / "kafka.log"
    wait_for(lambda: log.read_text().count("\n") == 4, 5, "four lines")
    assert log.read_text().splitlines() == [
        "/teapot 418 no not-json", "/teapot 200 no method-not-allowed",
        "/ours 400 no not-json", "/own 200 yes -"]
    assert topics.count(topic) == 1


def test_each_error_is_logged_with_its_tag_and_no_client_bytes(nginx, topic):
    server = nginx(INTERCEPT, TOPIC=topic)
    problem = assert_problem(server.post("/ours", b'{"secret-word":'), 400)
    tag = problem["type"].rpartition("/")[2].rpartition(":")[2]
    assert f"[{tag}]" in server.log()
    assert "secret-word" not in server.log()
