/* SPDX-License-Identifier: MIT */
#include "ledger/mailbox.h"

#include <unistd.h>

#include "base/event.h"

enum { STATE_NONE, STATE_WAITS, STATE_RUNS, STATE_HELD };

/* ---- lists */

void turns_init(struct turn_list *turns)
{
    *turns = (struct turn_list){.first = NULL, .end = &turns->first};
}

static void list_add(struct turn_list *list, struct jobd_turn *turn)
{
    turn->link.next = NULL;
    *list->end = turn;
    list->end = &turn->link.next;
    list->len++;
}

static struct jobd_turn *list_take(struct turn_list *list)
{
    struct jobd_turn *turn = list->first;
    if (turn == NULL)
        return NULL;
    list->first = turn->link.next;
    list->len--;
    if (list->first == NULL)
        list->end = &list->first;
    return turn;
}

/* False when it is not there. */
static bool list_remove(struct turn_list *list, struct jobd_turn *turn)
{
    struct jobd_turn **at = &list->first;
    while (*at != NULL && *at != turn)
        at = &(*at)->link.next;
    if (*at == NULL)
        return false;
    *at = turn->link.next;
    if (*at == NULL)
        list->end = at;
    list->len--;
    return true;
}

static struct turn_list list_take_all(struct turn_list *list)
{
    struct turn_list all = *list;
    turns_init(list);
    return all; /* its `end` may be another's: nothing is added to it */
}

void turns_tell(struct turn_list *turns, bool lost)
{
    struct jobd_turn *turn;
    while ((turn = turns->first) != NULL) {
        turns->first = turn->link.next;
        turn->over(turn, lost ? JOBD_STORE_FAILED : turn->link.result);
    }
    turns_init(turns);
}

/* ---- start and end */

int mailbox_init(struct mailbox *mailbox)
{
    *mailbox = (struct mailbox){.event = event_new()};
    if (mailbox->event < 0)
        return mailbox->event;
    int error = mutex_init(&mailbox->lock);
    if (error == 0 && (error = condition_init(&mailbox->changed)) != 0)
        mutex_release(&mailbox->lock);
    if (error != 0) {
        close(mailbox->event);
        return error;
    }
    mutex_lock(&mailbox->lock); /* nobody else sees it yet: for the analysis */
    turns_init(&mailbox->calls);
    turns_init(&mailbox->looks);
    mutex_unlock(&mailbox->lock);
    return 0;
}

void mailbox_release(struct mailbox *mailbox)
{
    condition_release(&mailbox->changed);
    mutex_release(&mailbox->lock);
    close(mailbox->event);
}

/* ---- any thread */

void mailbox_enter(struct mailbox *mailbox, struct jobd_turn *turn)
{
    mutex_lock(&mailbox->lock);
    bool away = mailbox->away;
    bool first = mailbox->calls.len + mailbox->looks.len == 0;
    if (!away) {
        turn->link.state = STATE_WAITS;
        list_add(turn->looks ? &mailbox->looks : &mailbox->calls, turn);
    }
    mutex_unlock(&mailbox->lock);
    if (away)
        turn->over(turn, JOBD_STORE_FAILED);
    else if (first)
        event_set(mailbox->event);
}

bool mailbox_leave(struct mailbox *mailbox, struct jobd_turn *turn, struct jobd_waiter *waiter)
{
    mutex_lock(&mailbox->lock);
    bool left = turn->link.state == STATE_WAITS &&
                list_remove(turn->looks ? &mailbox->looks : &mailbox->calls, turn);
    if (left)
        turn->link.state = STATE_NONE;
    while (mailbox->running == turn)
        condition_wait(&mailbox->changed, &mailbox->lock);
    bool held = turn->link.state == STATE_HELD || (turn->link.state == STATE_WAITS && !left);
    mutex_unlock(&mailbox->lock);
    return left || (!held && jobd_cancel_wait(mailbox->jobd, waiter));
}

void mailbox_looked(struct mailbox *mailbox)
{
    mutex_lock(&mailbox->lock);
    if (--mailbox->lookers == 0)
        condition_broadcast(&mailbox->changed);
    mutex_unlock(&mailbox->lock);
}

void mailbox_poke(struct mailbox *mailbox)
{
    mutex_lock(&mailbox->lock);
    bool first = !mailbox->poked;
    mailbox->poked = true;
    mutex_unlock(&mailbox->lock);
    if (first)
        event_set(mailbox->event);
}

/* ---- the thread that takes the turns */

struct mail mailbox_look(struct mailbox *mailbox)
{
    event_clear(mailbox->event);
    mutex_lock(&mailbox->lock);
    const struct mail mail = {
        .calls = mailbox->calls.len > 0, .looks = mailbox->looks.len > 0, .poked = mailbox->poked};
    mailbox->poked = false;
    mutex_unlock(&mailbox->lock);
    return mail;
}

void mailbox_await_lookers(struct mailbox *mailbox)
{
    mutex_lock(&mailbox->lock);
    while (mailbox->lookers > 0)
        condition_wait(&mailbox->changed, &mailbox->lock);
    mutex_unlock(&mailbox->lock);
}

bool mailbox_run(struct mailbox *mailbox, struct turn_list *held)
{
    mutex_lock(&mailbox->lock);
    struct jobd_turn *turn = list_take(&mailbox->calls);
    if (turn != NULL)
        turn->link.state = STATE_RUNS;
    mailbox->running = turn;
    mutex_unlock(&mailbox->lock);
    if (turn == NULL)
        return false;
    enum jobd_result result = turn->run(turn);
    mutex_lock(&mailbox->lock);
    if (result != JOBD_PENDING) { /* else it is not ours to touch any more */
        turn->link.state = STATE_HELD;
        turn->link.result = result;
        list_add(held, turn);
    }
    mailbox->running = NULL;
    condition_broadcast(&mailbox->changed);
    mutex_unlock(&mailbox->lock);
    return true;
}

static struct turn_list take_all_locked(struct turn_list *list)
{
    for (struct jobd_turn *turn = list->first; turn != NULL; turn = turn->link.next) {
        turn->link.state = STATE_HELD;
        turn->link.result = JOBD_OK;
    }
    return list_take_all(list);
}

struct turn_list mailbox_take_looks(struct mailbox *mailbox)
{
    mutex_lock(&mailbox->lock);
    struct turn_list looks = take_all_locked(&mailbox->looks);
    mutex_unlock(&mailbox->lock);
    return looks;
}

void mailbox_let_in(struct mailbox *mailbox, struct turn_list *looks)
{
    mutex_lock(&mailbox->lock);
    mailbox->lookers += (uint32_t)looks->len;
    mutex_unlock(&mailbox->lock);
    turns_tell(looks, false);
}

void mailbox_refuse(struct mailbox *mailbox, bool refuse)
{
    mutex_lock(&mailbox->lock);
    mailbox->away = refuse;
    struct turn_list calls = {.first = NULL}, looks = {.first = NULL};
    if (refuse) {
        calls = take_all_locked(&mailbox->calls);
        looks = take_all_locked(&mailbox->looks);
    }
    mutex_unlock(&mailbox->lock);
    turns_tell(&calls, true);
    turns_tell(&looks, true);
}
