/* SPDX-License-Identifier: MIT */
/* Signatures of Standard Webhooks: the specification's own example, and what is a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run/webhook_sign.h"
#include "support/server.h"

/* 24 and 64 bytes, and one byte less and more. */
#define LEAST   "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SHORTER "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaQ="
#define MOST                                                                                       \
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+"   \
    "Pw=="
#define LONGER                                                                                     \
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+"   \
    "P0A="

static void assert_signature(const char *secret, const struct webhook_message *message,
                             const char *expected)
{
    char signature[WEBHOOK_SIGNATURE_SIZE];
    struct webhook_key key;
    assert_true(webhook_key_parse(&key, secret));
    webhook_sign(&key, message, signature);
    assert_string_equal(signature, expected);
}

static void the_public_example(void **state)
{
    static const char body[] = "{\"test\": 2432232314}";
    const struct webhook_message message = {.id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
                                            .at_s = 1614265330,
                                            .body = body,
                                            .size = strlen(body)};
    (void)state;
    assert_signature(LEAST, &message, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

/* As computed by Python's hmac. */
static void other_messages(void **state)
{
    const struct webhook_message empty = {.id = "jobd-1", .at_s = 0};
    const struct webhook_message bytes = {
        .id = "jobd-9007199254740991", .at_s = 4102444800, .body = "\0\xff\n.", .size = 4};
    (void)state;
    assert_signature(MOST, &empty, "v1,uuGZOvYrvAXhgJJ+DINlH2PXEJhTctH/3l5K84S8SI8=");
    assert_signature(MOST, &bytes, "v1,XtSy+piqvxY4AhGl41GihT88Dpk4NnFGgwVITf/Keqw=");
}

static void what_is_a_secret(void **state)
{
    static const struct {
        const char *text;
        size_t size; /* 0: it is none */
    } rows[] = {
        {LEAST, 24},
        {MOST, 64},
        {SHORTER, 0},
        {LONGER, 0},
        {"", 0},
        {"whsec_", 0},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0},
        {"WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=", 0},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", 0},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-", 0},
        {"whsec_MfKQ9r8GKYqr TwjUPD8ILPZIo2LaLaSw", 0},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS\xc3\xa4", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct webhook_key key;
        if (webhook_key_parse(&key, rows[i].text) != (rows[i].size > 0) || key.size != rows[i].size)
            fail_msg("%s: %zu bytes", rows[i].text, key.size);
    }
}

/* Blanks around it are left out, and what a file holds is never said. */
static void it_is_read_from_a_file(void **state)
{
    struct webhook_key key;
    struct problem problem;
    (void)state;
    assert_true(webhook_key_read(&key, temporary_file("key", " \t" LEAST "\r\n\n"), &problem));
    assert_int_equal(key.size, 24);
    static const char *const wrong[] = {"", "\n", "some-password\n", LEAST " " LEAST,
                                        LEAST "\n" LEAST};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *path = temporary_file("key", wrong[i]);
        assert_false(webhook_key_read(&key, path, &problem));
        assert_int_equal(key.size, 0);
        assert_int_equal(strncmp(problem.text, path, strlen(path)), 0);
        assert_null(strstr(problem.text, "password"));
        assert_null(strstr(problem.text, "MfKQ"));
    }
    assert_false(webhook_key_read(&key, "/nowhere/key", &problem));
    assert_string_equal(problem.text, "/nowhere/key: No such file or directory");
    assert_false(webhook_key_read(&key, temporary_directory(), &problem));
    char large[9000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_false(webhook_key_read(&key, temporary_file("key", large), &problem));
    assert_non_null(strstr(problem.text, "is larger than"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(the_public_example),
        TEST(other_messages),
        TEST(what_is_a_secret),
        TEST(it_is_read_from_a_file),
    };
    return cmocka_run_group_tests_name("webhook_sign", tests, NULL, NULL);
}
