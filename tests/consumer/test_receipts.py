"""Receipts: what the topic says of each record, held against the database."""

import json

import pytest

from tests.lib import procs
from tests.lib.env import TEST_CONSUMER, wait_for
from tests.lib.topics import Topics

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "columns": {"id": {"path": "/id", "type": "integer"},
                "p": {"meta": "partition", "type": "integer"},
                "o": {"meta": "offset", "type": "bigint"}},
    "kafka": {"session.timeout.ms": "1000", "heartbeat.interval.ms": "200"},
    "dead_letters": {"hold_above": 1},
}
TABLE = "CREATE TABLE t (id integer CHECK (id < 1000), p integer, o bigint)"
SENT = "sluice_consumer_receipts_sent_total"
DROPPED = "sluice_consumer_receipts_dropped_total"


class Receipts:
    """What all receipts of a topic say; the last one of a record counts."""

    def __init__(self, topics, receipts, topic):
        self.all = []
        self.told = {}
        for record in topics.records(receipts):
            receipt = json.loads(record.value)
            assert len(record.value) <= 512 * 1024
            assert receipt["version"] == 1 and receipt["topic"] == topic
            if not receipt["partitions"]:
                continue
            assert record.key.decode() == receipt["group"] + "/" + topic
            assert sum(len(part.get("exceptions", []))
                       for part in receipt["partitions"]) <= 1000
            self.all.append(receipt)
            for part in receipt["partitions"]:
                self.take(part)

    def take(self, part):
        known = part.get("known", part["next"])
        assert part["first"] <= known <= part["next"]
        fates = {offset: ("row", None, None)
                 for offset in range(part["first"], known)}
        for one in part.get("exceptions", []):
            for offset in range(one["offset"],
                                one["offset"] + one.get("count", 1)):
                # in the range, and named once
                assert fates[offset][0] == "row"
                fates[offset] = (one["stored"], one.get("sqlstate"),
                                 one.get("reason"))
        for offset, fate in fates.items():
            self.told[part["partition"], offset] = fate

    def of(self, stored):
        return sorted(place for place, fate in self.told.items()
                      if fate[0] == stored)

    def letters(self):
        return [(*place, *self.told[place][1:])
                for place in self.of("dead-letter")]


def rows(database, table="t"):
    return sorted(database.query(f"SELECT p, o FROM {table}"))


def dead(database, what="sqlstate, reason"):
    return sorted(database.query(
        f'SELECT partition, "offset", {what} FROM sluice.dead_letters'))


def read(topics, receipts, topic, count):
    """Once the receipts tell of so many records."""
    found = {}

    def enough():
        if topics.partitions(receipts):
            found["it"] = Receipts(topics, receipts, topic)
        return found and len(found["it"].told) >= count

    wait_for(enough, 30, f"receipts of {count} records")
    return found["it"]


def values(*numbers):
    return ['{"id":%d}' % n for n in numbers]


def test_rows_and_dead_letters_are_told_as_they_are(consumer, topics,
                                                    database):
    """The daemon creates the topic; all violations have their SQLSTATE."""
    database.query(TABLE)
    database.query("CREATE UNIQUE INDEX ON t (id)")
    database.query("CREATE TABLE ids (id integer PRIMARY KEY);"
                   "INSERT INTO ids SELECT generate_series(0, 999);"
                   "ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES ids")
    topic, receipts = topics.create(partitions=2), topics.name()
    topics.produce(topic, [(None, v, n % 2)
                           for n, v in enumerate(values(*range(20)))]
                   + [(None, "no JSON", 0), (None, '{"id":1000}', 1),
                      (None, '{"id":"x"}', 0), (None, '{"id":3}', 1),
                      (None, '{"id":-1}', 1)], timestamp=1769857200123)
    daemon = consumer({**CONFIG, "topic": topic,
                       "receipts": {"topic": receipts}})
    told = read(topics, receipts, topic, 25)
    assert told.of("row") == rows(database) and len(rows(database)) == 20
    assert told.letters() == dead(database)
    assert {state for _, _, state, _ in told.letters()} \
        == {"22032", "22P02", "23514", "23505", "23503"}
    receipt = told.all[0]
    assert receipt["group"].startswith("g@") and receipt["table"] == "t"
    assert receipt["cluster"] == database.value(
        "SELECT DISTINCT cluster_id FROM sluice.offsets")
    assert receipt["partitions"][0]["timestamps"] == [1769857200123] * 2
    assert receipt["partitions"][0]["epoch"] >= 1
    assert topics.partitions(receipts) == 1
    wait_for(lambda: daemon.metric(SENT)
             == len(Receipts(topics, receipts, topic).all), 10, "counted")
    assert daemon.metric(DROPPED) == 0
    status, health = daemon.health()
    assert status == 200 and health["receipts"] == "sent"


def test_without_receipts_none_are_sent(consumer, topics, database):
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, values(1))
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 1, 20, "the row")
    assert daemon.metric(SENT) == 0
    assert "receipts" not in daemon.health()[1]


def test_runs_of_what_where_leaves_out(consumer, topics, database):
    """Runs, also over partitions that take turns, and gaps in them."""
    database.query(TABLE)
    topic, receipts = topics.create(partitions=3), topics.name()
    kept = lambda n: n % 10 < 2 or n % 10 == 5
    topics.produce(topic, [(None, '{"id":%d,"keep":%s}' % (
        n, "true" if kept(n) else "false"), n % 3) for n in range(600)])
    consumer({**CONFIG, "topic": topic, "receipts": {"topic": receipts},
              "where": {"path": "/keep", "equals": True}})
    told = read(topics, receipts, topic, 600)
    assert told.of("row") == rows(database) and len(rows(database)) == 180
    assert len(told.of("filtered")) == 420
    assert any(one.get("count", 1) > 1 for receipt in told.all
               for part in receipt["partitions"]
               for one in part.get("exceptions", []))


def test_retries_are_told_as_duplicates(consumer, topics, database):
    """In one batch and over batches; neighbours in one run."""
    database.query(TABLE)
    topic, receipts = topics.create(), topics.name()
    keyed = lambda n, key: (None, '{"id":%d}' % n, 0,
                            [("idempotency-key", key)])
    topics.produce(topic, [keyed(1, "a"), keyed(1, "a"), keyed(2, "b"),
                           keyed(1, "a"), keyed(2, "b"), '{"id":3}'])
    consumer({**CONFIG, "topic": topic, "receipts": {"topic": receipts},
              "dedupe": {"header": "idempotency-key"}})
    told = read(topics, receipts, topic, 6)
    assert told.of("row") == rows(database) == [(0, 0), (0, 2), (0, 5)]
    assert told.of("duplicate") == [(0, 1), (0, 3), (0, 4)]
    topics.produce(topic, [keyed(2, "b"), keyed(4, "c")])
    told = read(topics, receipts, topic, 8)
    assert told.of("duplicate") == [(0, 1), (0, 3), (0, 4), (0, 6)]
    assert told.of("row") == rows(database)


@pytest.mark.parametrize("kind", ["dead letters", "left out", "duplicates"])
def test_more_than_a_thousand_exceptions(consumer, topics, database, kind):
    """From the first that has no room on, nothing is told."""
    database.query(TABLE)
    topic, receipts = topics.create(), topics.name()
    header = [("k", b"same")]
    odd = {"dead letters": "bad", "left out": '{"id":1,"out":1}',
           "duplicates": (None, '{"id":1}', 0, header)}[kind]
    # every other one: no two are one run
    topics.produce(topic, [(None, '{"id":1}', 0, header)] + values(0)
                   + [odd, '{"id":1}'] * 1500)
    more = {"left out": {"where": {"path": "/out", "exists": False}},
            "duplicates": {"dedupe": {"header": "k"}}}.get(kind, {})
    consumer({**CONFIG, "topic": topic, "receipts": {"topic": receipts},
              "batch": {"rows": 3002, "linger": "60s"}, **more})
    told = read(topics, receipts, topic, 2002)
    assert database.value("SELECT sum(records) FROM sluice.batches") == 3002
    assert told.all[0]["partitions"][0]["next"] == 3002
    assert told.all[0]["partitions"][0]["known"] == 2002
    assert len(told.told) == 2002
    assert set(told.of("row")) == {place for place in rows(database)
                                   if place[1] < 2002}
    assert len(told.told) - len(told.of("row")) == 1000


def test_long_reasons_have_a_bound(consumer, topics, database):
    """A thousand of them with escapes are more than a receipt may hold."""
    database.query(TABLE)
    database.query("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
                   " AS $$BEGIN RAISE EXCEPTION '%', repeat(chr(1), 250);"
                   " END$$; CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH"
                   " ROW WHEN (NEW.id < 0) EXECUTE FUNCTION refuse()")
    topic, receipts = topics.create(), topics.name()
    topics.produce(topic, values(*[-1] * 400, 1))
    consumer({**CONFIG, "topic": topic, "receipts": {"topic": receipts},
              "batch": {"rows": 401, "linger": "60s"}})
    told = read(topics, receipts, topic, 100)
    part = told.all[0]["partitions"][0]
    assert part["next"] == 401
    assert part["known"] == len(part["exceptions"]) < 400
    assert told.letters() == dead(database)[:part["known"]]


def test_reasons_are_json_whatever_they_hold(consumer, topics, database):
    """Quotes, backslashes, control characters, and what is not ASCII."""
    database.query(TABLE)
    odd = 'a"b\\c\x01\t\n\x7f</script>é\U0001f600' + "ü" * 200
    database.query("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
                   " AS $$BEGIN RAISE EXCEPTION '%', NEW.v; END$$;"
                   "ALTER TABLE t ADD v text; CREATE TRIGGER refuse BEFORE"
                   " INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()")
    topic, receipts = topics.create(), topics.name()
    topics.produce(topic, [json.dumps({"v": odd}), b'{"id":"\xff"}',
                           b'{"i\xffd":1}', json.dumps({"id": odd})])
    consumer({**CONFIG, "topic": topic, "receipts": {"topic": receipts},
              "columns": {**CONFIG["columns"], "v": "/v"}})
    told = read(topics, receipts, topic, 4)
    assert told.letters() == dead(database)
    assert told.letters()[0][3].startswith('a"b\\c\x01')
    assert all(len(reason.encode()) <= 255
               for _, _, _, reason in told.letters())


def test_reasons_stay_where_values_are_kept_out(consumer, topics, database):
    database.query(TABLE)
    topic, receipts = topics.create(), topics.name()
    topics.produce(topic, ['{"id":"secret"}'] + values(1))
    daemon = consumer({**CONFIG, "topic": topic,
                       "receipts": {"topic": receipts},
                       "dead_letters": {"store": "reason", "hold_above": 1}})
    before = read(topics, receipts, topic, 2)
    assert before.letters() == [(0, 0, "22P02", None)]
    daemon.kill()
    daemon.start()
    wait_for(lambda: len(Receipts(topics, receipts, topic).all)
             > len(before.all), 20, "that of the claim")
    told = Receipts(topics, receipts, topic)
    assert told.letters() == [(0, 0, "22P02", None)]
    assert "secret" not in json.dumps(told.all)


@pytest.mark.parametrize("mode", ["ignore", "upsert", "upsert_delete"])
def test_a_row_is_what_the_mode_made_of_it(consumer, topics, database, mode):
    database.query("CREATE TABLE t (id integer PRIMARY KEY CHECK (id < 1000),"
                   " p integer, o bigint)")
    topic, receipts = topics.create(), topics.name()
    key = lambda n, value: (str(n), value, 0, None)
    topics.produce(topic, [key(1, '{"id":1}'), key(2, '{"id":2}'),
                           key(1, '{"id":1}'), key(1000, '{"id":1000}'),
                           key(2, None)])
    consumer({**CONFIG, "topic": topic, "receipts": {"topic": receipts},
              "mode": mode, "key": ["id"], "columns": {
                  **CONFIG["columns"],
                  "id": {"path": "/id", "type": "integer"}
                  if mode != "upsert_delete"
                  else {"meta": "key", "type": "integer"}}})
    told = read(topics, receipts, topic, 5)
    assert told.letters() == dead(database)
    assert [place[1] for place in told.of("dead-letter")] \
        == ([3] if mode == "upsert_delete" else [3, 4])
    assert len(rows(database)) == (1 if mode == "upsert_delete" else 2)


def test_several_tables_have_one_receipt(consumer, topics, database):
    database.query(TABLE + "; CREATE TABLE u (p integer, o bigint)")
    topic, receipts = topics.create(), topics.name()
    topics.produce(topic, ['{"k":"t","id":1}', '{"k":"u"}', '{"k":"none"}',
                           '{"k":"t","id":1000}', '{"k":"u"}', "bad"])
    place = {name: CONFIG["columns"][name] for name in ("p", "o")}
    config = {**CONFIG, "topic": topic, "receipts": {"topic": receipts},
              "route": {"path": "/k", "default": "filter", "tables": {
                  "t": {"table": "t", "columns": CONFIG["columns"]},
                  "u": {"table": "u", "columns": place}}}}
    del config["table"], config["columns"]
    daemon = consumer(config)
    told = read(topics, receipts, topic, 6)
    assert told.of("row") == sorted(rows(database) + rows(database, "u"))
    assert told.of("filtered") == [(0, 2)]
    assert told.letters() == dead(database) and len(dead(database)) == 2
    daemon.verify()


@pytest.mark.parametrize("end", ["killed", "continued"])
@pytest.mark.parametrize("point", ["before-copy", "before-commit",
                                   "after-commit"])
def test_the_next_daemon_makes_it_good(consumer, topics, database, point,
                                       end):
    """Each record is told, by the one or the other daemon, and none before
    it is stored."""
    database.query(TABLE)
    topic, receipts = topics.create(), topics.name()
    # three batches of four: the second one is not told by who stores it
    config = {**CONFIG, "topic": topic, "receipts": {"topic": receipts},
              "batch": {"rows": 4, "linger": "60s"}}
    topics.produce(topic, values(1, 2, 3) + ["bad"])
    first = consumer(config, program=TEST_CONSUMER, name="first",
                     SLUICE_TEST_STOP=f"{point}:2")
    read(topics, receipts, topic, 4)
    topics.produce(topic, values(11) + ["bad", '{"id":1000}']
                   + values(*range(12, 17)))
    wait_for(lambda: procs.stopped(first.pid), 20, f"it stops at {point}")
    before = Receipts(topics, receipts, topic)
    assert len(before.told) == 4
    if end == "killed":
        first.kill()
    second = consumer(config, name="second")
    told = read(topics, receipts, topic, 12)
    assert told.of("row") == rows(database) and len(rows(database)) == 9
    assert told.letters() == dead(database) and len(dead(database)) == 3
    # the claim tells again what the first one had told, or had stored
    claim = told.all[len(before.all)]["partitions"][0]
    assert claim["epoch"] > before.all[-1]["partitions"][0]["epoch"]
    assert claim["next"] == (8 if point == "after-commit" else 4)
    if end == "continued":
        first.resume()
        topics.produce(topic, values(*range(21, 25)))
        told = read(topics, receipts, topic, 16)
        assert told.of("row") == rows(database)
        assert told.letters() == dead(database)
    second.verify()


@pytest.mark.parametrize("mean", ["left out", "a dead letter less",
                                  "set back", "created again"])
def test_what_the_tables_do_not_prove_is_not_told(consumer, topics, database,
                                                  mean):
    """The claim is silent; what comes after it is told."""
    database.query(TABLE)
    topic, receipts = topics.create(), topics.name()
    topics.produce(topic, values(1, 2) + ["bad"])
    where = {"where": {"path": "/id", "exists": True}} \
        if mean == "left out" else {}
    config = {**CONFIG, "topic": topic, "receipts": {"topic": receipts},
              **where}
    if mean == "left out":
        topics.produce(topic, ["{}"])
    daemon = consumer(config)
    told = read(topics, receipts, topic, topics.count(topic))
    number, known = len(told.all), len(told.told)
    daemon.stop()
    if mean == "a dead letter less":
        code, said = daemon.run("dead-letters", "purge", "--all")
        assert code == 0, said
    elif mean == "set back":
        code, said = daemon.run("offsets", "reset", "--to-offset", "2",
                                "--allow-duplicates")
        assert code == 0, said
        database.query("DELETE FROM t")
    elif mean == "created again":
        topics.delete(topic)
        topics.create(name=topic)
        topics.produce(topic, values(7, 8, 9, 10))
    daemon.start()
    if mean == "created again":
        assert "created again" in str(daemon.wait_held())
    else:
        daemon.wait_healthy()
        topics.produce(topic, values(3))
        read(topics, receipts, topic, known + 1)
    # one batch or several
    later = {offset
             for receipt in Receipts(topics, receipts, topic).all[number:]
             for part in receipt["partitions"]
             for offset in range(part["first"], part["next"])}
    assert later == set({"set back": range(2, known + 1),
                         "created again": ()}.get(mean, [known]))


def test_a_skipped_record_is_told_by_the_claim(consumer, topics, database):
    """The subcommand sends none; the daemon that claims behind it does."""
    database.query(TABLE)
    database.query("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
                   " $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE='XX000'; END"
                   "$$; CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW"
                   " WHEN (NEW.id = 3) EXECUTE FUNCTION no()")
    topic, receipts = topics.create(), topics.name()
    topics.produce(topic, values(1, 2))
    daemon = consumer({**CONFIG, "topic": topic,
                       "receipts": {"topic": receipts}})
    read(topics, receipts, topic, 2)
    topics.produce(topic, values(3))
    daemon.wait_held()
    assert len(Receipts(topics, receipts, topic).told) == 2
    code, said = daemon.run("skip", f"{topic}/0/2", "--to", "dead-letters")
    assert code == 0, said
    told = read(topics, receipts, topic, 3)
    assert told.letters() == dead(database)
    assert told.letters()[0][:3] == (0, 2, "SL003")
    assert told.of("row") == rows(database)
    topics.produce(topic, values(4))
    told = read(topics, receipts, topic, 4)
    assert told.of("row") == rows(database)
    daemon.verify()


def test_a_rebalance_tells_each_record(consumer, topics, database):
    """Two daemons, one of them leaves."""
    database.query(TABLE)
    topic, receipts = topics.create(partitions=4), topics.name()
    config = {**CONFIG, "topic": topic, "receipts": {"topic": receipts}}
    first = consumer(config)
    topics.produce(topic, values(*range(40)))
    read(topics, receipts, topic, 40)
    second = consumer(config, name="second").wait_healthy()
    wait_for(lambda: second.metric("sluice_consumer_rebalances_total") >= 1
             and first.metric("sluice_consumer_rebalances_total") >= 3, 30,
             "both have partitions")
    topics.produce(topic, values(*range(40, 80)) + ["bad"])
    read(topics, receipts, topic, 81)
    first.stop()
    topics.produce(topic, values(*range(80, 100)))
    told = read(topics, receipts, topic, 101)
    assert told.of("row") == rows(database) and len(rows(database)) == 100
    assert told.letters() == dead(database)


def test_what_it_had_stored_is_told_before_it_ends(consumer, topics,
                                                   database):
    database.query(TABLE)
    topic, receipts = topics.create(), topics.name()
    daemon = consumer({**CONFIG, "topic": topic, "batch": {"linger": "10s"},
                       "receipts": {"topic": receipts}})
    topics.produce(topic, values(1, 2))
    daemon.wait_healthy()
    wait_for(lambda: daemon.metric("sluice_consumer_lag") == 2, 20, "read")
    daemon.stop()
    told = Receipts(topics, receipts, topic)
    assert told.of("row") == rows(database)


def test_a_replay_sends_none(consumer, topics, database):
    database.query(TABLE)
    topic, receipts = topics.create(), topics.name()
    topics.produce(topic, values(1, 2), timestamp=1769857200123)
    daemon = consumer({**CONFIG, "topic": topic,
                       "receipts": {"topic": receipts}})
    told = read(topics, receipts, topic, 2)
    daemon.stop()
    database.query("TRUNCATE t")
    code, said = daemon.run("replay", "--from", "2026-01-01T00:00:00Z", "--to",
                            "2026-12-31T00:00:00Z", "--allow-duplicates",
                            timeout=60)
    assert code == 0, said
    assert database.value("SELECT count(*) FROM t") == 2
    assert Receipts(topics, receipts, topic).all == told.all


def test_a_topic_that_is_deleted_is_made_again(consumer, topics, database):
    """Records are stored meanwhile, the log says it once, health is well."""
    database.query(TABLE)
    topic, receipts = topics.create(), topics.name()
    topics.produce(topic, values(1))
    daemon = consumer({**CONFIG, "topic": topic,
                       "receipts": {"topic": receipts}})
    read(topics, receipts, topic, 1)
    topics.delete(receipts)
    count = 1

    def told_again():
        nonlocal count
        count += 1
        topics.produce(topic, values(count))
        wait_for(lambda: database.try_count("t") == count, 10, "a row")
        assert daemon.health()[0] == 200
        if topics.partitions(receipts) == 0:
            return False
        return (0, count - 1) in Receipts(topics, receipts, topic).told

    wait_for(told_again, 60, "receipts go on", 0.5)
    assert topics.partitions(receipts) == 1
    assert daemon.log().count("receipts are dropped") <= 1
    for place in Receipts(topics, receipts, topic).of("row"):
        assert place in rows(database)
    daemon.verify()


def test_too_large_a_receipt_is_dropped(consumer, topics, database):
    database.query(TABLE)
    topic = topics.create()
    receipts = topics.create(config={"max.message.bytes": "2000"})
    topics.produce(topic, ["bad"] * 100)
    daemon = consumer({**CONFIG, "topic": topic,
                       "batch": {"rows": 100, "linger": "60s"},
                       "receipts": {"topic": receipts}}).wait_healthy()
    wait_for(lambda: daemon.metric(DROPPED) >= 1, 30, "it is counted")
    assert len(dead(database)) == 100
    status, health = daemon.health()
    assert status == 200 and "too large" in health["receipts"]
    topics.produce(topic, values(*range(100)))
    told = read(topics, receipts, topic, 100)
    assert told.of("row") == rows(database)
    assert daemon.log().count("receipts are dropped") == 1


def test_a_topic_that_is_forbidden(consumer, guarded_kafka, database):
    """--check says so; the daemon stores, and tells once it may."""
    topics = Topics(guarded_kafka)
    database.query(TABLE)
    topic, receipts = topics.create(), topics.create()
    acl = guarded_kafka.acl
    acl("--add", "--allow-principal", "All", receipts)
    acl("--add", "--deny-principal", "Write", receipts)
    topics.produce(topic, values(1))
    daemon = consumer({**CONFIG, "topic": topic,
                       "receipts": {"topic": receipts}},
                      broker=guarded_kafka).wait_healthy()
    wait_for(lambda: daemon.metric(DROPPED) >= 1, 30, "it is counted")
    assert rows(database) == [(0, 0)]
    status, health = daemon.health()
    assert status == 200 and "uthorization failed" in health["receipts"]
    code, said = daemon.run("--check")
    assert code == 1 and "takes no receipt" in said, said
    topics.produce(topic, values(2))
    wait_for(lambda: database.try_count("t") == 2, 10, "the next row")
    acl("--remove", "--deny-principal", "Write", receipts)
    wait_for(lambda: daemon.run("--check")[0] == 0, 20, "it may again")
    topics.produce(topic, values(3))
    told = read(topics, receipts, topic, 1)
    assert set(told.of("row")) <= set(rows(database))
    daemon.wait_log("receipts are sent again")
    assert daemon.log().count("receipts are dropped") == 1
    daemon.stop()


def test_check_looks_whether_the_topic_can_be_made(consumer, topics,
                                                   database):
    database.query(TABLE)
    topic, receipts = topics.create(), topics.name()
    daemon = consumer({**CONFIG, "topic": topic,
                       "receipts": {"topic": receipts}}, start=False)
    code, said = daemon.run("--check")
    assert code == 0, said
    assert f'topic "{receipts}" would be created' in said
    assert topics.partitions(receipts) == 0
    topics.create(name=receipts)
    code, said = daemon.run("--check")
    assert code == 0 and f'topic "{receipts}" took an empty one' in said, said
    assert [json.loads(r.value)["partitions"]
            for r in topics.records(receipts)] == [[]]


@pytest.mark.parametrize("other", ["topic", "dead_letters"])
def test_the_topic_is_one_of_its_own(consumer, other):
    more = {"topic": "r"} if other == "topic" else {
        "topic": "t", "dead_letters": {"topic": "r"}}
    daemon = consumer({**CONFIG, **more, "receipts": {"topic": "r"}},
                      start=False)
    code, said = daemon.run("--check")
    assert code != 0 and '"receipts.topic" needs a topic of its own' in said
