#!/bin/sh
# Runs each test program named, all of them also when one fails, and sums up. Behind --durable the
# servers keep their jobs on disk, behind --ledger in a PostgreSQL, which is started for that and for
# the tests that need one.
passed=0 failed=0 skipped=0

stop_postgres() {
    [ -z "$TEST_POSTGRES" ] || { sh tests/postgres.sh stop "$TEST_POSTGRES" && rm -rf "$TEST_POSTGRES"; }
}

start_postgres() {
    [ -z "$TEST_POSTGRES" ] || return
    directory=$(mktemp -d /tmp/jobd-postgres.XXXXXX)
    trap stop_postgres EXIT
    trap 'exit 1' INT TERM HUP
    chmod 755 "$directory"
    sh tests/postgres.sh start "$directory" || exit 1
    export TEST_POSTGRES=$directory
}

# How many tests bear cmocka's mark $1; it says each twice.
marked() {
    grep "^\[  $1 \] [a-z_0-9]*$" "$output" | sort -u | wc -l
}

for test in "$@"; do
    if [ "$test" = --durable ]; then
        export TEST_DURABLE=1
        continue
    fi
    if [ "$test" = --ledger ]; then
        export TEST_DURABLE=1 TEST_LEDGER=1
        continue
    fi
    case $TEST_LEDGER$test in 1* | */ledger/test_*) start_postgres ;; esac
    echo "== $(basename "$test")${TEST_DURABLE:+, durable}${TEST_LEDGER:+ in PostgreSQL}"
    output=$(mktemp)
    "$test" >"$output" 2>&1
    code=$?
    cat "$output"
    ok=$(grep -c '^\[       OK \]' "$output")
    bad=$(marked 'FAILED ')
    skipped=$((skipped + $(marked SKIPPED)))
    rm -f "$output"
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
        echo "$(basename "$test") ended with $code"
        bad=1
    fi
    passed=$((passed + ok))
    failed=$((failed + bad))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
