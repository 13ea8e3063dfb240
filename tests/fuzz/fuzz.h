/* SPDX-License-Identifier: MIT */
/* What the fuzzers feed: each takes any bytes, and must neither crash nor hang. `make fuzz` runs
 * them, each beginning with what stands in tests/fuzz/corpus/; test_corpora replays that. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The bytes that a client sends over a connection, to a whole server in this process; at 0xff 0xff
 * it waits until they are read. */
void fuzz_http(const uint8_t *bytes, size_t size);
/* Ends that server. */
void fuzz_http_end(void);

/* A configuration file. */
void fuzz_settings(const uint8_t *bytes, size_t size);
/* A command line: words, each ended by a line feed. */
void fuzz_options(const uint8_t *bytes, size_t size);
/* A file of tokens, and then a token. */
void fuzz_auth(const uint8_t *bytes, size_t size);
/* Durations, sizes, numbers, and any text that is shown, made UTF-8 or written as JSON. */
void fuzz_text(const uint8_t *bytes, size_t size);
/* An expression of cron, or a duration. */
void fuzz_cron(const uint8_t *bytes, size_t size);
/* A prefix of URLs, a line feed and a URL, compared with what libcurl makes of both. */
void fuzz_url(const uint8_t *bytes, size_t size);
/* A file of time zone data. */
void fuzz_zone(const uint8_t *bytes, size_t size);
/* What one turn has changed, as it stands in the log of several servers, without its checksum. */
void fuzz_entry(const uint8_t *bytes, size_t size);
/* Steps of the engine, compared with a model of it. */
void fuzz_engine(const uint8_t *bytes, size_t size);
