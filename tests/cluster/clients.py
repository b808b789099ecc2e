"""Clients of every kind, on all hosts, and the file that each writes.

A line of a file is a record: when it was sent last, and what was answered.
A record is sent once more only where the answer says that nothing was kept.
"""

import asyncio
import collections
import hashlib
import itertools
import json

from tests.lib.history import Load

# kind: its location, records a request, share of all records, connections
KINDS = {
    "single": ("/events", 0, 0.08, 8),
    "keyed": ("/events", 0, 0.08, 8),
    "event": ("/cloudevents", 0, 0.06, 8),
    "queued": ("/queued", 0, 0.08, 8),
    "batch": ("/batch", 50, 0.695, 6),
    # the table refuses them
    "bad": ("/events", 0, 0.005, 2),
}
KEYS = 60
TRIES = 4
TIMEOUT = 12.0          # s; the servers' own are shorter
WAIT = 0.3              # s, before what was not kept is sent to another host


class Client(Load):
    """One kind; hosts are pairs of address and port, taken in turn."""

    def __init__(self, kind, hosts, directory, records):
        path, batch, share, connections = KINDS[kind]
        super().__init__(0, path, connections=connections, batch=batch,
                         rate=records * share / (batch or 1),
                         keys=KEYS * (kind == "keyed"), timeout=TIMEOUT)
        self.kind = kind
        self.run_id = f"{kind}-{self.run_id}"
        self.hosts = itertools.cycle(hosts)
        self.records = collections.Counter()    # by outcome
        self.requests = collections.Counter()   # by outcome, each try
        self.file = open(directory / f"{kind}.history", "w",
                         encoding="utf-8")

    def address(self):
        return next(self.hosts)

    @staticmethod
    def structured(ident):
        """Every other event has its attributes in its body."""
        return int(ident.rpartition("-")[2]) % 2 == 0

    def _body(self, ident, key):
        if self.kind == "event" and self.structured(ident):
            return json.dumps({"specversion": "1.0", "id": ident,
                               "source": "/campaign", "type": "made",
                               "key": ident, "data": {"pad": "x" * 40}})
        return super()._body(ident, key)

    def fields(self, events):
        if self.kind != "event":
            return super().fields(events)
        ident = events[0].id
        if self.structured(ident):
            return {"Content-Type": "application/cloudevents+json"}
        return {"Content-Type": "application/json", "ce-id": ident,
                "ce-specversion": "1.0", "ce-source": "/campaign",
                "ce-type": "made"}

    async def again(self, events):
        self.requests[events[0].outcome] += 1
        if events[0].tries >= TRIES or any(
                event.outcome != "fail" or event.status not in (500, 503)
                for event in events):
            return False
        await asyncio.sleep(WAIT * events[0].tries)
        for event in events:
            event.tries += 1
        return True

    def keep(self, events):
        for event in events:
            self.records[event.outcome] += 1
            self.file.write(line(self.kind, event))

    def stop(self):
        super().stop()
        self.file.close()


def line(kind, event):
    """A record as the judge reads it."""
    fields = (event.id, kind, event.key,
              hashlib.md5(event.body).hexdigest(), f"{event.start:.6f}",
              f"{event.end:.6f}", event.status, event.outcome,
              event.partition, event.offset, event.tries)
    return "\t".join("" if field is None else str(field)
                     for field in fields) + "\n"


class Clients:
    """All kinds together: so many records a second."""

    def __init__(self, hosts, directory, records):
        self.all = [Client(kind, hosts, directory, records)
                    for kind in KINDS]

    def start(self):
        for client in self.all:
            client.start()
        return self

    def stop(self):
        for client in self.all:
            client.stop()

    def records(self):
        return sum((client.records for client in self.all),
                   collections.Counter())

    def requests(self):
        return {client.kind: client.requests for client in self.all}
