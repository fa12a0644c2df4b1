"""Headless Chromium, driven through the pipe of its DevTools protocol.

It reaches no host but this one, keeps nothing between two of its runs, and trusts exactly the
certificates it is told of, by their keys."""

import base64
import fcntl
import hashlib
import json
import os
import pathlib
import selectors
import shutil
import subprocess
import time

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
    "--no-first-run", "--no-default-browser-check", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--disable-domain-reliability",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
]  # fmt: skip


def is_here():
    return shutil.which("chromium") is not None


def fingerprint_of_key(certificate):
    """SHA-256 of the public key of a PEM file's first certificate, in base64."""
    pem = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], capture_output=True, check=True)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "der"], input=pem.stdout, capture_output=True, check=True
    )
    return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()


def pipe():
    """(reading end, writing end), both above 9: out of the way of what a program is given."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return high


class Browser:
    """One run of Chromium with an empty profile below `folder`. `trusted` are PEM files.

    It speaks HTTP/3 only where asked: `quic` allows it as a server's Alt-Svc offers it, and
    `quic_origins` ("host:port") are spoken to in nothing else, from the first connection on."""

    def __init__(self, folder, trusted=(), quic=False, quic_origins=(), timeout=30):
        self.timeout = timeout
        self.folder = pathlib.Path(folder)
        flags = [*FLAGS, f"--user-data-dir={self.folder}/profile"]
        if trusted:
            flags.append("--ignore-certificate-errors-spki-list=" + ",".join(map(fingerprint_of_key, trusted)))
        if quic_origins:
            flags.append("--origin-to-force-quic-on=" + ",".join(quic_origins))
        elif not quic:
            flags.append("--disable-quic")
        self._start(flags)
        self.buffer = b""
        self.last_id = 0
        self.events = []

    def _start(self, flags):
        theirs_in, self.to = pipe()
        self.come_from, theirs_out = pipe()
        # Chromium reads commands from descriptor 3 and writes to 4.
        script = f'exec 3<&{theirs_in} 4>&{theirs_out} {theirs_in}<&- {theirs_out}>&-; exec "$0" "$@"'
        with open(self.folder / "chromium.log", "wb") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", script, "chromium", *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=(theirs_in, theirs_out), env={**os.environ, "HOME": str(self.folder)},
            )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Chromium ends when it is told to, or when nobody is left to tell it anything."""
        try:
            self.call("Browser.close")
        except (EOFError, OSError):
            pass
        os.close(self.to)
        os.close(self.come_from)
        try:
            self.process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    # ---- the protocol: JSON texts, each ended by a zero byte ----

    def call(self, method, session=None, **parameters):
        """Sends a command and returns its result; events that come meanwhile are kept."""
        self.last_id += 1
        command = {"id": self.last_id, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data) :]
        deadline = time.monotonic() + self.timeout
        while True:
            message = self._read(deadline)
            if message.get("id") == self.last_id:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait_for_event(self, is_it, what):
        """The first event that is it, among those kept and those to come."""
        deadline = time.monotonic() + self.timeout
        seen = 0
        while True:
            for event in self.events[seen:]:
                if is_it(event):
                    return event
            seen = len(self.events)
            try:
                self.events.append(self._read(deadline))
            except TimeoutError:
                raise TimeoutError(f"{what} did not come") from None

    def _read(self, deadline):
        with selectors.DefaultSelector() as selector:
            selector.register(self.come_from, selectors.EVENT_READ)
            while b"\0" not in self.buffer:
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise TimeoutError(f"Chromium says nothing: {self.log()}")
                piece = os.read(self.come_from, 1 << 20)
                if not piece:
                    raise EOFError(f"Chromium has ended: {self.log()}")
                self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def log(self):
        return (self.folder / "chromium.log").read_text(errors="replace")[-2000:]

    def page(self):
        return Page(self)


class Page:
    """One tab, with the network events of all it does."""

    def __init__(self, browser):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.target = target
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def open(self, url):
        """Goes there and waits until it is loaded; ConnectionError when there is nothing to load."""
        loads = len(self.events("Page.loadEventFired"))
        result = self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise ConnectionError(f"{url}: {result['errorText']}")
        self.wait_for("Page.loadEventFired", loads + 1)

    def run(self, expression):
        """The value of an expression of JavaScript; of a promise, what it comes to."""
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"].get("exception", {}).get("description", result))
        return result["result"].get("value")

    def _is_mine(self, event, method):
        return event.get("sessionId") == self.session and event.get("method") == method

    def events(self, method):
        """The parameters of all such events so far, such as Network.responseReceived."""
        return [event["params"] for event in self.browser.events if self._is_mine(event, method)]

    def wait_for(self, method, count=1):
        """Waits until there are so many, and returns them."""
        self.browser.wait_for_event(lambda _: len(self.events(method)) >= count, f"{method} of {self.session}")
        return self.events(method)

    def protocol(self):
        """What the page itself came by: "http/1.1", "h2" or "h3"."""
        return self.run("performance.getEntriesByType('navigation')[0].nextHopProtocol")

    def responses(self):
        """{url: response} of all that was loaded; a response has protocol and connectionId."""
        return {event["response"]["url"]: event["response"] for event in self.events("Network.responseReceived")}
