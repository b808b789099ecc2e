"""Receipts: what the topic says of each record, held against the database."""

import json
import time

import pytest

from tests.lib import procs
from tests.lib.env import TEST_CONSUMER, wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "columns": {"id": {"path": "/id", "type": "integer"},
                "p": {"meta": "partition", "type": "integer"},
                "o": {"meta": "offset", "type": "bigint"}},
    "kafka": {"session.timeout.ms": "1000", "heartbeat.interval.ms": "200"},
    "dead_letters": {"hold_above": 1},
}
TABLE = "CREATE TABLE t (id integer CHECK (id < 1000), p integer, o bigint)"


class Receipts:
    """What all receipts of a topic say, as the module reads them."""

    def __init__(self, topics, receipts, topic):
        self.all = []
        self.known = {}
        for record in topics.records(receipts):
            receipt = json.loads(record.value)
            assert len(record.value) <= 512 * 1024
            assert receipt["version"] == 1 and receipt["topic"] == topic
            assert record.key.decode() == receipt["group"] + "/" + topic
            self.all.append(receipt)
            for part in receipt["partitions"]:
                self.take(part)

    def take(self, part):
        known = part.get("known", part["next"])
        assert part["first"] <= known <= part["next"]
        exceptions = part.get("exceptions", [])
        assert len(exceptions) <= 1000
        for offset in range(part["first"], known):
            self.known[part["partition"], offset] = ("row", None, None)
        for one in exceptions:
            assert part["first"] <= one["offset"]
            assert one["offset"] + one.get("count", 1) <= known
            for offset in range(one["offset"],
                                one["offset"] + one.get("count", 1)):
                self.known[part["partition"], offset] = (
                    one["stored"], one.get("sqlstate"), one.get("reason"))

    def of(self, stored):
        return sorted(place for place, fate in self.known.items()
                      if fate[0] == stored)


def rows(database):
    return sorted(tuple(row) for row in database.query("SELECT p, o FROM t"))


def dead(database):
    return sorted(tuple(row) for row in database.query(
        'SELECT partition, "offset", sqlstate, reason'
        " FROM sluice.dead_letters"))


def read(topics, receipts, topic, count):
    """Once the receipts tell of so many records."""
    found = {}

    def enough():
        if topics.partitions(receipts) == 0:
            return False
        found["it"] = Receipts(topics, receipts, topic)
        return len(found["it"].known) >= count

    wait_for(enough, 30, f"receipts of {count} records")
    return found["it"]


def test_rows_and_dead_letters_are_told_as_they_are(consumer, topics,
                                                    database):
    database.query(TABLE)
    database.query("CREATE UNIQUE INDEX ON t (id)")
    topic, receipts = topics.create(partitions=2), topics.name()
    topics.produce(topic, [(None, '{"id":%d}' % n, n % 2) for n in range(20)]
                   + [(None, "no JSON", 0), (None, '{"id":1000}', 1),
                      (None, '{"id":"x"}', 0), (None, '{"id":3}', 1)],
                   timestamp=1769857200123)
    daemon = consumer({**CONFIG, "topic": topic,
                       "receipts": {"topic": receipts}})
    told = read(topics, receipts, topic, 24)
    assert told.of("row") == rows(database) and len(rows(database)) == 20
    letters = dead(database)
    assert {state for _, _, state, _ in letters} \
        >= {"22P02", "23514", "23505"}
    assert [(*place, *told.known[place][1:])
            for place in told.of("dead-letter")] == letters
    receipt = told.all[0]
    assert receipt["group"].startswith("g@")
    assert receipt["table"] == "t"
    assert receipt["cluster"] == database.value(
        "SELECT DISTINCT cluster_id FROM sluice.offsets")
    part = receipt["partitions"][0]
    assert part["timestamps"] == [1769857200123] * 2
    assert part["epoch"] == 1
    wait_for(lambda: daemon.metric("sluice_consumer_receipts_sent_total")
             == len(told.all), 10, "all are counted")
    assert daemon.metric("sluice_consumer_receipts_dropped_total") == 0
    assert daemon.health() == (200, {**daemon.health()[1], "receipts": "sent"})
