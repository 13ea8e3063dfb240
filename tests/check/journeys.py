#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What README.md and the manual show, copied and pasted in a Debian that was made a moment ago, and how long that takes.

tests/check/journeys.py [SUITE [JOURNEY...]], from the top of the tree, as root; bookworm, and all of them, where it is
not said. Each journey is what stands in a section: its files are written as they are shown, its commands run one after
the other, and what is shown must come out, but for numbers of jobs and times. Ports 8080, 8081, 8443 and 3000 of this
machine must be free. A table of minutes comes last."""
import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

PATIENCE_S = 3600


def read(place):
    with open(place, encoding="utf-8") as file:
        return file.read()


def section(name):
    """A section of README.md; "" is what stands before the first."""
    return read("README.md").partition("\n## " + name + "\n")[2].partition("\n## ")[0] if name else \
        read("README.md").partition("\n## ")[0]


def block(kind, name, number=0):
    return re.findall(rf"^```{kind}\n(.*?)^```$", section(name), re.M | re.S)[number]


def displays(page, about):
    """What a page of the manual shows below a line that begins so, up to where another thing is shown."""
    text = read("src/dist/" + page).partition("\n" + about)[2]
    text = text.partition("\n.Pp\n")[0]
    return [shown.replace("\\e", "\\").replace("\\&", "")
            for shown in re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", text, re.M | re.S)]


class Root:
    """A Debian with the source in /root/jobd and nothing installed for it."""

    def __init__(self, suite):
        self.place = tempfile.mkdtemp(prefix="journeys-")
        self.children = []
        subprocess.run(["debootstrap", "--variant=minbase", suite, self.place], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["mount", "-t", "proc", "proc", self.place + "/proc"], check=True)
        shutil.copy("/etc/resolv.conf", self.place + "/etc")
        with open(self.place + "/root/.curlrc", "w", encoding="utf-8") as file:
            file.write("silent\nshow-error\n") # as no progress is shown on a terminal
        for tree in ("jobd", "clean"):
            os.mkdir(f"{self.place}/root/{tree}")
            archive = subprocess.Popen(["git", "archive", "HEAD"], stdout=subprocess.PIPE)
            subprocess.run(["tar", "-x", "-C", f"{self.place}/root/{tree}"], stdin=archive.stdout, check=True)
        # The packages are those of a commit.
        subprocess.run(["cp", "-r", os.path.realpath(subprocess.check_output(
            ["git", "rev-parse", "--git-common-dir"], text=True).strip()), f"{self.place}/root/jobd/.git"], check=True)
        shutil.rmtree(f"{self.place}/root/jobd/.git/worktrees", ignore_errors=True)
        head = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()
        with open(f"{self.place}/root/jobd/.git/HEAD", "w", encoding="utf-8") as file:
            file.write(head + "\n")

    def shell(self, tree="jobd"):
        """Words come in by its standard input, as from a terminal."""
        environment = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
                       "DEBIAN_FRONTEND": "noninteractive"}
        child = subprocess.Popen(["chroot", self.place, "bash", "-c", f"cd /root/{tree} && exec bash"], env=environment,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 start_new_session=True)
        self.children.append(child)
        run(child, "set -m")
        return child

    def end_children(self):
        """Also the server: the next one wants its port."""
        for child in self.children: # each with all of its session: its jobs are groups of their own
            subprocess.run(["pkill", "-TERM", "-s", str(child.pid)], check=False)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                subprocess.run(["pkill", "-KILL", "-s", str(child.pid)], check=False)
        self.children.clear()
        deadline = time.monotonic() + 60
        while answers() and time.monotonic() < deadline:
            time.sleep(0.1)

    def remove(self):
        self.end_children()
        subprocess.run(["umount", "-l", self.place + "/proc"], check=True)
        shutil.rmtree(self.place)


def run(shell, command):
    """Its output, once it has come to its end; one in the background, once the server answers."""
    background = command.rstrip().endswith("&")
    mark = f"--- {time.monotonic_ns()} "
    text = command.rstrip()
    if background:
        text = "{ " + text.removesuffix("&") + "; } >/tmp/log 2>&1 &"
    shell.stdin.write(f"{text}\necho '{mark}'$?\n".encode())
    shell.stdin.flush()
    lines = []
    while not (line := shell.stdout.readline().decode()).startswith(mark):
        if line == "":
            raise SystemExit("the shell has ended:\n" + "".join(lines))
        if mark in line: # what came before has no line feed
            lines.append(line.partition(mark)[0] + "\n")
            break
        lines.append(line)
    if background:
        await_server(shell)
    return "".join(lines)


def end_jobs(root, shell):
    """Of the shell, with all that they have begun."""
    run(shell, "kill -- $(jobs -p | sed s/^/-/) 2>/dev/null; wait")
    root.end_children()


def answers():
    try:
        urllib.request.urlopen("http://localhost:8080/healthz").close()
        return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def await_server(shell):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if answers():
            return
        time.sleep(0.2)
        if run(shell, "kill -0 %% 2>/dev/null; echo $?").strip() != "0":
            raise SystemExit(run(shell, "tail -n 20 /tmp/log"))
    raise SystemExit("nobody listens on port 8080")


def steps(session):
    """A session as its commands, each with what is shown of its output."""
    shown = []
    for line in session.splitlines(keepends=True):
        if line.startswith("$ "):
            shown.append([line[2:], ""])
        else:
            shown[-1][1] += line
    return shown


def alike(text):
    text = text.replace("\r", "")
    # What bash says of what runs in the background.
    text = re.sub(r"^(\[\d+\]|bash: line \d+: +\d+ Killed).*\n", "", text, flags=re.M)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"\b\d{12,}\b", "ID", text)
    return re.sub(r"\b\d+ ms\b", "MS", text).split()


def paste(root, session, prepared="", told=lambda remark, job: None):
    """`told` does what a remark in it says; the job is the one that was said last, "" before the first."""
    shell, last = root.shell(), []
    run(shell, prepared or ":")
    for command, shown in steps(session):
        if re.fullmatch(r"cat \S+\n", command) and shown: # a file that is shown: the reader's own
            name = command.split()[1]
            run(shell, f"cat >{name} <<'END'\n{shown}END\nchmod +x {name}")
            continue
        if command.startswith("# "):
            told(command, last[-1] if last else "")
            continue
        command = re.sub(r"/jobs/\d{12,}", lambda shown: last[-1] if last else shown.group(), command)
        said = run(shell, command)
        last += re.findall(r"/jobs/\d+", said)
        if command.rstrip().endswith("&"):
            said = run(shell, "cat /tmp/log") if shown else ""
        if alike(said) != alike(shown):
            raise SystemExit(f"{command}shows {shown!r}, not {said!r}")
    end_jobs(root, shell)


def shell_lines(root, text, wanted=None, tree="jobd"):
    shell = root.shell(tree)
    said = ""
    for line in text.strip().splitlines():
        said = run(shell, line)
        if run(shell, "echo $?").strip() not in ("0", ""):
            raise SystemExit(f"{line}: {said[-2000:]}")
    if wanted is not None and not re.search(wanted, said):
        raise SystemExit(f"not {wanted!r} but {said[-2000:]}")
    end_jobs(root, shell)


# ---- journeys

def from_nothing(root):
    shell_lines(root, block("sh", "").strip() + " &\n" + "curl -s localhost:8080/do", "queued")


def first_requests(root):
    paste(root, "$ ./jobd &\n" + block("console", ""))


def a_command(root):
    paste(root, block("console", "A command"), "head -c 5000 /dev/urandom >cat.png")


class Service(http.server.BaseHTTPRequestHandler):
    """The reader's own, on port 3000."""

    def do_POST(self):
        answer = b"sent " + self.rfile.read(int(self.headers["Content-Length"])) + b"\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def a_web_service(root):
    running = []

    def told(remark, job):
        if remark.endswith("stops\n"):
            running[0].shutdown()
            running.pop().server_close()
        else:
            running.append(http.server.ThreadingHTTPServer(("127.0.0.1", 3000), Service))
            threading.Thread(target=running[0].serve_forever, daemon=True).start()
            if job: # is tried again
                urllib.request.urlopen(f"http://localhost:8080{job}?wait=1m").close()

    told("it starts\n", "")
    try:
        paste(root, block("console", "A web service"), told=told)
    finally:
        if running:
            told("it stops\n", "")


def own_workers(root):
    paste(root, "$ ./jobd -w 0 --attempts 5 &\n" + block("console", "Your own workers"))


def every_night(root):
    paste(root, "$ ./jobd &\n" + block("console", "Every night"))


def surviving(root):
    paste(root, block("console", "Surviving kill -9"), prepared="cp work.sh work.sh.before")
    shell_lines(root, "mv work.sh.before work.sh")


def elsewhere(port):
    return f"until curl -ks https://localhost:{port}/healthz || curl -s localhost:{port}/healthz; do sleep 0.1; done"


def tokens(root):
    shell = root.shell()
    run(shell, 'PATH=.:$PATH')
    server, = displays("jobd.1", "Reachable from other machines, with tokens and TLS")
    worker, put = displays("jobd.1", "A machine of workers for it")
    for text, ready in ((server, elsewhere(8443)), (worker, ":")):
        run(shell, "{ " + text.rstrip() + "; } >>/tmp/log 2>&1 &\n" + ready)
    said = run(shell, put)
    if not re.search("job .*6 bytes", said):
        raise SystemExit(said + run(shell, "cat /tmp/log"))
    end_jobs(root, shell)


def a_backup(root):
    shell = root.shell()
    run(shell, "PATH=.:$PATH; rm -rf /tmp/first restored")
    run(shell, "jobd -d /tmp/first -w 0 &")
    run(shell, "id=$(curl -si -d letter localhost:8080/do | tr -d '\\r' | sed -n 's,^Location: /jobs/,,p')")
    fetch, = displays("jobd.7", "acknowledged before is in it")
    run(shell, "{ " + fetch.rstrip() + "; } >/tmp/log 2>&1 &\n" + elsewhere(8081))
    said = run(shell, "curl -s localhost:8081/jobs/$id?wait=20s")
    if '"state":"done"' not in said:
        raise SystemExit(said + run(shell, "echo job $id; cat /tmp/log"))
    end_jobs(root, shell)


def jobd_work(root):
    line = " ".join(re.search(r"`(jobd work [^`]*)`", section("Your own workers")).group(1).split())
    shell_lines(root, f"./jobd -w 0 &\n(./{line} >/dev/null 2>&1 & echo $! >pid)\n"
                "curl -s -H 'Prefer: wait=20' -d hello localhost:8080/do\n", "job .*5 bytes")


def the_library(root):
    page = read("src/dist/jobd.3")
    program = re.search(r"^\.Bd [^\n]*\n(.*?)^\.Ed", page.partition(".Sh EXAMPLES")[2], re.M | re.S).group(1)
    with open(root.place + "/root/jobd/example.c", "w", encoding="utf-8") as file:
        file.write(program.replace("\\e", "\\"))
    line = re.search(r"^\.Dl (cc .*)$", page, re.M).group(1)
    shell_lines(root, f"make install\nldconfig\n{line}\n./a.out", r"\b100\b")


def packages(root):
    text = re.search(r"`(make [^`]*\bdeb)`", read("README.md")).group(1)
    shell_lines(root, f"{text}\napt-get install -y ./build/deb/jobd_*.deb ./build/deb/libjobd*_*.deb\n/usr/bin/jobd --version",
                r"\d+\.\d+")


def static_file(root):
    text = re.search(r"`(make [^`]*\bstatic)`", read("README.md")).group(1)
    shell_lines(root, f"apt-get update && apt-get install -y make\n{text}\nbuild/static/jobd --version", r"\d+\.\d+", "clean")


JOURNEYS = {
    "build it and start it, from nothing": from_nothing,
    "the first requests": first_requests,
    "a command": a_command,
    "a web service": a_web_service,
    "own workers, by hand": own_workers,
    "`jobd work`": jobd_work,
    "every night": every_night,
    "surviving kill -9": surviving,
    "tokens and TLS": tokens,
    "a backup": a_backup,
    "a program with the library": the_library,
    "Debian's packages": packages,
    "one static file": static_file,
}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended")) # and cleans up
    suite = sys.argv[1] if len(sys.argv) > 1 else "bookworm"
    chosen = sys.argv[2:]
    if answers():
        sys.exit("somebody listens on port 8080 already")
    begun = time.monotonic()
    root = Root(suite)
    print(f"a fresh {suite}: {time.monotonic() - begun:.0f} s", flush=True)
    failed, table = 0, []
    try:
        for name, journey in JOURNEYS.items():
            if chosen and not any(word in name for word in chosen):
                continue
            begun = time.monotonic()
            try:
                journey(root)
                result = "OK"
            except SystemExit as problem:
                result, failed = f"FAILED: {problem}", failed + 1
            root.end_children()
            took = time.monotonic() - begun
            print(f"[ {result} ] {name}, {took:.0f} s", flush=True)
            table.append(f"| {name} | {took / 60:.1f} |")
    finally:
        root.remove()
    print("\n".join(["", "| journey | minutes |", "|---|---|", *table]))
    return 1 if failed else 0


sys.exit(main())
