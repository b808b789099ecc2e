"""With --log-level debug the log tells the steps of each batch."""

import re

from tests.lib.env import wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    # one full batch, whatever the machine's pace
    "batch": {"rows": 4, "linger": "1m"},
    "columns": {"id": {"path": "/id", "type": "integer"},
                "v": {"path": "/v", "type": "text"}},
}


def steps(daemon):
    return re.findall(r" debug: batch: (.*)", daemon.log())


def run(consumer, topics, database, values, **more):
    topic = topics.create()
    topics.produce(topic, values, 1769900000000)
    daemon = consumer({**CONFIG, "topic": topic, **more}, start=False)
    daemon.start("--log-level", "debug")
    return daemon


def test_a_batch_with_bad_rows(consumer, topics, database):
    database.query("CREATE TABLE t (id integer, v text CHECK (v <> 'x'))")
    daemon = run(consumer, topics, database,
                 ['{"id":1,"v":"a"}', "bad", '{"id":2,"v":"x"}',
                  '{"id":3,"v":"b"}'], dead_letters={"hold_above": 1})
    wait_for(lambda: database.try_count("t") == 2, 20, "the rows")
    daemon.stop()
    violated = r'.*"t_v_check" \(23514\)'
    wanted = [
        r"taken, with 4 rows \(1 cannot be stored\) and 0 records left out",
        "transaction begun", "a row is at fault: " + violated,
        "transaction begun again, to find bad rows",
        "rows 0 to 1 copied", "rows 2 to 2 not copied: " + violated,
        "rows 3 to 3 copied", "2 dead letters stored",
        "offsets of 1 partitions move, COMMIT is sent", "committed",
    ]
    said = steps(daemon)
    assert len(said) == len(wanted), said
    for line, pattern in zip(said, wanted):
        assert re.fullmatch(pattern, line), (line, pattern)


def test_a_batch_that_is_merged(consumer, topics, database):
    database.query("CREATE TABLE t (id integer PRIMARY KEY, v text);"
                   "INSERT INTO t VALUES (1, 'old')")
    daemon = run(consumer, topics, database,
                 ['{"id":%d,"v":"n"}' % n for n in range(4)], mode="upsert",
                 key=["id"])
    wait_for(lambda: "committed" in steps(daemon), 20, "the batch")
    said = steps(daemon)
    assert re.fullmatch(r'rows of "t" need a temporary table: .* \(23505\)',
                        said[2]), said
    assert said[3:5] == [
        "transaction begun",
        'rows of "t" copied, in the order of their keys'], said


def test_a_batch_that_is_rolled_back(consumer, topics, database):
    database.query("CREATE TABLE t (id integer, v text)")
    database.query(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE 'not now' USING ERRCODE = '40001'; END $$")
    database.query("CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW"
                   " EXECUTE FUNCTION no()")
    daemon = run(consumer, topics, database, ['{"id":1}'] * 4)
    reason = "rolled back: could not store rows: .*not now.*40001"
    wait_for(lambda: any(re.match(reason, line) for line in steps(daemon)),
             20, "it says why")


def test_without_it_nothing_is_said(consumer, topics, database):
    database.query("CREATE TABLE t (id integer, v text)")
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'] * 4)
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 4, 20, "the rows")
    daemon.stop()
    assert steps(daemon) == []
