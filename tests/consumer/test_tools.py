"""The operator's subcommands: lag, offsets, verify, where."""

import json
import subprocess
import uuid

import confluent_kafka
import pytest

from tests.lib.env import wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "create_table": True,
    "columns": {
        "n": {"path": "/n", "type": "integer", "required": True},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}
PLAIN = {**CONFIG, "columns": {"n": CONFIG["columns"]["n"]}}


def value(number):
    return '{"n":%d}' % number


def told(daemon, *words, code=0):
    """What a subcommand said; it must end with this status."""
    status, said = daemon.run(*words)
    assert status == code, said
    return said


def objects(daemon, *words, code=0):
    return json.loads(told(daemon, *words, "--json", code=code))


def transaction(topics, topic, count):
    """Records and the marker behind them, which is no record and may come
    late."""
    before = topics.count(topic)
    producer = confluent_kafka.Producer({
        "bootstrap.servers": topics.kafka.bootstrap, "log_level": 0,
        "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(20)
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, value(number), partition=0)
    producer.commit_transaction(20)
    wait_for(lambda: topics.count(topic) == before + count + 1, 20, "marker")


@pytest.fixture
def filled(consumer, topics, database):
    """Offsets 0 to 9 are rows, 10 a dead letter, 11 to 13 rows, 14 a gap,
    15 to 19 rows."""
    def make(config=None):
        topic = topics.create()
        daemon = consumer({**(config or CONFIG), "topic": topic},
                          start=False)
        topics.produce(topic, [value(n) for n in range(10)] + ["bad"])
        transaction(topics, topic, 3)
        topics.produce(topic, [value(n) for n in range(5)])
        daemon.start()
        wait_for(lambda: database.try_count("t") == 18, 20, "rows")
        assert daemon.metric("sluice_consumer_gaps_total") == 1
        daemon.stop()
        return topic, daemon
    return make


def stored(database):
    if not database.try_count("sluice.offsets"):
        return None
    return database.value("SELECT next_offset FROM sluice.offsets")


def test_what_became_of_each_record(filled, topics):
    topic, daemon = filled()
    topics.produce(topic, [value(20), value(21)])
    said = told(daemon, "verify")
    assert "Proved" in said and "not looked at" not in said
    assert objects(daemon, "verify") == {
        "proved": True, "rows_looked_at": True, "problems": [],
        "partitions": [{
            "partition": 0, "first_offset": 0, "next_offset": 20,
            "rows": 18, "dead_letters": 1, "taken_out": 0, "filtered": 0,
            "duplicates": 0,
            "gaps": 1, "skipped": 0}]}
    assert objects(daemon, "lag")[0]["lag"] == 2
    shown = objects(daemon, "offsets", "show")[0]
    assert (shown["next_offset"], shown["log_begin"], shown["log_end"],
            shown["epoch"]) == (20, 0, 22, 1)
    assert told(daemon, "offsets", "show").split()[:2] \
        == ["partition", "next_offset"]
    for offset, state in ((9, "row"), (10, "dead letter"), (14, "gap"),
                          (19, "row"), (20, "pending"),
                          (22, "not in the log yet")):
        found = objects(daemon, "where", f"{topic}/0/{offset}")[0]
        assert (found["place"], found["state"]) == (f"0/{offset}", state)
    assert "number 1: " in told(daemon, "where", f"{topic}/0/10")
    assert "2 offsets before it" in told(daemon, "where", f"{topic}/0/22")


@pytest.mark.parametrize("timestamp, shown", [
    (2 ** 63 - 1, None), (-2 ** 63, None), (9224318016000000, None),
    (9224318015999000, "294276-12-31"), (-210866803200000, "4714-11-24"),
])
def test_a_timestamp_that_postgresql_has_not_hides_nothing(filled, database,
                                                           timestamp, shown):
    _, daemon = filled()
    database.query("UPDATE sluice.offsets SET last_timestamp = %s", timestamp)
    for words in (["lag"], ["offsets", "show"]):
        found = objects(daemon, *words)[0]["last_record"]
        assert found == shown or shown in found
        told(daemon, *words)


def test_a_table_without_places_is_proved_by_its_ranges(filled, database):
    topic, daemon = filled(PLAIN)
    said = told(daemon, "verify")
    assert "Proved" in said and "no columns for partition" in said
    assert objects(daemon, "where", f"{topic}/0/9")[0]["state"] == "row"
    database.query("UPDATE sluice.batches SET records = 18, filtered = 1"
                   " WHERE kind = 'records'")
    assert "of which 18 are records and 1 in gaps" \
        in told(daemon, "verify", code=1)
    assert objects(daemon, "where", f"{topic}/0/9")[0]["state"] \
        == "row, filtered or duplicate"


@pytest.mark.parametrize("damage, words", [
    ("DELETE FROM t WHERE off = 3", "counted 18 rows, the table has 17"),
    ("INSERT INTO t SELECT * FROM t WHERE off = 3", "1 rows are there twice"),
    ("INSERT INTO t VALUES (1, 0, 10)", "1 are a row and a dead letter"),
    ("INSERT INTO t VALUES (1, 0, 14)", "1 rows outside of the ranges"),
    ("INSERT INTO t VALUES (1, 0, 20)", "1 rows outside of the ranges"),
    ("INSERT INTO t VALUES (1, 5, 1)", "1 rows outside of the ranges"),
    ("UPDATE sluice.batches SET next_offset = 19 WHERE kind = 'records'",
     "offsets 19 to 19: not accounted for"),
    ("UPDATE sluice.batches SET records = 17 WHERE kind = 'records'",
     "holds 20 offsets, of which 17 are records and 1 in gaps"),
    ("DELETE FROM sluice.batches WHERE kind = 'gap'",
     "holds 20 offsets, of which 19 are records and 0 in gaps"),
    ("DELETE FROM sluice.batches", "offsets 19 to 19: stored, but there are"
     " no ranges"),
    ("UPDATE sluice.offsets SET next_offset = 25",
     "offsets 20 to 24: not accounted for"),
    ("UPDATE sluice.offsets SET next_offset = 15", "beyond the stored"),
    ("INSERT INTO sluice.batches SELECT cluster_id, group_id, topic,"
     " partition, table_name, 5, kind, 8, 3, 0 FROM sluice.batches"
     " WHERE kind = 'records'", "stored twice"),
])
def test_verify_finds(filled, database, damage, words):
    """Each damage, and its repair by undoing it is proved again."""
    _, daemon = filled()
    database.query(damage)
    said = told(daemon, "verify", code=1)
    assert words in said and "Not proved" in said
    assert objects(daemon, "verify", code=1)["problems"]


@pytest.mark.parametrize("typo", [{"group": "h"}, {"table": "tt"}])
def test_verify_proves_nothing_of_what_is_not_there(filled, consumer,
                                                    database, typo):
    """Of a configuration that names another group or table."""
    topic, _ = filled(PLAIN)
    other = consumer({**PLAIN, "topic": topic, **typo}, start=False)
    database.query("CREATE TABLE tt AS SELECT * FROM t")
    said = told(other, "verify", code=1)
    assert "nothing is stored for group" in said and "Not proved" in said
    assert f'; there is group "g@{database.name}" with table "t"' in said
    assert [list(problem.values())[:3] for problem in
            objects(other, "verify", code=1)["problems"]] == [[None] * 3]


def test_verify_of_a_group_that_has_stored_nothing_yet(consumer, topics,
                                                       database):
    """Its partitions are claimed and where they began, one of them beyond
    records it was not asked for."""
    topic = topics.create(partitions=2)
    topics.produce(topic, [(None, value(n), 0) for n in range(5)])
    daemon = consumer({**CONFIG, "topic": topic, "start": "latest"})
    daemon.wait_log("partition 1: at offset 0")
    said = told(daemon, "verify")
    assert "No record was stored yet" in said and "Proved" in said
    topics.produce(topic, [(None, value(6), 1)])
    wait_for(lambda: database.try_count("t") == 1, 20, "a row")
    assert "No record was stored yet" not in told(daemon, "verify")


def test_dead_letters_that_were_taken_out(filled, database):
    """Purged, and then stored as a row."""
    _, daemon = filled()
    database.query("DELETE FROM sluice.dead_letters")
    assert objects(daemon, "verify")["partitions"][0]["taken_out"] == 1
    assert "counted 1 dead letters, there are 0" \
        in told(daemon, "verify", "--strict", code=1)
    database.query("INSERT INTO t VALUES (10, 0, 10)")
    assert "Proved" in told(daemon, "verify")
    database.query("INSERT INTO t VALUES (14, 0, 14)")
    told(daemon, "verify", code=1)


def test_filtered_records_and_other_modes_are_counted(consumer, topics,
                                                      database):
    """Half is left out; of the rest later rows replace earlier ones."""
    database.query("CREATE TABLE t (n integer PRIMARY KEY, part integer,"
                   " off bigint)")
    topic = topics.create()
    topics.produce(topic, [value(n % 5) for n in range(20)] + ["bad"])
    daemon = consumer({
        **CONFIG, "topic": topic, "create_table": False, "mode": "upsert",
        "key": ["n"], "where": {"path": "/n", "in": [1, 3]}})
    wait_for(lambda: stored(database) == 21, 20, "all")
    daemon.stop()
    found = objects(daemon, "verify")["partitions"][0]
    assert (found["rows"], found["filtered"], found["dead_letters"]) \
        == (8, 12, 1)
    assert objects(daemon, "where", f"{topic}/0/0")[0]["state"] \
        == "filtered or duplicate"
    # back into the middle of what cannot be told apart, and again
    told(daemon, "offsets", "reset", "--to-offset", "7")
    assert database.value("SELECT kind FROM sluice.batches") == "reset"
    assert "Proved" in told(daemon, "verify")
    daemon.start()
    wait_for(lambda: stored(database) == 21, 20, "all again")
    daemon.stop()
    assert "Proved" in told(daemon, "verify", "--strict")
    assert database.query("SELECT n, off FROM t ORDER BY n") \
        == [(1, 16), (3, 18)]


def test_reset_is_refused(filled, database):
    topic, daemon = filled()
    for words, why in (
            ([], "usage:"),
            (["--to-offset", "x"], "is no number"),
            (["--to-offset", "1", "--to-latest"], "only one"),
            (["--to-timestamp", "soon"], "RFC 3339"),
            (["--to-earliest", "--partition", "-1"], "no partition"),
            (["--to-earliest", "--into", "u", "--partition", "0"],
             "leave out")):
        assert why in told(daemon, "offsets", "reset", *words, code=2)
    for words, why in (
            (["--to-offset", "99"], "holds 0 to 20"),
            (["--to-earliest", "--partition", "7"], "no such partition"),
            (["--to-earliest", "--into", "t"], "stored already"),
            (["--to-offset", "5"], "no unique index"),
            (["--to-earliest"], "no unique index")):
        assert why in told(daemon, "offsets", "reset", *words, code=1)
    daemon.start().wait_healthy()
    wait_for(lambda: objects(daemon, "offsets", "show")[0]["epoch"] == 2, 20)
    said = told(daemon, "offsets", "reset", "--to-latest", code=1)
    assert 'has 1 members' in said and "backend" in said
    daemon.pause()
    try:
        assert "backend" in told(daemon, "offsets", "reset", "--to-latest",
                                 code=1)
    finally:
        daemon.resume()
    assert stored(database) == 20
    assert database.value("SELECT count(*) FROM sluice.audit") == 0
    assert "Proved" in told(daemon, "verify")


def test_reset_forward_is_kept_as_skipped(filled, topics, database):
    topic, daemon = filled()
    topics.produce(topic, [value(n) for n in range(4)])
    assert "Nothing was changed" in told(
        daemon, "offsets", "reset", "--to-latest", "--dry-run")
    assert stored(database) == 20
    plan = objects(daemon, "offsets", "reset", "--to-latest")[0]
    assert (plan["from"], plan["to"]) == (20, 24)
    action, by_me, group, detail = database.query(
        "SELECT action, who = session_user, group_id, detail"
        " FROM sluice.audit")[0]
    assert action == "offsets reset" and by_me
    assert group == f"g@{database.name}"
    assert detail["partitions"] == [{"partition": 0, "from": 20, "to": 24}]
    topics.produce(topic, [value(24)])
    daemon.start()
    wait_for(lambda: stored(database) == 25, 20, "the record behind")
    daemon.stop()
    assert objects(daemon, "where", f"{topic}/0/21")[0]["state"] == "skipped"
    assert objects(daemon, "verify")["partitions"][0]["skipped"] == 4
    assert database.try_count("t") == 19


@pytest.mark.parametrize("target", [3, 10, 12, 15, 20])
def test_reset_back_reads_again(filled, database, target):
    """Into a range, at and behind its dead letter and its gap."""
    topic, daemon = filled()
    told(daemon, "offsets", "reset", "--to-offset", str(target),
         "--allow-duplicates")
    assert stored(database) == target
    assert "Proved" in told(daemon, "verify", "--ranges-only")
    assert "Proved" in told(daemon, "verify")
    database.query("DELETE FROM t WHERE off >= %s", target)
    assert "Proved" in told(daemon, "verify")
    daemon.start()
    wait_for(lambda: database.try_count("t") == 18
             and stored(database) == 20, 20, "all rows again")
    daemon.stop()
    assert objects(daemon, "verify")["partitions"][0] == {
        "partition": 0, "first_offset": 0, "next_offset": 20, "rows": 18,
        "dead_letters": 1, "taken_out": 0, "filtered": 0, "duplicates": 0, "gaps": 1,
        "skipped": 0}
    ranges = database.value("SELECT detail->'ranges' FROM sluice.audit")
    assert target == 20 or ranges[0]["next_offset"] in (15, 20)


def test_reset_back_where_rows_stay_single(filled, consumer, database):
    """A unique index on the place, and the mode that goes with it."""
    topic, daemon = filled()
    database.query("ALTER TABLE t ADD UNIQUE (n, off)")
    assert "no unique index" in told(
        daemon, "offsets", "reset", "--to-earliest", code=1)
    database.query("ALTER TABLE t ADD UNIQUE (off, part)")
    assert '"mode": "ignore"' in told(
        daemon, "offsets", "reset", "--to-earliest", code=1)
    before = database.query("SELECT n, part, off FROM t ORDER BY off")
    database.query("DELETE FROM t WHERE off = 7")
    again = consumer({**CONFIG, "topic": topic, "mode": "ignore",
                      "key": ["part", "off"]}, start=False)
    told(again, "offsets", "reset", "--to-earliest")
    again.start()
    wait_for(lambda: stored(database) == 20, 20, "all again")
    again.stop()
    assert database.query("SELECT n, part, off FROM t ORDER BY off") == before
    assert database.try_count("sluice.dead_letters") == 1
    again.verify()


@pytest.mark.parametrize("count", [5, 30])
def test_reset_back_in_a_recreated_topic(consumer, topics, database, count):
    """Its records have the offsets of rows that are there: "ignore" would
    drop them unseen.  Another table takes them all."""
    database.query("CREATE TABLE t (n integer PRIMARY KEY, part integer,"
                   " off bigint, CONSTRAINT place UNIQUE (part, off))")
    topic = topics.create()
    topics.produce(topic, [value(n) for n in range(20)], 1769900000000)
    config = {**CONFIG, "topic": topic, "mode": "ignore",
              "key": ["part", "off"]}
    daemon = consumer(config)
    wait_for(lambda: stored(database) == 20, 20, "rows")
    daemon.stop()
    assert objects(daemon, "offsets", "reset", "--to-earliest", "--dry-run")
    topics.delete(topic)
    topics.create(name=topic)
    topics.produce(topic, [value(n) for n in range(100, 100 + count)],
                   1769900000000)
    for words in (("offsets", "reset", "--to-earliest"),
                  ("offsets", "reset", "--to-offset", "4", "--dry-run"),
                  ("replay", "--from", "2026-01-01T00:00:00Z",
                   "--to", "2026-12-31T00:00:00Z")):
        said = told(daemon, *words, code=1)
        assert "created again" in said and "--into" in said, said
    assert database.value("SELECT count(*) FROM sluice.audit") == 0
    told(daemon, "offsets", "reset", "--to-earliest", "--into", "u")
    other = consumer({**CONFIG, "topic": topic, "table": "u"})
    wait_for(lambda: database.try_count("u") == count, 20, "rows of u")
    other.stop()
    other.verify()
    # by a key of the records' own they may meet the rows that are there
    database.query("ALTER TABLE t DROP CONSTRAINT place")
    keyed = consumer({**CONFIG, "topic": topic, "mode": "ignore",
                      "key": ["n"]}, start=False)
    told(keyed, "offsets", "reset", "--to-earliest", "--allow-duplicates")
    keyed.start()
    wait_for(lambda: database.value(
        "SELECT next_offset FROM sluice.offsets WHERE table_name = 't'") == count, 20, "all again")
    keyed.stop()
    assert database.query("SELECT n FROM t ORDER BY n") \
        == [(n,) for n in [*range(20), *range(100, 100 + count)]]


def test_reset_into_another_table(filled, consumer, topics, database):
    topic, daemon = filled()
    told(daemon, "offsets", "reset", "--to-offset", "15", "--into", "u")
    other = consumer({**CONFIG, "topic": topic, "table": "u"})
    wait_for(lambda: database.try_count("u") == 5, 20, "rows of u")
    other.stop()
    assert "Proved" in told(other, "verify")
    assert "Proved" in told(daemon, "verify")
    assert database.try_count("t") == 18


def test_reset_to_a_time_on_all_partitions(consumer, topics, database):
    topic = topics.create(partitions=3)
    for partition in range(3):
        topics.produce(topic, [(None, value(n), partition)
                               for n in range(4)], 1769900000000)
        topics.produce(topic, [(None, value(n), partition)
                               for n in range(partition)], 1769950000000)
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 15, 20, "rows")
    daemon.stop()
    assert "choose one by --partition" in told(
        daemon, "offsets", "reset", "--to-offset", "1", code=1)
    plan = objects(daemon, "offsets", "reset", "--allow-duplicates",
                   "--to-timestamp", "2026-02-01T06:00:00Z")
    assert [row["to"] for row in plan] == [4, 4, 4]
    told(daemon, "offsets", "reset", "--to-earliest", "--partition", "2",
         "--allow-duplicates")
    assert database.query("SELECT next_offset FROM sluice.offsets"
                          " ORDER BY partition") == [(4,), (4,), (0,)]
    database.query("DELETE FROM t WHERE off >= 4 OR part = 2")
    daemon.start()
    wait_for(lambda: database.try_count("t") == 15, 20, "rows again")
    daemon.stop()
    assert "Proved" in told(daemon, "verify")


def test_replay_of_a_time(consumer, topics, database):
    """Into another table, killed on the way and called again, beside the
    daemon that runs; into the same one only where rows stay single."""
    topic = topics.create(partitions=2)
    for second, count in ((1769900000, 50), (1769900060, 3000),
                          (1769900120, 70)):
        topics.produce(topic, [(None, value(n), n % 2)
                               for n in range(count)], second * 1000)
    topics.produce(topic, [(None, "bad", 1)], 1769900060000)
    daemon = consumer({**CONFIG, "topic": topic, "batch": {"rows": 20}})
    wait_for(lambda: database.try_count("t") == 3120, 30, "rows")
    window = ("replay", "--from", "2026-01-31T22:54:20Z",
              "--to", "2026-01-31T22:55:00Z")
    for words, why in (((), "usage:"),
                       (("--from", "x", "--to", "y"), "RFC 3339"),
                       (("--from", window[4], "--to", window[2]), "later")):
        assert why in told(daemon, "replay", *words, code=2)
    assert "no unique index" in told(daemon, *window, code=1)
    plan = objects(daemon, *window, "--into", "u", "--dry-run")
    assert plan == [{"partition": n, "from": 25, "to": 1525} for n in (0, 1)]
    assert database.try_count("sluice.audit") == 0
    with open(daemon.directory / "replay.log", "ab") as log:
        process = subprocess.Popen(daemon.command(*window, "--into", "u"),
                                   stdout=log, stderr=log)
        wait_for(lambda: database.try_count("u") > 100, 30, "it replays")
        process.kill()
        process.wait()
    status, said = daemon.run(*window, "--into", "u", timeout=60)
    assert status == 0 and "Proved" in said, said
    assert database.query("SELECT part, off FROM u ORDER BY 1, 2") \
        == [(part, off) for part in (0, 1) for off in range(25, 1525)]
    # what was asked for, by whom, each time it was
    assert database.query(
        "SELECT DISTINCT action, who = session_user, group_id, table_name,"
        " detail FROM sluice.audit") == [(
            "replay", True, f"g@{database.name}:replay:{window[2]}/"
            f"{window[4]}", "u", {"from": window[2], "to": window[4],
                                  "allow_duplicates": False})]
    assert database.value("SELECT count(*) FROM sluice.audit") == 2
    assert objects(daemon, "verify")["proved"]
    assert daemon.alive()
