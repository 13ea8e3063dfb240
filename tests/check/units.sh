#!/bin/sh
# Is a unit as closed as jobd(1) says, 0.9 of 10 open at most?
command -v systemd-analyze >/dev/null ||
    { echo "systemd-analyze is missing: make deps-check, or install systemd"; exit 1; }
systemd-analyze security --no-pager --offline=true --threshold=9 "$1" >/dev/null 2>&1 && exit 0
systemd-analyze security --no-pager --offline=true --threshold=9 "$1" | grep -v '✓'
exit 1
