"""Numbered records on their way to a table, each to be a row once."""

import threading

from tests.lib.daemon import Daemon
from tests.lib.env import wait_for
from tests.lib.history import check_coverage

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "create_table": True,
    "batch": {"rows": 500, "linger": "5ms"},
    "columns": {
        "n": {"path": "/n", "type": "integer"},
        "body": {"meta": "value", "type": "bytea"},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}


def value(number):
    return '{"n":%d,"pad":"%s"}' % (number, "x" * (number % 200))


class Sender(threading.Thread):
    """Produces numbered records until stopped."""

    def __init__(self, topics, topic, step=200):
        super().__init__(daemon=True)
        self.topics, self.topic, self.step = topics, topic, step
        self.sent = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.wait(0.05):
            self.topics.produce(self.topic, [
                value(n) for n in range(self.sent, self.sent + self.step)])
            self.sent += self.step

    def end(self):
        self.stopping.set()
        self.join(60)
        return self.sent


def check(database, topic, count):
    """Count and content equal, and every offset accounted for."""
    try:
        wait_for(lambda: database.try_count("t") >= count, 60,
                 f"{count} rows")
    except AssertionError as error:
        daemon = Daemon.latest[database.name, topic, f"g@{database.name}",
                               "t"]
        raise AssertionError(
            f"{error}\n{database.try_count('t')} rows\n"
            + daemon.run("lag")[1] + daemon.run("verify")[1]) from None
    rows = database.query("SELECT n, body FROM t")
    assert len(rows) == count
    assert sorted(number for number, _ in rows) == list(range(count))
    for number, body in rows:
        assert bytes(body).decode() == value(number)
    check_coverage(database, "t", topic, "g")


# a killed member's partitions are free after a second
SHORT_SESSION = {"session.timeout.ms": "1000",
                 "heartbeat.interval.ms": "200"}
