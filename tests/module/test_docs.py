"""What docs/how-to/secure.md shows as configuration is one."""

import base64
import re

import pytest

from tests.lib.env import ROOT

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    %%EXAMPLE%%
"""


@pytest.fixture
def served(nginx, topic, directory):
    """A server with the example against foreign sites."""
    users = directory / "users"
    users.write_text("ann:{PLAIN}x\nbob:{PLAIN}x\n", encoding="ascii")
    text = (ROOT / "docs/how-to/secure.md").read_text(encoding="utf-8")
    example, = re.findall(r"\n\n((?:    .*\n|\n(?=    ))+)", text)
    assert "server {" in example
    return nginx(CONF, TOPIC=topic, EXAMPLE=example
                 .replace("server {", "server { listen 127.0.0.1:%%PORT%%;")
                 .replace("/etc/nginx/users", str(users))
                 .replace("kafka_topic            events;",
                          f"kafka_topic {topic};"))


def post(served, user="ann", **headers):
    """As a user with the password "x"."""
    headers["Authorization"] = "Basic " + base64.b64encode(
        f"{user}:x".encode()).decode()
    return served.post("/events", b"x", {
        name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_site_cannot_post(served, topics, topic, site):
    assert post(served, Sec_Fetch_Site=site).status == 403
    assert served.post("/events", b"x", {}).status == 401
    for own in ({}, {"Sec_Fetch_Site": "same-origin"},
                {"Sec_Fetch_Site": "none"}):
        assert post(served, **own).status == 200
    assert topics.count(topic) == 3


def test_an_idempotency_key_is_the_users_own(served, topics, topic):
    """One user's key is never another's, and no key is none."""
    for user, headers in (("ann", {"Idempotency_Key": "1"}),
                          ("bob", {"Idempotency_Key": "1"}), ("ann", {})):
        assert post(served, user, **headers).status == 200
    assert [dict(record.headers) for record in topics.records(topic)] == [
        {"idempotency-key": b"ann:1", "user": b"ann"},
        {"idempotency-key": b"bob:1", "user": b"bob"},
        {"user": b"ann"}]
