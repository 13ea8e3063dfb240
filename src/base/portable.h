/* SPDX-License-Identifier: MIT */
/* What glibc has and musl has not. */
#pragma once

#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A descriptor of the process, or -1 and errno. */
static inline int portable_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* KILL for SIGKILL, and ? for one without a name. */
static inline const char *portable_signal_name(int number)
{
#ifdef __GLIBC__
    const char *name = sigabbrev_np(number);
#else
    static const char *const names[] = {
        [SIGHUP] = "HUP",   [SIGINT] = "INT",   [SIGQUIT] = "QUIT", [SIGILL] = "ILL",
        [SIGTRAP] = "TRAP", [SIGABRT] = "ABRT", [SIGBUS] = "BUS",   [SIGFPE] = "FPE",
        [SIGKILL] = "KILL", [SIGUSR1] = "USR1", [SIGSEGV] = "SEGV", [SIGUSR2] = "USR2",
        [SIGPIPE] = "PIPE", [SIGALRM] = "ALRM", [SIGTERM] = "TERM", [SIGVTALRM] = "VTALRM",
        [SIGPROF] = "PROF", [SIGPOLL] = "POLL", [SIGPWR] = "PWR",   [SIGSYS] = "SYS",
        [SIGXCPU] = "XCPU", [SIGXFSZ] = "XFSZ"};
    const size_t len = sizeof names / sizeof names[0];
    const char *name = number > 0 && (size_t)number < len ? names[number] : NULL;
#endif
    return name != NULL ? name : "?";
}

/* The child shall have no descriptor from `first` on. 0 or an errno. Without help from libc all
 * of the parent's are marked now; only one that another thread opens unmarked before the spawn
 * would go along. */
static inline int portable_close_from(posix_spawn_file_actions_t *actions, int first)
{
#ifdef __GLIBC__
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
#else
    (void)actions;
    (void)syscall(SYS_close_range, first, ~0U, 1U << 2); /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */
    return 0;
#endif
}
