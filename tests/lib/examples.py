"""examples/nginx: each file as it stands, with its addresses replaced."""

import re

from tests.lib.env import ROOT

FOLDER = ROOT / "examples" / "nginx"

# what examples/README.md tells an operator to have in front of them
PRODUCER = """
    kafka_producer main {
        brokers  %%KAFKA%%;
        topic    events        partitions=1 replication=1;
        topic    events-acme   partitions=1 replication=1;
        topic    events-globex partitions=1 replication=1;
    }
"""
TOPICS = ("events", "events-acme", "events-globex")


def text(name, replaced, producer=PRODUCER):
    """The file's text for Nginx(); replaced: pairs of what is written
    there, each at least once, and what the test has instead."""
    found = (FOLDER / f"{name}.conf").read_text()
    found, count = re.subn(r"listen( +)8(080|443)\b",
                           r"listen\g<1>127.0.0.1:%%PORT%%", found)
    assert count == 1, f"{name}.conf does not listen on one port"
    for old, new in replaced.items():
        assert old in found, f"{name}.conf has no {old}"
        found = found.replace(old, new)
    return producer + found


def values(topics, topic="events"):
    return sorted(record.value for record in topics.records(topic))
