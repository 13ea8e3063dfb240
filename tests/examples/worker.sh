#!/bin/sh
# A worker: takes jobs, upper-cases each payload.
while :; do
    curl -s -X POST -D head -o payload "$JOBD/take?wait=30s" || { sleep 1; continue; }
    lease=$(sed -n 's/^Location: \(.*\)\r/\1/p' head)
    [ -n "$lease" ] || continue
    if tr a-z A-Z <payload >output; then curl -s --data-binary @output "$JOBD$lease/done"
    else curl -s -d 'it went wrong' "$JOBD$lease/fail"; fi
done
