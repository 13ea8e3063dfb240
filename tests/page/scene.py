# SPDX-License-Identifier: MIT
"""The server that the page is of: what was named on the command line, and requests to it. And what
the page is asked for more than once."""

import json
import sys
import urllib.error
import urllib.request

from chrome import PATIENCE_S

NAME, ADDRESS, FOLDER = sys.argv[1:4]
URL = f"http://{ADDRESS}/"


def ask(method, path, body=None, **fields):
    """The answer to a request, as JSON where it is; of a refusal, its status."""
    fields = {"Accept": "application/json", **{name.replace("_", "-"): value for name, value in fields.items()}}
    request = urllib.request.Request(URL + path, body.encode() if isinstance(body, str) else body, fields, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            text = reply.read()
    except urllib.error.HTTPError as error:
        return error.code
    return json.loads(text) if text[:1] in b"{[" else text


def put(path="do", body="x", **fields):
    return ask("POST", path, body, **fields)["id"]


def await_state(job, state):
    assert ask("GET", f"jobs/{job}?wait=30s")["state"] == state


def queue(name="default"):
    return ask("GET", "queues/" + name)


def asked(page, text):
    """The dialog before harm: it says this, and what has the focus changes nothing."""
    page.wait(f"document.querySelector('#ask[open]')?.innerText.includes({json.dumps(text)})")
    page.wait("document.activeElement.innerText === 'Keep as it is'")


def answer(page, path, text, instead):
    """From now on it reads something else in answers whose path begins so."""
    page.run("""window.really ||= fetch; window.fetch = async (...args) => {
        const reply = await really(...args);
        if (!String(args[0]).startsWith(%s)) return reply;
        return new Response((await reply.text()).replace(%s, %s), reply);
    }; 0""" % (json.dumps(path), text if text.startswith("/") else json.dumps(text), json.dumps(instead)))
