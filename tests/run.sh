#!/bin/sh
# Runs each test program named, all of them also when one fails, and sums up. Behind --durable the
# servers keep their jobs on disk.
passed=0 failed=0 skipped=0

# How many tests bear cmocka's mark $1; it says each twice.
marked() {
    grep "^\[  $1 \] [a-z_0-9]*$" "$output" | sort -u | wc -l
}

for test in "$@"; do
    if [ "$test" = --durable ]; then
        export TEST_DURABLE=1
        continue
    fi
    echo "== $(basename "$test")${TEST_DURABLE:+, durable}"
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
