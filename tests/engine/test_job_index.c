/* SPDX-License-Identifier: MIT */
/* Jobs by id: driven at random beside a sorted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/job_table.h"
#include "support/chance.h"

enum { RECORDS_MAX = 1000, STEPS = 6000 };

/* The same jobs, the lowest id first; the others are free. */
struct model {
    struct job_index index;
    struct job records[RECORDS_MAX];
    struct job *jobs[RECORDS_MAX], *spare[RECORDS_MAX];
    uint32_t len, spare_len;
    uint64_t newest; /* the highest id that there ever was */
};

static void open_model(struct model *model, uint32_t records)
{
    memset(model, 0, sizeof *model);
    assert_int_equal(index_init(&model->index, model->records, records), 0);
    while (model->spare_len < records) {
        model->spare[model->spare_len] = &model->records[model->spare_len];
        model->spare_len++;
    }
}

/* So many have a lower id. */
static uint32_t place(const struct model *model, uint64_t id)
{
    uint32_t low = 0, high = model->len;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (model->jobs[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void look(struct model *model, uint64_t id)
{
    uint32_t at = place(model, id);
    bool is_in = at < model->len && model->jobs[at]->id == id;
    struct job *above = at + is_in < model->len ? model->jobs[at + is_in] : NULL;
    assert_ptr_equal(index_find(&model->index, id), is_in ? model->jobs[at] : NULL);
    assert_ptr_equal(index_above(&model->index, id), above);
    assert_ptr_equal(index_below(&model->index, id), at > 0 ? model->jobs[at - 1] : NULL);
}

static void look_around(struct model *model, uint64_t id)
{
    look(model, id);
    look(model, id - 1);
    look(model, id + 1);
    look(model, 0);
    look(model, UINT64_MAX);
    assert_int_equal(index_check(&model->index), model->len);
}

static bool add(struct model *model, uint64_t id)
{
    uint32_t at = place(model, id);
    if (model->spare_len == 0 || (at < model->len && model->jobs[at]->id == id))
        return false;
    struct job *job = model->spare[--model->spare_len];
    job->id = id;
    index_add(&model->index, job);
    memmove(&model->jobs[at + 1], &model->jobs[at], (model->len - at) * sizeof(struct job *));
    model->jobs[at] = job;
    model->len++;
    model->newest = id > model->newest ? id : model->newest;
    return true;
}

static void take_out(struct model *model, uint32_t at)
{
    struct job *job = model->jobs[at];
    index_remove(&model->index, job);
    job->id = 0; /* as its record is used again */
    model->len--;
    memmove(&model->jobs[at], &model->jobs[at + 1], (model->len - at) * sizeof(struct job *));
    model->spare[model->spare_len++] = job;
}

/* Mostly the next one; with small gaps, with one that no array spans, or anywhere. */
static uint64_t some_id(const struct model *model, struct chance *chance, unsigned kind)
{
    if (kind == 0 || model->newest > UINT64_MAX / 2)
        return model->newest + 1;
    if (kind == 1)
        return model->newest + 1 + chance_below(chance, 5);
    if (kind == 2 && chance_below(chance, 100) == 0)
        return model->newest + ((uint64_t)1 << (20 + chance_below(chance, 24)));
    if (kind == 2)
        return model->newest + 1;
    return 1 + chance_below(chance, 3 * RECORDS_MAX);
}

/* The oldest, one of the oldest, or any. */
static uint32_t some_place(const struct model *model, struct chance *chance, unsigned kind)
{
    if (kind == 0)
        return 0;
    uint32_t among = kind == 1 && model->len > 100 ? 100 : model->len;
    return chance_below(chance, among);
}

static void agrees_with_an_array(void **state)
{
    static const uint32_t sizes[] = {1, 2, 31, 33, 64, 65, 200, RECORDS_MAX};
    struct chance chance = chance_begin();
    static struct model model;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        open_model(&model, sizes[i]);
        unsigned ids = 0, places = 0;
        for (unsigned step = 0; step < STEPS; step++) {
            /* By turns it becomes full and empty. */
            unsigned adds = step / 1500 % 2 == 0 ? 7 : 3;
            if (step % 500 == 0) {
                ids = chance_below(&chance, 4);
                places = chance_below(&chance, 3);
            }
            uint64_t id = some_id(&model, &chance, ids);
            if (chance_below(&chance, 10) < adds)
                add(&model, id);
            else if (model.len > 0)
                take_out(&model, some_place(&model, &chance, places));
            look_around(&model, model.len > 0 && step % 2 == 0
                                    ? model.jobs[chance_below(&chance, model.len)]->id
                                    : id);
        }
        index_release(&model.index);
    }
}

/* Its leaves are set aside at the start: they must do. */
static void a_few_old_jobs_cost_no_more(void **state)
{
    static struct model model;
    (void)state;
    for (uint32_t kept_each = 1; kept_each <= 64; kept_each++) {
        open_model(&model, RECORDS_MAX);
        for (unsigned round = 0; round < 40; round++) {
            uint32_t before = model.len;
            while (add(&model, model.newest + 1))
                ;
            for (uint32_t at = model.len; at > before; at--)
                if (at % kept_each != 0)
                    take_out(&model, at - 1);
            assert_int_equal(index_check(&model.index), model.len);
        }
        while (model.len > 0)
            take_out(&model, model.len / 2);
        assert_int_equal(index_check(&model.index), 0);
        index_release(&model.index);
    }
}

static void ids_that_fall_need_no_more_leaves(void **state)
{
    static struct model model;
    (void)state;
    open_model(&model, RECORDS_MAX);
    for (uint64_t id = 2 * RECORDS_MAX; add(&model, id); id -= 2)
        look_around(&model, id);
    for (uint32_t at = 0; at < model.len; at++)
        take_out(&model, at);
    for (uint64_t id = 2 * RECORDS_MAX - 1; add(&model, id); id -= 2)
        look_around(&model, id);
    assert_int_equal(model.len, RECORDS_MAX);
    index_release(&model.index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(a_few_old_jobs_cost_no_more),
        cmocka_unit_test(ids_that_fall_need_no_more_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
