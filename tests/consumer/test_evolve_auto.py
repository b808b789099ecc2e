""""columns": "auto" with "evolve": "add": new fields become columns."""

import json

import pytest

from tests.lib.daemon import Daemon
from tests.lib.env import TEST_CONSUMER, wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "columns": "auto",
    "evolve": "add", "batch": {"linger": "5ms"},
}

pytestmark = pytest.mark.usefixtures("proved")


def columns(database, table="t"):
    return dict(database.query(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        table))


def rows(database, what="*"):
    return database.query(f"SELECT {what} FROM t ORDER BY id")


def stored(database, n):
    wait_for(lambda: database.try_count("t") == n, 30, f"{n} rows")


def test_a_new_field_becomes_a_column(consumer, topics, database):
    """The record that brought it has its value; null adds nothing."""
    database.query("CREATE TABLE t (id integer)")
    topic = topics.create()
    topics.produce(topic, [
        json.dumps({"id": 1}),
        json.dumps({"id": 2, "s": "x", "n": 7, "nothing": None}),
        json.dumps({"id": 3, "n": 1.5, "b": False, "o": {"a": [1]},
                    "a": [1, 2]}),
        json.dumps({"id": 4, "s": 5, "b": True})])
    daemon = consumer({**CONFIG, "topic": topic})
    stored(database, 4)
    assert columns(database) == {
        "id": "integer", "s": "text", "n": "numeric", "b": "boolean",
        "o": "jsonb", "a": "jsonb"}
    assert [(i, s, n and float(n), b, o, a) for i, s, n, b, o, a in
            rows(database, "id, s, n, b, o, a")] == [
        (1, None, None, None, None, None), (2, "x", 7.0, None, None, None),
        (3, None, 1.5, False, {"a": [1]}, [1, 2]),
        (4, "5", None, True, None, None)]
    assert "holding" not in daemon.log()
    # later, under a daemon that runs
    topics.produce(topic, [json.dumps({"id": 5, "late": "y"})])
    stored(database, 5)
    assert rows(database, "late")[-1] == ("y",)
    assert 'no column "late": adding it, of type text' in daemon.log()
    assert "holding" not in daemon.log()
    daemon.wait_healthy()


@pytest.mark.parametrize("kind, value", [
    ("text", '{"a": [1]}'), ("jsonb", {"a": [1]})])
def test_the_type_may_be_stated(consumer, topics, database, kind, value):
    database.query("CREATE TABLE t (id integer)")
    topic = topics.create()
    topics.produce(topic, [json.dumps({"id": 1, "x": {"a": [1]}}),
                           json.dumps({"id": 2, "x": "s"})])
    consumer({**CONFIG, "topic": topic, "evolve_type": kind})
    stored(database, 2)
    assert rows(database, "x") == [(value,), ("s",)]


@pytest.mark.parametrize("mode", ["upsert", "keep", "upsert_delete", "each",
                                  "route", "cloudevents"])
def test_other_ways_of_a_row_too(consumer, topics, database, mode):
    database.query("CREATE TABLE t (id text PRIMARY KEY)")
    records = [json.dumps({"id": "1", "x": "a"}),
               json.dumps({"id": "1", "y": "b"})]
    more = {"mode": "upsert", "key": ["id"]}
    wanted = [("1", None, "b")]
    if mode == "keep":
        more["on_missing"] = "keep"
        wanted = [("1", "a", "b")]
    elif mode == "upsert_delete":
        more["mode"] = "upsert_delete"
        records.append((json.dumps({"id": "1", "never": 1}), None))
        records.append(json.dumps({"id": "2", "y": "c"}))
        wanted = [("2", None, "c")]
    elif mode == "each":
        more["each"] = "/items"
        records = [json.dumps({"other": 1, "items": [
            {"id": "1", "x": "a"}, {"id": "2", "y": "b"}]})]
        wanted = [("1", "a", None), ("2", None, "b")]
    elif mode == "route":
        more = {"route": {"path": "/id", "tables": {"1": {
            "table": "t", "columns": "auto", "evolve": "add", **more}}}}
    elif mode == "cloudevents":
        more["format"] = "cloudevents"
        database.query("ALTER TABLE t ADD specversion text, ADD source text,"
                       " ADD type text")
        records = [json.dumps({"id": "1", "specversion": "1.0", "source": "s",
                               "type": "t", "x": "a", "y": "b"})]
        wanted = [("1", "a", "b")]
    topic = topics.create()
    topics.produce(topic, records)
    config = {**CONFIG, "topic": topic, **more}
    if mode == "route":
        for key in ("table", "columns", "evolve"):
            del config[key]
    daemon = consumer(config)
    wait_for(lambda: len(columns(database)) >= 3, 20, "columns")
    stored(database, len(wanted))
    wait_for(lambda: rows(database, "id, x, y") == wanted, 20, "values")
    assert not {"never", "other", "items"} & set(columns(database))
    assert "holding" not in daemon.log()


def test_names_that_are_no_columns(consumer, topics, database):
    """Quoted, never executed; nothing that PostgreSQL cuts or has itself."""
    database.query("CREATE TABLE t (id integer, \"Name\" text, made text"
                   " DEFAULT random()::text)")
    evil = 'a";drop table t;--'
    topic = topics.create()
    topics.produce(topic, [json.dumps({
        "id": 1, evil: "e", "name": "x", "ctid": "x", "XMIN": "x", "": "x",
        "y" * 64: "x", "z" * 63: "z", "a\nb": "x", "nul\0": "x", "made": "m",
        "\u00fc\ud83d\ude00": "u", "Twin": 1, "twin": 2})])
    daemon = consumer({**CONFIG, "topic": topic, "nul": "strip"})
    stored(database, 1)
    assert set(columns(database)) == {
        "id", "Name", "made", evil, "z" * 63, "\u00fc\U0001f600", "Twin",
        "nul"}
    assert "becomes no column" in daemon.log()
    assert "holding" not in daemon.log()
    daemon.wait_healthy()


def test_a_hostile_client_cannot_grow_the_table(consumer, topics, database):
    """A new field in each record: up to "evolve_columns", and all rows."""
    database.query("CREATE TABLE t (id integer)")
    topic = topics.create()
    topics.produce(topic, [json.dumps(
        {"id": n, **{f"f{n}_{i}": 1 for i in range(150 if n == 0 else 3)}})
        for n in range(3000)])
    daemon = consumer({**CONFIG, "topic": topic, "evolve_columns": 160})
    stored(database, 3000)
    assert len(columns(database)) == 160
    assert 'the table has "evolve_columns" columns' in daemon.log()
    assert daemon.log().count("becomes no column") < 100
    assert "holding" not in daemon.log()
    daemon.wait_healthy()


def test_a_role_that_may_not_add_holds(consumer, topics, database):
    database.query("CREATE TABLE t (id integer)")
    role = database.role()
    database.query(f'GRANT CREATE ON DATABASE "{database.name}" TO "{role}";'
                   f'GRANT INSERT ON t TO "{role}"')
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=database.postgres.conninfo(database.name,
                                                          role))
    topics.produce(topic, [json.dumps({"id": 1})])
    stored(database, 1)
    code, said = daemon.run("--check")
    assert code == 1 and "would hold for a record with a new field" in said, \
        said
    topics.produce(topic, [json.dumps({"id": 2, "x": "y"})])
    assert "could not add" in daemon.wait_held()["reason"]
    database.query("ALTER TABLE t ADD x text")
    stored(database, 2)
    assert rows(database) == [(1, None), (2, "y")]
    daemon.stop()
    daemon.verify()
    Daemon.latest.clear()
    database.query(f'DROP OWNED BY "{role}" CASCADE')


def test_a_database_of_another_encoding(consumer, topics, database):
    """A name that it cannot hold is no reason to hold."""
    database.query("CREATE TABLE t (id integer)")
    topic = topics.create()
    topics.produce(topic, [json.dumps({"id": 1, "\u6ce8": 1, "x": 2})])
    name = database.name + "_latin1"
    database._admin(f'CREATE DATABASE "{name}" ENCODING LATIN1 LOCALE "C"'
                    " TEMPLATE template0",
                    f'ALTER ROLE sluice IN DATABASE "{name}" SET search_path'
                    " = public")
    session = database.postgres.connect(name)
    try:
        session.cursor().execute("CREATE TABLE t (id integer)")
        daemon = consumer({**CONFIG, "topic": topic},
                          conninfo=database.postgres.conninfo(name))

        def found():
            with session.cursor() as cursor:
                cursor.execute("SELECT * FROM t")
                return cursor.fetchall()

        wait_for(lambda: found() and len(found()[0]) == 2, 20, "the row")
        assert [(i, int(x)) for i, x in found()] == [(1, 2)]
        assert "becomes no column" in daemon.log()
        daemon.stop()
    finally:
        session.close()
        database._admin(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_two_daemons_add_one_column(consumer, topics, database):
    database.query("CREATE TABLE t (id integer)")
    topic = topics.create(partitions=2)
    daemons = [consumer({**CONFIG, "topic": topic}).wait_healthy()
               for _ in range(2)]
    for round_ in range(3):
        topics.produce(topic, [
            (None, json.dumps({"id": n, f"f{round_}": n}), n % 2)
            for n in range(100)])
        stored(database, 100 * (round_ + 1))
        assert database.value(f"SELECT count(*) FROM t WHERE f{round_} = id") \
            == 100
    assert set(columns(database)) == {"id", "f0", "f1", "f2"}
    for daemon in daemons:
        daemon.wait_healthy()


@pytest.mark.parametrize("point", ["before-copy", "before-commit",
                                   "after-commit"])
def test_a_killed_daemon_goes_on(consumer, topics, database, point):
    database.query("CREATE TABLE t (id integer)")
    topic = topics.create()
    topics.produce(topic, [json.dumps({"id": n, "x": n}) for n in range(10)])
    daemon = consumer({**CONFIG, "topic": topic}, program=TEST_CONSUMER,
                      SLUICE_TEST_STOP=point, SLUICE_TEST_SIGNAL="KILL")
    wait_for(lambda: not daemon.alive(), 20, "killed")
    assert "x" in columns(database)
    consumer({**CONFIG, "topic": topic})
    stored(database, 10)
    assert database.value("SELECT count(*) FROM t WHERE x = id") == 10


def test_a_replayed_dead_letter_has_its_new_fields(consumer, topics, database):
    database.query("CREATE TABLE t (id integer)")
    topic = topics.create()
    topics.produce(topic, [json.dumps({"id": "x"}),
                           json.dumps({"id": "y", "new": 1})])
    daemon = consumer({**CONFIG, "topic": topic,
                       "dead_letters": {"hold_above": 1}})
    wait_for(lambda: database.try_count("sluice.dead_letters") == 2, 20,
             "dead letters")
    database.query("ALTER TABLE t ALTER id TYPE text")
    code, said = daemon.run("dead-letters", "replay", "--all")
    assert code == 0, said
    assert [(i, n and int(n)) for i, n in rows(database, 'id, "new"')] \
        == [("x", None), ("y", 1)]
    daemon.stop()
    code, said = daemon.run("verify")
    assert code == 0, said
    Daemon.latest.clear()


@pytest.mark.parametrize("more, said", [
    ({"evolve": "hold", "evolve_type": "text"}, '"evolve_type" goes with'),
    ({"evolve_type": "mood"}, "must be a type that the manual lists"),
    ({"rest": "more"}, '"rest" takes the fields'),
    ({"on_missing": "reject"}, "would be bad"),
    ({"format": "debezium"}, "list the columns"),
    ({"evolve_columns": 1001}, "between 1 and 1000"),
])
def test_what_cannot_be_is_refused(consumer, more, said):
    daemon = consumer({**CONFIG, "topic": "x", **more}, start=False)
    code, words = daemon.run("--check")
    assert code == 78 and said in words, words
