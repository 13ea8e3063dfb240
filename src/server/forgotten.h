/* SPDX-License-Identifier: MIT */
/* Says in the log, at most once a minute, how many jobs were forgotten before their time because
 * memory was short. */
#pragma once

struct server;

/* jobd_config.on_forgotten_early, with the server as context. Any thread. */
void forgotten_note(void *server);
/* At the end: logs what has not been logged yet. */
void forgotten_conclude(struct server *server);
