#!/bin/sh
# The tests of durability must be able to fail: each of these faults, built into a copy of the
# source, must turn one of them red. With "cluster" those of several servers with one PostgreSQL.
failed=0

# name, file, what to replace and by what (sed), the test, its environment
control() {
    name=$1 file=$2 fault=$3 test=$4
    shift 4
    copy=build/controls/$name
    rm -rf "$copy" && mkdir -p "$copy" || exit 1
    cp -r Makefile src include tests bench "$copy" || exit 1
    sed -i "$fault" "$copy/$file"
    if cmp -s "$file" "$copy/$file"; then
        echo "$name: the fault does not fit $file any more"
        failed=1
        return
    fi
    if ! make -s -C "$copy" jobd >"$copy/log" 2>&1; then
        echo "$name: it does not build, see $copy/log"
        failed=1
        return
    fi
    if env "$@" make -s -C "$copy" test T="$test" >>"$copy/log" 2>&1; then
        echo "$name: not found, see $copy/log"
        failed=1
    else
        echo "$name: found: $(grep -m1 -E 'ERROR|broken invariant' "$copy/log")"
        rm -rf "$copy"
    fi
}

of_a_store() {
    control 'a commit that does not sync' src/store/database.c 's/syncs\[\] = {"2"/syncs[] = {"1"/' \
        crash KILLS=1 CUTS=20
    control 'an answer before the commit' src/store/writer.c \
        's/all = journal_each(\(.*\));/all = journal_each(\1) \&\& (journal_written(store->jobd, clock_now_us()), true);/' \
        crash KILLS=100 CUTS=0
    control 'a sync error that is swallowed' src/store/database.c \
        's/if (code != SQLITE_DONE)/if (code != SQLITE_DONE \&\& sqlite3_extended_errcode(database->handle) != SQLITE_IOERR_FSYNC)/' \
        store
    control 'a token that is good for ever' src/engine/lease_table.c 's/^    lease->job = NULL;$/    (void)0;/' \
        crash KILLS=20 CUTS=0
}

of_a_cluster() {
    control 'a commit that nobody waits for' src/ledger/ledger_open.c 's/ledger->sync ?/false ?/' \
        crash_cluster KILLS=60
    control 'an answer before the turn is committed' src/ledger/turn.c \
        's/^    bool good = write_rows(turns);$/&\n    turns_tell(\&turns->held, false);/' \
        crash_cluster KILLS=60
    control 'an entry behind whatever is there' src/ledger/ledger_open.c \
        's/ FROM jobd_head FOR UPDATE/ FROM jobd_head/
         s/VALUES (\$1, \$2, \$3, \$4, \$5)/SELECT coalesce(max(seq), 0) + 1 + 0 * $1::int8, $2::int4, $3::int8, $4::int8, $5::bytea FROM jobd_log/' \
        crash_cluster KILLS=60
    control 'a token that is good for ever elsewhere' src/engine/lease_table.c \
        's/^    lease->job = NULL;$/    (void)0;/' crash_cluster KILLS=60
    control 'ids that others have given' src/engine/adopt.c \
        's/if (next_id > jobd->next_id)/if (next_id > jobd->next_id \&\& next_id == 0)/' share_random
}

case $1 in
cluster) of_a_cluster ;;
*) of_a_store ;;
esac
exit $failed
