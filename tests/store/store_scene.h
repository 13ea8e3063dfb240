/* SPDX-License-Identifier: MIT */
/* A store and its engine in a directory, and verbs that wait until they are written. */
#pragma once

#include "jobd/queue.h"
#include "run/wait_sync.h"
#include "store/flaky_vfs.h"
#include "store/store.h"

enum { CAPACITY = 100, KEEP = 50, PUTS = 12 };

struct scene {
    struct store *store;
    struct jobd *jobd;
};

/* Of what is opened next. */
extern char folder[160];
extern bool scene_tells; /* there is a queue of callbacks, in which nobody works */

/* A name in `folder` that no store has yet; the one before goes, with all in it. */
void fresh_folder(void);
struct jobd *engine_for(struct store *store, uint32_t capacity, uint32_t keep);
struct scene open_scene(void);
/* As a kill does it: nothing is written any more. */
void drop_scene(struct scene *scene);
void await_health(struct scene *scene);
/* Waits for the disk where the verb has to. */
enum jobd_result done_by(struct scene *scene, struct wait_sync *block, enum jobd_result result);
enum jobd_result put(struct scene *scene, const char *text, const char *key, uint64_t *id);
enum jobd_result cancel(struct scene *scene, uint64_t id);
/* The id of the job; 0 when there is none. */
uint64_t lease(struct scene *scene, unsigned number, char token[JOBD_TOKEN_SIZE]);
enum jobd_result finish(struct scene *scene, const char *token, enum jobd_state state);
const char *payload_of(struct jobd *jobd, uint64_t id, char out[16]);

/* ---- a script whose disk fails at each of its calls in turn */

struct script {
    void (*run)(struct scene *scene);
    void (*look)(struct scene *scene); /* at the end, before the scene is dropped */
    /* What is in the directory then. `strict`: what has not been seen must not be there. */
    void (*compare)(bool strict, const char *what, unsigned nth);
    unsigned calls; /* more than that are made while all is well */
};

/* Once while all is well, then with the flaw at its first call, at its second, and so on. Where the
 * disk gets well again the health is awaited before the script looks. */
void at_every(const struct script *script, enum flaw flaw);
