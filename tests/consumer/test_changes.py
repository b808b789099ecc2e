"""A table that changes under a running daemon, and a role that has settings of
its own: what is stored stays the same, or the daemon says it."""

import pytest

from tests.lib.env import wait_for
from tests.lib.history import wait_accounted

CONFIG = {"group": "g", "start": "earliest", "table": "t"}
AUTO = {**CONFIG, "columns": "auto"}


@pytest.mark.parametrize("columns", ["id integer PRIMARY KEY",
                                     "id integer PRIMARY KEY, i point"],
                         ids=["tuples", "lines"])
@pytest.mark.parametrize("more", [
    {}, {"mode": "upsert", "key": ["id"]}, {"mode": "ignore", "key": ["id"]}],
    ids=["append", "upsert", "ignore"])
def test_auto_takes_a_column_that_is_added(consumer, topics, database, columns,
                                           more):
    database.query(f"CREATE TABLE t ({columns})")
    topic = topics.create()
    topics.produce(topic, ['{"id":1,"a":"early","b":"early"}'])
    daemon = consumer({**AUTO, "topic": topic, **more})
    wait_accounted(database, 1)
    for number, name in enumerate("ab", 2):
        database.query(f"ALTER TABLE t ADD {name} text")
        topics.produce(topic, [f'{{"id":{number},"a":"x","b":"y"}}'])
        wait_accounted(database, number)
    assert database.query("SELECT id, a, b FROM t ORDER BY id") \
        == [(1, None, None), (2, "x", None), (3, "x", "y")]
    assert "the table has changed" in daemon.log()
    # what is no column is no change
    before = len(daemon.log())
    for statement in ("ANALYZE t", "VACUUM t", "CREATE INDEX ON t (a)"):
        database.query(statement)
    topics.produce(topic, ['{"id":4}'])
    wait_accounted(database, 4)
    assert "changed" not in daemon.log()[before:]


def test_auto_takes_a_default_and_a_type_that_change(consumer, topics,
                                                     database):
    database.query("CREATE TABLE t (id integer, a text DEFAULT 'old')")
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'])
    consumer({**AUTO, "topic": topic})
    wait_accounted(database, 1)
    database.query("ALTER TABLE t ALTER a SET DEFAULT 'new'")
    topics.produce(topic, ['{"id":2}'])
    wait_accounted(database, 2)
    database.query("ALTER TABLE t ALTER id TYPE numeric")
    topics.produce(topic, ['{"id":3}'])
    wait_accounted(database, 3)
    assert database.query("SELECT id, a FROM t ORDER BY id") \
        == [(1, "old"), (2, "new"), (3, "new")]
    database.query("ALTER TABLE t DROP a")
    topics.produce(topic, ['{"id":4}'])
    wait_accounted(database, 4)
    assert database.query("SELECT id FROM t ORDER BY id") \
        == [(1,), (2,), (3,), (4,)]


@pytest.mark.parametrize("columns", ["auto", {"id": "/id"},
                                     {"id": "/id", "i": "/i"}],
                         ids=["auto", "tuples", "lines"])
def test_a_type_is_widened_before_records_are_dead_letters(
        consumer, topics, database, columns):
    """All of a batch are out of the old type's range, so none is copied."""
    database.query("CREATE TABLE t (id integer, i point)")
    topic = topics.create()
    topics.produce(topic, ['{"id":2147483647}'])
    consumer({**CONFIG, "topic": topic, "columns": columns})
    wait_accounted(database, 1)
    database.query("ALTER TABLE t ALTER id TYPE bigint")
    topics.produce(topic, ['{"id":2147483648}', '{"id":2147483649}'])
    wait_accounted(database, 3)
    assert database.value("SELECT count(*) FROM t") == 3
    # what stays wrong is a dead letter
    topics.produce(topic, ['{"id":"x"}'])
    wait_accounted(database, 4)
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 1


def test_a_view_with_auto_is_not_locked(consumer, topics, database):
    database.query("CREATE TABLE u (id integer, a text);"
                   "CREATE VIEW t AS SELECT id FROM u")
    topic = topics.create()
    topics.produce(topic, ['{"id":1,"a":"x"}'])
    consumer({**AUTO, "topic": topic})
    wait_accounted(database, 1)
    database.query("CREATE OR REPLACE VIEW t AS SELECT id, a FROM u")
    topics.produce(topic, ['{"id":2,"a":"y"}'])
    wait_accounted(database, 2)
    assert database.query("SELECT id, a FROM u ORDER BY id") \
        == [(1, None), (2, "y")]


SETTINGS = {"timezone": "America/New_York", "datestyle": "German, DMY",
            "intervalstyle": "sql_standard", "array_nulls": "off"}


@pytest.mark.parametrize("columns", ["listed", "auto"])
def test_settings_of_the_role_change_nothing(consumer, topics, database,
                                             columns):
    """Neither what a text means nor what a default is."""
    kinds = {"o": "bigint", "r": "tstzrange", "d": "daterange",
             "i": "interval", "a": "text[]", "z": "timestamptz"}
    table = "CREATE TABLE t (" + ", ".join(
        f"{name} {kind}" for name, kind in kinds.items()) + \
        ", f timestamptz DEFAULT '2026-01-02 03:04:05+00'," \
        " g interval DEFAULT '-1 days +02:03:00')"
    topic = topics.create()
    # a text that is not known to the second column's type is read by
    # PostgreSQL; "-1 2:03" is plus and minus by the style
    topics.produce(topic, [
        '{"o":0,"r":"[2026-01-02 00:00,2026-01-03 00:00)",'
        '"d":"[2026-01-02,2026-02-03)","i":"-1 2:03:00","a":"{NULL,x}",'
        '"z":"2026-01-02T03:04"}',
        '{"o":1,"d":"[01.02.2026,02.03.2026)"}'])
    stored = {}
    database.query("SET TIME ZONE 'UTC'")
    for role in (None, database.role()):
        group = f"with {role}"
        if role:
            database.query("DROP TABLE t;DROP SCHEMA sluice CASCADE;"
                           f'GRANT CREATE ON DATABASE "{database.name}" TO'
                           f' "{role}"')
            for name, value in SETTINGS.items():
                database.query(f'ALTER ROLE "{role}" SET {name} = {value!r}'
                               if name != "datestyle" else
                               f'ALTER ROLE "{role}" SET {name} = {value}')
        database.query(table)
        if role:
            database.query(f'GRANT ALL ON t TO "{role}"')
        daemon = consumer(
            {**CONFIG, "topic": topic, "group": group,
             "dead_letters": {"hold_above": 1},
             "columns": "auto" if columns == "auto"
             else {name: f"/{name}" for name in kinds}},
            conninfo=database.postgres.conninfo(database.name, role or
                                                "sluice"))
        wait_accounted(database, 2)
        daemon.stop()
        stored[role] = database.query(
            "SELECT o, r::text, d::text, i::text, a::text, z::text, f::text,"
            " g::text FROM t ORDER BY o"), database.query(
            'SELECT "offset", sqlstate FROM sluice.dead_letters')
    one, other = stored.values()
    assert one == other
    database.query("DROP TABLE t;DROP SCHEMA sluice CASCADE;"
                   f'DROP OWNED BY "{role}"')
    rows, dead = one
    assert rows == [(
        0, '["2026-01-02 00:00:00+00","2026-01-03 00:00:00+00")',
        "[2026-01-02,2026-02-03)", "-1 days +02:03:00", "{NULL,x}",
        "2026-01-02 03:04:00+00", "2026-01-02 03:04:05+00",
        "-1 days +02:03:00")]
    # a date whose day and month PostgreSQL would have to guess
    assert [offset for offset, _ in dead] == [1]


@pytest.mark.parametrize("columns", ["auto", {"id": "/id"},
                                     {"id": "/id", "i": "/i"}],
                         ids=["auto", "tuples", "lines"])
def test_a_table_that_becomes_unlogged_is_said(consumer, topics, database,
                                               columns):
    database.query("CREATE TABLE t (id integer, i point)")
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'])
    daemon = consumer({**CONFIG, "topic": topic, "columns": columns})
    wait_accounted(database, 1)
    assert "unlogged" not in daemon.log()
    database.query("ALTER TABLE t SET UNLOGGED")
    topics.produce(topic, ['{"id":2}'])
    wait_accounted(database, 2)
    wait_for(lambda: "is unlogged" in daemon.log(), 10, "a warning")
