/* SPDX-License-Identifier: MIT */
/* A shared object with the library in it, as a plugin of some other program has. */
#include <jobd/call.h>

static void set(int *there, int value)
{
    *there = value;
}

JOBD_BACKGROUND2(set, int *, int)

/* 0: the call was made. */
__attribute__((visibility("default"))) int plugin_runs(void);
int plugin_runs(void)
{
    struct jobd_pool *pool;
    int there = 0;
    if (jobd_call_open(&pool, 1, 1) != 0)
        return 1;
    bool made =
        set_in_background(&there, 42) == JOBD_OK && jobd_pool_drain(pool, INT64_C(10000000));
    jobd_pool_free(pool);
    return made && there == 42 ? 0 : 1;
}
