# SPDX-License-Identifier: MIT
"""`/do` of jobd and its peers over connections: the experiment that jobd began with."""

import time

from .figures import Row, figure, of, ratios
from .load import Watch, client_run, wrk

MAIN = (64, 512, 1024)
SWEEP = (1, 4, 16, 256, 2048, 4096, 16384)
QUICK_SWEEP = (1, 16, 4096, 16384)
SWEPT = 3  # rounds: points that only draw the curves need no more
MANY = 10000  # above it jobd must be told, and the warm-up's connections are kept: ports are short
PEERS = ("floor", "nginx", "axum", "go", "jobd", "static")
ALL_ALONG = (64, 1024)  # where the static file is measured
GOALS = {
    ("floor", 64): (1.12, 1.08),
    ("floor", 1024): (1.25, 1.15),
    **{("nginx", connections): (0.95, None) for connections in ALL_ALONG},
    **{("axum", connections): (0.90, None) for connections in ALL_ALONG},
    **{("go", connections): (0.45, None) for connections in ALL_ALONG},
}
FLAT = 1.3  # CPU a request, the dearest number of connections against the cheapest


def check(run, figures, delta):
    """The honesty of a run: nothing failed, and both sides counted the same."""
    for name in ("connect_errors", "read_errors", "write_errors", "timeouts"):
        if figures[name]:
            run.fail(f"{figures[name]:.0f} {name.replace('_', ' ')}")
    if delta.other:
        run.fail(f"{delta.other} answers neither 202 nor 429")
    # At its end wrk drops what is under way, at most a request a connection.
    unseen = delta.answered - run.operations
    if not 0 <= unseen <= run.connections:
        run.fail(f"the server counts {delta.answered}, wrk {run.operations}")
    unseen = delta.refused - int(figures["not_2xx"])
    if not 0 <= unseen <= run.connections:
        run.fail(f"the server counts {delta.refused} times 429, wrk {figures['not_2xx']:.0f}")


def allow(peer, connections):
    """jobd lets one address have fewer connections, and all together no more than that."""
    if connections < MANY or peer.name not in ("jobd", "static"):
        return ()
    limits = ("--max-connections", connections + 100, "--max-per-address", connections + 100)
    return (*limits, "--header-timeout", "1m")  # all connect before the first asks


def measure(context, row, round, peer, connections, warmup, seconds):
    """A fresh server, a warm-up, a measured window, a drain; the run says what was wrong, if anything."""
    run = context.new_run(row, round, peer.name, connections)
    try:
        with peer.start(context.folder, *allow(peer, connections)) as server:
            wrk(server.port, connections, warmup)
            time.sleep(0.1)  # the warm-up's connections close
            before = peer.counts(server)
            watch = Watch(server)
            figures = wrk(server.port, connections, seconds)
            watch.stop(run)
            time.sleep(0.1)
            delta = peer.counts(server) - before
            run.seconds, run.operations = figures["duration_us"] / 1e6, int(figures["requests"])
            run.p50_us, run.p90_us = figures["p50"], figures["p90"]
            run.p99_us, run.p999_us = figures["p99"], figures["p999"]
            run.n202, run.n429, run.jobs_done = delta.accepted, delta.refused, delta.done
            check(run, figures, delta)
            total = peer.counts(server)
            status = server.stop()
            if status != 0:
                run.fail(f"exit status {status}")
            if peer.runs_jobs and server.done_lines() != total.accepted:
                run.fail(f"{total.accepted} times 202, {server.done_lines()} jobs done after the drain")
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
    context.finish(run)
    return run


def measure_many(context, round, peer, connections, warmup, seconds):
    """By our own client: wrk would need twice as many ports, for the warm-up and for the window."""
    run = context.new_run("do", round, peer.name, connections)
    try:
        with peer.start(context.folder, *allow(peer, connections)) as server:
            options = f"-n {connections} -w {warmup} -d {seconds}"
            client_run(context.build, server, run, options, "/do", warmup + seconds)
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
    context.finish(run)


def rotated(peers, round):
    """Each round begins with another peer, so that no one always runs first or last."""
    return peers[round % len(peers) :] + peers[: round % len(peers)]


def run(context):
    protocol = context.protocol
    peers = context.here(*PEERS)
    for round in range(1, protocol.rounds + 1):
        sweep = () if round > SWEPT else QUICK_SWEEP if protocol.quick else SWEEP
        for connections in sorted({*MAIN, 4096, *sweep}):
            main = connections in MAIN or connections == 4096
            warmup = protocol.warmup if main else max(1, protocol.warmup // 4)
            seconds = protocol.seconds if main else max(1, protocol.seconds // 4)
            for peer in rotated(peers, round):
                if connections > MANY and peer.name != "static":
                    measure_many(context, round, peer, connections, max(2, warmup), max(2, seconds))
                elif peer.name != "static" or connections in ALL_ALONG:
                    measure(context, "do", round, peer, connections, warmup, seconds)
    rows(context)


def against(context, peer, connections, whose="jobd"):
    title = context.peers[peer].title
    work = f"`/do`, {connections} connections"
    reach, beyond = GOALS[peer, connections]
    row = Row(
        work if whose == "jobd" else f"{context.peers[whose].title}: {work}",
        f"CPU a request, against {title}",
        reach=reach,
        beyond=beyond,
    )
    missing = context.peers[peer].missing or context.peers[whose].missing
    if missing:
        row.missing = f"left out: {missing}"
    else:
        mine, theirs = context.of("do", whose, connections), context.of("do", peer, connections)
        row.value = ratios(mine, theirs)
        cpu, other = of(mine, "cpu_us"), of(theirs, "cpu_us")
        if cpu and other:
            row.beside = f"{cpu.median:.1f} against {other.median:.1f} µs"
    context.rows.append(row)


def ahead_of_all(context, connections, what, title):
    """jobd against the best of the real servers, round by round."""
    names = [peer.name for peer in context.here("nginx", "axum", "go")]
    mine = {run.round: getattr(run, what) for run in context.of("do", "jobd", connections) if run.good}
    best = {}
    for name in names:
        for run in context.of("do", name, connections):
            if run.good and getattr(run, what) > 0:
                best[run.round] = min(best.get(run.round, float("inf")), getattr(run, what))
    value = figure(mine[n] / best[n] for n in sorted(mine.keys() & best.keys()))
    context.rows.append(
        Row(
            f"`/do`, {connections} connections",
            f"{title}, against the best of nginx, axum, Go",
            value,
            beyond=1.0,
        )
    )


def flat(context, peer):
    """The dearest number of connections against the cheapest, round by round, of a curve with all its ends."""
    cost = {}
    for run in context.of("do", peer):
        if run.good and run.cpu_us > 0:
            cost.setdefault(run.round, {})[run.connections] = run.cpu_us
    return figure(max(c.values()) / min(c.values()) for c in cost.values() if {1, 16384} <= c.keys())


def rows(context):
    for peer, connections in GOALS:
        against(context, peer, connections)
    for connections in ALL_ALONG:
        against(context, "floor", connections, "static")
    for connections in ALL_ALONG:
        ahead_of_all(context, connections, "cpu_us", "CPU a request")
        ahead_of_all(context, connections, "p99_us", "p99 latency")
    nginx = ratios(context.of("do", "nginx", 4096), context.of("do", "nginx", 64))
    context.rows.append(
        Row(
            "`/do`, 4096 connections",
            "CPU a request, against itself at 64",
            ratios(context.of("do", "jobd", 4096), context.of("do", "jobd", 64)),
            FLAT,
            beside=f"nginx: {nginx.text()}" if nginx else "",
        )
    )
    others = {peer: flat(context, peer) for peer in ("floor", "nginx")}
    context.rows.append(
        Row(
            "`/do`, 1 to 16,384 connections",
            "CPU a request, the dearest number of connections against the cheapest",
            flat(context, "jobd"),
            FLAT,
            beside=", ".join(f"{context.peers[p].title}: {value.text()}" for p, value in others.items() if value),
        )
    )


def lines(context):
    """The long table: a line a peer and number of connections."""
    for connections in sorted(MAIN + SWEEP):
        for name in PEERS:
            runs = [run for run in context.of("do", name, connections)]
            good = [run for run in runs if run.good]
            if not runs:
                continue
            if not good:
                yield [connections, context.peers[name].title, f"all {len(runs)} runs failed"] + [""] * 11
                continue
            text = lambda what, form, scale=1.0: figure(getattr(r, what) * scale for r in good).text(form)
            user = figure(r.user_s / (r.user_s + r.system_s) * 100 for r in good if r.user_s + r.system_s)
            yield [
                connections,
                context.peers[name].title,
                text("per_second", "{:,.0f}"),
                text("cpu_us", "{:.2f}"),
                f"{of(good, 'core_percent').median:.0f} %",
                f"{user.median:.0f} %" if user else "",
                *(f"{of(good, p).median / 1000:.2f}" for p in ("p50_us", "p90_us", "p99_us", "p999_us")),
                f"{of(good, 'rss_kib').median / 1024:.1f}",
                f"{of(good, 'n202').median:,.0f}",
                f"{of(good, 'n429').median:,.0f}",
                f"{of(good, 'jobs_done').median:,.0f}",
            ]
