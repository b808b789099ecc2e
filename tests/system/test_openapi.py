"""docs/openapi.yaml says what nginx.conf.example answers, and
docs/openapi-formats.yaml what it answers with the locations that stand there.
"""

import json
import re
import subprocess
import textwrap
import types

import jsonschema
import pytest

from tests.lib import web
from tests.lib.env import MODULE, ROOT, free_port, wait_for

DESCRIPTION = ROOT / "docs" / "openapi.yaml"
FORMATS = ROOT / "docs" / "openapi-formats.yaml"
EXAMPLE = ROOT / "nginx.conf.example"
PUBLIC = "^/(api|topics|stored|queued|testing)"
OPERATOR = "^/(status|metrics|ready|live)$"
CONFORM = ("status_code_conformance,content_type_conformance,"
           "response_headers_conformance,response_schema_conformance")


def command(*words, **more):
    more.setdefault("cwd", ROOT)
    return subprocess.run([str(word) for word in words], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **more)


@pytest.fixture(scope="module")
def venv():
    """The pinned tools, below build/."""
    done = command(ROOT / "stack" / "venv", "tests/openapi.pip", timeout=400)
    assert done.returncode == 0, done.stdout
    return f"{done.stdout.strip()}/bin"


@pytest.fixture(scope="module")
def description(venv):
    done = command(f"{venv}/python", "-c", "import json, sys, yaml; json.dump("
                   "yaml.safe_load(open(sys.argv[1])), sys.stdout)",
                   DESCRIPTION)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def formats(tmp_path_factory):
    """docs/openapi-formats.yaml without a $ref."""
    path = tmp_path_factory.mktemp("formats") / "formats.json"
    done = command(ROOT / "stack" / "redocly", "bundle", FORMATS,
                   "--dereferenced", "-o", path, timeout=700)
    assert done.returncode == 0, done.stdout
    return json.loads(path.read_text())


def its_locations(formats):
    """The configuration that it names, as replacements in the example."""
    text = formats["info"]["description"]
    zone, server = (textwrap.dedent(match[1]) for match in re.finditer(
        r"^In .*:\n\n((?: {4}.*\n|\n)+)", text, re.M))
    assert "kafka_limit_zone" in zone and "kafka_format" in server
    first = "        location / {\n            return 404;"
    return [(first, server + first),
            ("    map $http_sec_fetch_site", zone + "map $http_sec_fetch_site")]


@pytest.fixture
def stack(directory, topics):
    """nginx.conf.example, by the scripts that make run uses."""
    home = directory / "stack"
    script = ROOT / "stack" / "nginx"

    def start(kafka, replaced=()):
        home.mkdir()
        port, status = free_port(), free_port()
        done = command(ROOT / "stack" / "nginx-conf", home, port, status,
                       kafka, MODULE)
        assert done.returncode == 0, done.stdout
        text = done.stdout
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        (home / "nginx.conf").write_text(text)
        done = command(script, "start", home)
        assert done.returncode == 0, done.stdout
        return types.SimpleNamespace(port=port, status=status)

    topics.made += ["post", "sluice-receipts"]
    yield start
    done = command(script, "stop", home)
    assert done.returncode == 0, done.stdout


def schemathesis(venv, directory, port, paths, *more,
                 description=DESCRIPTION):
    """The same cases each time; 1: something is not as described."""
    return command(
        f"{venv}/st", "run", description, "--url", f"http://127.0.0.1:{port}",
        "--include-path-regex", paths, "--generation-deterministic",
        # NUL is refused, which no schema can say of every string
        "--generation-allow-x00", "false", "--continue-on-failure",
        "--max-examples", "25", "--no-color", "--request-timeout", "15",
        *more, cwd=directory, timeout=120)


def test_the_description_is_valid(venv):
    done = command(f"{venv}/python", "-m", "openapi_spec_validator",
                   "--schema", "3.1", DESCRIPTION)
    assert done.returncode == 0, done.stdout


def test_redocly_finds_nothing():
    done = command(ROOT / "stack" / "redocly", "lint", DESCRIPTION, FORMATS,
                   timeout=700)
    assert done.returncode == 0, done.stdout
    assert "warning" not in done.stdout.replace("Deprecation warning", "")


def test_redocly_finds_what_is_missing(description, directory):
    answers = description["paths"]["/live"]["get"]["responses"]
    del answers["400"], answers["405"]
    wrong = directory / "wrong.json"
    wrong.write_text(json.dumps(description))
    done = command(ROOT / "stack" / "redocly", "lint", wrong, timeout=700)
    assert done.returncode == 1, done.stdout


def test_it_names_every_code_of_the_catalogue(description, formats):
    code = (ROOT / "ngx_module/http/ngx_http_kafka_error.c").read_text()
    catalogue = re.findall(r'^    \{ "([a-z-]+)", (\d{3}), "([a-z-]+)"', code,
                           re.M)
    assert len(catalogue) > 30
    problem = description["components"]["schemas"]["Problem"]["properties"]
    named = re.search(r"\*\((.*)\)\)\$$", problem["type"]["pattern"])[1]
    assert named.split("|") == [name for name, _, _ in catalogue]
    persisted = description["components"]["schemas"]["Persisted"]["enum"]
    assert set(persisted) == {persisted for _, _, persisted in catalogue}
    told = {status for path in formats["paths"].values()
            for status in path["post"]["responses"]}
    assert {status for _, status, _ in catalogue} <= told


def test_it_names_every_location(description):
    text = re.sub(r"#.*", "", EXAMPLE.read_text())
    written = set()
    for match in re.finditer(r"location (= |~ )(\S+) \{\s*(\w+)", text):
        # "root": files, the status page
        if match[3] not in ("internal", "root"):
            written.add(re.sub(r"\(\?<(\w+)>[^)]*\)", r"{\1}",
                               match[2].strip("^$")))
    assert len(written) >= 7
    assert written == set(description["paths"])


def test_its_post_is_the_schema_that_is_checked(description):
    said = dict(description["components"]["schemas"]["Post"])
    checked = json.loads(
        (ROOT / said.pop("$comment")).read_text())
    checked.pop("$schema")
    assert said == checked


def test_the_running_stack_agrees_with_it(venv, stack, kafka, directory,
                                          consumer, database):
    running = stack(kafka.bootstrap, [
        ("group=$kafka_topic", f"group=post@{database.name}")])
    config = json.loads((ROOT / "examples/post/post.json").read_text())
    for name in ("kafka", "postgres", "listen"):
        del config[name]
    consumer(config)
    wait_for(lambda: web.request(running.status, "GET", "/ready").status
             == 200, 15, "ready")
    done = schemathesis(venv, directory, running.port, PUBLIC)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Tested: 13\b", done.stdout), done.stdout
    done = schemathesis(venv, directory, running.status, OPERATOR,
                        "--exclude-checks", "unsupported_method")
    assert done.returncode == 0, done.stdout
    assert re.search(r"Tested: 4\b", done.stdout), done.stdout


def test_the_example_refuses_what_a_foreign_page_can_send(stack):
    """Before the module: without a broker what passes is 503."""
    running = stack("127.0.0.1:1", [("timeout   5s", "timeout   300ms")])

    def status(headers, path="/topics/post"):
        return web.request(running.port, "POST", path, b"{}", headers).status

    for text, expected in (
            ("application/json", 422), ("application/JSON; charset=utf-8", 422),
            ("application/x-ndjson", 422), ("application/vnd.a-b.c+json", 422),
            ("text/plain", 415), ("application/x-www-form-urlencoded", 415),
            ("multipart/form-data; boundary=application/json", 415),
            ("text/plain;application/json", 415), ("application/jsonp", 415)):
        assert status({"Content-Type": text}) == expected, text
    for site, expected in (("cross-site", 403), ("same-site", 403),
                           ("same-origin", 422), ("none", 422)):
        headers = {"Content-Type": "application/json", "Sec-Fetch-Site": site}
        assert status(headers) == expected, site
        assert status(headers, "/queued/post") == expected, site
        assert status(headers, "/stored/post") == expected, site
    assert status({"Content-Type": "text/plain"},
                  "/api/v1/create-post") == 404
    for path, headers in (
            ("/topics/post", {"Content-Type": "text/plain"}),
            ("/topics/post", {"Content-Type": "application/json",
                              "Sec-Fetch-Site": "cross-site"}),
            ("/api/v1/create-post", {"Content-Type": "application/json",
                                     "Sec-Fetch-Site": "cross-site"})):
        answer = web.request(running.port, "POST", path, b"{}", headers)
        assert answer.json["persisted"] == "no"
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_operators_server_answers_as_described(stack):
    running = stack("127.0.0.1:1")
    for path in ("/status", "/metrics", "/ready", "/live"):
        answer = web.request(running.status, "POST", path, b"{}")
        assert answer.status == 405 and answer.headers["allow"], path
        assert answer.headers["content-type"] == "text/html", path
        answer = web.request(running.status, "GET", path,
                             headers={"Content-Length": "x"})
        assert answer.status == 400, path
        assert answer.headers["content-type"] == "text/html", path


def test_it_holds_while_no_broker_is_up(venv, stack, directory):
    running = stack("127.0.0.1:1", [("timeout   5s", "timeout   1s")])
    answers = [web.request(running.port, "POST", path,
                           b'{"title":"t","content":"c"}',
                           {"Content-Type": "application/json"}).status
               for path in ("/topics/post", "/api/v1/create-post")]
    assert answers == [503, 500]
    done = schemathesis(venv, directory, running.port, PUBLIC, "--checks",
                        CONFORM, "--phases", "examples")
    assert done.returncode == 0, done.stdout
    assert re.search(r"Tested: 11\b", done.stdout), done.stdout
    done = schemathesis(venv, directory, running.status, OPERATOR,
                        "--checks", CONFORM)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Tested: 4\b", done.stdout), done.stdout


def test_the_check_finds_what_the_description_leaves_out(
        venv, stack, kafka, directory, description):
    running = stack(kafka.bootstrap)
    del description["paths"]["/topics/{topic}"]["post"]["responses"]["422"]
    wrong = directory / "wrong.json"
    wrong.write_text(json.dumps(description))
    done = schemathesis(venv, directory, running.port, "^/topics",
                        "--checks", CONFORM, description=wrong)
    assert done.returncode == 1, done.stdout
    assert "Received: 422" in done.stdout


def assert_described(formats, path, answer):
    """The status, its type, its headers and its body."""
    said = formats["paths"][path]["post"]["responses"][str(answer.status)]
    content = said["content"][answer.headers["content-type"]]
    jsonschema.Draft202012Validator(content["schema"]).validate(answer.json)
    for name, header in said.get("headers", {}).items():
        value = answer.headers.get(name.lower())
        assert value or not header.get("required"), name
        if value and header["schema"]["type"] == "integer":
            assert int(value) >= header["schema"]["minimum"]


JSON = "application/json"
GOOD = b'{"title":"t","content":"c"}'
BAD = b'{"title":"","content":"c"}'
EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
BINARY = {f"ce-{name}": value for name, value in EVENT.items()}
STRUCTURED = json.dumps({**EVENT, "data": json.loads(GOOD)}).encode()


# path, Content-Type, body, more headers; status, status of each result
CASES = [
    ("/any", JSON, GOOD, {"Idempotency-Key": "a"}, 200, None),
    ("/any", JSON, GOOD, {"Idempotency-Key": "\xe4"}, 400, None),
    ("/any", JSON, GOOD, {"Prefer": "ack=queued"}, 202, None),
    ("/any", JSON, GOOD, {"Prefer": "ack=stored"}, 202, None),
    ("/any", JSON, BAD, {}, 422, None),
    ("/any", "application/x-ndjson", GOOD + b"\n" + GOOD, {}, 200,
     [200, 200]),
    ("/any", "application/x-ndjson", GOOD + b"\n" + GOOD,
     {"Prefer": "respond-async"}, 202, [202, 202]),
    ("/any", "application/x-ndjson", GOOD + b"\n" + GOOD,
     {"Prefer": "ack=stored"}, 202, [202, 202]),
    ("/any", "application/x-ndjson", GOOD + b"\n" + BAD, {}, 422, [422]),
    ("/any", "application/x-ndjson", GOOD + b"\n" + BAD + b"\n{",
     {"Prefer": "handling=lenient"}, 207, [200, 422, 400]),
    ("/any", "application/xml", GOOD, {}, 415, None),
    ("/any", "application/xml", GOOD, BINARY, 200, None),
    ("/array", JSON, b"[%b,%b]" % (GOOD, GOOD), {}, 200, [200, 200]),
    ("/array", JSON, b"[%b,%b]" % (GOOD, BAD), {}, 422, [422]),
    ("/array", JSON, b"[%b,%b]" % (GOOD, BAD),
     {"Prefer": "handling=lenient"}, 207, [200, 422]),
    ("/array", JSON, GOOD, {}, 400, None),
    ("/array", JSON, b"[%b]" % b",".join([GOOD] * 1001), {}, 413, None),
    ("/events", JSON, GOOD, BINARY, 200, None),
    ("/events", JSON, GOOD, {}, 400, None),
    ("/events", JSON, BAD, BINARY, 422, None),
    ("/events", "application/cloudevents+json", STRUCTURED, {}, 200, None),
    ("/events", "application/cloudevents+json", GOOD, {}, 400, None),
    ("/events", "application/cloudevents-batch+json",
     b"[%b,%b]" % (STRUCTURED, STRUCTURED), {}, 200, [200, 200]),
    ("/events", "application/cloudevents-batch+json",
     b"[%b,%b]" % (STRUCTURED, GOOD), {"Prefer": "handling=lenient"}, 207,
     [200, 400]),
    ("/limited", JSON, GOOD, {}, 200, None),
    ("/limited", JSON, GOOD, {"Sec-Fetch-Site": "cross-site"}, 403, None),
    ("/limited", "text/plain", GOOD, {}, 415, None),
]


def test_what_is_answered_in_each_format_is_described(stack, kafka, formats):
    running = stack(kafka.bootstrap, [
        ("timeout   5s", "timeout   1s"), *its_locations(formats)])
    wait_for(lambda: web.request(running.status, "GET", "/ready").status
             == 200, 15, "ready")
    for path, media, body, headers, status, results in CASES:
        answer = web.request(running.port, "POST", f"{path}/post", body,
                             {"Content-Type": media, **headers})
        case = path, media, body[:60], headers, answer
        assert answer.status == status, case
        assert [result["status"] for result in answer.json.get("results", [])
                ] == (results or []), case
        assert_described(formats, f"{path}/{{topic}}", answer)
    for _ in range(6):
        answer = web.request(running.port, "POST", "/limited/post", GOOD,
                             {"Content-Type": JSON})
    assert answer.status == 429
    assert_described(formats, "/limited/{topic}", answer)
    assert answer.json["type"].endswith("/rate-limited")


def test_the_running_formats_agree_with_their_description(
        venv, stack, kafka, directory, formats):
    running = stack(kafka.bootstrap, its_locations(formats))
    wait_for(lambda: web.request(running.status, "GET", "/ready").status
             == 200, 15, "ready")
    done = schemathesis(
        venv, directory, running.port, "^/(any|array|events|limited)",
        # a CloudEvent in binary mode needs its ce- headers, in others none
        "--exclude-checks", "positive_data_acceptance",
        "--max-examples", "10", description=FORMATS)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Tested: 12\b", done.stdout), done.stdout
