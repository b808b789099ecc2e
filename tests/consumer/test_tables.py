"""Sluice's own tables: created, upgraded, and used as they were."""

import pytest

from tests.lib.env import wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "columns": {"id": {"path": "/id", "type": "integer"}},
}

# what a daemon of version 4 created, but for the functions
VERSION_4 = """
CREATE SCHEMA sluice;
CREATE TABLE sluice.meta (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    version integer NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE sluice.offsets (
    cluster_id text NOT NULL, group_id text NOT NULL, topic text NOT NULL,
    partition integer NOT NULL, table_name text NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    epoch bigint NOT NULL, owner text NOT NULL, last_timestamp bigint,
    last_crc bigint, updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, group_id, topic, partition, table_name));
CREATE TABLE sluice.batches (
    cluster_id text NOT NULL, group_id text NOT NULL, topic text NOT NULL,
    partition integer NOT NULL, table_name text NOT NULL,
    first_offset bigint NOT NULL,
    kind text NOT NULL
        CHECK (kind IN ('records', 'gap', 'skipped', 'reset')),
    next_offset bigint NOT NULL, records bigint NOT NULL,
    dead_letters bigint NOT NULL, filtered bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL GENERATED ALWAYS AS
        (records - dead_letters - filtered - duplicates) STORED
        CHECK (rows >= 0),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (next_offset > first_offset),
    holes bigint[] CHECK (holes[1][2] = next_offset),
    PRIMARY KEY (cluster_id, group_id, topic, partition, table_name,
                 first_offset, kind));
CREATE TABLE sluice.dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id text NOT NULL, group_id text NOT NULL, topic text NOT NULL,
    partition integer NOT NULL, table_name text NOT NULL,
    "offset" bigint NOT NULL, "timestamp" timestamptz, key bytea,
    headers jsonb, value bytea, sqlstate text NOT NULL, reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    stripped boolean NOT NULL DEFAULT false);
CREATE TABLE sluice.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL DEFAULT session_user, action text NOT NULL,
    cluster_id text NOT NULL, group_id text NOT NULL, topic text NOT NULL,
    table_name text NOT NULL, detail jsonb NOT NULL);
CREATE TABLE sluice.seen (
    key bytea PRIMARY KEY, partition integer NOT NULL,
    "offset" bigint NOT NULL, expires_at timestamptz NOT NULL);
CREATE INDEX batches_records ON sluice.batches
    (cluster_id, group_id, topic, partition, table_name, first_offset)
    WHERE kind = 'records';
INSERT INTO sluice.meta (version) VALUES (4);
CREATE TABLE public.t (id integer);
"""


def counted(database):
    return database.query(
        "SELECT first_offset, next_offset, kind, records, dead_letters"
        " FROM sluice.batches")


def test_tables_of_the_version_before_are_upgraded(
        consumer, topics, database):
    database.query(VERSION_4)
    topic = topics.create()
    topics.produce(topic, ['{"id":1}', "bad", '{"id":2}'])
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 2, 20, "rows")
    daemon.stop()
    assert database.value("SELECT version FROM sluice.meta") == 5
    daemon.verify()
    assert database.query("SELECT records, dead_letters, filtered,"
                          " duplicates, rows FROM sluice.batches") \
        == [(3, 1, 0, 0, 2)]
    assert database.value("SELECT count(*) FROM sluice.audit") == 0
    assert "was upgraded to version 5" in daemon.log()
    # a daemon of version 4 goes on beside it: it names its own columns
    database.query(
        "INSERT INTO sluice.batches (cluster_id, group_id, topic,"
        " table_name, partition, kind, first_offset, next_offset, records,"
        " dead_letters) SELECT cluster_id, group_id, topic, table_name,"
        " partition, kind, next_offset, next_offset + 2, 2, 0"
        " FROM sluice.batches")
    daemon.start().wait_healthy()
    assert database.value("SELECT sum(rows) FROM sluice.batches") == 4
    assert "was upgraded" not in daemon.log()[daemon.started:]


def test_a_role_that_is_no_owner_runs_with_the_version_before(
        consumer, topics, database):
    role = database.role()
    database.query(VERSION_4)
    database.query(f"""
        GRANT USAGE ON SCHEMA sluice TO "{role}";
        GRANT SELECT ON sluice.meta TO "{role}";
        GRANT SELECT, INSERT, UPDATE ON sluice.offsets, sluice.batches,
            sluice.dead_letters, t TO "{role}" """)
    topic = topics.create()
    topics.produce(topic, ['{"id":1}', "bad", '{"id":2}'])
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=database.postgres.conninfo(database.name,
                                                          role))
    wait_for(lambda: database.try_count("t") == 2, 20, "rows")
    daemon.stop()
    assert database.value("SELECT version FROM sluice.meta") == 4
    assert counted(database) == [(0, 3, "records", 3, 1)]
    assert "may not upgrade it to version 5" in daemon.log()
    code, said = daemon.run("--check")
    assert code == 0 and "stay at version 4" in said, said
    # what the version before may have no functions for
    for words in (["where", f"{topic}/0/1"], ["verify"],
                  ["offsets", "reset", "--to-earliest"]):
        code, said = daemon.run(*words)
        assert code == 1 and "needs version 5" in said \
            and 'run "sluice-consumer setup"' in said, said
    code, said = daemon.run("setup", "--role", role, "--admin", "user=sluice")
    assert code == 0, said
    database.query(f'GRANT SELECT ON sluice.audit TO "{role}"')
    daemon.verify()


def blocks(database):
    return int(database.value(
        "SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit"
        " FROM pg_statio_all_tables WHERE relname = 'batches'"))


def test_a_claim_does_not_walk_the_gaps(consumer, topics, database):
    """A gap a transaction: 100,000 of them stand behind the range's start."""
    topic = topics.create()
    topics.produce(topic, ['{"id":1}', '{"id":2}'])
    daemon = consumer({**CONFIG, "topic": topic, "create_table": True})
    wait_for(lambda: database.try_count("t") == 2, 20, "rows")
    daemon.stop()
    database.query(
        "ALTER TABLE sluice.batches SET (autovacuum_enabled = false)")
    database.query(
        "INSERT INTO sluice.batches (cluster_id, group_id, topic,"
        " table_name, partition, kind, first_offset, next_offset, records,"
        " dead_letters) SELECT cluster_id, group_id, topic, table_name,"
        " partition, 'gap', 2 * i, 2 * i + 1, 0, 0"
        " FROM sluice.batches, generate_series(50, 100049) i;"
        "ANALYZE sluice.batches")
    # a session's counts are there when it has ended
    database.close()
    wait_for(lambda: blocks(database) > 100000, 20, "counts")
    database.query("SELECT pg_stat_reset()")
    topics.produce(topic, ['{"id":3}'])
    daemon.start()
    wait_for(lambda: database.try_count("t") == 3, 20, "rows")
    daemon.stop()
    wait_for(lambda: blocks(database) > 0, 20, "counts")
    assert blocks(database) < 200
    assert database.query("SELECT first_offset, next_offset, records FROM"
                          " sluice.batches WHERE kind = 'records'") \
        == [(0, 3, 3)]


def test_verify_takes_one_pass_over_the_gaps(consumer, topics, database):
    """30,000 rows with a gap behind each: no row is compared with each gap."""
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "create_table": True})
    wait_for(lambda: database.try_count("sluice.offsets") == 1, 20, "a claim")
    daemon.stop()
    database.query("""
        CREATE TABLE places (part integer, off bigint);
        INSERT INTO places SELECT 0, 2 * i FROM generate_series(0, 29999) i;
        INSERT INTO sluice.offsets VALUES
            ('c', 'g', 'x', 0, 'places', 60000, 1, '', 0, 0);
        INSERT INTO sluice.batches VALUES
            ('c', 'g', 'x', 0, 'places', 0, 'records', 60000, 30000, 0);
        INSERT INTO sluice.batches SELECT 'c', 'g', 'x', 0, 'places',
            2 * i + 1, 'gap', 2 * i + 2, 0, 0
            FROM generate_series(0, 29999) i;""")
    problems = ("SET statement_timeout = '30s'; SELECT * FROM"
                " sluice.verify_rows('c', 'g', 'x', 'places', '{places}',"
                " true, 'places', '{part,off}')")
    assert database.query(problems) == []
    database.query("UPDATE places SET off = off + 1 WHERE off IN (6, 8)")
    assert (0, 7, 9, "2 rows outside of the ranges") \
        in database.query(problems)


@pytest.mark.parametrize("version, way_out", [
    (3, "upgrade by one version at a time"), (9, "install a newer daemon")])
def test_tables_of_a_version_far_away_hold(consumer, topics, database,
                                           version, way_out):
    database.query(VERSION_4)
    database.query(f"UPDATE sluice.meta SET version = {version}")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    reason = daemon.wait_held()["reason"]
    assert f"is of version {version}, " in reason and way_out in reason
