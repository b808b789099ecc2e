"""Tables with names of all kinds: dots, quotes, capitals, spaces, 63 bytes.

What prints, quotes, compares and stores a table's name takes each of them."""

import json

import pytest

from tests.lib.env import wait_for
from tests.lib.history import wait_accounted
from tests.lib.numbered import CONFIG, value

SPAN = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-12-31T00:00:00Z"]
# as the configuration has it, and the key of its offsets
NAMES = {
    "dot": (["shop", "na.me"], "shop.na.me"),
    "string": ("shop.na.me.too", "shop.na.me.too"),
    "dots": (["sh.op", "na.me"], '"sh.op"."na.me"'),
    "bare": (["na.me"], '"na.me"'),
    "one": (["orders"], "orders"),
    "capitals": (["My Shop", "Or ders"], "My Shop.Or ders"),
    "quotes": (["a.b", 'say "hi"'], '"a.b"."say ""hi"""'),
    "quote": (['"', '"q"'], '"""".""\"q""\"'),
    "odd": (["it's", "back\\slash\t{$1,%s}é"], "it's.back\\slash\t{$1,%s}é"),
    "long": (["s." + "x" * 61, "é" * 31 + "y"],
             '"s.' + "x" * 61 + '"."' + "é" * 31 + 'y"'),
    "same": (["s.s", "s"], '"s.s"."s"'),
}


def sql(table):
    """The table's name in SQL."""
    if isinstance(table, str):
        table = table.split(".", 1)
    return ".".join('"' + name.replace('"', '""') + '"' for name in table)


def schema(database, table):
    if len(table) == 2 and isinstance(table, list):
        database.query(f"CREATE SCHEMA IF NOT EXISTS {sql(table[:1])}")


def keys(database):
    return [name for name, in database.query(
        "SELECT DISTINCT table_name FROM sluice.offsets ORDER BY 1")]


def count(database, table):
    return database.try_count(sql(table))


@pytest.fixture
def make(consumer, topics):
    topic = topics.create()

    def one(table, **more):
        return consumer({**CONFIG, "topic": topic, "table": table,
                         "dead_letters": {"hold_above": 1}, **more},
                        start=False)

    return topic, one


@pytest.mark.parametrize("kind", NAMES)
def test_everything_takes_the_name(make, topics, database, kind):
    table, key = NAMES[kind]
    topic, one = make
    schema(database, table if kind != "string" else ["shop", ""])
    topics.produce(topic, [value(n) for n in range(20)] + ["bad"],
                   1769900000000)
    daemon = one(table)
    code, said = daemon.run("--check")
    assert code == 0 and f'"{key}" would be created' in said, said
    code, said = daemon.run("print-ddl")
    assert code == 0 and sql(table) in said
    code, said = daemon.run("setup", "--role", "sluice")
    assert code == 0, said
    daemon.start()
    wait_accounted(database, 21)
    assert count(database, table) == 20
    assert keys(database) == [key]
    assert database.value("SELECT DISTINCT table_name FROM"
                          " sluice.dead_letters") == key
    daemon.verify()
    code, said = daemon.run("--check")
    assert code == 0 and f'"{key}"' in said, said
    shown = json.loads(daemon.run("dead-letters", "list", "--json")[1])
    assert [letter["table"] for letter in shown] == [key]
    assert "row" in daemon.run("where", f"{topic}/0/3")[1]
    assert "dead letter" in daemon.run("where", f"{topic}/0/20")[1]
    assert json.loads(daemon.run("lag", "--json")[1])[0]["lag"] == 0
    assert "1 stay" in daemon.run("dead-letters", "replay", "--all")[1]
    code, said = daemon.run("replay", *SPAN)
    assert code == 1 and "would hold rows twice" in said, said
    code, said = daemon.run("replay", *SPAN, "--into", '"a"."b"')
    assert code == 1 and "without quotes" in said, said
    daemon.stop()
    database.query(f"DELETE FROM {sql(table)}")
    code, said = daemon.run("offsets", "reset", "--to-earliest",
                            "--allow-duplicates")
    assert code == 0, said
    daemon.start()
    wait_for(lambda: count(database, table) == 20, 20, "the rows again")
    assert keys(database) == [key]
    daemon.stop()


@pytest.mark.parametrize("first, second", [
    ("shop.na.me", ["shop", "na.me"]), (["na.me"], ["public", "na.me"]),
    ("orders", ["public", "orders"]), ("public.orders", ["orders"]),
    (["orders"], "orders")])
@pytest.mark.parametrize("turned", [False, True])
def test_another_spelling_goes_on(make, topics, database, first, second,
                                  turned):
    topic, one = make
    if turned:
        first, second = second, first
    schema(database, ["shop", ""])
    for round_, table in enumerate([first, second, first], 1):
        topics.produce(topic, [value(n) for n in range(round_ * 10 - 10,
                                                       round_ * 10)])
        daemon = one(table).start()
        wait_accounted(database, round_ * 10)
        daemon.stop()
        assert count(database, second) == round_ * 10
        daemon.verify()
        assert len(keys(database)) == 1


def test_names_that_join_alike_do_not_meet(make, topics, database):
    topic, one = make
    topics.produce(topic, [value(n) for n in range(10)])
    tables = [["a", "b.c"], ["a.b", "c"], ["a.b.c"], ["a.b", "c.d"],
              ["a", "b.c.d"]]
    for table in tables:
        schema(database, table)
    database.query("SET search_path = public, a, \"a.b\"")
    for table in tables:
        daemon = one(table).start()
        wait_for(lambda t=table: count(database, t) == 10, 20, "its rows")
        daemon.verify()
        daemon.stop()
    assert len(keys(database)) == len(tables)
    topics.produce(topic, [value(n) for n in range(10, 15)])
    for table in tables:
        daemon = one(table).start()
        wait_for(lambda t=table: count(database, t) == 15, 20, "five more")
        daemon.stop()


def test_a_route_has_both(make, topics, database):
    topic, one = make
    upsert = {"mode": "upsert", "key": ["n"], "create_table": True,
              "columns": {"n": {"path": "/n", "type": "integer",
                                "required": True}}}
    for name in ("a", "a.b"):
        schema(database, [name, ""])
    topics.produce(topic, ['{"n":%d,"to":"%s"}' % (n, "xy"[n % 2])
                           for n in range(10)] + ['{"n":"bad","to":"y"}'])
    daemon = one(None)
    config = json.loads(daemon.file.read_text())
    for key in ("table", "columns", "create_table"):
        del config[key]
    config["route"] = {"path": "/to", "tables": {
        "x": {"table": ["a", "b.c"], **upsert},
        "y": {"table": ["a.b", "c"], **upsert}}}
    daemon.file.write_text(json.dumps(config))
    daemon.start()
    wait_accounted(database, 11)
    assert count(database, ["a", "b.c"]) == count(database, ["a.b", "c"]) == 5
    assert database.value("SELECT table_name FROM sluice.dead_letters") \
        == '"a.b"."c"'
    daemon.stop()
    daemon.verify()
