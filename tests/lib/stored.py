"""`kafka_ack stored`: nginx, Kafka, a daemon and a table, and load that looks
into the table behind each answer."""

import asyncio
import collections
import json

import psycopg2

from tests.lib.env import wait_for
from tests.lib.history import Load, check_coverage, outcome_of
from tests.lib.problem import assert_problem

HTTP = """
    kafka_producer main {
        brokers        %%KAFKA%%;
        timeout        2s;
        topic          %%TOPIC%% partitions=4 replication=1 create;
        kafka_receipts %%RECEIPTS%% group=%%GROUP%% %%CREATE%%;
    }
    kafka_drain_timeout 60s;
    kafka_max_records   5000;
    client_max_body_size 8m;
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        kafka_topic   %%TOPIC%%;
        kafka_format  json;
        kafka_timeout %%WAIT%%;
        kafka_ack     stored;
        location = / { kafka_pass main; }
        location = /key {
            kafka_pass main;
            kafka_key  $arg_key;
        }
        location = /at {
            kafka_pass      main;
            kafka_timestamp $arg_ms;
        }
        location = /batch {
            kafka_pass   main;
            kafka_key    $arg_key;
            kafka_format ndjson;
        }
        location = /event {
            kafka_pass   main;
            kafka_format cloudevents;
        }
        location = /delivered {
            kafka_pass main;
            kafka_ack  delivered;
        }
        location = /status { kafka_status json; }
        location = /metrics { kafka_status prometheus; }
    }
"""

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "batch": {"rows": 1000, "linger": "5ms"},
    # a killed member's partitions are free after a second
    "kafka": {"session.timeout.ms": "1000", "heartbeat.interval.ms": "200"},
    "dead_letters": {"hold_above": 1},
    "columns": {
        "id": {"path": "/id", "type": "text", "required": True},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}
TABLE = ("CREATE TABLE t (id text UNIQUE CHECK (id NOT LIKE 'bad%'),"
         " part integer, off bigint)")


class Way:
    """nginx, a topic, its receipts, a daemon and a table."""

    def __init__(self, nginx, consumer, kafka, topics, database,
                 table=TABLE, config=None, start=True, wait="3s",
                 create="create", **more):
        self.topics, self.database = topics, database
        self.topic, self.receipts = topics.name(), topics.name()
        if table:
            database.query(table)
        more.setdefault("workers", 1)
        self.nginx = nginx(HTTP, TOPIC=self.topic, RECEIPTS=self.receipts,
                           GROUP=f"g@{database.name}", WAIT=wait, CREATE=create,
                           KAFKA=kafka.bootstrap, **more)
        wait_for(lambda: topics.partitions(self.topic) == 4, 20, "the topic")
        whole = {**CONFIG, "topic": self.topic,
                 "receipts": {"topic": self.receipts}, **(config or {})}
        whole = {key: value for key, value in whole.items() if value}
        self.make = lambda **other: consumer(
            whole, broker=kafka, conninfo=database.conninfo, **other)
        self.daemon = self.make() if start else None
        if start:
            self.ready()

    def state(self):
        return self.nginx.get("/status").json["producers"][0]["receipts"]

    def ready(self):
        """Until receipts are read, and a record has one."""
        workers = self.nginx.names["WORKERS"]
        wait_for(lambda: self.state()["reading"] == workers, 30,
                 "receipts are read")
        wait_for(lambda: self.post({"id": "ready"}, "/key?key=0").status
                 in (200, 422), 30, "a receipt")
        return self

    def post(self, record, path="/", headers=None):
        return self.nginx.post(path, json.dumps(record).encode(), headers)

    def dead_letters(self):
        return {(partition, offset): (state, reason)
                for partition, offset, state, reason in self.database.query(
                    'SELECT partition, "offset", sqlstate, reason'
                    " FROM sluice.dead_letters WHERE topic = %s", self.topic)}

    def refused(self, answer, sqlstate):
        """A 422 that names a dead letter as it is in its table."""
        problem = assert_problem(answer, 422, "dead-letter", "not-a-row")
        place = problem["partition"], problem["offset"]
        assert self.dead_letters()[place] \
            == (sqlstate, problem["reason"]), problem
        assert problem["sqlstate"] == sqlstate and problem["reason"]
        return problem

    def load(self, load, connections=8, path="/", **more):
        return load(self.nginx.port, path, connections=connections,
                    kind=Asker, database=self.database, topic=self.topic,
                    **more)

    def check(self, events, told=(), timeout=60):
        """Each answer was true when it came, and still is at the end.
        told: how many answers of a kind there have to be at least."""
        count = collections.Counter(event.outcome for event in events)
        lies = [event.lie for event in events if hasattr(event, "lie")]
        assert not lies, f"{len(lies)} lies, the first: {lies[0]}"
        assert not count["untruthful"], \
            [e for e in events if e.outcome == "untruthful"][:3]
        for outcome in told:
            assert count[outcome], f"no answer is {outcome}: {count}"
        wait_for(lambda: self.accounted() == self.topics.count(self.topic),
                 timeout, "the lag is 0")
        rows = collections.Counter(
            ident for ident, in self.database.query("SELECT id FROM t"))
        letters = self.dead_letters()
        for event in events:
            times = rows[event.id]
            if event.outcome == "ok":
                assert times == 1, f"answered 200, {times} rows: {event}"
            elif event.outcome == "dead":
                assert (event.partition, event.offset) in letters, event
            elif event.outcome == "pending":
                assert times == 1 or (event.partition, event.offset) \
                    in letters, f"answered 202, and gone: {event}"
            elif event.outcome == "fail":
                assert times == 0, f"refused, yet stored: {event}"
            else:
                assert times <= 1, f"{times} rows: {event}"
        return count

    def accounted(self):
        """Records that are rows or dead letters."""
        return self.database.try_count("t") \
            + self.database.try_count("sluice.dead_letters")

    def coverage(self):
        check_coverage(self.database, "t", self.topic, "g")


class Asker(Load):
    """Each time answers have come, one SELECT of another connection looks
    for what they say.  While PostgreSQL is away it looks as soon as it is
    back."""

    def __init__(self, *words, database, topic, **more):
        super().__init__(*words, **more)
        self.database = database
        self.topic = topic
        self.looks = 0
        self._said = []         # (event, result) to look for
        self._session = None
        self._due = False

    def answered(self, events, status, answer):
        super().answered(events, status, answer)
        if not isinstance(answer, dict):
            return
        results = answer.get("results", [answer])
        if len(results) != len(events):
            return
        for event, result in zip(events, results):
            event.outcome = said_of(result.get("status", status), result)
            event.partition = result.get("partition")
            event.offset = result.get("offset")
            if event.outcome in ("ok", "dead"):
                self._said.append((event, result))
        if self._said and not self._due:
            # once, behind all answers of this turn
            self._due = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self):
        self._due = False
        said = self._said
        try:
            rows, letters = self._select(said)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            self._session = None
            self._due = True
            asyncio.get_running_loop().call_later(0.05, self._look)
            return
        self.looks += 1
        self._said = []
        for event, result in said:
            place = event.partition, event.offset
            if event.outcome == "ok" and (event.id, *place) not in rows:
                event.lie = f"200, and no row: {event}"
            if event.outcome == "dead" \
                    and letters.get(place) != result["sqlstate"]:
                event.lie = f"422, and no dead letter: {event} {result}"

    def _select(self, said):
        if self._session is None:
            self._session = self.database.postgres.connect(self.database.name)
        with self._session.cursor() as cursor:
            cursor.execute(
                "SELECT id, part, off FROM t WHERE id = ANY(%s)",
                ([event.id for event, _ in said],))
            rows = set(cursor.fetchall())
            letters = {}
            if any(event.outcome == "dead" for event, _ in said):
                cursor.execute(
                    'SELECT partition, "offset", sqlstate FROM'
                    ' sluice.dead_letters WHERE topic = %s AND "offset" ='
                    " ANY(%s)",
                    (self.topic, [event.offset for event, _ in said]))
                letters = {(partition, offset): state for partition, offset,
                           state in cursor.fetchall()}
        return rows, letters

    async def _all(self):
        await super()._all()
        while self._said:
            await asyncio.sleep(0.02)
        if self._session:
            self._session.close()


def said_of(status, answer):
    """The outcome of one record where a row was asked for."""
    stored = answer.get("stored")
    if status == 200:
        return "ok" if stored == "row" else "untruthful"
    if status == 202:
        return "pending" if stored == "pending" \
            and answer.get("persisted") == "yes" else "untruthful"
    if status == 422 and answer.get("persisted") == "dead-letter":
        return "dead" if answer.get("sqlstate") else "untruthful"
    return outcome_of(status, answer)
