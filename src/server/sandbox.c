/* SPDX-License-Identifier: MIT */
#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/landlock.h"
#include "base/log.h"
#include "server/seccomp.h"

static bool commands_given_up, files_given_up;

static void say(const char *what, int error)
{
    if (error == 0)
        log_debug("sandbox: %s", what);
    else
        log_debug("sandbox: %s: not supported: %s", what, strerror(-error));
}

static int result(int code)
{
    return code == 0 ? 0 : -errno;
}

/* ---- files */

/* What libraries come back to: names and their resolver, certificates, modules that are loaded when
 * they are needed, the state of the machine. Not every system has all of it. */
static void allow_system(int set)
{
    static const char *const places[] = {
        "/etc",      "/usr",         "/lib",       "/lib64",
        "/proc",     "/dev/urandom", "/nix/store", "/sys/devices/system/cpu",
        "/dev/null",
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        (void)landlock_allow(set, places[i], LANDLOCK_READ);
    (void)landlock_allow_beside(set, "/etc/resolv.conf", LANDLOCK_READ); /* a link into /run */
}

static int limit_files(const struct sandbox *sandbox)
{
    int set = landlock_new(), error = 0;
    if (set < 0)
        return set;
    allow_system(set);
    /* One that cannot be found now, a pipe, could not be read again anyhow. */
    for (const char *const *file = sandbox->files; file != NULL && *file != NULL; file++)
        (void)landlock_allow_beside(set, *file, LANDLOCK_READ);
    if (sandbox->database != NULL)
        error = landlock_allow_beside(set, sandbox->database, LANDLOCK_CHANGE);
    if (error == 0 && sandbox->log != NULL)
        error = landlock_allow_beside(set, sandbox->log, LANDLOCK_APPEND);
    if (error == 0 && sandbox->socket != NULL)
        error = landlock_allow_beside(set, sandbox->socket, LANDLOCK_REMOVE);
    if (error == 0)
        error = landlock_enter(set);
    close(set);
    return error;
}

/* ---- capabilities */

static bool has_files(const struct sandbox *sandbox)
{
    return (sandbox->files != NULL && sandbox->files[0] != NULL) || sandbox->database != NULL ||
           sandbox->log != NULL || sandbox->socket != NULL || sandbox->connects;
}

/* Root that goes back to files may find them to be another user's: so much it keeps. */
static int drop_capabilities(const struct sandbox *sandbox)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3], kept = {0};
    uint32_t files = (has_files(sandbox) ? 1U << CAP_DAC_OVERRIDE : 0) |
                     (sandbox->database != NULL ? 1U << CAP_CHOWN : 0); /* SQLite's, of its files */
    if (syscall(SYS_capget, &header, now) != 0)
        return -errno;
    kept.permitted = now[0].permitted & files;
    kept.effective = now[0].effective & files;
    struct __user_cap_data_struct then[_LINUX_CAPABILITY_U32S_3] = {kept};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* before 4.3 there are none */
    for (unsigned long i = 0; prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0; i++)
        ;
    return result((int)syscall(SYS_capset, &header, then));
}

/* ---- all of it */

void sandbox_enter(const struct sandbox *sandbox)
{
    say("no new privileges", result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
    if (SANDBOX_WHOLE && sandbox->secrets)
        say("no dumps", result(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)));
    if (sandbox->commands)
        return;
    commands_given_up = true; /* also where the kernel cannot hold us to it */
    if (SANDBOX_WHOLE) {
        int error = limit_files(sandbox);
        files_given_up = error == 0;
        say("no other files", error);
    }
    say("no capabilities", drop_capabilities(sandbox));
    if (SANDBOX_WHOLE)
        say("no programs", seccomp_enter());
}

bool sandbox_hides(const char *path)
{
    if (!files_given_up || faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        close(fd);
    return fd < 0 && errno == EACCES;
}

bool sandbox_allows_commands(void)
{
    return !commands_given_up;
}
