/* SPDX-License-Identifier: MIT */
#include "run/post_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

int set_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->service = service_start();
    const struct post_config config = {
        .url = service_url(scene->service), .queue = "mail", .output_max_bytes = OUTPUT_MAX};
    assert_int_equal(post_new(&scene->post, &config), 0);
    scene->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(scene->stop_fd >= 0);
    scene->task = (struct jobd_task){
        .id = 7, .attempt = 1, .timeout_us = PATIENCE_US, .key = "", .trace = ""};
    *state = scene;
    return 0;
}

static void forget_outcome(struct jobd_outcome *outcome)
{
    jobd_blob_unref(outcome->output);
    jobd_blob_unref(outcome->error);
    *outcome = (struct jobd_outcome){.state = JOBD_DONE};
}

int strike_scene(void **state)
{
    struct scene *scene = *state;
    forget_outcome(&scene->outcome);
    jobd_blob_unref(scene->task.payload);
    post_free(scene->post);
    service_stop(scene->service);
    close(scene->stop_fd);
    free(scene);
    return 0;
}

/* The service with another URL, or one that is not there at all. */
void post_elsewhere(struct scene *scene, const char *url)
{
    post_free(scene->post);
    assert_int_equal(post_new(&scene->post, &(struct post_config){.url = url,
                                                                  .queue = "mail",
                                                                  .output_max_bytes = OUTPUT_MAX}),
                     0);
}

enum jobd_state attempt(struct scene *scene)
{
    forget_outcome(&scene->outcome);
    post_attempt(&scene->task, &scene->outcome, scene->post, scene->stop_fd);
    assert_false(scene->outcome.exited);
    return scene->outcome.state;
}

/* One attempt that is answered so. */
enum jobd_state attempt_answered(struct scene *scene, const char *answer)
{
    service_script(scene->service, SERVICE_SCRIPT({.answer = answer}));
    return attempt(scene);
}

void assert_failed(enum jobd_state state, const struct scene *scene, bool for_good)
{
    assert_int_equal(state, JOBD_FAILED);
    assert_int_equal(scene->outcome.for_good, for_good);
    assert_null(scene->outcome.output);
    assert_non_null(scene->outcome.error);
}

void give_payload(struct scene *scene, const char *bytes, size_t size, const char *type)
{
    jobd_blob_unref(scene->task.payload);
    scene->task.payload = jobd_blob_new(size, type);
    assert_non_null(scene->task.payload);
    memcpy(scene->task.payload->bytes, bytes, size);
}

void assert_blob(const struct jobd_blob *blob, const char *text)
{
    assert_non_null(blob);
    assert_int_equal(blob->size, strlen(text));
    assert_memory_equal(blob->bytes, text, strlen(text));
}

void assert_error_has(const struct scene *scene, const char *text)
{
    const struct jobd_blob *error = scene->outcome.error;
    assert_non_null(error);
    if (memmem(error->bytes, error->size, text, strlen(text)) == NULL)
        fail_msg("\"%s\" is not in: %.*s", text, (int)error->size, (const char *)error->bytes);
    for (size_t i = 0; i < error->size; i++)
        assert_in_range(error->bytes[i], ' ', '~');
    assert_string_equal(error->type, "text/plain; charset=utf-8");
}

/* The value of a field of the last request, "" when it is not there; fails when it is there twice.
 */
static const char *sent(struct scene *scene, const char *name, char value[512])
{
    size_t size;
    const char *at = service_request(scene->service, &size), *end = strstr(at, "\r\n\r\n");
    assert_non_null(end);
    value[0] = '\0';
    bool found = false;
    while ((at = strstr(at, "\r\n")) != NULL && at < end) {
        at += 2;
        if (strncasecmp(at, name, strlen(name)) != 0 || at[strlen(name)] != ':')
            continue;
        assert_false(found);
        found = true;
        at += strlen(name) + 1;
        at += strspn(at, " ");
        snprintf(value, 512, "%.*s", (int)strcspn(at, "\r"), at);
    }
    return value;
}

void assert_sent(struct scene *scene, const char *name, const char *value)
{
    char room[512];
    assert_string_equal(sent(scene, name, room), value);
}

void assert_sent_body(struct scene *scene, const void *bytes, size_t size)
{
    size_t all;
    const char *request = service_request(scene->service, &all);
    assert_true(all > size + 4);
    assert_memory_equal(request + all - size - 4, "\r\n\r\n", 4);
    assert_memory_equal(request + all - size, bytes, size);
}
