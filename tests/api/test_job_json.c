/* SPDX-License-Identifier: MIT */
/* A job as JSON whose texts are asked for later than its state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "api/job_json.h"
#include "jobd/change.h"
#include "jobd/queue.h"

static struct api api;

static int set_up(void **state)
{
    const struct jobd_queue_config queue = {.name = "q", .capacity = 10, .workers = 1};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 10,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 16,
                                       .leases_max = 4,
                                       .first_id = 1};
    (void)state;
    return jobd_new(&api.jobd, &config);
}

static int tear_down(void **state)
{
    (void)state;
    jobd_free(api.jobd);
    return 0;
}

static void put_tagged(struct jobd_info *info)
{
    const struct jobd_terms terms = {.texts = {[JOBD_TAGS] = "red\n"}};
    struct jobd_receipt receipt;
    assert_int_equal(jobd_put(api.jobd, &(struct jobd_put){.terms = &terms}, NULL, 1, &receipt),
                     JOBD_OK);
    assert_int_equal(jobd_get(api.jobd, receipt.id, info), JOBD_OK);
}

/* The list with this row alone, which the caller frees. */
static char *list_of(const struct jobd_info *info)
{
    struct json_out out;
    json_out_begin(&out, 0);
    json_out_open(&out, NULL, '[');
    job_json_write_row(&out, &api, info);
    json_out_close(&out, ']');
    char *list = json_out_line(&out);
    assert_non_null(list);
    return list;
}

static void a_row_has_all_its_texts(void **state)
{
    struct jobd_info info;
    (void)state;
    put_tagged(&info);
    char *list = list_of(&info);
    assert_non_null(strstr(list, "\"tags\":[\"red\"]"));
    free(list);
}

/* Between the list and its rows the job has ended and is forgotten, its tags with it. */
static void a_job_that_is_forgotten_is_no_row(void **state)
{
    struct jobd_info info;
    (void)state;
    put_tagged(&info);
    assert_int_equal(jobd_cancel(api.jobd, info.id, NULL, 2), JOBD_OK);
    assert_int_equal(jobd_forget(api.jobd, info.id, NULL, 3), JOBD_OK);
    char *list = list_of(&info);
    assert_string_equal(list, "[]\n");
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_has_all_its_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_that_is_forgotten_is_no_row, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("a job as JSON", tests, NULL, NULL);
}
