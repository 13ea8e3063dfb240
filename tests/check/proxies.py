#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""jobd behind nginx, HAProxy and Caddy, as jobd(7) shows it: the lines are taken from there. Each proxy speaks TLS on
a port of its own and reaches jobd, below the path /queue/, by its unix socket. `make check-proxies` runs it."""

import atexit, http.client, json, os, re, signal, socket, ssl, subprocess, sys, tempfile, threading, time

BINARY = sys.argv[1]
PAGE = "src/dist/jobd.7"
TOKEN = "tBx5Kq8vLw2RnZd7"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}
LIMIT_S = 20  # for what must happen at all
CLIENT, OTHER = "127.0.0.7", "127.0.0.8"  # whom the proxies must name
LIE = {"X-Forwarded-For": "192.0.2.1, 127.0.0.1"}  # what a client says of itself

failed = 0


def check(proxy, what, good):
    global failed
    print(f"[{'       OK ' if good else '  FAILED  '}] {proxy}: {what}", flush=True)
    failed += not good


def until(condition, what):
    """Until it is true; what it gave."""
    end = time.monotonic() + LIMIT_S
    while not (found := condition()):
        if time.monotonic() > end:
            sys.exit(f"in vain: {what}")
        time.sleep(0.01)
    return found


def lines_of(proxy):
    """The literal block below this proxy's name in the manual page."""
    section = re.search(rf"^\.Ss {proxy}$(.*?)^\.(Ss|Sh)", open(PAGE).read(), re.M | re.S)[1]
    text = re.search(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", section, re.M | re.S)[1]
    return text.replace("\\&", "").replace("\\e", "\\")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# ---- what runs


def begin(command, **more):
    """A process that ends with this one at the latest."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **more)
    atexit.register(process.terminate)
    return process


class Jobd:
    def __init__(self, folder):
        self.socket, self.access = f"{folder}/jobd.sock", f"{folder}/access"
        with open(f"{folder}/tokens", "w") as file:
            file.write(f"admin {TOKEN}\n")
        os.chmod(f"{folder}/tokens", 0o600)
        self.process = begin(
            [BINARY, "-l", f"unix:{self.socket}", "--socket-mode", "0666", "-w", "0", "-q", "100", "--grace", "0ms",
             "--token-file", f"{folder}/tokens", "--access-log", self.access, "--log-format", "json",
             "--trusted-proxy", "unix", "--max-per-address", "6"])
        until(lambda: os.path.exists(self.socket), "jobd listens")

    def logged(self, target):
        """The addresses of all requests for this target, so far."""
        lines = [json.loads(line) for line in open(self.access)]
        return [line["address"] for line in lines if line.get("target") == target]

    def metric(self, name):
        with socket.socket(socket.AF_UNIX) as there:
            there.connect(self.socket)
            there.sendall(f"GET /metrics HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
            text = there.makefile().read()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_S)


def nginx(folder, port):
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(f"""daemon off; pid {folder}/nginx.pid; error_log {folder}/log;
{'user root;' if os.getuid() == 0 else ''} events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
        {lines_of('nginx')}
    }}
}}
""")
    return ["nginx", "-e", f"{folder}/log", "-c", f"{folder}/nginx.conf"]


def haproxy(folder, port):
    with open(f"{folder}/haproxy.cfg", "w") as file:
        file.write(f"""defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
    option abortonclose
frontend tls
    bind 127.0.0.1:{port} ssl crt {folder}/both.pem
    use_backend jobd if {{ path_beg /queue/ }}
{lines_of('HAProxy')}
""")
    return ["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"]


def caddy(folder, port):
    with open(f"{folder}/Caddyfile", "w") as file:
        lines = lines_of("Caddy").replace("queue.example {", f"https://localhost:{port} {{\n    bind 127.0.0.1\n"
                                          f"    tls {folder}/cert.pem {folder}/key.pem")
        file.write(f"{{\n    admin off\n    auto_https off\n}}\n{lines}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


class Proxy:
    def __init__(self, name, configure, folder, jobd):
        self.name, self.port, self.folder = name, free_port(), folder
        self.trust = ssl.create_default_context(cafile=f"{folder}/cert.pem")
        command = configure(folder, self.port)
        for path in os.listdir(folder):  # where the manual page has another path
            path = f"{folder}/{path}"
            if path.endswith((".conf", ".cfg", "Caddyfile")):
                text = open(path).read().replace("/run/jobd/jobd.sock", jobd.socket)
                open(path, "w").write(text)
        self.log = open(f"{folder}/said", "w+")
        self.process = begin(command, stdout=self.log, stderr=self.log,
                             env=dict(os.environ, XDG_DATA_HOME=folder, XDG_CONFIG_HOME=folder))
        until(self.answers, f"{name} answers: see {folder}")

    def answers(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            sys.exit(f"{self.name} did not start: {self.log.read()}")
        try:
            return self.ask("GET", "/healthz")[0].status == 200
        except OSError:
            return False

    def connect(self, address=CLIENT):
        return http.client.HTTPSConnection("localhost", self.port, timeout=LIMIT_S, context=self.trust,
                                           source_address=(address, 0))

    def send(self, method, path, body=None, fields={}, address=CLIENT):
        """The response, of which only the header has come."""
        connection = self.connect(address)
        connection.request(method, path if path.startswith("/queue/") else "/queue" + path, body,
                           {**AUTHORIZATION, **fields})
        return connection.getresponse()

    def ask(self, *arguments, **more):
        response = self.send(*arguments, **more)
        return response, response.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT_S)


# ---- what is asked


def submits(proxy):
    response, _ = proxy.ask("POST", "/do", b"payload")
    return response.getheader("Location", "") if response.status == 202 else ""


def takes(proxy):
    """The lease, as the proxy has it."""
    response, payload = proxy.ask("POST", "/take")
    return response.getheader("Location") if payload == b"payload" else None


def of_path(proxy, jobd):
    job = submits(proxy)
    check(proxy.name, "Location has the path", re.fullmatch(r"/queue/jobs/\d+", job) is not None)
    response, text = proxy.ask("GET", job)
    check(proxy.name, "and leads to the job", response.status == 200 and json.loads(text)["state"] == "queued")
    lease = takes(proxy)
    check(proxy.name, "a lease has the path", re.fullmatch(r"/queue/leases/\w+", lease or "") is not None)
    response, _ = proxy.ask("POST", lease + "/done", b"output")
    check(proxy.name, "and ends the job", response.status == 200 and proxy.ask("GET", job + "/output")[1] == b"output")
    response, text = proxy.ask("GET", "/", fields={"Accept": "text/html"})
    check(proxy.name, "the page", response.status == 200 and b"<html" in text)


def of_worker(proxy, jobd):
    with open(f"{proxy.folder}/token", "w") as file:
        file.write(TOKEN)
    worker = begin([BINARY, "work", "--url", f"https://localhost:{proxy.port}/queue", "--ca", f"{proxy.folder}/cert.pem",
                    "--token-file", f"{proxy.folder}/token", "--", "tr", "a-z", "A-Z"])
    response, text = proxy.ask("POST", "/do", b"payload", {"Prefer": "wait=20"})
    check(proxy.name, "jobd work", response.status == 200 and text == b"PAYLOAD")
    worker.send_signal(signal.SIGTERM)
    check(proxy.name, "and ends well", worker.wait(LIMIT_S) == 0)
    until(lambda: jobd.metric("jobd_requests_parked") == 0, "its request ends")


def of_waiting(proxy, jobd):
    job, lease, answers = submits(proxy), takes(proxy), []
    waiting = threading.Thread(target=lambda: answers.append(proxy.ask("GET", job + "?wait=1m")))
    waiting.start()
    until(lambda: jobd.metric("jobd_requests_parked") == 1, "the request waits")
    proxy.ask("POST", lease + "/done", b"output")
    waiting.join(LIMIT_S)
    check(proxy.name, "a request that waits", bool(answers) and json.loads(answers[0][1])["state"] == "done")

    gone = proxy.connect()
    gone.request("POST", "/queue/take?wait=1m", headers=AUTHORIZATION)
    until(lambda: jobd.metric("jobd_requests_parked") == 1, "the request waits")
    gone.close()
    until(lambda: jobd.metric("jobd_requests_parked") == 0, "it ends with its client")
    check(proxy.name, "a client that goes away takes no job", True)


def of_streams(proxy, jobd):
    events = proxy.send("GET", "/events")
    until(lambda: jobd.metric("jobd_streams") >= 1, "it streams")
    job = submits(proxy)
    line = b""
    while not line.startswith(b"data:"):
        line = events.readline()
    check(proxy.name, "an event comes at once", json.loads(line[5:])["id"] == int(job.split("/")[-1]))
    lease = takes(proxy)
    output = proxy.send("GET", job + "/output?follow")
    proxy.ask("POST", lease + "/output", b"first\n")
    check(proxy.name, "output comes at once", output.readline() == b"first\n")
    proxy.ask("POST", lease + "/output", b"second\n")
    proxy.ask("POST", lease + "/done")
    check(proxy.name, "and ends with its attempt", output.read() == b"second\n")
    events.close()


def of_addresses(proxy, jobd):
    def seen(target):
        return until(lambda: jobd.logged(target), "the access log has it")

    proxy.ask("GET", f"/healthz?{proxy.name}")
    check(proxy.name, "the access log has the client's address", seen(f"/healthz?{proxy.name}") == [CLIENT])
    proxy.ask("GET", f"/healthz?{proxy.name}-lies", fields=LIE, address=OTHER)
    check(proxy.name, "and not what it says of itself", seen(f"/healthz?{proxy.name}-lies") == [OTHER])

    def waits(address):
        connection = proxy.connect(address)
        connection.request("POST", "/queue/take?wait=1m", headers=AUTHORIZATION)
        return connection

    some = [waits(OTHER) for _ in range(6)]
    until(lambda: jobd.metric("jobd_requests_parked") == 6, "six requests wait")
    check(proxy.name, "a seventh request from there", proxy.ask("GET", "/queues", address=OTHER)[0].status == 503)
    check(proxy.name, "one from elsewhere", proxy.ask("GET", "/queues")[0].status == 200)
    for connection in some:
        connection.close()
    until(lambda: jobd.metric("jobd_requests_parked") == 0, "they end")
    check(proxy.name, "and again from there", proxy.ask("GET", "/queues", address=OTHER)[0].status == 200)


def certify(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                    f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, stderr=subprocess.DEVNULL)
    with open(f"{folder}/both.pem", "w") as both:
        both.write(open(f"{folder}/cert.pem").read() + open(f"{folder}/key.pem").read())


def main():
    os.umask(0o077)
    for name, configure in (("nginx", nginx), ("haproxy", haproxy), ("caddy", caddy)):
        with tempfile.TemporaryDirectory() as folder:
            certify(folder)
            jobd = Jobd(folder)
            proxy = Proxy(name, configure, folder, jobd)
            for ask in (of_path, of_worker, of_waiting, of_streams, of_addresses):
                ask(proxy, jobd)
            proxy.stop()
            check(name, "jobd ends well", jobd.stop() == 0)
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
