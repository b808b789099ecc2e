"""Instructions of the hot path, under callgrind, do not creep up."""

import os
import sys

import pytest

from tests.lib.env import CONSUMER, MODULE, ROOT, SANITIZED

sys.path.insert(0, str(ROOT / "bench"))
import counts    # noqa: E402

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers count too")


def check(found):
    measured = counts.own(found)
    assert measured and all(count > 0 for count in measured.values()), found
    lines, grown = counts.compare(measured)
    print("\n".join(lines))
    assert not grown, "\n".join(lines + [
        "where it goes: callgrind_annotate build/bench/counts/*.callgrind "
        "behind make bench-count; a growth that is worth it is kept by "
        "bench/count --write"])


def test_instructions_a_request_and_a_record(directory, kafka, topic):
    os.chmod(directory, 0o755)
    check(counts.requests(directory, MODULE, kafka.bootstrap, topic))


def test_instructions_a_row(directory, kafka, topic, database):
    database.query(counts.TABLE)
    counts.fill(kafka.bootstrap, topic)
    check(counts.rows(
        directory, CONSUMER, kafka.bootstrap, topic, database.conninfo,
        lambda: database.query("select count(*) from counted")[0][0]))
