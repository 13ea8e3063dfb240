/* SPDX-License-Identifier: MIT */
/* Signatures of Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, so that whoever gets
 * the message knows whom it comes from, that it is whole, and when it was sent. No state, any
 * thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

enum {
    WEBHOOK_KEY_LEAST = 24, /* bytes, as the specification asks for */
    WEBHOOK_KEY_MAX = 64,
    WEBHOOK_SIGNATURE_SIZE = sizeof "v1," + 44 /* 32 bytes in Base64 */
};

/* A secret: never to be logged. */
struct webhook_key {
    size_t size;
    unsigned char bytes[WEBHOOK_KEY_MAX];
};

/* All borrowed. */
struct webhook_message {
    const char *id; /* webhook-id: of one message always the same, without a full stop */
    int64_t at_s;   /* webhook-timestamp: of this attempt, in seconds since 1970 */
    const void *body;
    size_t size; /* 0: `body` may be NULL */
};

/* `whsec_` and 24 to 64 bytes in Base64. False when it is none; then the key is empty. */
bool webhook_key_parse(struct webhook_key *key, const char *text);

/* The key in this file, without the blanks and line ends around it. False: `problem` names the file
 * and what is allowed, but nothing of what it holds. Blocks on the file. */
bool webhook_key_read(struct webhook_key *key, const char *path, struct problem *problem);

/* The value of webhook-signature. */
void webhook_sign(const struct webhook_key *key, const struct webhook_message *message,
                  char signature[WEBHOOK_SIGNATURE_SIZE]);
