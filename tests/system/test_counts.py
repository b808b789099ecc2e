"""Instructions of the hot path, under callgrind, do not creep up."""

import os
import sys

import pytest

from tests.lib.env import CONSUMER, MODULE, ROOT, SANITIZED

sys.path.insert(0, str(ROOT / "bench"))
import counts    # noqa: E402

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers count too")


def check(measure, directory):
    """The least of three: a busy machine only adds, as to histograms."""
    measured = {}
    for turn in range(3):
        home = directory / str(turn)
        home.mkdir()
        home.chmod(0o755)
        for name, count in counts.own(measure(home)).items():
            measured[name] = min(count, measured.get(name, count))
        assert all(count > 0 for count in measured.values())
        lines, grown = counts.compare(measured)
        if not grown:
            break
    print("\n".join(lines))
    assert not grown, "\n".join(lines + [
        "where it goes: callgrind_annotate build/bench/counts/*.callgrind "
        "behind make bench-count; a growth that is worth it is kept by "
        "bench/count --write"])


def test_instructions_a_request_and_a_record(directory, kafka, topic):
    os.chmod(directory, 0o755)
    check(lambda home: counts.requests(home, MODULE, kafka.bootstrap, topic),
          directory)


@pytest.mark.parametrize("name", counts.TABLES)
def test_instructions_a_row(directory, kafka, topic, database, name):
    database.query(f"CREATE TABLE counted ({counts.TABLES[name][1]})")
    counts.fill(kafka.bootstrap, topic, name)

    def measure(home):
        # a group of its own reads the topic anew
        database.query("TRUNCATE counted")
        return counts.rows(
            home, CONSUMER, kafka.bootstrap, topic, database.conninfo,
            lambda: database.query("SELECT count(*) FROM counted")[0][0],
            name, f"{topic}-{home.name}")

    check(measure, directory)
