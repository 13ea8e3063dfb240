/* SPDX-License-Identifier: MIT */
/* Rows of raw requests, each with the status that it must get. */
#pragma once

#include <stddef.h>

#include "support/client.h"
#include "support/server.h"

struct row {
    const char *request;
    int status;
};

/* What the last answer was. */
extern struct raw raw;

/* Sends each row on a connection of its own; the server must answer once and close. */
void ask_rows(const struct server *server, const struct row *rows, size_t len);
#define ASK_ROWS(server, rows) ask_rows(server, rows, sizeof(rows) / sizeof(rows)[0])
