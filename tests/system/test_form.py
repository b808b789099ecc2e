"""examples/signup in a real browser: a page shows what the database says."""

import json

import pytest

from tests.lib import examples
from tests.lib.env import ROOT, wait_for

HOME = ROOT / "examples" / "signup"
PRODUCER = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 2s;
        {topic}
        kafka_receipts sluice-receipts group={group} create;
    }
    types { text/html html; }
"""
FILL = """
    const [email, name] = args;
    const form = document.querySelector("form");
    form.email.value = email;
    form.name.value = name;
    form.querySelector("button").click();
"""
SAID = "return document.querySelector('output').value"


@pytest.fixture
def signup(nginx, consumer, topics, database, chromium):
    """The page of these very files, open in the browser."""
    topics.made += ["signup", "sluice-receipts"]
    for name in topics.made:
        if topics.partitions(name):
            topics.delete(name)
    database.query((HOME / "table.sql").read_text())
    config = json.loads((HOME / "signup.json").read_text())
    for name in ("kafka", "postgres", "listen"):
        del config[name]
    producer = PRODUCER.replace("{group}", f"signup@{database.name}").replace(
        "{topic}", (HOME / "topic.conf").read_text().replace(
            "schema=", f"schema={ROOT}/"))
    server = nginx(examples.text("signup", {
        "/var/www/signup": str(HOME),
        "kafka_timeout  8s": "kafka_timeout  4s"}, producer))
    server.daemon = consumer(config).wait_healthy()
    chromium.console()      # what the tests before left there
    chromium.open(f"http://127.0.0.1:{server.port}/")
    return server


def says(chromium, email, name, what):
    chromium.run(FILL, email, name)
    wait_for(lambda: what in chromium.run(SAID), 20, what)


def test_a_page_shows_what_the_database_says(signup, chromium, database):
    says(chromium, "ann@example.com", "Ann", "Your account is there")
    assert database.query("SELECT email, name FROM signup") \
        == [("ann@example.com", "Ann")]
    says(chromium, "ann@example.com", "Bob", "has an account already")
    says(chromium, "nowhere", "Bob", "not an e-mail address")
    assert sorted(database.query(
        "SELECT sqlstate FROM sluice.dead_letters")) \
        == [("23505",), ("23514",)]
    says(chromium, "bob@example.com", "Bob", "Your account is there")
    assert database.query("SELECT email, name FROM signup ORDER BY 1") \
        == [("ann@example.com", "Ann"), ("bob@example.com", "Bob")]
    # the browser's own line for a 422, and nothing of the page's
    lines = chromium.console().splitlines()
    assert all("422" in line for line in lines), lines


def test_a_page_tells_when_nobody_knows_yet(signup, chromium, database):
    """The daemon is away: the account comes later, once."""
    says(chromium, "ann@example.com", "Ann", "Your account is there")
    signup.daemon.pause()
    says(chromium, "eve@example.com", "Eve", "will be there soon")
    assert database.try_count("signup") == 1
    signup.daemon.resume()
    wait_for(lambda: database.try_count("signup") == 2, 20, "the account")
