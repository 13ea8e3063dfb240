# SPDX-License-Identifier: MIT
"""What changes while the page is open, by the changes of state that it is told of."""

import json
import time

from scene import URL, ask, put


def await_figures(page, of="default", **wanted):
    """The card of that queue says so."""
    page.wait(f"(card => Object.entries({json.dumps(wanted)}).every(([name, value]) => [...card.querySelectorAll('dl div')]"
              f".find(e => e.firstChild.innerText === name).lastChild.innerText === value.toLocaleString('en')))(document.querySelector('.card[aria-label={of}]'))")


def asked_rarely(page, begun, before):
    """Since then /status was asked no more often than every 10 s."""
    asked, took = page.requests("/status") - before, time.monotonic() - begun
    assert asked <= 1 + took / 10, f"/status was asked {asked} times in {took} s"


def live(chrome):
    """Figures move with each change, and not by asking."""
    page = chrome.page(URL)
    page.wait("document.querySelectorAll('.card').length === 2")
    page.wait("document.getElementById('live').checked")
    while page.requests("/status") < 2: # when it came, and when the changes began to come
        page.run("new Promise(done => requestAnimationFrame(done))")
    begun, before = time.monotonic(), page.requests("/status")
    ids = []
    for n in range(8):
        ids.append(put("do?attempts=2"))
        await_figures(page, queued=n + 1, running=0)
    leases = []
    for n in range(4):
        leases.append(ask("POST", "take?lease=1h")["lease"][1:])
        await_figures(page, queued=7 - n, running=n + 1)
    ask("POST", leases[0] + "/done", "good")
    await_figures(page, running=3, done=1)
    ask("POST", leases[1] + "/fail?delay=1h", "bad")
    await_figures(page, running=2, scheduled=1, failed=0)
    ask("POST", leases[2] + "/release")
    await_figures(page, running=1, queued=5)
    ask("DELETE", f"jobs/{ids[1]}") # it was scheduled
    await_figures(page, scheduled=0, queued=5)
    blocked = put(f"do?after=/jobs/{ids[7]}")
    await_figures(page, queued=5, blocked=1)
    ask("DELETE", f"jobs/{ids[7]}")
    await_figures(page, queued=4, blocked=0)
    ask("POST", f"jobs/{blocked}/retry")
    await_figures(page, queued=5)
    ask("PATCH", f"jobs/{ids[6]}?delay=1h")
    await_figures(page, queued=4, scheduled=1)
    ask("POST", leases[3] + "/done", "good")
    await_figures(page, running=0, done=2)
    page.wait("parseFloat(document.querySelector('figcaption .done').innerText.slice(5)) > 0")
    page.wait("document.querySelector('figcaption .waiting').innerText === 'waiting 5'")
    page.wait("[...document.querySelectorAll('.chart i')].every(e => getComputedStyle(e).clipPath.startsWith('polygon'))")
    asked_rarely(page, begun, before)
    # A list is asked for again when something in it has changed, and else not.
    page.go("#/jobs?queue=mail&state=queued")
    page.await_text("No job matches")
    before = page.requests("/jobs")
    for _ in range(20):
        put()
    put("do/mail?delay=1h")
    mail = put("do/mail")
    page.await_text("1 job")
    assert page.requests("/jobs") == before + 1, "others' jobs are none of it"
    ask("DELETE", f"jobs/{mail}")
    page.await_text("No job matches")
    assert page.requests("/jobs") == before + 2
    return page


def flood(chrome):
    """However much happens: it draws 4 times a second, can be used, takes no more memory, and counts right."""
    page = chrome.page(URL)
    page.wait("document.querySelectorAll('.card').length === 2")
    lines, rounds = "x\n" * 5000, 12
    ask("POST", "do?batch=lines", lines)
    await_figures(page, queued=5000)
    heap = page.heap()
    page.run("window.drawn = 0; new MutationObserver(() => window.drawn++).observe(document.querySelector('main'), {childList: true})")
    begun, before = time.monotonic(), page.requests("/status")
    for n in range(rounds):
        ask("POST", "do?batch=lines", lines)
        ask("POST", "queues/default/purge")
        page.key("j")
        page.wait("document.querySelector('main h1').innerText === 'Jobs'")
        page.key("q")
        page.wait("document.querySelector('main h1').innerText === 'Queues'")
    ask("POST", "do?batch=lines", lines)
    await_figures(page, queued=5000)
    took = time.monotonic() - begun
    drawn = page.run("window.drawn") - 2 * rounds
    assert drawn <= 4 * took + 4, f"drawn {drawn} times in {took} s"
    asked_rarely(page, begun, before)
    more = page.heap() - heap
    assert more < 8 << 20, f"{more} bytes more than before"
    return page
