"""The configuration: refused with line and nearest name, exit 78; --check."""

import json
import re

import jsonschema
import pytest

from tests.lib.env import ROOT, free_port

GOOD = {
    "topic": "t", "group": "g", "start": "earliest", "table": "t",
    "create_table": True,
    "columns": {"id": {"path": "/id", "type": "integer"}},
}


@pytest.mark.parametrize("change, words", [
    ({"tabel": "t"}, ["tabel", '"table"']),
    ({"colums": {}}, ["colums", '"columns"']),
    ({"batch": {"row": 5}}, ["row", '"rows"']),
    ({"batch": {"lingerr": "5ms"}}, ["lingerr", '"linger"']),
    ({"columns": {"id": {"pth": "/id"}}}, ["pth", '"path"']),
    ({"columns": {"id": {"path": "id"}}}, ["JSON Pointer"]),
    ({"columns": {"id": {"meta": "ofset"}}}, ["ofset", '"offset"']),
    # with "create_table" PostgreSQL is asked: test_types.py
    ({"create_table": False,
      "columns": {"id": {"path": "/id", "type": "intger"}}}, ["integer"]),
    ({"columns": {}}, ["columns"]),
    ({"columns": {"id": {"path": "/id", "meta": "offset"}}}, ["one of"]),
    ({"start": "now"}, ["start"]),
    ({"batch": {"rows": 0}}, ["rows"]),
    ({"batch": {"bytes": "many"}}, ["bytes"]),
    ({"batch": {"linger": "20"}}, ["linger"]),
    ({"listen": "here"}, ["listen"]),
    ({"create_table": "yes"}, ["create_table"]),
    ({"table": "sluice.audit"}, ['"table"', "Sluice's own"]),
    ({"topic": ""}, ["topic"]),
    ({"dead_letters": {"hold_above": 2}}, ["hold_above"]),
    ({"mode": "upsrt"}, ["upsrt", '"upsert"']),
    ({"mode": "upsert"}, ['"mode"', '"key"']),
    ({"key": ["id"]}, ['"key"', '"mode"']),
    ({"mode": "upsert", "key": ["no"]}, ['"key"', '"no"']),
    ({"mode": "upsert", "key": ["id"], "newer": "at"}, ['"newer"', '"at"']),
    ({"mode": "ignore", "newer": "id"}, ['"newer"', '"mode"']),
    ({"dedupe": {"header": ""}}, ["header"]),
    ({"dedupe": {"header": "k", "window": "0s"}}, ["window", "between"]),
    ({"dedupe": {"window": "1h"}}, ["dedupe"]),
    ({"dead_letters": {"keep": "30"}}, ["keep", "time"]),
    ({"dead_letters": {"store": "reson"}}, ["reson", '"reason"']),
    ({"kafka": {"enable.auto.commit": "true"}}, ["enable.auto.commit"]),
    ({"kafka": {"auto.offset.reset": "earliest"}}, ["auto.offset.reset"]),
    ({"kafka": {"group.id": "x"}}, ["group.id"]),
    ({"kafka": {"enable.auto.offset.store": "true"}},
     ["enable.auto.offset.store"]),
    ({"kafka": {"no.such.property": "x"}}, ["no.such.property"]),
    ({"kafka": {"session.timeout.ms": "soon"}}, ["session.timeout.ms"]),
    ({"kafka": {"security.protocol": "ssl",
                "ssl.ca.location": "/no/such/ca.pem"}}, ["ca"]),
])
def test_a_wrong_configuration_is_refused_with_its_line(consumer, change,
                                                        words):
    daemon = consumer({**GOOD, **change}, start=False)
    for more in ([], ["--check"]):
        code, said = daemon.run(*more)
        assert code == 78, said
        for word in words:
            assert word in said, said
        line = re.search(r"\.json:(\d+):\d+: ", said)
        assert line, f"no file and line: {said}"
        text = daemon.file.read_text().splitlines()
        if len(words) == 2:
            assert words[0] in text[int(line[1]) - 1], said


@pytest.mark.parametrize("change", [
    {"tabel": "t"}, {"batch": {"row": 5}}, {"batch": {"rows": 0}},
    {"batch": {"linger": "20"}}, {"create_table": "yes"}, {"topic": ""},
    {"columns": {}}, {"columns": {"id": {"pth": "/id"}}},
    {"columns": {"id": {"meta": "ofset"}}},
    {"dead_letters": {"hold_above": 2}}, {"topic": {"fil": "x"}},
])
def test_editors_refuse_by_the_schema_what_the_daemon_refuses(consumer,
                                                              change):
    schema = json.loads(
        (ROOT / "docs" / "sluice-consumer.schema.json").read_text())
    good = json.loads(consumer(GOOD, start=False).file.read_text())
    validator = jsonschema.Draft7Validator(schema)
    assert not list(validator.iter_errors(good))
    assert list(validator.iter_errors({**good, **change}))
    assert consumer({**GOOD, **change}, start=False).run()[0] == 78


@pytest.mark.parametrize("text, word", [
    ("", "1:"), ("{", ""), ('{"topic":"a","topic":"b"}', "duplicate"),
    ("[]", ""), ('{"topic":"t"} x', ""),
    ('{\n"topic": "t",\n"group": \n}', ":4:"),
])
def test_what_is_not_json_is_refused(consumer, text, word):
    daemon = consumer(text, start=False)
    code, said = daemon.run()
    assert code == 78
    assert ".json:" in said
    assert word in said


@pytest.mark.parametrize("key", ["topic", "group", "start", "table",
                                 "columns", "postgres", "kafka"])
def test_what_must_be_said_is_named(consumer, key):
    daemon = consumer(GOOD, start=False)
    config = json.loads(daemon.file.read_text())
    del config[key]
    daemon.file.write_text(json.dumps(config))
    code, said = daemon.run()
    assert code == 78
    assert f'"{key}' in said


def test_a_file_that_is_not_there(consumer):
    daemon = consumer(GOOD, start=False)
    daemon.file.unlink()
    code, said = daemon.run()
    assert code == 78
    assert "consumer.json" in said


def test_help_and_version(consumer):
    daemon = consumer(GOOD, start=False)
    code, said = daemon.run("--help")
    assert code == 0
    for word in ("--config", "--check", "--version", "--help"):
        assert word in said
    code, said = daemon.run("--version")
    assert code == 0
    assert re.search(r"\d+\.\d+\.\d+", said)
    code, said = daemon.run("--help-config")
    assert code == 0
    assert "batch.linger (default \"20ms\")" in said
    code, said = daemon.run("--help-config=json")
    assert code == 0
    keys = {key["path"]: key for key in json.loads(said)}
    assert keys["batch.linger"]["default"] == '"20ms"'
    assert keys["group"]["required"] is True
    # or "topics"
    assert keys["topic"]["required"] is False
    code, said = daemon.run("--help-config=schema")
    assert code == 2 and "sluice-consumer.schema.json" in said
    code, said = daemon.run("--help-config=odd")
    assert code == 2 and '"json"' in said
    code, said = daemon.run("--no-such-option")
    assert code != 0


@pytest.mark.parametrize("change", [
    {"columns": {"id": "hunter2"}}, {"columns": {"id": {"path": "hunter2"}}},
    {"columns": {"id": "/hunter2~"}},
    {"where": {"path": "hunter2", "exists": True}},
    {"postgres": "postgresql://u:hunter2@[::1"},
])
def test_a_secret_in_a_wrong_place_is_in_no_message(consumer, change):
    code, said = consumer({**GOOD, **change}, start=False).run("--check")
    assert code == 78 and "hunter2" not in said, said


def test_a_password_from_a_file_shows_nowhere(consumer, directory, topics,
                                              database):
    (directory / "password").write_text("s3cr3t-77\n")
    topic = topics.create()
    daemon = consumer({**GOOD, "topic": topic,
                       "kafka": {"sasl.username": "u", "sasl.password":
                                 {"file": str(directory / "password")}}})
    daemon.wait_healthy()
    assert "s3cr3t-77" not in daemon.log()
    code, said = daemon.run("--check")
    assert "s3cr3t-77" not in said


def test_check_says_what_would_happen_and_changes_nothing(consumer, topics,
                                                          database):
    topic = topics.create(partitions=2)
    topics.produce(topic, ['{"id":1}'] * 5)
    daemon = consumer({**GOOD, "topic": topic}, start=False)
    code, said = daemon.run("--check")
    assert code == 0, said
    assert topic in said
    assert "2 partitions" in said
    assert "create" in said         # the table would be made
    assert database.query("SELECT 1 FROM pg_namespace"
                          " WHERE nspname = 'sluice'") == []
    assert database.query("SELECT 1 FROM pg_tables WHERE tablename = 't'") \
        == []


@pytest.mark.parametrize("change, word", [
    ({"topic": "no-such-topic"}, "no-such-topic"),
    ({"create_table": False, "table": "absent"}, "absent"),
    ({"postgres": "host=127.0.0.1 port=1 dbname=x"}, "127.0.0.1"),
    ({"kafka": {"bootstrap.servers": "127.0.0.1:1"}}, "127.0.0.1:1"),
])
def test_check_fails_for_what_is_not_there(consumer, topics, change, word):
    config = {**GOOD, "topic": topics.create(), **change}
    code, said = consumer(config, start=False).run("--check", timeout=60)
    assert code not in (0, 78), said
    assert word in said


def test_check_names_a_column_the_table_lacks(consumer, topics, database):
    database.query("CREATE TABLE t (other integer)")
    daemon = consumer({**GOOD, "topic": topics.create(),
                       "create_table": False}, start=False)
    code, said = daemon.run("--check")
    assert code != 0
    assert '"id"' in said


def test_a_port_in_use_is_said(consumer, topics):
    port = free_port()
    topic = topics.create()
    config = {**GOOD, "topic": topic, "listen": f"127.0.0.1:{port}"}
    first = consumer(config)
    first.port = port
    first.wait_healthy()
    second = consumer({**config, "group": "other", "table": "other"},
                      start=False)
    code, said = second.run()
    assert code not in (0, None)
    assert str(port) in said


def test_arguments_that_mean_nothing_are_refused(consumer):
    daemon = consumer(GOOD, start=False)
    for more, words in ((["--no-such"], "--no-such"),
                        (["no-such"], 'subcommand "no-such"'),
                        (["--config"], "usage:")):
        code, said = daemon.run(*more)
        assert code == 2 and words in said, said
