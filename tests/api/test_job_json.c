/* SPDX-License-Identifier: MIT */
/* A job as JSON whose texts are asked for later than its state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

static const char *tag_of(const cJSON *job)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(job, "tags"), 0)->valuestring;
}

static void a_row_has_all_its_texts(void **state)
{
    struct jobd_info info;
    cJSON *row;
    (void)state;
    put_tagged(&info);
    assert_true(job_json_row(&api, &info, &row));
    assert_string_equal(tag_of(row), "red");
    cJSON_Delete(row);
}

/* Between the list and its rows the job has ended and is forgotten, its tags with it. */
static void a_job_that_is_forgotten_is_no_row(void **state)
{
    struct jobd_info info;
    cJSON *row;
    (void)state;
    put_tagged(&info);
    assert_int_equal(jobd_cancel(api.jobd, info.id, NULL, 2), JOBD_OK);
    assert_int_equal(jobd_forget(api.jobd, info.id, NULL, 3), JOBD_OK);
    assert_true(job_json_row(&api, &info, &row));
    assert_null(row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_has_all_its_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_that_is_forgotten_is_no_row, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("a job as JSON", tests, NULL, NULL);
}
