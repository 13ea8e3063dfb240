/* SPDX-License-Identifier: MIT */
/* SIGHUP: the settings are read again, and what can change while the server runs does. */
#pragma once

#include "jobd/queue.h"
#include "api/auth.h"
#include "server/options.h"
#include "run/runner.h"
#include "http/tls.h"

/* A queue's settings as the engine and its runner take them; strings are borrowed. */
void queue_terms(const struct queue_options *queue, struct jobd_queue_config *config);
void queue_runner(const struct options *options, const struct queue_options *queue,
                  struct runner_config *config);

/* Reads all sources again, from the arguments of main(), and the files of tokens and certificate,
 * NULL for none. `options` is what counts now, and then what counts afterwards; runners[i] is that
 * of its ith queue. All of it is read and made before any of it counts: a mistake is logged and
 * changes nothing. What cannot change is named in the log. */
void reread(struct options *options, int argc, char **argv, struct jobd *jobd,
            struct runner *const *runners, struct auth *auth, struct tls *tls);
