"""Brokers that keep up never make `overloaded`, however the load comes."""

import subprocess
import sys
import time

import pytest

from tests.lib.env import loops, wait_for
from tests.lib.history import check_topic

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        # little, so that only the measured rate keeps the load from 503
        property batch.size 4000;
        topic   %%ONE%%;
        topic   %%TWO%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /one {
            kafka_pass  main;
            kafka_topic %%ONE%%;
            kafka_key   $arg_key;
        }
        location = /two {
            kafka_pass  main;
            kafka_topic %%TWO%%;
            kafka_key   $arg_key;
        }
        location = /status { kafka_status json; }
    }
"""


@pytest.fixture
def pressure():
    """More that wants to run than there are processors."""
    hogs = []

    def begin():
        for _ in range(6):
            hogs.append(subprocess.Popen([sys.executable, "-c",
                                          "while True: pass"]))

    yield begin
    for hog in hogs:
        hog.kill()
        hog.wait()


def pauses(broker, one, count):
    """As a collection of garbage: 300 ms, again while it catches up."""
    for number in range(count):
        broker.pause()
        end = time.monotonic() + 0.3
        wait_for(lambda: time.monotonic() > end, 5, "300 ms")
        broker.resume()
        one.wait_ok(40 if number % 2 else 150, 30)


def test_low_load_is_never_shed(nginx, own_kafka, own_topics, load, pressure):
    """Fresh topics, bursts from idle, uneven load, a broker that stops for
    300 ms, too few processors: nothing of it is a back-log."""
    names = own_topics.create(partitions=4), own_topics.create(partitions=4)
    server = nginx(CONF, ONE=names[0], TWO=names[1], workers=2,
                   KAFKA=own_kafka.bootstrap)
    steady = load(server.port, "/one", connections=300, keys=40, rate=290)
    steady.wait_ok(60)
    pauses(own_kafka, steady, loops(4, 60))
    loads = [steady]
    for _ in range(loops(3, 30)):
        # as fast as they can, beside the steady one and then from idle
        burst = load(server.port, "/two", connections=64, keys=2, size=3000)
        burst.wait_ok(150)
        pauses(own_kafka, burst, 1)
        burst.stop()
        steady.stop()
        loads.append(burst)
        wait_for(lambda: server.get("/status").json["queued"] == 0, 20, "idle")
        steady = load(server.port, "/one", connections=300, keys=40, rate=290)
        loads.append(steady)
        steady.wait_ok(40)
    pressure()
    pauses(own_kafka, steady, loops(4, 60))
    for one in loads:
        one.stop()
    assert "[overloaded]" not in server.log()
    for path, name in zip(("/one", "/two"), names):
        check_topic([event for one in loads if one.path == path
                     for event in one.events], own_topics.records(name))
