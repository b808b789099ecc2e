"""Records in the frames of a schema registry: JSON, and Avro as a public
serializer writes it; a registry that is away, wrong or guarded."""

import datetime
import decimal
import json
import socket
import struct
import time
import uuid

import pytest

from tests.lib import avro, tls
from tests.lib.env import free_port, wait_for
from tests.lib.registry import Registry

KEEP = {"dead_letters": {"hold_above": 1}}
USER = json.dumps({"type": "record", "name": "user", "fields": [
    {"name": "id", "type": "int"}, {"name": "name", "type": "string"}]})
USER_2 = json.dumps({"type": "record", "name": "user", "fields": [
    {"name": "id", "type": "long"},
    {"name": "email", "type": ["null", "string"], "default": None}]})
TABLE = {"id": {"path": "/id", "type": "integer"}, "name": "/name"}


@pytest.fixture
def registry():
    made = Registry().start()
    yield made
    made.stop()


@pytest.fixture
def daemon(consumer, topics, registry):
    """A daemon of a new topic, for Avro unless told."""
    def make(columns=None, table="t", value="avro", start=True, **more):
        section = {"value": value, **more.pop("registry", {})}
        if "avro" in (value, section.get("key")):
            section.setdefault("url", [registry.url])
        made = consumer({
            "topic": more.pop("topic", None) or topics.create(), "group": "g",
            "start": "earliest", "table": table, "registry": section,
            "batch": {"linger": "5ms"}, **KEEP,
            "columns": columns or TABLE, **more}, start=start)
        made.topic = json.loads(made.file.read_text())["topic"]
        return made
    return make


def framed(number, body):
    return b"\0" + struct.pack(">I", number) + body


def rows(database, count, what="*", table="t"):
    wait_for(lambda: database.try_count(table) >= count, 30,
             f"{count} rows are there")
    return database.query(f"SELECT {what} FROM {table} ORDER BY 1")


def dead(database, count=1):
    wait_for(lambda: database.try_count("sluice.dead_letters") >= count, 30,
             f"{count} dead letters are there")
    return database.query('SELECT "offset", sqlstate, reason, value FROM'
                          ' sluice.dead_letters ORDER BY 1')


def wait_reason(made, words):
    """Until health has these words; its body."""
    wait_for(lambda: words in (made.health()[1] or {}).get("reason", ""), 30,
             f"health says {words}")
    return made.health()[1]


def test_the_frame_of_json_is_left_out(daemon, topics, database):
    database.query("CREATE TABLE t (id int, name text, k text, whole jsonb)")
    made = daemon({**TABLE, "k": {"meta": "key"}, "whole": {"meta": "value"}},
                  value="json", registry={"key": "json"})
    good = b'{"id":1,"name":"ann"}'
    topics.produce(made.topic, [
        (framed(7, b'"k\\u00e9"'), framed(2 ** 32 - 1, good), 0, []),
        (framed(7, b'"k"'), good, 0, []), (b"k", framed(1, good), 0, []),
        (framed(7, b"1"), b"\0\0\0\0", 0, []),
        (None, framed(1, b'{"id":2,"name":"bob"}'), 0, [])])
    assert rows(database, 2) == [
        (1, "ann", "k\u00e9", {"id": 1, "name": "ann"}),
        (2, "bob", None, {"id": 2, "name": "bob"})]
    letters = dead(database, 3)
    assert [row[:2] for row in letters] \
        == [(1, "22P03"), (2, "22P03"), (3, "22P03")]
    assert "the value does not begin with the frame" in letters[0][2]
    assert "the key does not begin with the frame" in letters[1][2]
    assert bytes(letters[0][3]) == good
    made.verify()


def test_older_records_may_have_no_frame(daemon, topics, database):
    database.query("CREATE TABLE t (id int, name text)")
    made = daemon(value="json", registry={"frame": "optional"})
    topics.produce(made.topic, [b'{"id":1,"name":"plain"}',
                                framed(3, b'{"id":2,"name":"framed"}')])
    assert rows(database, 2) == [(1, "plain"), (2, "framed")]


ALL = {"type": "record", "name": "all", "namespace": "of.types", "fields": [
    {"name": "id", "type": "long"},
    {"name": "flag", "type": "boolean"},
    {"name": "single", "type": "float"},
    {"name": "double", "type": "double"},
    {"name": "text", "type": ["null", "string"]},
    {"name": "raw", "type": "bytes"},
    {"name": "total", "type": {"type": "bytes", "logicalType": "decimal",
                               "precision": 20, "scale": 4}},
    {"name": "fixed_total", "type": {
        "type": "fixed", "name": "money", "size": 8,
        "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "uid", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "clock_ms", "type": {"type": "int",
                                  "logicalType": "time-millis"}},
    {"name": "clock_us", "type": {"type": "long",
                                  "logicalType": "time-micros"}},
    {"name": "at_ms", "type": {"type": "long",
                               "logicalType": "timestamp-millis"}},
    {"name": "at_us", "type": ["null", {"type": "long",
                                        "logicalType": "timestamp-micros"}]},
    {"name": "local_us", "type": {"type": "long", "logicalType":
                                  "local-timestamp-micros"}},
    {"name": "kind", "type": {"type": "enum", "name": "kind",
                              "symbols": ["SMALL", "LARGE"]}},
    {"name": "two", "type": {"type": "fixed", "name": "two", "size": 2}},
    {"name": "numbers", "type": {"type": "array", "items": "int"}},
    {"name": "named", "type": {"type": "map", "values": "double"}},
    {"name": "inner", "type": {"type": "record", "name": "inner", "fields": [
        {"name": "deep", "type": ["null", "all"]},
        {"name": "kind", "type": "kind"}]}},
    {"name": "any", "type": ["null", "boolean", "string", "inner"]},
]}
TYPES = {
    "id": "bigint", "flag": "boolean", "single": "real",
    "double": "double precision", "text": "text", "raw": "bytea",
    "total": "numeric(20,4)", "fixed_total": "numeric", "uid": "uuid",
    "day": "date", "clock_ms": "time", "clock_us": "time",
    "at_ms": "timestamptz", "at_us": "timestamptz", "local_us": "timestamp",
    "kind": "text", "two": "bytea", "numbers": "integer[]", "named": "jsonb",
    "inner": "jsonb", "any": "jsonb"}
UTC = datetime.timezone.utc


def value_of_all_types(number, **more):
    return {
        "id": number, "flag": True, "single": 0.25, "double": 0.1,
        "text": "é\n\\N", "raw": b"\0\xff", "total": decimal.Decimal("-1.5"),
        "fixed_total": decimal.Decimal("9999999999.99"),
        "uid": uuid.UUID(int=5), "day": datetime.date(1969, 12, 31),
        "clock_ms": datetime.time(23, 59, 59, 999000),
        "clock_us": datetime.time(0, 0, 0, 1),
        "at_ms": datetime.datetime(1950, 2, 3, 4, 5, 6, 7000, UTC),
        "at_us": datetime.datetime(2026, 11, 30, 1, 2, 3, 4, UTC),
        "local_us": datetime.datetime(2026, 7, 1, 12, 0, 0, 5),
        "kind": "LARGE", "two": b"ab", "numbers": [1, -2, 2 ** 31 - 1],
        "named": {"x": 1.5}, "inner": {"deep": None, "kind": "SMALL"},
        "any": None, **more}


def test_all_types_of_avro_become_columns(daemon, topics, database, registry):
    database.query("CREATE TABLE t (%s)" % ", ".join(
        f'"{name}" {kind}' for name, kind in TYPES.items()))
    made = daemon({name: f"/{name}" for name in TYPES})
    first = value_of_all_types(2 ** 63 - 1)
    other = value_of_all_types(
        -2 ** 63, text=None, at_us=None, numbers=[], named={}, raw=b"",
        total=decimal.Decimal("12345678901234.5678"), any="s",
        double=float("inf"), inner={"deep": first, "kind": "LARGE"})
    topics.produce(made.topic, avro.serialize(
        registry, made.topic, json.dumps(ALL), [first, other]))
    low, high = rows(database, 2)
    found = dict(zip(TYPES, high))
    found["raw"], found["two"] = bytes(found["raw"]), bytes(found["two"])
    assert found == {**first, "uid": str(first["uid"]),
                     "total": decimal.Decimal("-1.5000")}
    found = dict(zip(TYPES, low))
    assert found["inner"]["deep"]["total"] == -1.5
    assert found["inner"]["deep"]["at_ms"] == "1950-02-03T04:05:06.007Z"
    assert found["inner"]["deep"]["two"] == "YWI="
    assert found["double"] == float("inf") and found["text"] is None
    assert (found["numbers"], found["named"], found["any"]) == ([], {}, "s")
    assert str(found["total"]) == "12345678901234.5678"
    made.verify()
    assert made.metric("sluice_consumer_registry_schemas") == 1
    assert made.metric("sluice_consumer_registry_requests_total") == 1
    assert made.metric("sluice_consumer_registry_failures_total") == 0


def test_a_schema_changes_amid_the_topic(daemon, topics, database, registry):
    database.query("CREATE TABLE t (id bigint, name text, email text)")
    made = daemon({"id": "/id", "email": "/email",
                   "name": {"path": "/name", "default": "nobody"}})
    old = avro.serialize(registry, made.topic, USER, [
        {"id": n, "name": f"n{n}"} for n in range(50)])
    new = avro.serialize(registry, made.topic, USER_2, [
        {"id": n, "email": f"e{n}"} for n in range(50, 100)])
    mixed = [one for pair in zip(old, new) for one in pair]
    topics.produce(made.topic, mixed)
    assert rows(database, 100) == [
        (n, f"n{n}" if n < 50 else "nobody", None if n < 50 else f"e{n}")
        for n in range(100)]
    assert [path for path in registry.paths() if "ids" in path] \
        == ["/schemas/ids/1", "/schemas/ids/2"]
    made.verify()


def test_types_of_other_subjects(daemon, topics, database, registry):
    database.query("CREATE TABLE t (id int, city text, back text)")
    registry.add("city/x", {"type": "record", "name": "city", "namespace":
                            "geo", "fields": [
                                {"name": "name", "type": "string"}]})
    registry.add("address", {"type": "record", "name": "geo.address",
                             "fields": [{"name": "city", "type": "city"}]},
                 references=[{"name": "geo.city", "subject": "city/x",
                              "version": 1}])
    made = daemon({"id": "/id", "city": "/to/city/name",
                   "back": "/back/name"})
    schema = json.dumps({"type": "record", "name": "order", "fields": [
        {"name": "id", "type": "int"}, {"name": "to", "type": "geo.address"},
        {"name": "back", "type": "geo.city"}]})
    topics.produce(made.topic, avro.serialize(
        registry, made.topic, schema,
        [{"id": 1, "to": {"city": {"name": "Ulm"}}, "back": {"name": "Bonn"}}],
        references=[("geo.city", "city/x", 1),
                    ("geo.address", "address", 1)]))
    assert rows(database, 1) == [(1, "Ulm", "Bonn")]
    assert "/subjects/city%2Fx/versions/1" in registry.paths()


def test_a_registry_that_is_away_is_waited_for(daemon, topics, database,
                                               registry):
    database.query("CREATE TABLE t (id bigint, name text)")
    made = daemon()
    first = avro.serialize(registry, made.topic, USER, [
        {"id": n, "name": "a"} for n in range(10)])
    second = avro.serialize(registry, made.topic, USER_2, [
        {"id": n, "email": None} for n in range(10, 20)])
    registry.stop()
    topics.produce(made.topic, first)
    body = wait_reason(made, "could not get schema 1 from the schema registry")
    assert body["state"] == "waiting for the schema registry"
    assert body["kafka"] and body["postgres"] and body["lag"] == 10
    assert database.try_count("t") == 0
    registry.start()
    rows(database, 10)
    made.wait_healthy()
    # what is in memory needs no registry, and is stored
    registry.stop()
    topics.produce(made.topic, first + second + first)
    rows(database, 20)
    assert made.health()[1]["lag"] == 20
    registry.start()
    assert len(rows(database, 40)) == 40
    wait_for(lambda: made.health()[1]["reason"] == "", 10, "all is well")
    assert "going on: the schema registry gave what was" in made.log()
    assert made.metric("sluice_consumer_registry_failures_total") > 1
    assert database.try_count("sluice.dead_letters") == 0
    made.verify()


def test_an_unknown_schema_holds_and_stops_nobody_else(
        daemon, topics, database, registry):
    database.query("CREATE TABLE t (id bigint, name text);"
                   "CREATE TABLE u (id bigint, name text)")
    made, other = daemon(), daemon(table="u")
    good = avro.serialize(registry, made.topic, USER,
                          [{"id": 1, "name": "a"}])[0]
    topics.produce(made.topic, [good, b"\0\0\0\0\7" + good[5:], good])
    body = made.wait_held(reason="schema 7 is unknown")
    assert "answers HTTP 404, error 40403 to /schemas/ids/7: Schema 7 not " \
        "found" in body["reason"]
    # the record before it is stored, and no later one
    assert len(rows(database, 1)) == 1
    topics.produce(other.topic, [good])
    rows(database, 1, table="u")
    other.wait_healthy()
    assert len(rows(database, 1)) == 1
    registry.add("late", USER, 7)
    assert len(rows(database, 3)) == 3
    made.wait_healthy()
    made.verify()


def test_a_stop_and_a_restart_while_a_schema_is_unknown(
        daemon, topics, database, registry):
    database.query("CREATE TABLE t (id bigint, name text)")
    made = daemon()
    good = avro.serialize(registry, made.topic, USER,
                          [{"id": 1, "name": "a"}])[0]
    topics.produce(made.topic, [good, b"\0\0\0\0\7" + good[5:], good])
    made.wait_held(reason="schema 7 is unknown")
    made.stop()
    made.start()
    made.wait_held(reason="schema 7 is unknown")
    registry.add("late", USER, 7)
    assert len(rows(database, 3)) == 3
    made.verify()


def test_wrong_bodies_are_dead_letters_and_can_be_replayed(
        daemon, topics, database, registry):
    database.query("CREATE TABLE t (id bigint CHECK (id < 5), name text)")
    made = daemon()
    good, large = avro.serialize(registry, made.topic, USER, [
        {"id": 1, "name": "a"}, {"id": 9, "name": "later"}])
    proto = registry.add("proto", 'syntax = "proto3";', kind="PROTOBUF")
    wrong = [good[:-1], good + b"x", good[:5], framed(1, b"\xff" * 30), b"",
             b'{"id":1,"name":"plain"}', framed(proto, b"\0"),
             framed(1, b"\2\2\xff")]
    topics.produce(made.topic, [good, large, *wrong, good])
    assert len(rows(database, 2)) == 2
    letters = dead(database, 9)
    assert [bytes(row[3]) for row in letters] == [large, *wrong]
    assert [row[1] for row in letters] == ["23514"] + ["22P03"] * 8
    assert "the value is no Avro of schema 1: a string or bytes are longer " \
        "than the value at byte 2" in letters[1][2]
    assert "bytes behind the value" in letters[2][2]
    assert "of schema 2, which is PROTOBUF and not Avro" in letters[7][2]
    assert "not UTF-8" in letters[8][2]
    database.query("ALTER TABLE t DROP CONSTRAINT t_id_check")
    code, said = made.run("dead-letters", "replay", "--all")
    assert "1 dead letters replayed" in said, said
    assert rows(database, 3)[2] == (9, "later")
    assert made.run("verify")[0] == 0


def test_keys_in_avro_and_tombstones(daemon, topics, database, registry):
    database.query("CREATE TABLE t (id bigint PRIMARY KEY, name text)")
    topic = topics.create()
    keys = avro.serialize(registry, topic, json.dumps(
        {"type": "record", "name": "k", "fields": [
            {"name": "id", "type": "long"}]}), [{"id": 1}, {"id": 2}], "key")
    values = avro.serialize(registry, topic, USER, [
        {"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    plain = avro.serialize(registry, topic, '{"type": "string"}', ["2"],
                           "key")
    made = daemon(topic=topic, mode="upsert_delete", key=["id"],
                  registry={"key": "avro"})
    topics.produce(topic, [(keys[0], values[0], 0, []),
                           (keys[1], values[1], 0, []),
                           (keys[0], None, 0, [])])
    wait_for(lambda: database.query("SELECT id FROM t") == [(2,)], 30,
             "the row is deleted")
    topics.produce(topic, [(plain[0], None, 0, [])])
    wait_for(lambda: database.try_count("t") == 0, 30, "by a plain key")
    made.verify()


def test_a_route_by_a_field_of_avro(daemon, topics, database, registry):
    database.query("CREATE TABLE a (id bigint); CREATE TABLE b (id bigint)")
    made = daemon(start=False)
    config = json.loads(made.file.read_text())
    del config["table"], config["columns"]
    config["route"] = {"path": "/name", "tables": {
        name: {"table": name, "columns": {"id": "/id"}} for name in "ab"}}
    made.file.write_text(json.dumps(config))
    made.start()
    values = avro.serialize(registry, made.topic, USER, [
        {"id": n, "name": "ab"[n % 2]} for n in range(10)])
    topics.produce(made.topic, values + [values[0][:-1]])
    assert rows(database, 5, table="b") == [(1,), (3,), (5,), (7,), (9,)]
    rows(database, 5, table="a")
    dead(database)


def test_the_next_server_is_asked(daemon, topics, database, registry):
    database.query("CREATE TABLE t (id bigint, name text)")
    made = daemon(registry={"url": [f"http://127.0.0.1:{free_port()}",
                                    registry.url + "/"]})
    topics.produce(made.topic, avro.serialize(
        registry, made.topic, USER, [{"id": 1, "name": "a"}]))
    rows(database, 1)
    assert "registry is away" not in made.log()


def test_a_registry_with_tls_and_a_password(daemon, topics, database,
                                            registry, directory):
    database.query("CREATE TABLE t (id bigint, name text)")
    topic = topics.create()
    values = avro.serialize(registry, topic, USER, [{"id": 1, "name": "a"}])
    registry.stop()
    tls.certificate(directory, "ca", "/CN=ca")
    (directory / "names").write_text("subjectAltName=DNS:localhost\n")
    tls.openssl(directory, "req", "-newkey", "rsa:2048", "-nodes", "-subj",
                "/CN=localhost", "-keyout", "r.key", "-out", "r.csr")
    tls.openssl(directory, "x509", "-req", "-in", "r.csr", "-CA", "ca.pem",
                "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", "r.pem")
    registry.start((directory / "r.pem", directory / "r.key"))
    registry.authorization = "Basic c2x1aWNlOnNlY3JldC1jYW5hcnk="
    password = directory / "password"
    password.write_text("old\n")
    made = daemon(topic=topic, registry={
        "url": [f"https://localhost:{registry.port}"], "user": "sluice",
        "password": {"file": str(password)},
        "ca": str(directory / "ca.pem")})
    topics.produce(topic, values)
    made.wait_held(reason="answers HTTP 401")
    # a new secret needs no restart
    password.write_text("secret-canary\n")
    rows(database, 1)
    assert "secret-canary" not in made.log()
    made.stop()
    token = directory / "token"
    token.write_text("Bearer token-canary")
    registry.authorization = "Bearer token-canary"
    config = json.loads(made.file.read_text())
    config["registry"] = {
        "value": "avro", "url": [f"https://localhost:{registry.port}"],
        "authorization": {"file": str(token)},
        "ca": str(directory / "ca.pem")}
    made.file.write_text(json.dumps(config))
    made.start()
    topics.produce(topic, values)
    rows(database, 2)
    assert "token-canary" not in made.log()


def test_a_certificate_that_nobody_signed(daemon, topics, registry,
                                          directory):
    registry.stop()
    tls.certificate(directory, "own", "/CN=localhost")
    registry.start((directory / "own.pem", directory / "own.key"))
    made = daemon(create_table=True, registry={
        "url": [f"https://localhost:{registry.port}"]})
    topics.produce(made.topic, [framed(1, b"\2")])
    wait_reason(made, "certificate")


def test_check_asks_the_registry(daemon, database, registry):
    database.query("CREATE TABLE t (id bigint, name text)")
    made = daemon(start=False)
    code, said = made.run("--check")
    assert code == 0 and f"registry       {registry.url}\n" in said, said
    assert "holding" not in said
    registry.authorization = "Bearer token"
    code, said = made.run("--check")
    assert code == 1 and "registry       would wait: " in said, said
    assert "HTTP 401" in said
    registry.stop()
    code, said = made.run("--check")
    assert code == 1 and "could not get schema 0 from" in said, said


def test_a_registry_that_is_silent_stops_nothing(daemon, topics, database,
                                                 registry):
    """It takes connections and never answers: the loop goes on."""
    database.query("CREATE TABLE t (id bigint, name text)")
    topic = topics.create(partitions=2)
    values = avro.serialize(registry, topic, USER,
                            [{"id": 1, "name": "a"}])
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        made = daemon(topic=topic, registry={
            "url": [f"http://127.0.0.1:{silent.getsockname()[1]}"],
            "timeout": "500ms"})
        topics.produce(topic, values)
        wait_reason(made, "timed out")
        longest = 0
        for _ in range(50):
            begin = time.monotonic()
            assert made.health()[0] == 200
            longest = max(longest, time.monotonic() - begin)
        assert longest < 2, f"{longest} s for an answer"
        # a stop does not wait for the registry
        assert made.stop() < 5
    config = json.loads(made.file.read_text())
    config["registry"]["url"] = [registry.url]
    made.file.write_text(json.dumps(config))
    made.start()
    rows(database, 1)


def test_more_schemas_than_memory_has_room_for(daemon, topics, database,
                                               registry):
    database.query("CREATE TABLE t (id bigint, name text)")
    made = daemon()
    body = avro.serialize(registry, made.topic, USER,
                          [{"id": 1, "name": "a"}])[0][5:]
    for number in range(2, 1102):
        registry.add("many", USER, number)
    topics.produce(made.topic, [framed(n, body) for n in range(1, 1102)]
                   + [framed(1, body), framed(1101, body)])
    rows(database, 1103)
    wait_for(lambda: made.metric(
        "sluice_consumer_registry_requests_total") == 1102, 10,
        "the first one is asked for again")
    assert made.metric("sluice_consumer_registry_schemas") == 1000
    made.verify()


@pytest.mark.parametrize("answer", [503, 429, 500])
def test_a_registry_that_fails_is_waited_for(daemon, topics, database,
                                             registry, answer):
    database.query("CREATE TABLE t (id bigint, name text)")
    made = daemon()
    values = avro.serialize(registry, made.topic, USER,
                            [{"id": 1, "name": "a"}])
    registry.status = answer
    topics.produce(made.topic, values)
    wait_reason(made, f"HTTP {answer}")
    assert made.health()[0] == 200
    registry.status = None
    rows(database, 1)


@pytest.mark.parametrize("schema, reason", [
    ('{"type":"record"}', 'a record, enum or fixed has no "name"'),
    ('"nowhere"', 'type "nowhere" is not defined'), ("{", "at byte")])
def test_a_schema_that_cannot_be_read_holds(daemon, topics, registry, schema,
                                            reason):
    made = daemon(create_table=True)
    number = registry.add("s", schema)
    topics.produce(made.topic, [framed(number, b"\2")])
    body = made.wait_held(reason=f"schema {number} cannot be read")
    assert reason in body["reason"]


def test_partitions_move_while_a_schema_is_unknown(
        consumer, topics, database, registry):
    """Two daemons; each partition's records are stored once, in order."""
    database.query("CREATE TABLE t (id bigint, name text)")
    topic = topics.create(partitions=4)
    values = avro.serialize(registry, topic, USER, [
        {"id": n, "name": "a"} for n in range(80)])
    records = [(b"k", b"\0\0\0\0\7" + value[5:] if n == 1 else value, n % 4,
                []) for n, value in enumerate(values)]
    topics.produce(topic, records)
    config = {"topic": topic, "group": "g", "start": "earliest", "table": "t",
              "registry": {"value": "avro", "url": [registry.url]}, **KEEP,
              "batch": {"linger": "5ms", "rows": 5}, "columns": TABLE}
    first = consumer(config)
    first.wait_held(reason="schema 7 is unknown")
    second = consumer(config)
    wait_for(lambda: any(
        daemon.health()[1] and daemon.health()[1]["partitions"] == 2
        for daemon in (first, second)), 40, "each has two")
    registry.add("late", USER, 7)
    assert [row[0] for row in rows(database, 80)] == list(range(80))
    first.verify()
