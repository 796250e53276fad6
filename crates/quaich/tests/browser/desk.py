"""A day at the desk in headless Chromium, over the DevTools protocol.

    python desk.py ADMIN_URL FILE_TO_UPLOAD SCREENSHOT FOLDER

Logs in to a Django admin, uploads a file, takes a picture, logs out. Prints what it has seen as JSON.
"""

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from websockets.sync.client import connect

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,800",
    "--remote-debugging-port=0",
]
PATIENCE = 60


class Page:
    """One tab."""

    def __init__(self, socket):
        self.socket = socket
        self.calls = 0
        self.events = []
        self.responses = []
        for domain in ("Page", "Runtime", "Network", "DOM"):
            self.call(f"{domain}.enable")

    def read(self):
        """The next message; events are kept."""
        message = json.loads(self.socket.recv(timeout=PATIENCE))
        if "method" in message:
            self.events.append(message["method"])
            if message["method"] == "Network.responseReceived":
                self.responses.append(message["params"]["response"])
        return message

    def call(self, method, **params):
        self.calls += 1
        number = self.calls
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = self.read()
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def loads(self, method, **params):
        """Does what leads to another page, and waits till that is there."""
        self.events.clear()
        self.call(method, **params)
        while "Page.loadEventFired" not in self.events:
            self.read()

    def submit(self, form):
        self.loads("Runtime.evaluate", expression=f"document.querySelector({form!r}).requestSubmit()")

    def fill(self, field, value):
        self.evaluate(f"document.querySelector({field!r}).value = {json.dumps(value)}")

    def choose_file(self, field, path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=field)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def where(self):
        return self.evaluate("location.pathname")

    def text(self):
        return self.evaluate("document.body.innerText")


def visit(page, admin, upload, screenshot):
    seen = {}
    page.loads("Page.navigate", url=admin)
    seen["login"] = page.where()
    page.fill("#id_username", "host")
    page.fill("#id_password", "uisge")
    page.submit("#login-form")
    seen["inside"] = page.where()
    seen["welcome"] = page.text()
    page.loads("Page.navigate", url=f"{admin}papers/paper/add/")
    page.fill("#id_title", "Minutes")
    page.choose_file("#id_file", upload)
    page.submit("#paper_form")
    seen["uploaded"] = page.where()
    seen["message"] = page.evaluate("document.querySelector('.messagelist').innerText")
    seen["header_colour"] = page.evaluate(
        "getComputedStyle(document.querySelector('#header')).backgroundColor"
    )
    picture = page.call("Page.captureScreenshot", format="png")["data"]
    Path(screenshot).write_bytes(base64.b64decode(picture))
    cookies = page.call("Network.getCookies", urls=[admin])["cookies"]
    seen["cookies"] = {cookie["name"]: cookie["path"] for cookie in cookies}
    page.submit("#logout-form")
    seen["logged_out"] = page.text()
    page.loads("Page.navigate", url=admin)
    seen["after"] = page.where()
    seen["static"] = [
        {
            "url": response["url"],
            "status": response["status"],
            "encoding": {k.lower(): v for k, v in response["headers"].items()}.get("content-encoding"),
        }
        for response in page.responses
        if "/static/" in response["url"]
    ]
    return seen


def main():
    admin, upload, screenshot, folder = sys.argv[1:]
    chromium = subprocess.Popen(
        ["/usr/bin/chromium", *FLAGS, f"--user-data-dir={folder}", "about:blank"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in chromium.stderr:
            if "DevTools listening on ws://" in line:
                break
        host = line.split("ws://")[1].split("/")[0]
        asked = urllib.request.Request(f"http://{host}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            url = json.load(answer)["webSocketDebuggerUrl"]
        with connect(url, max_size=None) as socket:
            print(json.dumps(visit(Page(socket), admin, upload, screenshot)))
    finally:
        chromium.terminate()
        chromium.communicate()


if __name__ == "__main__":
    main()
