"""What "make install" puts where, and the units of systemd."""

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.lib.env import BUILD, LONG, MODULE, ROOT, free_port

UNITS = ROOT / "packaging" / "systemd"
DEBIAN = ROOT / "packaging" / "debian"
WITH_SBIN = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}


@pytest.fixture(scope="module")
def installed(run_directory):
    """A root folder with everything below /usr."""
    root = run_directory / "installed"
    subprocess.run(["make", "-s", "install", f"DESTDIR={root}", "PREFIX=/usr",
                    f"BUILD={BUILD}"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    return root


def test_who_builds_makes_no_difference():
    """What a script built by the full path is seen to be old by "make"."""
    made = (BUILD / "obj" / "common" / "json" / "json.d").read_text()
    assert made.startswith(f"{BUILD.relative_to(ROOT)}/obj/common/json/json.o:")


def analyze(*words, **environment):
    return subprocess.run(["systemd-analyze", *words], text=True, check=False,
                          env={**os.environ, **environment},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def verify(installed, directory, change=lambda text: text):
    """What systemd says of the units that were installed, with the program
    where it now is."""
    for name in ("sluice-consumer@.service", "sluice-consumer.target"):
        text = (installed / "usr/lib/systemd/system" / name).read_text()
        (directory / name).write_text(change(text.replace(
            "ExecStart=", f"ExecStart={installed}")))
    done = analyze("verify", "--man=no", "sluice-consumer@post.service",
                   "sluice-consumer.target", SYSTEMD_UNIT_PATH=f"{directory}:")
    return [line for line in done.stdout.splitlines() if "sluice" in line]


def test_the_units_are_well_formed(installed, directory):
    assert verify(installed, directory) == []
    units = installed / "usr/lib/systemd/system"
    service = (units / "sluice-consumer@.service").read_text()
    assert "ExecStart=/usr/sbin/sluice-consumer " in service
    assert "notify-reload" not in service     # unknown to systemd 252
    assert (units / "nginx.service.d" / "sluice.conf").exists()
    # what is not well-formed would be seen
    assert any("NoSuchKey" in line for line in verify(
        installed, directory,
        lambda text: text.replace("UMask=", "NoSuchKey=")))


def test_an_instance_starts_at_boot_though_only_it_is_enabled(installed,
                                                              directory):
    """By its own link: nobody says that the target has to be enabled."""
    units = directory / "usr/lib/systemd/system"
    shutil.copytree(installed / "usr/lib/systemd/system", units)
    subprocess.run(["systemctl", f"--root={directory}", "enable",
                    "sluice-consumer@order"], check=True,
                   stderr=subprocess.DEVNULL)
    for target in ("multi-user", "sluice-consumer"):
        link = directory / (f"etc/systemd/system/{target}.target.wants"
                            "/sluice-consumer@order.service")
        assert link.is_symlink(), target


def test_nginx_is_stopped_gracefully_and_has_time():
    """Debian's ExecStop= asks for a fast stop after 5 s, whatever the
    time-out is."""
    text = (UNITS / "nginx.service.d/sluice.conf").read_text()
    assert text.split("[Service]")[1].split() == [
        "ExecStop=", "KillSignal=SIGQUIT", "TimeoutStopSec=90"]


@pytest.fixture
def maintained(directory):
    """Runs a maintainer script, with names that record what it calls."""
    tools, log = directory / "tools", directory / "calls"
    tools.mkdir()
    for name in ("systemctl", "deb-systemd-invoke", "invoke-rc.d", "chmod",
                 "rm", "rmdir"):
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{log}\n')
        (tools / name).chmod(0o755)

    def run(script, *words):
        text = (DEBIAN / script).read_text().replace(
            "/run/systemd/system", str(tools))
        log.write_text("")
        subprocess.run(["sh", "-c", text, script, *words], check=True,
                       env={"PATH": f"{tools}:/usr/bin:/bin"})
        return log.read_text().splitlines()

    return run


def test_an_upgrade_restarts_what_runs_and_nothing_else(maintained):
    """Shown on a Debian that has booted by make check-compat T=booted."""
    reload = "systemctl --system daemon-reload"
    first = maintained("sluice-consumer.postinst", "configure", "")
    assert first[1:] == [reload,
                         "deb-systemd-invoke start sluice-consumer.target"]
    assert maintained("sluice-consumer.postinst", "configure", "0.1")[1:] == [
        reload, "deb-systemd-invoke try-restart sluice-consumer@*.service"]
    assert maintained("sluice-consumer.prerm", "upgrade", "0.2") == []
    assert maintained("sluice-consumer.prerm", "remove") == [
        "deb-systemd-invoke stop sluice-consumer.target"
        " sluice-consumer@*.service"]
    assert maintained("sluice-consumer.postrm", "remove") == []
    assert maintained("sluice-consumer.postrm", "purge")[0].startswith("rm -f")
    # nginx: the drop-in is read at once, and only an upgrade needs a new
    # master, as a reload keeps the module
    assert maintained("libnginx-mod-http-kafka.postinst", "configure", "") \
        == [reload]
    assert maintained("libnginx-mod-http-kafka.postinst", "configure", "0.1") \
        == [reload, "invoke-rc.d --quiet nginx status",
            "invoke-rc.d nginx upgrade"]


def test_the_version_is_one():
    version = re.search(r'SLUICE_VERSION +"(.*)"',
                        (ROOT / "common/version.h").read_text())[1]
    changelog = (DEBIAN / "changelog").read_text()
    assert changelog.startswith(f"sluice ({version}) ")
    assert re.search(r"^## \[?([\d.]+)", (ROOT / "CHANGES.md").read_text(),
                     re.M)[1] == version
    for name in ("openapi.yaml", "openapi-formats.yaml"):
        assert f"    version: {version}\n" in (
            ROOT / "docs" / name).read_text()


def test_the_example_passes_where_it_lies(installed, directory):
    """With its own relative paths; only what this machine has already is
    elsewhere."""
    example = installed / "usr/share/doc/sluice/nginx.conf.example"
    text = example.read_text()
    for path, place in (("modules/ngx_http_kafka_module.so", MODULE),
                        ("/run/nginx.pid", directory / "pid"),
                        ("/var/log/nginx", directory),
                        ("/var/lib/nginx/body", directory / "body"),
                        ("127.0.0.1:8080;", f"127.0.0.1:{free_port()};"),
                        ("127.0.0.1:8081;", f"127.0.0.1:{free_port()};")):
        assert path in text
        text = text.replace(path, str(place))
    if os.geteuid() != 0:
        text = re.sub(r"^user .*", "", text, flags=re.M)
    conf = example.parent / "here.conf"
    conf.write_text(text)
    done = subprocess.run(["nginx", "-t", "-c", conf], text=True, check=False,
                          stderr=subprocess.PIPE, env=WITH_SBIN)
    conf.unlink()
    assert done.returncode == 0, done.stderr


def test_the_service_is_exposed_little(installed):
    done = analyze("security", "--offline=true", "--threshold=15",
                   UNITS / "sluice-consumer@.service")
    assert done.returncode == 0, done.stdout
    exposure = re.search(r"exposure level .*: ([\d.]+)", done.stdout)
    assert float(exposure[1]) <= 1.5, done.stdout


def test_timeouts_of_the_units_fit_the_programs():
    service = (UNITS / "sluice-consumer@.service").read_text()
    stop = int(re.search(r"TimeoutStopSec=(\d+)", service)[1])
    assert stop > 10                          # flush_timeout
    assert "RestartPreventExitStatus=2 78" in service
    assert "StartLimitIntervalSec=0" in service.split("[Service]")[0]
    assert re.search(r"^PartOf=sluice-consumer.target$", service, re.M)


def test_manuals_are_installed_and_readable(installed):
    for section, name in ((5, "sluice-consumer.conf"), (8, "sluice-consumer")):
        page = installed / f"usr/share/man/man{section}/{name}.{section}"
        done = subprocess.run(["mandoc", "-T", "ascii", page], text=True,
                              stdout=subprocess.PIPE, check=True)
        words = re.sub(".\b", "", done.stdout)
        assert {5: "batch.linger", 8: "SIGHUP"}[section] in words


def test_the_installed_pages_lead_to_each_other(installed):
    pages = installed / "usr/share/doc/sluice"
    for name in subprocess.run(["git", "ls-files", "docs", "examples"],
                               cwd=ROOT, check=True, text=True,
                               stdout=subprocess.PIPE).stdout.split():
        assert (pages / name).is_file(), name
        assert (pages / name).stat().st_mode & 0o777 == 0o644
    run = subprocess.run([ROOT / "tests/links", "installed", pages],
                         capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")
    # a page that is not there would be seen
    os.rename(pages / "docs/tutorial.md", pages / "elsewhere.md")
    run = subprocess.run([ROOT / "tests/links", "installed", pages],
                         capture_output=True, text=True)
    os.rename(pages / "elsewhere.md", pages / "docs/tutorial.md")
    assert run.returncode == 1
    assert "README.md:" in run.stdout and "tutorial.md" in run.stdout


def test_the_module_asks_for_no_cjson():
    """Neither when it is configured nor when it is loaded."""
    for file in (ROOT / "config", *(ROOT / "ngx_module").rglob("*.[ch]"),
                 *(ROOT / "common").rglob("*.[ch]")):
        assert not re.search("cjson", file.read_text(), re.I), file
    said = subprocess.run(["readelf", "--dynamic", MODULE], check=True,
                          text=True, stdout=subprocess.PIPE).stdout
    needed = re.findall(r"\(NEEDED\).*\[lib([\w-]+)\.so", said)
    assert "rdkafka" in needed
    assert not {"cjson", "pq", "microhttpd"} & set(needed), needed


def test_what_is_installed_runs(installed):
    program = installed / "usr/sbin/sluice-consumer"
    done = subprocess.run([program, "--version"], text=True, check=True,
                          stdout=subprocess.PIPE)
    assert done.stdout.startswith("sluice-consumer ")
    for name in ("sluice-consumer.schema.json", "openapi.yaml",
                 "openapi-formats.yaml"):
        assert (installed / "usr/share/sluice" / name).read_bytes() == (
            ROOT / "docs" / name).read_bytes()


def test_the_status_page_is_where_the_example_looks_for_it(installed):
    example = (installed
               / "usr/share/doc/sluice/nginx.conf.example").read_text()
    root, = re.findall(r"root +(/\S+/share/sluice);", example)
    assert root == "/usr/share/sluice"
    for end in ("html", "css", "js"):
        page = installed / root.lstrip("/") / f"status.{end}"
        assert page.read_bytes() == (
            ROOT / "share" / "sluice" / f"status.{end}").read_bytes()


@pytest.fixture(scope="module")
def release(run_directory):
    """What "make release" makes of what is committed, for this machine's
    Debian, signed by a key of the test's own; and the folder of packages."""
    build = run_directory / "release"
    keys = build / "keys"
    keys.mkdir(parents=True, mode=0o700)
    env = {**os.environ, "BUILD": str(build), "GNUPGHOME": str(keys),
           "SUITES": subprocess.run(
               ["sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME"],
               check=True, text=True, stdout=subprocess.PIPE).stdout.strip()}
    subprocess.run(["gpg", "--batch", "--quiet", "--passphrase", "",
                    "--quick-generate-key", "packager@sluice.example",
                    "default", "default", "never"], check=True, env=env)
    subprocess.run([ROOT / "packaging" / "release",
                    "packager@sluice.example"], check=True, env=env, cwd=ROOT)
    yield build, env
    shutil.rmtree(build, ignore_errors=True)


@pytest.mark.skipif(not LONG, reason="make faults")
@pytest.mark.skipif(shutil.which("dh") is None, reason="no debhelper: make deb")
def test_a_release_is_whole_and_signed(release, directory):
    build, env = release
    out, suite = build / "release", env["SUITES"]

    def run(*words, cwd=out):
        return subprocess.run(words, check=True, text=True, env=env, cwd=cwd,
                              stdout=subprocess.PIPE).stdout

    run("gpg", "--batch", "--verify", "SHA256SUMS.asc", "SHA256SUMS")
    run("sha256sum", "--check", "--strict", "SHA256SUMS")
    listed = {line.split()[1] for line in
              (out / "SHA256SUMS").read_text().splitlines()}
    assert listed == {str(path.relative_to(out)) for path in out.rglob("*")
                      if path.is_file()
                      and not path.name.startswith("SHA256SUMS")}
    run("gpg", "--batch", "--verify", f"apt/dists/{suite}/InRelease")
    packages = (out / f"apt/dists/{suite}/main/binary-amd64/Packages"
                ).read_text()
    for file in re.findall(r"^Filename: (.*)", packages, re.M):
        assert (out / "apt" / file).is_file(), file
    assert packages.count("Package: ") == 3
    source, = out.glob("sluice-*.tar.xz")
    run("tar", "-xf", source, cwd=directory)
    assert (directory / source.name.removesuffix(".tar.xz") / "config"
            ).is_file()
    bill, = out.glob("*.cdx.json")
    names = {component["name"] for component in
             json.loads(bill.read_text())["components"]}
    assert {"sluice-consumer", "librdkafka1", "libpq5", "zlib1g"} <= names


@pytest.mark.skipif(not LONG, reason="make faults")
@pytest.mark.skipif(shutil.which("dh") is None, reason="no debhelper: make deb")
def test_debian_packages(release, directory):
    """The module loads into the nginx whose ABI it depends on, the daemon
    runs."""
    build, _ = release
    root = directory / "root"
    control = {}
    for name in ("libnginx-mod-http-kafka", "sluice-consumer", "sluice-doc"):
        package, = (build / "deb").glob(f"*/{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        control[name] = subprocess.run(
            ["dpkg-deb", "-f", package, "Depends"], text=True, check=True,
            stdout=subprocess.PIPE).stdout
    assert "nginx-abi-" in control["libnginx-mod-http-kafka"]
    assert "librdkafka1" in control["sluice-consumer"]
    for path in ("lib/systemd/system/sluice-consumer@.service",
                 "lib/systemd/system/sluice-consumer.target",
                 "usr/lib/systemd/system/nginx.service.d/sluice.conf",
                 "usr/share/man/man8/sluice-consumer.8.gz",
                 "usr/share/sluice/status.html", "usr/share/sluice/status.js",
                 "usr/share/nginx/modules-available/mod-http-kafka.conf",
                 "usr/share/sluice/sluice-consumer.schema.json",
                 "usr/share/sluice/openapi.yaml",
                 "usr/share/sluice/openapi-formats.yaml",
                 "usr/share/doc/libnginx-mod-http-kafka/nginx.conf.example"):
        assert (root / path).exists() or (root / "usr" / path).exists(), path
    run = subprocess.run([ROOT / "tests/links", "installed",
                          root / "usr/share/doc/sluice"],
                         capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")
    assert subprocess.run([root / "usr/sbin/sluice-consumer", "--version"],
                          check=False).returncode == 0
    module = root / "usr/lib/nginx/modules/ngx_http_kafka_module.so"
    conf = directory / "nginx.conf"
    conf.write_text(f"load_module {module};\npid {directory}/pid;\n"
                    f"error_log {directory}/error.log;\nevents {{}}\n")
    done = subprocess.run(["nginx", "-t", "-c", conf, "-p", directory],
                          text=True, stderr=subprocess.PIPE, check=False,
                          env=WITH_SBIN)
    assert done.returncode == 0, done.stderr


def test_what_monitors_is_installed(installed):
    """In whole: the rules find each other where they lie."""
    folder = installed / "usr/share/sluice/monitoring"
    subprocess.run(["promtool", "check", "config",
                    folder / "prometheus/prometheus.yml"], check=True)
    assert len(list((folder / "grafana").glob("*.json"))) == 3
