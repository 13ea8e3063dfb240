/* SPDX-License-Identifier: MIT */
/* The memory of bodies and replies under way: at most --memory bytes, of which a part is kept for
 * the workers who empty the queues. */
#include "http/mhd.h"

#include "base/clock.h"

enum {
    RESERVE_PART = 4,      /* of the budget, one of so many */
    CLAIMS_PART = 8,       /* of that */
    REPLY_UNCOUNTED = 4096 /* of a reply: as its connection, bounded by how many there may be */
};

void budget_init(struct jobd_budget *budget, size_t bytes)
{
    size_t kept = bytes / RESERVE_PART;
    *budget = (struct jobd_budget){.common = bytes - kept, .claims = kept / CLAIMS_PART};
    budget->reserve = kept - budget->claims;
}

size_t budget_used(const struct jobd_budget *budget)
{
    return __atomic_load_n(&budget->common_used, __ATOMIC_RELAXED) +
           __atomic_load_n(&budget->reserve_used, __ATOMIC_RELAXED) +
           __atomic_load_n(&budget->claims_used, __ATOMIC_RELAXED);
}

void budget_open(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    struct jobd_budget *budget = &exchange->loop->http->budget;
    request->body_account = (struct jobd_account){.budget = budget};
    request->reply_account = (struct jobd_account){.budget = budget, .uncounted = REPLY_UNCOUNTED};
    request->waiter.account = &request->reply_account;
}

void budget_trim(struct exchange *exchange, struct jobd_account *account, size_t bytes)
{
    struct http *http = exchange->loop->http;
    if (account->bytes > bytes && jobd_trim(account, bytes))
        jobd_take_again(http->config.jobd, &http->budget, clock_now_us());
}
