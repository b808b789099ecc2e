"""What the tests' own helpers promise."""

import confluent_kafka
import pytest

from tests.lib import topics as lib


@pytest.mark.parametrize("code", [
    confluent_kafka.KafkaError._UNKNOWN_PARTITION,
    confluent_kafka.KafkaError._TRANSPORT])
def test_a_read_back_waits_for_its_partitions(topics, monkeypatch, code):
    """As after a broker was stopped: the metadata comes late."""
    name = topics.create(partitions=2)
    topics.produce(name, [b"a", b"b"])
    early = []

    class Late(confluent_kafka.Consumer):
        def get_watermark_offsets(self, partition, *more):
            if partition.partition not in early:
                early.append(partition.partition)
                raise confluent_kafka.KafkaException(
                    confluent_kafka.KafkaError(code))
            return super().get_watermark_offsets(partition, *more)

    monkeypatch.setattr(lib.confluent_kafka, "Consumer", Late)
    assert {record.value for record in topics.records(name)} == {b"a", b"b"}
    early.clear()
    assert topics.count(name) == 2
    assert early == [0, 1]
