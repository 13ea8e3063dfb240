/* SPDX-License-Identifier: MIT */
#include <jobd/call.h>
#include <stdio.h>

static int thumbnail(const char *picture, int width) /* an ordinary function */
{
    return printf("%s at %d\n", picture, width);
}

JOBD_BACKGROUND2(thumbnail, const char *, int) /* defines thumbnail_in_background() */

int main(void)
{
    struct jobd_pool *pool;
    if (jobd_call_open(&pool, 8, 2) != 0) /* 8 calls may wait, 2 threads make them */
        return 1;
    for (int width = 64; width <= 512; width *= 2)
        if (thumbnail_in_background("cat.png", width) != JOBD_OK)
            puts("busy");
    bool all_made = jobd_pool_drain(pool, 5000000); /* at most five seconds */
    jobd_pool_free(pool);
    return all_made ? 0 : 1;
}
