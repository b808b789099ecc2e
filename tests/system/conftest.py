"""Fixtures of the tests that load examples/nginx, and the browser."""

import pytest

from tests.lib import examples
from tests.lib.browser import Browser


@pytest.fixture
def event_topics(topics):
    """The topics that the examples name; empty."""
    for name in examples.TOPICS:
        if topics.partitions(name):
            topics.delete(name)
        topics.create(name=name)
        topics.made.append(name)
    return topics


@pytest.fixture
def example(nginx, event_topics):
    """Starts nginx with one of the files."""

    def start(name, replaced=None, more="", **names):
        return nginx(examples.text(name, replaced or {}) + more, **names)

    return start


@pytest.fixture(scope="session")
def chromium(run_directory):
    browser = Browser(run_directory / "chromium")
    try:
        yield browser.start()
    finally:
        browser.stop()
