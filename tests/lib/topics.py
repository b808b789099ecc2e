"""Topics of one test: make, fill, read back, remove."""

import concurrent.futures
import dataclasses
import itertools
import json
import tempfile
import time
import uuid

import confluent_kafka
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from tests.lib.env import wait_for

# of a request to make a topic
NOT_NOW = (KafkaError.INVALID_REPLICATION_FACTOR,
           KafkaError.REQUEST_TIMED_OUT, KafkaError._TIMED_OUT,
           KafkaError._TRANSPORT)
# of a partition, while a client's metadata is behind or its leader is away
NOT_YET = (KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC,
           KafkaError._TIMED_OUT, KafkaError._TRANSPORT,
           KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION,
           KafkaError.UNKNOWN_TOPIC_OR_PART)


@dataclasses.dataclass(frozen=True)
class Record:
    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp: int
    headers: tuple


class Topics:
    def __init__(self, kafka):
        self.kafka = kafka
        self.made = []
        self._admin = None

    @property
    def admin(self):
        if self._admin is None:
            self._admin = AdminClient(
                {"bootstrap.servers": self.kafka.bootstrap,
                 "log_level": 0})
        return self._admin

    def name(self):
        """A name nobody uses; the topic, if made, goes with the test."""
        name = f"t-{uuid.uuid4().hex[:12]}"
        self.made.append(name)
        return name

    def create(self, partitions=1, config=None, name=None):
        name = name or self.name()
        new = NewTopic(name, partitions, 1, config=config or {})
        tries = itertools.count()
        wait_for(lambda: self._make(new, next(tries) > 0), 60,
                 f"topic {name} is made", 0.1)
        self._wait(name, partitions)
        return name

    def _make(self, new, tried):
        """Whether it is made.  A broker that a test before had stopped is
        fenced for a moment, or loses the request: then not, and a new client
        asks next."""
        try:
            self.admin.create_topics([new], request_timeout=10)[
                new.topic].result(15)
            return True
        except concurrent.futures.TimeoutError:
            pass
        except confluent_kafka.KafkaException as problem:
            code = problem.args[0].code()
            if tried and code == KafkaError.TOPIC_ALREADY_EXISTS:
                return True
            if code not in NOT_NOW:
                raise
        self._admin = None
        return False

    def delete(self, name):
        try:
            self.admin.delete_topics([name])[name].result(20)
        except confluent_kafka.KafkaException as problem:
            # the test before deleted it, and the metadata is behind
            if problem.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
        self._wait(name, 0)

    def add_partitions(self, name, count):
        """Until there are "count" of them."""
        self.admin.create_partitions([NewPartitions(name, count)])[
            name].result(20)
        self._wait(name, count)

    def remove(self, name, before):
        """The records of partition 0 below an offset, as retention does."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"version": 1, "partitions": [
                {"topic": name, "partition": 0, "offset": before}]}, file)
            file.flush()
            self.kafka.tool("org.apache.kafka.tools.DeleteRecordsCommand",
                            "--bootstrap-server", self.kafka.bootstrap,
                            "--offset-json-file", file.name)

    def partitions(self, name):
        """How many there are; 0: no such topic."""
        topics = self.admin.list_topics(timeout=20).topics
        return len(topics[name].partitions) if name in topics else 0

    def _wait(self, name, partitions):
        wait_for(lambda: self.partitions(name) == partitions, 20,
                 f"topic {name} has {partitions} partitions")

    def produce(self, name, records, timestamp=None):
        """records: values, or (key, value), with a partition and headers
        behind them."""
        failed = []
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": self.kafka.bootstrap, "log_level": 0,
             # librdkafka 2.0.2 reports a record that is in no log as
             # delivered where a fresh topic refuses one batch in flight
             # and takes the next
             "enable.idempotence": True, "linger.ms": 5,
             "max.in.flight.requests.per.connection": 1,
             "message.max.bytes": 100000000,
             "queue.buffering.max.messages": 10000000})

        def report(error, message):
            # without an offset a duplicate was answered: in no log, perhaps
            if error is not None or message.offset() < 0:
                failed.append(error or "no offset")

        for record in records:
            if not isinstance(record, tuple):
                record = (None, record)
            key, value, partition, headers = (record + (None, None))[:4]
            more = {} if partition is None else {"partition": partition}
            if headers:
                more["headers"] = headers
            if timestamp is not None:
                more["timestamp"] = timestamp
            while True:
                try:
                    producer.produce(name, value, key, on_delivery=report,
                                     **more)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        assert producer.flush(60) == 0
        assert not failed, failed[0]

    def records(self, name, timeout=60):
        """Every record of the topic, in order of partition and offset."""
        reader = confluent_kafka.Consumer(
            {"bootstrap.servers": self.kafka.bootstrap, "log_level": 0,
             "group.id": f"reader-{uuid.uuid4().hex}",
             "enable.auto.commit": False, "enable.partition.eof": True,
             "fetch.wait.max.ms": 10, "message.max.bytes": 100000000,
             "fetch.message.max.bytes": 100000000,
             "fetch.max.bytes": 200000000,
             "receive.message.max.bytes": 300000000})
        found = []
        end = time.monotonic() + timeout
        try:
            # by offset: librdkafka looks for the beginning half a second late
            ends = self._ends(reader, name)
            open_partitions = set(range(len(ends)))
            reader.assign([confluent_kafka.TopicPartition(name, number, low)
                           for number, (low, _) in enumerate(ends)])
            while open_partitions:
                assert time.monotonic() < end, f"could not read {name}"
                for message in reader.consume(1000, 0.02):
                    error = message.error()
                    if error is None:
                        found.append(Record(
                            message.partition(), message.offset(),
                            message.key(), message.value(),
                            message.timestamp()[1],
                            tuple(message.headers() or ())))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        open_partitions.discard(message.partition())
                    else:
                        raise AssertionError(error.str())
        finally:
            reader.close()
        return sorted(found, key=lambda r: (r.partition, r.offset))

    def count(self, name):
        """Records now in the topic, by its offsets."""
        reader = confluent_kafka.Consumer(
            {"bootstrap.servers": self.kafka.bootstrap, "log_level": 0,
             "group.id": "count"})
        try:
            return sum(high - low for low, high in self._ends(reader, name))
        finally:
            reader.close()

    def _ends(self, reader, name):
        """The first and the next offset of each partition, once the reader
        knows them all: a broker that was stopped tells of them late."""
        def one(number):
            try:
                return reader.get_watermark_offsets(
                    confluent_kafka.TopicPartition(name, number), 20)
            except confluent_kafka.KafkaException as problem:
                if problem.args[0].code() not in NOT_YET:
                    raise
                return None

        count = wait_for(lambda: self.partitions(name), 20,
                         f"there is a topic {name}")
        return [wait_for(lambda n=number: one(n), 60,
                         f"partition {number} of {name} is known", 0.1)
                for number in range(count)]

    def clean(self):
        if not self.made or not self.kafka.alive():
            return
        for future in self.admin.delete_topics(self.made).values():
            try:
                future.result(10)
            except (confluent_kafka.KafkaException,
                    concurrent.futures.TimeoutError):
                pass        # never made, or removed by the test itself
