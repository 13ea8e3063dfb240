#!/bin/sh
# Runs each test program named, all of them also when one fails, and sums up. Behind --durable the
# servers keep their jobs on disk, behind --ledger in a PostgreSQL, which is started for that and for
# the tests that need one. As many run at a time as there are processors, or AT_ONCE; what one says
# is shown when it has ended.

# How many tests bear cmocka's mark $1 in the file $2; it says each twice.
marked() {
    grep "^\[  $1 \] [a-z_0-9]*$" "$2" | sort -u | wc -l
}

# One program, $2, with what is said of it in the directory $1. The lock keeps what two say apart.
run_one() {
    said=$1 test=$2
    output=$(mktemp "$said/output.XXXXXX")
    "$test" >"$output" 2>&1
    code=$?
    ok=$(grep -c '^\[       OK \]' "$output")
    bad=$(marked 'FAILED ' "$output")
    skipped=$(marked SKIPPED "$output")
    (
        flock 9
        echo "== $(basename "$test")${TEST_DURABLE:+, durable}${TEST_LEDGER:+ in PostgreSQL}"
        cat "$output"
        if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
            echo "$(basename "$test") ended with $code"
            bad=1
        fi
        echo "$ok $bad $skipped" >>"$said/counts"
    ) 9>>"$said/lock"
    rm -f "$output"
}

case $1 in
--one) run_one "$2" "$3" && exit ;;
--one-durable) TEST_DURABLE=1 && export TEST_DURABLE && run_one "$2" "$3" && exit ;;
--one-ledger) TEST_DURABLE=1 TEST_LEDGER=1 && export TEST_DURABLE TEST_LEDGER && run_one "$2" "$3" && exit ;;
esac

clean_up() {
    [ -z "$TEST_POSTGRES" ] || { sh tests/postgres.sh stop "$TEST_POSTGRES" && rm -rf "$TEST_POSTGRES"; }
    rm -rf "$said"
}

start_postgres() {
    [ -z "$TEST_POSTGRES" ] || return
    directory=$(mktemp -d /tmp/jobd-postgres.XXXXXX)
    chmod 755 "$directory"
    sh tests/postgres.sh start "$directory" || exit 1
    export TEST_POSTGRES=$directory
}

said=$(mktemp -d)
trap clean_up EXIT
trap 'exit 1' INT TERM HUP
how=--one
for test in "$@"; do
    case $test in
    --durable) how=--one-durable && continue ;;
    --ledger) how=--one-ledger && continue ;;
    esac
    case $how$test in --one-ledger* | */ledger/test_*) start_postgres ;; esac
    echo "$how $said $test" >>"$said/list"
done
[ ! -e "$said/list" ] || xargs -P "${AT_ONCE:-$(nproc)}" -L 1 sh "$0" <"$said/list"
awk '{ passed += $1; failed += $2; skipped += $3 }
    END { print passed + 0 " passed, " failed + 0 " failed, " skipped + 0 " skipped"
          exit failed > 0 || passed == 0 }' "$said/counts"
