"""Types of PostgreSQL's catalogue in tables that Sluice makes."""

import json

import pytest

from tests.lib.env import wait_for

CONFIG = {"group": "g", "start": "earliest", "table": "t",
          "create_table": True, "batch": {"linger": "5ms"}}
EVIL = 'm"; drop table victim;--'


def columns(**types):
    return {"id": {"path": "/id", "type": "integer"},
            **{name: {"path": f"/{name}", "type": kind}
               for name, kind in types.items()}}


def types_of(database, table="t"):
    return dict(database.query(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 1", table))


def test_a_table_has_any_type_of_the_catalogue(consumer, topics, database):
    database.query(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore;"
        " CREATE SCHEMA shop; CREATE TYPE mood AS ENUM ('sad', 'glad');"
        " CREATE TYPE shop.\"Odd Mood\" AS ENUM ('a')")
    kinds = {"m": "mood", "r": "int4range", "b": "bit(3)",
             "bv": "bit varying(5)", "v": "varchar(10)", "ms": "mood[]",
             "c": "citext", "h": "public.hstore", "o": "shop.Odd Mood",
             "p": "point", "vb": "varbit(4)"}
    topic = topics.create()
    topics.produce(topic, [json.dumps({
        "id": 1, "m": "glad", "r": "[1,5)", "b": "101", "bv": "11",
        "v": "v", "ms": ["sad", "glad"], "c": "Ab", "h": '"k"=>"v"',
        "o": "a", "p": "(1,2)", "vb": "1"}),
        '{"id":2,"m":"furious"}', '{"id":3,"b":"1"}'])
    daemon = consumer({**CONFIG, "topic": topic,
                       "columns": columns(**kinds)}, start=False)
    code, said = daemon.run("--check")
    assert code == 0 and '"m" "mood"' in said, said
    daemon.start()
    wait_for(lambda: database.try_count("t") == 1, 30, "the row")
    assert types_of(database) == {
        **kinds, "v": "character varying(10)", "h": "hstore",
        "o": 'shop."Odd Mood"', "vb": "bit varying(4)"}
    assert database.query("SELECT m::text, r::text, b::text, ms::text,"
                          " c = 'aB', h::text, o::text, vb::text FROM t") == [
        ("glad", "[1,5)", "101", "{sad,glad}", True, '"k"=>"v"', "a", "1")]
    wait_for(lambda: database.query("SELECT sqlstate FROM sluice.dead_letters"
                                    " ORDER BY \"offset\"")
             == [("22P02",), ("22026",)], 30, "two dead letters")


@pytest.mark.parametrize("kind, near", [
    ("citext", ""), ("shop.mood", ""), ("decmal", 'did you mean "decimal"?'),
    (EVIL.replace('"', ""), "")])
def test_a_type_that_is_not_there_holds_until_it_is(consumer, topics,
                                                    database, kind, near):
    database.query("CREATE TABLE victim ()")
    topic = topics.create()
    topics.produce(topic, ['{"id":1,"x":"1"}'])
    daemon = consumer({**CONFIG, "topic": topic,
                       "columns": columns(x=kind)}, start=False)
    code, said = daemon.run("--check")
    assert code == 1, said
    for words in (f'type "{kind}" does not exist', "CREATE EXTENSION", near):
        assert words in said, said
    daemon.start()
    held = json.dumps(daemon.wait_held()).replace("\\", "")
    assert f'type "{kind}" does not exist' in held
    schema, _, name = kind.rpartition(".")
    if schema:
        database.query(f"CREATE SCHEMA {schema}")
    database.query(f'CREATE DOMAIN {schema or "public"}."{name}" AS text')
    wait_for(lambda: database.try_count("t") == 1, 30, "the row")
    assert database.value("SELECT to_regclass('victim')::text") == "victim"


@pytest.mark.parametrize("kind", [
    EVIL, "mood(1);drop table victim", "mood(')", "mood(1", "mood[",
    "mood[3]", "a.b.c", ".mood", "mood(--)", "mood\n", "numeric(1;2)",
    "text /* */ (1)(2)"])
def test_what_is_no_name_is_refused(consumer, topics, database, kind):
    code, said = consumer({**CONFIG, "topic": topics.create(),
                           "columns": columns(x=kind)}, start=False).run("--check")
    assert code == 78 and "unknown type" in said, (code, said)


def test_a_column_that_is_added_has_such_a_type(consumer, topics, database):
    database.query("CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id"
                   " integer)")
    topic = topics.create()
    topics.produce(topic, ['{"id":1,"m":"sad","ms":["sad"]}'])
    daemon = consumer({**CONFIG, "topic": topic, "create_table": False,
                       "evolve": "add",
                       "columns": columns(m="mood", ms="mood[]")},
                      start=False)
    code, said = daemon.run("--check")
    assert code == 0, said
    daemon.start()
    wait_for(lambda: database.try_count("t") == 1, 30, "the row")
    assert types_of(database) == {"m": "mood", "ms": "mood[]"}


def test_setup_makes_it_and_a_strangers_type_is_refused(consumer, topics,
                                                        database):
    role, stranger = database.role(), database.role()
    database.query("CREATE TYPE mood AS ENUM ('sad')")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic,
                       "columns": columns(m="mood")}, start=False,
                      conninfo=database.postgres.conninfo(database.name,
                                                          role))
    database.query(f'ALTER TYPE mood OWNER TO "{stranger}"')
    code, said = daemon.run("setup", "--admin", "user=sluice")
    assert code == 1 and f'type public.mood belongs to role "{stranger}"' in said
    assert "give it another owner" in said
    database.query("ALTER TYPE mood OWNER TO sluice")
    code, said = daemon.run("setup", "--admin", "user=sluice")
    assert code == 0, said
    topics.produce(topic, ['{"id":1,"m":"sad"}'])
    daemon.start()
    wait_for(lambda: database.try_count("t") == 1, 30, "the row")
