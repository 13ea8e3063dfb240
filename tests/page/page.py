# SPDX-License-Identifier: MIT
"""The page in a real browser: one of the things that a person does, against a server that runs.

    page.py NAME ADDRESS FOLDER

test_browser.c starts the server that each of them needs; pictures go to the folder."""

import json
import os
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from changes import flood, live  # noqa: E402,F401
from chrome import Chrome, PATIENCE_S  # noqa: E402
from lists import bulk, jobs, schedules, workers  # noqa: E402,F401
from scene import FOLDER, NAME, URL, answer, ask, asked, await_state, put, queue  # noqa: E402

HOSTILE = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
AXE = "build/axe/node_modules/axe-core/axe.min.js"


def words(page):
    return page.run("[...document.querySelectorAll('main button, main a')].map(e => e.innerText)")


# ---- what is tried


def stuck(chrome):
    """Who has never seen it finds the queues that are stuck, why, and what helps."""
    page = chrome.page(URL)

    def await_trouble(text, of, follow=None):
        """It is said so, and where the link leads to."""
        page.await_text(f"{of}: {text}")
        line = f"[...document.querySelectorAll('.trouble li')].find(e => e.innerText.startsWith({json.dumps(of + ': ' + text)}))"
        page.wait(f"({line}).className === {json.dumps('warn' if of in ('blocked', 'paused') else '')}")
        if follow:
            page.wait(f"(({line}).querySelector('a').click(), true)") # it may move at any time
            page.wait(f"location.hash === {json.dumps(follow)}")
            page.go("#/")

    # What has waited for a minute, without a minute's wait.
    answer(page, "status", '/"oldest_age_ms":[1-9][0-9]*/g', '"oldest_age_ms":61000')
    ask("POST", "queues/paused/pause")
    parent = put("do/paused")
    for name in ("nobody", "one", "keys", "keys", "rate", "busy"):
        for _ in range(2):
            put(f"do/{name}?key=acme")
    for name in ("one", "keys", "rate", "busy"):
        ask("POST", f"take/{name}?lease=1h")
    await_state(put("do/failing"), "failed")
    for _ in range(2):
        put("do/broken")
    blocked = put(f"do/blocked?after=/jobs/{parent}")
    await_trouble("1 job waits, as it is paused.", "paused")
    await_trouble("2 jobs wait, as nobody takes them.", "nobody", "#/workers")
    await_trouble("1 job waits, as only 1 may run.", "one", "#/jobs?queue=one&state=running")
    await_trouble("3 jobs wait, as acme is at its limit.", "keys", "#/jobs?queue=keys&state=running")
    await_trouble("1 job waits, as its rate is at its limit.", "rate", "#/jobs?queue=rate&state=running")
    await_trouble("1 job waits, as it ends 0 a second.", "busy", "#/jobs?queue=busy&state=running")
    await_trouble("2 jobs wait, as its service is down.", "broken", "#/jobs?queue=broken")
    await_trouble("1 failed in ten minutes, 0 done.", "failing", "#/jobs?queue=failing&state=failed")
    await_trouble("1 job waits, as others must end first.", "blocked", "#/jobs?queue=blocked&state=blocked")
    page.wait("document.querySelectorAll('.card.bad').length === 7")
    page.picture(os.path.join(FOLDER, "stuck.png"))
    # From what is blocked to what it waits for, and to the button that helps.
    page.go("#/jobs?state=blocked")
    page.press(f"/jobs/{parent}")
    page.await_text(f"Job {parent}")
    page.go("#/")
    page.press("Resume paused")
    await_state(blocked, "done")
    return page


def queues(chrome):
    for _ in range(3):
        put()
    page = chrome.page(URL)
    page.await_text("3 of 5 places")
    page.wait("document.title === 'Queues · jobd'")
    page.wait("document.querySelectorAll('.chart').length === 4") # two charts a queue
    page.press("Pause default")
    page.await_text("default: 3 jobs wait, as it is paused.")
    assert queue()["paused"]
    page.press("Resume default")
    page.wait("!document.body.innerText.includes('is paused')")
    assert not queue()["paused"]
    page.press("Purge… default")
    asked(page, "Cancel all 3 jobs that wait in default?")
    page.key("Enter")
    page.wait("!document.querySelector('dialog[open]')")
    assert queue()["queued"] == 3, "what has the focus changes nothing"
    page.press("Purge… default")
    asked(page, "Cancel all 3 jobs")
    page.key("Escape")
    page.wait("!document.querySelector('dialog[open]')")
    assert queue()["queued"] == 3
    page.press("Purge… default")
    page.press("Cancel 3 jobs")
    page.await_text("0 of 5 places")
    assert queue()["queued"] == 0
    page.wait("document.activeElement.id === 'main'") # the focus is where one can go on
    # Full and paused is worse than paused.
    ask("POST", "queues/default/pause")
    for _ in range(5):
        put("do?key=tenant7")
    page.await_text("tenant7 at its limit")
    page.await_text("default: 5 jobs wait and more are turned away, as it is paused.")
    page.press("Resume default")
    page.await_text("default: 5 jobs wait and more are turned away, as nobody takes them.")
    # Updates can be stopped, and go on.
    live = "document.getElementById('live')"
    page.click(live)
    page.wait(f"!{live}.checked")
    ask("POST", "queues/default/purge")
    page.click(live)
    page.await_text("0 of 5 places")
    # What holds for the whole server is said in every view.
    answer(page, "status", '"ready":true', '"ready":false,"reason":"draining"')
    for view in ("#/jobs", "#/workers", "#/schedules", "#/put", "#/"):
        page.go(view)
        page.await_text("It takes no new jobs: draining.")
    return page


def keys(chrome):
    job = put()
    page = chrome.page(URL)
    page.await_text("1 of 5 places")
    page.key("Tab")
    page.wait("document.activeElement.className === 'skip'")
    page.key("Enter")
    for key, title in (("j", "Jobs"), ("p", "Put"), ("w", "Workers"), ("s", "Schedules"), ("q", "Queues")):
        page.key(key)
        page.wait(f"document.title.startsWith('{title}')")
        page.wait("document.activeElement.id === 'main'")
        page.wait(f"document.querySelector('nav [aria-current]').innerText === '{title}'")
    # The field keeps the focus, though a view comes that was asked for before.
    page.run("window.really = fetch; window.fetch = async (...args) => { const reply = await really(...args);"
             " await new Promise(done => setTimeout(done, 300)); return reply; }; 0")
    page.key("w")
    page.wait("document.title.startsWith('Workers')")
    page.key("/")
    page.wait("document.activeElement.id === 'id'")
    page.wait("document.querySelector('h1').innerText === 'Workers'")
    page.wait("document.activeElement.id === 'id'")
    page.call("Input.insertText", text=str(job))
    page.key("Enter")
    page.await_text(f"Job {job}")
    return page


def job(chrome):
    number = '{"id":12345678901234567890,"a":[1,2]}'
    page = chrome.page(URL)
    # A command that has failed twice: it is the payload.
    broken = put("do?attempts=2&tag=nightly&key=tenant7", "echo to the output; echo to the error >&2; exit 3")
    await_state(broken, "failed")
    page.go(f"#/jobs/{broken}")
    for text in ("failed", "nightly", "tenant7", "to the output", "to the error", "attempts that failed", "waited", "ran", "exit code"):
        page.await_text(text)
    page.press("Save payload")
    assert chrome.downloaded(f"job-{broken}-payload").startswith(b"echo to the output")
    page.press("Retry")
    page.wait("/: (queued|running)/.test(document.getElementById('said').innerText)")
    await_state(broken, "failed")
    # JSON is indented where its numbers survive that; bytes are shown as bytes.
    for body, kind, shown in ((': \'{"a":[1,2]}\'', "text/plain", ': \'{"a":[1,2]}\''), ("[1,2.5]", "application/json", "[\n  1,\n  2.5\n]"),
                              (number, "application/json", number), (b"\x00\x01ABC\xff", "application/octet-stream", "00 01 41 42 43 ff"),
                              ("z" * 66000, "text/plain", "The first 64 KiB. Save it to see all."),
                              (b"\0" * 16385, "application/octet-stream", "The first 16 KiB. Save it to see all.")):
        done = ask("POST", "do", body, Content_Type=kind)["id"]
        ask("GET", f"jobs/{done}?wait=30s")
        page.go(f"#/jobs/{done}")
        page.await_text(f"Job {done}")
        page.await_text(shown)
    # One that failed before it was done; and what such a one wrote is no failure.
    again = put("do?attempts=2", "[ $JOBD_ATTEMPT = 2 ] || { echo it was down >&2; exit 1; }")
    await_state(again, "done")
    page.go(f"#/jobs/{again}")
    page.await_text(f"Job {again}")
    page.await_text("attempts that failed\n\nattempt 1, ")
    page.await_text("it was down")
    answer(page, f"jobs/{again}", '"state":"done"', '"state":"done","error":"it is old"')
    page.go("#/")
    page.go(f"#/jobs/{again}")
    page.await_text("standard error\nit is old")
    page.wait("!document.querySelector('main .failed, main .harm, main [role=alert]')")
    # What is no text is shown as bytes, also as it comes.
    runs = put("do", "printf '\\377\\376ok'; trap 'kill $!; exit 0' TERM; sleep 600 & wait")
    page.go(f"#/jobs/{runs}")
    page.await_text("000000  ff fe ")
    ask("DELETE", f"jobs/{runs}")
    # One that runs.
    runs = put("do", "echo begun; trap 'kill $!; exit 0' TERM; sleep 600 & wait")
    page.go(f"#/jobs/{runs}")
    page.wait("document.querySelector('b.running')")
    page.await_text("begun")
    box = "document.querySelector('main label input')"
    assert page.run(box + ".checked"), "it follows"
    page.click(box)
    page.press("Cancel…")
    asked(page, f"Cancel job {runs} of default, which is running?")
    page.press("Cancel the job")
    page.wait("document.querySelector('b.cancelled')")
    assert "begun" in page.text(), "what it has put out is kept"
    page.go("#/jobs/1")
    page.wait("document.querySelector('[role=alert]:not([hidden])')?.innerText")
    return page


def putting(chrome):
    page = chrome.page(URL + "#/put")
    page.await_text("Put a job in")
    page.run("(e => { e.value = 'mail'; e.dispatchEvent(new Event('input', {bubbles: true})); })(document.querySelector('select'))")
    for name, text in (("payload", "@it's a letter"), ("type", "text/x-letter"), ("delay", "1h"), ("priority", "1"), ("key", "tenant7")):
        page.type(f"document.querySelector('[name={name}]')", text)
    line = page.run("document.querySelector('pre').innerText")
    page.press("Copy")
    page.press("Put it in")
    page.await_text(": scheduled")
    inside = ask("GET", "jobs?queue=mail")["jobs"]
    assert len(inside) == 1 and inside[0]["priority"] == 1 and inside[0]["key"] == "tenant7", inside
    assert ask("GET", f"jobs/{inside[0]['id']}/payload") == b"@it's a letter"
    # The line does the same.
    assert line.startswith("curl ")
    assert os.system(line + " -s >" + os.devnull) == 0
    more = ask("GET", "jobs?queue=mail")["jobs"]
    assert len(more) == 2 and more[1]["priority"] == 1 and more[1]["key"] == "tenant7"
    assert ask("GET", f"jobs/{more[1]['id']}/payload") == b"@it's a letter"
    # One that waits for others says which.
    ids = [job["id"] for job in more]
    batch = ask("POST", "do/mail?batch=lines&delay=1h", "one\ntwo\n")["ids"][0]
    waits = put(f"do/mail?after=/jobs/{ids[0]},/batches/{batch}")
    other = chrome.page(URL + f"#/jobs/{waits}")
    other.await_text("blocked")
    links = other.run("[...document.querySelectorAll('main a')].map(a => a.innerText + ' ' + a.hash)")
    assert f"/jobs/{ids[0]} #/jobs/{ids[0]}" in links, links
    assert any(link.startswith(f"/batches/{batch} ") and f"batch={batch}" in link for link in links), links
    # What is being written stays, and what is wrong is said.
    page.type("document.querySelector('[name=priority]')", "99")
    page.press("Put it in")
    page.await_text("priority")
    page.wait("document.getElementById('said').innerText.includes('0 to 7')")
    page.wait("document.querySelector('textarea').value === '@it\\'s a letter'")
    return page


def tokens(chrome):
    for name in ("default", "mail"):
        assert ask("POST", "do/" + name, "secret payload", Authorization="Bearer admin-admin-admin") != 401
    page = chrome.page(URL)
    page.await_text("a bearer token is required")

    def use(token, keep=False):
        page.run("document.getElementById('token').open || document.getElementById('login').click()")
        page.type("document.getElementById('secret')", token)
        if keep:
            page.click("document.getElementById('keep')")
        page.key("Enter")

    use("wrong-wrong-wrong")
    page.await_text("the bearer token is not known")
    page.press("Back")
    for scope in ("read", "read+data", "put", "work", "read:mail", "put:mail", "admin:mail", "admin"):
        name = (scope + "-" + scope + "-" + scope).replace(":", ".").replace("+", ".")
        page.go("#/")
        use(name)
        page.wait("document.querySelector('main').innerText.includes('places')")
        shown = {"admin": "", "admin:mail": "token: admin mail"}.get(scope, "token: " + scope.replace(":", " "))
        page.wait(f"(document.getElementById('server').innerText.trim().match(/token:.*/) || [''])[0] === '{shown}'")
        has_buttons = "true" if scope.startswith("admin") else "false"
        page.wait(f"main.innerText.includes('Pause') === {has_buttons} && main.querySelectorAll('.card').length === {1 if ':' in scope else 3}")
        may_put = "true" if scope[:3] in ("put", "adm") else "false"
        page.wait(f"document.querySelector('nav [href=\"#/put\"]').hidden !== {may_put}")
        page.wait(f"document.querySelector('nav [href=\"#/schedules\"]').hidden === {'true' if ':' in scope else 'false'}")
        # Neither by its key, nor by its address.
        page.run("document.activeElement.blur()")
        for key, offered in (("p", may_put == "true"), ("s", ":" not in scope)):
            page.go("#/jobs")
            page.wait("document.querySelector('h1').innerText === 'Jobs'")
            page.key(key)
            assert page.run("location.hash") == ({"p": "#/put", "s": "#/schedules"}[key] if offered else "#/jobs"), scope
        page.go("#/put")
        page.wait(f"document.querySelector('main form') != null === {may_put} && document.title.startsWith('Put')")
        if may_put == "false":
            page.await_text("It needs a token of scope put.")
        else:
            assert page.run("[...document.querySelectorAll('main option')].map(e => e.value).join()") == ("mail" if ":" in scope else "default,mail")
        page.go("#/workers")
        page.await_text("0 jobs at remote workers")
        if scope.startswith("admin"):
            page.go("#/jobs?tag=zz")
            page.await_text("No job matches")
            page.press("Cancel… All that match")
            page.wait("document.getElementById('said').innerText === 'None to Cancel'")
        page.go("#/jobs?queue=mail")
        page.wait("document.querySelector('tbody a')")
        assert any("Cancel" in word for word in words(page)) == scope.startswith("admin"), scope
        page.click("document.querySelector('tbody a')")
        page.await_text("Job ")
        page.wait("document.title.startsWith('Job ')")
        page.await_text("created at")
        if scope.split(":")[0] != "read":
            page.await_text("secret payload")
        else:
            assert "secret payload" not in page.text()
    # It is in no address, no cookie, and in the storage only when that is asked for.
    assert page.run("document.cookie + location.href + JSON.stringify(sessionStorage) + JSON.stringify(localStorage)").count("admin") == 0
    page.go("#/")
    use("admin-admin-admin", keep=True)
    page.wait("sessionStorage.jobd === 'admin-admin-admin'")
    page.call("Page.reload")
    page.wait("document.querySelector('main').innerText.includes('places')")
    use("")
    page.await_text("a bearer token is required")
    assert page.run("JSON.stringify(sessionStorage)").count("admin") == 0
    # What a token may not see is said.
    use("put-put-put")
    page.wait("document.querySelector('main').innerText.includes('places')")
    page.go("#/schedules")
    page.wait("document.querySelector('main [role=alert], main table')")
    return page


def hostile(chrome):
    quoted = urllib.parse.quote("<b>x</b>")
    page = chrome.page(URL)
    bad = put(f"do?tag={quoted}&key={quoted}", f"cat <<'E'\n{HOSTILE}\nE\necho \"{HOSTILE}\" >&2; exit 1")
    await_state(bad, "failed")
    runs = put("do", f"cat <<'E'\n{HOSTILE}\nE\ntrap 'kill $!; exit 0' TERM; sleep 600 & wait")
    for view in (f"#/jobs/{bad}", "#/jobs", f"#/jobs?tag={quoted}", f"#/jobs/{runs}"):
        page.go(view)
        page.wait("document.querySelector('main h1')")
        page.await_text("onerror=")
    for view in ("#/jobs/" + urllib.parse.quote(HOSTILE, safe=""), "#/jobs?state=" + quoted, "#/jobs?queue=" + quoted,
                 "#/" + quoted, "#/jobs/..%2fqueues", "#/jobs/%00"):
        page.go(view)
        page.wait("document.querySelector('main h1')")
    page.go("#/put")
    page.await_text("Put a job in")
    page.type("document.querySelector('textarea')", HOSTILE)
    page.wait("document.querySelector('pre').innerText.includes('onerror')")
    assert page.run("window.hacked") is None
    assert page.run("document.querySelectorAll('main img, main script').length") == 0
    ask("DELETE", f"jobs/{runs}")
    return page


def prefix(chrome):
    """Below a path of nginx: ADDRESS is that of the proxy and its path."""
    page = chrome.page(URL)
    page.await_text("0 of 5 places")
    page.press("Put")
    page.await_text("Put a job in")
    page.type("document.querySelector('textarea')", "below")
    assert URL + "do/default" in page.run("document.querySelector('pre').innerText")
    page.press("Put it in")
    page.await_text(": queued")
    page.click("document.querySelector('#said a')")
    page.await_text("below")
    page.press("Queues")
    page.await_text("1 of 5 places")
    page.press("Pause default")
    page.await_text("paused")
    assert not page.run("performance.getEntriesByType('resource').map(e => e.name).filter(name => !name.startsWith(new URL('.', location).href)).length")
    return page


def hide(page, hidden):
    page.run(f"Object.defineProperty(document, 'hidden', {{value: {json.dumps(hidden)}, configurable: true}});"
             "document.dispatchEvent(new Event('visibilitychange'))")


def gone(chrome):
    page = chrome.page(URL)
    page.await_text("of 5 places")
    page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    page.await_text("The server does not answer.")
    job = put()
    page.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    page.wait("document.getElementById('gone').hidden")
    page.await_text("1 of 5 places")
    # What hides does not ask: not for the job whose end it follows, nor for a list that has changed.
    lease = ask("POST", "take?lease=1h")["lease"][1:]
    for view, shown, change in ((f"#/jobs/{job}", "b.running", lambda: ask("POST", lease + "/done", "")),
                                ("#/jobs", "tbody b.done", put)):
        page.go(view)
        page.wait(f"document.querySelector('{shown}')")
        await_open(page, "/output", view != "#/jobs")
        hide(page, True)
        await_open(page, "/output", 0)
        page.run("new Promise(done => setTimeout(done, 1000))") # what it has asked for may still come
        before = page.requests("")
        change()
        page.run("new Promise(done => setTimeout(done, 3000))")
        assert page.requests("") == before, "it asks, though it is hidden"
        hide(page, False)
    page.await_text("2 jobs")
    # What a job that runs puts out comes again when it may, and does not when updates are stopped.
    for job in (job, ask("POST", "take?lease=1h")["id"]):
        page.go(f"#/jobs/{job}")
        page.await_text(f"Job {job}")
    for stop, go_on in ((lambda: hide(page, True), lambda: hide(page, False)),
                        (lambda: page.click("document.getElementById('live')"),) * 2):
        await_open(page, "/output", 1)
        stop()
        await_open(page, "/output", 0)
        go_on()
    await_open(page, "/output", 1)
    return page


def await_open(page, path, number):
    """So many such requests go on."""
    deadline = time.monotonic() + PATIENCE_S
    while page.open_requests(path) != number:
        assert time.monotonic() < deadline, f"not {number} of {path}, but {page.open_requests(path)}"
        page.run("new Promise(done => requestAnimationFrame(done))")


def many(chrome):
    """From 13 queues on a table; and it draws at most 4 times a second, however much happens."""
    page = chrome.page(URL)
    page.await_text("13 queues")
    page.wait("document.querySelectorAll('tbody tr').length === 13")
    page.press("Pause q3")
    page.await_text("q3: 0 jobs wait, as it is paused.")
    page.run("window.drawn = 0; new MutationObserver(() => window.drawn++).observe(document.querySelector('main'), {childList: true})")
    begun = time.monotonic()
    for n in range(1000):
        put(f"do/q{1 + n % 12}")
    page.await_text("84 of")
    took = time.monotonic() - begun
    assert page.run("window.drawn") <= 4 * took + 4
    return page


def looks(chrome):
    """Pictures for a person to look at; nothing serious for axe; no scrolling sideways."""
    failed = None
    for n in range(4):
        failed = put("do/mail", json.dumps({"to": "somebody@example.org", "n": n, "subject": "a letter " + "and more " * 20}), Content_Type="application/json")
        await_state(failed, "failed")
    ask("POST", "queues/slow/pause")
    for _ in range(7):
        put("do/slow")
    put("do/reports?delay=1h&tag=nightly&key=tenant7", "report")
    runs = put("do/default", "for i in 1 2 3; do echo line $i; done; trap 'kill $!; exit 0' TERM; sleep 600 & wait")
    long = "q" * 64
    put("do/" + long)
    views = {"queues": "#/", "jobs": "#/jobs", "long": f"#/jobs?queue={long}", "failed": f"#/jobs/{failed}", "running": f"#/jobs/{runs}",
             "schedules": "#/schedules", "workers": "#/workers", "put": "#/put"}
    axe = open(AXE, encoding="utf-8").read() if os.path.exists(AXE) else None
    if not axe:
        print("skipped: there is no axe-core; make deps-check brings it where there is npm")
    page = chrome.page(URL)
    page.await_text("7 jobs wait and more are turned away, as it is paused.")
    found = []
    for dark in (False, True):
        for width in (390, 1280):
            page.look(width, 844 if width == 390 else 900, dark)
            for name, view in views.items():
                page.go(view)
                page.wait("document.querySelector('main h1')")
                page.wait({"failed": "document.querySelectorAll('pre').length", "running": "document.querySelector('b.running')",
                           "put": "document.querySelector('textarea')", "queues": "document.querySelector('.card')",
                           "jobs": "document.querySelector('tbody a')", "long": "document.querySelectorAll('tbody tr').length === 1"}.get(name, f"document.title.toLowerCase().startsWith('{name}')"))
                page.picture(os.path.join(FOLDER, f"{name}-{width}-{'dark' if dark else 'light'}.png"))
                if page.run("document.documentElement.scrollWidth > innerWidth"):
                    found.append(f"{name} scrolls sideways at {width}")
                if axe:
                    page.run(axe)
                    bad = page.run("axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.filter(v => /serious|critical/.test(v.impact))"
                                   ".map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; ')))")
                    found += [f"{name} {width} {'dark' if dark else 'light'}: {text}" for text in bad]
    ask("DELETE", f"jobs/{runs}")
    assert not found, "\n".join(found)
    return page


def main():
    chrome = Chrome()
    try:
        # What the server refuses is an error on the console of a browser; here it is asked for.
        refused = {"tokens": ("401", "403", "404"), "job": ("404",), "hostile": ("404", "400"), "putting": ("400",),
                   "gone": ("ERR_INTERNET_DISCONNECTED",)}
        page = globals()[NAME](chrome)
        said = page.complaints(refused.get(NAME, ()))
        assert not said, "\n".join(said)
    finally:
        chrome.close()


main()
