/* SPDX-License-Identifier: MIT */
#include "store/flaky_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>

#include "store/unsynced.h"

struct flaky_file {
    sqlite3_file base;
    struct unsynced *unsynced;
    sqlite3_file real[]; /* the usual one's */
};

static sqlite3_vfs *usual;
static sqlite3_vfs flaky;
static _Atomic int flaw;
static atomic_uint nth, writes, syncs;
static atomic_bool struck;

void flaky_plan(enum flaw kind, unsigned at)
{
    atomic_store(&flaw, (int)kind);
    atomic_store(&nth, at);
    atomic_store(&writes, 0);
    atomic_store(&syncs, 0);
    atomic_store(&struck, false);
}

bool flaky_struck(void)
{
    return atomic_load(&struck);
}

unsigned flaky_writes(void)
{
    return atomic_load(&writes);
}

unsigned flaky_syncs(void)
{
    return atomic_load(&syncs);
}

static sqlite3_file *real(sqlite3_file *file)
{
    return ((struct flaky_file *)(void *)file)->real;
}

static struct unsynced *unsynced(sqlite3_file *file)
{
    return ((struct flaky_file *)(void *)file)->unsynced;
}

static bool dead(void)
{
    int kind = atomic_load(&flaw);
    return atomic_load(&struck) && (kind == FLAW_TEAR || kind == FLAW_DEAD);
}

static int on_close(sqlite3_file *file)
{
    return real(file)->pMethods->xClose(real(file));
}

static int on_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at)
{
    return dead() ? SQLITE_IOERR_READ : real(file)->pMethods->xRead(real(file), bytes, size, at);
}

static int write_all(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    int code = real(file)->pMethods->xWrite(real(file), bytes, size, at);
    if (code == SQLITE_OK)
        unsynced_write(unsynced(file), bytes, size, at);
    return code;
}

static int on_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    const struct sqlite3_io_methods *methods = real(file)->pMethods;
    int kind = atomic_load(&flaw);
    unsigned number = atomic_fetch_add(&writes, 1) + 1;
    bool counts = kind == FLAW_WRITE || kind == FLAW_TEAR || kind == FLAW_DEAD || kind == FLAW_FULL;
    sqlite3_int64 end;
    if (dead())
        return SQLITE_IOERR_WRITE;
    if (!counts || (kind == FLAW_FULL ? number < atomic_load(&nth) : number != atomic_load(&nth)))
        return write_all(file, bytes, size, at);
    if (kind == FLAW_FULL && methods->xFileSize(real(file), &end) == SQLITE_OK && at + size <= end)
        return write_all(file, bytes, size, at);
    atomic_store(&struck, true);
    if (kind == FLAW_TEAR)
        (void)write_all(file, bytes, size / 2, at);
    return kind == FLAW_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = dead() ? SQLITE_IOERR_TRUNCATE : real(file)->pMethods->xTruncate(real(file), size);
    if (code == SQLITE_OK)
        unsynced_truncate(unsynced(file), size);
    return code;
}

static int on_sync(sqlite3_file *file, int flags)
{
    unsigned number = atomic_fetch_add(&syncs, 1) + 1;
    if (dead())
        return SQLITE_IOERR_FSYNC;
    if (atomic_load(&flaw) == FLAW_BLIND)
        return SQLITE_OK;
    if (atomic_load(&flaw) == FLAW_SYNC && number == atomic_load(&nth)) {
        atomic_store(&struck, true);
        return SQLITE_IOERR_FSYNC;
    }
    int code = real(file)->pMethods->xSync(real(file), flags);
    if (code == SQLITE_OK)
        unsynced_sync(unsynced(file));
    return code;
}

static int on_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real(file)->pMethods->xFileSize(real(file), size);
}

static int on_lock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xLock(real(file), level);
}

static int on_unlock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xUnlock(real(file), level);
}

static int on_check_lock(sqlite3_file *file, int *reserved)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), reserved);
}

static int on_control(sqlite3_file *file, int what, void *argument)
{
    return real(file)->pMethods->xFileControl(real(file), what, argument);
}

static int on_sector(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int on_characteristics(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

/* Version 1: without shared memory, which a database that is opened exclusively does not need. */
static const struct sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector,
    .xDeviceCharacteristics = on_characteristics,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    file->pMethods = NULL;
    if (dead())
        return SQLITE_CANTOPEN;
    int code = usual->xOpen(usual, name, real(file), flags, out);
    if (code != SQLITE_OK)
        return code;
    file->pMethods = &methods;
    ((struct flaky_file *)(void *)file)->unsynced = unsynced_open(name);
    return code;
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    int code = usual->xDelete(usual, name, sync);
    if (code == SQLITE_OK)
        unsynced_delete(name);
    return code;
}

void flaky_install(void)
{
    if (usual != NULL)
        return;
    usual = sqlite3_vfs_find(NULL);
    flaky = *usual;
    flaky.zName = "flaky";
    flaky.szOsFile = (int)sizeof(struct flaky_file) + usual->szOsFile;
    flaky.xOpen = on_open;
    flaky.xDelete = on_delete;
    (void)sqlite3_vfs_register(&flaky, 1);
}
