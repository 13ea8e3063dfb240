/* SPDX-License-Identifier: MIT */
/* From the first request to the last: a server that has started serves until SIGTERM or SIGINT,
 * then drains. In the main thread. */
#pragma once

struct idle_event;
struct server;

/* 0, or -errno: no descriptor. Closing it is the caller's. */
__attribute__((warn_unused_result)) int shutdown_prepare(struct idle_event *event);

/* The process ends here, and says what becomes of its jobs; `how` stands behind "stopped". */
_Noreturn void end_at_once(const struct server *server, const char *how);

/* Until a signal ends it and its jobs have, or their grace is over: the exit status. A second
 * signal, or a job that does not stop, ends the process in it. SIGHUP reloads the settings. */
int serve_until_signal(struct server *server);
