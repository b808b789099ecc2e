"""dead-letters list --pending: what would become dead letters, and why."""

import json
import re

import pytest

from tests.lib.env import wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "batch": {"rows": 100, "linger": "5ms"},
    "columns": {
        "id": {"path": "/id", "type": "integer", "required": True},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}
TABLE = "CREATE TABLE t (id integer CHECK (id <> 7), part integer," \
    " off bigint)"


def pending(daemon, *more):
    code, said = daemon.run("dead-letters", "list", "--pending", "--json",
                            *more)
    assert code == 0, said
    return json.loads(said)


def state(database):
    """All but the epochs, which a daemon that holds raises at each claim."""
    return [database.query(f"SELECT {what} ORDER BY 1") for what in (
        "* FROM t", "partition, next_offset FROM sluice.offsets",
        "* FROM sluice.batches", "* FROM sluice.dead_letters",
        "* FROM sluice.audit")]


def test_a_hold_for_too_many_shows_three_everywhere(consumer, topics,
                                                    database):
    """The same offsets and reasons in the log, in /healthz and in the list,
    which has all of them."""
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'] * 1000 + ["{}"] * 300)
    daemon = consumer({**CONFIG, "topic": topic})
    held = daemon.wait_held(reason="too many records are bad")["reason"]
    wait_for(lambda: daemon.metric("sluice_consumer_held") == 1, 10, "held")
    before = state(database)
    shown = re.findall(r"[e;] partition 0, offset (\d+): ([^;]+) \((\w{5})\)",
                       held)
    assert len(shown) == 3 and held in daemon.log()
    listed = pending(daemon)
    first = database.value("SELECT next_offset FROM sluice.offsets")
    assert [row["offset"] for row in listed] \
        == list(range(first, first + len(listed)))
    assert len(listed) == 100
    assert [(str(row["offset"]), row["reason"], row["sqlstate"])
            for row in listed[:3]] == shown
    assert {row["table"] for row in listed} == {"t"}
    assert len(pending(daemon, "--limit", "3")) == 3
    assert pending(daemon, "--sqlstate", "23514") == []
    code, said = daemon.run("dead-letters", "list", "--pending")
    assert code == 0 and "100 of the next 100 records would be dead" in said
    assert "missing" in said or "required" in said
    # nothing was changed
    assert state(database) == before
    assert daemon.health()[0] == 503


def test_what_only_postgresql_refuses_is_listed(consumer, topics, database):
    database.query(TABLE)
    database.query(
        "CREATE TABLE p (id integer PRIMARY KEY);INSERT INTO p VALUES (1), (7)"
        ";ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES p DEFERRABLE"
        " INITIALLY DEFERRED")
    topic = topics.create(partitions=2)
    daemon = consumer({**CONFIG, "topic": topic}).wait_healthy()
    topics.produce(topic, ['{"id":1}'] * 10)
    wait_for(lambda: database.try_count("t") == 10, 20, "rows")
    daemon.stop()
    topics.produce(topic, ['{"id":1}', '{"id":7}', "[]", '{"id":9}'] * 5)
    before = state(database)
    listed = pending(daemon)
    assert sorted(row["sqlstate"] for row in listed) \
        == sorted(["2203C", "23503", "23514"] * 5)
    assert state(database) == before
    code, said = daemon.run("dead-letters", "list", "--pending")
    assert code == 0 and "15 of the next 20 records" in said
    # and these are the ones that it becomes
    database.query("DELETE FROM t")
    daemon = consumer({**CONFIG, "topic": topic,
                       "dead_letters": {"hold_above": 1}})
    wait_for(lambda: database.try_count("sluice.dead_letters") == 15, 40,
             "dead letters")
    assert sorted((row["partition"], row["offset"], row["sqlstate"])
                  for row in listed) \
        == database.query('SELECT partition, "offset", sqlstate FROM'
                          " sluice.dead_letters ORDER BY 1, 2")
    assert pending(daemon) == []


@pytest.mark.parametrize("more", [["1"], ["--all"], ["--older", "1d"]])
def test_what_it_does_not_take(consumer, topics, database, more):
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, ['{"id":1}'])
    wait_for(lambda: database.try_count("t") == 1, 20, "a row")
    code, said = daemon.run("dead-letters", "list", "--pending", *more)
    assert code == 2 and "no dead letter yet" in said
    assert pending(daemon) == []
