"""Every fuzz target takes its committed corpus, under sanitizers."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FUZZ = ROOT / os.environ.get("BUILD", "build") / "fuzz"
CORPUS = ROOT / "tests" / "fuzz" / "corpus"


@pytest.mark.parametrize("target", sorted(p.name for p in CORPUS.iterdir()))
def test_the_corpus_of_a_fuzz_target_is_taken(target):
    inputs = sorted((CORPUS / target).iterdir())
    assert inputs
    run = subprocess.run([FUZZ / f"replay-{target}", *inputs], timeout=120,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-4000:]
    assert run.stdout == f"{len(inputs)} inputs\n"
