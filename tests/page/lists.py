# SPDX-License-Identifier: MIT
"""Lists of the page, and what is done with many of what they show."""

import json

from scene import URL, ask, asked, await_state, put, queue


def jobs(chrome):
    ids = [put(f"do/mail?tag=t{n % 2}&key=k{n % 3}") for n in range(60)]
    page = chrome.page(URL + "#/jobs")
    page.await_text("50 jobs")
    page.wait(f"document.querySelector('tbody a').innerText === '{ids[-1]}'") # the newest first
    page.press("Go on →")
    page.await_text("10 jobs")
    # The filter is in the address.
    page.run("(e => { e.value = 'queued'; e.dispatchEvent(new Event('change', {bubbles: true})); })(document.querySelector('[name=state]'))")
    page.wait("location.hash.includes('state=queued')")
    page.await_text("50 jobs")
    page.type("document.querySelector('[name=tag]')", "t1")
    page.press("Show")
    page.wait("location.hash.includes('tag=t1')")
    page.await_text("30 jobs")
    page.type("document.querySelector('[name=key]')", "k0")
    page.key("Enter")
    page.await_text("10 jobs")
    # One, then those that are chosen, then all that match.
    match = [job for n, job in enumerate(ids) if n % 2 == 1 and n % 3 == 0]
    page.press(f"Cancel… {match[-1]}")
    asked(page, f"Cancel job {match[-1]} of mail, which is queued?")
    page.press("Cancel the job")
    page.await_text("9 jobs")
    await_state(match[-1], "cancelled")
    for job in match[:2]:
        page.click(f"[...document.querySelectorAll('input')].find(e => e.ariaLabel === 'Choose job {job}')")
    page.press("Cancel… Chosen")
    asked(page, "Cancel 2 jobs?")
    page.press("Cancel 2 jobs")
    page.await_text("7 jobs")
    page.press("Cancel… All that match")
    asked(page, "Cancel 7 jobs?")
    page.press("Cancel 7 jobs")
    page.await_text("No job matches")
    assert queue("mail")["queued"] == 50
    page.go("#/jobs?queue=mail&state=cancelled")
    page.await_text("10 jobs")
    page.press(f"Retry {match[-1]}")
    page.await_text("9 jobs")
    assert queue("mail")["queued"] == 51
    page.click(f"[...document.querySelectorAll('input')].find(e => e.ariaLabel === 'Choose job {match[0]}')")
    page.press("Retry… Chosen")
    page.press("Retry 1 job")
    page.await_text("8 jobs")
    page.press("Retry… All that match")
    asked(page, "Retry 8 jobs?")
    page.press("Retry 8 jobs")
    page.await_text("No job matches")
    assert queue("mail")["queued"] == 60
    return page


def bulk(chrome):
    """What is asked is about those that are shown, and can be changed."""
    done, failed, runs = [put("do/mail?tag=a") for _ in range(3)]
    for job, verb in ((done, "done"), (failed, "fail"), (runs, None)):
        lease = ask("POST", "take/mail?lease=1h")
        assert lease["id"] == job
        if verb:
            ask("POST", f"{lease['lease'][1:]}/{verb}", "")
    waits = [put("do/mail?tag=a"), put("do/mail?tag=a&delay=1h")]
    page = chrome.page(URL + "#/jobs?tag=a")
    page.await_text("5 jobs")
    for verb, number in (("Retry", 2), ("Cancel", 2)):
        page.press(f"{verb}… All that match")
        asked(page, f"{verb} {number} jobs?")
        page.press("Keep as it is")
    # A moment in the address counts for both, and stays there.
    came = lambda job: ask("GET", f"jobs/{job}")["created_at"] # noqa: E731
    new = put("do/mail?tag=a")
    while came(new) == came(waits[0]):
        waits.append(new)
        new = put("do/mail?tag=a")
    page.go(f"#/jobs?tag=a&since={came(new)}")
    page.await_text("1 job\n")
    page.press("Show")
    page.wait("location.hash.includes('order=newest') && location.hash.includes('since=')")
    page.await_text("1 job\n")
    page.press("Cancel… All that match")
    asked(page, "Cancel 1 job?")
    page.press("Cancel 1 job")
    await_state(new, "cancelled")
    page.go(f"#/jobs?tag=a&before={came(new)}")
    page.await_text(f"{len(waits) + 3} jobs\n")
    # Those that run go on, and those that have ended are remembered.
    page.press("Cancel… All that match")
    asked(page, f"Cancel {len(waits)} jobs?")
    page.press(f"Cancel {len(waits)} jobs")
    for job in waits:
        await_state(job, "cancelled")
    assert [ask("GET", f"jobs/{job}")["state"] for job in (runs, done, failed)] == ["running", "done", "failed"]
    page.wait(f"document.getElementById('said').innerText === '{len(waits)} changed'")
    page.press("Cancel… All that match")
    page.wait("document.getElementById('said').innerText === 'None to Cancel'")
    page.go("#/jobs?tag=a&state=failed")
    page.await_text("1 job\n")
    page.press("Retry… All that match")
    asked(page, "Retry 1 job?")
    page.press("Retry 1 job")
    page.await_text("No job matches")
    assert ask("GET", f"jobs/{failed}")["state"] == "queued" and ask("GET", f"jobs/{done}")["state"] == "done"
    # What cannot be is not offered.
    for state, offered in (("queued", ["Cancel…"]), ("done", ["Retry…"]), ("running", [])):
        page.go("#/jobs?tag=a&state=" + state)
        page.await_text("1 job\n")
        all_that_match = "[...document.querySelectorAll('main button')].filter(e => e.ariaLabel?.endsWith(' All that match')).map(e => e.innerText)"
        page.wait(f"JSON.stringify({all_that_match}) === {json.dumps(json.dumps(offered, ensure_ascii=False))}")
    return page


def schedules(chrome):
    ask("PUT", "schedules/nightly?cron=0+3+*+*+*&tz=Europe/Paris&queue=mail", "report")
    ask("PUT", "schedules/often?every=6h&queue=mail", "sweep")
    page = chrome.page(URL + "#/schedules")
    page.await_text("2 schedules")
    page.await_text("0 3 * * * Europe/Paris")
    page.await_text("every 6h")
    assert queue("mail")["queued"] == 0
    page.press("Run now nightly")
    page.wait("fetch('queues/mail').then(reply => reply.json()).then(queue => queue.queued === 1)")
    page.press("Pause nightly")
    page.wait("/nightly.*paused/s.test(document.querySelector('tbody tr').innerText)")
    assert ask("GET", "schedules/nightly")["paused"] and not ask("GET", "schedules/often")["paused"]
    page.press("Resume nightly")
    page.wait("!document.querySelector('tbody').innerText.includes('paused')")
    assert not ask("GET", "schedules/nightly")["paused"]
    job = ask("GET", "jobs?queue=mail")["jobs"][0]["id"]
    page.go(f"#/jobs/{job}")
    page.await_text(f"Job {job}")
    page.run("[...document.querySelectorAll('main a')].find(a => a.innerText === 'nightly').click()")
    page.await_text("2 schedules")
    for n in range(99):
        ask("PUT", f"schedules/more{n}?every=6h", "")
    all_of_them(page, "#/schedules", "101 schedules", "100 schedules and more")
    return page


def all_of_them(page, view, caption, short):
    """More than the API says at once; where there are still more, that is said."""
    page.go("#/")
    page.go(view)
    page.await_text(caption)
    page.run("window.really ||= fetch; window.fetch = (path, ...more) => really(path.replace('limit=1000', 'limit=100'), ...more); 0")
    page.go("#/")
    page.go(view)
    page.await_text(short)


def workers(chrome):
    job = put("do/mail?attempts=3")
    page = chrome.page(URL + "#/workers")
    page.await_text("0 jobs at remote workers")
    lease = ask("POST", "take/mail?worker=box7&lease=1h")["lease"]
    page.await_text("1 job at remote workers")
    row = page.run("document.querySelector('tbody tr').innerText")
    assert "box7" in row and "mail" in row and str(job) in row, row
    page.run("document.querySelector('tbody a').click()")
    page.await_text(f"Job {job}")
    page.await_text("box7")
    page.go("#/workers")
    page.await_text("1 job at remote workers")
    ask("POST", lease[1:] + "/done", "sent")
    page.await_text("0 jobs at remote workers")
    ask("POST", "do/mail?batch=lines", "x\n" * 100)
    ask("POST", "take/mail?lease=1h&max=100")
    put("do/mail")
    ask("POST", "take/mail?lease=1h")
    all_of_them(page, "#/workers", "101 jobs at remote workers", "100 jobs and more at remote workers")
    return page
