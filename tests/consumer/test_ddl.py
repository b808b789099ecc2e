"""DDL: create_table, evolve, print-ddl, setup with least privilege, init."""

import json
import subprocess

import jsonschema
import pytest

from tests.lib.env import CONSUMER, wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "create_table": True,
    "batch": {"linger": "5ms"},
    "columns": {"id": {"path": "/id", "type": "integer", "required": True}},
}
EVIL = 'a";drop table victim;--'


def as_role(database, role):
    return database.conninfo.replace("user=sluice", f"user={role}")


def privileges(database, role):
    """What a role may do to tables, and on which columns' behalf."""
    return set(database.query(
        "SELECT table_schema || '.' || table_name, privilege_type"
        " FROM information_schema.role_table_grants WHERE grantee = %s",
        role))


@pytest.mark.parametrize("mode, room", [
    ("append", None), ("ignore", None), ("upsert", ["fillfactor=90"]),
    ("upsert_delete", ["fillfactor=90"])])
def test_a_table_of_updates_has_room_on_its_pages(consumer, topics, database,
                                                  mode, room):
    key = {} if mode == "append" else {"key": ["id"]}
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'])
    consumer({**CONFIG, "topic": topic, "mode": mode, **key})
    wait_for(lambda: database.try_count("t") == 1, 30, "the row")
    assert database.value("SELECT reloptions FROM pg_class WHERE oid ="
                          " 't'::regclass") == room


def test_a_daemon_needs_no_more_than_setup_grants(consumer, topics, database):
    """Tables made and grants given by an administrator; the daemon's role
    owns nothing and may make nothing."""
    role = database.role()
    database.query("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    topic = topics.create(partitions=2)
    daemon = consumer({**CONFIG, "topic": topic, "table": "shop.t"},
                      start=False, conninfo=as_role(database, role))
    for _ in range(2):                   # it may be run again
        code, said = daemon.run("setup", "--admin", "user=sluice")
        assert code == 0, said
        assert role in said
    assert privileges(database, role) == {
        ("shop.t", "INSERT"), ("sluice.meta", "SELECT"),
        # pruned, and what "dead-letters" does
        ("sluice.dead_letters", "DELETE"), ("sluice.seen", "DELETE")} | {
        (f"sluice.{table}", privilege)
        for table in ("offsets", "batches", "dead_letters", "seen")
        for privilege in ("SELECT", "INSERT", "UPDATE")}
    for schema in ("sluice", "shop", "public"):
        assert not database.value(
            "SELECT has_schema_privilege(%s, %s, 'CREATE')", role, schema)

    daemon.start().wait_healthy()
    topics.produce(topic, ['{"id":%d}' % n for n in range(100)] + ["bad"])
    wait_for(lambda: database.try_count("shop.t") == 100, 20, "rows")
    wait_for(lambda: database.try_count("sluice.dead_letters") == 1, 20,
             "the dead letter")
    daemon.stop()
    daemon.start().wait_healthy()
    topics.produce(topic, ['{"id":100}'])
    wait_for(lambda: database.try_count("shop.t") == 101, 20, "after a start")
    assert "ermission" not in daemon.log()


@pytest.mark.parametrize("mode, wanted", [
    ("ignore", {"SELECT", "INSERT"}),
    ("upsert", {"SELECT", "INSERT", "UPDATE"}),
    ("upsert_delete", {"SELECT", "INSERT", "UPDATE", "DELETE"}),
])
def test_setup_grants_what_the_mode_needs(consumer, topics, database, mode,
                                          wanted):
    role = database.role()
    database.query("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    database.query(f'REVOKE TEMPORARY ON DATABASE "{database.name}"'
                   " FROM PUBLIC")
    topic = topics.create()
    daemon = consumer({
        **CONFIG, "topic": topic, "table": "shop.t", "mode": mode,
        "key": ["id"], "dedupe": {"header": "k"},
        "dead_letters": {"keep": "1h"}}, start=False,
        conninfo=as_role(database, role))
    code, said = daemon.run("setup", "--admin", "user=sluice")
    assert code == 0, said
    assert {privilege for table, privilege in privileges(database, role)
            if table == "shop.t"} == wanted
    topics.produce(topic, [("1", '{"id":1}', None, [("k", "1")]),
                           ("1", '{"id":1}', None, [("k", "1")]),
                           ("2", None), ("1", '{"id":2}')])
    daemon.start()
    wait_for(lambda: database.try_count("shop.t") == 2, 20, "rows")
    assert "ermission" not in daemon.log()
    database.query(f'DROP OWNED BY "{role}" CASCADE')


def test_every_table_of_sluice_is_thought_of(consumer, topics, database):
    """A table added to schema sluice gets a grant, or a line here that the
    daemon does not use it."""
    role = database.role()
    daemon = consumer({**CONFIG, "topic": "x"}, start=False)
    assert daemon.run("setup", "--role", role)[0] == 0
    tables = {row[0] for row in database.query(
        "SELECT 'sluice.' || tablename FROM pg_tables"
        " WHERE schemaname = 'sluice'")}
    granted = {table for table, _ in privileges(database, role)}
    assert tables - granted == {"sluice.audit"}      # the tools' own
    # a line a statement, but not a line of a function
    assert database.query(
        "SELECT proname FROM pg_proc WHERE prosrc LIKE E'%;\\n%'"
        " AND pronamespace = 'sluice'::regnamespace") == []


@pytest.mark.parametrize("config, words, said", [
    ({}, ["--admin", "user=sluice password=hunter2"], "password"),
    ({}, ["--role", "no-such-role"], "no-such-role"),
    ({"create_table": False}, ["--role", "sluice"], "does not exist"),
    ({}, ["--admin", "user"], "--admin"),
    ({}, ["--admin", "user=nobody-at-all"], "nobody-at-all"),
])
def test_setup_says_why_not(consumer, database, config, words, said):
    daemon = consumer({**CONFIG, "topic": "x", **config}, start=False)
    code, text = daemon.run("setup", *words)
    assert code == 1, text
    assert said in text
    assert "hunter2" not in text
    assert database.query("SELECT 1 FROM pg_tables WHERE tablename = 't'") \
        == []


def test_print_ddl_is_what_setup_does(consumer, database):
    """The script runs as it is, and connects to nothing to be made."""
    role = database.role()
    daemon = consumer(
        {**CONFIG, "topic": "x", "evolve": "add", "table": "shop.t",
         "postgres": f"host=127.0.0.1 port=1 user={role} dbname=x"},
        start=False)
    code, script = daemon.run("print-ddl")
    assert code == 0
    done = subprocess.run(
        ["psql", "-X", "-v", "ON_ERROR_STOP=1", database.conninfo],
        input=script, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    assert ("shop.t", "INSERT") in privileges(database, role)
    assert daemon.run("print-ddl", "--odd")[0] == 2

    # a role that would end any quoting, where a grant is made in a block
    rewrite = json.loads(daemon.file.read_text())
    rewrite.update(mode="upsert", key=["id"], table="u")
    daemon.file.write_text(json.dumps(rewrite))
    odd = "x\\$do$'; drop table shop.t; --$$\" " + database.name
    database.query('CREATE ROLE "%s"' % odd.replace('"', '""'))
    database.roles.append(odd.replace('"', '""'))
    done = subprocess.run(
        ["psql", "-X", "-v", "ON_ERROR_STOP=1", database.conninfo],
        input=daemon.run("print-ddl", "--role", odd)[1], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    assert ("public.u", "UPDATE") in privileges(database, odd)
    assert database.value("SELECT count(*) FROM shop.t") == 0


def test_names_are_quoted_never_executed(consumer, topics, database):
    """Names that would be SQL: of table, schema, column and role."""
    database.query("CREATE TABLE victim ()")
    topic = topics.create()
    table = [EVIL, EVIL]
    config = {**CONFIG, "topic": topic, "table": table, "evolve": "add",
              "columns": {EVIL: {"path": "/id", "type": "integer"},
                          "'; drop table victim; --":
                          {"meta": "offset", "type": "bigint"}}}
    daemon = consumer(config, start=False)
    code, said = daemon.run("setup", "--role", EVIL)
    assert code == 1
    assert f'role "{EVIL}" does not exist' in said
    code, said = daemon.run("setup")
    assert code == 0, said
    daemon.start().wait_healthy()
    topics.produce(topic, ['{"id":7}'])
    quoted = '"' + EVIL.replace('"', '""') + '"'
    wait_for(lambda: database.try_count(f"{quoted}.{quoted}") == 1, 20, "row")
    assert database.query(f'SELECT * FROM {quoted}.{quoted}') == [(7, 0)]

    # one made by the daemon itself
    topic = topics.create()
    topics.produce(topic, ['{"id":8}'])
    consumer({**config, "topic": topic, "table": [EVIL]}).wait_healthy()
    wait_for(lambda: database.try_count(quoted) == 1, 20, "row")
    assert database.query("SELECT count(*) FROM victim") == [(0,)]


def test_a_column_the_table_lacks_holds_or_is_added(consumer, topics,
                                                    database):
    database.query("CREATE TABLE t (id integer)",)
    database.query("INSERT INTO t VALUES (0)")
    topic = topics.create()
    topics.produce(topic, ['{"id":1,"x":1.50,"y":"a"}'])
    config = {**CONFIG, "topic": topic, "create_table": False, "columns": {
        **CONFIG["columns"], "x": {"path": "/x", "type": "numeric"},
        "y": {"path": "/y", "required": True}}}

    holding = consumer(config)
    body = holding.wait_held()
    assert '"x"' in json.dumps(body).replace("\\", "")
    assert "evolve" in holding.log()
    assert database.value("SELECT count(*) FROM t") == 1
    holding.stop()

    daemon = consumer({**config, "evolve": "add"}).wait_healthy()
    wait_for(lambda: database.try_count("t") == 2, 20, "the row")
    assert [(x, str(y), z) for x, y, z in
            database.query("SELECT id, x, y FROM t ORDER BY id")] \
        == [(0, "None", None), (1, "1.50", "a")]
    assert 'no column "x": adding it' in daemon.log()


def test_a_column_that_may_not_be_added_holds(consumer, topics, database):
    role = database.role()
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'])
    daemon = consumer({**CONFIG, "topic": topic}, start=False)
    code, said = daemon.run("setup", "--role", role)
    assert code == 0, said
    config = {**CONFIG, "topic": topic, "evolve": "add", "columns": {
        **CONFIG["columns"], "x": {"path": "/x", "type": "numeric"}}}
    daemon = consumer(config, conninfo=as_role(database, role))
    body = daemon.wait_held()
    assert "could not add" in json.dumps(body)
    # it goes on by itself when an administrator adds it
    code, said = daemon.run("setup", "--admin", "user=sluice")
    assert code == 0, said
    wait_for(lambda: database.try_count("t") == 1, 30, "the row")


SAMPLE = {
    "id": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "n": 5, "x": 1.5,
    "big": 123456789012345678901, "on": True, "at": "2026-01-01T10:00:00Z",
    "day": "2026-01-01", "tags": ["a"], "user": {"name": "x", "age": 3},
    "nothing": None, EVIL: "evil", "sl/ash~": "q", "\u00fc": "u",
    "created_at": "x",
}


def test_init_makes_what_runs(consumer, topics, database, directory, nginx):
    """The three files of a sample take the sample: nginx by the schema, the
    daemon by the configuration, into the table of the SQL."""
    sample = directory / "visit.json"
    sample.write_text(json.dumps(SAMPLE))
    out = directory / "out"
    out.mkdir()

    def init(*words):
        return subprocess.run([CONSUMER, "init", *words], text=True,
                              capture_output=True, check=False)

    done = init("--sample", sample, "--directory", out)
    assert done.returncode == 0, done.stderr
    schema = json.loads((out / "visit.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(SAMPLE)
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(
        {**SAMPLE, "user": {"name": 1, "age": 3}}))

    database.query((out / "visit.sql").read_text())
    types = dict(database.query(
        "SELECT column_name, udt_name FROM information_schema.columns"
        " WHERE table_name = 'visit'"))
    assert types == {
        "id": "uuid", "n": "int8", "x": "numeric", "big": "numeric",
        "on": "bool", "at": "timestamptz", "day": "date", "tags": "jsonb",
        "user": "jsonb", "nothing": "text", EVIL: "text", "sl/ash~": "text",
        "\u00fc": "text", "created_at": "text", "kafka_partition": "int4",
        "kafka_offset": "int8", "kafka_timestamp": "timestamptz"}

    topic = topics.create()
    server = nginx(f"""
        kafka_producer main {{
            brokers %%KAFKA%%;
            topic {topic} schema={out}/visit.schema.json;
        }}
        server {{
            listen 127.0.0.1:%%PORT%%;
            location / {{ kafka_pass main; kafka_topic {topic};
                          kafka_format json; }}
        }}""")
    answer = server.post("/", sample.read_text())
    assert answer.status == 200, answer.body
    config = json.loads((out / "visit.json").read_text())
    for key in ("postgres", "listen", "kafka"):
        del config[key]
    daemon = consumer({**config, "topic": topic}).wait_healthy()
    wait_for(lambda: database.try_count("visit") == 1, 20, "the row")
    # its rows can be looked at
    code, said = daemon.run("where", f"{topic}/0/0")
    assert code == 0 and "row" in said, said
    assert database.query('SELECT big::text, "sl/ash~", "user" FROM visit') \
        == [("123456789012345678901", "q", {"name": "x", "age": 3})]
    database.query("DELETE FROM visit")
    assert daemon.run("verify", "--strict")[0] != 0

    sample.write_text("[1]")
    assert "must be an object" in init("--sample", sample).stderr
    sample.write_text('{"a":01}')
    assert ":1:6" in init("--sample", sample).stderr
    assert init("--sample", sample, "--name", "../x").returncode == 2
    assert init().returncode == 2


def files(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("there", ["visit.schema.json", "visit.json",
                                   "visit.sql"])
def test_init_writes_all_files_or_none(directory, there):
    sample = directory / "sample.json"
    sample.write_text('{"id": 1}')
    out = directory / "out"
    out.mkdir()
    (out / there).write_text("mine")
    done = subprocess.run(
        [CONSUMER, "init", "--sample", sample, "--name", "visit",
         "--directory", out], text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert f"{out}/{there}: File exists" in done.stderr
    assert "wrote" not in done.stdout
    assert files(out) == {there: "mine"}


def test_init_leaves_its_sample_alone(directory):
    sample = directory / "click.json"
    sample.write_text('{"id": 1}')
    words = [CONSUMER, "init", "--sample", "click.json"]
    done = subprocess.run(words, text=True, capture_output=True, check=False,
                          cwd=directory)
    assert done.returncode == 1
    assert "is the sample itself: give --name or --directory" in done.stderr
    assert files(directory) == {"click.json": '{"id": 1}'}
    subprocess.run([*words, "--name", "clicks"], check=True, cwd=directory,
                   stdout=subprocess.DEVNULL)
    assert sorted(files(directory)) == [
        "click.json", "clicks.json", "clicks.schema.json", "clicks.sql"]


def test_init_leaves_nothing_on_a_full_disk(directory):
    sample = directory / "sample.json"
    sample.write_text(json.dumps({f"m{n}": n for n in range(200)}))
    out = directory / "out"
    out.mkdir()
    # the schema has its 12 KB, the configuration not its 16
    done = subprocess.run(
        ["prlimit", "--fsize=14000", "sh", "-c",
         'trap "" XFSZ; exec "$0" "$@"', CONSUMER, "init", "--sample", sample,
         "--name", "visit", "--directory", out],
        text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "File too large" in done.stderr
    assert files(out) == {}
