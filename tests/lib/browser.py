"""A real Chromium, driven through chromedriver: started within a deadline,
ended by its own process ids."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess

from tests.lib import procs
from tests.lib.env import free_port, tail, wait_for

MISSING = ("missing: {}; make check installs what apt can find "
           "(stack/deps), here it could not; without it nothing is known "
           "of browsers")


class Browser:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.process = None
        self.driver = None

    def start(self):
        missing = [name for name in ("chromium", "chromedriver")
                   if not shutil.which(name)]
        try:
            from selenium import webdriver
            from selenium.webdriver.remote.remote_connection import \
                RemoteConnection
        except ImportError:
            missing.append("python3-selenium")
        assert not missing, MISSING.format(", ".join(missing))

        self.directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        log = self.directory / "chromedriver.log"
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                ["chromedriver", f"--port={port}"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=dict(os.environ, HOME=str(self.directory),
                         TMPDIR=str(self.directory)),
                start_new_session=True)

        def listening():
            assert self.process.poll() is None, \
                f"chromedriver ended:\n{tail(log)}"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(listening, 10, "chromedriver listens")

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for word in ("headless=new", "no-sandbox", "disable-gpu",
                     "disable-dev-shm-usage", "no-first-run",
                     "disable-background-networking", "no-proxy-server",
                     f"user-data-dir={self.directory}/profile"):
            options.add_argument(f"--{word}")
        RemoteConnection.set_timeout(30)
        self.driver = webdriver.Remote(f"http://127.0.0.1:{port}",
                                       options=options)
        self.driver.set_script_timeout(15)
        self.driver.set_page_load_timeout(15)
        return self

    def open(self, url):
        self.driver.get(url)

    def run(self, script, *arguments):
        """The value of the body of an async function; its errors fail."""
        done = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "const given = [...arguments].slice(0, -1);"
            "(async (...args) => {" + script + "})(...given).then("
            "value => done({ value }),"
            "reason => done({ reason: `${reason}` }));", *arguments)
        assert "reason" not in done, done["reason"]
        return done.get("value")

    def cdp(self, command, **parameters):
        """A command of the DevTools protocol."""
        commands = self.driver.command_executor._commands
        commands.setdefault("cdp", (
            "POST", "/session/$sessionId/goog/cdp/execute"))
        return self.driver.execute("cdp", {"cmd": command,
                                           "params": parameters})["value"]

    def resize(self, width, height):
        """The size of what the page sees, as of a phone."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width,
                 height=height, deviceScaleFactor=1, mobile=width < 600)

    def prefer(self, scheme):
        """light or dark"""
        self.cdp("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])

    def console(self):
        return "\n".join(entry["message"]
                         for entry in self.driver.get_log("browser"))

    def stop(self):
        if self.process is None:
            return
        session = self.process.pid
        try:
            if self.driver:
                self.driver.quit()
        finally:
            for name in (signal.SIGTERM, signal.SIGKILL):
                left = procs.session_members(session)
                for pid in left:
                    try:
                        os.kill(pid, name)
                    except ProcessLookupError:
                        pass
                try:
                    procs.wait_gone(left, 5, "the browser is gone")
                except AssertionError:
                    continue
            self.process.wait(5)
            shutil.rmtree(self.directory / "profile", ignore_errors=True)
