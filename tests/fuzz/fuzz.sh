#!/bin/sh
# Runs fuzzers, each for so many seconds, from what stands in tests/fuzz/corpus/ and what earlier runs
# have added in build/. What they find is in build/fuzz/found/, and belongs into tests/fuzz/corpus/.
seconds=$1 failed=0
shift
for name in "$@"; do
    log=build/fuzz/$name.log words=
    [ ! -f "tests/fuzz/corpus/$name.dict" ] || words=-dict=tests/fuzz/corpus/$name.dict
    if build/fuzz/run-"$name" -max_total_time="$seconds" -timeout=15 -max_len=8192 -print_final_stats=1 $words \
        -artifact_prefix="build/fuzz/found/$name/" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        echo "$name: $(sed -n 's/^stat::number_of_executed_units: //p' "$log") inputs in $seconds s, nothing found"
    else
        echo "$name: found something, see $log"
        tail -n 30 "$log"
        failed=1
    fi
done
exit $failed
