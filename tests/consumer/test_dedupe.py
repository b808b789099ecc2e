"""A client's retries are stored once, in any table."""

import random
import re
import threading

import psycopg2
import pytest

from tests.lib.env import ROOT, loops, wait_for
from tests.lib.history import accounted, wait_accounted

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "dedupe": {"header": "idempotency-key"}, "batch": {"linger": "5ms"},
    "columns": {
        "n": {"path": "/n"},
        "part": {"meta": "partition"},
        "off": {"meta": "offset"},
    },
}
TABLE = ("CREATE TABLE t (n integer CHECK (n < 1000000), part integer,"
         " off bigint) PARTITION BY RANGE (n);"
         "CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (500);"
         "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (500) TO (MAXVALUE)")


def record(number, key=None, partition=None):
    headers = [] if key is None else [("idempotency-key", key)]
    return (None, '{"n":%d}' % number, partition, headers)


def numbers(database):
    return [row[0] for row in database.query("SELECT n FROM t ORDER BY n")]


def test_retries_in_one_batch_and_over_batches(consumer, topics, database):
    """Records without the header, or with an empty one, are all stored;
    another group's are its own."""
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    binary = bytes(range(256)) * 40
    topics.produce(topic, [
        record(1, "a"), record(2, "b"), record(3, "a"), record(4),
        record(5), record(6, ""), record(7, ""), record(8, binary),
        record(9, binary), record(10, "a" * 3)])
    wait_accounted(database, 10)
    assert numbers(database) == [1, 2, 4, 5, 6, 7, 8, 10]
    topics.produce(topic, [record(11, "b"), record(12, "c")])
    wait_accounted(database, 12)
    daemon.stop()
    daemon.start()
    topics.produce(topic, [record(13, "c"), record(14, binary)])
    wait_accounted(database, 14)
    assert numbers(database) == [1, 2, 4, 5, 6, 7, 8, 10, 12]
    daemon.wait_healthy()
    assert daemon.metric("sluice_consumer_duplicates_total") == 2
    assert database.query(
        "SELECT sum(duplicates), sum(rows) FROM sluice.batches") == [(5, 9)]
    assert database.value("SELECT count(*) FROM sluice.seen") == 5
    # whatever the group, the topic or the table
    other = consumer({**CONFIG, "topic": topic, "group": "other"})
    wait_accounted(database, 28)
    assert len(numbers(database)) == 18
    other.stop()


def test_the_window_ends(consumer, topics, database):
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "dedupe": {
        "header": "idempotency-key", "window": "1h"}})
    topics.produce(topic, [record(1, "a"), record(2, "b")])
    wait_accounted(database, 2)
    assert database.value(
        "SELECT bool_and(expires_at BETWEEN now() + '59 min' AND"
        " now() + '61 min') FROM sluice.seen")
    database.query("UPDATE sluice.seen SET expires_at = now()"
                   " WHERE key = (SELECT key FROM sluice.seen"
                   " ORDER BY key LIMIT 1)")
    topics.produce(topic, [record(3, "a"), record(4, "b")])
    wait_accounted(database, 4)
    assert len(numbers(database)) == 3
    # what is over goes by itself, looked for now and at the start
    daemon.stop()
    database.query("INSERT INTO sluice.seen SELECT"
                   " substr(sha256(n::text::bytea), 2), 0, n, now() FROM generate_series(1, 30000) n")
    daemon.start()
    topics.produce(topic, [record(5, "c")])
    wait_for(lambda: database.value("SELECT count(*) FROM sluice.seen") == 3,
             30, "pruned")


def test_what_is_over_goes_wherever_it_lies(consumer, topics, database):
    """More pages than a step looks at, from anywhere, round and round: some
    on every page, more than a step takes on the last ones."""
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "dedupe": {
        "header": "idempotency-key", "window": "8s"}})
    topics.produce(topic, [record(1, "a")])
    wait_accounted(database, 1)
    daemon.stop()
    database.query(
        "TRUNCATE sluice.seen;"
        "INSERT INTO sluice.seen SELECT"
        " substr(sha256(n::text::bytea), 2), 0, n, now() + CASE WHEN n % 60 = 0 OR n > 100000 THEN interval '0'"
        " ELSE '1 h' END FROM generate_series(1, 200000) n")
    assert database.value("SELECT pg_relation_size('sluice.seen') / 8192") \
        > 2 * 512
    daemon.start()
    wait_for(lambda: database.value("SELECT count(*) FROM sluice.seen")
             == 98334, 30, "pruned")
    assert database.value("SELECT bool_and(expires_at > now())"
                          " FROM sluice.seen")


def test_a_bad_row_and_its_retry(consumer, topics, database):
    """The first took its effect: a dead letter."""
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, [
        record(1, "a"), record(1000001, "b"), record(1000001, "b"),
        record(2, "a"), record(3, "c")])
    consumer({**CONFIG, "topic": topic, "dead_letters": {"hold_above": 1}})
    wait_accounted(database, 5)
    assert numbers(database) == [1, 3]
    assert database.query('SELECT "offset" FROM sluice.dead_letters') \
        == [(1,)]
    assert database.query(
        "SELECT sum(duplicates), sum(dead_letters), sum(rows)"
        " FROM sluice.batches") == [(2, 1, 2)]


def test_two_daemons_and_kill_9(consumer, topics, database):
    """Retries land in any partition; whoever dies, each is stored once."""
    database.query(TABLE)
    topic = topics.create(partitions=2)
    chance = random.Random(5)
    count = loops(3000, 30000)
    keys = [str(chance.randrange(count // 2)) for _ in range(count)]
    config = {**CONFIG, "topic": topic,
              "batch": {"rows": 150, "linger": "1ms"}}

    def named(name):
        return {**config, "kafka": {"session.timeout.ms": "1000",
                                    "heartbeat.interval.ms": "300",
                                    "group.instance.id": name}}

    daemons = [consumer(named("one")), consumer(named("two"))]
    sender = threading.Thread(target=lambda: [
        topics.produce(topic, [
            record(int(key), key, number % 2)
            for number, key in enumerate(keys[at:at + 100])])
        for at in range(0, count, 100)])
    sender.start()
    for kill in range(loops(4, 30)):
        more = min(accounted(database) + 200, count)
        wait_for(lambda more=more: accounted(database) >= more, 60,
                 f"progress before kill {kill}")
        daemons[kill % 2].kill()
        daemons[kill % 2].start()
    sender.join(60)
    wait_accounted(database, count, 60)
    assert numbers(database) == sorted(set(map(int, keys)))
    assert database.value("SELECT sum(duplicates) FROM sluice.batches") \
        == count - len(set(keys))
    assert database.value("SELECT count(*) FROM sluice.seen") \
        == len(set(keys))
    assert database.value("SELECT deadlocks FROM pg_stat_database"
                          " WHERE datname = current_database()") == 0


def go_back(daemon):
    code, said = daemon.run("offsets", "reset", "--to-earliest",
                            "--allow-duplicates")
    assert code == 0, said


def hold(database, key):
    """A session that adds a key, as a daemon that has not committed yet."""
    session = database.begin()
    add(session, database, key)
    return session


def add(session, database, key):
    names = database.query("SELECT cluster_id, group_id, topic"
                           " FROM sluice.offsets")[0]
    session.cursor().execute(
        "INSERT INTO sluice.seen SELECT %s || substr(sha256(sha256(%s) ||"
        " sha256(%s) || sha256(%s) || sha256('t') || %s), 1, 16), 7, 0,"
        " now() + interval '1 h'", [key.encode()[:15].ljust(15, b"\0"),
                                    *(name.encode() for name in (*names,
                                                                 key))])


def waits_for_a_lock(database):
    return database.value(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND query LIKE '%COPY sluice.seen%'") == 1


def test_a_key_that_another_daemon_is_about_to_add(consumer, topics,
                                                   database):
    """Its COPY waits: for a retry if the other commits, else for a row."""
    database.query(TABLE)
    topic = topics.create()
    consumer({**CONFIG, "topic": topic})
    topics.produce(topic, [record(1, "a")])
    wait_accounted(database, 1)
    for number, commits in ((2, True), (3, False)):
        other = hold(database, f"key {number}")
        topics.produce(topic, [record(number, f"key {number}"),
                               record(number + 10, f"own {number}")])
        wait_for(lambda: waits_for_a_lock(database), 10, "the COPY to wait")
        (other.commit if commits else other.rollback)()
        other.close()
        wait_accounted(database, number * 2 - 1)
    assert numbers(database) == [1, 3, 12, 13]
    assert database.value("SELECT sum(duplicates) FROM sluice.batches") == 1


def test_keys_that_are_always_taken(consumer, topics, database):
    """Whoever is in the way: the batch waits, and is stored behind them."""
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, [record(1, "a")])
    wait_accounted(database, 1)
    database.query(
        "CREATE FUNCTION taken() RETURNS trigger LANGUAGE plpgsql AS $$"
        "BEGIN RAISE unique_violation USING MESSAGE = 'taken'; END $$;"
        "CREATE TRIGGER taken BEFORE INSERT ON sluice.seen FOR EACH ROW"
        " EXECUTE FUNCTION taken()")
    topics.produce(topic, [record(2, "b")])
    daemon.wait_log("could not add idempotency keys: taken")
    database.query("DROP TRIGGER taken ON sluice.seen")
    wait_accounted(database, 2)
    assert numbers(database) == [1, 2]


def test_records_that_are_read_again(consumer, topics, database):
    """They are no retries of their own."""
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, [record(1, "a"), record(2, "b"), record(3, "a")])
    wait_accounted(database, 3)
    daemon.stop()
    go_back(daemon)
    daemon.start()
    wait_for(lambda: len(numbers(database)) == 4, 20, "read again")
    assert numbers(database) == [1, 1, 2, 2]
    assert database.value("SELECT count(*) FROM sluice.seen") == 2


def test_a_key_that_is_over_is_renewed_by_its_own_record(consumer, topics,
                                                         database):
    """What was no retry stays none however late it is read again."""
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "batch": {"rows": 1}})
    topics.produce(topic, [record(1, "a"), record(2, "a"), record(3, "a")])
    wait_accounted(database, 3)
    for ends in ("now() - interval '1 s'", "now() + interval '3 s'"):
        daemon.stop()
        database.query("TRUNCATE t")
        database.query(f"UPDATE sluice.seen SET expires_at = {ends}")
        go_back(daemon)
        daemon.start()
        wait_accounted(database, 3)
        assert numbers(database) == [1]
        assert database.value("SELECT expires_at > now() + interval '23 h'"
                              " FROM sluice.seen")


def test_the_record_that_counted_counts_again(consumer, topics, database):
    """Though one with its key that could be no row then is read before it."""
    database.query("CREATE TABLE t (n integer, part integer, off bigint)")
    topic = topics.create()

    def config(required):
        number = {"path": "/n", "type": "integer", "required": required}
        return {**CONFIG, "topic": topic, "dead_letters": {"hold_above": 1},
                "columns": {**CONFIG["columns"], "n": number}}

    daemon = consumer(config(True))
    topics.produce(topic, [(None, "{}", None, [("idempotency-key", "a")]),
                           record(2, "a")])
    wait_accounted(database, 2)
    assert numbers(database) == [2]
    daemon.stop()
    database.query("TRUNCATE t")
    go_back(daemon)
    again = consumer(config(False))
    wait_accounted(database, 2)
    assert numbers(database) == [2]
    assert database.value("SELECT sum(duplicates) FROM sluice.batches") == 1
    again.stop()


def test_keys_that_are_over_are_waited_for_by_nobody(consumer, topics,
                                                     database):
    """Their places are locked in another order than keys are added in."""
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, [record(n, str(n)) for n in range(1, 40)])
    wait_accounted(database, 39)
    # from now on known keys are asked for first
    topics.produce(topic, [record(1, "1")])
    wait_accounted(database, 40)
    keys = database.query('SELECT key, "offset" + 1 FROM sluice.seen'
                          " ORDER BY key")
    first, last = str(keys[0][1]), str(keys[-1][1])
    database.query("DELETE FROM sluice.seen WHERE key = %s", keys[0][0])
    database.query("UPDATE sluice.seen SET expires_at = now()"
                   " WHERE key = %s", keys[-1][0])
    other = hold(database, first)
    topics.produce(topic, [record(100 + int(key), key)
                           for key in (first, last)])
    wait_for(lambda: waits_for_a_lock(database), 10, "the COPY to wait")
    add(other, database, last)
    other.commit()
    other.close()
    wait_accounted(database, 42)
    assert len(numbers(database)) == 39
    assert database.value("SELECT deadlocks FROM pg_stat_database"
                          " WHERE datname = current_database()") == 0
    daemon.stop()


def lengths(database):
    """Of known keys: those of version 4 have 32 bytes, others 31."""
    return database.query("SELECT length(key), count(*) FROM sluice.seen"
                          " GROUP BY 1 ORDER BY 1")


@pytest.fixture
def before(consumer, topics, database):
    """A daemon on tables of version 4, which the manual leads back to; its
    role may not alter them.  The keys "a" and "b" are known."""
    database.query(TABLE)
    topic = topics.create()
    role = database.role()
    daemon = consumer({**CONFIG, "topic": topic}, start=False,
                      conninfo=database.postgres.conninfo(database.name, role))
    upgrade(daemon, role)
    manual = (ROOT / "docs" / "reference" / "consumer.md").read_text()
    database.query(re.search(r"```sql\n(ALTER TABLE sluice.seen.*?)```",
                             manual, re.DOTALL)[1])
    daemon.role = role
    daemon.start()
    topics.produce(topic, [record(1, "a"), record(2, "b"), record(3, "a")])
    wait_accounted(database, 3)
    assert lengths(database) == [(32, 2)]
    return topic, daemon


def upgrade(daemon, role):
    code, said = daemon.run("setup", "--role", role, "--admin", "user=sluice")
    assert code == 0, said


def test_keys_are_known_over_the_upgrade(before, topics, database):
    """It happens under a daemon that works with version 4: what this adds from
    then on is refused, as others would not find it, and it claims again."""
    topic, daemon = before
    assert database.value("SELECT version FROM sluice.meta") == 4
    topics.produce(topic, [record(4, "b")])
    wait_accounted(database, 4)
    upgrade(daemon, daemon.role)
    assert database.value("SELECT version FROM sluice.meta") == 5
    topics.produce(topic, [record(5, "c"), record(6, "a")])
    wait_accounted(database, 6, 40)
    daemon.wait_log("upgrade_this_daemon")
    topics.produce(topic, [record(7, "c"), record(8, "b")])
    wait_accounted(database, 8)
    daemon.stop()
    daemon.start()
    topics.produce(topic, [record(9, "a"), record(10, "d")])
    wait_accounted(database, 10)
    assert numbers(database) == [1, 2, 5, 10]
    assert lengths(database) == [(31, 2), (32, 2)]
    with pytest.raises(psycopg2.errors.CheckViolation):
        database.query("INSERT INTO sluice.seen"
                       " VALUES (sha256('x'), 0, 0, now())")
    # the own record is no retry; its key is known in both forms then
    daemon.stop()
    database.query("TRUNCATE t; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL"
                   f' TABLES IN SCHEMA sluice TO "{daemon.role}"')
    go_back(daemon)
    daemon.start()
    wait_accounted(database, 10)
    assert numbers(database) == [1, 2, 5, 10]
    assert lengths(database) == [(31, 4), (32, 2)]
    topics.produce(topic, [record(11, "a"), record(12, "b")])
    wait_accounted(database, 12)
    assert numbers(database) == [1, 2, 5, 10]
    # keys of version 4 expire as others do
    database.query("DELETE FROM sluice.seen WHERE length(key) = 31;"
                   "ALTER TABLE sluice.seen DROP CONSTRAINT"
                   " upgrade_this_daemon;"
                   "UPDATE sluice.seen SET expires_at = now()")
    topics.produce(topic, [record(13, "a"), record(14, "a")])
    wait_accounted(database, 14)
    assert numbers(database) == [1, 2, 5, 10, 13]


def test_a_window_behind_the_upgrade_nobody_asks(before, topics, database):
    """For keys of version 4: none lives then."""
    topic, daemon = before
    daemon.stop()
    upgrade(daemon, daemon.role)
    daemon.start()
    topics.produce(topic, [record(4, "a")])
    wait_accounted(database, 4)
    assert numbers(database) == [1, 2]
    database.query("UPDATE sluice.meta"
                   " SET digests_before = now() - interval '24 h'")
    # the batch that learns of it has asked
    topics.produce(topic, [record(5, "a")])
    wait_accounted(database, 5)
    topics.produce(topic, [record(6, "a")])
    wait_accounted(database, 6)
    assert numbers(database) == [1, 2, 6]
