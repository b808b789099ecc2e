"""Brokers by IPv6 address, and brokers that close what is idle."""

import re
import shutil
import socket

import pytest

from tests.lib.env import free_port, wait_for
from tests.lib.servers import Kafka
from tests.lib.topics import Topics

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
        }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
    }
"""


def loopback6():
    """Whether this machine has ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def idle_kafka(run_directory):
    """Closes a connection that is idle for a second; also on ::1, if there
    is one."""
    plain, six, controller = (free_port() for _ in range(3))
    listeners = f"PLAINTEXT://127.0.0.1:{plain}"
    if loopback6():
        listeners += f",SIX://[::1]:{six}"
    made = Kafka(run_directory / "kafka-idle", [
        f"listeners={listeners},CONTROLLER://127.0.0.1:{controller}",
        f"advertised.listeners={listeners}",
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,"
        "PLAINTEXT:PLAINTEXT,SIX:PLAINTEXT",
        f"controller.quorum.voters=1@127.0.0.1:{controller}",
        "connections.max.idle.ms=1000",
    ], plain)
    made.six = f"[::1]:{six}"
    try:
        yield made.start()
    finally:
        made.stop()
        shutil.rmtree(made.directory, ignore_errors=True)


def warnings(server):
    return re.findall(r"^.*\[(?:warn|error)\].* librdkafka (?:FAIL|_).*$",
                      server.log(), re.M)


def test_an_idle_connection_that_is_closed_is_no_warning(nginx, idle_kafka):
    """And brokers that are gone still are one."""
    topics = Topics(idle_kafka)
    name = topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=idle_kafka.bootstrap)
    assert server.post("/", b"before").status == 200
    wait_for(lambda: "no broker is connected, and no record waits"
             in server.log(), 20, "the connection is closed")
    assert warnings(server) == []
    assert server.post("/", b"after").status == 200
    wait_for(lambda: server.get("/ready").status == 200, 10, "ready")
    assert {record.value for record in topics.records(name)} \
        == {b"before", b"after"}

    idle_kafka.kill()
    try:
        wait_for(lambda: "no broker is up, answering 503 at once"
                 in server.log(), 20, "the outage is known")
        assert any("Connection refused" in line for line in warnings(server))
    finally:
        idle_kafka.start()
    topics.clean()


@pytest.mark.skipif(not loopback6(), reason="this machine has no ::1")
def test_a_broker_by_its_ipv6_address(nginx, consumer, database, idle_kafka):
    """The module and the daemon; the broker tells its address without
    brackets."""
    topics = Topics(idle_kafka)
    name = topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=idle_kafka.six)
    assert server.post("/", b'{"id":1}').status == 200
    wait_for(lambda: '"::1:' in server.get("/status").body.decode(), 10,
             "the status names it")
    database.query("CREATE TABLE t (id integer)")
    consumer({"topic": name, "group": "g", "start": "earliest", "table": "t",
              "kafka": {"bootstrap.servers": idle_kafka.six},
              "columns": {"id": {"path": "/id", "type": "integer"}}},
             broker=idle_kafka)
    wait_for(lambda: database.try_count("t") == 1, 20, "the row")
    topics.clean()
