#!/bin/sh
# The static file: needs no other, is small, and does all its work in a root that holds nothing else.
# tests/check/static.sh FILE MAX_BYTES, as root for chroot. EMULATOR is the static file that runs another machine's,
# such as qemu-aarch64-static; unset for this one's.
. "$(dirname "$0")/say.sh"
file=$1 max=$2
root=$(mktemp -d) server='' service=''
jobd=${EMULATOR:+/emulator }/jobd
trap '[ -z "$server$service" ] || kill $server $service 2>/dev/null; wait; rm -rf "$root"' EXIT

needs_nothing() { ! readelf -d "$file" | grep -q NEEDED && ! readelf -l "$file" | grep -q INTERP; }
is_small() { [ "$(stat -c %s "$file")" -le "$max" ]; }

start() { # options; sets server and address
    mkfifo "$root.fifo"
    chroot "$root" $jobd -l 127.0.0.1:0 "$@" >"$root.out" 2>"$root.fifo" &
    server=$!
    exec 3<"$root.fifo"
    rm "$root.fifo" # the next one's is another
    address=$(timeout 20 sed -un -e "w $root.err" -e '/listening on /{s/.*listening on //p;q}' <&3)
    cat <&3 >/dev/null & # what it says later needs a reader, or it would block
    exec 3<&-
    [ -n "$address" ] || { cat "$root.err"; false; }
}

stop() { # drains: exit status 0
    kill "$server" && wait "$server"
    code=$?
    server=''
    return $code
}

says() { # a text, and curl's arguments behind the address
    text=$1 path=$2
    shift 2
    answer=$(curl -s "$@" "$address$path")
    [ "$answer" = "$text" ] || { echo "it said: $answer"; false; }
}

waits() { # until the job has ended well, and says what it put out
    text=$1
    shift
    says "$text" /do -H 'Prefer: wait=10' -d payload
}

is_healthy() { chroot "$root" $jobd -l "$address" --health; }
works() { # as another machine would: its own program is all that there is
    chroot "$root" $jobd work --url "http://$address" -- $jobd -V 2>"$root.err" &
    worker=$!
    waits "$(chroot "$root" $jobd -V)" || { cat "$root.err"; kill $worker; false; } && kill $worker && wait $worker
}
is_kept() { "$@" && [ -s "$root/data/jobd.db" ]; }
no_tls() {
    chroot "$root" $jobd --tls-cert /c --tls-key /k 2>"$root.err"
    [ $? = 2 ] && [ "$(wc -l <"$root.err")" = 1 ] && grep -q TLS "$root.err"
}
refuses() { # 0: folded lines and NUL, which libmicrohttpd before 1.0 hides
    [ "$(printf "GET /healthz HTTP/1.1\r\nHost: localhost\r\n$1\r\nConnection: close\r\n\r\n" |
        python3 -c 'import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as jobd:
    jobd.sendall(sys.stdin.buffer.read())
    print(jobd.makefile("rb").read(12).decode())' "${address##*:}")" = 'HTTP/1.1 400' ]
}

# Answers each request with `thanks`; two queues know it, one of them its certificate.
start_tls() {
    mkdir "$root/etc" && echo '127.0.0.1 localhost' >"$root/etc/hosts" &&
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
            -addext subjectAltName=DNS:localhost -keyout "$root/pem" -out "$root/crt" 2>/dev/null || return
    mkfifo "$root.port"
    python3 -c 'import http.server, ssl, sys
class Thanks(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"thanks")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Thanks)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
open(sys.argv[3], "w").write("%d\n" % server.server_port)
server.serve_forever()' "$root/crt" "$root/pem" "$root.port" 2>/dev/null &
    service=$!
    read -r port <"$root.port"
    rm "$root.port"
    cat >"$root/jobd.json" <<END
{"queues": {"default": {"post": "https://localhost:$port/", "ca": "/crt"},
            "other": {"post": "https://localhost:$port/"}}}
END
    start -c /jobd.json
}
distrusts() { curl -s "$address/do/other" -H 'Prefer: wait=10' -d x | grep -q certificate; }

cp "$file" "$root/jobd"
[ -z "${EMULATOR:-}" ] || cp "$EMULATOR" "$root/emulator"
check 'needs no other file' needs_nothing
check "has at most $max bytes" is_small
check 'starts in an empty root' start
check 'queues' says queued /do
check 'is healthy' is_healthy
check 'drains' stop
check 'starts with a command' start -- $jobd -V
check 'runs commands' waits "$(chroot "$root" $jobd -V)"
check 'drains' stop
mkdir "$root/data"
check 'starts on disk' start -d /data --sleep 0ms
check 'keeps jobs on disk' is_kept waits ''
web=$server there=$address server=''
check 'starts with a web service' start --post "http://$there/do"
check 'posts' waits queued
check 'drains' stop
server=$web
check 'drains' stop
check 'starts with a service over TLS' start_tls
check 'trusts its certificate' waits thanks
check 'trusts no other' distrusts
check 'drains' stop
{ kill "$service" && wait "$service"; } 2>/dev/null
check 'says that it serves no TLS' no_tls
check 'starts again' start
check 'refuses a folded line' refuses 'X: a\r\n b'
check 'refuses a NUL' refuses 'X: a\0b'
check 'drains' stop
check 'starts without workers' start -w 0
check 'works for it' works
check 'drains' stop
rm -f "$root.out" "$root.err"
[ $failed = 0 ]
