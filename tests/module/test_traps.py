"""What nginx does around an answer must not make it a lie."""

from tests.lib import web
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
