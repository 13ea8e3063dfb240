# SPDX-License-Identifier: MIT
"""How far several jobd on one PostgreSQL go: a simulation of their turns at the database.

    reckon.py [FIGURES.json]

FIGURES.json is the last line of bench/cluster.py: what a way to the database, a commit and an operation
cost on that machine. First it is compared with what was measured there; then it says what other
databases and more servers would give. Without it, figures of one measurement are used.

A turn: the way there and back (lock, and what the others have changed), what is waiting, the way there and
back with the commit. Between turns a server reads and answers requests, on its own cores. Operations wait
for the next turn of their server; a turn takes all that wait, up to 2,048."""

import heapq
import json
import sys

# From one run of bench/cluster.py on 2 cores, with everything on one machine.
USUAL = {"way_us": 60, "commit_us": 900, "http_us": 14.0, "op_us": 6.0, "turn_us": 200, "measured": {}}
ADOPT_US = 1.1  # what one operation of another server costs
LOAD_US = 6.0  # of the client that loads it, an operation, where it shares the cores
TURN_MOST = 2048
OPS_OF_A_LIFE = 3  # put, take, done


class Cores:
    """Work begins on the core that is free first, in the order of asking."""

    def __init__(self, cores):
        self.free = [0.0] * cores
        self.used = 0.0

    def work(self, now, us):
        begun = max(now, heapq.heappop(self.free))
        heapq.heappush(self.free, begun + us)
        self.used += us
        return begun + us


class Node:
    """One server's share of one log: with a log for each group of queues it has several."""

    def __init__(self, cores, log):
        self.cores, self.log = cores, log
        self.waiting = []  # when each operation came
        self.foreign = 0  # operations of others since its last turn
        self.in_turn = False


class Cluster:
    """`clients` ask again at once when they are answered (a closed loop), as many at each server."""

    def __init__(self, nodes, clients, cost, shared_cores=None, cores=4, logs=1):
        self.cost = cost
        common = Cores(shared_cores) if shared_cores else None
        self.database = common or Cores(cores)
        self.cores = [common or Cores(cores) for _ in range(nodes)]
        self.nodes = [Node(self.cores[i], log) for log in range(logs) for i in range(nodes)]
        self.load_us = LOAD_US if shared_cores else 0
        self.events, self.number = [], 0
        self.held, self.queue = [False] * logs, [[] for _ in range(logs)]
        self.took = []
        for i in range(clients):
            self.at(i * 7.0, self.come, self.nodes[i % len(self.nodes)], i * 7.0)

    def at(self, when, what, *with_what):
        self.number += 1
        heapq.heappush(self.events, (when, self.number, what, with_what))

    def run(self, us):
        now = 0.0
        while self.events and now < us:
            now, _, what, with_what = heapq.heappop(self.events)
            what(now, *with_what)
        return now

    def come(self, now, node, since):
        """A request has been read, when there is a core for it."""
        self.at(node.cores.work(now, self.cost["http_us"] + self.load_us), self.wait, node, since)

    def wait(self, now, node, since):
        node.waiting.append(since)
        self.want(now, node)

    def want(self, now, node):
        if node.in_turn or not node.waiting:
            return
        node.in_turn = True
        self.queue[node.log].append(node)
        if not self.held[node.log]:
            self.next(now, node.log)

    def next(self, now, log):
        self.held[log] = bool(self.queue[log])
        if not self.queue[log]:
            return
        node = self.queue[log].pop(0)
        begun = self.database.work(now, self.cost["turn_us"] / 2) + self.cost["way_us"]
        self.at(begun, self.act, node)

    def act(self, now, node):
        ops, node.waiting = node.waiting[:TURN_MOST], node.waiting[TURN_MOST:]
        ready = node.cores.work(now, ADOPT_US * node.foreign + self.cost["op_us"] * len(ops))
        node.foreign = 0
        for other in self.nodes:
            other.foreign += len(ops) if other is not node and other.log == node.log else 0
        stored = self.database.work(ready, self.cost["turn_us"] / 2) + self.cost["way_us"] + self.cost["commit_us"]
        self.at(stored, self.end, node, ops)

    def end(self, now, node, ops):
        for since in ops:
            self.took.append(now - since)
            self.at(now, self.come, node, now)
        node.in_turn = False
        self.want(now, node)
        self.next(now, node.log)


def reckon(nodes, clients, cost, **where):
    """Operations a second, µs of the median, the share of their cores that servers and database use."""
    cluster = Cluster(nodes, clients, cost, **where)
    us = cluster.run(1e6)
    took = sorted(cluster.took)
    shares = [one.used / us / len(one.free) for one in (cluster.cores[0], cluster.database)]
    return len(took) / us * 1e6, took[len(took) // 2], *shares


# ---- what somebody needs

PEAK = 3  # of the busiest hour, in averages of the day
NEAR, REGION, FAR = ("near", 200, 500), ("standby", 1000, 2000), ("far", 5000, 2000)


def least(rate, nodes, cost):
    """The fewest clients with whom so many lives a second are done, and what they then meet; None: no number is enough."""
    clients, most = nodes, 512 * nodes
    while True:
        got, median, used, _ = reckon(nodes, clients, cost)
        if got / OPS_OF_A_LIFE >= rate:
            return median / 1000, 4 * used
        if clients == most:
            return None
        clients = min(most, max(clients + 1, clients * 5 // 4))


def needs(figures):
    """In one table: so many jobs a day, by two servers, of which one is there should the other fail; what a put waits, and
    the cores of each server."""
    print(f"\n| jobs a day | a second, at {PEAK} times the average | " + " | ".join(
        f"way {way / 1000:g} ms, commit {commit / 1000:g} ms" for _, way, commit in (NEAR, REGION, FAR)) + " |")
    print("|" + "---|" * 5)
    for day in (1e6, 1e7, 1e8, 2.5e8, 5e8, 1e9):
        rate, cells = PEAK * day / 86400, []
        for _, way_us, commit_us in (NEAR, REGION, FAR):
            met = least(rate, 2, {**figures, "way_us": way_us, "commit_us": commit_us})
            cells.append(f"{met[0]:.1f} ms, {'under 0.1' if met[1] < 0.05 else f'{met[1]:.1f}'} cores" if met else "too much")
        print(f"| {day / 1e6:g} million | {rate:,.0f} | " + " | ".join(cells) + " |")


def main():
    figures = json.load(open(sys.argv[1])) if len(sys.argv) > 1 else USUAL
    print(f"a way there and back {figures['way_us']} µs, a commit {figures['commit_us']}, an operation "
          f"{figures['http_us']} and in its turn {figures['op_us']}, a turn of the database's cores {figures['turn_us']}")
    for nodes, measured in figures["measured"].items():
        rate = reckon(int(nodes), 64, figures, shared_cores=2)[0]
        print(f"{nodes} of them, 64 connections, all on 2 cores: {rate:.0f} puts/s reckoned, {measured} measured: {rate / measured:.2f}")
    print("\nlives (put, take, done): 4 cores a server and 4 for the database, 512 connections a server")
    print(f"{'way ms':>7} {'commit ms':>10} {'logs':>5} {'servers':>8} {'lives/s':>9} {'a day':>7} {'median ms':>10} {'cores':>8} {'database':>9}")
    for way_us, commit_us, logs in ((200, 500, 1), (200, 2000, 1), (200, 2000, 2), (1000, 2000, 1), (5000, 2000, 1), (5000, 2000, 2)):
        for nodes in (1, 2, 3, 5, 8):
            cost = {**figures, "way_us": way_us, "commit_us": commit_us}
            rate, median, used, database = reckon(nodes, 512 * nodes, cost, logs=logs)
            lives = rate / OPS_OF_A_LIFE
            day = f"{lives * 86400 / 1e9:.1f}e9"
            print(
                f"{way_us / 1000:7.1f} {commit_us / 1000:10.1f} {logs:5} {nodes:8} {lives:9.0f} {day:>7}"
                f" {median / 1000:10.1f} {100 * used:6.0f} % {100 * database:7.0f} %"
            )
    needs(figures)


main()
