"""Records that Debezium made: a table is equal to its source."""

import json
import random

import pytest

from tests.lib import debezium
from tests.lib.database import Database
from tests.lib.env import SANITIZED, wait_for
from tests.lib.servers import Postgres

HEAVY = pytest.mark.skipif(
    SANITIZED, reason="the worker's start alone takes as long as a test may")

KINDS = """
CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE TABLE thing (
    id bigint PRIMARY KEY, n integer, s smallint, l bigint, b boolean,
    r real, d double precision, m numeric(12,3), v numeric, w numeric(10,0),
    t text, vc varchar(40), c char(5),
    da date, ti time, ti3 time(3), tz timetz, ts timestamp, ts3 timestamp(3),
    tstz timestamptz, iv interval,
    by bytea, u uuid, j json, jb jsonb, x xml,
    bi bit(5), b1 bit(1), bv bit varying(20), e mood,
    ia integer[], ta text[], na numeric(10,2)[], tsa timestamp[], daa date[],
    ua uuid[], ba bytea[], va numeric[],
    p point, ip inet, ci cidr, mac macaddr, ra int4range, tr tstzrange,
    hs hstore, money money,
    big text, bigb bytea, bigj jsonb, bigt text[], bigi integer[],
    bigu uuid[], bigh hstore, bigd date[])
"""

# by two columns, of types that a schema alone tells
PAIRS = """
CREATE TABLE pair (a numeric(8,2), b timestamp, note text,
                   PRIMARY KEY (a, b))
"""

BIG = ["big", "bigb", "bigj", "bigt", "bigi", "bigu", "bigh", "bigd"]

VALUES = {
    "n": "{i}", "s": "{i} % 100", "l": "{i} * 4000000000", "b": "{i} % 2 = 0",
    "r": "CASE {i} % 3 WHEN 0 THEN 'NaN' ELSE {i} / 7.0 END::real",
    "d": "CASE {i} % 3 WHEN 0 THEN '-Infinity' ELSE {i} / 7.0 END::float8",
    "m": "({i} - 50) / 7.0", "v": "({i} - 50) * 1e20 / 7", "w": "{i}",
    "t": "'é\"\\{i}'", "vc": "'v{i}'", "c": "'c'",
    "da": "CASE {i} % 4 WHEN 0 THEN '-infinity' WHEN 1 THEN 'infinity'"
          " ELSE date '1900-01-01' + {i} * 700 END::date",
    "ti": "CASE {i} % 4 WHEN 0 THEN time '24:00'"
          " ELSE time '00:00:00.000001' + {i} * interval '1001 ms' END",
    "ti3": "time '23:59:59.999' - {i} * interval '1001 ms'",
    "tz": "timetz '12:00:00.5+02' + {i} * interval '1 min'",
    "ts": "CASE {i} % 5 WHEN 0 THEN timestamp '-infinity'"
          " WHEN 1 THEN 'infinity' WHEN 2 THEN '0044-03-15 00:00:01 BC'"
          " ELSE timestamp '1960-01-01 00:00:00.000007'"
          " + {i} * interval '31 days 0.123457 s' END",
    "ts3": "timestamp '1969-12-31 23:59:59.999' - {i} * interval '1001 ms'",
    "tstz": "CASE {i} % 5 WHEN 0 THEN timestamptz '-infinity'"
            " WHEN 1 THEN 'infinity' WHEN 2 THEN '0044-03-15 00:00:01+00 BC'"
            " WHEN 3 THEN '12024-01-01 00:00+00'"
            " ELSE timestamptz '2024-02-29 12:34:56.789012+01'"
            " + {i} * interval '1.1 s' END",
    "iv": "{i} * interval '1 year 2 mons -3 days 04:05:06.789'",
    "by": "decode(lpad(to_hex({i}), 8, '0'), 'hex')",
    "u": "md5('{i}')::uuid", "j": "'{{\"a\" : {i}}}'",
    "jb": "'{{\"a\":[{i},null,\"é\"]}}'", "x": "'<a>{i}</a>'",
    "bi": "({i} % 32)::bit(5)", "b1": "({i} % 2)::bit(1)",
    "bv": "(B'1' || ({i} % 32)::bit(5))",
    "e": "CASE {i} % 2 WHEN 0 THEN 'calm' ELSE 'wild' END::mood",
    "ia": "ARRAY[{i},null,-{i}]", "ta": "ARRAY['a\"{i}',null,'','NULL']",
    "na": "ARRAY[{i} / 7.0,null,-0.05]",
    "tsa": "ARRAY[timestamp '2024-01-01' + {i} * interval '0.000001 s']",
    "daa": "ARRAY[date '2024-01-01' + {i}, null]",
    "ua": "ARRAY[md5('{i}')::uuid]", "ba": "ARRAY[decode('00ff', 'hex')]",
    "va": "ARRAY[{i} / 8.0, {i} * 1e10]",
    "p": "point({i}, -{i} / 8.0)", "ip": "inet '10.0.0.1/24' + {i}",
    "ci": "'10.0.0.0/8'", "mac": "'08:00:2b:01:02:03'",
    "ra": "int4range({i}, {i} + 5)",
    "tr": "tstzrange('2024-01-01+00', '2024-02-01+00')",
    "hs": "hstore(ARRAY['a', '\"{i}', 'b', NULL])", "money": "{i} / 8.0",
    "big": "repeat('x{i}', 2000)", "bigb": "decode(repeat('0{d}', 4000),"
    " 'hex')", "bigj": "to_jsonb(repeat('z{i}', 2000))",
    "bigt": "array_fill('t{i}'::text, ARRAY[1500])",
    "bigi": "array_fill({i}, ARRAY[1500])",
    "bigu": "array_fill(md5('{i}')::uuid, ARRAY[400])",
    "bigh": "hstore('k', repeat('v{i}', 2000))",
    "bigd": "array_fill(date '2024-01-01' + {i}, ARRAY[1500])",
}

STATED = {
    "m": {"encoding": "decimal"}, "w": {"encoding": "decimal"},
    "na": {"encoding": "decimal"}, "ti": {"unit": "us"},
    "ti3": {"unit": "ms"}, "ts": {"unit": "us"}, "ts3": {"unit": "ms"},
    "tsa": {"unit": "us"}, "bi": {"encoding": "bits"},
    "bv": {"encoding": "bits"},
}

HEX = {"by": {"encoding": "hex"}, "bigb": {"encoding": "hex"},
       "ba": {"encoding": "hex"}}

UNWRAP = {
    "transforms": "unwrap",
    "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
    "transforms.unwrap.delete.tombstone.handling.mode": "rewrite",
    "transforms.unwrap.add.fields": "op,source.lsn",
}

PLAIN = {"key.converter.schemas.enable": "false",
         "value.converter.schemas.enable": "false"}


@pytest.fixture
def source(directory):
    """A PostgreSQL whose changes can be read."""
    server = Postgres(directory / "postgres-source",
                      ["wal_level=logical", "fsync=off"])
    yield server.start()
    server.stop()


@pytest.fixture
def connect(directory, kafka):
    made = []

    def make(postgres, database, connectors):
        made.append(debezium.Connect(directory, kafka, postgres, database,
                                     connectors))
        return made[0].start()

    yield make
    for worker in made:
        worker.stop()


class Changes:
    """Random ones of the source, which come out the same each time."""

    def __init__(self, source, seed):
        self.source = source
        self.random = random.Random(seed)
        self.count = 0
        self.ids = []

    def value(self, column):
        if column not in ("t", "big") and self.random.random() < 0.15:
            return "NULL"
        i = self.random.randrange(100)
        return VALUES[column].format(i=i, d=i % 10)

    def insert(self):
        self.count += 1
        columns = list(VALUES)
        self.source.query(
            f"INSERT INTO thing (id, {', '.join(columns)}) VALUES"
            f" ({self.count}, {', '.join(map(self.value, columns))})")
        self.ids.append(self.count)

    def update(self, columns):
        self.source.query(
            "UPDATE thing SET "
            + ", ".join(f"{name} = {self.value(name)}" for name in columns)
            + f" WHERE id = {self.random.choice(self.ids)}")

    def rename(self):
        """A new primary key, with all that may be out of line: what is not
        written is in no change."""
        at = self.random.randrange(len(self.ids))
        self.count += 1
        self.source.query(
            f"UPDATE thing SET id = {self.count}, "
            + ", ".join(f"{name} = {self.value(name)}" for name in BIG)
            + f" WHERE id = {self.ids[at]}")
        self.ids[at] = self.count

    def delete(self):
        at = self.random.randrange(len(self.ids))
        self.source.query(f"DELETE FROM thing WHERE id = {self.ids.pop(at)}")

    def pair(self):
        a, b = self.random.randrange(9), self.random.randrange(3)
        key = (f"{a}.25, timestamp '2024-01-01'"
               f" + {b} * interval '0.000001 s'")
        if self.random.random() < 0.4:
            self.source.query(f"DELETE FROM pair WHERE (a, b) = ({key})")
        else:
            self.source.query(
                f"INSERT INTO pair VALUES ({key}, %s) ON CONFLICT (a, b)"
                " DO UPDATE SET note = excluded.note",
                str(self.random.random()))

    def some(self, count):
        small = [name for name in VALUES if name not in BIG]
        for _ in range(count):
            draw = self.random.random()
            if draw < 0.25 or len(self.ids) < 3:
                self.insert()
            elif draw < 0.55:
                self.update(self.random.sample(small, 4))
            elif draw < 0.65:
                self.update(self.random.sample(BIG, 3))
            elif draw < 0.75:
                self.rename()
            elif draw < 0.85:
                self.delete()
            else:
                self.pair()


def table(database, name, place):
    order = "a, b" if name == "pair" else "id"
    return database.query(f"SELECT t::text FROM {place} t ORDER BY {order}")


def columns(stated):
    return {name: {"path": f"/{name}", **stated.get(name, {})}
            for name in ["id", *VALUES]}


@HEAVY
def test_a_table_is_equal_to_its_source(source, connect, consumer, topics,
                                        database):
    origin = Database(source)
    for where in (origin, database):
        where.query(KINDS + ";" + PAIRS)
        for name in BIG:
            where.query(f"ALTER TABLE thing ALTER {name} SET STORAGE"
                        " EXTERNAL")
    database.query("CREATE TABLE bare (LIKE thing INCLUDING ALL);"
                   "CREATE TABLE flat (LIKE thing INCLUDING ALL,"
                   " lsn bigint, op text)")
    changes = Changes(origin, 1)
    changes.some(60)

    prefix = topics.name().replace("-", "_")
    things = {"table.include.list": "public.thing",
              "interval.handling.mode": "string"}
    names = {one: f"{prefix}_{one}" for one in ("full", "bare", "flat")}
    for name in names.values():
        topics.made += [f"{name}.public.thing", f"{name}.public.pair"]
    worker = connect(source, origin.name, {
        names["full"]: {**things, "hstore.handling.mode": "map",
                        "table.include.list": "public.thing,public.pair"},
        names["bare"]: {**things, **PLAIN, "hstore.handling.mode": "map"},
        names["flat"]: {**things, **PLAIN, **UNWRAP,
                        "hstore.handling.mode": "map",
                        "decimal.handling.mode": "string",
                        "binary.handling.mode": "hex"}})

    def topic(name, table="thing"):
        found = f"{names[name]}.public.{table}"
        wait_for(lambda: worker.check() or topics.partitions(found), 60,
                 f"Debezium made {found}")
        return found

    common = {"group": "g", "start": "earliest", "format": "debezium",
              "mode": "upsert_delete"}
    daemons = [
        consumer({**common, "topic": topic("full"), "table": "thing",
                  "key": ["id"], "columns": "auto"}),
        consumer({**common, "topic": topic("full", "pair"), "table": "pair",
                  "key": ["a", "b"], "columns": {
                      "a": {"key": "/a"}, "b": {"key": "/b"},
                      "note": "/note"}}),
        consumer({**common, "topic": topic("bare"), "table": "bare",
                  "key": ["id"], "columns": columns(STATED)}),
        consumer({**common, "topic": topic("flat"), "table": "flat",
                  "key": ["id"], "delete_when": {
                      "path": "/__deleted", "equals": "true"},
                  "columns": {
                      **columns({**STATED, **HEX, "m": {}, "w": {},
                                 "na": {}}),
                      "lsn": "/__source_lsn", "op": "/__op"}})]
    changes.some(340)

    thing = table(origin, "thing", "thing")
    places = {"thing": "thing", "bare": "bare",
              "flat": "(SELECT " + ", ".join(["id", *VALUES]) + " FROM flat)"}
    try:
        wait_for(lambda: worker.check() or all(
            table(database, "thing", place) == thing
            for place in places.values()) and table(database, "pair", "pair")
            == table(origin, "pair", "pair"), 60, "the tables are equal")
    except AssertionError:
        print(database.query('SELECT topic, sqlstate, reason, count(*) FROM'
                             ' sluice.dead_letters GROUP BY 1, 2, 3'))
        for name, place in places.items():
            mine = table(database, "thing", place)
            for ours, theirs in zip(mine, thing):
                if ours != theirs:
                    print(name, len(mine), len(thing))
                    for a, b in zip(ours[0].split(","), theirs[0].split(",")):
                        if a != b:
                            print("   ", a[:70], "|", b[:70])
                    break
        raise
    assert len(thing) > 20
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0
    assert database.value("SELECT count(*) FROM flat WHERE lsn IS NULL") == 0
    for daemon in daemons:
        daemon.verify()
    origin.close()


def envelope(op, before=None, after=None, **more):
    return json.dumps({"before": before, "after": after,
                       "source": {"lsn": 7, "table": "t"}, "op": op,
                       "ts_ms": 8, **more})


def key(value):
    return json.dumps({"schema": {}, "payload": {"id": value}})


def offsets(database):
    return database.query(
        "SELECT sum(records), sum(dead_letters), sum(filtered) FROM sluice.batches")


def stored(database, count):
    wait_for(lambda: database.try_count("sluice.offsets") and database.value(
        "SELECT sum(next_offset) FROM sluice.offsets") == count, 30,
        f"{count} records are stored")


CHANGES = [
    (key(1), envelope("r", None, {"id": 1, "a": "one", "b": "big"})),
    (key(2), envelope("c", None, {"id": 2, "a": "two", "b": None})),
    (key(1), envelope("u", None, {
        "id": 1, "a": "uno", "b": "__debezium_unavailable_value"})),
    (key(3), envelope("c", None, {
        "id": 3, "a": "x", "b": "__debezium_unavailable_value"})),
    (key(2), envelope("d", {"id": 2, "a": "", "b": None})),
    (key(2), None),
    (None, envelope("m", message={"prefix": "p", "content": "eA=="})),
    (None, envelope("t")),
    (key(4), envelope("x", None, {"id": 4})),
    ("5", envelope("d", {"id": 5, "a": "", "b": None})),
]


@pytest.mark.parametrize("mode, rows, dead, filtered", [
    ("upsert_delete", [(1, "uno", "big", "u")], [3, 7, 8], 1),
    ("upsert", [(1, "uno", "big", "u"), (2, "two", None, "c")], [3, 7, 8],
     4),
    ("append", [(1, "one", "big", "r"), (1, "uno", None, "u"),
                (2, "", None, "d"), (2, "two", None, "c"),
                (3, "x", None, "c"), (5, "", None, "d")], [7, 8], 2)])
def test_what_becomes_of_each_change(consumer, topic, topics, database, mode,
                                     rows, dead, filtered):
    unique = "" if mode == "append" else "PRIMARY KEY"
    database.query(f"CREATE TABLE t (id bigint {unique}, a text NOT NULL,"
                   " b text, op text)")
    topics.produce(topic, CHANGES)
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "format": "debezium", "mode": mode,
        **({} if mode == "append" else {"key": ["id"]}),
        "columns": {"id": "/id", "a": "/a", "b": "/b", "op": "/__op"}})
    stored(database, len(CHANGES))
    assert database.query("SELECT id, a, b, op FROM t ORDER BY 1, 2") == rows
    assert [row[0] for row in database.query(
        'SELECT "offset" FROM sluice.dead_letters ORDER BY 1')] == dead
    assert offsets(database) == [(len(CHANGES), len(dead), filtered)]
    daemon.verify()


def test_a_condition_deletes(consumer, topic, topics, database):
    """In any format; a key's field is a column."""
    database.query("CREATE TABLE t (id bigint, region text, a text,"
                   " PRIMARY KEY (region, id))")
    records = [
        ('{"id":1}', '{"region":"eu","a":"x"}'),
        ('{"id":2}', '{"region":"eu","a":"y"}'),
        ('{"id":1}', '{"region":"us","a":"z"}'),
        ('{"id":1}', '{"region":"eu","gone":true}'),
        ('{"id":2}', '{"region":"eu","gone":false,"a":"yy"}'),
        ('{"id":2}', '{"gone":true}'),
        ("no json", '{"region":"eu","a":"x"}'),
        ('{"id":1,"region":"us"}', None),
    ]
    topics.produce(topic, records)
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "mode": "upsert_delete", "key": ["region", "id"],
        "delete_when": {"path": "/gone", "equals": True}, "columns": {
            "id": {"key": "/id"}, "region": "/region", "a": "/a"}})
    stored(database, len(records))
    assert database.query("SELECT id, region, a FROM t ORDER BY 1, 2") \
        == [(2, "eu", "yy")]
    assert database.query('SELECT "offset", sqlstate FROM sluice.dead_letters'
                          ' ORDER BY 1') == [(5, "23502"), (6, "22032")]
    daemon.verify()


def test_a_route_by_the_source(consumer, topic, topics, database):
    """The envelope's fields choose the table; what has none is left out."""
    database.query("CREATE TABLE one (id bigint PRIMARY KEY);"
                   "CREATE TABLE two (id bigint PRIMARY KEY)")
    topics.produce(topic, [
        (key(n), envelope("c", None, {"id": n}, source={"table": name}))
        for n, name in enumerate(("one", "two", "one", "two"))] + [
        (key(0), envelope("d", {"id": 0}, source={"table": "one"})),
        (key(0), None)])
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest",
        "format": "debezium", "route": {"path": "/__table", "tables": {
            name: {"table": name, "mode": "upsert_delete", "key": ["id"],
                   "columns": "auto"} for name in ("one", "two")}}})
    stored(database, 6)
    assert database.query("SELECT id FROM one ORDER BY 1") == [(2,)]
    assert database.query("SELECT id FROM two ORDER BY 1") == [(1,), (3,)]
    assert offsets(database) == [(6, 0, 1)]
    daemon.verify()
