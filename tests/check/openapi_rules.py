# SPDX-License-Identifier: MIT
"""What JSON Schema cannot say of a request: the rules that a good one keeps besides its schemas.

Schemathesis' check that a request which its schemas allow is accepted, positive_data_acceptance, is
replaced by one that is as strict in both directions: a request that keeps these rules is accepted, and
one that breaks a rule that can be told from the request alone is refused. Its check that a request
which the schemas do not allow is refused goes on as it is; it does not get to see one tag that is no
list, as that is sent as a list of one is."""

import functools
import itertools
import json
import os
import re
import urllib.error
import urllib.request

import schemathesis
from schemathesis.specs.openapi import checks

QUEUES = ("default", "mail", "callbacks")
WORD = re.compile(r"[!-~]{1,64}")
DURATION = re.compile(r"[0-9.]+(ms|s|m|h|d)")
ALL_ZERO = re.compile(r"[0.]+(ms|s|m|h|d)")


def accepts_json(case):
    """As it is sent: the client's own field says */*."""
    return "json" in str((case.headers or {}).get("Accept", "")).lower()


def ranges_go_up(cron):
    """Each begins with its lower end."""
    days = "sun mon tue wed thu fri sat".split()
    months = "jan feb mar apr may jun jul aug sep oct nov dec".split()

    def value(text, at):
        names = months if at == 3 else days
        return names.index(text.lower()) + (at == 3) if text.isalpha() else int(text)

    for at, field in enumerate(cron.split(" ")):
        for low, high in re.findall(r"([0-9a-zA-Z]+)-([0-9a-zA-Z]+)", field):
            last = 7 if at == 4 and high.lower() == "sun" and value(low, at) > 0 else value(high, at)
            if value(low, at) > last:
                return False
    return True


# ---- rules that a request alone shows to be broken: it is refused

BROKEN = [
    # Two parameters that exclude each other, or of which one needs the other.
    (r"(GET|POST) /do.*|PATCH /jobs/\{id\}", lambda q, case, body: "at" in q and "delay" in q),
    (r"(GET|POST) /do.*", lambda q, case, body: "again" in q and "unique" not in q),
    (r"(GET|POST) /do.*", lambda q, case, body: "if" in q and "after" not in q),
    (r"(GET|POST) /do.*", lambda q, case, body: "unique" in q and "Idempotency-Key" not in (case.headers or {})),
    (r"(GET|POST) /do.*", lambda q, case, body: "batch" in q and "Idempotency-Key" in (case.headers or {})),
    (r"PUT /schedules/\{name\}", lambda q, case, body: ("cron" in q) == ("every" in q)),
    (r"PUT /schedules/\{name\}", lambda q, case, body: "tz" in q and "cron" not in q),
    # At least one of several.
    (r"PATCH /jobs/\{id\}", lambda q, case, body: not {"delay", "at", "priority", "expires"} & set(q)),
    (r"DELETE /jobs", lambda q, case, body: not set(q) - {"running"}),
    (r"POST /queues/\{queue\}/move", lambda q, case, body: q.get("to") in (None, case.path_parameters["queue"])),
    # A range's lower end comes first.
    (r"PUT /schedules/\{name\}", lambda q, case, body: not ranges_go_up(q.get("cron", ""))),
    # A list with commas has each of its queues once.
    (r"POST /take", lambda q, case, body: len(set(q.get("queue", "").split(","))) < len(q.get("queue", "").split(","))),
    # OpenAPI does not let the field Accept be described.
    (r"POST /take.*", lambda q, case, body: "max" in q and not accepts_json(case)),
    # Some values are sent as nothing, in some types.
    (r"POST /leases/done", lambda q, case, body: not body),
]

# ---- rules that depend on what the server has: a request that may break them may be refused

UNKNOWN = [
    # The names of queues, which the file says.
    (r".*", lambda q, case, body: any(name not in QUEUES for name in q.get("queue", "").split(",") if "queue" in q)),
    (r"POST /queues/\{queue\}/move", lambda q, case, body: q.get("to") not in QUEUES),
    (r"PUT /schedules/\{name\}", lambda q, case, body: q.get("queue") == "callbacks"),
    # The URLs that --callback-allow allows; jobs and batches that are remembered; time zones that are installed.
    (r"(GET|POST) /do.*|PUT /schedules/\{name\}", lambda q, case, body: "callback" in q or "tz" in q),
    (r"(GET|POST) /do.*", lambda q, case, body: "after" in q),
    # A key that came with another payload before: 422.
    (r"(GET|POST) /do.*", lambda q, case, body: "Idempotency-Key" in (case.headers or {})),
    # What is in the body's lines, and that there are any.
    (r"(GET|POST) /do.*", lambda q, case, body: "batch" in q),
    # How long the output is: 416.
    (r"(GET|HEAD) /jobs/\{id\}/output", lambda q, case, body: "Range" in (case.headers or {})),
]


def is_one_of(rules, case, body):
    query = {name: value if isinstance(value, str) else str(value) for name, value in (case.query or {}).items()}
    return any(re.fullmatch(where, case.operation.label) and rule(query, case, body) for where, rule in rules)


@schemathesis.check
def a_500_is_a_jobs_end(context, response, case):
    """Of a job that was waited for."""
    assert response.status_code != 500 or "jobd-state" in response.headers


@schemathesis.check
def rules_are_kept(context, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or checks.is_unexpected_http_status_case(case):
        return
    body = response.request.body
    refused = response.status_code in (400, 413, 416, 422)
    if is_one_of(BROKEN, case, body):
        assert response.status_code >= 400, f"a rule is broken, and it is accepted: {response.status_code}"
    elif refused and not is_one_of(UNKNOWN, case, body):
        raise AssertionError(f"no rule is broken, and it is refused: {response.status_code} {response.text}")


# Of HTTP itself, and of answers to other methods than those that are described.
GENERAL = {"date", "content-type", "content-length", "connection", "transfer-encoding"}


@functools.cache
def description():
    return ask("GET", "/openapi.json")


@schemathesis.check
def fields_are_described(context, response, case):
    """That those that are required come, and look as they should, is a check that schemathesis has."""
    operation = description()["paths"][case.operation.path].get(case.method.lower())
    if operation is None or checks.is_unexpected_http_status_case(case):
        return
    answer = operation["responses"].get(str(response.status_code), operation["responses"]["default"])
    if "$ref" in answer:
        answer = description()["components"]["responses"][answer["$ref"].rsplit("/", 1)[-1]]
    other = set(map(str.lower, response.headers)) - GENERAL - set(map(str.lower, answer.get("headers", {})))
    assert not other, f"fields that are not described: {', '.join(sorted(other))}"


# ---- before they are sent

@schemathesis.hook
def filter_case(context, case):
    tag = (case.query or {}).get("tag", [])
    several = re.fullmatch(r"(GET|POST) /do.*|PUT /schedules/\{name\}", case.operation.label)
    return not several or isinstance(tag, (list, dict)) or not WORD.fullmatch(str(tag))


def ask(method, path, body=None):
    """The answer's JSON; {} when it was refused."""
    request = urllib.request.Request(os.environ["JOBD_URL"] + path, body, method=method,
                                     headers={"Authorization": "Bearer admin-admin-admin", "Accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read() or b"{}")
    except urllib.error.HTTPError:
        return {}


def put(path, body=b"x"):
    """Whatever was paused before."""
    ask("POST", "/queues/resume")
    return ask("POST", path, body)


def lease():
    put("/do/mail")
    return ask("POST", "/take/mail").get("lease", "").rsplit("/", 1)[-1]


def schedule():
    """A new one: what has been deleted does not come back."""
    name = f"hourly-{next(schedules)}"
    ask("PUT", f"/schedules/{name}?cron=@hourly")
    return name


# What is there, of what a path may name.
REAL = {
    "queue": lambda: "mail",
    "id": lambda: put("/do").get("id"),
    "batch": lambda: put("/do?batch=lines", b"x\ny").get("ids", [None])[0],
    "token": lease,
    "name": schedule,
}
turn, schedules = itertools.count(), itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    # Nothing is waited for.
    for name in ("wait", "block"):
        if DURATION.fullmatch(str((case.query or {}).get(name, ""))) and not ALL_ZERO.fullmatch(case.query[name]):
            case.query[name] = "10ms"
    # Every second good request is about something that is there.
    if case.meta is None or not case.meta.generation.mode.is_positive or next(turn) % 2:
        return
    for name in case.path_parameters or {}:
        found = REAL[name]()
        if found:
            case.path_parameters[name] = found
