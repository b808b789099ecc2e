"""Several producers and locations: each has its own cluster and settings,
and what a level does not say it has from the one around it."""

import gzip
import json
import time

import pytest

from tests.lib import web
from tests.lib.env import ROOT, wait_for
from tests.lib.problem import assert_problem

TWO = """
    kafka_producer one {
        brokers %%KAFKA%%;
        timeout 2s;
        topic   %%TOPIC%%;
    }
    kafka_producer two {
        brokers  %%OTHER%%;
        timeout  2s;
        property client.id other;
        topic    %%TOPIC%%;
        topic    %%ONLY%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic %%TOPIC%%;
        location = /one  { kafka_pass one; }
        location = /two  { kafka_pass two; }
        location = /only { kafka_pass two; kafka_topic $arg_topic; }
        location = /none { kafka_pass one; kafka_topic $arg_topic; }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
    }
"""


def test_two_clusters_do_not_know_of_each_other(nginx, topics, own_kafka,
                                                own_topics):
    name = topics.create()
    own_topics.create(name=name)
    own_topics.made.append(name)
    only = own_topics.create()
    server = nginx(TWO, TOPIC=name, ONLY=only, OTHER=own_kafka.bootstrap)
    assert server.post("/one", b"first").status == 200
    assert server.post("/two", b"second").status == 200
    assert server.post(f"/only?topic={only}", b"third").status == 200
    # what one declares the other does not reach
    assert_problem(server.post(f"/none?topic={only}", b"x"), 404, "no")
    assert [r.value for r in topics.records(name)] == [b"first"]
    assert [r.value for r in own_topics.records(name)] == [b"second"]
    assert [r.value for r in own_topics.records(only)] == [b"third"]

    wait_for(lambda: server.get("/ready").json == {"ready": True}, 10,
             "both are ready")
    own_kafka.pause()
    with web.connect(server.port) as waiting:
        waiting.sendall(b"POST /two HTTP/1.1\r\nHost: x\r\n"
                        b"Content-Length: 1\r\n\r\nx")
        wait_for(lambda: server.get("/status").json["in_flight"] == 1, 5)
        begin = time.monotonic()
        assert server.post("/one", b"meanwhile").status == 200
        assert time.monotonic() - begin < 1
        assert web.read_answer(waiting.makefile("rb")).status in (503, 504)
    # one that is away is enough
    ready = server.get("/ready")
    assert ready.status == 503
    assert ready.json["ready"] is False
    assert ready.json["producer"] == "two"
    assert ready.json["reason"] in ("no broker is up",
                                    "brokers do not acknowledge")
    assert server.post("/one", b"still").status == 200
    own_kafka.resume()
    wait_for(lambda: server.post("/two", b"again").status == 200, 20, "back")
    wait_for(lambda: server.get("/ready").status == 200, 10, "ready again")


# name: (what the server says, what the location says, the request, and what
# is seen under the server's and under the location's own)
KINDS = {
    "topic": ("kafka_topic %%TOPIC%%;", "kafka_topic %%OTHER%%;", {},
              lambda seen: seen.topic, "%%TOPIC%%", "%%OTHER%%"),
    "key": ("kafka_key outer;", "kafka_key inner;", {},
            lambda seen: seen.record.key, b"outer", b"inner"),
    "key_field": ("kafka_format json; kafka_key_field /a;",
                  "kafka_key_field /b;", {},
                  lambda seen: seen.record.key, b"1", b"2"),
    # one of two: the inner kind takes the outer one's place
    "key over field": ("kafka_format json; kafka_key_field /a;",
                       "kafka_key inner;", {},
                       lambda seen: seen.record.key, b"1", b"inner"),
    "idempotency_field": (
        "kafka_format json; kafka_idempotency_field /a;",
        "kafka_idempotency_field /b;", {},
        lambda seen: seen.headers["idempotency-key"], b"1", b"2"),
    "header": ("kafka_header a outer; kafka_header b outer;",
               "kafka_header a inner;", {},
               lambda seen: (seen.headers.get("a"), seen.headers.get("b")),
               (b"outer", b"outer"), (b"inner", None)),
    "request_headers": ("kafka_request_headers off;",
                        "kafka_request_headers on;",
                        {"headers": {"Idempotency-Key": "k"}},
                        lambda seen: "idempotency-key" in seen.headers,
                        False, True),
    "delete": ("kafka_key k; kafka_delete on;", "kafka_delete off;",
               {"method": "DELETE", "body": b""},
               lambda seen: seen.answer.status, 200, 405),
    "empty": ("kafka_key k; kafka_empty null;", "kafka_empty value;",
              {"body": b""}, lambda seen: seen.record.value, None, b""),
    "pass_headers": ("kafka_pass_headers x-a;", "kafka_pass_headers x-b;",
                     {"headers": {"X-A": "1", "X-B": "2"}},
                     lambda seen: tuple(seen.headers), ("x-a",), ("x-b",)),
    "partition": ("kafka_partition 1;", "kafka_partition 2;", {},
                  lambda seen: seen.record.partition, 1, 2),
    "timestamp": ("kafka_timestamp 1000000000001;",
                  "kafka_timestamp 1000000000002;", {},
                  lambda seen: seen.record.timestamp,
                  1000000000001, 1000000000002),
    "batch_field": ("kafka_format array; kafka_batch_field /a;",
                    "kafka_batch_field /b;", {"body": b'{"a":[1],"b":{}}'},
                    lambda seen: seen.answer.status, 200, 400),
    "stream": ("kafka_format ndjson; kafka_stream on;", "kafka_stream off;",
               {"body": b"{}\n", "headers": {"Prefer": "handling=lenient"}},
               lambda seen: seen.answer.headers["content-type"],
               "application/x-ndjson", "application/json"),
    "max_records": ("kafka_format array; kafka_max_records 1;",
                    "kafka_max_records 2;", {"body": b"[1,2]"},
                    lambda seen: seen.answer.status, 413, 200),
    "decode": ("kafka_decode gzip;", "kafka_decode off;",
               {"body": gzip.compress(b"x" * 4096)},
               lambda seen: seen.record.value[:2], b"xx", b"\x1f\x8b"),
    "strip_bom": ("kafka_strip_bom on;", "kafka_strip_bom off;",
                  {"body": b"\xef\xbb\xbfx"},
                  lambda seen: seen.record.value, b"x", b"\xef\xbb\xbfx"),
    "inflate_limit": ("kafka_inflate_limit 1k;", "kafka_inflate_limit 8k;",
                      {"body": gzip.compress(b"x" * 4096),
                       "headers": {"Content-Encoding": "gzip"}},
                      lambda seen: seen.answer.status, 413, 200),
    "invalid": ("kafka_format json; kafka_invalid reject;",
                "kafka_invalid dead_letter %%OTHER%%;", {"body": b"{"},
                lambda seen: seen.answer.status, 400, 200),
    "format": ("kafka_format json;", "kafka_format raw;", {"body": b"{"},
               lambda seen: seen.answer.status, 400, 200),
    "schema": ("kafka_format json; kafka_schema %%DIR%%/object.json;",
               "kafka_schema %%DIR%%/array.json;", {"body": b"[]"},
               lambda seen: seen.answer.status, 422, 200),
    "ack": ("kafka_ack queued;", "kafka_ack delivered;", {},
            lambda seen: seen.answer.status, 202, 200),
    "response": ("kafka_response outer;", "kafka_response inner;", {},
                 lambda seen: seen.answer.body, b"outer", b"inner"),
    "problem_base": (
        "kafka_format json; kafka_problem_base https://a.example/;",
        "kafka_problem_base https://b.example/;", {"body": b"{"},
        lambda seen: seen.answer.json["type"],
        "https://a.example/not-json", "https://b.example/not-json"),
    "intercept_errors": (
        "kafka_format json; kafka_intercept_errors on;"
        " error_page 400 = /teapot;", "kafka_intercept_errors off;",
        {"body": b"{"}, lambda seen: seen.answer.status, 418, 400),
    "limit": ("kafka_limit zone=small;", "kafka_limit zone=large;", {},
              lambda seen: "small" in seen.answer.headers["ratelimit-policy"],
              True, False),
}

SERVER = """
    server {
        listen 127.0.0.1:%%PORT%%;
        server_name kind{number};
        {topic}
        {outer}
        location = /teapot {{ return 418; }}
        location = /outer {{ kafka_pass main; }}
        location = /inner {{ kafka_pass main; {inner} }}
        # a level between, and one that says nothing
        location /nested/ {{
            {inner}
            location = /nested/inner {{ kafka_pass main; }}
        }}
    }
"""

MERGED = """
    kafka_limit_zone $host zone=small:64k records=10/s;
    kafka_limit_zone $host zone=large:64k records=20/s;
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 2s;
        topic   %%TOPIC%%;
        topic   %%OTHER%%;
    }
"""


class Seen:
    """An answer, and the record it stands for."""

    def __init__(self, answer, places):
        self.answer = answer
        if answer.body[:1] == b"{" and answer.headers["content-type"].startswith("application/json") \
                and answer.status == 200:
            said = json.loads(answer.body)
            if "offset" in said:
                self.topic = said["topic"]
                self.record = places[self.topic, said["partition"],
                                     said["offset"]]
                self.headers = dict(self.record.headers)


@pytest.fixture
def merged(nginx, topics):
    names = topics.create(partitions=3), topics.create(partitions=3)
    conf = MERGED + "".join(
        SERVER.replace("{number}", str(number)).replace("{{", "{")
        .replace("}}", "}").replace("{outer}", outer)
        .replace("{inner}", inner)
        .replace("{topic}", "" if kind == "topic" else "kafka_topic %%TOPIC%%;")
        for number, (kind, (outer, inner, *_)) in enumerate(KINDS.items()))
    server = nginx(conf, TOPIC=names[0], OTHER=names[1], start=False)
    for name in ("object", "array"):
        (server.directory / f"{name}.json").write_text(f'{{"type":"{name}"}}')
    server.start()
    server.topic_names = names
    return server


def test_each_kind_of_setting_is_inherited_and_replaced(merged, topics):
    names = dict(zip(("%%TOPIC%%", "%%OTHER%%"), merged.topic_names))
    answers = []
    for number, (kind, (_, _, request, see, outer, inner)) in \
            enumerate(KINDS.items()):
        for path, wanted in (("/outer", outer), ("/inner", inner),
                             ("/nested/inner", inner)):
            answer = merged.request(
                request.get("method", "POST"), path,
                request.get("body", b'{"a":1,"b":2}'), headers={"Host": f"kind{number}",
                                          **request.get("headers", {})})
            answers.append((kind, path, see, wanted, answer))
    places = {(name, record.partition, record.offset): record
              for name in merged.topic_names
              for record in topics.records(name)}
    for kind, path, see, wanted, answer in answers:
        assert see(Seen(answer, places)) == names.get(wanted, wanted), \
            (kind, path, answer)


def test_an_inherited_time_is_judged_where_it_ends_up(nginx):
    """kafka_timeout must be longer than the producer's timeout of 2 s."""
    server = nginx(MERGED + """
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic   %%TOPIC%%;
        kafka_timeout 1s;
        location /own { kafka_pass main; kafka_timeout 3s; }
        %%MORE%%
    }
    """, TOPIC="a", OTHER="b", MORE="", start=False)
    code, said = server.test()
    assert code == 0, said
    server.write(server.http, MORE="location /inherits { kafka_pass main; }")
    code, said = server.test()
    server.expect(r"\[emerg\]")
    assert code != 0
    assert f"nginx.conf:{server.line_of('kafka_timeout 1s')}" in said, said


def test_every_inherited_directive_is_in_the_table():
    """One that is added has to be merged, and shown to be."""
    text = (ROOT / "ngx_module" / "http"
            / "ngx_http_kafka_module.c").read_text()
    commands = text[text.index("ngx_http_kafka_commands[] = {"):]
    inherited = {block.split('"')[1][len("kafka_"):]
                 for block in commands.split("{ ngx_string(")[1:]
                 if "NGX_HTTP_SRV_CONF" in block.split(" },")[0]}
    assert "topic" in inherited
    assert inherited - set(KINDS) == {"timeout"}
