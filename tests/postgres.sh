#!/bin/sh
# A PostgreSQL for tests, in a directory of its own and reached by a unix socket in it:
#     postgres.sh start DIRECTORY
#     postgres.sh stop DIRECTORY
#     postgres.sh again DIRECTORY
#     postgres.sh standby DIRECTORY PRIMARY    one that follows the other
#     postgres.sh promote DIRECTORY
# As nobody, when root calls it: PostgreSQL does not run as root. Its log is DIRECTORY/log.
set -e
directory=$2
programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
programs=${programs:-$(dirname "$(command -v postgres)")}

as_somebody() {
    if [ "$(id -u)" = 0 ]; then
        runuser -u nobody -- "$@"
    else
        "$@"
    fi
}

make_it() {
    mkdir -p "$directory"
    [ "$(id -u)" != 0 ] || chown nobody "$directory"
    cd "$directory"
    as_somebody "$programs/initdb" -D "$directory/data" -U jobd -A trust --no-sync --locale=C \
        -E UTF8 >"$directory/initdb.log" 2>&1 || { cat "$directory/initdb.log" >&2; exit 1; }
}

[ "$1" != start ] || make_it
copy_it() {
    mkdir -p "$directory"
    [ "$(id -u)" != 0 ] || chown nobody "$directory"
    cd "$directory"
    rm -rf data
    as_somebody "$programs/pg_basebackup" -h "$1" -U jobd -D "$directory/data" -R -X stream \
        -c fast --no-sync
}

[ "$1" != standby ] || copy_it "$3"
cd /
case $1 in
promote)
    as_somebody "$programs/pg_ctl" promote -w -s -D "$directory/data"
    ;;
start | again | standby)
    as_somebody "$programs/pg_ctl" start -w -s -D "$directory/data" -l "$directory/data/log" \
        -o "-k $directory -c listen_addresses='' -c max_connections=200 ${POSTGRES_OPTIONS-}"
    ;;
stop)
    as_somebody "$programs/pg_ctl" stop -s -m immediate -D "$directory/data"
    ;;
esac
