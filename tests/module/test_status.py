"""kafka_status, kafka_ready, kafka_live."""

import pytest

from tests.lib.env import wait_for

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
        location = /status { kafka_status; }
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
    assert server.post("/status", b"x").status == 405
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
