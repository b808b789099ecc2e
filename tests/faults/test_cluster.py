"""Three brokers: leaders that die, too few in-sync replicas, partitions of
every state at once."""

import re
import time

import pytest
from confluent_kafka.admin import NewTopic

from tests.lib.env import LONG, bound, loops, wait_for
from tests.lib.history import check_answers, check_topic, p99
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


LANES = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%WELL%%;
        topic   %%GONE%%;
        topic   %%UNDER%%;
        topic   %%MIXED%%;
        topic   %%ABSENT%%;
        topic   %%SLOW%%;
    }
    kafka_producer throttled {
        brokers  %%KAFKA%%;
        timeout  3s;
        property client.id throttled;
        topic    %%THROTTLED%%;
    }
    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_key $arg_key;
        location = /well   { kafka_pass main; kafka_topic %%WELL%%; }
        location = /gone   { kafka_pass main; kafka_topic %%GONE%%; }
        location = /under  { kafka_pass main; kafka_topic %%UNDER%%; }
        location = /mixed  { kafka_pass main; kafka_topic %%MIXED%%; }
        location = /absent { kafka_pass main; kafka_topic %%ABSENT%%; }
        location = /slow   { kafka_pass main; kafka_topic %%SLOW%%; }
        location = /throttled {
            kafka_pass throttled; kafka_topic %%THROTTLED%%;
        }
        location = /queued {
            kafka_pass main; kafka_topic %%WELL%%; kafka_ack queued;
        }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
    }
"""

# s: "request.timeout.ms" by the time-out above, and a write to a slow disk
WAIT = 0.3
WRITE = 0.5

# the brokers that have each partition; the third one is stopped
PLACES = {
    "WELL": [[1], [2], [1]],
    "GONE": [[3]],
    "UNDER": [[1, 3], [2, 3]],
    "MIXED": [[1], [3], [2]],
    "SLOW": [[2]],
    "THROTTLED": [[1]],
}


@pytest.fixture
def placed(nginx, cluster):
    """A server, and a topic of each state."""
    names = {state: cluster.topics.name() for state in PLACES}
    new = [NewTopic(names[state], len(places), replica_assignment=places,
                    config={"min.insync.replicas": "2"}
                    if state == "UNDER" else {})
           for state, places in PLACES.items()]
    for future in cluster.topics.admin.create_topics(new).values():
        future.result(30)
    for state, places in PLACES.items():
        cluster.topics._wait(names[state], len(places))
    names["ABSENT"] = cluster.topics.name()
    server = nginx(LANES, KAFKA=cluster.bootstrap, **names)
    for path in ("/well", "/gone", "/under", "/mixed", "/slow",
                 "/throttled"):
        wait_for(lambda: server.post(path, b'{"id":"first"}').status == 200,
                 20, "it serves")
    server.names = names
    return server


def after(events, moment):
    return [event for event in events if event.start > moment]


def stored(cluster, name):
    return [record for record in cluster.topics.records(name)
            if record.value != b'{"id":"first"}']


def test_partitions_of_every_state_at_once(placed, cluster, load):
    loads = {"well": load(placed.port, "/well", connections=8, rate=150),
             "keys": load(placed.port, "/well", connections=4, rate=50,
                          keys=50),
             "queued": load(placed.port, "/queued", connections=2, rate=50)}
    for name, keys in (("gone", 0), ("under", 0), ("under", 9), ("mixed", 0),
                       ("mixed", 30), ("absent", 0), ("slow", 0),
                       ("throttled", 0)):
        loads[name + "s" * bool(keys)] = load(
            placed.port, f"/{name}", connections=4, rate=20, keys=keys)
    loads["well"].wait_ok(loops(300, 2000), 60)
    before = p99(loads["well"].events)

    # of a client: a quota knows no topic
    cluster.brokers[0].tool(
        "kafka.admin.ConfigCommand", "--bootstrap-server", cluster.bootstrap,
        "--alter", "--add-config", "producer_byte_rate=500", "--entity-type",
        "clients", "--entity-name", "throttled")

    quiet = len(placed.log())
    # until the follower is no longer called in sync, each leader lets a
    # connection wait for it by "request.timeout.ms"
    cluster.brokers[2].kill()
    begin = time.monotonic()

    def said(name, partition):
        return (f'partition {partition} of topic "{placed.names[name]}" does '
                "not acknowledge") in placed.log()

    for name, partition in (("GONE", 0), ("UNDER", 0), ("UNDER", 1),
                            ("MIXED", 1)):
        wait_for(lambda: said(name, partition), 60, f"{name} {partition}")
    known = time.monotonic()
    # probes end meanwhile, and the client that had the first ones
    end = time.monotonic() + loops(8, 60)
    loads["well"].wait_ok(loops(500, 5000), 120)
    wait_for(lambda: time.monotonic() > end, 100, pause=0.1)
    calm = known + 4
    within = p99([event for event in after(loads["well"].events, begin)
                  if event.start < calm])
    through = p99(after(loads["well"].events, calm))

    # records without a key go round the partition that is gone; those with
    # the key of another one go on, as nothing is of that one's
    late = {name: after(one.events, calm) for name, one in loads.items()}
    assert all(event.outcome == "ok" for event in late["mixed"]), \
        [event for event in late["mixed"] if event.outcome != "ok"][:3]
    assert {event.partition for event in late["mixed"]} == {0, 2}
    outcomes = [event.outcome for event in late["mixeds"]]
    assert outcomes.count("ok") > len(outcomes) / 2
    for name in ("gone", "under", "unders", "mixeds"):
        refused = [event.end - event.start for event in late[name]
                   if event.status == 503]
        assert sorted(refused)[len(refused) // 2] < 0.1, name
    assert {event.status for event in late["absent"]} == {503}

    # a broker takes a connection's requests one after the other: one slow
    # write is what a request of that leader may wait for
    cluster.brokers[1].slow(placed.names["SLOW"])
    begin = time.monotonic()
    loads["slow"].wait_ok(10, 30)
    loads["well"].wait_ok(loops(300, 3000), 120)
    beside = p99(after(loads["well"].events, begin))
    took = [event.end - event.start
            for event in after(loads["slow"].events, begin)]
    assert sorted(took)[len(took) // 2] > WRITE * 0.9
    cluster.brokers[1].slow(None)

    cluster.brokers[2].start()
    for name in ("gone", "under", "unders", "mixeds"):
        loads[name].wait_ok(20, 60)
    events = {name: one.stop() for name, one in loads.items()}
    wait_for(lambda: placed.get("/status").json["queued"] == 0, 15, "empty")
    for name in ("well", "keys"):
        check_answers(events[name], only={"ok"})
    check_answers(events["queued"], only={"queued"})
    well = events["well"] + events["keys"] + events["queued"]
    records = stored(cluster, placed.names["WELL"])
    check_topic(well, records)
    assert len(records) == len(well)
    assert max(event.end - event.start for event in events["throttled"]) > 1
    check_answers(events["slow"], only={"ok"})
    for name in ("gone", "under", "mixed", "slow", "throttled"):
        check_topic(events[name] + events.get(name + "s", []),
                    stored(cluster, placed.names[name.upper()]))
    # ms of a machine that does other things too
    slack = 0.05 if LONG else 0.2
    assert through <= 2 * before + slack, (before, through)
    # one request of one waiting partition a leader, and one on the way
    assert within <= 2 * before + 2 * WAIT + slack, (before, within)
    assert beside <= 2 * before + WRITE + slack, (before, beside)
    assert '"main": brokers do not acknowledge' not in placed.log()[quiet:]
