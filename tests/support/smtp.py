#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A mail server that says the subject of each mail. smtp.py PORT; 0: any that is free. First it says which."""
import socketserver
import sys


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def data(self):
        self.say("354 go on")
        while (line := self.rfile.readline().strip()) not in (b".", b""):
            if line.lower().startswith(b"subject:"):
                print(line.decode(), flush=True)
        while line not in (b".",):
            line = self.rfile.readline().strip()

    def handle(self):
        self.say("220 here")
        for line in self.rfile:
            command = line.split()[0].upper()
            if command == b"DATA":
                self.data()
            if command == b"QUIT":
                break
            self.say("250 good")
        self.say("221 gone")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("127.0.0.1", int(sys.argv[1])), Session) as server:
    print("port", server.server_address[1], flush=True)
    server.serve_forever()
