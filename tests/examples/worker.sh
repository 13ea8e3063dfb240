#!/bin/sh
# A worker: takes jobs, upper-cases each payload. TOKEN is its bearer token, if the server wants one.
: "${JOBD:?is not set: where is the server, as http://localhost:8080}"
own= curl=
trap '[ -z "$curl" ] || { kill "$curl"; wait "$curl"; }; rm -rf "$own"' EXIT
trap 'exit 1' HUP INT TERM
own=$(mktemp -d) && cd "$own" || exit
echo "${TOKEN:+Authorization: Bearer $TOKEN}" >token

# A shell hears of a signal while it waits, but not while it runs something.
rest() {
    sleep "$1" &
    wait $!
}

ask() { # curl's options
    curl -sS -m 90 -X POST -H @token -D head -o body -w '%{http_code}' "$@" >code &
    curl=$!
    wait "$curl"
    result=$? curl=
    status=$(cat code)
    return $result
}

post() { # a path, curl's options; tries until the server has decided. 0: done, 1: it will never be
    path=$1 pause=1
    shift
    until ask "$@" "$JOBD$path" &&
        case $status in 408 | 429 | 5*) echo "$path: $status" >&2; false ;; esac; do
        rest $pause
        [ $pause -ge 30 ] || pause=$((pause * 2))
    done
    case $status in 2*) return 0 ;; esac
    echo "$path: $status $(cat body)" >&2
    case $status in 401 | 403) exit 1 ;; *) return 1 ;; esac
}

while :; do
    post '/take?wait=30s' || rest 5
    [ "$status" = 200 ] || continue
    lease=$(tr -d '\r' <head | sed -n 's/^[Ll]ocation: //p')
    if tr a-z A-Z <body >output; then post "$lease/done" --data-binary @output
    else post "$lease/fail" -d 'it went wrong'; fi
done
