/* SPDX-License-Identifier: MIT */
/* clone(CLONE_VM | CLONE_VFORK), which is what posix_spawn() is made of, with a stack of its own.
 *
 * In the child nothing may be called that takes a lock or allocates: other threads of jobd go on,
 * and it has their memory. So the system's calls are made directly, which keeps sanitizers out of
 * it too: they would take what the child closes for what jobd closes. It cannot be interrupted by a
 * handler either: all signals are blocked until their dispositions have been put right. */
#include "run/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/verify.h"
#include "run/inherited.h"
#include "run/user.h"

#define CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

/* Its own clone() takes every child for one with memory of its own; this is the C library's. */
#ifdef __SANITIZE_THREAD__
int __clone(int (*body)(void *context), void *stack, int flags, void *context, ...);
#define clone __clone
#endif

struct child {
    const struct spawn_plan *plan;
    const char *path; /* where programs are looked for */
    int error;        /* why the program cannot be run */
    enum spawn_step step;
};

/* Machines that once had ids of 16 bits. */
#ifdef SYS_setresuid32
enum {
    CALL_SETGROUPS = SYS_setgroups32,
    CALL_SETRESGID = SYS_setresgid32,
    CALL_SETRESUID = SYS_setresuid32
};
#else
enum {
    CALL_SETGROUPS = SYS_setgroups,
    CALL_SETRESGID = SYS_setresgid,
    CALL_SETRESUID = SYS_setresuid
};
#endif

/* ---- signals that are not as they were */

static sigset_t changed;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_changed(void)
{
    struct sigaction now;
    sigemptyset(&changed);
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_DFL &&
            (now.sa_handler != SIG_IGN || !inherited_ignored(number)))
            sigaddset(&changed, number);
}

/* ---- in the child */

CHILD static void restore_signals(void)
{
    static const struct sigaction usual = {.sa_handler = SIG_DFL};
    static const uint64_t none[2] = {0};
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&changed, number) == 1)
            (void)sigaction(number, &usual, NULL);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, (size_t)(NSIG - 1) / 8);
}

CHILD static void restore_limits(void)
{
    struct rlimit limit;
    if (inherited_open_files(&limit))
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* not above what it was: always allowed */
}

CHILD static bool put_at(int from, int to)
{
    return syscall(SYS_dup3, from, to, 0) == to;
}

CHILD static bool set_descriptors(const struct spawn_plan *plan)
{
    int input = plan->input;
    if (input < 0)
        input = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
    return input >= 0 && put_at(input, 0) && put_at(plan->output, 1) && put_at(plan->errors, 2);
}

/* What jobd itself was started with, and libraries open, may lack O_CLOEXEC. */
CHILD static void close_others(void)
{
    struct rlimit limit;
    if (syscall(SYS_close_range, 3U, ~0U, 0U) == 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    for (long fd = 3; fd < (long)limit.rlim_cur; fd++) /* before Linux 5.9 */
        (void)syscall(SYS_close, fd);
}

/* Of whoever becomes root's equal nothing is taken. Capabilities that jobd was given without being
 * root would else stay: a change from one ordinary user to another keeps them. */
CHILD static bool drop_capabilities(const struct user *user)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    if (user->uid == 0)
        return true;
    (void)syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, none) == 0;
}

/* The calls themselves change this thread alone; the C library's functions would have all threads
 * of jobd follow. First the groups, as it takes the rights that go with the user. */
CHILD static bool become(const struct user *user)
{
    if (user == NULL || user->ours)
        return true;
    return syscall(CALL_SETGROUPS, user->groups_len, user->groups) == 0 &&
           syscall(CALL_SETRESGID, user->gid, user->gid, user->gid) == 0 &&
           syscall(CALL_SETRESUID, user->uid, user->uid, user->uid) == 0 && drop_capabilities(user);
}

/* Its nice value while we still have the rights; its directory with the rights that it will have.
 */
CHILD static bool take_place(struct child *child)
{
    const struct spawn_plan *plan = child->plan;
    child->step = SPAWN_NICE;
    if (plan->nice != NULL && syscall(SYS_setpriority, PRIO_PROCESS, 0, *plan->nice) != 0)
        return false;
    child->step = SPAWN_USER;
    if (!become(plan->user))
        return false;
    child->step = SPAWN_DIRECTORY;
    if (plan->directory != NULL && syscall(SYS_chdir, plan->directory) != 0)
        return false;
    child->step = SPAWN_PROGRAM;
    return true;
}

/* execvpe(), but a file without a format is not a script: there is no shell. The errno. */
CHILD static int run_from_path(const struct child *child, char *const *command)
{
    char whole[PATH_MAX];
    size_t name_length = strlen(command[0]);
    int error = ENOENT;
    for (const char *at = child->path, *end; at != NULL; at = *end != '\0' ? end + 1 : NULL) {
        end = strchrnul(at, ':');
        size_t length = (size_t)(end - at);
        if (length + name_length + 2 > sizeof whole)
            continue;
        memcpy(whole, at, length);
        whole[length] = '/';
        memcpy(whole + length + (length > 0), command[0], name_length + 1);
        (void)syscall(SYS_execve, whole, command, child->plan->environment);
        if (errno == EACCES)
            error = EACCES; /* there may be a better one behind it */
        else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV &&
                 errno != ETIMEDOUT)
            return errno;
    }
    return error;
}

CHILD static int child_main(void *context)
{
    struct child *child = context;
    union {
        const char *const *read;
        char *const *given; /* execve() only reads them */
    } command = {.read = child->plan->command};
    (void)syscall(SYS_setsid); /* a new process leads no group: it cannot fail */
    if (set_descriptors(child->plan) && take_place(child)) {
        close_others();
        restore_limits();
        restore_signals();
        if (strchr(command.given[0], '/') == NULL && command.given[0][0] != '\0') {
            child->error = run_from_path(child, command.given);
            _exit(EXIT_FAILURE);
        }
        (void)syscall(SYS_execve, command.given[0], command.given, child->plan->environment);
    }
    child->error = errno;
    _exit(EXIT_FAILURE);
}

/* ---- in jobd */

/* Where it looks for programs itself. */
static const char *path_of(char *const *environment)
{
    static const char name[] = "PATH=";
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, strlen(name)) == 0)
            return *environment + strlen(name);
    return "/bin:/usr/bin";
}

int spawn(pid_t *id, const struct spawn_plan *plan, enum spawn_step *failed)
{
    sigset_t all, before;
    struct child child = {.plan = plan, .path = path_of(plan->environment)};
    verify(pthread_once(&once, find_changed) == 0 && plan->stack_bytes >= SPAWN_STACK_BYTES);
    sigfillset(&all);
    verify(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    /* Stacks grow down wherever jobd is built for. */
    pid_t child_id = clone(child_main, (char *)plan->stack + plan->stack_bytes,
                           CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
    int error = child_id < 0 ? errno : child.error;
    verify(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (child_id > 0 && error != 0)
        while (waitpid(child_id, NULL, 0) < 0 && errno == EINTR)
            ;
    *id = child_id;
    *failed = child.step;
    return -error;
}
