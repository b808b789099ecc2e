"""sluice-consumer dead-letters: list, show, replay, purge; store and keep."""

import json
import threading

import pytest

from tests.lib.env import wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "batch": {"linger": "5ms"}, "dead_letters": {"hold_above": 1},
    "columns": {
        "id": {"path": "/id", "type": "integer", "required": True},
        "k": {"meta": "key", "type": "text"},
        "h": {"header": "h", "type": "bytea"},
        "at": {"meta": "timestamp", "type": "timestamptz"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}
TABLE = ("CREATE TABLE t (id integer CHECK (id < 100), k text, h bytea,"
         " at timestamptz, off bigint)")
STAMP = 1769857200123


def fill(consumer, topics, database, records, table=TABLE, **more):
    """A daemon that has stored the records of a topic."""
    database.query(table)
    topic = topics.create()
    topics.produce(topic, records, timestamp=STAMP)
    daemon = consumer({**CONFIG, "topic": topic, **more})
    wait_for(lambda: database.try_count("sluice.batches") and database.value(
        "SELECT sum(records) FROM sluice.batches") == len(records), 20,
        "all is stored")
    return topic, daemon


def tool(daemon, *words):
    code, said = daemon.run("dead-letters", *words)
    return code, said


def count(database):
    return database.value("SELECT count(*) FROM sluice.dead_letters")


def test_list_and_show(consumer, topics, database):
    value = b"\0\xff not json"
    topic, daemon = fill(consumer, topics, database, [
        ("key", value, 0, [("h", b"v")]), '{"id":101}', '{"id":1}'])
    code, said = tool(daemon, "list", "--json")
    assert code == 0
    first, second = json.loads(said)
    assert (first["offset"], first["table"], second["sqlstate"]) \
        == (0, "t", "23514")
    code, said = tool(daemon, "list")
    assert code == 0
    assert second["reason"] in said
    code, said = tool(daemon, "list", "--sqlstate", "23514", "--limit", "5")
    assert second["reason"] in said
    assert first["reason"] not in said
    code, said = tool(daemon, "show", str(first["id"]), "--json")
    shown, = json.loads(said)
    assert shown["key"] == "key"
    assert shown["value"] == "\\x" + value.hex()
    assert json.loads(shown["headers"]) == [{"name": "h", "value": "v"}]
    code, said = tool(daemon, "show", str(second["id"]), "--raw")
    assert (code, said) == (0, '{"id":101}')
    code, said = tool(daemon, "show", "999999", "--raw")
    assert code == 1


@pytest.mark.parametrize("words", [
    [], ["lst"], ["replay"], ["purge"], ["purge", "1", "--all"],
    ["show", "x"], ["list", "--older", "soon"], ["show", "--raw", "--all"],
])
def test_wrong_words_change_nothing(consumer, database, words):
    daemon = consumer({**CONFIG, "topic": "x"}, start=False)
    code, said = tool(daemon, *words)
    assert code == 2
    assert "dead-letters" in said


def test_replay_stores_what_now_fits_once(consumer, topics, database):
    """The row is what the record would have made; the rest stays."""
    binary = bytes(range(1, 256))
    topic, daemon = fill(consumer, topics, database, [
        ("k0", '{"id":1}'), ("k1", '{"id":101}', 0, [("h", b"1"),
                                                     ("h", binary)]),
        ("k2", "bad"), ("k3", '{"id":103}'), ("k4", '{"id":104}')])
    ids = [row[0] for row in database.query(
        "SELECT id FROM sluice.dead_letters ORDER BY id")]
    assert len(ids) == 4
    # nothing changed: all stay, with the reason
    code, said = tool(daemon, "replay", "--all")
    assert code == 1
    assert "violates check" in said
    assert "4 stay" in said
    assert count(database) == 4
    database.query("ALTER TABLE t DROP CONSTRAINT t_id_check")
    code, said = tool(daemon, "replay", str(ids[0]))
    assert code == 0, said
    assert count(database) == 3
    assert database.query(
        "SELECT id, k, extract(epoch FROM at) * 1000, off FROM t"
        " WHERE id = 101") == [(101, "k1", STAMP, 1)]
    assert bytes(database.value("SELECT h FROM t WHERE id = 101")) == binary
    code, said = tool(daemon, "replay", "--all")
    assert code == 1
    assert "2 dead letters replayed" in said
    assert "1 stay" in said
    assert database.query("SELECT id FROM t ORDER BY id") \
        == [(1,), (101,), (103,), (104,)]
    assert database.query('SELECT "offset" FROM sluice.dead_letters') \
        == [(2,)]


def test_two_replays_at_once_store_each_once(consumer, topics, database):
    """The second waits for the first, finds them gone, changes nothing."""
    topic, daemon = fill(consumer, topics, database,
                         ['{"id":%d}' % n for n in range(100, 600)])
    assert count(database) == 500
    database.query("ALTER TABLE t DROP CONSTRAINT t_id_check")
    answers = []
    tools = [threading.Thread(
        target=lambda: answers.append(tool(daemon, "replay", "--all")))
        for _ in range(3)]
    for thread in tools:
        thread.start()
    for thread in tools:
        thread.join(60)
    assert [code for code, _ in answers].count(0) >= 1, answers
    assert database.query("SELECT count(*), count(DISTINCT id) FROM t") \
        == [(500, 500)]
    assert count(database) == 0


def test_replay_by_the_mode(consumer, topics, database):
    """A stale dead letter does not overwrite; a tombstone deletes."""
    topic, daemon = fill(
        consumer, topics, database,
        [("1", '{"id":1,"ver":1,"v":"bad"}'), ("1", '{"id":1,"ver":2}'),
         ("2", '{"id":2,"ver":9,"v":"bad"}'), ("2", '{"id":2,"ver":3}'),
         ("3", '{"id":3,"ver":1}'), (None, None)],
        table="CREATE TABLE t (id integer PRIMARY KEY, ver integer, v text"
              " CHECK (v <> 'bad'))",
        mode="upsert_delete", key=["id"], newer="ver", batch={"rows": 1},
        columns={"id": "/id", "ver": "/ver", "v": "/v"})
    assert count(database) == 3
    database.query("ALTER TABLE t DROP CONSTRAINT t_v_check")
    database.query("UPDATE sluice.dead_letters SET key = '3'"
                   " WHERE value IS NULL")
    code, said = tool(daemon, "replay", "--all")
    assert code == 0, said
    assert database.query("SELECT id, ver, v FROM t ORDER BY id") \
        == [(1, 2, None), (2, 9, "bad")]


def test_purge(consumer, topics, database):
    topic, daemon = fill(consumer, topics, database, ["bad"] * 20)
    first = database.value("SELECT min(id) FROM sluice.dead_letters")
    database.query(
        "INSERT INTO sluice.dead_letters (cluster_id, group_id, topic,"
        " partition, table_name, \"offset\", sqlstate, reason, created_at)"
        " SELECT cluster_id, group_id, topic, partition, table_name, n,"
        " '22000', 'old', now() - interval '40 days' FROM"
        " sluice.dead_letters, generate_series(1, 12000) n WHERE id = %s",
        first)
    assert tool(daemon, "purge", str(first)) \
        == (0, "1 dead letters purged\n")
    assert tool(daemon, "purge", "--all", "--older", "30d", "--sqlstate",
                "22032") == (0, "0 dead letters purged\n")
    assert tool(daemon, "purge", "--all", "--older", "30d") \
        == (0, "12000 dead letters purged\n")
    assert tool(daemon, "purge", "--all")[1] == "19 dead letters purged\n"
    assert count(database) == 0


def test_the_reason_alone_and_for_a_while(consumer, topics, database):
    topic, daemon = fill(
        consumer, topics, database, [("key", "bad", 0, [("h", b"v")])],
        dead_letters={"hold_above": 1, "store": "reason", "keep": "1h"})
    assert database.query(
        'SELECT "offset", key, headers, value, stripped, reason <> \'\''
        " FROM sluice.dead_letters") == [(0, None, None, None, True, True)]
    code, said = tool(daemon, "replay", "--all")
    assert code == 1
    assert "not kept" in said
    daemon.stop()
    database.query("UPDATE sluice.dead_letters SET created_at = now() -"
                   " interval '61 min'")
    daemon.start()
    wait_for(lambda: count(database) == 0, 30, "pruned")
