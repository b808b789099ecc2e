"""The offsets are the table's, however the configuration spells its name."""

import json

import pytest

from tests.lib import procs
from tests.lib.env import TEST_CONSUMER, wait_for
from tests.lib.history import wait_accounted
from tests.lib.numbered import CONFIG, SHORT_SESSION, Sender, check, value

TABLE = "CREATE TABLE public.t (n integer, body bytea, part integer," \
    " off bigint)"
OTHER = {"t": "public.t", "public.t": "t"}


def names(database):
    return database.query("SELECT DISTINCT table_name FROM sluice.offsets"
                          " ORDER BY 1")


@pytest.fixture
def both(consumer, topics, database):
    """Daemons of one topic and group, by how they spell the table."""
    database.query(TABLE)
    topic = topics.create(partitions=2)

    def make(table, start=True, **more):
        return consumer({**CONFIG, "topic": topic, "table": table,
                         "create_table": False, "kafka": SHORT_SESSION,
                         "dead_letters": {"hold_above": 1}},
                        start=start, **more)

    return topic, make


@pytest.mark.parametrize("table", ["t", "public.t"])
def test_another_spelling_goes_on_where_it_was(both, topics, database, table):
    topic, make = both
    for round_, spelling in enumerate([table, OTHER[table], table], 1):
        topics.produce(topic, [value(n) for n in range(round_ * 50 - 50,
                                                       round_ * 50)])
        daemon = make(spelling)
        wait_for(lambda r=round_: database.try_count("t") >= r * 50, 20,
                 "rows")
        daemon.stop()
        assert ("are stored as those of" in daemon.log()) \
            == (spelling != table)
        assert names(database) == [(table,)]
    check(database, topic, 150)


@pytest.mark.parametrize("table", ["t", "public.t"])
def test_the_tools_know_every_spelling(both, topics, database, table):
    topic, make = both
    for round_, spelling in enumerate([table, OTHER[table]], 1):
        topics.produce(topic, [value(n) for n in range(round_ * 20 - 20,
                                                       round_ * 20)]
                       + ["bad"])
        daemon = make(spelling)
        wait_accounted(database, round_ * 21)
        daemon.stop()
    for spelling in (table, OTHER[table]):
        daemon = make(spelling, start=False)
        daemon.verify()
        shown = json.loads(daemon.run("verify", "--json")[1])
        assert shown["rows_looked_at"]
        assert sum(p["rows"] for p in shown["partitions"]) == 40
        assert sum(p["dead_letters"] for p in shown["partitions"]) == 2
        lag = json.loads(daemon.run("lag", "--json")[1])
        assert [p["lag"] for p in lag] == [0, 0]
        shown = json.loads(daemon.run("offsets", "show", "--json")[1])
        assert sum(p["next_offset"] for p in shown) == 42
        listed = json.loads(daemon.run("dead-letters", "list", "--json")[1])
        assert len(listed) == 2
        part, off = database.query("SELECT part, off FROM t LIMIT 1")[0]
        assert "row" in daemon.run("where", f"{topic}/{part}/{off}")[1]
        part, off = database.query('SELECT partition, "offset" FROM'
                                   " sluice.dead_letters LIMIT 1")[0]
        assert "dead letter" in daemon.run("where", f"{topic}/{part}/{off}")[1]
        code, said = daemon.run("--check")
        assert code == 0 and "as stored" in said
        assert "would start" not in said
    code, said = daemon.run("dead-letters", "purge", "--all")
    assert code == 0 and "2 dead letters purged" in said


@pytest.mark.parametrize("table", ["t", "public.t"])
def test_a_reset_by_another_spelling(both, topics, database, table):
    topic, make = both
    topics.produce(topic, [value(n) for n in range(40)])
    daemon = make(table)
    wait_accounted(database, 40)
    daemon.stop()
    daemon = make(OTHER[table], start=False)
    code, said = daemon.run("offsets", "reset", "--to-earliest")
    assert code == 1 and "no unique index" in said
    code, said = daemon.run("offsets", "reset", "--to-earliest", "--into",
                            table)
    assert code == 1 and "stored already" in said
    code, said = daemon.run("offsets", "reset", "--to-earliest",
                            "--allow-duplicates")
    assert code == 0, said
    assert names(database) == [(table,)]
    database.query("DELETE FROM t")
    daemon.start()
    check(database, topic, 40)


def test_a_replay_by_another_spelling(both, topics, database):
    topic, make = both
    topics.produce(topic, [value(n) for n in range(40)], 1769900000000)
    daemon = make("t")
    wait_accounted(database, 40)
    daemon.stop()
    span = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-12-31T00:00:00Z"]
    code, said = make("public.t", start=False).run("replay", *span)
    assert code == 1 and "would hold rows twice" in said
    # its own table by another name is no other table
    code, said = daemon.run("replay", "--into", "public.t", *span)
    assert code == 1 and "would hold rows twice" in said
    assert database.try_count("t") == 40
    database.query("CREATE TABLE public.u (LIKE public.t)")
    for spelling in ("u", "public.u", "u"):
        code, said = daemon.run("replay", "--into", spelling, *span)
        assert code == 0 and "Proved" in said, said
        assert database.try_count("u") == 40


@pytest.mark.parametrize("point", ["before-copy", "in-copy", "after-copy",
                                   "before-commit", "after-commit"])
@pytest.mark.parametrize("table", ["t", "public.t"])
def test_a_zombie_of_the_other_spelling(both, topics, database, point, table):
    """It is stopped inside its transaction while a daemon with the other
    spelling takes over, and goes on then."""
    topic, make = both
    topics.produce(topic, [value(n) for n in range(300)])
    first = make(table, program=TEST_CONSUMER, name="first",
                 SLUICE_TEST_STOP=point)
    wait_for(lambda: procs.stopped(first.pid), 20, f"it stops at {point}")
    second = make(OTHER[table], name="second")
    wait_for(lambda: database.try_count("t") == 300, 20, "the successor")
    first.resume()
    topics.produce(topic, [value(n) for n in range(300, 600)])
    check(database, topic, 600)
    second.stop()
    topics.produce(topic, [value(n) for n in range(600, 700)])
    check(database, topic, 700)
    assert names(database) == [(table,)]


def test_daemons_of_both_spellings_in_one_group(both, topics, database):
    """Together from the first moment; partitions go from one to the other."""
    topic, make = both
    sender = Sender(topics, topic, 50)
    sender.start()
    daemons = [make(table) for table in ("t", "public.t")]
    for daemon in (daemons[1], daemons[0], daemons[1]):
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b + 50, 30,
                 "rows")
        daemon.stop()
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b + 50, 30,
                 "the other one goes on")
        daemon.start()
    check(database, topic, sender.end())
    assert len(names(database)) == 1


def test_retries_are_known_behind_another_spelling(consumer, topics, database):
    database.query(TABLE)
    topic = topics.create()
    config = {**CONFIG, "topic": topic, "create_table": False,
              "dedupe": {"header": "k"}}
    for round_, spelling in enumerate(["t", "public.t"], 1):
        topics.produce(topic, [(None, value(1), 0, [("k", "same")])])
        daemon = consumer({**config, "table": spelling})
        wait_accounted(database, round_)
        daemon.stop()
    assert database.try_count("t") == 1
    daemon.verify()


def test_of_two_names_the_one_that_is_further_on_counts(both, topics,
                                                        database):
    """As versions before this one left them: each had its own offsets."""
    topic, make = both
    topics.produce(topic, [value(n) for n in range(40)])
    daemon = make("t")
    wait_accounted(database, 40)
    daemon.stop()
    for table in ("sluice.offsets", "sluice.batches"):
        columns = ", ".join(row[0] for row in database.query(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND attgenerated = ''", table))
        database.query(
            f"INSERT INTO {table} ({columns}) SELECT " + columns.replace(
                "table_name", "'public.t'").replace(
                "next_offset", "greatest(next_offset - 5, 1)")
            + f" FROM {table}")
    daemon = make("public.t")
    topics.produce(topic, [value(n) for n in range(40, 60)])
    wait_for(lambda: database.try_count("t") >= 60, 20, "rows")
    daemon.stop()
    check(database, topic, 60)
    # and going back leaves one of them
    code, said = daemon.run("offsets", "reset", "--to-earliest",
                            "--allow-duplicates")
    assert code == 0, said
    assert names(database) == [("t",)]
    assert database.query("SELECT action FROM sluice.audit ORDER BY id") \
        == [("other name removed",), ("offsets reset",)]
    database.query("DELETE FROM t")
    daemon.start()
    check(database, topic, 60)


def test_a_name_that_may_have_meant_another_table_holds(consumer, topics,
                                                        database):
    """Records that went into public.t are not taken for those of app.t."""
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, [value(n) for n in range(20)])
    config = {**CONFIG, "topic": topic, "create_table": False}
    path = f"{database.conninfo} options='-c search_path=app,public'"
    daemon = consumer({**config, "table": "t"})
    wait_accounted(database, 20)
    daemon.stop()
    database.query("CREATE SCHEMA app;CREATE TABLE app.t (LIKE public.t)")
    daemon = consumer({**config, "table": "app.t"}, conninfo=path)
    assert "may be its or those of another table" \
        in daemon.wait_held()["reason"]
    daemon.stop()
    code, said = daemon.run("offsets", "reset", "--to-earliest")
    assert code == 0, said
    daemon.start()
    wait_for(lambda: database.try_count("app.t") == 20, 20, "all again")
    assert database.try_count("public.t") == 20
    # the schema of the first one was never in doubt
    daemon.stop()
    topics.produce(topic, [value(n) for n in range(20, 30)])
    consumer({**config, "table": "public.t"})
    wait_for(lambda: database.try_count("public.t") > 20, 20, "it goes on")
    assert database.value("SELECT count(*) = count(DISTINCT n) FROM public.t")
    assert database.try_count("public.t") == 30


def test_a_table_that_goes_while_it_is_claimed_holds(consumer, topics,
                                                     database):
    """Whose offsets the name means cannot be told without the table."""
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, [value(n) for n in range(20)])
    config = {**CONFIG, "topic": topic, "create_table": False}
    daemon = consumer({**config, "table": "t"})
    wait_accounted(database, 20)
    daemon.stop()
    database.query("ALTER TABLE t RENAME TO gone")
    daemon = consumer({**config, "table": "public.t"})
    assert "does not exist" in daemon.wait_held()["reason"]
    database.query("ALTER TABLE gone RENAME TO t")
    topics.produce(topic, [value(n) for n in range(20, 30)])
    check(database, topic, 30)


def test_a_name_without_schema_is_never_one_of_sluices_own(consumer, topics,
                                                           database):
    """The role "sluice" has schema sluice as its "$user", where a table
    "audit" is Sluice's own."""
    path = (f"{database.conninfo}"
            " options='-c search_path=\\\"$user\\\",public'")
    topic = topics.create()
    topics.produce(topic, [value(n) for n in range(10)])
    daemon = consumer({**CONFIG, "topic": topic, "table": "audit"},
                      conninfo=path)
    wait_for(lambda: database.try_count("public.audit") == 10, 20, "rows")
    daemon.verify()
    daemon.stop()
    code, said = daemon.run("--check")
    assert code == 0, said
    code, said = daemon.run("setup", "--role", "sluice")
    assert code == 0, said
    assert database.query(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace"
        " = 'sluice'::regnamespace AND EXISTS (SELECT FROM pg_attribute"
        " WHERE attrelid = pg_class.oid AND attname = 'body')") == []


def test_nor_are_the_offsets_that_it_has(consumer, topics, database):
    """In that role's session "audit" would name sluice.audit."""
    path = (f"{database.conninfo}"
            " options='-c search_path=\\\"$user\\\",public'")
    topic = topics.create()
    for round_, spelling in enumerate(["public.audit", "audit"], 1):
        topics.produce(topic, [value(n) for n in range(round_ * 10 - 10,
                                                       round_ * 10)])
        daemon = consumer({**CONFIG, "topic": topic, "table": spelling},
                          conninfo=path)
        wait_accounted(database, round_ * 10)
        daemon.stop()
        daemon.verify()
    assert database.try_count("public.audit") == 20
    assert names(database) == [("public.audit",)]
