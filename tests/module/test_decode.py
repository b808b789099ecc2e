"""Codings that a client cannot announce: `kafka_decode`."""

import base64
import gzip
import json
import urllib.parse
import zlib

import pytest

from tests.lib import procs
from tests.lib.env import SANITIZED
from tests.lib.problem import assert_problem
from tests.module.test_encoding import brotli, noise, text, zstd

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    client_max_body_size    8m;
    client_body_buffer_size 16k;
    kafka_topic %%TOPIC%%;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /gzip    { kafka_pass main; kafka_decode gzip; }
        location = /deflate { kafka_pass main; kafka_decode deflate; }
        location = /zstd    { kafka_pass main; kafka_decode zstd; }
        location = /br      { kafka_pass main; kafka_decode br; }
        location = /base64  { kafka_pass main; kafka_decode base64; }
        location = /form    { kafka_pass main; kafka_decode form=data; }
        location = /chain {
            kafka_pass   main;
            kafka_format json;
            kafka_decode form=data base64 gzip;
        }
        location = /small {
            client_body_buffer_size 1k;
            kafka_pass          main;
            kafka_inflate_limit 64k;
            kafka_decode        form=data base64 gzip;
        }
        location = /auto {
            kafka_pass   main;
            kafka_format auto;
            if ($arg_compression = gzip) { kafka_decode gzip; }
        }
        location = /lines {
            kafka_pass          main;
            kafka_format        ndjson;
            kafka_max_records   100000;
            kafka_decode        base64 gzip;
        }
        location = /made {
            kafka_pass   main;
            kafka_decode base64;
            kafka_body   'got $request_body';
        }
        location = /empty {
            kafka_pass   main;
            kafka_key    k;
            kafka_empty  null;
            kafka_decode gzip;
        }
    }
"""

MAKERS = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd,
          "br": brotli, "base64": base64.b64encode,
          "form": lambda body: urllib.parse.urlencode(
              {"a": "1", "data": body, "z": "&"}).encode()}


def values(topics, topic):
    return [record.value for record in topics.records(topic)]


@pytest.fixture
def server(nginx, topic):
    return nginx(CONF, TOPIC=topic)


@pytest.mark.parametrize("step", MAKERS)
def test_each_step_byte_for_byte(server, topics, topic, step):
    bodies = [make(size) for size in (1, 2, 3, 4095, 4096, 50_000, 150_000)
              for make in (noise, text)]
    for body in bodies:
        answer = server.post(f"/{step}", MAKERS[step](body),
                             {"Content-Type": "text/plain"})
        assert answer.status == 200, (len(body), answer)
    assert values(topics, topic) == bodies


@pytest.mark.parametrize("path", ["/chain", "/small"])
@pytest.mark.parametrize("chunk", [1, 7, 5000])
def test_a_chain(server, topics, topic, path, chunk):
    """What analytics SDKs send, in pieces of any size."""
    body = json.dumps({"event": "e" * 3000, "n": list(range(500))}).encode()
    sent = urllib.parse.urlencode(
        {"ip": 1, "data": base64.b64encode(gzip.compress(body))}).encode()
    pieces = [sent[at:at + chunk] for at in range(0, len(sent), chunk)]
    answer = server.post(path, iter(pieces), {
        "Content-Type": "application/x-www-form-urlencoded",
        "Transfer-Encoding": "chunked"}, chunked=True)
    assert answer.status == 200, answer
    assert values(topics, topic) == [body]


@pytest.mark.parametrize("sent, body", [
    (b"SGVsbG8=", b"Hello"), (b"SGVsbG8", b"Hello"), (b"", b""),
    (b"+/+/", b"\xfb\xff\xbf"), (b"-_-_", b"\xfb\xff\xbf"),
    (b"SGVs\r\nbG8=\r\n", b"Hello")])
def test_kinds_of_base64(server, topics, topic, sent, body):
    assert server.post("/base64", sent).status == 200
    assert values(topics, topic) == [body]


@pytest.mark.parametrize("sent", [
    b"S", b"SGVsbG", b"SGVsb=", b"SGVsbG8==", b"SGVsbG8=x", b"SGV sbG8=",
    b"SGVsbG8*", b"SGVs====", b"=", b"SGVsbG8=\0", b"\xff"])
def test_what_is_no_base64(server, topics, topic, sent):
    if sent == b"SGVsbG":       # "Hell", whose padding is left out
        assert server.post("/base64", sent).status == 200
        return
    problem = assert_problem(server.post("/base64", sent), 400, "no",
                             "bad-encoding")
    assert "base64" in problem["detail"]
    assert topics.count(topic) == 0


@pytest.mark.parametrize("sent, body", [
    (b"data=1", b"1"), (b"x=1&data=a+b%2Bc%26&data=2", b"a b+c&"),
    (b"data", b""), (b"data=", b""), (b"&&data=x=y&", b"x=y"),
    (b"d%61t%61=1", b"1"), (b"xdata=1&datax=2&data=3", b"3"),
    (b"x=%zz&data=1", b"1")])
def test_the_field_of_a_form(server, topics, topic, sent, body):
    assert server.post("/form", sent).status == 200
    assert values(topics, topic) == [body]


@pytest.mark.parametrize("sent, said", [
    (b"x=1", "data"), (b"Data=1", "data"), (b"dat=a", "data"),
    (b"x&y=data", "data"), (b"data=%4", "form"), (b"data=%zz", "form"),
    (b"data=%", "form"), (b"data=%4&x=1", "form")])
def test_a_form_without_it_or_damaged(server, topics, topic, sent, said):
    problem = assert_problem(server.post("/form", sent), 400, "no",
                             "bad-encoding")
    assert said in problem["detail"]
    assert topics.count(topic) == 0


def test_a_plus_that_the_form_took_for_a_space(server, topics, topic):
    """Clients that do not escape base64 in a form."""
    for number in range(200):
        body = json.dumps({"n": "\u00ff\u00fb" * 40 + str(number)}).encode()
        sent = base64.b64encode(gzip.compress(body))
        if b"+" in sent:
            break
    assert server.post("/chain", b"data=" + sent).status == 200
    assert values(topics, topic) == [body]
    assert_problem(server.post("/base64", sent.replace(b"+", b" ")), 400,
                   "no", "bad-encoding")


def test_which_step_is_damaged_is_said(server, topics, topic):
    whole = base64.b64encode(gzip.compress(b"{}"))
    for sent, said in ((b"data=" + whole[:-8], "gzip"),
                       (b"data=%%%", "form"), (b"data=*", "base64"),
                       (b"other=" + whole, "data"), (b"data=", "gzip")):
        problem = assert_problem(server.post("/chain", sent), 400, "no",
                                 "bad-encoding")
        assert said in problem["detail"], (sent, problem)
    assert_problem(server.post(
        "/chain", b"data=" + base64.b64encode(gzip.compress(b"{"))), 400,
        "no", "not-json")
    assert topics.count(topic) == 0


def test_what_is_announced_is_decoded_first_and_once(server, topics, topic):
    once = gzip.compress(b'{"n":1}')
    for coding in ({}, {"Content-Encoding": "gzip"}):
        assert server.post("/gzip", once, coding).status == 200
    form = MAKERS["form"](base64.b64encode(once))
    for sent, coding in ((form, {}), (gzip.compress(form), "gzip"),
                         (zlib.compress(form), "deflate")):
        answer = server.post("/chain", sent,
                             coding and {"Content-Encoding": coding})
        assert answer.status == 200, answer
    assert values(topics, topic) == [b'{"n":1}'] * 5


def test_where_the_request_says_so(server, topics, topic):
    """As an SDK that names its coding in an argument."""
    body = b'{"n":1}\n{"n":2}\n'
    beacon = {"Content-Type": "text/plain"}
    assert server.post("/auto?compression=gzip", gzip.compress(body),
                       beacon).status == 200
    assert server.post("/auto", body, beacon).status == 200
    assert values(topics, topic) == [b'{"n":1}', b'{"n":2}'] * 2


def test_an_empty_body_stays_empty(server, topics, topic):
    assert server.post("/gzip", b"").status == 200
    assert server.post("/empty", b"").status == 200
    assert_problem(server.post("/chain", b""), 400, "no", "empty-body")
    assert values(topics, topic) == [b"", None]


def test_in_a_made_body_too(server, topics, topic):
    assert server.post("/made", b"SGVsbG8=").status == 200
    assert values(topics, topic) == [b"got Hello"]


def test_each_step_is_bounded(server, topics, topic):
    """By kafka_inflate_limit: a text that is too long, and a bomb."""
    fits = b"x" * (64 * 1024)
    sent = MAKERS["form"](base64.b64encode(gzip.compress(fits)))
    assert server.post("/small", sent).status == 200
    for body in (gzip.compress(fits + b"x"), noise(50_000),
                 gzip.compress(bytes(50_000_000))):
        problem = assert_problem(
            server.post("/small", MAKERS["form"](base64.b64encode(body))),
            413, "no", "record-too-large")
        assert "kafka_inflate_limit" in problem["detail"]
    assert topics.count(topic) == 1


def test_a_long_batch_is_decoded_in_turns(server, topics, topic):
    lines = [b'{"n":%d,"pad":"%s"}' % (n, text(60).replace(b"\n", b" "))
             for n in range(20_000)]
    sent = base64.b64encode(gzip.compress(b"\n".join(lines)))
    answer = server.post("/lines", sent)
    assert answer.status == 200, answer.body[:500]
    assert values(topics, topic) == lines


def test_refused_bodies_leave_nothing(server):
    sent = base64.b64encode(gzip.compress(
        text(900_000).replace(b"\n", b" ")))
    assert server.post("/lines", sent).status == 400
    worker = server.worker()
    before = procs.rss(worker)
    for _ in range(30):
        assert_problem(server.post("/lines", sent), 400, "no")
        assert_problem(server.post("/lines", sent[:-9]), 400, "no")
    if not SANITIZED:
        assert procs.rss(worker) < before + 20 * 1024 * 1024
