/* SPDX-License-Identifier: MIT */
/* What turns cost the engine: processor time of a put, and of a take with its end, while a million
 * jobs wait; and how many are taken until the one job of another key is. The same jobs, all of one
 * key but for one of another at a time, in a queue in order of coming and in one whose keys take
 * turns; round by round, so that a ratio is of one run.
 *
 *     turns [JOBS [ROUNDS]] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "median.h"
#include "jobd/queue.h"
#include "jobd/lease.h"

enum { TAKES = 200000, ROUNDS_MAX = 99 };

struct figure {
    double put_ns, take_ns;
    unsigned another; /* which take had the job of another key; 101: none of a hundred */
};

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "turns: %s\n", what);
    exit(1);
}

static double cpu_ns(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0, "no clock");
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void on_wake(struct jobd_waiter *waiter)
{
    (void)waiter;
}

static struct jobd *open_with(uint32_t jobs, bool by_group)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queue = {
        .name = "q", .capacity = jobs + 2, .workers = 1, .by_group = by_group};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .memory_bytes = SIZE_MAX / 2,
                                       .waiters_max = 4,
                                       .first_id = 1};
    must(jobd_new(&jobd, &config) == 0, "out of memory");
    return jobd;
}

static uint64_t put(struct jobd *jobd, const char *key, int64_t now_us)
{
    const struct jobd_terms terms = {.texts = {[JOBD_GROUP] = key}};
    const struct jobd_put put = {.priority = JOBD_PRIORITY_DEFAULT, .terms = &terms};
    struct jobd_receipt receipt;
    must(jobd_put(jobd, &put, NULL, now_us, &receipt) == JOBD_OK, "not let in");
    return receipt.id;
}

/* Takes one and ends it, and puts one of the same key for it: as many wait as before. Says which
 * take, of a hundred, had the job of another key, the latest of all. */
static double take_many(struct jobd *jobd, int64_t now_us, unsigned *latest)
{
    const struct jobd_outcome done = {.state = JOBD_DONE};
    struct jobd_waiter worker = {.deadline_us = JOBD_NEVER, .wake = on_wake, .at_once = true};
    double used_ns = 0;
    for (unsigned i = 0; i < TAKES; i += 100) {
        uint64_t another = put(jobd, "another", now_us);
        unsigned which = 101;
        double from_ns = cpu_ns();
        for (unsigned j = 0; j < 100; j++) {
            must(jobd_take(jobd, 0, &worker, ++now_us) == JOBD_OK, "nothing to take");
            if (worker.task.id == another)
                which = j + 1;
            jobd_finish(jobd, &worker.task, &done, now_us);
        }
        used_ns += cpu_ns() - from_ns;
        *latest = which > *latest ? which : *latest;
        for (unsigned j = 1; j < 100; j++)
            put(jobd, "tenant", now_us);
    }
    return used_ns / (double)TAKES;
}

static struct figure measure(uint32_t jobs, bool by_group)
{
    struct figure figure = {0};
    struct jobd *jobd = open_with(jobs, by_group);
    double from_ns = cpu_ns();
    for (uint32_t i = 0; i < jobs; i++)
        put(jobd, "tenant", 1000000 + i);
    figure.put_ns = (cpu_ns() - from_ns) / jobs;
    figure.take_ns = take_many(jobd, 1000000 + (int64_t)jobs, &figure.another);
    jobd_cancel_all(jobd, INT64_C(1) << 50);
    jobd_free(jobd);
    return figure;
}

int main(int argc, char **argv)
{
    double puts[ROUNDS_MAX], takes[ROUNDS_MAX];
    long jobs = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 5;
    must(jobs > 0 && jobs <= 10000000 && rounds > 0 && rounds <= ROUNDS_MAX, "bad argument");
    printf("%ld jobs wait            put ns  take ns  another key's is taken\n", jobs);
    for (long i = 0; i < rounds; i++) {
        struct figure plain = measure((uint32_t)jobs, false), fair = measure((uint32_t)jobs, true);
        printf("in order of coming       %7.0f  %7.0f\n", plain.put_ns, plain.take_ns);
        printf("keys take turns          %7.0f  %7.0f  in turn %u at the latest\n", fair.put_ns,
               fair.take_ns, fair.another);
        puts[i] = fair.put_ns / plain.put_ns;
        takes[i] = fair.take_ns / plain.take_ns;
    }
    printf("ratio, median            %7.2f  %7.2f\n", median(puts, (unsigned)rounds),
           median(takes, (unsigned)rounds));
    return 0;
}
