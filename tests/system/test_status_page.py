"""The status page, in Chromium, as nginx.conf.example serves it."""

import base64
import os
import re
import signal
import time

import pytest

from tests.lib import procs
from tests.lib.env import BUILD, LONG, ROOT, wait_for

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
        }
        location = /status { kafka_status json; }
        location = /old    { kafka_status html; }
        %%PAGE%%
    }
"""
CONTRAST = """
    const part = c => (c /= 255) <= 0.04045 ? c / 12.92
                                            : ((c + 0.055) / 1.055) ** 2.4;
    const light = color => {
        const [r, g, b] = color.match(/[0-9.]+/g).map(Number).map(part);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const under = node => {
        const color = getComputedStyle(node).backgroundColor;
        return /, 0\\)$/.test(color) && node.parentElement
            ? under(node.parentElement) : color;
    };
    return [...document.querySelectorAll('h1, h2, th, td, b, span, li')]
        .filter(node => node.offsetParent).map(node => {
            const pair = [light(getComputedStyle(node).color),
                          light(under(node))].sort((a, b) => b - a);
            return [(pair[0] + 0.05) / (pair[1] + 0.05),
                    node.textContent];
        }).sort((a, b) => a[0] - b[0])[0];
"""


def served(conf):
    """With the page's own location of nginx.conf.example."""
    example = (ROOT / "nginx.conf.example").read_text()
    location = re.search(r"location ~ \^/status\\..*?\n        \}\n", example,
                         re.S)[0]
    assert "/usr/local/share/sluice;" in location
    return conf.replace("%%PAGE%%", location.replace(
        "/usr/local/share/sluice", str(ROOT / "share" / "sluice")))


def address(server, name="status.html"):
    return f"http://127.0.0.1:{server.port}/{name}"


@pytest.fixture
def page(chromium):
    """The browser, as others left it and will find it."""
    chromium.console()
    yield chromium
    chromium.open("about:blank")
    chromium.cdp("Emulation.clearDeviceMetricsOverride")
    chromium.cdp("Emulation.setEmulatedMedia", features=[])
    chromium.console()


def text(page, id):
    return page.run(f"return document.getElementById('{id}').innerText")


def tiles(page):
    return page.run("""return Object.fromEntries(
        [...document.querySelectorAll('.tile')].map(t =>
            [t.querySelector('span').textContent,
             t.querySelector('b').textContent]))""")


def test_the_page_shows_what_happens_by_itself(nginx, own_kafka, own_topics,
                                               page, load):
    name = own_topics.create()
    server = nginx(served(CONF), TOPIC=name, KAFKA=own_kafka.bootstrap, workers=2)
    server.expect("exited on signal")
    page.resize(1100, 900)
    page.open(address(server))
    wait_for(lambda: text(page, "state") == "serving", 20, "it serves")
    one = load(server.port, "/", connections=2, rate=50)
    wait_for(lambda: "\u2013" not in tiles(page).values()
             and float(tiles(page)["requests / s"]) > 1, 30, "it moves")
    assert server.post("/", b"{").status == 400
    wait_for(lambda: "not-json" in text(page, "errors"), 20, "an error")
    assert name in text(page, "topics")
    assert "it has one replica" in text(page, "list")
    assert own_kafka.bootstrap in text(page, "brokers")
    assert "ms" in text(page, "brokers")
    assert "2 of 2" in text(page, "producers")
    for pid in server.workers():
        assert str(pid) in text(page, "workers")

    victim = server.worker()
    os.kill(victim, signal.SIGKILL)
    procs.wait_gone([victim], 20)
    wait_for(lambda: str(victim) not in text(page, "workers"), 20,
             "the killed one is gone")
    one.stop()
    own_kafka.kill()
    wait_for(lambda: text(page, "state") == "no broker is connected", 40,
             "it says so")
    loaded = page.run("""return [...new Set(performance.getEntries()
        .filter(e => e.name.startsWith('http')).map(e => e.name))]""")
    assert set(loaded) == {address(server, name) for name in (
        "status", "status.html", "status.css", "status.js")}
    assert page.console() == ""
    server.stop()
    wait_for(lambda: text(page, "state").startswith("no news"), 20,
             "nobody answers")


def test_its_policy_lets_nothing_else_in(nginx, topic, page):
    server = nginx(served(CONF), TOPIC=topic, KAFKA="127.0.0.1:1")
    kinds = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
    for end, kind in kinds.items():
        answer = server.get(f"/status.{end}")
        assert answer.status == 200
        assert answer.headers["content-type"].split(";")[0] == kind
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; connect-src 'self'; ")
        assert "unsafe" not in policy and "http" not in policy
    page.open(address(server))
    wait_for(lambda: text(page, "producers"), 20, "it is drawn")
    assert page.console() == ""
    # a script that somebody put in would not run
    page.driver.execute_script("""const script = document.createElement(
        'script'); script.textContent = 'window.evil = 1';
        document.body.append(script);""")
    assert not page.driver.execute_script("return window.evil")
    assert "Content Security Policy" in page.console()


def test_the_old_address_leads_to_the_page(nginx, topic, page):
    server = nginx(served(CONF), TOPIC=topic, KAFKA="127.0.0.1:1")
    page.open(address(server, "old"))
    assert page.run("return location.href") == address(server)
    wait_for(lambda: text(page, "producers"), 20, "it is drawn")


def test_it_can_be_read_on_a_phone_by_day_and_by_night(nginx, topic, page):
    server = nginx(served(CONF), TOPIC=topic)
    assert server.post("/", b"{}").status == 200
    assert server.post("/", b"{").status == 400
    wait_for(lambda: "warning" in server.get(
        "/status").json["producers"][0]["topics"][0], 20, "weak")
    for width in (1100, 360):
        page.resize(width, 800)
        for scheme in ("light", "dark"):
            page.prefer(scheme)
            page.open(address(server))
            wait_for(lambda: topic in text(page, "topics"), 20, "rows")
            wide, seen = page.run(
                "return [document.documentElement.scrollWidth, innerWidth]")
            assert wide <= seen == width
            worst, words = page.run(CONTRAST)
            # WCAG 2.2, 1.4.3
            assert worst >= 4.5, (scheme, words)
            dark = page.run("return getComputedStyle(document.body)"
                                ".backgroundColor") == "rgb(18, 22, 28)"
            assert dark == (scheme == "dark")
    assert page.console() == ""


@pytest.mark.skipif(not LONG, reason="only in make faults")
def test_a_minute_of_load_as_the_manual_shows_it(nginx, own_kafka,
                                                 own_topics, page, load):
    """Leaves the picture that docs/status.png is a copy of."""
    for name in ("post", "order"):
        own_topics.create(name=name, partitions=4)
    both = served(CONF).replace("topic   %%TOPIC%%;", "topic post; topic order;") \
        .replace("location = / {", "location ~ ^/(?<topic>post|order)$ {") \
        .replace("%%TOPIC%%", "$topic")
    server = nginx(both, KAFKA=own_kafka.bootstrap, workers=2)
    page.resize(1000, 800)
    page.open(address(server))
    loads = [load(server.port, "/post", connections=4, rate=200),
             load(server.port, "/order", connections=2, rate=40)]
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert server.post("/post", b"{").status == 400
        time.sleep(2)
    shown = tiles(page)
    assert 150 < float(shown["requests / s"]) < 300
    assert 150 < float(shown["records kept / s"]) < 300
    assert shown["records failed / s"] == "0"
    assert shown["latency, median"].endswith("ms")
    assert "overloaded" not in text(page, "errors")
    height = page.run("return document.documentElement.scrollHeight")
    page.resize(1000, height)
    picture = page.cdp("Page.captureScreenshot", format="png")["data"]
    (BUILD / "status.png").write_bytes(base64.b64decode(picture))
    for one in loads:
        one.stop()
