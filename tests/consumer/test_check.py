"""--check rehearses what the daemon does: what it calls fine, runs."""

import pytest

from tests.lib.env import wait_for
from tests.lib.history import wait_accounted

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "columns": {"id": {"path": "/id", "type": "integer"}, "v": "/v"},
}
UPSERT = {"mode": "upsert", "key": ["id"]}


def check(daemon):
    code, said = daemon.run("--check")
    assert code in (0, 1), said
    assert ("It would run." in said) == (code == 0), said
    return code, said


NOTHING = "CREATE TABLE t (id bigserial, at timestamptz DEFAULT now(), " \
    "w integer GENERATED ALWAYS AS (1) STORED)"


def test_auto_with_nothing_to_fill_holds(consumer, topics, database):
    database.query(NOTHING)
    topic = topics.create()
    topics.produce(topic, ['{"a":"x"}'])
    daemon = consumer({**CONFIG, "topic": topic, "columns": "auto"},
                      start=False)
    code, said = check(daemon)
    assert code == 1 and 'no column that "auto" could fill' in said
    daemon.start()
    assert daemon.wait_held()["reason"] == \
        'table "t" has no column that "auto" could fill'
    database.query("ALTER TABLE t ADD a text")
    wait_accounted(database, 1)
    assert database.query("SELECT a FROM t") == [("x",)]


def test_auto_with_nothing_to_fill_behind_a_route_holds(consumer, topics,
                                                        database):
    """It was counted as a row and stored nowhere."""
    database.query(NOTHING + ";CREATE TABLE u (a text)")
    topic = topics.create()
    topics.produce(topic, ['{"k":"t","a":"x"}', '{"k":"u","a":"y"}'])
    daemon = consumer({
        "group": "g", "start": "earliest", "topic": topic,
        "route": {"path": "/k", "tables": {
            "t": {"table": "t", "columns": "auto"},
            "u": {"table": "u", "columns": "auto"}}}})
    assert check(daemon)[0] == 1
    daemon.wait_held(reason='no column that "auto" could fill')
    assert database.value("SELECT count(*) FROM sluice.batches") == 0
    database.query("ALTER TABLE t ADD a text")
    wait_accounted(database, 2)
    assert database.query("SELECT a FROM t UNION ALL SELECT a FROM u") \
        == [("x",), ("y",)]


@pytest.mark.parametrize("column", [
    "integer GENERATED ALWAYS AS (1) STORED",
    "integer GENERATED ALWAYS AS IDENTITY"])
def test_a_column_that_postgresql_fills_is_said(consumer, topics, database,
                                                column):
    database.query(f"CREATE TABLE t (v text, id {column})")
    code, said = check(consumer({**CONFIG, "topic": topics.create()},
                                start=False))
    assert code == 1
    assert 'column "id" of table "t" is filled by PostgreSQL' in said
    # the lines of the columns are there all the same
    assert "column       v" in said


def test_a_table_without_columns_is_said(consumer, topics, database):
    database.query("CREATE TABLE t ()")
    topic = topics.create()
    for columns, words in ((CONFIG["columns"], 'has no column "id"'),
                           ("auto", 'no column that "auto" could fill')):
        code, said = check(consumer({**CONFIG, "topic": topic,
                                     "columns": columns}, start=False))
        assert code == 1 and words in said, said


@pytest.mark.parametrize("makes, words", [
    ("CREATE TABLE t (id integer, v text)", "no unique or exclusion"),
    ("CREATE TABLE t (id integer, v text);"
     "CREATE UNIQUE INDEX ON t (id) WHERE v <> ''", "no unique or exclusion"),
    ("CREATE TABLE t (id integer UNIQUE DEFERRABLE, v text)", "deferrable"),
    ("CREATE TABLE u (id integer UNIQUE DEFERRABLE, v text);"
     "CREATE VIEW t AS SELECT * FROM u", "deferrable"),
    ("CREATE TABLE t (v text, id integer, UNIQUE (v, id))",
     "no unique or exclusion"),
    ("CREATE VIEW t AS SELECT 1 AS id, 'x' AS v", "cannot insert into view"),
    ("CREATE TABLE t (id integer PRIMARY KEY, v text, more date NOT NULL)",
     'column "more" is NOT NULL'),
    ("CREATE SEQUENCE t", 'has no column "id"'),
    ("CREATE TABLE u (id integer PRIMARY KEY, v text);"
     "CREATE MATERIALIZED VIEW t AS SELECT * FROM u",
     "no unique or exclusion"),
], ids=["no index", "partial", "deferrable", "behind a view", "of more", "view",
        "not null", "sequence", "materialized view"])
def test_a_table_that_takes_no_row_is_said(consumer, topics, database, makes,
                                           words):
    database.query(makes)
    code, said = check(consumer(
        {**CONFIG, **UPSERT, "topic": topics.create()}, start=False))
    assert code == 1 and words in said, said


def test_a_key_that_is_deferrable_holds_before_the_first_record(
        consumer, topics, database):
    """PostgreSQL takes the statement and refuses each row."""
    database.query("CREATE TABLE t (id integer UNIQUE DEFERRABLE, v text)")
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'])
    daemon = consumer({**CONFIG, **UPSERT, "topic": topic})
    assert "deferrable" in daemon.wait_held()["reason"]
    database.query("ALTER TABLE t DROP CONSTRAINT t_id_key, ADD UNIQUE (id)")
    wait_accounted(database, 1)


@pytest.mark.parametrize("key", [{"key": ["n"]},
                                 {"key": ["id"], "newer": "n"}])
def test_with_auto_the_key_is_a_column_of_the_table(consumer, topics,
                                                    database, key):
    database.query("CREATE TABLE t (id integer PRIMARY KEY, n bigserial)")
    code, said = check(consumer(
        {**CONFIG, "topic": topics.create(), "columns": "auto",
         "mode": "upsert", **key}, start=False))
    assert code == 1
    assert 'names column "n", which is not filled from the record' in said


@pytest.mark.parametrize("sql, words", [
    ('ALTER ROLE "{role}" SET default_transaction_read_only = on',
     "read-only transaction"),
    ('REVOKE INSERT ON t FROM "{role}"', "permission denied for table t"),
    ('REVOKE UPDATE ON t FROM "{role}"', "permission denied for table t"),
    ('REVOKE SELECT ON t FROM "{role}"', "permission denied for table t"),
    ('REVOKE UPDATE ON sluice.offsets FROM "{role}"', "table offsets"),
    ('REVOKE INSERT ON sluice.batches FROM "{role}"', "table batches"),
    ('REVOKE INSERT ON sluice.dead_letters FROM "{role}"',
     "table dead_letters"),
    ('REVOKE DELETE ON sluice.seen FROM "{role}"', "table seen"),
    ('REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC, "{role}"',
     "temporary"),
])
def test_a_role_that_may_not_is_said(consumer, topics, database, sql, words):
    role = database.role()
    daemon = consumer({**CONFIG, **UPSERT, "topic": topics.create(),
                       "create_table": True, "dedupe": {"header": "k"}},
                      start=False, conninfo=database.postgres.conninfo(
                          database.name, role))
    code, said = daemon.run("setup", "--admin", "user=sluice")
    assert code == 0, said
    assert check(daemon)[0] == 0
    database.query(sql.format(role=role, database=database.name))
    code, said = check(daemon)
    database.query(f'DROP OWNED BY "{role}" CASCADE')
    assert code == 1 and words in said, said


def test_a_role_that_may_not_make_what_is_missing_is_said(consumer, topics,
                                                          database):
    role = database.role()
    daemon = consumer({**CONFIG, "topic": topics.create(),
                       "create_table": True}, start=False,
                      conninfo=database.postgres.conninfo(database.name,
                                                          role))
    code, said = check(daemon)
    assert code == 1
    assert "could not create sluice's tables" in said
    if "could not create the table" not in said:
        # before PostgreSQL 15 everybody may create in "public"
        assert database.value("SHOW server_version_num") < "150000"


def test_what_was_rehearsed_is_gone(consumer, topics, database):
    database.query("CREATE TABLE t (id integer PRIMARY KEY)")
    topic = topics.create()
    more = {"topic": topic, "evolve": "add", "dedupe": {"header": "k"}}
    daemon = consumer({**CONFIG, **UPSERT, **more}, start=False)
    other = consumer({**CONFIG, **UPSERT, **more, "table": "u",
                      "create_table": True}, start=False)
    assert check(daemon)[0] == 0
    assert 'column "v" would be added' in check(daemon)[1]
    code, said = check(other)
    assert code == 0 and '"u" would be created' in said
    assert database.query("SELECT attname FROM pg_attribute WHERE attnum > 0"
                          " AND attrelid = 't'::regclass") == [("id",)]
    assert database.query("SELECT to_regclass('u'), to_regclass("
                          "'sluice.meta')") == [(None, None)]


def test_daemons_go_on_beside_it(consumer, topics, database):
    database.query("CREATE TABLE t (id integer PRIMARY KEY, v text)")
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'])
    daemon = consumer({**CONFIG, **UPSERT, "topic": topic})
    wait_accounted(database, 1)
    before = database.query("SELECT xmin::text, * FROM sluice.offsets")
    assert check(daemon)[0] == 0
    assert database.query("SELECT xmin::text, * FROM sluice.offsets") == before
    assert database.value("SELECT count(*) FROM sluice.batches") == 1
    topics.produce(topic, ['{"id":2}'])
    wait_accounted(database, 2)
    assert "going on" not in daemon.log()


def test_an_unlogged_table_is_said(consumer, topics, database):
    database.query("CREATE TABLE t (id integer, v text) PARTITION BY LIST"
                   " (id);CREATE UNLOGGED TABLE p PARTITION OF t DEFAULT")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, start=False)
    code, said = check(daemon)
    assert code == 0 and "unlogged" in said, said
    daemon.start().wait_healthy()
    wait_for(lambda: 'table "t" is unlogged' in daemon.log(), 10, "a warning")
