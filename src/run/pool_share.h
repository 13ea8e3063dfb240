/* SPDX-License-Identifier: MIT */
/* The process's own pool, for jobd_call(NULL, ...). */
#pragma once

struct jobd_pool;

/* Makes it the process's own, if there is none. */
void pool_share(struct jobd_pool *pool);
void pool_unshare(struct jobd_pool *pool);
/* The process's own pool; NULL: there is none. */
struct jobd_pool *pool_shared(void);
