/* SPDX-License-Identifier: MIT */
/* What the tests of the post runner share: a service, a runner that posts to it, and one task. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "run/post.h"
#include "support/server.h"
#include "support/service.h"

enum { OUTPUT_MAX = 1000, MIB = 1024 * 1024 };

#define PATIENCE_US (PATIENCE_MS * INT64_C(1000))

struct scene {
    struct service *service;
    struct post *post;     /* for the queue "mail" */
    int stop_fd;           /* an eventfd */
    struct jobd_task task; /* number 7, with PATIENCE_US and nothing else */
    struct jobd_outcome outcome;
};

/* Before and after a test; *state is the scene. */
int set_scene(void **state);
int strike_scene(void **state);
#define scene_test(f) cmocka_unit_test_setup_teardown(f, set_scene, strike_scene)

void give_payload(struct scene *scene, const char *bytes, size_t size, const char *type);

/* From now on to another URL. */
void post_elsewhere(struct scene *scene, const char *url);

/* One attempt; its outcome is the scene's until the next. */
enum jobd_state attempt(struct scene *scene);
/* The same, answered so. */
enum jobd_state attempt_answered(struct scene *scene, const char *answer);

/* Failed, with an error and without output. */
void assert_failed(enum jobd_state state, const struct scene *scene, bool for_good);
/* The error is one printable line and has these words. */
void assert_error_has(const struct scene *scene, const char *text);
void assert_blob(const struct jobd_blob *blob, const char *text);

/* The last request had the field once with this value; "": did not have it. */
void assert_sent(struct scene *scene, const char *name, const char *value);
void assert_sent_body(struct scene *scene, const void *bytes, size_t size);
