"""PostgreSQL's messages in other languages: what the daemon does is the same.

lc_messages stays C.utf8, which every machine has; the variable LANGUAGE of the
server chooses among the languages that its package brings."""

import math
import shutil

import pytest

from tests.lib import servers
from tests.lib.database import Database
from tests.lib.env import wait_for

ROWS = 5000
CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "batch": {"rows": ROWS, "linger": "500ms"},
    "dead_letters": {"hold_above": 1},
    "columns": {"n": "/n", "v": "/v", "q": "/q", "r": "/r"},
}
TABLE = "CREATE TABLE t (n integer, v text CHECK (v <> 'x'), q tsquery," \
    " r regclass)"
# how COPY says "line" in its context; the table's name comes first or last
LANGUAGES = {"": "line", "de": "Zeile", "ja": "行", "ko": "줄"}


@pytest.fixture(scope="module", params=LANGUAGES)
def translated(request, run_directory):
    server = servers.Postgres(run_directory / f"postgres-{request.param}",
                              ["lc_messages=C.utf8"], LANGUAGE=request.param)
    try:
        yield server.start(), request.param
    finally:
        server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)


@pytest.fixture
def database_of(translated):
    server, language = translated
    database = Database(server)
    try:
        said = database.value(
            "CREATE FUNCTION said() RETURNS text LANGUAGE plpgsql AS"
            " 'DECLARE c text; BEGIN CREATE TEMP TABLE one (n integer);"
            " COPY one FROM PROGRAM ''echo x''; EXCEPTION WHEN OTHERS THEN"
            " GET STACKED DIAGNOSTICS c = PG_EXCEPTION_CONTEXT; RETURN c;"
            " END';SELECT said()")
        if LANGUAGES[language] not in said:
            pytest.skip(f"no messages in {language}: {said}")
        yield database
    finally:
        database.drop()


@pytest.mark.parametrize("mode", [
    {}, {"mode": "upsert", "key": ["n"]}], ids=["append", "upsert"])
def test_a_bad_row_costs_the_same(consumer, topics, database_of, mode):
    database_of.query(TABLE)
    if mode:
        database_of.query("ALTER TABLE t ADD PRIMARY KEY (n)")
    topic = topics.create()
    topics.produce(topic, ['{"n":%d,"v":"%s"}' % (n, "x" if n == 3210 else "")
                           for n in range(ROWS)])
    daemon = consumer({**CONFIG, **mode, "topic": topic},
                      conninfo=database_of.conninfo)
    wait_for(lambda: database_of.try_count("t") == ROWS - 1, 30, "the others")
    assert database_of.query('SELECT "offset", sqlstate FROM'
                             " sluice.dead_letters") == [(3210, "23514")]
    assert daemon.metric("sluice_consumer_copies_total") \
        <= 1 + bool(mode) + math.ceil(math.log2(ROWS)) + 2


def test_a_value_that_its_type_refuses_goes(consumer, topics, database_of):
    """In class 42, like a missing table: nothing but the search tells."""
    database_of.query(TABLE)
    topic = topics.create()
    topics.produce(topic, ['{"n":0}', '{"n":1,"q":"a &"}',
                           '{"n":2,"r":"nothing_like_it"}', '{"n":3}'])
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=database_of.conninfo)
    wait_for(lambda: database_of.try_count("t") == 2, 30, "the others")
    assert database_of.query('SELECT "offset", sqlstate FROM'
                             " sluice.dead_letters ORDER BY 1") \
        == [(1, "42601"), (2, "42P01")]
    daemon.wait_healthy()
    daemon.stop()
    daemon.verify()
