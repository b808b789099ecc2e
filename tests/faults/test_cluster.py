"""Three brokers: leaders that die, and too few in-sync replicas."""

import base64
import concurrent.futures
import re
import shutil
import time
import types
import uuid

import pytest
from confluent_kafka.admin import NewTopic

from tests.lib.env import free_port, loops, wait_for
from tests.lib.history import check_topic
from tests.lib.servers import Kafka
from tests.lib.topics import Topics

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%TOPIC%% partitions=6 replication=3 create;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass    main;
            kafka_topic   %%TOPIC%%;
            kafka_key     $arg_key;
            kafka_timeout 4s;
        }
        location = /status { kafka_status; }
    }
"""


def together(calls):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda call: call(), calls))


@pytest.fixture(scope="module")
def brokers(run_directory):
    ports = {node: (free_port(), free_port()) for node in (1, 2, 3)}
    voters = ",".join(f"{node}@127.0.0.1:{controller}"
                      for node, (_, controller) in ports.items())
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().strip("=")
    made = []
    for node, (port, controller) in ports.items():
        made.append(Kafka(run_directory / f"kafka-cluster-{node}", [
            f"node.id={node}", f"controller.quorum.voters={voters}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},"
            f"CONTROLLER://127.0.0.1:{controller}",
            "offsets.topic.replication.factor=3",
            "replica.lag.time.max.ms=2000",
            "controlled.shutdown.enable=false",
        ], port, KAFKA_CLUSTER_ID=cluster))
    try:
        together([broker.start for broker in made])
        yield made
    finally:
        together([broker.stop for broker in made])
        for broker in made:
            shutil.rmtree(broker.directory, ignore_errors=True)


@pytest.fixture
def cluster(brokers):
    """All three alive; bootstrap and topics as of one broker."""
    together([broker.start for broker in brokers])
    group = types.SimpleNamespace(
        brokers=brokers, alive=lambda: True,
        bootstrap=",".join(broker.bootstrap for broker in brokers))
    group.topics = Topics(group)
    wait_for(lambda: len(group.topics.admin.list_topics(timeout=20).brokers)
             == 3, 30, "three brokers")
    yield group
    for broker in brokers:
        if broker.alive():
            broker.resume()
    together([broker.start for broker in brokers])
    group.topics.clean()


def in_sync(cluster, name):
    """The least number of in-sync replicas over the topic's partitions."""
    topics = cluster.topics.admin.list_topics(timeout=20).topics
    return min((len(partition.isrs)
                for partition in topics[name].partitions.values()),
               default=0) if name in topics else 0


def test_a_leader_killed_under_load_loses_and_doubles_nothing(
        nginx, cluster, load):
    """Row 8.  The module makes the topic with min.insync.replicas=2."""
    name = cluster.topics.name()
    server = nginx(CONF, TOPIC=name, KAFKA=cluster.bootstrap, workers=2)
    wait_for(lambda: in_sync(cluster, name) == 3, 20, "the topic")
    one = load(server.port, "/", connections=16, keys=20)
    for number in range(loops(1, 30)):
        one.wait_ok(300, 40)
        victim = cluster.brokers[number % 3]
        victim.kill()
        begin = time.monotonic()
        one.wait_ok(300, 40)
        # with two of three alive it goes on
        assert time.monotonic() - begin < 15
        victim.start()
        wait_for(lambda: in_sync(cluster, name) == 3, 60, "all in sync")
    one.wait_ok(300, 40)
    events = one.stop()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "empty")
    check_topic(events, cluster.topics.records(name))


def controller(cluster):
    """The broker that leads the metadata quorum."""
    said = cluster.brokers[0].tool(
        "org.apache.kafka.tools.MetadataQuorumCommand", "--bootstrap-server",
        cluster.bootstrap, "describe", "--status")
    return cluster.brokers[int(re.search(r"LeaderId:\s*(\d)", said)[1]) - 1]


@pytest.mark.parametrize("way", loops(["kill"], ["kill", "stop", "pause"]))
def test_the_controller_bounced_under_load(nginx, cluster, load, way):
    """Row 8.  It leads a part of the partitions too."""
    name = cluster.topics.name()
    server = nginx(CONF, TOPIC=name, KAFKA=cluster.bootstrap, workers=2)
    wait_for(lambda: in_sync(cluster, name) == 3, 20, "the topic")
    one = load(server.port, "/", connections=16, keys=20)
    for _ in range(loops(1, 5)):
        one.wait_ok(300, 40)
        victim = controller(cluster)
        getattr(victim, way)()
        one.wait_ok(300, 40)
        if way == "pause":
            victim.resume()
        else:
            victim.start()
        wait_for(lambda: in_sync(cluster, name) == 3, 60, "all in sync")
    one.wait_ok(300, 40)
    events = one.stop()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "empty")
    check_topic(events, cluster.topics.records(name))


def test_too_few_in_sync_replicas_are_never_2xx(nginx, cluster, load):
    """Row 9."""
    name = cluster.topics.name()
    server = nginx(CONF, TOPIC=name, KAFKA=cluster.bootstrap)
    wait_for(lambda: in_sync(cluster, name) == 3, 20, "the topic")
    one = load(server.port, "/", connections=8, keys=20)
    one.wait_ok(100, 40)
    for broker in cluster.brokers[1:]:
        broker.pause()
    refused = one.count("fail") + one.count("maybe")
    wait_for(lambda: one.count("fail") + one.count("maybe") > refused + 30,
             40, "refusals")
    # what was not yet answered when they stopped has ended by now
    begin = time.monotonic()
    wait_for(lambda: time.monotonic() > begin + 5, 10, pause=0.1)
    good = [event for event in list(one.events)
            if event.outcome == "ok" and event.start > begin]
    assert not good, good[:3]
    for broker in cluster.brokers[1:]:
        broker.resume()
    one.wait_ok(100, 60)
    events = one.stop()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "empty")
    check_topic(events, cluster.topics.records(name))


def test_only_topics_that_keep_less_than_promised_are_named(nginx, cluster):
    strong, lonely, unclean = (cluster.topics.name() for _ in range(3))
    for future in cluster.topics.admin.create_topics([
            NewTopic(lonely, 1, 3, config={"min.insync.replicas": "1"}),
            NewTopic(unclean, 2, 3, config={
                "min.insync.replicas": "2",
                "unclean.leader.election.enable": "true"})]).values():
        future.result(20)
    server = nginx(CONF.replace(
        "create;", f"create; topic {lonely}; topic {unclean};"),
        TOPIC=strong, KAFKA=cluster.bootstrap, workers=2)
    topics = wait_for(lambda: next(
        (found for found in (server.get("/status").json["producers"][0]
                             ["topics"],)
         if [topic.get("replication") for topic in found] == [3, 3, 3]
         and all(topic["min_insync_replicas"] for topic in found)
         and sum("warning" in topic for topic in found) >= 2), None),
        60, "all is known")
    assert {topic["name"]: topic.get("warning", "").split(" is ")[0]
            for topic in topics} \
        == {strong: "", lonely: "min.insync.replicas",
            unclean: "unclean.leader.election.enable"}
    lines = [line for line in server.log().splitlines()
             if "promises less" in line]
    assert sorted(line.split('"')[1] for line in lines) \
        == sorted((lonely, unclean))
