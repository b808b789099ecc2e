"""The documentation as a site (make docs): built without a warning, looked at
in Chromium as wide as a desk's screen and as a phone's."""

import functools
import http.server
import pathlib
import re
import shutil
import subprocess
import threading

import pytest

from tests.lib.env import ROOT

WIDE = """
    return [...document.querySelectorAll('main *')].filter(
        node => node.getBoundingClientRect().right > innerWidth + 1
                && !node.closest('.md-typeset__scrollwrap, pre, code'))
        .map(node => node.outerHTML.slice(0, 200));
"""
SEARCH = """
    const search = document.querySelector('[data-md-component=search-query]');
    search.focus();
    search.value = args[0];
    search.dispatchEvent(new Event('keyup'));
    for (let n = 0; n < 100; n++) {
        const found = [...document.querySelectorAll(
            '.md-search-result__item a')].map(a => a.getAttribute('href'));
        if (found.length) return found;
        await new Promise(done => setTimeout(done, 100));
    }
    return [];
"""


def build(tree, directory):
    return subprocess.run(
        [tree / "stack" / "docs"], check=False, text=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "BUILD": str(directory)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400)


@pytest.fixture(scope="module")
def site(run_directory):
    """The built pages, and their address."""
    done = build(ROOT, run_directory / "docs")
    assert done.returncode == 0, done.stdout
    assert not re.search("WARN|ERROR", done.stdout), done.stdout
    pages = pathlib.Path(done.stdout.strip().splitlines()[-1]).parent

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(pages)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield pages, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_broken_link_and_anchor_end_the_build(site, run_directory):
    """Proved in a copy; the environment is that of the first build."""
    tree = run_directory / "copy"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(
        "build", ".git", "results", "__pycache__"))
    shutil.copytree(ROOT / "bench" / "results", tree / "bench" / "results")
    page = tree / "docs" / "tutorial.md"
    text = page.read_text()
    try:
        for wrong in ("[x](how-to/absent.md)", "[x](README.md#absent)"):
            page.write_text(f"{text}\n{wrong}\n")
            done = build(tree, run_directory / "docs")
            assert done.returncode != 0
            assert "absent" in done.stdout
    finally:
        shutil.rmtree(tree)
        assert build(ROOT, run_directory / "docs").returncode == 0


def test_each_problem_has_the_page_that_its_type_names(site):
    pages, _ = site
    manual = (ROOT / "docs" / "reference" / "module.md").read_text()
    table = manual[manual.index("| code | status |"):]
    codes = re.findall(r"^\| `([a-z-]+)` \|", table[:table.index("\n\n")],
                       re.M)
    assert len(codes) > 30
    assert sorted(codes) == sorted(
        page.parent.name for page in pages.glob("problems/*/index.html"))
    text = (pages / "problems" / "queue-full" / "index.html").read_text()
    assert "503" in text and "Retry-After" in text


def test_each_runbook_is_on_the_site(site):
    pages, _ = site
    rules = "".join(path.read_text() for path in
                    (ROOT / "monitoring" / "prometheus").glob("*.yml"))
    books = set(re.findall(r"https://sluice\.example/(\S+)/#(\w+)", rules))
    assert len(books) >= 16
    for page, anchor in books:
        text = (pages / page / "index.html").read_text()
        assert f'id="{anchor}"' in text, anchor


@pytest.mark.parametrize("width, height", [(1280, 800), (390, 844)])
def test_pages_fit_the_screen(chromium, site, width, height):
    _, address = site
    chromium.console()
    chromium.resize(width, height)
    pages = [f"docs/{name}/" for name in (
        "tutorial", "reference/module", "reference/consumer")]
    for page in ("", *pages, "bench/RESULTS/", "problems/queue-full/",
                 "examples/order/"):
        chromium.open(f"{address}/{page}")
        assert chromium.run("return document.title")
        assert chromium.run(WIDE) == [], page
        assert chromium.run("return document.documentElement.scrollWidth"
                            " <= innerWidth"), page
        # nothing of another host
        assert chromium.run(
            "return performance.getEntriesByType('resource').map(e => e.name)"
            ".filter(name => !name.startsWith(location.origin))") == [], page
    assert chromium.console() == ""


def test_a_word_of_the_glossary_is_found(chromium, site):
    _, address = site
    chromium.resize(1280, 800)
    chromium.open(f"{address}/")
    found = chromium.run(SEARCH, "fenced")
    assert any("docs/" in link for link in found), found
