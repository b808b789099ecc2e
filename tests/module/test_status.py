"""kafka_status, kafka_ready, kafka_live."""

import re

import pytest

from tests.lib import web
from tests.lib.env import ROOT, wait_for

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /json {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
        }
        location = /queued {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_ack   queued;
        }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
        location = /live   { kafka_live; }
    }
"""


@pytest.mark.parametrize("workers", [1, 3])
def test_status_counts_exactly(nginx, topic, workers):
    server = nginx(CONF, TOPIC=topic, workers=workers)
    before = server.get("/status")
    assert before.status == 200
    assert before.headers["content-type"].startswith("application/json")
    assert before.json["workers"] == workers
    assert before.json["requests"] == 0
    for _ in range(7):
        assert server.post("/json", b"{}").status == 200
    for _ in range(4):
        assert server.post("/queued", b"x").status == 202
    for _ in range(3):
        assert server.post("/json", b"{").status == 400
    assert server.get("/json").status == 405

    wait_for(lambda: server.get("/status").json["acked"] == 11, 10,
             "11 acknowledged")
    status = server.get("/status").json
    assert status["requests"] == 15
    assert status["acked"] == 11
    assert status["failed"] == 0
    assert status["queued"] == 0
    assert status["in_flight"] == 0


def test_counters_go_on_over_a_reload(nginx, topic):
    server = nginx(CONF, TOPIC=topic, workers=2)
    for _ in range(5):
        assert server.post("/json", b"{}").status == 200
    server.reload(wait_old=10)
    for _ in range(3):
        assert server.post("/json", b"{}").status == 200
    status = server.get("/status").json
    assert status["requests"] == 8
    assert status["acked"] == 8
    assert status["in_flight"] == 0
    wait_for(lambda: server.get("/status").json["workers"] == 2, 5,
             "2 workers")


def test_status_is_not_for_posting(nginx, topic):
    server = nginx(CONF, TOPIC=topic)
    refused = server.post("/status", b"x")
    assert refused.status == 405 and refused.headers["allow"] == "GET, HEAD"
    assert server.request("HEAD", "/status").status == 200


def test_ready_and_live_while_the_broker_serves(nginx, topic):
    server = nginx(CONF, TOPIC=topic)
    assert server.get("/live").status == 200
    wait_for(lambda: server.get("/ready").status == 200, 10, "ready")


def test_ready_is_503_while_the_broker_is_away_and_live_is_200(
        nginx, topic):
    server = nginx(CONF, TOPIC=topic, KAFKA="127.0.0.1:1")
    wait_for(lambda: server.get("/ready").status == 503, 10, "not ready")
    assert server.get("/live").status == 200


def drain_conf(file):
    return CONF.replace("kafka_ready;", f"kafka_ready drain={file}; "
                        "if ($arg_if) { set $x 1; }")


def test_ready_is_503_while_the_drain_file_exists(nginx, topic, directory):
    file = directory / "drain"
    server = nginx(drain_conf(file), TOPIC=topic)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    file.touch()
    answer = server.get("/ready")
    assert answer.status == 503
    assert answer.json == {"ready": False, "reason": "the drain file exists"}
    assert server.get("/ready?if=1").status == 503
    assert server.get("/live").status == 200
    assert server.post("/json", b"{}").status == 200
    file.unlink()
    assert server.get("/ready").status == 200


def test_a_drain_file_that_cannot_be_looked_for_is_not_ready(nginx, topic):
    server = nginx(drain_conf("/" + "x" * 300), TOPIC=topic)
    answer = server.get("/ready")
    assert answer.status == 503
    assert answer.json["reason"] == "the drain file cannot be looked for"
    assert "could not look for drain file" in server.log()


def test_ready_is_503_on_a_worker_that_is_leaving(nginx, topic):
    server = nginx(CONF, TOPIC=topic)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    late = web.connect(server.port)
    late.sendall(b"GET /ready HTTP/1.1\r\n")
    # it is read when another one is answered
    assert server.get("/live").status == 200
    server.reload()
    late.sendall(b"Host: x\r\n\r\n")
    answer = web.read_answer(late.makefile("rb"))
    late.close()
    assert answer.status == 503
    assert answer.json["reason"] == "the worker is leaving"
    wait_for(lambda: server.get("/ready").status == 200, 20, "the new one is")


def test_ready_is_503_while_the_queue_is_nearly_full(nginx, own_kafka,
                                                     own_topics):
    name = own_topics.create()
    server = nginx(CONF.replace("topic   %%TOPIC%%;",
                                "timeout 30s; queue 1m; topic %%TOPIC%%;"),
                   TOPIC=name, KAFKA=own_kafka.bootstrap)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    own_kafka.pause()
    for _ in range(100):
        if server.post("/queued", b"x" * 100000).status != 202:
            break
    answer = server.get("/ready")
    assert answer.status == 503
    assert answer.json["reason"] == "the queue is nearly full"
    assert answer.json["producer"] == "main"
    own_kafka.resume()
    wait_for(lambda: server.get("/ready").status == 200, 30, "ready again")


JSON, HTML, TEXT = "application/json", "text/html", "text/plain"

# of nobody, curl, a browser, Prometheus
ACCEPTED = [
    None, "", "*/*", JSON, TEXT, HTML,
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "application/openmetrics-text;version=1.0.0;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,"
    "*/*;q=0.1",
    "text/html;q=0, text/*", ",;q=,;;,",
]


def status_conf(parameter):
    return CONF.replace("kafka_status json;", f"kafka_status{parameter}; "
                        "if ($arg_if) { set $x 1; }")


@pytest.mark.parametrize("parameter, kind", [
    (" json", JSON), (" prometheus", TEXT), ("", JSON)])
def test_the_directive_names_the_format_whatever_accept_says(
        nginx, topic, parameter, kind):
    server = nginx(status_conf(parameter), TOPIC=topic, KAFKA="127.0.0.1:1")
    for accept in ACCEPTED:
        headers = {} if accept is None else {"Accept": accept}
        for path in ("/status", "/status?if=1", "/status?json"):
            answer = server.request("GET", path, headers=headers)
            assert answer.status == 200
            assert answer.headers["content-type"].split(";")[0] == kind
            assert answer.headers["cache-control"] == "no-store"
            assert "vary" not in answer.headers
    told = "answers JSON, whatever Accept says" in server.log()
    assert told == (parameter == "")


def test_the_old_address_of_the_page_redirects(nginx, topic):
    server = nginx(status_conf(" html"), TOPIC=topic, KAFKA="127.0.0.1:1")
    for accept in (JSON, HTML):
        for path in ("/status", "/status?if=1"):
            answer = server.request("GET", path, headers={"Accept": accept})
            assert answer.status == 302
            assert answer.headers["location"] == "status.html"
    assert server.post("/status", b"x").status == 405
    lines = [line for line in server.log().splitlines()
             if '"kafka_status html" redirects to "status.html"' in line]
    assert lines and all("[warn]" in line for line in lines)


def test_the_page_takes_nothing_from_elsewhere():
    for name in ("status.html", "status.css", "status.js"):
        text = (ROOT / "share" / "sluice" / name).read_text()
        assert not re.search(r"""(src|href|url|import)\b\s*[=(]\s*["']?"""
                             r"""(https?:|//|/)""", text)
        # ids, sizes and addresses are put in as text, never as markup
        assert "innerHTML" not in text
        assert "<style" not in text and "<script>" not in text
        assert not re.search(r"\bon\w+=|\bstyle=", text)


def test_weak_topics_are_named_once_in_log_and_status(nginx, topics):
    one, two = topics.create(), topics.create()
    server = nginx(CONF.replace("topic   %%TOPIC%%;",
                                "topic %%TOPIC%%; topic %%TWO%%;"),
                   TOPIC=one, TWO=two, workers=3)
    lines = wait_for(lambda: [
        line for line in server.log().splitlines()
        if "promises less" in line][1:] and [
        line for line in server.log().splitlines()
        if "promises less" in line], 30, "both are named")
    assert len(lines) == 2
    for name in (one, two):
        line, = [line for line in lines if f'"{name}"' in line]
        assert "[warn]" in line
        assert "it has one replica" in line
    for found in server.get("/status").json["producers"][0]["topics"]:
        assert found["replication"] == 1
        assert found["min_insync_replicas"] == 1
        assert found["unclean_elections"] is False
        assert "it has one replica" in found["warning"]
