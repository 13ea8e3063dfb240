/* SPDX-License-Identifier: MIT */
/* What the server gives up when it has opened all it needs, for good.
 *
 *     always              new privileges: no setuid program gains any, commands included
 *     with secrets        being dumped and traced: tokens and keys stay out of core files
 *     without commands    all of the file system but what it goes back to (landlock.h), root's
 *                         capabilities, starting programs and other system calls (seccomp.h)
 *
 * A command inherits no filter and keeps all capabilities: it runs in the environment that its
 * owner gave to jobd. What the kernel does not have is left out quietly.
 *
 * A server under a sanitizer, which wants to look into itself and to start a symbolizer, gives up
 * new privileges and capabilities only. */
#pragma once

#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_WHOLE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_WHOLE 0
#endif
#endif
#ifndef SANDBOX_WHOLE
#define SANDBOX_WHOLE 1
#endif

/* Each pointer may be NULL; all is borrowed until return. */
struct sandbox {
    bool commands;            /* some queue has one */
    bool secrets;             /* tokens, or a key, have been read */
    bool connects;            /* to a unix socket */
    const char *const *files; /* that are read again, and may be replaced; NULL at the end */
    const char *database;     /* whose directory is ours to write */
    const char *log;          /* a file to append to, and to make again when it was renamed */
    const char *socket;       /* a file to remove at the end */
};

/* Before the first other thread. Says at `debug` what is given up. */
void sandbox_enter(const struct sandbox *sandbox);

/* Is it only the sandbox that keeps this file from being read? That happens when the directory of a
 * file that is read again has been replaced since: moved there, or reached by a link that leads
 * elsewhere now. */
bool sandbox_hides(const char *path);

/* Can commands still be run? Yes, until sandbox_enter() has given that up. */
bool sandbox_allows_commands(void);
