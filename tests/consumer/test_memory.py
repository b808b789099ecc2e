"""Memory is bounded whatever the lag."""

from tests.lib import procs
from tests.lib.env import SANITIZED, loops, wait_for
from tests.lib.history import check_coverage


def test_a_backlog_is_stored_in_bounded_memory(consumer, topics, database,
                                               capsys):
    """1,000,000 records in make faults; the figure is printed."""
    count = loops(200000, 1000000)
    topic = topics.create(partitions=4)
    pad = "x" * 150
    topics.produce(topic, (f'{{"n":{n},"pad":"{pad}"}}'
                           for n in range(count)))
    config = {
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "create_table": True,
        "columns": {
            "n": {"path": "/n", "type": "integer"},
            "pad": {"path": "/pad", "type": "text"},
            "part": {"meta": "partition", "type": "integer"},
            "off": {"meta": "offset", "type": "bigint"},
        }}
    daemon = consumer(config)
    wait_for(lambda: database.try_count("t") == count, 300, "all rows",
             pause=0.2)
    peak = procs.peak_rss(daemon.pid) / 1024 / 1024
    with capsys.disabled():
        print(f"\n  {count} records behind: {peak:.0f} MiB at most")
    # prefetch 16 MB, two batches of at most 8 MB, and the program
    if not SANITIZED:
        assert peak < 100
    assert database.value("SELECT count(DISTINCT n) FROM t") == count
    check_coverage(database, "t", topic, "g")


def test_large_records_stay_within_the_bound(consumer, topics, database):
    count = loops(300, 3000)
    topic = topics.create(partitions=2)
    body = "y" * 900000
    topics.produce(topic, (f'{{"n":{n},"pad":"{body}"}}'
                           for n in range(count)))
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "create_table": True,
        "columns": {"n": {"path": "/n", "type": "integer"},
                    "size": {"path": "/pad", "type": "text"}}})
    wait_for(lambda: database.try_count("t") == count, 300, "all rows",
             pause=0.2)
    if not SANITIZED:
        assert procs.peak_rss(daemon.pid) < 120 * 1024 * 1024
    assert database.value("SELECT min(length(size)) FROM t") == len(body)


def test_a_backlog_while_postgres_is_locked_stays_bounded(consumer, topics,
                                                          database):
    """Nothing goes out; what comes in must stop."""
    database.query("CREATE TABLE t (n integer, pad text)")
    topic = topics.create(partitions=2)
    other = database.begin("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "columns": {"n": {"path": "/n", "type": "integer"},
                    "pad": {"path": "/pad", "type": "text"}}})
    daemon.wait_log(r".")
    pad = "z" * 1000
    count = 150000
    topics.produce(topic, (f'{{"n":{n},"pad":"{pad}"}}'
                           for n in range(count)))
    size = []

    def settled():
        size.append(procs.rss(daemon.pid))
        return len(size) > 20 and size[-1] <= size[-15] + 1024 * 1024
    wait_for(settled, 30, "memory stops growing", pause=0.1)
    if not SANITIZED:
        assert procs.peak_rss(daemon.pid) < 100 * 1024 * 1024
    other.rollback()
    other.close()
    wait_for(lambda: database.try_count("t") == count, 120, "all rows",
             pause=0.2)
