"""A byte order mark in front of a body: refused, kept, or cut off."""

import gzip

import pytest

from tests.lib.problem import assert_problem

BOM = b"\xef\xbb\xbf"

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    client_body_buffer_size 1k;
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic     %%TOPIC%%;
        kafka_strip_bom on;
        location = /raw   { kafka_pass main; }
        location = /json  { kafka_pass main; kafka_format json; }
        location = /lines { kafka_pass main; kafka_format ndjson; }
        location = /array { kafka_pass main; kafka_format array; }
        location = /auto  { kafka_pass main; kafka_format auto; }
        location = /made  { kafka_pass main; kafka_body 'x$request_body'; }
        location = /off {
            kafka_pass      main;
            kafka_format    json;
            kafka_strip_bom off;
        }
    }
"""


@pytest.fixture
def server(nginx, topic):
    return nginx(CONF, TOPIC=topic)


@pytest.mark.parametrize("path, body, values", [
    ("/raw", b"x", [b"x"]), ("/raw", b"", [b""]), ("/raw", BOM, [BOM]),
    ("/json", b'{"n":1}', [b'{"n":1}']), ("/lines", b"1\n2\n", [b"1", b"2"]),
    ("/array", b"[1,2]", [b"1", b"2"]), ("/auto", b"1\n2\n", [b"1", b"2"]),
    ("/auto", b'{\n"n":1}', [b'{\n"n":1}']), ("/made", b"y", [b"xy"]),
    ("/json", b'"' + b"x" * 100_000 + b'"', [b'"' + b"x" * 100_000 + b'"'])])
def test_it_is_cut_off_once(server, topics, topic, path, body, values):
    assert server.post(path, BOM + body).status == 200
    assert server.post(path, gzip.compress(BOM + body),
                       {"Content-Encoding": "gzip"}).status == 200
    assert [record.value for record in topics.records(topic)] == values * 2


def test_elsewhere_it_is_no_json(server, topics, topic):
    for path, body in (("/off", BOM + b"1"), ("/json", BOM + BOM + b"1"),
                       ("/json", BOM[:2] + b"1"), ("/lines", b"1\n" + BOM
                                                   + b"2\n")):
        assert_problem(server.post(path, body), 400, "no", "not-json")
    assert_problem(server.post("/json", BOM), 400, "no", "empty-body")
    assert topics.count(topic) == 0
