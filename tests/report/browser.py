"""A headless Chromium, spoken to over a pipe by its DevTools protocol: no driver, no socket.

Commands and events are JSON objects ended by a zero byte: the browser reads file descriptor 3 and
writes 4 (https://chromedevtools.github.io/devtools-protocol, ``--remote-debugging-pipe``).
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

FLAGS = (
    "--headless --no-sandbox --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
).split()
SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
NO_GL = ("--disable-gpu", "--disable-3d-apis")


def chromium():
    """Return the path of an installed Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One browser with one page; every event it sends is kept in `events`."""

    def __init__(self, profile, flags=SOFTWARE_GL):
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        # A shell gives the pipes the numbers that the browser expects; from 10 on none collides.
        ours = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_read, to_write)]
        places = f'exec "$@" 3<&{ours[0]} 4>&{ours[1]}'
        command = [chromium(), *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", places, "bash", *command],
            pass_fds=ours,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fd in (to_read, to_write, *ours):
            os.close(fd)
        self.events, self._answers, self._bytes, self._last = [], {}, b"", 0
        self._session = None

    def __enter__(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._to)
            os.close(self._from)

    def call(self, method, **params):
        """Send a command and return its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        self._until(lambda: self._last in self._answers, method)
        answer = self._answers.pop(self._last)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def open(self, path, *, scripts=True, width=1200, height=900):
        """Load a file and wait until it is there."""
        self.events.clear()
        self.resize(width, height)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=path.as_uri())
        self._until(lambda: self.named("Page.loadEventFired"), path.name)

    def resize(self, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def run(self, script):
        """Return the value of a JavaScript expression; a promise is awaited."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, script, seconds=60):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"never came true: {script}"
            time.sleep(0.1)

    def screenshot(self, path=None, *, whole=False):
        """Return the picture of the page as a PNG file; keep it where a path is given."""
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        data = base64.b64decode(taken["data"])
        if path:
            path.write_bytes(data)
        return data

    def named(self, method):
        """Return the parameters of every event of a name."""
        return [event["params"] for event in self.events if event["method"] == method]

    def complaints(self):
        """Return what the console shows: exceptions, errors, warnings, refusals of the policy."""
        thrown = [e["exceptionDetails"] for e in self.named("Runtime.exceptionThrown")]
        spoken = [
            e for e in self.named("Runtime.consoleAPICalled") if e["type"] in ("error", "warning")
        ]
        logged = [e["entry"] for e in self.named("Log.entryAdded")]
        return thrown + spoken + logged

    def requests(self):
        """Return the addresses that were asked for."""
        return [e["request"]["url"] for e in self.named("Network.requestWillBeSent")]

    def _until(self, done, what, seconds=60):
        end = time.monotonic() + seconds
        while not done():
            left = end - time.monotonic()
            assert left > 0, f"the browser gave no answer: {what}"
            if not select.select([self._from], [], [], left)[0]:
                continue
            chunk = os.read(self._from, 1 << 20)
            assert chunk, "the browser has gone"
            self._bytes += chunk
            *messages, self._bytes = self._bytes.split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._answers[message["id"]] = message
                else:
                    self.events.append(message)
