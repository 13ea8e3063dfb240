/* SPDX-License-Identifier: MIT */
#include "run/webhook_sign.h"

#include <inttypes.h>
#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"

#define PREFIX "whsec_"

_Static_assert(BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) == 44, "the signature's length");

bool webhook_key_parse(struct webhook_key *key, const char *text)
{
    unsigned char bytes[BASE64_DECODE_LENGTH(BASE64_ENCODE_RAW_LENGTH(WEBHOOK_KEY_MAX)) + 1];
    struct base64_decode_ctx context;
    size_t size = sizeof bytes;
    *key = (struct webhook_key){0};
    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
        return false;
    const char *encoded = text + strlen(PREFIX);
    base64_decode_init(&context);
    bool good = strpbrk(encoded, " \t\r\n\f\v") == NULL && /* which Nettle skips */
                strlen(encoded) <= BASE64_ENCODE_RAW_LENGTH(WEBHOOK_KEY_MAX) &&
                base64_decode_update(&context, &size, bytes, strlen(encoded), encoded) == 1 &&
                base64_decode_final(&context) == 1 && size >= WEBHOOK_KEY_LEAST &&
                size <= WEBHOOK_KEY_MAX;
    if (good) {
        memcpy(key->bytes, bytes, size);
        key->size = size;
    }
    explicit_bzero(bytes, sizeof bytes);
    return good;
}

bool webhook_key_read(struct webhook_key *key, const char *path, struct problem *problem)
{
    char text[SECRET_SIZE];
    *key = (struct webhook_key){0};
    bool read = secret_read(path, text, problem);
    bool good = read && webhook_key_parse(key, text);
    explicit_bzero(text, sizeof text);
    return good || (read && problem_set(problem,
                                        "%s: is no secret of Standard Webhooks: " PREFIX
                                        " and %d to %d bytes in Base64",
                                        path, WEBHOOK_KEY_LEAST, WEBHOOK_KEY_MAX));
}

void webhook_sign(const struct webhook_key *key, const struct webhook_message *message,
                  char signature[WEBHOOK_SIGNATURE_SIZE])
{
    struct hmac_sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char time[32];
    int length = snprintf(time, sizeof time, ".%" PRId64 ".", message->at_s);
    hmac_sha256_set_key(&context, key->size, key->bytes);
    hmac_sha256_update(&context, strlen(message->id), (const uint8_t *)message->id);
    hmac_sha256_update(&context, (size_t)length, (const uint8_t *)time);
    if (message->size > 0)
        hmac_sha256_update(&context, message->size, message->body);
    hmac_sha256_digest(&context, sizeof digest, digest);
    memcpy(signature, "v1,", 3);
    base64_encode_raw(signature + 3, sizeof digest, digest);
    signature[WEBHOOK_SIGNATURE_SIZE - 1] = '\0';
    explicit_bzero(&context, sizeof context);
}
