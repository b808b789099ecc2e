"""One request must not keep the worker from the others (faults, row 42).

A connection beside it asks /live all the time.  The longest wait is the
longest piece of work that the worker did in one go."""

import gzip
import json
import subprocess
import time
import zlib

import pytest

from tests.lib import procs, web
from tests.lib.env import SANITIZED, wait_for
from tests.lib.http2 import Streams
from tests.lib.problem import assert_problem
from tests.lib.stall import watched

BOUND = 0.020               # seconds that one request may keep the worker
MB = 1024 * 1024

SCHEMAS = {
    "email": {"type": "object", "properties": {
        "e": {"pattern": r"^([a-z0-9]+[._-]?)+@example\.com$"}}},
    "mail": {"pattern": r"^([a-z0-9]+[._-]?)+@example\.com$"},
    "items": {"items": {"type": "integer", "minimum": 0}},
    "unique": {"uniqueItems": True},
    "enum": {"items": {"enum": ["a", "b", {"c": [1, 2]}]}},
    "many": {"items": {"anyOf": [{"maximum": n} for n in range(-99, 1)]}},
    "deep": {"$ref": "#/$defs/d",
             "$defs": {"d": {"items": {"$ref": "#/$defs/d"}}}},
    "tree": {"$ref": "#/$defs/d",
             "$defs": {"d": {"anyOf": [{"items": {"$ref": "#/$defs/d"}},
                                       {"items": {"$ref": "#/$defs/d"}},
                                       {"type": "string"}]}}},
    "keys": {"additionalProperties": {"type": "integer"}},
    "any": {},
}

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        queue   256m;
        topic   %%TOPIC%%;
    }
    kafka_producer quick {
        brokers %%KAFKA%%;
        timeout 500ms;
        topic   %%TOPIC%%;
    }
    client_max_body_size    100m;
    kafka_topic             %%TOPIC%%;
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        keepalive_requests 10000000;
        location = /live   { return 204; }
        location = /status { kafka_status json; }
        location = /raw    { kafka_pass main; }
        location = /bare   { proxy_pass http://127.0.0.1:1; }
        location = /auto   { kafka_pass main; kafka_format auto; }
        location = /plain  { kafka_pass main; kafka_format ndjson; }
        location = /large {
            kafka_pass          main;
            kafka_format        array;
            kafka_inflate_limit 100m;
        }
        location = /mirrored {
            mirror            /lines;
            kafka_pass        main;
            kafka_format      ndjson;
            kafka_max_records 100000;
        }
        location = /lines {
            kafka_pass        main;
            kafka_format      ndjson;
            kafka_max_records 100000;
        }
        location = /slow {
            kafka_pass        quick;
            kafka_format      ndjson;
            kafka_max_records 100000;
            kafka_schema      %%DIR%%/mail.json;
        }
        location = /dead {
            kafka_pass    main;
            kafka_format  ndjson;
            kafka_schema  %%DIR%%/mail.json;
            kafka_invalid dead_letter %%TOPIC%%;
        }
        LOCATIONS
    }
"""


LOCATION = """
        location = /{kind}/{name}/{records} {{
            kafka_pass        main;
            kafka_format      {kind};
            kafka_max_records {records};
            kafka_schema      %%DIR%%/{name}.json;
        }}"""


def locations():
    return "".join(LOCATION.format(kind=kind, name=name, records=records)
                   for kind in ("json", "ndjson", "array", "cloudevents")
                   for name in SCHEMAS for records in (1000, 100000))


@pytest.fixture
def server(nginx, topic):
    made = nginx(CONF.replace("LOCATIONS", locations()), start=False,
                 TOPIC=topic)
    for name, schema in SCHEMAS.items():
        (made.directory / f"{name}.json").write_text(json.dumps(schema))
    made.start()
    # the topic is known and the worker warm
    assert made.post("/raw", b"{}").status == 200
    return made


def zstd(body):
    return subprocess.run(["zstd", "-19", "-q", "-c"], input=body, check=True,
                          stdout=subprocess.PIPE).stdout


CODINGS = {"zstd": zstd, "gzip": lambda body: gzip.compress(body, 9)}

LINE = b'"' + b"a" * 24 + b'@m"\n'
EVENT = (b'{"id":"1","source":"s","type":"t","specversion":"1.0","data":'
         b'"%s"}' % (b"a" * 24 + b"@m"))


def name_list(count, size):
    return b",".join(b'"%0*d":1' % (size, n) for n in range(count))


# path, body, codings: what may be done with few bytes, or with many
BODIES = {
    "pattern-lines": ("/ndjson/mail/1000", LINE * 1000, "zstd"),
    "pattern-100k-lines": ("/ndjson/mail/100000", LINE * 100000, "zstd"),
    "pattern-array": ("/array/mail/100000",
                      b"[" + b",".join([LINE[:-1]] * 9000) + b"]", "zstd"),
    "pattern-long": ("/json/mail/1000", b'"' + b"a" * 990_000 + b'@m"',
                     "gzip"),
    "pattern-events": ("/cloudevents/mail/100000",
                       b"[" + b",".join([EVENT] * 5000) + b"]", "zstd"),
    "array-64m": ("/array/any/1000", b"[" + b"1," * (32 * MB - 1) + b"1]",
                  "zstd gzip"),
    "array-8m": ("/array/any/100000", b"[" + b"1," * (4 * MB - 2) + b"1]",
                 "zstd gzip plain"),
    "array-in-array": ("/array/any/1000",
                       b"[[" + b"1," * (4 * MB - 2) + b"1]]", "gzip plain"),
    "array-items": ("/array/items/1000",
                    b"[[" + b"1," * (4 * MB - 2) + b"1]]", "zstd"),
    "large-64m": ("/large", b"[[" + b"1," * (32 * MB - 3) + b"1]]", "zstd"),
    "large-32m": ("/large", b"[[" + b"1," * (16 * MB - 3) + b"1]]", "plain"),
    "line-64m": ("/plain", b'"' + b"a" * (64 * MB) + b'"', "zstd gzip"),
    "line-32m": ("/plain", b'"' + b"a" * (32 * MB) + b'"', "plain"),
    "line-8m": ("/plain", b'"' + b"\\n" * (4 * MB - 1) + b'"', "zstd"),
    "blank-lines": ("/plain", b"\n" * (8 * MB), "zstd plain"),
    "blanks": ("/array/any/1000", b" " * (8 * MB - 3) + b"[1]", "zstd"),
    "auto-lines": ("/auto", b"1\n" * (4 * MB), "zstd"),
    "auto-pretty": ("/auto", b"[" + b"1,\n" * (2 * MB) + b"1]", "zstd"),
    "items-1m": ("/json/items/1000", b"[" + b"1," * 490_000 + b"1]", "zstd"),
    "unique-1m": ("/json/unique/1000",
                  json.dumps(list(range(140_000)),
                             separators=(",", ":")).encode(), "plain"),
    "unique-70k": ("/json/unique/1000",
                   json.dumps(list(range(70_000)),
                              separators=(",", ":")).encode(), "plain"),
    "enum-1m": ("/json/enum/1000",
                b"[" + b'{"c":[1,2]},' * 80_000 + b'"a"]', "zstd"),
    "any-of-1m": ("/json/many/1000", b"[" + b"1," * 490_000 + b"1]", "zstd"),
    "deep-1m": ("/json/deep/1000",
                b"[" + b",".join([b"[" * 60 + b"]" * 60] * 8000) + b"]",
                "zstd"),
    "tree": ("/json/tree/1000", b"[" * 60 + b"1" + b"]" * 60, "plain"),
    "too-deep": ("/json/any/1000", b"[" * 900_000, "gzip"),
    "numbers": ("/json/items/1000",
                b"[" + b",".join([b"9" * 1000] * 980) + b"]", "plain"),
    "number-1m": ("/json/any/1000", b"9" * 990_000, "plain"),
    "keys": ("/json/keys/1000", b"{" + name_list(1024, 900) + b"}", "plain"),
    "too-many-keys": ("/json/any/1000",
                      b"{" + name_list(100_000, 6) + b"}", "plain"),
    "escaped-keys": ("/json/any/1000", b"{" + b",".join(
        b'"' + b"\\u0061" * 20000 + b'%d":1' % n for n in range(8)) + b"}",
                     "zstd"),
    "broken-lines": ("/ndjson/any/100000", b"{\n" * 100_000, "zstd"),
    "good-lines": ("/ndjson/any/100000", b"1\n" * 100_000, "zstd plain"),
    "empty-members": ("/plain", gzip.compress(b"") * 40_000, "is-gzip"),
    "empty-frames": ("/plain", zstd(b"") * 60_000, "is-zstd"),
}


def cases():
    for name, (path, body, codings) in BODIES.items():
        for coding in codings.split():
            yield pytest.param(path, body, coding, id=f"{name}-{coding}")


def encoded(path, body, coding):
    """What is sent, and its headers."""
    headers = {}
    if path.startswith("/cloudevents"):
        headers["Content-Type"] = "application/cloudevents-batch+json"
    if coding == "plain":
        return body, headers
    headers["Content-Encoding"] = coding.removeprefix("is-")
    return (body if coding.startswith("is-") else CODINGS[coding](body),
            headers)


def slowness():
    """How much slower than a usual machine this one is now: at least 1."""
    begin = time.process_time()
    zlib.crc32(bytes(64 * MB))
    return max(1, (time.process_time() - begin) / 0.03)


def longest(server, watch, post):
    """The best of a few tries, as others use the machine too."""
    waits = []
    for _ in range(5):
        watch.longest()
        post()
        waits.append(watch.longest())
        if waits[-1] <= BOUND / 2:
            break
    return min(waits)


@pytest.mark.skipif(SANITIZED, reason="times and sizes do not hold")
@pytest.mark.parametrize("path, body, coding", cases())
def test_no_body_keeps_the_worker(server, path, body, coding):
    sent, headers = encoded(path, body, coding)
    answers = []
    with watched(server) as watch:
        # what nginx itself needs for as many bytes, and the machine at all
        alone = longest(server, watch,
                        lambda: server.post("/bare", sent, timeout=60))
        taken = longest(server, watch, lambda: answers.append(
            server.post(path, sent, headers, timeout=60)))
    assert {answer.status for answer in answers} <= {200, 400, 413, 422}
    for answer in answers:
        if answer.status != 200:
            assert_problem(answer, answer.status)
    assert taken <= (BOUND + 2 * alone) * slowness(), (taken, alone)
    # the body, the decoder's window, one record's tokens, all records
    held = min(len(body), 8 * MB) if coding != "plain" and path != "/large" \
        else len(body)
    held += (128 if path.endswith("/100000") else 48) * MB
    peak = procs.peak_rss(server.worker())
    assert peak <= held, f"{peak / MB:.0f} of {held / MB:.0f} MiB"


LONG = zstd(LINE * 100_000)
GOOD = zstd(b"1\n" * 100_000)


def send(server, path, body, port=None):
    connection = web.connect(port or server.port)
    connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Encoding: zstd\r\nContent-Length: %d\r\n"
                       b"\r\n%s" % (path.encode(), len(body), body))
    return connection


def test_clients_that_leave_while_their_records_are_checked(server, topics,
                                                            topic):
    worker = server.worker()
    for number in range(20):
        connection = send(server, "/ndjson/mail/100000", LONG)
        if number % 2:
            # it has begun
            assert server.get("/live").status == 204
        web.reset(connection)
    streams = Streams(server.port2)
    for _ in range(10):
        stream = streams.begin("/ndjson/mail/100000", headers=[
            ("content-encoding", "zstd")])
        streams.send(stream, LONG, end=True)
        streams.reset(stream)
    wait_for(lambda: server.get("/status").json["in_flight"] == 0, 20, "none")
    assert server.post("/raw", b"x").status == 200
    assert server.worker() == worker
    streams.close()
    assert topics.count(topic) == 2


def test_a_long_request_outlives_a_reload(server, topics, topic):
    long = [send(server, "/ndjson/any/100000", GOOD) for _ in range(3)]
    refused = send(server, "/ndjson/mail/100000", LONG)
    assert server.get("/live").status == 204
    old = server.reload()
    for connection in long:
        answer = web.read_answer(connection.makefile("rb"))
        assert answer.status == 200, answer
        assert len(answer.json["results"]) == 100_000
    answer = web.read_answer(refused.makefile("rb"))
    assert_problem(answer, 422, "no", "too-costly")
    procs.wait_gone(old, 20, "the old worker ends")
    assert topics.count(topic) == 300_001


def test_requests_that_are_not_checked_in_time(server, topics, topic):
    """More work than there is time for: all are answered, none is kept."""
    many = [send(server, "/slow", LONG) for _ in range(12)]
    answers = [web.read_answer(connection.makefile("rb"))
               for connection in many]
    for answer in answers:
        assert_problem(answer, answer.status, "no")
    assert {answer.status for answer in answers} <= {422, 503}
    assert server.post("/raw", b"x").status == 200
    assert topics.count(topic) == 2


def test_a_mirror_of_a_long_request(server, topics, topic):
    """Main request and subrequest read one body in turns of their own."""
    body = b"1\n" * 50_000
    assert server.post("/mirrored", body).status == 200
    wait_for(lambda: topics.count(topic) == 100_001, 20, "both")


def test_a_long_request_over_http2(server, topics, topic):
    streams = Streams(server.port2)
    wanted = []
    for _ in range(3):
        stream = streams.begin("/ndjson/any/100000", headers=[
            ("content-encoding", "zstd")])
        streams.send(stream, GOOD, end=True)
        wanted.append(stream)
    streams.wait(wanted)
    assert {streams.answers[stream].status for stream in wanted} == {200}
    streams.close()
    assert topics.count(topic) == 300_001


def test_the_budget_is_the_requests(server, topics, topic):
    """Each of these records is within a record's steps."""
    few = LINE * 2
    problem = assert_problem(server.post("/ndjson/mail/1000", few), 422, "no",
                             "schema")
    assert len(problem["results"]) == 2
    problem = assert_problem(server.post("/ndjson/mail/1000", LINE * 1000),
                             422, "no", "too-costly")
    assert "results" not in problem and "record" in problem["detail"]
    # also where good ones would be kept, or bad ones elsewhere
    assert_problem(server.post("/ndjson/mail/1000", b'"a@example.com"\n'
                               + LINE * 1000,
                               {"Prefer": "handling=lenient"}), 422, "no",
                   "too-costly")
    assert_problem(server.post("/dead", LINE * 1000), 422, "no",
                   "too-costly")
    assert topics.count(topic) == 1


def test_an_array_ends_at_the_record_too_many(server):
    """What stands behind it is not read."""
    body = b"[" + b"1," * 1000 + b"}"
    assert_problem(server.post("/array/any/1000", body), 400, "no",
                   "not-json")
    body = b"[" + b"1," * 1001 + b"}"
    assert_problem(server.post("/array/any/1000", body), 413, "no",
                   "too-many-records")


def test_an_element_too_large_is_skipped(server, topics, topic):
    """The others are kept for a client that asks for it."""
    large = b'{"a":["]}\\\"",[' + b"1," * 600_000 + b"{}]]}"
    answer = server.post("/array/any/1000", b'[1, ' + large + b' ,"b"]',
                         {"Prefer": "handling=lenient"})
    assert answer.status == 207, answer
    assert [result["status"] for result in answer.json["results"]] \
        == [200, 413, 200]
    assert [record.value for record in topics.records(topic)][1:] \
        == [b"1", b'"b"']
    for end in (b"]]", b"", b"1", b"}"):
        assert server.post("/array/any/1000",
                           b"[1," + large + end).status == 400


@pytest.mark.parametrize("size, status", [(8 * MB, 200), (8 * MB + 1, 413)])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_what_a_body_may_inflate_to(server, coding, size, status):
    line = b'"' + b"a" * 1022 + b'"\n'
    body = line * (8 * MB // len(line))
    body += b"\n" * (size - len(body))
    answer = server.post("/lines", CODINGS[coding](body),
                         {"Content-Encoding": coding})
    assert answer.status == status, answer
    if status == 413:
        problem = assert_problem(answer, 413, "no", "record-too-large")
        assert "kafka_inflate_limit" in problem["detail"]
