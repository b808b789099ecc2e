"""skip: exactly one record is put aside, and the daemon goes on behind it."""

import pytest

from tests.consumer.test_blame import CONFIG, numbers, raises, table, values
from tests.consumer.test_tools import objects, told, transaction
from tests.lib.env import wait_for


def skip(daemon, place, *words, code=0):
    return told(daemon, "skip", place, "--to", "dead-letters", *words,
                code=code)


def letters(database):
    return database.query(
        "SELECT partition, \"offset\", encode(key, 'escape'),"
        " encode(value, 'escape'), headers, sqlstate, table_name"
        " FROM sluice.dead_letters ORDER BY 1, 2")


@pytest.mark.parametrize("state", ["XX000", "40001"])
def test_the_daemon_goes_on_behind_it(consumer, topics, database, state):
    """Where it holds and where it tries the batch again; a good record that
    waits behind is not read twice."""
    table(database)
    raises(database, "NEW.n = 5", state)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 5))
    wait_for(lambda: database.try_count("t") == 5, 30, "those before")
    topics.produce(topic, [("k", '{"n":5}', None, [("a", b"b")])])
    daemon.wait_log(f"holding.*{state}" if state == "XX000"
                    else f"trying again.*{state}", 60)
    said = skip(daemon, f"{topic}/0/5", "--dry-run")
    assert "would be a dead letter, the next offset is 6" in said
    assert letters(database) == []
    assert database.try_count("sluice.audit") == 0
    said = skip(daemon, f"{topic}/0/5")
    assert "is a dead letter, the next offset is 6" in said
    assert letters(database) == [
        (0, 5, "k", '{"n":5}', [{"name": "a", "value": "b"}], "SL003", "t")]
    topics.produce(topic, values(6, 8))
    wait_for(lambda: database.try_count("t") == 7, 60, "those behind")
    assert numbers(database) == [0, 1, 2, 3, 4, 6, 7]
    daemon.wait_healthy()
    assert daemon.alive()
    assert database.query(
        "SELECT action, who = session_user, table_name, detail"
        " FROM sluice.audit") == [
            ("skip", True, "t",
             {"partition": 0, "offset": 5, "to": "dead-letters"})]
    assert objects(daemon, "where", f"{topic}/0/5")[0]["state"] \
        == "dead letter"
    daemon.verify()

    # and back, once the cause is gone
    database.query("DROP TRIGGER no ON t")
    told(daemon, "dead-letters", "replay", "--all")
    assert numbers(database) == list(range(8))
    daemon.stop()
    assert "Proved" in told(daemon, "verify")


def test_only_the_next_record_is_put_aside(consumer, topics, database):
    table(database)
    raises(database, "true", "XX000")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 3))
    daemon.wait_held()
    for place, why in ((f"{topic}/0/1", "which is 0"),
                       (f"{topic}/0/9", "which is 0"),
                       (f"{topic}/3/0", "nothing is stored of partition 3")):
        assert why in skip(daemon, place, code=1)
    for words, why in ((("other/0/0", "--to", "dead-letters"), "is for topic"),
                       ((f"{topic}/0", "--to", "dead-letters"), "must be"),
                       ((f"{topic}/0/0",), "--to dead-letters is required"),
                       ((f"{topic}/0/0", "--to", "null"), "is required"),
                       (("--to", "dead-letters"), "usage:")):
        assert why in told(daemon, "skip", *words, code=2)
    assert letters(database) == []
    assert database.try_count("sluice.audit") == 0
    skip(daemon, f"{topic}/0/0")
    assert "is accounted for already" in skip(daemon, f"{topic}/0/0", code=1)
    skip(daemon, f"{topic}/0/1")
    skip(daemon, f"{topic}/0/2")
    assert "not in the log" in skip(daemon, f"{topic}/0/3", code=1)
    assert [row[1] for row in letters(database)] == [0, 1, 2]
    assert database.try_count("sluice.audit") == 3
    daemon.wait_healthy()
    daemon.verify()


def test_one_of_two_daemons(consumer, topics, database):
    """Of two partitions, with "store": "reason"; each other record is stored
    once."""
    table(database)
    raises(database, "NEW.n = 0", "XX000")
    topic = topics.create(2)
    config = {**CONFIG, "topic": topic, "dead_letters": {"store": "reason"}}
    daemons = [consumer(config), consumer(config)]
    for daemon in daemons:
        daemon.wait_healthy()
    wait_for(lambda: database.try_count("sluice.offsets") == 2
             and database.value("SELECT count(DISTINCT owner)"
                                " FROM sluice.offsets") == 2, 60,
             "each has a partition")
    topics.produce(topic, [(None, '{"n":0}', 1)])
    wait_for(lambda: 503 in [d.health()[0] for d in daemons], 30, "one holds")
    topics.produce(topic, [(None, v, 0) for v in values(1, 50)])
    wait_for(lambda: database.try_count("t") == 49, 30, "the other does not")
    skip(daemons[0], f"{topic}/1/0")
    topics.produce(topic, [(None, v, 1) for v in values(50, 100)])
    wait_for(lambda: database.try_count("t") == 99, 60, "all")
    assert letters(database) == [(1, 0, None, None, None, "SL003", "t")]
    for daemon in daemons:
        daemon.wait_healthy()
        daemon.stop()
    daemons[0].verify()


def test_a_gap_before_it_is_kept(consumer, topics, database):
    """The record behind a transaction's marker."""
    table(database)
    raises(database, "NEW.n = 7", "XX000")
    topic = topics.create()
    transaction(topics, topic, 2)
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 2, 30, "those before")
    topics.produce(topic, values(7, 8))
    daemon.wait_held()
    assert "which is 3" in skip(daemon, f"{topic}/0/2", code=1) \
        or database.value("SELECT next_offset FROM sluice.offsets") == 3
    skip(daemon, f"{topic}/0/3")
    topics.produce(topic, values(8, 9))
    wait_for(lambda: database.try_count("t") == 3, 60, "the one behind")
    daemon.stop()
    assert objects(daemon, "verify")["partitions"][0]["gaps"] == 1
    daemon.verify()


def test_a_topic_that_was_created_again(consumer, topics, database):
    table(database)
    topic = topics.create()
    topics.produce(topic, values(0, 3))
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 3, 30, "all")
    daemon.stop()
    topics.delete(topic)
    topics.create(name=topic)
    topics.produce(topic, values(10, 15))
    assert "was created again" in skip(daemon, f"{topic}/0/3", code=1)
    assert letters(database) == []
    assert database.value("SELECT next_offset FROM sluice.offsets") == 3
