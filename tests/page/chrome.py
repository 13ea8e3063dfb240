# SPDX-License-Identifier: MIT
"""A browser: Chromium without a window, driven by its DevTools protocol over a pipe.

All waits are for something that happens on the page, and end with an error after PATIENCE_S."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PATIENCE_S = 60


class Chrome:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="jobd-page-")
        self.downloads = os.path.join(self.folder, "downloads")
        os.mkdir(self.downloads)
        commands, self.send_fd = os.pipe()
        self.read_fd, answers = os.pipe()
        # Behind 3 and 4, which they become in the child.
        commands, answers = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (commands, answers)]

        def place():
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--lang=en",
             "--user-data-dir=" + os.path.join(self.folder, "profile"), "about:blank"],
            pass_fds=(3, 4), preexec_fn=place, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": self.folder})
        os.close(commands)
        os.close(answers)
        self.rest, self.last_id, self.events = b"", 0, []
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=self.downloads, eventsEnabled=True)

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(PATIENCE_S)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, 9)
                self.process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def message(self, deadline):
        while b"\0" not in self.rest:
            if not select.select([self.read_fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser says nothing")
            part = os.read(self.read_fd, 1 << 20)
            if not part:
                raise EOFError("the browser has ended")
            self.rest += part
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, session=None, **params):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        left = json.dumps(message).encode() + b"\0"
        while left:
            left = left[os.write(self.send_fd, left):]
        deadline = time.monotonic() + 2 * PATIENCE_S
        while True:
            answer = self.message(deadline)
            if answer.get("id") == self.last_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def downloaded(self, name):
        """Waits for a file whose name begins so: what is in it."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(event.get("method") == "Page.downloadProgress" and event["params"]["state"] == "completed"
                      for event in self.events): # it may have come while a call was answered
            self.events.append(self.message(deadline))
        path, = [file for file in os.listdir(self.downloads) if file.startswith(name)]
        with open(os.path.join(self.downloads, path), "rb") as file:
            return file.read()

    def page(self, url, width=1280, height=900, dark=False):
        return Page(self, url, width, height, dark)


class Page:
    """One tab. What its console says is kept; complaints() gives what must not be there."""

    def __init__(self, chrome, url, width, height, dark):
        self.chrome = chrome
        # A context of its own: no page sees what another one has stored.
        context = chrome.call("Target.createBrowserContext")["browserContextId"]
        target = chrome.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self.session = chrome.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        chrome.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=chrome.downloads, browserContextId=context)
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Audits"):
            self.call(domain + ".enable")
        self.look(width, height, dark)
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def call(self, method, **params):
        return self.chrome.call(method, self.session, **params)

    def look(self, width, height, dark):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def run(self, script):
        """The value of an expression, awaited when it is a promise."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, condition):
        """Until the expression is true, or a promise that it gives is: its value."""
        found = self.run("(async () => { for (const end = Date.now() + %d; Date.now() < end;) {"
                         "const found = await (async () => { try { return await (%s); } catch { return false; } })();"
                         "if (found) return found instanceof Node || found;"
                         "await new Promise(done => setTimeout(done, 20)); } return false; })()"
                         % (PATIENCE_S * 1000, condition))
        if not found:
            raise AssertionError(f"this never was true: {condition}\n{self.text()}")
        return found

    def text(self):
        return self.run("document.body.innerText")

    def await_text(self, text):
        self.wait(f"document.body.innerText.includes({json.dumps(text)})")

    def click(self, element):
        """A click of the mouse in the middle of what the expression gives, once it is there."""
        x, y = self.wait("(e => { if (!e) return false; e.scrollIntoView({block: 'center', inline: 'center'});"
                         "const r = e.getBoundingClientRect(); return r.width > 0 && [r.x + r.width / 2, r.y + r.height / 2]; })"
                         f"({element})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, name):
        """The button, or link, that is called so: by its words, or by what it is about as well."""
        self.click("[...(document.querySelector('dialog[open]') || document).querySelectorAll('button, a')]"
                   f".find(e => [e.innerText.trim(), e.ariaLabel].includes({json.dumps(name)}))")

    def key(self, key, code=None):
        text = {"text": key} if len(key) == 1 else {}
        if key == "Enter":
            text = {"text": "\r"}
        number = {"Enter": 13, "Tab": 9, "Escape": 27}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=number,
                      **(text if kind == "keyDown" else {}))

    def type(self, element, text):
        self.run(f"({element}).focus()")
        self.run(f"({element}).select?.()")
        self.call("Input.insertText", text=text)

    def go(self, view):
        self.run(f"location.hash = {json.dumps(view)}")

    def picture(self, path, whole=False):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 4000), "scale": 1}} if whole else {}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def requests(self, path):
        """How many it has made whose path ends so."""
        self.run("0")
        return sum(event.get("sessionId") == self.session and event["method"] == "Network.requestWillBeSent"
                   and event["params"]["request"]["url"].split("?")[0].endswith(path) for event in self.chrome.events)

    def open_requests(self, path):
        """How many of those it still waits for."""
        self.run("0")
        mine = [event for event in self.chrome.events if event.get("sessionId") == self.session]
        ended = {event["params"]["requestId"] for event in mine if event["method"] in ("Network.loadingFinished", "Network.loadingFailed")}
        return sum(event["method"] == "Network.requestWillBeSent" and event["params"]["requestId"] not in ended
                   and event["params"]["request"]["url"].split("?")[0].endswith(path) for event in mine)

    def heap(self):
        """Bytes that its script holds."""
        self.call("HeapProfiler.collectGarbage")
        return self.call("Runtime.getHeapUsage")["usedSize"]

    def complaints(self, but=()):
        """Errors, exceptions and reports of the policy; without errors that contain one of `but`."""
        self.run("0")
        found = []
        for event in self.chrome.events:
            if event.get("sessionId") != self.session:
                continue
            method, params = event.get("method"), event.get("params", {})
            about_speed = "PerformanceIssue" in json.dumps(params)
            if method == "Runtime.exceptionThrown" or method == "Audits.issueAdded" and not about_speed:
                found.append(json.dumps(params))
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                text = f"{params['entry']['text']} {params['entry'].get('url', '')}"
                if not any(word in text for word in but):
                    found.append(text)
            elif method == "Runtime.consoleAPICalled":
                found.append(json.dumps(params["args"]))
        return found
