/* SPDX-License-Identifier: MIT */
/* Counting bytes of a budget: compare and swap, so that who asks for too much is in nobody's way
 * while it is refused.
 *
 * Who waits says so first and asks once more; who gives back does that first and then looks whether
 * somebody waits. One of the two sees the other. */
#include "engine/account.h"

#include "base/verify.h"

/* `own`: of those that are used. */
static bool use(size_t *used, size_t max, size_t own, size_t bytes)
{
    size_t before = __atomic_load_n(used, __ATOMIC_SEQ_CST);
    do {
        bool alone = before == own;
        bool fits = before <= max && bytes <= max - before;
        if (!fits && (!alone || bytes > SIZE_MAX - before))
            return false;
    } while (!__atomic_compare_exchange_n(used, &before, before + bytes, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    return true;
}

static size_t counted_of(const struct jobd_account *account, size_t bytes)
{
    return bytes > account->uncounted ? bytes : 0;
}

bool jobd_charge(struct jobd_account *account, size_t bytes)
{
    struct jobd_budget *budget = account->budget;
    if (bytes > SIZE_MAX - account->bytes)
        return false;
    size_t more = counted_of(account, account->bytes + bytes) - counted_of(account, account->bytes);
    if (more == 0)
        ;
    else if (use(&budget->common_used, budget->common, account->common, more))
        account->common += more;
    else if (account->empties &&
             use(&budget->reserve_used, budget->reserve, account->reserve, more))
        account->reserve += more;
    else if (account->claims && use(&budget->claims_used, budget->claims, account->claimed, more))
        account->claimed += more;
    else
        return false;
    account->bytes += bytes;
    return true;
}

/* So many of them at most; how many. */
static size_t give_back(size_t *used, size_t *own, size_t bytes)
{
    if (bytes > *own)
        bytes = *own;
    *own -= bytes;
    if (bytes > 0)
        __atomic_sub_fetch(used, bytes, __ATOMIC_SEQ_CST);
    return bytes;
}

bool jobd_trim(struct jobd_account *account, size_t bytes)
{
    struct jobd_budget *budget = account->budget;
    if (bytes >= account->bytes)
        return false;
    size_t less = counted_of(account, account->bytes) - counted_of(account, bytes);
    account->bytes = bytes;
    if (less == 0)
        return false;
    less -= give_back(&budget->reserve_used, &account->reserve, less);
    less -= give_back(&budget->claims_used, &account->claimed, less);
    less -= give_back(&budget->common_used, &account->common, less);
    verify(less == 0);
    return __atomic_load_n(&budget->awaited, __ATOMIC_SEQ_CST) != 0;
}

/* More than there can be, in place of too much for a number. */
static size_t told_bytes(const struct jobd_waiter *waiter, size_t bytes)
{
    size_t times = waiter->told_times;
    if (times > 0 && bytes > (SIZE_MAX - waiter->told_bytes) / times)
        return SIZE_MAX;
    return waiter->told_bytes + times * bytes;
}

bool account_tell(const struct jobd_waiter *waiter, size_t bytes, bool waits)
{
    struct jobd_account *account = waiter->account;
    if (account == NULL)
        return true;
    size_t told = told_bytes(waiter, bytes);
    if (jobd_charge(account, told))
        return true;
    if (!waits)
        return false;
    __atomic_store_n(&account->budget->awaited, 1, __ATOMIC_SEQ_CST);
    return jobd_charge(account, told);
}

void account_await_no_more(struct jobd_budget *budget)
{
    __atomic_store_n(&budget->awaited, 0, __ATOMIC_SEQ_CST);
}
