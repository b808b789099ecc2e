"""kafka_body: what a client sends stays inside its string, and is whole."""

import gzip
import json
import urllib.parse

import pytest

from tests.lib import web
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers  %%KAFKA%%;
        property message.max.bytes 500000;
        topic    %%TOPIC%%;
    }
    map $arg_page $mapped { default "m:$arg_page"; }
    log_format sent '$kafka_json_request_body';
    client_max_body_size    4m;
    client_body_buffer_size 1k;
    server {
        listen 127.0.0.1:%%PORT%%;
        access_log  %%DIR%%/sent.log sent;
        kafka_topic %%TOPIC%%;
        kafka_request_headers off;
        location = /pixel {
            kafka_pass   main;
            kafka_format json;
            kafka_body   '{"page":"$kafka_json_arg_page","of":"$kafka_json_mapped","agent":"$kafka_json_http_user_agent","sid":"$kafka_json_cookie_sid"}';
        }
        location = /plain {
            kafka_pass   main;
            kafka_key    $kafka_arg_k;
            kafka_body   '$kafka_arg_page';
        }
        location = /sent {
            kafka_pass   main;
            kafka_body   '$request_body';
        }
        location = /wrapped {
            kafka_pass   main;
            kafka_format json;
            kafka_body   '{"sent":"${kafka_json_request_body}","n":1}';
        }
        location = /ignored {
            kafka_pass   main;
            kafka_body   '$kafka_json_request_id';
        }
    }
"""
HOSTILE = 'a","admin":"1'


@pytest.fixture
def server(nginx, topic):
    return nginx(CONF, TOPIC=topic)


def test_a_value_cannot_leave_its_string(server, topics, topic):
    """In each kind of variable; an argument is percent-decoded, too."""
    values = ["plain", HOSTILE, 'back\\slash\\"', "tab\t line\n bell\x07",
              "Z\u00fcrich \u20ac \U0001f600", "100%", "a+b c", "\x7f", ""]
    for value in values:
        argument = urllib.parse.quote_plus(value)
        header = "".join(c for c in value if 0x20 <= ord(c) < 0x7f).strip()
        answer = server.get(f"/pixel?x=1&page={argument}", headers={
            "User-Agent": header, "Cookie": f"sid={header.split(';')[0]}"})
        assert answer.status == 200, (value, answer)
    found = [json.loads(record.value) for record in topics.records(topic)]
    assert [record["page"] for record in found] == values
    # what is not of this module's making stays as it was sent
    assert [record["of"] for record in found] \
        == ["m:" + urllib.parse.quote_plus(value) for value in values]
    assert found[1]["agent"] == found[1]["sid"] == HOSTILE
    assert all(set(record) == {"page", "of", "agent", "sid"}
               for record in found)


def test_a_quote_that_is_not_encoded_stays_inside_too(server, topics, topic):
    with web.connect(server.port) as client:
        client.sendall(b'GET /pixel?page=%b HTTP/1.1\r\nHost: x\r\n\r\n'
                       % HOSTILE.encode())
        assert web.read_answer(client.makefile("rb")).status == 200
    record, = topics.records(topic)
    assert json.loads(record.value) == {"page": HOSTILE, "agent": "",
                                        "of": f"m:{HOSTILE}", "sid": ""}


def test_what_is_no_text_becomes_one_or_is_refused(server, topics, topic):
    for argument, kept in (("%ff%C3%A4", "\ufffd\u00e4"), ("%zz%4", "%zz%4"),
                           ("%ed%a0%80", "\ufffd\ufffd\ufffd")):
        assert server.get(f"/pixel?page={argument}").status == 200
        assert json.loads(topics.records(topic)[-1].value)["page"] == kept
    assert_problem(server.get("/pixel?page=a%00b"), 400, "no", "not-json")
    assert topics.count(topic) == 3


def test_an_argument_is_percent_decoded(server, topics, topic):
    for query in ("page=a%20b+c%2B%26d&k=Z%C3%BCrich", "K=k%3D1&page=", ""):
        assert server.get(f"/plain?{query}").status == 200
    assert [(record.key, record.value) for record in topics.records(topic)] \
        == [("Z\u00fcrich".encode(), b"a b c+&d"), (b"k=1", b""), (None, b"")]


@pytest.mark.parametrize("size", [0, 10, 1024, 1025, 300000])
def test_the_body_of_a_request_is_whole_and_decoded(server, topics, topic,
                                                    size):
    """Also in a file, in chunks and encoded; nginx's own $request_body is
    empty or encoded then."""
    body = ('"a" \\ Z\u00fcrich\n' * size).encode()[:size]
    body = body.decode(errors="ignore").encode()
    for path, kept in (("/sent", body.decode()),
                       ("/wrapped", {"sent": body.decode(), "n": 1})):
        for sent, headers in ((body, {}), (iter([body, b""]), {
                "Transfer-Encoding": "chunked"}), (gzip.compress(body), {
                    "Content-Encoding": "gzip"})):
            answer = server.post(path, sent, headers,
                                 chunked="Transfer-Encoding" in headers)
            assert answer.status == 200, (path, headers, answer)
            value = topics.records(topic)[-1].value.decode()
            assert (value if path == "/sent" else json.loads(value)) == kept
    assert topics.count(topic) == 6


def test_a_body_that_cannot_be_whole_is_refused(server, topics, topic):
    for path in ("/sent", "/wrapped"):
        assert_problem(server.post(path, b"x" * 600000), 413, "no",
                       "record-too-large")
        assert_problem(server.post(path, iter([b"x" * 600000]), {
            "Transfer-Encoding": "chunked"}, chunked=True), 413, "no",
            "record-too-large")
        assert_problem(server.post(path, gzip.compress(b"x" * 600000), {
            "Content-Encoding": "gzip"}), 413, "no", "record-too-large")
        assert_problem(server.post(path, gzip.compress(b"x")[:-1], {
            "Content-Encoding": "gzip"}), 400, "no", "bad-encoding")
    # its own size is what counts where the body is not used
    assert server.post("/ignored", b"x" * 600000).status == 200
    assert topics.count(topic) == 1


WARNED = """
    kafka_producer main {
        brokers 127.0.0.1:1;
        topic   post;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic post;
            kafka_body  '%%BODY%%';
        }
    }
"""


@pytest.mark.parametrize("name", ["arg_page", "http_referer", "cookie_sid",
                                  "request_uri", "args", "request_body"])
def test_a_variable_that_is_not_escaped_is_warned_of(nginx, name):
    made = nginx(WARNED, start=False, BODY=f'{{"page":"${name}"}}')
    code, said = made.test()
    assert code == 0
    assert f'use "$kafka_json_{name}"' in said and "[warn]" in said
    assert f"nginx.conf:{made.line_of('kafka_body')}" in said
    for fine in (f'{{"page":"$kafka_json_{name}"}}', f"${name}",
                 '{"at":"$msec $remote_addr $request_id $arguments"}'):
        made = nginx(WARNED.replace("location = / {", "set $arguments 1;"
                                    " location = / {"), start=False,
                     BODY=fine)
        code, said = made.test()
        assert code == 0 and "kafka_json" not in said


def test_a_name_that_there_is_not_is_refused(nginx):
    for name in ("nonsense", "1", "kafka_nothing"):
        made = nginx(WARNED, start=False,
                     BODY=f'{{"page":"$kafka_json_{name}"}}')
        made.expect(r"\[emerg\].* unknown")
        code, said = made.test()
        assert code != 0 and f'unknown "{name}" variable' in said
