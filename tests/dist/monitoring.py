# SPDX-License-Identifier: MIT
"""The alerts and the dashboard of src/dist/monitoring, with Prometheus' own tools.

    monitoring.py alerts FOLDER             each alert is called by what it is about, and by that alone
    monitoring.py scrape FOLDER ADDRESS     a Prometheus watches that server: every figure that is asked for is there

test_monitoring.c calls it; what it makes goes to the folder."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

DIST = os.path.abspath("src/dist/monitoring")
PATIENCE_S = 60

SERVER = 'job="jobd",instance="a"'
QUEUE = SERVER + ',queue="mail"'
MISSED = SERVER + ',result="missed"'

# A server that is well, for two hours: promtool's values, a minute apart.
CALM = {
    ("up", SERVER): "1x120",
    ("jobd_ready", SERVER): "1x120",
    ("jobd_store_failing", SERVER): "0x120",
    ("process_start_time_seconds", SERVER): "1000x120",
    ("jobd_jobs_rejected_total", QUEUE): "7x120",
    ("jobd_queue_queued", QUEUE): "3x120",
    ("jobd_queue_scheduled", QUEUE): "2x120",
    ("jobd_queue_blocked", QUEUE): "1x120",
    ("jobd_queue_capacity", QUEUE): "100x120",
    ("jobd_queue_running", QUEUE): "4x120",
    ("jobd_queue_paused", QUEUE): "0x120",
    ("jobd_queue_held", QUEUE): "0x120",
    ("jobd_queue_held_back", QUEUE): "0x120",
    ("jobd_job_run_seconds_count", QUEUE): "0+60x120",
    ("jobd_queue_oldest_seconds", QUEUE): "20x120",
    ("jobd_jobs_failed_total", QUEUE): "0+1x120",
    ("jobd_jobs_done_total", QUEUE): "0+59x120",
    ("jobd_leases_expired_total", QUEUE): "5x120",
    ("jobd_schedule_instants_total", MISSED): "1x120",
    ("jobd_jobs_forgotten_early_total", QUEUE): "2x120",
    ("jobd_config_last_reload_successful", SERVER): "1x120",
    ("jobd_queues_undeclared", SERVER): "0x120",
    ("jobd_connections", SERVER): "100x120",
    ("jobd_connections_limit", SERVER): "1000x120",
    ("process_open_fds", SERVER): "200x120",
    ("process_max_fds", SERVER): "2000x120",
    ("jobd_store_commit_seconds_sum", SERVER): "0+1x120",
    ("jobd_store_commit_seconds_count", SERVER): "0+60x120",
}

# What is not well: an alert that is called alone, or none.
TROUBLES = [
    (None, {}),
    ("JobdDown", {("up", SERVER): "0x120"}),
    ("JobdStoreFailing", {("jobd_store_failing", SERVER): "1x120", ("jobd_ready", SERVER): "0x120"}),
    ("JobdNotReady", {("jobd_ready", SERVER): "0x120"}),
    (None, {("jobd_ready", SERVER): "1x108 0x12"}),  # not long enough
    ("JobdRestarts", {("process_start_time_seconds", SERVER): "1000+10x120"}),
    ("JobdRejects", {("jobd_jobs_rejected_total", QUEUE): "0+5x120"}),
    ("JobdQueueFills", {("jobd_queue_queued", QUEUE): "85x120"}),
    (
        "JobdQueueStands",
        {
            ("jobd_queue_running", QUEUE): "0x120",
            ("jobd_job_run_seconds_count", QUEUE): "9x120",
            ("jobd_jobs_failed_total", QUEUE): "0x120",
            ("jobd_jobs_done_total", QUEUE): "9x120",
        },
    ),
    (  # jobs that run for hours
        None,
        {
            ("jobd_job_run_seconds_count", QUEUE): "9x120",
            ("jobd_jobs_failed_total", QUEUE): "0x120",
            ("jobd_jobs_done_total", QUEUE): "9x120",
        },
    ),
    ("JobdJobsWaitLong", {("jobd_queue_oldest_seconds", QUEUE): "0+60x120"}),
    ("JobdQueuePaused", {("jobd_queue_paused", QUEUE): "1x120"}),
    ("JobdJobsFail", {("jobd_jobs_failed_total", QUEUE): "0+10x120"}),
    ("JobdServiceDown", {("jobd_queue_held", QUEUE): "1x120"}),
    ("JobdLeasesExpire", {("jobd_leases_expired_total", QUEUE): "0+1x120"}),
    ("JobdInstantsMissed", {("jobd_schedule_instants_total", MISSED): "0+1x120"}),
    ("JobdForgetsEarly", {("jobd_jobs_forgotten_early_total", QUEUE): "0+1x120"}),
    ("JobdReloadFailed", {("jobd_config_last_reload_successful", SERVER): "0x120"}),
    ("JobdQueuesUndeclared", {("jobd_queues_undeclared", SERVER): "1x120"}),
    ("JobdConnectionsFill", {("jobd_connections", SERVER): "950x120"}),
    ("JobdDescriptorsFill", {("process_open_fds", SERVER): "1900x120"}),
    ("JobdCommitsSlow", {("jobd_store_commit_seconds_sum", SERVER): "0+12x120"}),
]


def promtool_test(alert, change):
    """What it takes for `promtool test rules`, as JSON, which is YAML."""
    called = [{"labels": '{alertname="%s"}' % alert, "value": 1}] if alert else []
    series = [{"series": "%s{%s}" % key, "values": change.get(key, CALM[key])} for key in CALM]
    assert set(change) <= set(CALM)
    return {
        "name": f"{alert}: {sorted(name for name, _ in change)}",
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "110m",
                "exp_samples": called,
            }
        ],
    }


def alerts(folder):
    with open(f"{DIST}/alerts.yml") as file:
        names = re.findall(r"- alert: (\w+)", file.read())
    assert names == sorted(names, key=names.index) and len(set(names)) == len(names)
    untried = set(names) - {alert for alert, _ in TROUBLES}
    assert not untried, f"nothing calls {untried}"
    tests = {
        "rule_files": [f"{DIST}/alerts.yml"],
        "evaluation_interval": "1m",
        "tests": [promtool_test(alert, change) for alert, change in TROUBLES],
    }
    path = f"{folder}/alerts_test.yml"
    with open(path, "w") as file:
        json.dump(tests, file, indent=1)
    subprocess.run(["promtool", "check", "rules", f"{DIST}/alerts.yml"], check=True)
    subprocess.run(["promtool", "check", "config", f"{DIST}/prometheus.yml"], check=True)
    subprocess.run(["promtool", "test", "rules", path], check=True)


# ---- a Prometheus


class Prometheus:
    def __init__(self, folder, target):
        with open(f"{DIST}/prometheus.yml") as file:
            config = file.read()
        assert "127.0.0.1:8080" in config
        config = re.sub("(scrape|evaluation)_interval: 15s", r"\1_interval: 250ms", config)
        config = config.replace("127.0.0.1:8080", target).replace("- alerts.yml", f"- {DIST}/alerts.yml")
        with open(f"{folder}/prometheus.yml", "w") as file:
            file.write(config)
        command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
        command += ["--web.listen-address=127.0.0.1:0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        log = []
        for line in self.process.stderr:
            log.append(line)
            if "Server is ready" in line:
                break
        found = re.search(r'"Listening on" address=(\S+)', "".join(log))
        assert found, "".join(log)
        self.address = found[1]
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def ask(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as reply:
            answer = json.load(reply)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def await_some(self, expression):
        """Until there is an answer to it."""
        until = time.monotonic() + PATIENCE_S
        while not self.query(expression):
            assert time.monotonic() < until, f"waited in vain: {expression}"
            time.sleep(0.1)

    def end(self):
        self.process.terminate()
        self.process.wait()


def without_variables(expression):
    for variable in re.findall(r"\$(job|instance|queue)\b", expression):
        expression = expression.replace("$" + variable, ".*")
    expression = expression.replace("$__rate_interval", "10s")
    assert "$" not in expression, expression
    return expression


def dashboard():
    """The expressions of its panels, and its variables' metrics."""
    with open(f"{DIST}/grafana.json") as file:
        board = json.load(file)
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places), "panels that cover each other"
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    lists = [one["definition"] for one in board["templating"]["list"] if one["type"] == "query"]
    return expressions, [re.match(r"label_values\((.*), \w+\)", one)[1] for one in lists]


def metrics_in(expression):
    return set(re.findall(r"\b(?:jobd|process)_[a-z_]+\b", re.sub(r'"[^"]*"', "", expression)))


def scrape(folder, address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE_S) as reply:
        there = set(re.findall(r"^(\w+)[{ ]", reply.read().decode(), re.M))
    prometheus = Prometheus(folder, address)
    try:
        # Twice, so that there are rates.
        prometheus.await_some('count_over_time(up{job="jobd"}[1m]) > 4 and up{job="jobd"} == 1')
        expressions, lists = dashboard()
        groups = prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) > 10 and all(rule["health"] in ("ok", "unknown") for rule in rules), rules
        for expression in expressions + [rule["query"] for rule in rules]:
            missing = metrics_in(expression) - there
            assert not missing, f"there is no {missing}: {expression}"
        for expression in expressions + lists:
            assert prometheus.query(without_variables(expression)), f"nothing to show: {expression}"
        print(f"{len(expressions)} expressions of the dashboard, {len(rules)} alerts")
    finally:
        prometheus.end()


if __name__ == "__main__":
    {"alerts": alerts, "scrape": scrape}[sys.argv[1]](*sys.argv[2:])
