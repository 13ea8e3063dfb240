/* SPDX-License-Identifier: MIT */
/* What the tests of the store share: a store and its engine, opened and dropped, and verbs that
 * wait for the disk. */
#pragma once

#include <stdint.h>

#include "jobd/queue.h"
#include "store/store.h"

enum { CAPACITY = 100, KEEP = 50 };

struct scene {
    struct store *store;
    struct jobd *jobd;
};

/* Of the scenes; fresh_folder() makes up another one. */
extern char folder[160];
void fresh_folder(void);

struct jobd *heart_for(struct store *store, uint32_t capacity, uint32_t keep);
struct scene open_scene(void);
struct scene open_with(uint32_t capacity, uint32_t keep);
/* As a kill does it: nothing is written any more. */
void drop_scene(struct scene *scene);
void await_health(struct scene *scene);

/* *id is 0 when it was refused. */
enum jobd_result put(struct scene *scene, const char *text, const char *key, uint64_t *id);
enum jobd_result cancel(struct scene *scene, uint64_t id);
/* The id of the job; 0 when there is none. */
uint64_t lease(struct scene *scene, unsigned number, char token[JOBD_TOKEN_SIZE]);
enum jobd_result finish(struct scene *scene, const char *token, enum jobd_state state);
/* Which has less than 16 bytes. */
const char *payload_of(struct jobd *jobd, uint64_t id, char out[16]);
