/* SPDX-License-Identifier: MIT */
#include "base/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)

static int64_t now_us(clockid_t clock)
{
    struct timespec now = {.tv_sec = 0};
    (void)clock_gettime(clock, &now);
    return now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

/* The same whenever it is asked, also when the clock is set. */
static int64_t start_us(uint64_t ticks)
{
    static _Atomic int64_t known;
    int64_t none = 0;
    int64_t since_boot_us = (int64_t)(ticks * (uint64_t)SECOND_US / (uint64_t)sysconf(_SC_CLK_TCK));
    int64_t us = now_us(CLOCK_REALTIME) - (now_us(CLOCK_BOOTTIME) - since_boot_us);
    return atomic_compare_exchange_strong(&known, &none, us) ? us : none;
}

/* proc(5): the name of the program, in parentheses, may have any bytes. */
static bool read_stat(struct process_stats *stats)
{
    char text[1024];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    uint64_t ticks, pages;
    if (fd >= 0)
        close(fd);
    text[size > 0 ? size : 0] = '\0';
    const char *behind = strrchr(text, ')');
    /* from the third field on */
    if (behind == NULL ||
        sscanf(behind + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
               " %" SCNu32 " %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
               &stats->threads, &ticks, &stats->virtual_bytes, &pages) != 4)
        return false;
    stats->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    stats->start_us = start_us(ticks);
    return true;
}

static bool count_fds(uint64_t *count)
{
    static const char path[] = "/proc/self/fd";
    struct stat folder;
    DIR *directory = opendir(path);
    *count = 0;
    if (directory == NULL) { /* since Linux 6.2 its size is the count */
        *count = stat(path, &folder) == 0 ? (uint64_t)folder.st_size : 0;
        return *count > 0;
    }
    while (readdir(directory) != NULL)
        ++*count;
    closedir(directory);
    *count = *count > 3 ? *count - 3 : 0; /* `.`, `..` and the directory itself */
    return true;
}

bool process_stats(struct process_stats *stats)
{
    struct rusage used;
    struct rlimit limit = {.rlim_cur = 0};
    *stats = (struct process_stats){.threads = 0};
    if (getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    stats->cpu_us = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * SECOND_US +
                    used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    stats->fds_max = limit.rlim_cur;
    stats->fds_known = count_fds(&stats->fds);
    return read_stat(stats);
}
