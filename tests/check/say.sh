# Read by the scripts beside it: says what was checked, and counts in $failed what was not so.
failed=0

check() { # what, and a command that must succeed
    what=$1
    shift
    if "$@"; then
        echo "[       OK ] $what"
    else
        echo "[  FAILED  ] $what"
        failed=$((failed + 1))
    fi
}
