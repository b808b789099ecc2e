"""Rows of new keys are copied into the table itself, at no risk."""

import json

import pytest

from tests.lib.env import wait_for
from tests.lib.history import wait_accounted

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "mode": "upsert",
    "key": ["id"], "batch": {"linger": "5ms"},
    "columns": {"id": {"path": "/id", "type": "integer"}, "v": "/v"},
}
TABLE = "CREATE TABLE t (id integer PRIMARY KEY, v text)"

# counts the temporary tables made, those of failed transactions, too
COUNTED = ("CREATE SEQUENCE staged;"
           "CREATE FUNCTION count_staged() RETURNS event_trigger"
           " LANGUAGE plpgsql AS"
           " $$BEGIN PERFORM nextval('public.staged'); END$$;"
           "CREATE EVENT TRIGGER staged ON ddl_command_start WHEN TAG IN"
           " ('CREATE TABLE AS') EXECUTE FUNCTION count_staged()")


def event(ident, v="v"):
    return json.dumps({"id": ident, "v": v})


def staged(database):
    return database.value("SELECT CASE WHEN is_called THEN last_value ELSE 0"
                          " END FROM staged")


def store(database, topics, topic, records):
    topics.produce(topic, records)
    wait_accounted(database, topics.count(topic))


@pytest.mark.parametrize("other", ["integer", "point"])
@pytest.mark.parametrize("mode", ["ignore", "upsert", "upsert_delete"])
def test_only_what_meets_is_staged(consumer, topics, database, mode, other):
    """As tuples, and as text where a type has none."""
    database.query(f"{TABLE};ALTER TABLE t ADD w {other};{COUNTED}")
    topic = topics.create()
    consumer({**CONFIG, "topic": topic, "mode": mode,
              "batch": {"rows": 1},
              "columns": {**CONFIG["columns"], "w": "/w"}})
    store(database, topics, topic, [event(n) for n in range(10)])
    assert staged(database) == 0
    # one that is there; then new ones go the longer way for a while
    store(database, topics, topic, [event(3, "again")])
    store(database, topics, topic, [event(n) for n in range(10, 160)])
    assert staged(database) == 100
    if mode == "upsert_delete":
        store(database, topics, topic, [("5", None)])
        assert staged(database) == 101
        assert database.value("SELECT count(*) FROM t WHERE id = 5") == 0
    assert database.value("SELECT v FROM t WHERE id = 3") \
        == ("v" if mode == "ignore" else "again")
    assert database.value("SELECT count(*) FROM t") \
        == (159 if mode == "upsert_delete" else 160)
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0


FUNCTION = ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RETURN NEW; END';")


@pytest.mark.parametrize("makes", [
    TABLE + ";" + FUNCTION
    + "CREATE TRIGGER f AFTER UPDATE ON t EXECUTE FUNCTION f()",
    TABLE + " PARTITION BY RANGE (id);" + FUNCTION
    + "CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (10);"
    "CREATE TRIGGER f BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION f()",
    TABLE + ";CREATE RULE r AS ON INSERT TO t WHERE NEW.id = 0"
    " DO INSTEAD NOTHING",
    "CREATE TABLE t (id integer UNIQUE, v text)",
    TABLE + ";ALTER TABLE t ADD UNIQUE (v, id) DEFERRABLE",
    "CREATE TABLE made (id integer PRIMARY KEY, v text);"
    "CREATE VIEW t AS SELECT * FROM made",
], ids=["trigger", "trigger of a partition", "rule", "key that may be null",
        "deferrable", "view"])
def test_what_could_tell_the_two_apart_is_staged(consumer, topics, database,
                                                 makes):
    database.query(makes + ";" + COUNTED)
    topic = topics.create()
    consumer({**CONFIG, "topic": topic})
    store(database, topics, topic, [event(1), event(2)])
    assert staged(database) > 0
    assert database.value("SELECT count(*) FROM t") == 2


def test_who_could_not_stage_is_told_at_once(consumer, topics, database):
    """Not at the first key that is there."""
    role = database.role()
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "create_table": True},
                      start=False, conninfo=database.postgres.conninfo(
                          database.name, role))
    code, said = daemon.run("setup", "--admin", "user=sluice")
    assert code == 0, said
    database.query(f'REVOKE TEMPORARY ON DATABASE "{database.name}"'
                   f' FROM PUBLIC, "{role}"')
    topics.produce(topic, [event(1)])
    daemon.start()
    assert "temporary" in daemon.wait_held()["reason"]
    database.query(f'GRANT TEMPORARY ON DATABASE "{database.name}"'
                   f' TO "{role}"')
    wait_accounted(database, 1)
    database.query(f'DROP OWNED BY "{role}" CASCADE')


def test_of_several_tables_all_begin_anew(consumer, topics, database):
    """The rows of the first one, and clients' keys, are there once."""
    database.query(f"{TABLE};CREATE TABLE u (id integer PRIMARY KEY);"
                   "CREATE TABLE w (id integer);"
                   f"INSERT INTO u VALUES (2);{COUNTED}")
    topic = topics.create()
    ident = {"id": {"path": "/id", "type": "integer"}}

    def record(kind, number, key):
        return ("k", json.dumps({"type": kind, "id": number}), 0,
                [("k", str(key))])

    topics.produce(topic, [
        record(kind, number, f"{kind}{number % 8}")
        for number in range(10) for kind in "tuw"])
    consumer({
        "group": "g", "start": "earliest", "topic": topic,
        "batch": {"linger": "1s"}, "dedupe": {"header": "k"},
        "route": {"path": "/type", "tables": {
            "t": {key: CONFIG[key]
                  for key in ("table", "mode", "key", "columns")},
            "u": {"table": "u", "mode": "ignore", "key": ["id"],
                  "columns": ident},
            "w": {"table": "w", "columns": ident}}}})
    wait_accounted(database, 30)
    for table in "tuw":
        assert database.query(f"SELECT id FROM {table} ORDER BY 1") \
            == [(number,) for number in range(8)], table
    assert database.value("SELECT count(*) FROM sluice.seen") == 24
    assert database.value("SELECT sum(duplicates) FROM sluice.batches") == 6
    # both of one batch, once
    assert staged(database) == 2


@pytest.mark.parametrize("mode", ["ignore", "upsert"])
def test_a_key_whose_index_goes_holds(consumer, topics, database, mode):
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "mode": mode})
    store(database, topics, topic, [event(1), event(2)])
    database.query("ALTER TABLE t DROP CONSTRAINT t_pkey")
    topics.produce(topic, [event(2), event(3)])
    assert "unique" in daemon.wait_held()["reason"]
    assert database.value("SELECT count(*) FROM t") == 2
    database.query("ALTER TABLE t ADD PRIMARY KEY (id)")
    wait_accounted(database, 4)
    assert database.query("SELECT id FROM t ORDER BY 1") == [(1,), (2,), (3,)]


def test_it_gives_way_before_there_is_a_deadlock(consumer, topics, database):
    """Keys come as 9, 1; another session adds 1 and then 9."""
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    store(database, topics, topic, [event(5)])
    session = database.begin("INSERT INTO t VALUES (1, 'theirs')")
    topics.produce(topic, [event(9, "ours"), event(1, "ours")])
    wait_for(database.waits, 20, "the daemon waits")
    session.cursor().execute("INSERT INTO t VALUES (9, 'theirs')")
    session.commit()
    session.close()
    wait_accounted(database, 3)
    assert database.query("SELECT id, v FROM t ORDER BY id") \
        == [(1, "ours"), (5, "v"), (9, "ours")]
    assert database.value("SELECT deadlocks FROM pg_stat_database"
                          " WHERE datname = current_database()") == 0
    assert "deadlock" not in daemon.log()


def test_only_new_keys_are_not_waited_for(consumer, topics, database):
    """The next table of the transaction is, longer than those."""
    database.query(TABLE + ";CREATE TABLE u (id integer)")
    topic = topics.create()
    daemon = consumer(conninfo=f"{database.conninfo} "
                      "options='-c lock_timeout=300'", config={
        "group": "g", "start": "earliest", "topic": topic,
        "batch": {"linger": "5ms"},
        "route": {"path": "/type", "tables": {
            "t": {key: CONFIG[key]
                  for key in ("table", "mode", "key", "columns")},
            "u": {"table": "u", "columns": {"id": "/id"}}}}})
    store(database, topics, topic, ['{"type":"t","id":1}'])
    session = database.begin("LOCK TABLE u")
    topics.produce(topic, ['{"type":"t","id":2}', '{"type":"u","id":3}'])
    wait_for(lambda: database.waits(0.5), 20, "the daemon waits for long")
    session.commit()
    session.close()
    wait_accounted(database, 3)
    assert database.value("SELECT count(*) FROM u") == 1
    assert "lock timeout" not in daemon.log()
