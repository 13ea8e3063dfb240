/* SPDX-License-Identifier: MIT */
/* The ring: driven at random beside a plain array, and shared by threads under one mutex. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/chance.h"
#include "base/lock.h"
#include "base/ring.h"
#include "base/verify.h"

enum { CAPACITY_MAX = 101, STEPS = 4000 };

struct entry {
    uint64_t id, position;
};

/* The same ids, oldest first, without holes. */
struct model {
    struct ring ring;
    struct entry entries[CAPACITY_MAX];
    uint32_t length;
    uint64_t next_id;
    unsigned moves; /* ids that closing the holes has moved */
};

static uint64_t id_at(const struct ring *ring, uint64_t position)
{
    return ring->ids[position % (2 * (uint64_t)ring->capacity)];
}

static void note_move(void *context, uint64_t id, uint64_t position)
{
    struct model *model = context;
    for (uint32_t i = 0; i < model->length; i++)
        if (model->entries[i].id == id) {
            /* Towards the head, and told once it is there. */
            assert_true(position < model->entries[i].position);
            assert_int_equal(id_at(&model->ring, position), id);
            model->entries[i].position = position;
            model->moves++;
            return;
        }
    fail_msg("moved id %llu, which is not in the ring", (unsigned long long)id);
}

static void open_model(struct model *model, uint32_t capacity)
{
    *model = (struct model){.next_id = 1};
    assert_int_equal(ring_init(&model->ring, capacity), 0);
}

/* Every position from head to tail holds what the model says, in its order, or is a hole. */
static void compare(const struct model *model)
{
    const struct ring *ring = &model->ring;
    uint64_t slots = 2 * (uint64_t)ring->capacity;
    uint32_t seen = 0, filled = 0;
    assert_int_equal(ring->length, model->length);
    assert_true(ring->head <= ring->tail && ring->tail - ring->head <= slots);
    for (uint64_t position = ring->head; position != ring->tail; position++) {
        uint64_t id = id_at(ring, position);
        if (id == 0)
            continue;
        assert_true(seen < model->length);
        assert_int_equal(id, model->entries[seen].id);
        assert_int_equal(position, model->entries[seen].position);
        seen++;
    }
    assert_int_equal(seen, model->length);
    for (uint64_t i = 0; i < slots; i++)
        filled += ring->ids[i] != 0;
    assert_int_equal(filled, model->length);
}

static uint64_t push(struct model *model)
{
    uint64_t id = model->next_id++;
    uint64_t position = ring_push(&model->ring, id, note_move, model);
    model->entries[model->length++] = (struct entry){id, position};
    compare(model);
    return position;
}

static void drop(struct model *model, uint32_t index)
{
    model->length--;
    memmove(&model->entries[index], &model->entries[index + 1],
            (model->length - index) * sizeof model->entries[0]);
}

static void take_out(struct model *model, uint32_t index)
{
    ring_remove(&model->ring, model->entries[index].position);
    drop(model, index);
    compare(model);
}

static void pop(struct model *model)
{
    uint64_t expected = model->length > 0 ? model->entries[0].id : 0;
    assert_int_equal(ring_peek(&model->ring), expected);
    if (expected == 0)
        assert_int_equal(model->ring.head, model->ring.tail); /* no holes are left either */
    compare(model);                                           /* peeking takes nothing out */
    assert_int_equal(ring_pop(&model->ring), expected);
    if (expected != 0)
        drop(model, 0);
    compare(model);
}

static void agrees_with_an_array(void **state)
{
    static const uint32_t capacities[] = {1, 2, 3, 5, 7, 8, 16, 33, CAPACITY_MAX};
    struct chance chance = chance_begin();
    static struct model model;
    (void)state;
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        open_model(&model, capacities[i]);
        uint64_t far = 0;
        for (unsigned step = 0; step < STEPS; step++) {
            /* By turns it tends to be full, to be empty, and to keep its oldest for long. */
            static const unsigned pushes[] = {6, 3, 5};
            unsigned phase = step / 500 % 3, what = chance_below(&chance, 10);
            uint32_t kept = phase == 2 && capacities[i] > 1 ? 1 : 0;
            if (what < pushes[phase] && model.length < capacities[i])
                push(&model);
            else if (what < 8 && model.length > kept)
                take_out(&model, kept + chance_below(&chance, model.length - kept));
            else if (kept == 0)
                pop(&model);
            far = model.ring.tail > far ? model.ring.tail : far;
        }
        if (capacities[i] == 1) /* which is empty in between */
            assert_true(far == 1);
        else /* it has wrapped, and has closed holes */
            assert_true(far > 2 * (uint64_t)capacities[i] && model.moves > 0);
        ring_release(&model.ring);
    }
}

static void an_empty_ring_gives_nothing(void **state)
{
    static struct model model;
    (void)state;
    open_model(&model, 3);
    pop(&model);
    push(&model);
    take_out(&model, 0);
    pop(&model);
    push(&model);
    pop(&model);
    pop(&model);
    ring_release(&model.ring);
}

static void positions_count_on_past_the_slots(void **state)
{
    static const uint32_t capacities[] = {2, 3, 4};
    static struct model model;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        open_model(&model, capacities[i]);
        for (uint64_t position = 0; position < 1000; position++) {
            if (model.length == capacities[i])
                pop(&model);
            assert_int_equal(push(&model), position);
        }
        assert_int_equal(model.moves, 0); /* without holes nothing moves */
        ring_release(&model.ring);
    }
}

static void an_empty_ring_begins_anew(void **state)
{
    static struct model model;
    (void)state;
    open_model(&model, 100);
    for (unsigned i = 0; i < 1000; i++) {
        for (uint64_t position = 0; position < 3; position++)
            assert_int_equal(push(&model), position);
        take_out(&model, 1);
        pop(&model);
        pop(&model);
    }
    ring_release(&model.ring);
}

static void a_ring_of_one_outlives_its_holes(void **state)
{
    static struct model model;
    (void)state;
    open_model(&model, 1);
    for (unsigned i = 0; i < 100; i++) {
        push(&model);
        take_out(&model, 0); /* nobody pops, so the head stays behind */
    }
    push(&model);
    pop(&model);
    ring_release(&model.ring);
}

static void a_hole_is_closed_when_the_ring_wraps(void **state)
{
    static struct model model;
    (void)state;
    open_model(&model, 3);
    push(&model);
    push(&model);
    push(&model);
    take_out(&model, 1);
    push(&model);
    take_out(&model, 1);
    push(&model);
    take_out(&model, 2);
    push(&model); /* 1 _ _ 4 _ 6: the tail has caught up with the head */
    take_out(&model, 1);
    assert_int_equal(model.moves, 0);
    assert_int_equal(push(&model), 2); /* 1 6 7 */
    assert_int_equal(model.moves, 1);
    assert_int_equal(model.entries[1].position, 1);
    take_out(&model, 1); /* by the position that it was told */
    pop(&model);
    pop(&model);
    pop(&model);
    ring_release(&model.ring);
}

/* Nobody has peeked, so the head stands on a hole itself. */
static void holes_at_the_head_are_closed_too(void **state)
{
    static struct model model;
    (void)state;
    open_model(&model, 3);
    push(&model);
    push(&model);
    for (unsigned i = 0; i < 4; i++) {
        push(&model);
        take_out(&model, 0);
    }
    assert_int_equal(push(&model), 2); /* behind 5 and 6 */
    assert_int_equal(model.moves, 2);
    assert_int_equal(model.entries[0].position, 0);
    for (unsigned i = 0; i < 4; i++)
        pop(&model);
    ring_release(&model.ring);
}

/* ---- threads */

enum { PUSHERS = 4, POPPERS = 3, EACH = 3000, ALL = PUSHERS * EACH };

struct shared {
    struct mutex lock;
    struct condition room, filled;
    struct ring ring;
    uint64_t popped[ALL]; /* in the order of popping */
    unsigned popped_len;
};

static struct shared shared;

static void moved_without_holes(void *context, uint64_t id, uint64_t position)
{
    (void)context;
    (void)id;
    (void)position;
    verify(false);
}

/* Ids are 1 and up: pusher after pusher, each with EACH of them. */
static void *push_many(void *argument)
{
    unsigned pusher = *(unsigned *)argument;
    for (unsigned i = 0; i < EACH; i++) {
        mutex_lock(&shared.lock);
        while (shared.ring.length == shared.ring.capacity)
            condition_wait(&shared.room, &shared.lock);
        ring_push(&shared.ring, 1 + (uint64_t)pusher * EACH + i, moved_without_holes, NULL);
        condition_signal(&shared.filled);
        mutex_unlock(&shared.lock);
    }
    return NULL;
}

static void *pop_many(void *argument)
{
    (void)argument;
    mutex_lock(&shared.lock);
    while (shared.popped_len < ALL) {
        uint64_t id = ring_pop(&shared.ring);
        if (id == 0) {
            condition_wait(&shared.filled, &shared.lock);
            continue;
        }
        shared.popped[shared.popped_len++] = id;
        condition_signal(&shared.room);
        if (shared.popped_len == ALL)
            pthread_cond_broadcast(&shared.filled.os);
    }
    mutex_unlock(&shared.lock);
    return NULL;
}

static void each_id_once_in_its_pushers_order(void **state)
{
    pthread_t pushers[PUSHERS], poppers[POPPERS];
    unsigned numbers[PUSHERS], next[PUSHERS] = {0};
    (void)state;
    assert_int_equal(mutex_init(&shared.lock), 0);
    assert_int_equal(condition_init(&shared.room), 0);
    assert_int_equal(condition_init(&shared.filled), 0);
    assert_int_equal(ring_init(&shared.ring, 13), 0);
    for (unsigned i = 0; i < PUSHERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&pushers[i], NULL, push_many, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < POPPERS; i++)
        assert_int_equal(pthread_create(&poppers[i], NULL, pop_many, NULL), 0);
    for (unsigned i = 0; i < PUSHERS; i++)
        assert_int_equal(pthread_join(pushers[i], NULL), 0);
    for (unsigned i = 0; i < POPPERS; i++)
        assert_int_equal(pthread_join(poppers[i], NULL), 0);
    for (unsigned i = 0; i < ALL; i++) {
        uint64_t index = shared.popped[i] - 1;
        assert_true(index < ALL);
        assert_int_equal(index % EACH, next[index / EACH]++); /* so none twice and none lost */
    }
    assert_int_equal(shared.ring.length, 0);
    ring_release(&shared.ring);
    condition_release(&shared.filled);
    condition_release(&shared.room);
    mutex_release(&shared.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(an_empty_ring_gives_nothing),
        cmocka_unit_test(positions_count_on_past_the_slots),
        cmocka_unit_test(an_empty_ring_begins_anew),
        cmocka_unit_test(a_ring_of_one_outlives_its_holes),
        cmocka_unit_test(a_hole_is_closed_when_the_ring_wraps),
        cmocka_unit_test(holes_at_the_head_are_closed_too),
        cmocka_unit_test(each_id_once_in_its_pushers_order),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
