/* SPDX-License-Identifier: MIT */
#include "run/process_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/chars.h"

enum {
    PATH_SIZE = 64,
    STAT_SIZE = 1024, /* a line of 52 numbers and a name of at most 64 bytes */
    CHUNK_BYTES = 4096,
    LIST_FIRST = 256,
    ENVIRONMENT_FIRST_BYTES = 16384,
    ENVIRONMENT_MAX_BYTES = 8 * 1024 * 1024 /* the kernel allows a quarter of the stack */
};

/* The bytes of a file, -1 when there is none. */
static ssize_t read_at(int fd, char *bytes, size_t size)
{
    ssize_t got;
    do
        got = read(fd, bytes, size);
    while (got < 0 && errno == EINTR);
    return got;
}

static int open_of(pid_t id, const char *name)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)id, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* ---- one process */

/* proc_pid_stat(5). The name, in parentheses, may hold anything. */
static bool parse_stat(const char *text, struct process *process)
{
    char state;
    int parent, group, session;
    long threads;
    uint64_t began;
    const char *at = strrchr(text, ')');
    if (at == NULL ||
        sscanf(at + 1,
               " %c %d %d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld %*s %" SCNu64,
               &state, &parent, &group, &session, &threads, &began) != 6)
        return false;
    process->parent = parent;
    process->group = group;
    process->session = session;
    process->began_ticks = began;
    /* A first thread that has ended before the others looks dead too. */
    process->dead = (state == 'Z' || state == 'X') && threads <= 1;
    return true;
}

static bool read_process(pid_t id, struct process *process)
{
    char text[STAT_SIZE];
    int fd = open_of(id, "stat");
    if (fd < 0)
        return false;
    ssize_t size = read_at(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    *process = (struct process){.id = id};
    return parse_stat(text, process);
}

/* From malloc(), with a 0 behind it; NULL when it cannot be read. */
static char *read_environment(pid_t id, size_t *size)
{
    int fd = open_of(id, "environ");
    size_t room = ENVIRONMENT_FIRST_BYTES, used = 0;
    char *bytes = fd >= 0 ? malloc(room) : NULL;
    ssize_t got = -1;
    while (bytes != NULL && (got = read_at(fd, bytes + used, room - used - 1)) > 0) {
        used += (size_t)got;
        if (used < room - 1)
            continue;
        room *= 2;
        char *grown = room <= ENVIRONMENT_MAX_BYTES ? realloc(bytes, room) : NULL;
        if (grown == NULL)
            free(bytes);
        bytes = grown;
    }
    if (fd >= 0)
        close(fd);
    if (bytes != NULL)
        bytes[used] = '\0';
    *size = used;
    return bytes;
}

static bool has_entry(const char *bytes, size_t size, const char *text)
{
    size_t length = strlen(text);
    bool any_value = length > 0 && text[length - 1] == '=';
    for (const char *at = bytes; at < bytes + size; at += strlen(at) + 1)
        if (strncmp(at, text, any_value ? length : length + 1) == 0)
            return true;
    return false;
}

/* Is the process inside execve()? Then it has its new memory, in which arguments and environment
 * are still empty; no program lacks both otherwise. */
static bool becomes_another(pid_t id)
{
    char byte;
    int fd = open_of(id, "cmdline");
    bool empty = fd >= 0 && read_at(fd, &byte, 1) == 0;
    if (fd >= 0)
        close(fd);
    return empty;
}

enum process_answer process_has_environment(pid_t id, const char *const *texts, size_t len)
{
    size_t size;
    char *bytes = read_environment(id, &size);
    bool all = bytes != NULL, nothing = all && size == 0;
    for (size_t i = 0; i < len && all; i++)
        all = has_entry(bytes, size, texts[i]);
    free(bytes);
    return nothing && becomes_another(id) ? PROCESS_UNSURE : all ? PROCESS_YES : PROCESS_NO;
}

/* ---- lists */

void process_list_release(struct process_list *list)
{
    free(list->of);
    *list = (struct process_list){0};
}

/* False when memory is short; one that has ended meanwhile is left out. */
static bool add(struct process_list *list, pid_t id)
{
    struct process process;
    if (!read_process(id, &process)) {
        list->moved = true;
        return true;
    }
    if (list->len == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : LIST_FIRST;
        struct process *grown = realloc(list->of, room * sizeof *grown);
        if (grown == NULL)
            return false;
        list->of = grown;
        list->room = room;
    }
    list->of[list->len++] = process;
    return true;
}

static int by_id(const void *one, const void *other)
{
    const struct process *a = one, *b = other;
    return (a->id > b->id) - (a->id < b->id);
}

struct process *process_find(const struct process_list *list, pid_t id)
{
    const struct process key = {.id = id};
    return list->len > 0 ? bsearch(&key, list->of, list->len, sizeof key, by_id) : NULL;
}

static void sort(struct process_list *list)
{
    if (list->len > 1)
        qsort(list->of, list->len, sizeof *list->of, by_id);
}

/* Where /proc is that of another process namespace, its numbers are those of other processes. */
static bool is_our_proc(void)
{
    char text[24] = "";
    return readlink("/proc/self", text, sizeof text - 1) > 0 && strtol(text, NULL, 10) == getpid();
}

bool process_list_all(struct process_list *list)
{
    list->len = 0;
    list->moved = list->unsure = false;
    DIR *directory = is_our_proc() ? opendir("/proc") : NULL;
    if (directory == NULL)
        return false;
    const struct dirent *entry;
    bool good = true;
    while (good && (entry = readdir(directory)) != NULL)
        if (char_is_digit(entry->d_name[0]))
            good = add(list, (pid_t)strtol(entry->d_name, NULL, 10));
    closedir(directory);
    sort(list);
    return good;
}

/* Ids in decimal, each with a blank behind it. */
static bool add_ids(struct process_list *list, int fd)
{
    char bytes[CHUNK_BYTES];
    pid_t id = 0;
    bool good = true;
    for (ssize_t got; good && (got = read_at(fd, bytes, sizeof bytes)) > 0;)
        for (ssize_t i = 0; i < got && good; i++) {
            if (char_is_digit(bytes[i])) {
                id = id * 10 + (bytes[i] - '0');
                continue;
            }
            good = id == 0 || add(list, id);
            id = 0;
        }
    return good;
}

bool process_list_adopted(struct process_list *list)
{
    char path[PATH_SIZE];
    list->len = 0;
    list->moved = list->unsure = false;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = add_ids(list, fd);
    close(fd);
    sort(list);
    return good;
}

uint64_t process_ticks(void)
{
    struct timespec now = {0};
    long a_second = sysconf(_SC_CLK_TCK);
    if (a_second <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * (uint64_t)a_second +
           (uint64_t)now.tv_nsec / (1000000000 / (uint64_t)a_second);
}
