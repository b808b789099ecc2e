"""Avro as a public client writes it: Confluent's serializer, with its frame
and its calls to the registry, in a Python environment of its own."""

import pickle
import subprocess

from tests.lib.env import ROOT

SCRIPT = """
import pickle, sys
from confluent_kafka.schema_registry import Schema, SchemaReference
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import SerializationContext
url, topic, field, schema, references, values = pickle.load(sys.stdin.buffer)
schema = Schema(schema, "AVRO", [SchemaReference(*one) for one in references])
make = AvroSerializer(SchemaRegistryClient({"url": url}), schema)
context = SerializationContext(topic, field)
pickle.dump([make(value, context) for value in values], sys.stdout.buffer)
"""


def serialize(registry, topic, schema, values, field="value", references=()):
    """The bytes of each value; a new schema is registered.  References are
    (name, subject, version)."""
    made = subprocess.run([ROOT / "stack" / "venv", "tests/registry.pip"],
                          cwd=ROOT, capture_output=True, timeout=400)
    assert made.returncode == 0, made.stdout + made.stderr
    done = subprocess.run(
        [made.stdout.decode().strip() + "/bin/python", "-c", SCRIPT],
        input=pickle.dumps((registry.url, topic, field, schema,
                            list(references), list(values))),
        capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)
