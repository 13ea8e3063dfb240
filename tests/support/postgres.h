/* SPDX-License-Identifier: MIT */
/* The PostgreSQL that tests/run.sh has started, in the directory that TEST_POSTGRES names: reached
 * by a unix socket there, as a superuser. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct server;

enum { POSTGRES_URL_SIZE = 400 };

/* False: there is none; the test is skipped. */
bool postgres_is_there(void);
/* A schema of its own: the address for --data. */
void postgres_fresh(char url[POSTGRES_URL_SIZE]);
/* A statement in the schema of such an address, or "" for none; its first value, or "", copied.
 * Fails the test when that fails. */
void postgres_ask(const char *url, const char *statement, char *value, size_t size);
/* A server whose jobs are there, and which listens: with these arguments beside its address, up to
 * NULL. */
struct server *postgres_server(const char *url, const char *const *arguments);
