"""What an error says, and who says it."""

import pytest

from tests.lib import web
from tests.lib.env import ROOT, wait_for
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
    log_format kafka '$uri $status $kafka_persisted $kafka_error';
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


FALLBACK = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    kafka_limit_zone all zone=a:1m records=1/m;
    kafka_topic %%TOPIC%%;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass   main;
            kafka_limit  zone=a;
            kafka_intercept_errors on;
            error_page   429 = @more;
            error_page   405 = @more;
        }
        location @more {
            kafka_pass   main;
            kafka_format json;
        }
    }
"""


def headers_of(server, method, path, body=b""):
    """Names of all headers, each as often as it comes."""
    with web.connect(server.port) as client:
        client.sendall(b"%b %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                       b"Content-Length: %d\r\n\r\n%b"
                       % (method, path, len(body), body))
        answer = client.makefile("rb").read().partition(b"\r\n\r\n")[0]
    status, *lines = answer.decode().split("\r\n")
    return int(status.split()[1]), [line.partition(":")[0].lower()
                                    for line in lines]


def test_what_an_intercepted_problem_says_ends_with_it(nginx, topics, topic):
    """An error_page may lead to another kafka_pass, as to other brokers."""
    server = nginx(FALLBACK, TOPIC=topic)
    assert server.post("/", b"1").status == 200
    status, names = headers_of(server, b"POST", b"/", b"2")
    assert status == 200
    assert not {"retry-after", "ratelimit", "ratelimit-policy"} & set(names)
    status, names = headers_of(server, b"POST", b"/", b"{")
    assert status == 400 and "retry-after" not in names
    status, names = headers_of(server, b"DELETE", b"/")
    assert status == 405 and names.count("allow") == 1
    assert topics.count(topic) == 2


SHIPPED = """
    kafka_producer main {
        brokers 127.0.0.1:1;
        timeout 300ms;
        topic   post;
    }
    map $uri $foreign_site { default 0; }
    map $uri $other_type { default 0; }
    server {
        listen 127.0.0.1:%%PORT%%;
        %%EXAMPLE%%
    }
"""


def test_the_shipped_example_says_once_when_to_try_again(nginx):
    text = (ROOT / "nginx.conf.example").read_text(encoding="utf-8")
    begin = text.index("location = /api/v1/create-post {")
    server = nginx(SHIPPED,
                   EXAMPLE=text[begin:text.index("location / {", begin)])
    status, names = headers_of(server, b"POST", b"/api/v1/create-post",
                               b"{}")
    assert status == 500 and names.count("retry-after") == 1


def test_each_error_is_logged_with_its_tag_and_no_client_bytes(nginx, topic):
    server = nginx(INTERCEPT, TOPIC=topic)
    problem = assert_problem(server.post("/ours", b'{"secret-word":'), 400)
    tag = problem["type"].rpartition("/")[2]
    # the answer names the line of its request
    line, = [line for line in server.log().splitlines() if f"[{tag}]" in line]
    assert f"id: {problem['instance'].rpartition(':')[2]}," in line
    assert "secret-word" not in server.log()


TYPES = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    log_format id $request_id;
    server {
        listen 127.0.0.1:%%PORT%%;
        access_log %%DIR%%/id.log id;
        kafka_topic  %%TOPIC%%;
        kafka_format ndjson;
        kafka_problem_base https://docs.test/errors#;
        location / {
            kafka_pass main;
        }
        location = /old {
            kafka_pass main;
            kafka_problem_base urn:sluice:problem:;
        }
    }
"""


def test_the_types_of_problems_begin_as_configured(nginx, topic):
    server = nginx(TYPES, TOPIC=topic)
    for path, base in (("/", "https://docs.test/errors#"),
                       ("/old", "urn:sluice:problem:")):
        problem = server.post(path, b"1\n{\n").json
        assert problem["type"] == base + "not-json"
        assert problem["results"][0]["type"] == base + "not-json"
        # what the access log may hold of all requests
        wait_for(lambda i=problem["instance"]: i.rpartition(":")[2] in
                 (server.directory / "id.log").read_text().split(), 5, "it")
