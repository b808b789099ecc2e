"""Load with a history, and the invariants it must keep.

Every request has its own id in its body.  Its outcome is
    ok       200
    queued   202
    fail     4xx, or 500/503 with "persisted":"no"
    maybe    500/504 with "possibly", a reset, a client's timeout
Anything else is not a truthful answer and fails the check.
"""

import asyncio
import collections
import dataclasses
import json
import random
import threading
import time
import uuid

from tests.lib.daemon import Daemon
from tests.lib.env import wait_for

# sluice.batches with a row for each gap, from f to before n
RANGES = """sluice.batches, unnest(
    coalesce(holes[:][1:1], ARRAY[first_offset]),
    coalesce(holes[:][2:2], ARRAY[next_offset])) h (f, n)"""


@dataclasses.dataclass
class Event:
    id: str
    key: str
    body: bytes
    start: float
    end: float = 0.0
    status: int = 0
    outcome: str = "maybe"
    partition: int = None
    offset: int = None
    tries: int = 1


def outcome_of(status, answer):
    persisted = answer.get("persisted") if isinstance(answer, dict) else None
    if status == 200:
        return "ok"
    if status == 202:
        return "queued"
    if 400 <= status < 500:
        return "fail"
    if status in (500, 503) and persisted == "no":
        return "fail"
    if status in (500, 504) and persisted == "possibly":
        return "maybe"
    return "untruthful"


def settle(events, status, answer):
    """What an answer says of its request's records: each has a result in a
    batch, and the whole answer is no better and no worse than they are."""
    whole = outcome_of(status, answer)
    said = [answer] * len(events)
    if isinstance(answer, dict) and "results" in answer:
        said = answer["results"]
    outcomes = [whole if one is answer else outcome_of(one["status"], one)
                for one in said]
    mixed = whole == "maybe" and len(set(outcomes)) > 1
    if len(said) != len(events) or not mixed and set(outcomes) != {whole}:
        said = [answer] * len(events)
        outcomes = ["untruthful"] * len(events)
    for event, outcome, one in zip(events, outcomes, said):
        event.status, event.outcome = status, outcome
        if outcome == "ok" and isinstance(one, dict):
            event.partition = one.get("partition")
            event.offset = one.get("offset")


class Load:
    """Posts from several connections until stopped, in its own thread; batch
    records a request, a line each."""

    def __init__(self, port, path, connections=8, keys=0, size=100,
                 keepalive=True, rate=0, timeout=20.0, body=None, batch=0,
                 host="127.0.0.1"):
        self.host = host
        self.port = port
        self.path = path
        self.connections = connections
        self.keys = keys                # distinct keys; 0: none
        self.size = size                # bytes of padding, about
        self.keepalive = keepalive
        self.pause = connections / rate if rate else 0
        self.timeout = timeout
        self.make = body or self._body
        self.batch = batch              # 0: a record, not one in a batch
        self.run_id = uuid.uuid4().hex[:8]
        self.events = []
        self.refused = 0                # connections, nothing was sent
        self._stop = False
        self._thread = threading.Thread(target=self._main, daemon=True)

    def _body(self, ident, key):
        return json.dumps({"id": ident, "key": key,
                           "pad": "x" * random.randrange(self.size + 1)})

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stop = True
        self._thread.join(self.timeout + 30)
        assert not self._thread.is_alive(), "the load did not stop"
        return self.events

    def count(self, outcome=None):
        return sum(1 for event in list(self.events)
                   if outcome is None or event.outcome == outcome)

    def wait_ok(self, more, timeout=30):
        """Until so many more requests are answered 200 or 202."""
        def good():
            return self.count("ok") + self.count("queued")
        before = good()
        wait_for(lambda: good() >= before + more, timeout,
                 f"{more} more good answers")

    def address(self):
        """Of the next connection."""
        return self.host, self.port

    def keep(self, events):
        """What became of a request's records."""
        self.events.extend(events)

    async def again(self, events):
        """Whether the same records are sent once more, elsewhere."""
        return False

    def _main(self):
        asyncio.run(self._all())

    async def _all(self):
        await asyncio.gather(*(self._one(number)
                               for number in range(self.connections)))

    async def _one(self, number):
        reader = writer = None
        sequence = 0
        events = None
        if self.pause:      # or all would begin in one burst
            await asyncio.sleep(self.pause * number / self.connections)
        while not self._stop or events:
            if writer is None:
                try:
                    reader, writer = await asyncio.wait_for(
                        asyncio.open_connection(*self.address()),
                        self.timeout)
                except (OSError, asyncio.TimeoutError):
                    self.refused += 1
                    if self._stop:
                        break
                    await asyncio.sleep(0.05)
                    continue
            if events is None:
                events = self._fresh(number, sequence)
                sequence += len(events)
            for event in events:
                event.start = time.monotonic()
                event.outcome = "maybe"
            try:
                alive = await asyncio.wait_for(
                    self._send(events, reader, writer), self.timeout)
            except (OSError, asyncio.TimeoutError, ValueError,
                    asyncio.IncompleteReadError):
                alive = False
            for event in events:
                event.end = time.monotonic()
            if not self._stop and await self.again(events):
                alive = False
            else:
                self.keep(events)
                events = None
            if not alive:
                writer.close()
                reader = writer = None
            if self.pause:
                await asyncio.sleep(self.pause)
        if events:
            self.keep(events)
        if writer is not None:
            writer.close()

    def _fresh(self, number, sequence):
        events = []
        for one in range(sequence, sequence + (self.batch or 1)):
            ident = f"{self.run_id}-{number}-{one}"
            key = str(random.randrange(self.keys)) if self.keys else ""
            events.append(Event(ident, key, self.make(ident, key).encode(),
                                0.0))
        return events

    def answered(self, events, status, answer):
        settle(events, status, answer)

    def fields(self, events):
        """More header fields of a request."""
        return {} if self.keepalive else {"Connection": "close"}

    async def _send(self, events, reader, writer):
        key = "" if self.batch else events[0].key
        path = self.path + (f"?key={key}" if key else "")
        body = b"\n".join(event.body for event in events)
        more = "".join(f"{name}: {value}\r\n" for name, value
                       in self.fields(events).items())
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: load\r\n{more}"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        status = int(lines[0].split()[1])
        names = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            names[name.lower()] = value.strip()
        if "content-length" in names:
            text = await reader.readexactly(int(names["content-length"]))
        elif names.get("transfer-encoding") == "chunked":
            text = b""
            while size := int(await reader.readline(), 16):
                text += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            text = await reader.read()
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        self.answered(events, status, answer)
        return names.get("connection", "").lower() != "close"


def p99(events):
    taken = sorted(event.end - event.start for event in events)
    return taken[len(taken) * 99 // 100]


def check_answers(events, only=None):
    """Every answer was truthful; with only, all are among these outcomes."""
    bad = [event for event in events if event.outcome == "untruthful"]
    assert not bad, f"{len(bad)} untruthful answers, the first: {bad[0]}"
    if only:
        bad = [event for event in events if event.outcome not in only]
        assert not bad, \
            f"{len(bad)} of {len(events)} answers are not {only}: {bad[:3]}"


def check_stored(events, stored):
    """Invariants 1 and 2.  stored: pairs of id and body, as found."""
    found = collections.Counter()
    bodies = {}
    for ident, body in stored:
        found[ident] += 1
        bodies[ident] = body
    known = {event.id: event for event in events}
    alien = [ident for ident in found if ident not in known]
    assert not alien, f"{len(alien)} records were never sent: {alien[:3]}"
    for event in events:
        times = found[event.id]
        if event.outcome == "ok":
            assert times == 1, f"answered 200, stored {times} times: {event}"
        elif event.outcome == "fail":
            assert times == 0, f"refused, yet stored: {event}"
        else:
            assert times <= 1, f"stored {times} times: {event}"
        if times:
            assert bodies[event.id] == event.body, f"bytes differ: {event}"


def check_order(events):
    """Invariant 3: of one key, what was answered before another was sent
    comes before it."""
    by_key = collections.defaultdict(list)
    for event in events:
        if event.outcome == "ok" and event.key and event.offset is not None:
            by_key[event.key].append(event)
    for key, mine in by_key.items():
        assert len({event.partition for event in mine}) == 1, \
            f"key {key} is in several partitions"
        ended = iter(sorted(mine, key=lambda event: event.end))
        earlier = next(ended, None)
        highest = -1
        for event in sorted(mine, key=lambda event: event.start):
            while earlier is not None and earlier.end < event.start:
                highest = max(highest, earlier.offset)
                earlier = next(ended, None)
            assert event.offset > highest, f"out of order: {event}"


def check_topic(events, records):
    """Invariants 1 to 3 against a topic's records; an answer names the
    record it stands for."""
    check_answers(events)
    check_stored(events, ((json.loads(record.value)["id"], record.value)
                          for record in records))
    places = {(record.partition, record.offset): record.value
              for record in records}
    for event in events:
        if event.outcome == "ok" and event.offset is not None:
            assert places.get((event.partition, event.offset)) \
                == event.body, f"not at its place: {event}"
    check_order(events)


def accounted(database):
    """Records that the committed transactions accounted for."""
    return database.try_count("sluice.batches") and int(database.value(
        "SELECT coalesce(sum(records), 0) FROM sluice.batches"))


def wait_accounted(database, count, timeout=30):
    wait_for(lambda: accounted(database) == count, timeout,
             f"{count} records are accounted for")


def check_coverage(database, table, topic, group):
    """Invariant 4: every offset below the kept one is a row, a dead letter
    or a stored gap, and sluice.batches says the same; sluice-consumer's
    verify has to agree.  The table has the columns part and off."""
    group = f"{group}@{database.name}"
    kept = dict(database.query(
        "SELECT partition, next_offset FROM sluice.offsets"
        " WHERE topic = %s AND group_id = %s", topic, group))
    rows = database.query(f"SELECT part, off FROM {table}")
    dead = database.query(
        'SELECT partition, "offset" FROM sluice.dead_letters'
        " WHERE topic = %s AND group_id = %s", topic, group)
    seen = collections.Counter(map(tuple, rows + dead))
    twice = [place for place, times in seen.items() if times > 1]
    assert not twice, f"stored more than once: {twice[:3]}"
    beyond = [place for place in seen if place[1] >= kept.get(place[0], 0)]
    assert not beyond, f"stored beyond the kept offset: {beyond[:3]}"
    for partition, next_offset in kept.items():
        ranges = database.query(
            f"SELECT f, n, kind, records, dead_letters FROM {RANGES}"
            " WHERE topic = %s AND group_id = %s AND partition = %s"
            " AND table_name = %s ORDER BY f",
            topic, group, partition, table)
        gaps = set()
        for first, behind, kind, _, _ in ranges:
            if kind == "gap":
                gaps.update(range(first, behind))
        assert not any((partition, offset) in seen for offset in gaps), \
            f"in a gap: {ranges}"
        # gaps lie within the ranges of records around them, or before
        expected = ranges[0][0] if ranges else next_offset
        for first, behind, kind, records, dead_letters in ranges:
            if kind == "gap":
                continue
            assert gaps.issuperset(range(expected, first)) \
                and first >= expected, f"sluice.batches: {ranges}"
            expected = behind
            inside = sum((partition, offset) in seen
                         for offset in range(first, behind))
            missing = len(gaps.intersection(range(first, behind)))
            assert inside + missing == behind - first, \
                f"partition {partition} lacks records: {ranges}"
            assert inside in (records, records + dead_letters)
        assert gaps.issuperset(range(expected, next_offset)) \
            and expected <= next_offset, f"sluice.batches: {ranges}"
    Daemon.latest[database.name, topic, group, table].verify()
