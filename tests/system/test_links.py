"""tests/links fails on a link, an anchor or a page that leads nowhere."""

import subprocess

import pytest

from tests.lib.env import ROOT

# not in one piece, or this file names pages that are not there
DOCS = "docs"


@pytest.fixture(name="tree")
def tree_(tmp_path):
    """A small tree, and a way to check it."""
    (tmp_path / "docs").mkdir()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)

    def check(**pages):
        for name, text in pages.items():
            (tmp_path / "docs" / f"{name}.md").write_text(text)
        run = subprocess.run([ROOT / "tests/links", tmp_path],
                             capture_output=True, text=True)
        assert run.stderr == ""
        assert run.returncode == bool(run.stdout)
        return run.stdout

    return check


def test_the_links_of_this_tree_are_whole():
    run = subprocess.run([ROOT / "tests/links"], capture_output=True,
                         text=True)
    assert (run.returncode, run.stdout) == (0, "")


def test_whole_links_are_taken(tree):
    assert tree(README="[b](b.md#two-words-1)\n\n    [code](none.md)\n",
                b="# Two words\n\n## Two words\n[out](https://example.com)\n"
                ) == ""


def test_a_link_to_no_file_is_named(tree):
    assert f"{DOCS}/README.md:3: there is no " in tree(README="a\n\n[b](b.md)\n")


def test_an_anchor_without_a_heading_is_named(tree):
    assert tree(README="# A\n[a](#b) [c](c.md#d)\n", c="# C\n") == (
        f'{DOCS}/README.md:2: README.md has no heading "b"\n'
        f'{DOCS}/README.md:2: c.md has no heading "d"\n')


def test_a_page_without_a_way_to_it_is_named(tree):
    assert tree(README="# A\n", b="[b](c.md)\n", c="# C\n") == (
        f"{DOCS}/b.md: no link leads here from {DOCS}/README.md\n"
        f"{DOCS}/c.md: no link leads here from {DOCS}/README.md\n")


def test_a_name_of_no_page_is_named(tree):
    assert tree(README=f"See `{DOCS}/b.md`.\n") \
        == f"{DOCS}/README.md:1: there is no {DOCS}/b.md\n"


def test_a_name_of_no_source_is_named(tree):
    assert tree(README="See `consumers/base/none.c:12`.\n") \
        == f"{DOCS}/README.md:1: there is no consumers/base/none.c\n"


@pytest.mark.parametrize("rule, found", [
    ("runbook_url: https://sluice.example/docs/README/#one", ""),
    ("runbook_url: https://sluice.example/docs/README/#two", "One"),
    ("runbook_url: https://sluice.example/docs/none/#one", "One"),
    ("summary: none", "One")])
def test_an_alert_leads_to_its_heading(tree, tmp_path, rule, found):
    (tmp_path / "monitoring").mkdir()
    (tmp_path / "monitoring" / "a.yml").write_text(
        f"  - alert: One\n    annotations:\n      {rule}\n")
    said = tree(README="# One\n")
    assert (f"{found} has no runbook" in said) if found else said == ""
