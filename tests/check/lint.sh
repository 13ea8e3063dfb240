#!/bin/sh
# Floors and habits that the compiler does not check.
failed=0

wrong() {
    echo "lint:" "$@"
    failed=1
}

# A file includes files of its own floor and of those behind it.
floors='client server api http run ledger store engine base'
above=''
for floor in $floors; do
    for name in $above; do
        grep -n "#include \"$name/" src/$floor/*.[ch] && wrong "a file of $floor includes one of $name, which stands above it"
    done
    above="$above $floor"
done
# The library's own floors: the queues are the engine, the rest runs jobs.
grep -lE '"jobd/(pool|call|group)\.h"' src/ledger/* src/store/* src/engine/* src/base/* && wrong "pool.h, call.h and group.h stand above that"
grep -nE '#include "(server|api|http|run|ledger|store)/' include/jobd/*.h && wrong "a public header includes what is not public"

# A client has the options and signals of the process, runs commands, and knows nothing else of a server.
grep -nE '#include "(api|http|ledger|store|engine|jobd/pool)|#include "server/' src/client/*.[ch] |
    grep -vE '"server/(option_[a-z]*|options|signals|sandbox)\.h"' && wrong "a client includes what is the server's"

# What is included in these places alone.
only() { # a pattern, where
    grep -lE "#include [<\"]$1" src/*.c src/*/*.[ch] | grep -vxE "$2" && wrong "only $2 may include $1"
}
only microhttpd 'src/http/mhd(_fixes)?\.h'
only http/mhd 'src/http/(mhd\.h|(mhd_[a-z]*|http|request|body|budget)\.c)'
only api/endpoint 'src/api/.*'
only cjson 'src/base/json\.h'
only curl/ 'src/(run/http_client|base/url|server/healthcheck)\.c'
only sqlite3 'src/store/database_inside\.h'
only libpq 'src/ledger/ledger_inside\.h'
only gnutls 'src/http/tls\.c'
only nettle/ 'src/run/webhook_sign\.c'

# The engine neither logs nor reads a clock nor knows JSON, though these stand below it.
grep -nE '"base/(log|clock|json)\.h"|<time\.h>' src/engine/* src/base/heap.* src/base/rate.* src/base/ring.* &&
    wrong "the engine must not know that"

# Unbounded or locale-bound functions.
grep -nE '\b(atoi|atol|strcat|strcpy|strncpy|sprintf|vsprintf|strtok|gets|alloca)\(' src/*.c src/*/*.[ch] && wrong "a forbidden function"

# Pages of another site may read every field of a reply.
for field in $(grep -ohE 'reply_(field|text|number)\([a-z>-]+, "[A-Za-z-]+"' src/*/*.c | sed 's/.*"\(.*\)"/\1/' | sort -u); do
    sed -n '/Expose-Headers/,/}}/p' src/http/cors.c | grep -qE "[\" ]$field(,|\")" || wrong "src/http/cors.c does not expose $field"
done

sources=$(git ls-files 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]')

# But for let_pass() and look_again(), and the moment of a kill.
for file in $(echo "$sources" | grep '^tests/'); do
    case $file in tests/support/server.c | tests/store/test_crash.c) continue ;; esac
    grep -nE '\b(usleep|nanosleep|clock_nanosleep|sleep)\(|\bpoll\(NULL, 0' "$file" &&
        wrong "$file sleeps: wait for the event instead"
done

for file in $sources $(git ls-files 'bench/*.[ch]' 'bench/*.py' 'bench/*.rs' 'bench/*.go'); do
    head -n 1 "$file" | grep -q 'SPDX-License-Identifier: MIT' || wrong "$file has no licence line"
done

for file in $sources $(git ls-files 'tests/*.py'); do
    [ "$(wc -l <"$file")" -le 600 ] || wrong "$file has more than 600 lines"
done

exit $failed
