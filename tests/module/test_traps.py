"""What nginx does around an answer must not make it a lie."""

import socket

from tests.lib import procs, web
from tests.lib.env import SANITIZED, wait_for
from tests.lib.metrics import scrape
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
        topic   %%TOPIC%%.checked schema=%%SCHEMA%%;
    }
    client_max_body_size 1m;
    kafka_schema %%SCHEMA%%;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / { kafka_pass main; kafka_topic %%TOPIC%%; }
        location = /checked {
            kafka_pass  main;
            kafka_topic %%TOPIC%%.checked;
        }
        location = /inherited {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
        }
        location = /streamed {
            proxy_pass http://127.0.0.1:1;
            proxy_request_buffering off;
            error_page 502 = @kept;
        }
        location = /buffered {
            proxy_pass http://127.0.0.1:1;
            error_page 502 =200 @kept;
        }
        location = /refused {
            proxy_pass http://127.0.0.1:1;
            error_page 502 =200 @absent;
        }
        location @kept { kafka_pass main; kafka_topic %%TOPIC%%; }
        location @absent { kafka_pass main; kafka_topic $arg_topic; }
    }
"""


def start(nginx, topic, directory):
    schema = directory / "schema.json"
    schema.write_text('{"type":"object"}')
    return nginx(CONF, TOPIC=topic, SCHEMA=str(schema))


def test_a_body_passed_on_by_another_handler_is_not_an_empty_record(
        nginx, topic, topics, directory):
    server = start(nginx, topic, directory)
    assert_problem(server.post("/streamed", b"x" * 400000), 500, "no")
    assert server.post("/buffered", b"y" * 400000).status == 200
    assert [len(record.value) for record in topics.records(topic)] == [400000]


def test_conditions_do_not_change_the_answer(nginx, topic, topics, directory):
    server = start(nginx, topic, directory)
    for header in ({"If-Match": '"x"'}, {"If-None-Match": "*"},
                   {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}):
        assert server.post("/", b"x", headers=header).status == 200
    assert topics.count(topic) == 3


def test_error_page_cannot_make_a_refusal_a_200(nginx, topic, topics,
                                                directory):
    server = start(nginx, topic, directory)
    assert_problem(server.post("/refused?topic=nowhere", b"x"), 404, "no")
    assert topics.count(topic) == 0


def test_a_topics_schema_holds_in_every_location(nginx, topic, topics,
                                                 directory):
    topics.create(name=f"{topic}.checked")
    server = start(nginx, topic, directory)
    assert_problem(server.post("/checked", b"not json"), 400, "no")
    assert_problem(server.post("/checked", b"[]"), 422, "no")
    assert server.post("/checked", b"{}").status == 200


def test_an_inherited_schema_leaves_raw_locations_alone(nginx, topic,
                                                        directory):
    server = start(nginx, topic, directory)
    assert server.post("/", b"\x00raw").status == 200
    assert_problem(server.post("/inherited", b"[]"), 422, "no")


def test_an_answer_is_utf8_whatever_the_request_says(nginx, topic, directory):
    server = start(nginx, topic, directory)
    with web.connect(server.port) as connection:
        connection.sendall(b"POST /refused?topic=\xed\xa0\x80 HTTP/1.1\r\n"
                           b"Host: x\r\nContent-Length: 1\r\n\r\nx")
        answer = web.read_answer(connection.makefile("rb"))
    assert answer.status == 404
    answer.body.decode("utf-8")


LEAVING = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            post_action /done;
        }
        location = /again {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            post_action /;
        }
        location = /done { return 204; }
        location = /status { kafka_status json; }
        location = /metrics { kafka_status prometheus; }
    }
"""


def test_clients_that_leave_before_a_post_action(nginx, own_kafka,
                                                 own_topics):
    """nginx goes on with another location before it ends the request."""
    topic = own_topics.create()
    server = nginx(LEAVING, TOPIC=topic, KAFKA=own_kafka.bootstrap)
    assert server.post("/", b"first").status == 200
    worker = server.worker()
    own_kafka.pause()
    for path in ("/", "/again") * 5:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            waiting = server.get("/status").json["in_flight"]
            client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n"
                           "Content-Length: 4\r\n\r\nleft".encode())
            wait_for(lambda w=waiting:
                     server.get("/status").json["in_flight"] > w, 10,
                     "it waits")
    own_kafka.resume()
    wait_for(lambda: server.get("/status").json["in_flight"] == 0, 20,
             "none waits any more")
    wait_for(lambda: server.post("/", b"last").status == 200, 20, "serving")
    assert server.worker() == worker
    # "/again" produces once more, and is answered where nobody listens
    codes = {labels["code"]: count for labels, count in scrape(server).find(
        "sluice_http_requests_total") if count}
    assert codes == {"kept": 7, "client-left": 10}


PLACED = """
    kafka_producer main { brokers %%KAFKA%%; topic %%TOPIC%%; }
    kafka_request_headers off;
    client_max_body_size 8m;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass      main;
            kafka_topic     %%TOPIC%%;
            kafka_format    ndjson;
            kafka_partition $arg_p;
        }
    }
"""


def test_a_batch_to_a_partition_that_there_is_not(nginx, topics):
    topic = topics.create(partitions=2)
    server = nginx(PLACED, TOPIC=topic)
    body = b"1\n2\n3\n"
    assert server.post("/?p=1", body).status == 200
    large = (b'"' + b"x" * 100000 + b'"\n') * 20
    assert_problem(server.post("/?p=9", large), 400, "no", "bad-partition")
    before = procs.rss(server.worker())
    for _ in range(50):
        assert_problem(server.post("/?p=9", large), 400, "no",
                       "bad-partition")
    # 100 MB were refused
    assert procs.rss(server.worker()) - before < 20e6 or SANITIZED
    assert server.post("/", body).status == 200
    assert topics.count(topic) == 6
