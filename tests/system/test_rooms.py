"""tests/rooms fails on an arrow that runs up and on a circle of files."""

import shutil
import subprocess

import pytest

from tests.lib.env import BUILD, ROOT

PROGRAMS = ("consumers", "ngx_module", "common")


@pytest.fixture(name="copy")
def copy_(tmp_path):
    """Sources and objects of this tree, with a way to check them."""
    for name in PROGRAMS:
        shutil.copytree(ROOT / name, tmp_path / name)
    for folder in ("obj/consumers", "obj/common", "module/addon"):
        shutil.copytree(BUILD / folder, tmp_path / "build" / folder)

    def check():
        return subprocess.run(
            [ROOT / "tests/rooms", "check", tmp_path, tmp_path / "build"],
            capture_output=True, text=True)

    def append(name, text):
        with open(tmp_path / name, "a") as file:
            file.write(text)
        made = tmp_path / "build/obj" / name.replace(".c", ".o")
        if name.endswith(".c"):
            subprocess.run(["gcc", "-g", "-D_GNU_SOURCE", "-Iconsumers",
                            "-Icommon", "-c",
                            "-o", made, name], check=True,
                           cwd=tmp_path)
        return (tmp_path / name).read_text().count("\n")

    check.append = append
    return check


def test_the_rooms_are_in_order(copy):
    run = copy()
    assert (run.returncode, run.stdout) == (0, "")


def test_an_include_that_runs_up_is_named(copy):
    line = copy.append("consumers/base/crc32.h", '#include "conf/conf.h"\n')
    run = copy()
    assert run.returncode == 1
    assert (f'consumers/base/crc32.h:{line}: includes "conf/conf.h": '
            "consumers/base/ stands below consumers/conf/: move the piece "
            "down, or take it as an argument or a callback\n") in run.stdout


def test_an_include_between_neighbours_is_named(copy):
    line = copy.append("consumers/row/row.h", '#include "postgres/pg.h"\n')
    run = copy()
    assert run.returncode == 1
    assert (f"consumers/row/row.h:{line}: includes \"postgres/pg.h\": "
            "consumers/row/ stands beside consumers/postgres/") in run.stdout


def test_a_call_that_runs_up_is_named(copy):
    line = copy.append("consumers/base/crc32.c",
                       "void conf_free(void *conf);\n"
                       "void up(void);\n"
                       "void up(void) { conf_free(0); }\n")
    run = copy()
    assert run.returncode == 1
    assert (f"consumers/base/crc32.c:{line}: takes conf_free of "
            "consumers/conf/conf.c: consumers/base/ stands below "
            "consumers/conf/") in run.stdout


def test_a_circle_of_files_is_named(copy):
    line = copy.append("consumers/base/clock.c",
                       "void log_line(int level, int err, const char *fmt, "
                       "...);\n"
                       "void round(void);\n"
                       'void round(void) { log_line(0, 0, ""); }\n')
    run = copy()
    assert run.returncode == 1
    assert "a circle of 2 files" in run.stdout
    assert (f"consumers/base/clock.c:{line}:     takes log_line of "
            "consumers/base/log.c") in run.stdout
