"""init --from-connector: a JDBC sink connector becomes a configuration."""

import json
import subprocess

import pytest

from tests.lib.env import CONSUMER, wait_for

CONFLUENT = "io.confluent.connect.jdbc.JdbcSinkConnector"
AIVEN = "io.aiven.connect.jdbc.JdbcSinkConnector"
DEBEZIUM = "io.debezium.connector.jdbc.JdbcSinkConnector"
UNWRAP = {"transforms": "unwrap", "transforms.unwrap.type":
          "io.debezium.transforms.ExtractNewRecordState"}
URL = {"connection.url": "jdbc:postgresql://db/shop"}
CONFLUENT_UPSERT = {
    "connector.class": CONFLUENT, "tasks.max": "3",
    "topics": "orders, shop.visits", "connection.url":
    "jdbc:postgresql://db1:6432,[::1]/my%20shop?sslmode=require&x=1",
    "connection.user": "o'sink", "connection.password": "topsecret",
    "insert.mode": "UPSERT", "pk.mode": "record_key", "pk.fields": "id",
    "delete.enabled": True, "auto.create": "true", "auto.evolve": False,
    "quote.sql.identifiers": "ALWAYS", "mssql.use.merge.holdlock": "false",
    "date.calendar.system": "proleptic_gregorian",
    "batch.size": 3000, "max.retries": 10, "errors.tolerance": "all",
    "errors.deadletterqueue.topic.name": "dlq",
    "value.converter": "io.confluent.connect.avro.AvroConverter",
    "value.converter.schema.registry.url": "http://r1:8081,http://r2:8081",
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    **UNWRAP, "transforms": "unwrap,mask",
    "transforms.unwrap.delete.handling.mode": "rewrite",
    "transforms.mask.type": "org.apache.kafka.connect.transforms"
                            ".MaskField$Value",
    "transforms.mask.fields": "mail", "nonsense": "x"}


def init(folder, config, name="made"):
    path = folder / "sink.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    done = subprocess.run(
        [CONSUMER, "init", "--from-connector", path, "--name", name,
         "--directory", folder], text=True, capture_output=True, check=False)
    made = folder / f"{name}.json"
    return done, json.loads(made.read_text()) if made.exists() else None


def left(done):
    return {line.split(": ")[2] for line in done.stderr.splitlines()
            if ": not converted: " in line}


def test_a_connector_with_most_keys(directory):
    done, made = init(directory, {"name": "sink", "config": CONFLUENT_UPSERT})
    assert done.returncode == 0, done.stderr
    assert made == {
        "topics": {"orders": "orders", "shop.visits": "shop.visits"},
        "group": "made", "start": "earliest",
        "kafka": {"bootstrap.servers": "127.0.0.1:9092"},
        "postgres": "host=db1,::1 port=6432,5432 dbname='my shop'"
                    " user='o\\'sink' sslmode=require",
        "format": "debezium",
        "registry": {"value": "avro", "key": "plain",
                     "url": ["http://r1:8081", "http://r2:8081"]},
        "mode": "upsert_delete", "key": ["id"], "columns": "auto",
        "delete_when": {"path": "/__deleted", "equals": "true"},
        "batch": {"rows": 3000},
        "dead_letters": {"topic": "dlq", "hold_above": 1},
        "listen": "127.0.0.1:9465"}
    assert left(done) == {
        "tasks.max", "connection.password", "auto.create", "max.retries",
        "connection.url ?x", "pk.mode", "transforms.mask.type",
        "transforms.mask.fields", "nonsense", "mssql.use.merge.holdlock"}
    for text in (done.stdout, done.stderr, json.dumps(made)):
        assert "topsecret" not in text


@pytest.mark.parametrize("config, expected, notes", [
    # a bare configuration; Debezium's sink writes dots as underscores
    ({"connector.class": DEBEZIUM, **URL, "topics": "s.public.orders",
      "connection.username": "u", "collection.name.format": "in.${topic}",
      "insert.mode": "upsert", "primary.key.mode": "record_value",
      "primary.key.fields": "id,n", "schema.evolution": "basic"},
     {"topic": "s.public.orders", "table": "in.s_public_orders",
      "format": "debezium", "mode": "upsert", "key": ["id", "n"],
      "columns": "auto", "postgres": "host=db port=5432 dbname=shop user=u"},
     {"schema.evolution", "quote.identifiers"}),
    # names that are not quoted are lower case in PostgreSQL; fields are not
    ({"connector.class": DEBEZIUM, **URL, "topics": "Shop.Orders",
      "insert.mode": "update", "primary.key.mode": "record_value",
      "primary.key.fields": "orderId", "field.include.list": "orderId,Sum"},
     {"table": "shop_orders", "key": ["orderid"],
      "columns": {"orderid": {"path": "/orderId"}, "sum": {"path": "/Sum"}}},
     set()),
    ({"connector.class": DEBEZIUM, **URL, "topics": "Orders",
      "quote.identifiers": "TRUE", "use.reduction.buffer": "true",
      "keyed.message.batch.mode": "passthrough"},
     {"table": "Orders", "columns": "auto"},
     {"use.reduction.buffer", "keyed.message.batch.mode"}),
    ({"connector.class": AIVEN, **URL, "topics": "Orders",
      "sql.quote.identifiers": "false", "connection.attempts": "3"},
     {"table": "orders"}, {"sql.quote.identifiers", "connection.attempts"}),
    ({"connector.class": DEBEZIUM, **URL, "topics.regex": r"s\.(a|b)",
      "field.include.list": "a,b/c",
      "consumer.override.auto.offset.reset": "latest"},
     {"topics": r"^(s\.(a|b))$", "table": "public.{topic}",
      "tables": ["public.*"], "start": "earliest",
      "columns": {"a": {"path": "/a"}, "b/c": {"path": "/b~1c"}}},
     {"topics.regex with ${topic}", "consumer.override.auto.offset.reset"}),
    ({"connector.class": CONFLUENT, **URL, "topics": "a", **UNWRAP,
      "transforms.unwrap.predicate": "p",
      "key.converter": "org.apache.kafka.connect.converters.LongConverter"},
     {"format": "debezium", "columns": "auto"},
     {"key.converter", "transforms.unwrap.predicate"}),
    ({"connector.class": DEBEZIUM, **URL, "topics": "a",
      "primary.key.mode": "record_header", "primary.key.fields": "h",
      "field.include.list": "v"},
     {"columns": {"h": {"header": "h"}, "v": {"path": "/v"}}}, set()),
    ({"connector.class": AIVEN, "connection.url": "jdbc:postgresql:db",
      "topics": "a,b", "topics.to.tables.mapping": "a:x.y,b:z",
      "insert.mode": "multi", "pk.mode": "kafka", "fields.whitelist": "v",
      "connection.user": "${file:/etc/sink:user}"},
     {"topics": {"a": "x.y", "b": "z"}, "postgres": "host=localhost dbname=db",
      "columns": {"__connect_topic": {"meta": "topic"},
                  "__connect_partition": {"meta": "partition"},
                  "__connect_offset": {"meta": "offset"},
                  "v": {"path": "/v"}}}, {"connection.user"}),
    ({"connector.class": CONFLUENT, **URL, "topics": "a",
      "insert.mode": "update", "pk.mode": "record_key", "pk.fields": "id",
      "fields.whitelist": "id,v", "delete.enabled": "true",
      "errors.tolerance": "none",
      "value.converter": "org.apache.kafka.connect.json.JsonConverter",
      "value.converter.schemas.enable": "false"},
     {"mode": "update", "key": ["id"], "dead_letters": {"hold_above": 0},
      "columns": {"id": {"key": "/id"}, "v": {"path": "/v"}}},
     {"delete.enabled"}),
    # JsonConverter writes schemas unless it is told not to
    ({"connector.class": CONFLUENT, **URL, "topics": "a",
      "consumer.override.group.id": "g",
      "consumer.override.auto.offset.reset": "latest",
      "consumer.override.bootstrap.servers": "k:9092",
      "value.converter": "org.apache.kafka.connect.json.JsonConverter"},
     {"format": "debezium", "group": "g", "start": "latest",
      "kafka": {"bootstrap.servers": "k:9092"}}, set()),
])
def test_what_a_connector_becomes(directory, config, expected, notes):
    done, made = init(directory, config)
    assert done.returncode == 0, done.stderr
    assert {**made, **expected} == made
    assert left(done) == notes


@pytest.mark.parametrize("config, words", [
    ({"connector.class": "org.example.Sink"}, "cannot convert connector.class"),
    ({"connection.url": "jdbc:mysql://h/d"}, "cannot convert connection.url"),
    ({"connection.url": "jdbc:postgresql://h/%2"}, "hexadecimal"),
    ({"connection.url": "jdbc:postgresql://[::1:5432/d"}, 'and "]"'),
    ({"topics": ""}, "it names no topic"),
    ({"topics": None}, "neither it nor topics.regex"),
    ({"topics": None, "topics.regex": r"a\d"}, "cannot convert topics.regex"),
    ({"topics": "a", "table.name.format": "${source.table}"}, "table's name"),
    ({"topics": "a.b.c.d"}, "cannot convert the table's name"),
    ({"topics": "a", "insert.mode": "merge"}, "cannot convert insert.mode"),
    ({"topics": "a", "pk.mode": "header"}, 'pk.mode: "header" is no value'),
    ({"topics": "a", "insert.mode": "upsert"}, "cannot convert pk.fields"),
    ({"topics": "a", "pk.mode": "kafka"}, "name them in fields.whitelist"),
    ({"topics": "a", "value.converter": "x.ProtobufConverter"}, "Protobuf"),
    ({"topics": "a", "tasks.max": [1]}, ":1:"),
    ({"topics": "a b,c"}, "cannot be used: made:"),
    ('{"name": "a", "config": []}', '"config" must be an object'),
    ("[]", "a connector must be an object"),
    ("{", ":1:2: "),
])
def test_what_is_refused_writes_nothing(directory, config, words):
    if isinstance(config, dict):
        config = {"connector.class": CONFLUENT, "topics": "a", **URL, **config}
    done, made = init(directory, config)
    assert done.returncode == 1
    assert words in done.stderr
    assert made is None and "wrote" not in done.stdout


def test_files_that_exist_stay(directory):
    (directory / "made.json").write_text('"mine"')
    done, made = init(directory, CONFLUENT_UPSERT)
    assert done.returncode == 1 and "File exists" in done.stderr
    assert made == "mine"
    done, made = init(directory, CONFLUENT_UPSERT, name="sink")
    assert "is the connector itself: give --name" in done.stderr
    assert made == CONFLUENT_UPSERT
    both = subprocess.run([CONSUMER, "init", "--from-connector", "a",
                           "--sample", "b"], capture_output=True, check=False)
    assert both.returncode == 2


def test_a_daemon_goes_on_where_the_connector_was(consumer, topics, database,
                                                  directory, kafka):
    """From the connector's JSON to rows: an upsert, a deletion, and records
    that the connector had stored are not read again."""
    topic = topics.create()
    database.query(f'CREATE TABLE "{topic}" (id integer PRIMARY KEY, v text)')
    schema = {"type": "struct", "fields": [
        {"field": "id", "type": "int32"},
        {"field": "v", "type": "string", "optional": True}]}

    def record(ident, v):
        return json.dumps({"schema": schema, "payload": {"id": ident, "v": v}})

    topics.produce(topic, [record(1, "stored before")])
    done, made = init(directory, {
        "connector.class": DEBEZIUM, "topics": topic,
        "connection.url": "jdbc:postgresql://db/shop",
        "consumer.override.bootstrap.servers": kafka.bootstrap,
        "insert.mode": "upsert", "delete.enabled": "true",
        "primary.key.mode": "record_value", "primary.key.fields": "id",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "errors.tolerance": "none"})
    assert done.returncode == 0, done.stderr
    for key in ("postgres", "listen", "kafka"):
        del made[key]
    daemon = consumer(made, start=False)
    reset = ("offsets", "reset")
    for words in (["setup"], [*reset, "--to-earliest"],
                  [*reset, "--partition", "0", "--to-offset", "1"]):
        code, said = daemon.run(*words)
        assert code == 0, said
    daemon.start()
    topics.produce(topic, [record(2, "a"), record(3, "b"), record(2, "c")])
    topics.produce(topic, [(json.dumps({"id": 3}), None)])
    wait_for(lambda: database.query(f'SELECT id, v FROM "{topic}"')
             == [(2, "c")], 20, "the row")
    # the first bad record stops it, as it stopped the connector's task
    topics.produce(topic, ["no json"])
    wait_for(lambda: daemon.health()[0] == 503, 20, "a daemon that holds")
