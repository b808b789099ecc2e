"""packaging/container and packaging/kubernetes: what they say is read on each
run; the images are built, and their commands run, in make faults alone."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
import yaml

from tests.lib import procs, web
from tests.lib.env import LONG, ROOT, free_port, wait_for

CONTAINER = ROOT / "packaging" / "container"
KUBERNETES = ROOT / "packaging" / "kubernetes"
UNITS = ROOT / "packaging" / "systemd"
POST = ROOT / "examples" / "post" / "post.schema.json"
IMAGES = ("nginx", "consumer")
# which units of systemd say the same
UNIT = {"nginx": UNITS / "nginx.service.d" / "sluice.conf",
        "consumer": UNITS / "sluice-consumer@.service"}


def command(*words, **more):
    return subprocess.run([str(word) for word in words], text=True, cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **more)


def said(*words, **more):
    done = command(*words, **more)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def venv():
    """The pinned tools, below build/."""
    return said("stack/venv", "tests/container.pip", timeout=400).strip()


def compose():
    return yaml.safe_load((CONTAINER / "compose.yaml").read_text())["services"]


def stages():
    """The lines of each stage of the Dockerfile, continued ones joined."""
    text = (CONTAINER / "Dockerfile").read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        begun = re.match(r"FROM \S+ AS (\w+)$", line)
        if begun:
            lines = found[begun[1]] = []
        elif found and line and not line.startswith("#"):
            lines.append(" ".join(line.split()))
    return found


def value(lines, word):
    line, = [line for line in lines if line.startswith(word + " ")]
    return line[len(word) + 1:]


def manifests(kind):
    return {found["metadata"]["name"]: found
            for path in sorted(KUBERNETES.glob("*.yaml"))
            for found in yaml.safe_load_all(path.read_text())
            if found["kind"] == kind}


def pods():
    """Image, pod and container of each Deployment."""
    for deployment in manifests("Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        container, = pod["containers"]
        image = re.fullmatch(r".*/sluice-(\w+):[\d.]+", container["image"])[1]
        yield image, pod, container


def unit(image):
    text = UNIT[image].read_text()
    stop = re.search(r"^KillSignal=(\w+)", text, re.M)
    seconds = int(re.search(r"^TimeoutStopSec=(\d+)", text, re.M)[1])
    return stop[1] if stop else "SIGTERM", seconds


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def test_the_compose_file_is_read(venv, directory):
    """By podman-compose, which asks podman for no more than its version."""
    podman = directory / "podman"
    podman.write_text("#!/bin/sh\necho podman version 5.4.2\n")
    podman.chmod(0o755)
    path = f"{directory}:{os.environ['PATH']}"
    tool = f"{venv}/bin/podman-compose"
    read = yaml.safe_load(said(tool, "-f", CONTAINER / "compose.yaml", "config",
                               env={**os.environ, "PATH": path}))
    assert sorted(read["services"]) == ["consumer", "kafka", "nginx", "postgres"]


def test_what_compose_names_is_there():
    services = compose()
    for image in IMAGES:
        service = services[image]
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        build = service["build"]
        context = (CONTAINER / build["context"]).resolve()
        assert context == ROOT and (context / build["dockerfile"]).is_file()
        assert build["target"] in stages()
        for volume in service["volumes"]:
            assert (CONTAINER / volume.split(":")[0]).resolve().is_file()
    for service in services.values():
        assert service["healthcheck"]["test"][0] == "CMD"
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert other in services
    # who can reach it can write records
    assert services["nginx"]["ports"] == ["127.0.0.1:8080:8080"]
    assert "ports" not in services["postgres"] | services["kafka"]
    version, = re.findall(r"<kafka.version>(.*)</kafka.version>",
                          (ROOT / "stack" / "pom.xml").read_text())
    assert services["kafka"]["image"] == f"apache/kafka:{version}"


def test_what_the_dockerfile_copies_is_there():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().split()
            if line.startswith("!")]
    assert kept and all((ROOT / name).exists() for name in kept)
    for lines in stages().values():
        for line in lines:
            copied = re.match(r"COPY (?!--from)(.*) \S+$", line)
            for name in copied[1].split() if copied else []:
                assert name == "." or name in kept, line
    # the build has what a build on this machine has
    asked = re.search(r"apt-get install -y --no-install-recommends (.*)",
                      "\n".join(stages()["build"]))[1].split()
    listed = re.search(r"^build=\((.*?)\)", (ROOT / "stack" / "deps")
                       .read_text(), re.M | re.S)[1].split()
    assert sorted(asked) == sorted(listed)


@pytest.mark.parametrize("image", IMAGES)
def test_a_stop_drains(image):
    """Signal and time are those of the unit, and longer than what they wait
    for."""
    stop, wait = unit(image)
    assert value(stages()[image], "STOPSIGNAL") == stop
    assert seconds(compose()[image]["stop_grace_period"]) == wait
    pod, = [pod for name, pod, _ in pods() if name == image]
    assert pod["terminationGracePeriodSeconds"] >= wait
    if image == "nginx":
        text = (CONTAINER / "nginx.conf").read_text()
        shutdown = seconds(re.search(r"worker_shutdown_timeout +(\w+);",
                                     text)[1])
        longest = max(map(seconds, re.findall(r"kafka_timeout +(\w+);", text)))
        assert longest + 1 < shutdown < wait


def test_probes_ask_what_the_manual_says():
    """A restart must not answer a daemon that holds, or a broker away."""
    manual = {"consumer": ROOT / "docs" / "reference" / "consumer.md",
              "nginx": CONTAINER / "nginx.conf"}
    live = {"consumer": "/livez", "nginx": "/live"}
    ready = {"consumer": "/readyz", "nginx": "/ready"}
    seen = set()
    for image, _, container in pods():
        seen.add(image)
        ports = {port["name"]: port["containerPort"]
                 for port in container["ports"]}
        probe = container["livenessProbe"]["httpGet"]
        port = ports[probe["port"]]
        assert probe["path"] == live[image]
        assert container["readinessProbe"]["httpGet"]["path"] == ready[image]
        assert re.search(rf"(`|location = ){live[image]}\b",
                         manual[image].read_text())
        assert re.search(rf"(`|location = ){ready[image]}\b",
                         manual[image].read_text())
        script = ["/usr/share/sluice/healthy", str(port)]
        assert json.loads(value(stages()[image], "HEALTHCHECK").split(
            "CMD ")[1]) == [*script, live[image]]
        assert compose()[image]["healthcheck"]["test"] == [
            "CMD", *script, ready[image]]
        assert str(port) in value(stages()[image], "EXPOSE").split()
    assert seen == set(IMAGES)


def test_pods_have_few_rights():
    for image, pod, container in pods():
        user = int(value(stages()[image], "USER").split(":")[0])
        assert pod["securityContext"]["runAsUser"] == user != 0
        assert pod["securityContext"]["runAsNonRoot"]
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_manifests_are_valid(venv, directory):
    tool = f"{venv}/bin/kubernetes-validate"
    files = sorted(KUBERNETES.glob("*.yaml"))
    for version in ("1.28", "1.37"):
        said(tool, "--strict", "-k", version, *files)
    # what is not valid would be seen
    bad = directory / "bad.yaml"
    bad.write_text(files[0].read_text().replace("runAsNonRoot", "runAsNobody"))
    done = command(tool, "--strict", bad)
    assert done.returncode == 1 and "runAsNobody" in done.stdout


def test_manifests_fit_together():
    """Each budget and Service finds pods, and the files are those of
    packaging/container."""
    labels = [deployment["spec"]["template"]["metadata"]["labels"]
              for deployment in manifests("Deployment").values()]
    selectors = [budget["spec"]["selector"]["matchLabels"] for budget
                 in manifests("PodDisruptionBudget").values()]
    assert len(selectors) == len(labels)
    selectors += [service["spec"]["selector"]
                  for service in manifests("Service").values()]
    for selector in selectors:
        assert sum(selector.items() <= have.items() for have in labels) == 1
    maps = manifests("ConfigMap")
    assert maps["sluice-nginx"]["data"] == {
        "nginx.conf": (CONTAINER / "nginx.conf").read_text(),
        "post.schema.json": POST.read_text()}
    assert maps["sluice-post"]["data"] == {
        "consumer.json": (CONTAINER / "consumer.json").read_text()}
    for _, pod, _ in pods():
        config, = [volume["configMap"]["name"] for volume in pod["volumes"]
                   if "configMap" in volume]
        assert config in maps


class Running:
    """The command of an image, as stack/container runs it."""

    def __init__(self, image, folder, log):
        self.image, self.folder = image, folder
        with open(log, "w") as out:
            self.process = subprocess.Popen(
                ["stack/container", "run", image, folder], cwd=ROOT,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def program(self):
        """The first process of that name below buildah."""
        want = "nginx" if self.image == "nginx" else "sluice-consumer"
        pids = [self.process.pid]
        while pids:
            for pid in pids:
                comm = pathlib.Path(f"/proc/{pid}/comm")
                if comm.exists() and comm.read_text().strip() == want:
                    return pid
            pids = [child for pid in pids for child in procs.children(pid)]
        return None

    def healthy(self, port, path):
        return command("stack/container", "run", self.image, self.folder,
                       "/usr/share/sluice/healthy", port, path).returncode == 0

    def stop(self, number):
        pid = self.program()
        if pid:
            os.kill(pid, number)
        return self.process.wait(60)


@pytest.mark.skipif(not LONG or os.geteuid() != 0,
                    reason="builds images: in make faults, as root")
def test_images_take_a_request_to_its_row(open_directory, directory, topics,
                                          kafka, database):
    said("stack/container", "build", timeout=3000)
    port, status, listen = free_port(), free_port(), free_port()
    topic, receipts = topics.name(), topics.name()

    for source, replaced in (
            ("nginx.conf", {"kafka:9092": kafka.bootstrap,
                            "listen  8080": f"listen 127.0.0.1:{port}",
                            "listen  8081": f"listen 127.0.0.1:{status}",
                            "topic     post": f"topic {topic}",
                            "sluice-receipts": receipts}),
            ("consumer.json", {"kafka:9092": kafka.bootstrap,
                               '"topic": "post"': f'"topic": "{topic}"',
                               '"group": "post"': f'"group": "{topic}"',
                               "/run/secrets": "/etc/sluice",
                               "sluice-receipts": receipts,
                               "0.0.0.0:9465": f"127.0.0.1:{listen}"})):
        text = (CONTAINER / source).read_text()
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        (open_directory / source).write_text(text)
    (open_directory / "post.schema.json").write_text(POST.read_text())
    (open_directory / "postgres").write_text(database.conninfo + "\n")

    running = {}
    try:
        running["nginx"] = Running("nginx", open_directory,
                                   directory / "nginx.log")
        wait_for(lambda: running["nginx"].healthy(status, "/ready"), 60)
        running["consumer"] = Running("consumer", open_directory,
                                      directory / "consumer.log")
        wait_for(lambda: running["consumer"].healthy(listen, "/readyz"), 60)
        assert running["nginx"].healthy(status, "/live")
        assert running["consumer"].healthy(listen, "/livez")
        assert not running["nginx"].healthy(status, "/other")

        answer = web.request(port, "POST", f"/stored/{topic}",
                             b'{"title":"hello","content":"world"}',
                             {"Content-Type": "application/json"})
        assert (answer.status, answer.json["stored"]) == (200, "row")
        assert database.query("SELECT title, content FROM post") == [
            ("hello", "world")]

        for image in IMAGES:
            pid = running[image].program()
            assert os.stat(f"/proc/{pid}").st_uid == 10001
            assert said("stack/container", "written", image) == ""
        stop = {image: getattr(signal, json.loads(said(
            "stack/container", "settings", image))["StopSignal"])
                for image in IMAGES}
        assert [running.pop(image).stop(stop[image]) for image in IMAGES] == [
            0, 0]
    finally:
        for one in running.values():
            one.stop(signal.SIGTERM)
