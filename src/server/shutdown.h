/* SPDX-License-Identifier: MIT */
/* From the first request to the last: a server that has started serves until SIGTERM or SIGINT,
 * then drains. In the main thread. */
#pragma once

struct idle_event;
struct server;

/* 0, or -errno: no descriptor. Closing it is the caller's. */
__attribute__((warn_unused_result)) int shutdown_prepare(struct idle_event *event);

/* Logs what becomes of the jobs, with `how` behind the word "stopped", and ends the process. */
_Noreturn void end_at_once(const struct server *server, const char *how);

/* Serves until a signal, and then until the jobs have ended or --grace is over: the exit status. A
 * second signal, or a job that does not stop, ends the process without a return. SIGHUP reloads the
 * settings. */
int serve_until_signal(struct server *server);
