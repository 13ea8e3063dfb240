/* SPDX-License-Identifier: MIT */
/* The heap of moments: driven at random beside a sorted list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/chance.h"
#include "base/heap.h"

enum { CAPACITY = 100, STEPS = 20000 };

/* The same moments, the earliest first. */
struct model {
    struct heap heap;
    struct due items[CAPACITY];
    int64_t sorted[CAPACITY];
    uint32_t length;
    uint64_t nth; /* that was compared last */
};

static void open_model(struct model *model)
{
    memset(model, 0, sizeof *model);
    assert_int_equal(heap_init(&model->heap, CAPACITY), 0);
}

static void compare(struct model *model)
{
    const struct heap *heap = &model->heap;
    const struct due *top = heap_top(heap);
    uint32_t in = 0;
    assert_int_equal(heap->length, model->length);
    if (model->length == 0)
        assert_null(top);
    else
        assert_int_equal(top->at_us, model->sorted[0]);
    for (uint32_t place = 1; place <= heap->length; place++) {
        assert_int_equal(heap->items[place]->place, place);
        if (place > 1)
            assert_true(heap->items[place / 2]->at_us <= heap->items[place]->at_us);
    }
    for (size_t i = 0; i < CAPACITY; i++)
        in += model->items[i].place != 0;
    assert_int_equal(in, model->length);
    uint64_t n = model->nth = model->nth % (CAPACITY + 2) + 1; /* each in its turn */
    if (model->length == 0)
        return;
    uint64_t reached = n < HEAP_NTH_MAX ? n : HEAP_NTH_MAX;
    reached = reached < model->length ? reached : model->length;
    assert_int_equal(heap_nth(heap, n)->at_us, model->sorted[reached - 1]);
}

static void push(struct model *model, struct due *due, int64_t at_us)
{
    uint32_t at = model->length++;
    for (; at > 0 && model->sorted[at - 1] > at_us; at--)
        model->sorted[at] = model->sorted[at - 1];
    model->sorted[at] = at_us;
    heap_push(&model->heap, due, at_us);
    assert_int_equal(due->at_us, at_us);
    compare(model);
}

static void take_out(struct model *model, struct due *due)
{
    uint32_t at = 0;
    while (model->sorted[at] != due->at_us)
        at++;
    model->length--;
    memmove(&model->sorted[at], &model->sorted[at + 1],
            (model->length - at) * sizeof model->sorted[0]);
    heap_remove(&model->heap, due);
    assert_int_equal(due->place, 0);
    compare(model);
}

static int64_t moment(struct chance *chance)
{
    switch (chance_below(chance, 8)) {
    case 0:
        return INT64_MIN;
    case 1:
        return INT64_MAX;
    case 2:
        return (int64_t)chance_below(chance, UINT32_MAX) << 31;
    default: /* few, so that many are equal */
        return (int64_t)chance_below(chance, 20) - 10;
    }
}

static void agrees_with_a_sorted_list(void **state)
{
    struct chance chance = chance_begin();
    static struct model model;
    (void)state;
    open_model(&model);
    for (unsigned step = 0; step < STEPS; step++) {
        struct due *due = &model.items[chance_below(&chance, CAPACITY)];
        unsigned outs = step / 1000 % 2 == 0 ? 3 : 7, what = chance_below(&chance, 10);
        if (what < outs && due->place != 0)
            take_out(&model, due);
        else if (what < outs && model.length > 0)
            take_out(&model, heap_top(&model.heap));
        else if (due->place == 0)
            push(&model, due, moment(&chance));
    }
    while (model.length > 0) /* comes out sorted, as compare() has it after each */
        take_out(&model, heap_top(&model.heap));
    heap_release(&model.heap);
}

static void any_of_many_can_be_taken_out(void **state)
{
    static struct model model;
    (void)state;
    for (size_t out = 0; out < CAPACITY; out++) {
        open_model(&model);
        /* Falling, rising and mixed: the last may have to go up or down in the hole. */
        for (size_t i = 0; i < CAPACITY; i++)
            push(&model, &model.items[i], (int64_t)(i * 37 % (CAPACITY + 1)));
        take_out(&model, &model.items[out]);
        for (size_t i = 0; i < CAPACITY; i++)
            if (i != out)
                take_out(&model, &model.items[i]);
        heap_release(&model.heap);
    }
}

/* The last item is earlier than the parent of the place it comes to. */
static void the_last_may_rise_from_where_one_was_taken(void **state)
{
    static const int64_t moments[] = {1, 10, 2, 11, 12, 3, 4};
    static struct model model;
    (void)state;
    open_model(&model);
    for (size_t i = 0; i < 7; i++)
        push(&model, &model.items[i], moments[i]);
    take_out(&model, &model.items[3]);
    while (model.length > 0)
        take_out(&model, heap_top(&model.heap));
    heap_release(&model.heap);
}

static void what_is_not_in_it_cannot_be_taken_out(void **state)
{
    static struct model model;
    struct due stranger = {.at_us = 5};
    (void)state;
    open_model(&model);
    heap_remove(&model.heap, &stranger);
    compare(&model);
    push(&model, &model.items[0], 5);
    push(&model, &model.items[1], 5);
    heap_remove(&model.heap, &stranger);
    compare(&model);
    take_out(&model, &model.items[0]);
    heap_remove(&model.heap, &model.items[0]); /* twice */
    compare(&model);
    assert_ptr_equal(heap_top(&model.heap), &model.items[1]);
    push(&model, &model.items[0], 4); /* and in again */
    assert_ptr_equal(heap_top(&model.heap), &model.items[0]);
    heap_release(&model.heap);
}

static void equal_moments_each_come_once(void **state)
{
    static struct model model;
    bool seen[CAPACITY] = {false};
    (void)state;
    open_model(&model);
    for (size_t i = 0; i < CAPACITY; i++)
        push(&model, &model.items[i], 7);
    while (model.length > 0) {
        struct due *top = heap_top(&model.heap);
        ptrdiff_t index = top - model.items;
        assert_false(seen[index]);
        seen[index] = true;
        take_out(&model, top);
    }
    heap_release(&model.heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_sorted_list),
        cmocka_unit_test(any_of_many_can_be_taken_out),
        cmocka_unit_test(the_last_may_rise_from_where_one_was_taken),
        cmocka_unit_test(what_is_not_in_it_cannot_be_taken_out),
        cmocka_unit_test(equal_moments_each_come_once),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
