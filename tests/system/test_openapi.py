"""docs/openapi.yaml is valid and says what nginx.conf.example answers."""

import json
import re
import subprocess
import types

import pytest

from tests.lib import web
from tests.lib.env import MODULE, ROOT, free_port, wait_for

DESCRIPTION = ROOT / "docs" / "openapi.yaml"
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
    for headers in ({"Content-Type": "text/plain"},
                    {"Content-Type": "application/json",
                     "Sec-Fetch-Site": "cross-site"}):
        answer = web.request(running.port, "POST", "/topics/post", b"{}",
                             headers)
        assert answer.json["persisted"] == "no"
        assert answer.headers["content-type"] == "application/problem+json"


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
