/* SPDX-License-Identifier: MIT */
/* System calls that a server without commands never makes: they fail with EPERM. */
#pragma once

/* For this thread and those it starts, for good; needs no_new_privs. 0 or -errno: the kernel, or
 * the machine, has none. Then no program can be started, no process made, no identity changed; a
 * call in another machine's convention (i386) ends the process. */
int seccomp_enter(void);
