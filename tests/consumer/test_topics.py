"""Several topics of one daemon: one transaction, offsets a topic."""

import json

from tests.lib.env import wait_for
from tests.lib.topics import Topics

PLACE = {"topic": {"meta": "topic"}, "part": {"meta": "partition"},
         "off": {"meta": "offset"}}
COLUMNS = {"id": "/id", "v": "/v", **PLACE}
CONFIG = {
    "group": "g", "start": "earliest", "batch": {"linger": "5ms"},
    "dead_letters": {"hold_above": 1},
    "kafka": {"topic.metadata.refresh.interval.ms": "1000"},
    "columns": COLUMNS,
}


def table(name):
    return (f"CREATE TABLE {name} (id integer PRIMARY KEY, v text, topic text,"
            " part integer, off bigint);")


def rows(*idents):
    return [json.dumps({"id": i, "v": f"v{i}"}) for i in idents]


def count(database, name):
    return database.query(f"SELECT count(*) FROM {name}")[0][0]


def verify(daemon, topic):
    code, said = daemon.run("--topic", topic, "verify", "--strict")
    assert code == 0 and "Proved" in said, said


def why(daemon):
    """Its health's reason; "" also while it runs again."""
    return (daemon.health()[1] or {"reason": ""})["reason"]


def test_topics_of_one_table(consumer, topics, database):
    """Each topic has offsets of its own; a dead letter names its topic."""
    database.query(table("t"))
    a, b = topics.create(2), topics.create(3)
    topics.produce(a, rows(1, 2, 3))
    topics.produce(b, rows(4, 5) + ["not json", "[]"])
    daemon = consumer({**CONFIG, "topics": [b, a], "table": "t"})
    wait_for(lambda: count(database, "t") == 5
             and count(database, "sluice.dead_letters") == 2)
    assert sorted(database.query(
        "SELECT topic, count(*)::int FROM t GROUP BY 1")) == sorted(
            [(a, 3), (b, 2)])
    assert database.query(
        "SELECT DISTINCT topic, table_name FROM sluice.dead_letters") \
        == [(b, "t")]
    assert database.query(
        "SELECT topic, sum(next_offset)::int, count(*)::int"
        " FROM sluice.offsets GROUP BY 1 ORDER BY 1") == sorted(
            [(a, 3, 2), (b, 4, 3)])
    verify(daemon, a)
    verify(daemon, b)


def test_a_batch_is_one_transaction(consumer, topics, database):
    database.query(table("t") + table("u"))
    a, b = topics.create(), topics.create()
    topics.produce(a, rows(*range(50)))
    topics.produce(b, rows(*range(50)))
    consumer({**CONFIG, "topics": {a: "t", b: "public.u"},
              "batch": {"linger": "2s"}})
    wait_for(lambda: count(database, "u") == 50)
    assert database.query(
        "SELECT count(DISTINCT xmin::text)::int FROM (SELECT xmin FROM t"
        " UNION ALL SELECT xmin FROM u) x") == [(1,)]
    assert database.query(
        "SELECT topic, table_name, next_offset::int FROM sluice.offsets"
        " ORDER BY 1") == sorted([(a, "t", 50), (b, "public.u", 50)])


def test_a_pattern_takes_new_topics(consumer, topics, database):
    """Their tables are made; a table that is not allowed is not touched."""
    name = topics.name()
    topics.create(name=f"{name}.a")
    topics.produce(f"{name}.a", rows(1))
    database.query("CREATE SCHEMA landing; CREATE SCHEMA other")
    daemon = consumer({
        **CONFIG, "topics": f"^{name}\\.", "table": "landing.{topic}",
        "tables": ["landing.*"], "create_table": True,
        "columns": {**COLUMNS, "id": {"path": "/id", "type": "integer"}}})
    first = f'landing."{name}.a"'
    second = f'landing."{name}.B-c_d"'
    wait_for(lambda: database.query(
        f"SELECT to_regclass('{first}') IS NOT NULL") == [(True,)]
        and count(database, first) == 1)
    topics.create(name=f"{name}.B-c_d")
    topics.produce(f"{name}.B-c_d", rows(1, 2))
    wait_for(lambda: database.query(
        f"SELECT to_regclass('{second}') IS NOT NULL") == [(True,)]
        and count(database, second) == 2, 60)
    topics.produce(f"{name}.a", rows(2))
    wait_for(lambda: count(database, first) == 2)
    for topic in (f"{name}.a", f"{name}.B-c_d"):
        verify(daemon, topic)
    code, said = daemon.run("verify")
    assert code == 0 and said.count("Proved") == 2, said
    code, said = daemon.run("--check")
    assert code == 0 and said.count("It would run.") == 2, said


def test_a_table_that_is_not_allowed(consumer, topics, database):
    name = topics.name()
    for end in "ab":
        topics.create(name=f"{name}-{end}")
        topics.produce(f"{name}-{end}", rows(1))
    database.query(table(f'"{name}-a"') + table(f'"{name}-b"'))
    daemon = consumer({
        **CONFIG, "topics": f"^{name}-", "table": "{topic}",
        "tables": [f"{name}-a"]})
    wait_for(lambda: count(database, f'"{name}-a"') == 1)
    assert f'topic "{name}-b" is not read: its table is not in "tables"' \
        in daemon.log()
    assert "not in \\\"tables\\\"" in json.dumps(daemon.health()[1])
    assert daemon.health()[0] == 200
    assert count(database, f'"{name}-b"') == 0
    code, said = daemon.run("--topic", f"{name}-b", "verify")
    assert code == 1 and 'its table is not in "tables"' in said


def test_a_topic_that_is_not_there_yet(consumer, topics, database):
    database.query(table("t"))
    a, b = topics.create(), topics.name()
    topics.produce(a, rows(1))
    daemon = consumer({**CONFIG, "topics": [a, b], "table": "t"})
    wait_for(lambda: count(database, "t") == 1)
    assert f'topic \\"{b}\\" is not read: it does not exist' in json.dumps(
        daemon.health()[1])
    topics.create(name=b)
    topics.produce(b, rows(2))
    wait_for(lambda: count(database, "t") == 2, 60)
    daemon.wait_healthy()
    assert why(daemon) == ""


def test_a_lost_range_holds_its_topic_alone(consumer, topics, database):
    """Retention passed the stored offset of one topic; the others go on."""
    database.query(table("t"))
    a, b = topics.create(), topics.create()
    topics.produce(a, rows(1))
    topics.produce(b, rows(2))
    daemon = consumer({**CONFIG, "topics": [a, b], "table": "t"})
    wait_for(lambda: count(database, "t") == 2)
    daemon.stop()
    topics.produce(a, rows(3, 4))
    topics.remove(a, 3)
    topics.produce(a, rows(5))
    topics.produce(b, rows(6))
    daemon.start()
    wait_for(lambda: count(database, "t") == 3)
    status, body = daemon.health()
    assert status == 503 and body["status"] == "held"
    assert f'topic "{a}", partition 0: retention removed offsets 1 to 2' \
        in body["reason"]
    metrics = daemon.metrics()
    assert metrics[f'sluice_consumer_topic_held{{topic="{a}"}}'] == 1
    assert metrics[f'sluice_consumer_topic_held{{topic="{b}"}}'] == 0
    assert metrics[f'sluice_consumer_rows_total{{topic="{b}"}}'] == 1
    topics.produce(b, rows(7))
    wait_for(lambda: count(database, "t") == 4)
    daemon.stop()
    code, said = daemon.run("offsets", "reset", "--to-earliest")
    assert code == 1 and "choose one by --topic" in said
    code, said = daemon.run("--topic", a, "offsets", "reset", "--to-earliest")
    assert code == 0, said
    daemon.start()
    wait_for(lambda: count(database, "t") == 5)
    wait_for(lambda: daemon.health()[0] == 200)
    assert database.query("SELECT count(*)::int FROM t WHERE id = 5") \
        == [(1,)]


def test_a_topic_deleted_and_made_again(consumer, topics, database):
    database.query(table("t"))
    a, b = topics.create(), topics.create()
    topics.produce(a, rows(1, 2))
    topics.produce(b, rows(3))
    daemon = consumer({**CONFIG, "topics": [a, b], "table": "t"})
    wait_for(lambda: count(database, "t") == 3)
    topics.delete(a)
    topics.produce(b, rows(4))
    wait_for(lambda: count(database, "t") == 4, 60)
    wait_for(lambda: f'topic "{a}" is not read' in why(daemon), 60)
    topics.create(name=a)
    topics.produce(a, rows(5))
    topics.produce(b, rows(6))
    wait_for(lambda: count(database, "t") == 5, 60)
    wait_for(lambda: "created again" in why(daemon), 60)
    assert daemon.health()[0] == 503
    assert database.query("SELECT count(*)::int FROM t WHERE id = 5") == [(0,)]


def test_two_daemons_share_the_topics(consumer, topics, database):
    database.query(table("t"))
    names = [topics.create(2) for _ in range(3)]
    config = {**CONFIG, "topics": names, "table": "t"}
    daemons = [consumer(config), consumer(config)]
    for i in range(300):
        topics.produce(names[i % 3], [(None, rows(i)[0], i % 2)])
        if i == 150:
            daemons[0].kill()
    wait_for(lambda: count(database, "t") == 300, 60)
    for name in names:
        verify(daemons[1], name)


def test_what_is_told_by_topic(consumer, topics, database):
    """Receipts, dead letters in a topic, and clients' retries."""
    database.query(table("t"))
    a, b, dead, told = (topics.create() for _ in range(4))
    key = [("idempotency-key", "same")]
    topics.produce(a, [(None, rows(1)[0], 0, key),
                       (None, rows(2)[0], 0, key), "bad"])
    topics.produce(b, [(None, rows(3)[0], 0, key), "bad"])
    daemon = consumer({
        **CONFIG, "topics": [a, b], "table": "t",
        "dead_letters": {"topic": dead, "hold_above": 1},
        "dedupe": {"header": "idempotency-key"},
        "receipts": {"topic": told}})
    wait_for(lambda: count(database, "t") == 2
             and count(database, "sluice.dead_letters") == 2)
    assert database.query("SELECT id FROM t ORDER BY 1") == [(1,), (3,)]
    assert sorted((dict(r.headers)["sluice-topic"].decode(),
                   dict(r.headers)["sluice-offset"])
                  for r in topics.records(dead)) \
        == sorted([(a, b"2"), (b, b"1")])

    def receipts():
        found = {}
        for record in topics.records(told):
            receipt = json.loads(record.value)
            assert record.key.decode().endswith("/" + receipt["topic"])
            for part in receipt["partitions"]:
                for one in part.get("exceptions", []):
                    found[receipt["topic"], one["offset"]] = one["stored"]
        return found

    wait_for(lambda: len(receipts()) == 3)
    assert receipts() == {(a, 1): "duplicate", (a, 2): "dead-letter",
                          (b, 1): "dead-letter"}
    metrics = daemon.metrics()
    for topic, name, value in (
            (a, "rows", 1), (a, "duplicates", 1), (a, "dead_letters", 1),
            (b, "rows", 1), (b, "duplicates", 0), (b, "dead_letters", 1)):
        assert metrics[f'sluice_consumer_{name}_total{{topic="{topic}"}}'] \
            == value
    verify(daemon, a)
    verify(daemon, b)
    code, said = daemon.run("--topic", b, "dead-letters", "list")
    assert code == 0 and said.count("22032") == 1, said


def test_a_topic_that_may_not_be_read(consumer, guarded_kafka, database):
    """Described, but not read: the other topic goes on."""
    database.query(table("t"))
    made = Topics(guarded_kafka)
    a, b = made.create(), made.create()
    acl = guarded_kafka.acl
    acl("--add", "--allow-principal", "Describe", a)
    acl("--add", "--allow-principal", "All", a)
    made.produce(a, rows(1))
    made.produce(b, rows(2))
    acl("--add", "--deny-principal", "Read", a)
    daemon = consumer({**CONFIG, "topics": [a, b], "table": "t"},
                      broker=guarded_kafka)
    wait_for(lambda: count(database, "t") == 1)
    daemon.wait_held(30, f'topic "{a}", partition 0: ')
    made.produce(b, rows(3))
    wait_for(lambda: count(database, "t") == 2)
    acl("--remove", "--deny-principal", "Read", a)
    wait_for(lambda: count(database, "t") == 3, 90)
    daemon.wait_healthy()
    assert daemon.log().count(f'holding topic "{a}"') == 1
    daemon.stop()
