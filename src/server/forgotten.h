/* SPDX-License-Identifier: MIT */
/* Jobs that were forgotten before their time, as memory was short: said in the log, at most once a
 * minute. */
#pragma once

struct server;

/* jobd_config.on_forgotten_early, with the server as context. Any thread. */
void forgotten_note(void *server);
/* What has not been said yet, at the end. */
void forgotten_conclude(struct server *server);
