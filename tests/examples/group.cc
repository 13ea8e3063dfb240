// SPDX-License-Identifier: MIT
// Function objects in the background, and their results: g++ group.cc -ljobd
#include <jobd/call.h>
#include <jobd/group.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <stdexcept>

class Group {
public:
    Group(uint32_t calls, uint32_t threads)
    {
        jobd_pool *opened;
        jobd_group *made;
        if (jobd_call_open(&opened, calls, threads) != 0)
            throw std::runtime_error("no threads");
        pool.reset(opened);
        if (jobd_group_new(&made, opened, calls) != 0)
            throw std::bad_alloc();
        group.reset(made);
    }
    bool call(std::function<void()> function) // false: busy
    {
        std::unique_ptr<std::function<void()>> own(new std::function<void()>(std::move(function)));
        bool in = jobd_group_call(group.get(), make, own.get(), 0, nullptr) == JOBD_OK;
        if (in)
            own.release();
        return in;
    }
    void wait() // until all have been made
    {
        jobd_end end;
        while (jobd_group_next(group.get(), JOBD_NEVER, &end) == JOBD_OK)
            delete static_cast<std::function<void()> *>(end.argument);
    }

private:
    static void *make(void *function)
    {
        (*static_cast<std::function<void()> *>(function))();
        return nullptr;
    }
    std::unique_ptr<jobd_pool, void (*)(jobd_pool *)> pool{nullptr, jobd_pool_free};
    std::unique_ptr<jobd_group, void (*)(jobd_group *)> group{nullptr, jobd_group_free};
};

int main()
{
    long sums[4] = {};
    Group group(4, 2);
    for (long &sum : sums)
        if (!group.call([&sum, &sums] {
                for (long i = 0; i <= 1000 * (&sum - sums); i++)
                    sum += i;
            }))
            std::puts("busy");
    group.wait();
    for (long sum : sums)
        std::printf("%ld\n", sum);
}
