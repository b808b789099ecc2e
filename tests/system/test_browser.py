"""A real browser, cross-origin, against examples/nginx/cors.conf and with
the client of examples/browser."""

import json

import pytest

from tests.lib.env import ROOT, free_port, wait_for
from tests.lib.examples import TOPICS

# the page's own origin, which is not the one that takes records
PAGES = """
    types { text/html html; text/javascript js; }
    server {
        listen 127.0.0.1:%%PORT2%%;
        root %%ROOT%%/examples/browser;
        location = /empty.html { return 200 "<!DOCTYPE html><title>x"; }
        location = /favicon.ico { return 204; }
    }
"""
LISTED = "https://app.example.com"
LOGGED = "server_name  _;"
LOG = "access_log %%DIR%%/access.log;"
RATE = "limit_req_zone $server_port zone=browser:1m rate=2r/s; "
LIMITED = """
        limit_req        zone=browser burst=1 nodelay;
        limit_req_status 429;
        kafka_pass """


@pytest.fixture
def serve(example):
    """nginx with cors.conf, where the pages' origin is a listed one."""

    def start(replaced=None, origin=None, **names):
        page = free_port()
        own = origin is None
        origin = origin or f"http://127.0.0.1:{page}"
        server = example("cors", {LISTED: origin, LOGGED: LOGGED + LOG,
                                  **(replaced or {})},
                         PAGES.replace("%%PORT2%%", str(page)) if own else "",
                         ROOT=ROOT, **names)
        server.origin = origin
        server.foreign = f"http://localhost:{page}"
        server.events = f"http://127.0.0.1:{server.port}/events"
        return server

    return start


def found(topics, count):
    """The JSON of the topic's records, when there are so many."""
    wait_for(lambda: topics.count("events") >= count, 10,
             f"{count} records")
    return [json.loads(record.value) for record in topics.records("events")]


POST = """
    const [url, body, more] = args;
    const answer = await fetch(url, { method: "POST", body, ...more });
    const after = answer.headers.get("Retry-After");
    return { status: answer.status, json: await answer.json(), after };
"""


PACKED = """location = /packed {
        kafka_pass     main;
        kafka_topic    events;
        kafka_format   auto;
        kafka_decode   gzip;
        kafka_response 204;
    }
    location = /form {
        kafka_pass   main;
        kafka_topic  events;
        kafka_format json;
        kafka_decode form=data base64 deflate;
    }
    location = /pixel.svg {"""
BEACONS = """
    const [packed, form] = args;
    const pack = (text, coding) => new Response(new Blob([text]).stream()
        .pipeThrough(new CompressionStream(coding))).blob();
    const data = new Uint8Array(
        await (await pack('{"n":3}', "deflate")).arrayBuffer());
    return navigator.sendBeacon(packed,
            new Blob([await pack('{"n":1}\\n{"n":2}', "gzip")],
                     { type: "text/plain" }))
        && navigator.sendBeacon(form, new URLSearchParams(
            { data: btoa(String.fromCharCode(...data)) }));
"""


def test_fetch_from_a_listed_origin(serve, chromium, event_topics):
    server = serve()
    chromium.open(f"{server.origin}/empty.html")
    answer = chromium.run(POST, server.events, '{"n":1}', {})
    assert answer["status"] == 200 and answer["json"]["topic"] == "events"
    # with a preflight
    answer = chromium.run(POST, server.events, '{"n":2}', {
        "headers": {"Content-Type": "application/json",
                    "Idempotency-Key": '"k"'}})
    assert answer["status"] == 200
    answer = chromium.run(POST.replace("POST", "PUT"), server.events,
                          '{"n":3}', {})
    assert answer["status"] == 200
    # and the page can read what was wrong, also where nginx says it
    answer = chromium.run(POST, server.events, "{", {})
    assert answer["status"] == 400
    assert answer["json"]["persisted"] == "no"
    answer = chromium.run(POST.replace(
        "body, ...more", "body: body.repeat(2 << 20)"), server.events, "x")
    assert answer["status"] == 413
    assert answer["json"]["persisted"] == "no"
    assert [one["n"] for one in found(event_topics, 3)] == [1, 2, 3]


def test_a_page_of_another_origin_makes_no_record(serve, chromium,
                                                  event_topics):
    server = serve()
    chromium.open(f"{server.foreign}/empty.html")
    for more in ({}, {"headers": {"Content-Type": "application/json"}},
                 {"mode": "no-cors"}):
        with pytest.raises(AssertionError, match="TypeError|SyntaxError"):
            chromium.run(POST, server.events, '{"n":1}', more)
    assert chromium.run("return navigator.sendBeacon(args[0], args[1])",
                        server.events, '{"n":2}')
    # it has been answered when the next one of the same page has
    with pytest.raises(AssertionError):
        chromium.run(POST, server.events, '{"n":3}', {})
    log = server.directory / "access.log"
    wait_for(lambda: log.read_text().count(" 403 ") == 5, 10, "refusals")
    assert event_topics.count("events") == 0


def test_keepalive_outlives_its_page(serve, chromium, event_topics):
    server = serve()
    chromium.open(f"{server.origin}/empty.html")
    chromium.driver.execute_script("""
        const [url] = arguments;
        fetch(url, { method: "POST", body: '{"n":1}', keepalive: true });
        location.href = "about:blank";
    """, server.events)
    assert found(event_topics, 1) == [{"n": 1}]


def test_send_beacon_of_every_type(serve, chromium, event_topics):
    server = serve()
    chromium.open(f"{server.origin}/empty.html")
    assert chromium.run("""
        const [url] = args;
        const blob = (text, type) => new Blob([text], { type });
        return navigator.sendBeacon(url, '{"n":1}')
            && navigator.sendBeacon(url, blob('{"n":2}', "text/plain"))
            && navigator.sendBeacon(url, blob('{"n":3}', "application/json"))
            && navigator.sendBeacon(url, blob('{"n":4}', ""))
            && navigator.sendBeacon(url, '{"n":5}\\n{"n":6}')
            && navigator.sendBeacon(url, blob('{"n":7}\\n{"n":8}\\n',
                                              "application/x-ndjson"));
    """, server.events)
    assert sorted(one["n"] for one in found(event_topics, 8)) \
        == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_pixel_is_a_record_and_an_image(serve, chromium, event_topics):
    server = serve()
    chromium.open(f"{server.origin}/empty.html")
    assert chromium.run("""
        const sizes = [];
        for (const page of ["/a%20b", `x"y`, "c"]) {
            const image = new Image();
            image.src = `${args[0]}?page=${page}`;
            await image.decode();
            sizes.push(image.naturalWidth);
        }
        return sizes;
    """, server.events.replace("/events", "/pixel.svg")) == [1, 1, 1]
    # as a browser sends it, and as somebody would who builds a record
    answer = server.get('/pixel.svg?page=x","id":"y')
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "no-cache" in answer.headers["cache-control"]
    assert [one["pixel"] for one in found(event_topics, 4)] \
        == ["/a b", 'x"y', "c", 'x","id":"y']


def test_retry_after_can_be_read(serve, chromium):
    server = serve(KAFKA="127.0.0.1:1; timeout 1s")
    chromium.open(f"{server.origin}/empty.html")

    def refused():
        answer = chromium.run(POST, server.events, '{"n":1}', {})
        assert answer["status"] in (503, 504)
        return answer if answer["status"] == 503 else None

    answer = wait_for(refused, 15, "503")
    assert answer["json"]["persisted"] == "no"
    assert int(answer["after"]) >= 1


# the client

CLIENT = """
    const { Sluice } = await import("/sluice.js");
    const fates = [];
    const onFate = (record, fate) => fates.push([record.n, fate.kept,
        fate.status]);
    const sluice = new Sluice(args[0], { onFate, ...args[1] });
"""


@pytest.mark.parametrize("batch, requests", [(True, 3), (False, 250)])
def test_the_client_sends_all_in_order(serve, chromium, event_topics, batch,
                                       requests):
    server = serve()
    chromium.open(f"{server.origin}/empty.html")
    fates = chromium.run(CLIENT + """
        for (let n = 0; n < 250; n++) {
            sluice.push({ n });
        }
        await sluice.close();
        return fates;
    """, server.events, {"batch": batch})
    assert fates == [[n, True, 200] for n in range(250)]
    assert [one["n"] for one in found(event_topics, 250)] == list(range(250))
    log = server.directory / "access.log"
    wait_for(lambda: log.read_text().count('"POST ') == requests, 5,
             f"{requests} requests")


def test_a_bad_record_of_a_batch_costs_the_others_nothing(
        serve, chromium, event_topics, directory):
    schema = directory / "schema.json"
    schema.write_text(json.dumps(
        {"type": "object", "properties": {"n": {"type": "number"}}}))
    server = serve({"kafka_pass ": f"kafka_schema {schema}; kafka_pass "})
    chromium.open(f"{server.origin}/empty.html")
    fates = chromium.run(CLIENT + """
        for (const n of [1, "two", 3, "four", 5]) {
            sluice.push({ n });
        }
        await sluice.close();
        return fates;
    """, server.events, {})
    assert fates == [["two", False, 422], ["four", False, 422],
                     [1, True, 200], [3, True, 200], [5, True, 200]]
    assert [one["n"] for one in found(event_topics, 3)] == [1, 3, 5]


STORED = """
    const refused = { status: 422, persisted: "dead-letter",
        sqlstate: "23505", reason: "duplicate key" };
    const answers = [[200, { stored: "row" }], [422, refused],
        [202, { stored: "pending", persisted: "yes" }],
        [207, { results: [{ status: 200, stored: "duplicate" }, refused] }]];
    let asked = 0;
    globalThis.fetch = async () => {
        const [status, answer] = answers[asked++];
        return new Response(JSON.stringify(answer), { status,
            headers: { "Content-Type": "application/json" } });
    };
    const { Sluice } = await import("/sluice.js");
    const fates = [];
    const onFate = (record, { kept, stored, problem }) => fates.push(
        [record.n, kept, stored ?? problem.sqlstate]);
    const sluice = new Sluice(args[0], { onFate, ...args[1] });
"""


@pytest.mark.parametrize("idempotency", [True, False])
def test_what_the_database_refused_is_not_sent_again(serve, chromium,
                                                     idempotency):
    """Answers of kafka_ack stored, as the module words them."""
    server = serve()
    chromium.open(f"{server.origin}/empty.html")
    fates, asked = chromium.run(STORED + """
        for (const n of [0, 1, 2]) {
            sluice.push({ n });
            await sluice.flush();
        }
        if (!args[1].idempotency) {
            sluice.push({ n: 3 });
            sluice.push({ n: 4 });
        }
        await sluice.close();
        return [fates, asked];
    """, server.events, {"idempotency": idempotency})
    assert fates[:3] == [[0, True, "row"], [1, "dead-letter", "23505"],
                         [2, True, "pending"]]
    assert fates[3:] == ([] if idempotency else [
        [3, True, "duplicate"], [4, "dead-letter", "23505"]])
    assert asked == (3 if idempotency else 4)


def test_a_batch_that_is_too_large_is_divided(serve, chromium, event_topics):
    server = serve({"client_max_body_size  1m": "client_max_body_size  1k"})
    chromium.open(f"{server.origin}/empty.html")
    fates = chromium.run(CLIENT + """
        for (let n = 0; n < 40; n++) {
            sluice.push({ n, pad: "x".repeat(80) });
        }
        await sluice.close();
        return fates;
    """, server.events, {})
    assert fates == [[n, True, 200] for n in range(40)]
    assert [one["n"] for one in found(event_topics, 40)] == list(range(40))


def test_the_clients_queue_is_bounded(serve, chromium, event_topics):
    server = serve()
    chromium.open(f"{server.origin}/empty.html")
    assert chromium.run(CLIENT + """
        const taken = [0, 1, 2, 3].map((n) => sluice.push({ n }));
        await sluice.flush();
        taken.push(sluice.push({ n: 4 }), sluice.push({ n: "x".repeat(99) }));
        await sluice.close();
        return [taken, sluice.waiting];
    """, server.events, {"batch": False, "queueRecords": 3, "queueBytes": 90}) \
        == [[True, True, True, False, True, False], 0]
    assert [one["n"] for one in found(event_topics, 4)] == [0, 1, 2, 4]


def test_the_client_tries_again_what_was_not_kept(serve, chromium,
                                                  event_topics):
    # 429, "persisted": "no", Retry-After: 1
    server = serve({"server {": RATE + "server {", "kafka_pass ": LIMITED})
    chromium.open(f"{server.origin}/empty.html")
    fates = chromium.run(CLIENT + """
        for (const n of [0, 1, 2, 3, 4, 5]) {
            sluice.push({ n });
        }
        await sluice.close();
        return fates;
    """, server.events, {"batchRecords": 1, "backoff": 10})
    assert fates == [[n, True, 200] for n in range(6)]
    assert " 429 " in (server.directory / "access.log").read_text()
    assert [one["n"] for one in found(event_topics, 6)] == list(range(6))


def test_the_client_gives_up_what_is_wrong(serve, chromium, event_topics):
    server = serve({"client_max_body_size  1m": "client_max_body_size  100"})
    chromium.open(f"{server.origin}/empty.html")
    fates = chromium.run(CLIENT + """
        sluice.push({ n: 1 });
        sluice.push({ n: 2, much: "x".repeat(100) });
        sluice.push({ n: 3 });
        await sluice.close();
        return fates;
    """, server.events, {"batch": False})
    assert fates == [[1, True, 200], [2, False, 413], [3, True, 200]]
    assert [one["n"] for one in found(event_topics, 2)] == [1, 3]


def test_the_client_never_doubles_what_may_be_kept(serve, chromium,
                                                   own_kafka, own_topics):
    for name in TOPICS:
        own_topics.create(name=name)
        own_topics.made.append(name)
    # by one client: what it sent once it can send again, and is not purged
    server = serve({"kafka_topic ": "kafka_timeout 2s; kafka_topic "},
                   KAFKA=f"{own_kafka.bootstrap}; timeout 1s;"
                   " property linger.ms 1")
    chromium.open(f"{server.origin}/empty.html")
    assert server.post("/events", b'{"n":0}').status == 200
    own_kafka.pause()
    fates = chromium.run(CLIENT + """
        sluice.push({ n: 1 });
        await sluice.flush();
        return fates;
    """, server.events, {"batch": False})
    own_kafka.resume()
    assert fates == [[1, "possibly", 504]]

    # with a key it is sent again, under the same key
    wait_for(lambda: server.post("/events", b'{"n":0}').status == 200, 15,
             "the broker is back")
    own_kafka.pause()
    chromium.run(CLIENT + """
        window.fates = fates;
        sluice.push({ n: 2 });
        window.gone = sluice.close();
    """, server.events, {"idempotency": True})
    log = server.directory / "access.log"
    wait_for(lambda: log.read_text().count(" 504 ") == 2, 10, "the second")
    own_kafka.resume()
    fates = chromium.run("await gone; return fates")
    assert fates == [[2, True, 200]]
    records = own_topics.records("events")
    numbers = [json.loads(record.value)["n"] for record in records]
    assert numbers.count(1) <= 1
    keys = {dict(record.headers)["idempotency-key"] for record in records
            if json.loads(record.value)["n"] == 2}
    assert len(keys) == 1


def test_after_silence_the_client_asks_before_it_sends(serve, chromium,
                                                       event_topics):
    pages = serve()
    server = serve(origin=pages.origin, start=False)
    chromium.open(f"{pages.origin}/empty.html")
    chromium.run(CLIENT + """
        Object.assign(window, { fates, sluice });
        for (const n of [1, 2, 3]) {
            sluice.push({ n });
        }
        window.gone = sluice.close();
    """, server.events, {"batch": False, "backoff": 50})
    # a page cannot tell what became of the first one
    wait_for(lambda: chromium.run("return fates") == [[1, "possibly", 0]],
             10, "the first one's fate")
    server.start()
    assert chromium.run("await gone; return fates.slice(1)") \
        == [[2, True, 200], [3, True, 200]]
    assert [one["n"] for one in found(event_topics, 2)] == [2, 3]


def test_the_clients_beacon_takes_what_waits(serve, chromium, event_topics):
    server = serve()
    chromium.open(f"{server.origin}/empty.html")
    chromium.run(CLIENT + """
        for (let n = 0; n < 10; n++) {
            sluice.push({ n });
        }
    """, server.events, {"linger": 100000})
    assert event_topics.count("events") == 0
    chromium.open("about:blank")
    assert sorted(one["n"] for one in found(event_topics, 10)) \
        == list(range(10))


def test_the_page_sends_and_shows_what_was_kept(serve, chromium,
                                                event_topics):
    server = serve()
    chromium.console()      # what the tests before left there
    chromium.open(f"{server.origin}/index.html?url={server.events}")
    chromium.run("""
        document.querySelector("[name=text]").value = "by hand";
        document.querySelector("button").click();
    """)
    wait_for(lambda: chromium.run(
        "return document.getElementById('kept').value") == "1", 10, "kept")
    assert [one["text"] for one in found(event_topics, 1)] == ["by hand"]
    assert "by hand" in chromium.run(
        "return document.getElementById('fates').textContent")
    assert chromium.console() == ""


def test_beacons_that_are_compressed(serve, chromium, event_topics):
    """They have no header that could say so."""
    server = serve({"location = /pixel.svg {": PACKED})
    chromium.open(f"{server.origin}/empty.html")
    base = server.events.removesuffix("/events")
    assert chromium.run(BEACONS, f"{base}/packed", f"{base}/form")
    assert sorted(record["n"] for record in found(event_topics, 3)) \
        == [1, 2, 3]
