"""Three brokers: leaders that die, and too few in-sync replicas."""

import re
import time

import pytest
from confluent_kafka.admin import NewTopic

from tests.lib.env import LONG, bound, loops, wait_for
from tests.lib.history import check_topic
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
        location = /status { kafka_status json; }
    }
"""


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
        assert time.monotonic() - begin < bound(15, 60)
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


@pytest.mark.skipif(not LONG, reason="only in make faults")
def test_one_in_sync_replica_of_two_is_never_2xx(nginx, cluster, load):
    """Row 9.  The leader is alive, and takes nothing alone."""
    name = cluster.topics.name()
    cluster.topics.admin.create_topics([NewTopic(
        name, 4, replica_assignment=[[1, 2], [2, 1], [1, 2], [2, 1]],
        config={"min.insync.replicas": "2"})])[name].result(20)
    conf = CONF.replace("partitions=6 replication=3 create", "")
    server = nginx(conf, TOPIC=name, KAFKA=cluster.bootstrap)
    wait_for(lambda: in_sync(cluster, name) == 2, 20, "the topic")
    one = load(server.port, "/", connections=40, keys=20, rate=400)
    one.wait_ok(100, 40)
    cluster.brokers[1].pause()

    def alone():
        # by a client that knows of no other broker
        topic = Topics(cluster.brokers[0]).admin.list_topics(
            name, timeout=20).topics[name]
        return all(partition.isrs == [1] and partition.leader == 1
                   for partition in topic.partitions.values())

    wait_for(alone, 60, "one replica is in sync")
    begin = time.monotonic()

    def after(outcome):
        return [event for event in list(one.events)
                if event.start > begin and event.outcome == outcome]

    # some are refused at once, and some are tried
    wait_for(lambda: after("ok") or len(after("fail")) > 30
             and len(after("maybe")) > loops(5, 100), 120, "refusals")
    assert not after("ok"), after("ok")[:3]
    cluster.brokers[1].resume()
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
