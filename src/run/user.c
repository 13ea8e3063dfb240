/* SPDX-License-Identifier: MIT */
#include "run/user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

enum { ENTRY_FIRST = 1024, ENTRY_MAX = 1 << 20, GROUPS_FIRST = 32, GROUPS_MAX = 65536 };

/* ---- what we may */

/* Of enum CAP_..., in effect now. */
static bool has_capability(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capget, &header, now) == 0 &&
           (now[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
}

static bool may_become(const char *shown, struct problem *problem)
{
    static const struct {
        unsigned capability;
        const char *name;
    } needed[] = {{CAP_SETUID, "CAP_SETUID"}, {CAP_SETGID, "CAP_SETGID"}, {CAP_KILL, "CAP_KILL"}};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!has_capability(needed[i].capability))
            return problem_set(problem,
                               "to run commands as %s and to stop them jobd needs %s; run it as "
                               "root, or as that user",
                               shown, needed[i].name);
    return true;
}

bool user_may_nice(int value)
{
    struct rlimit limit;
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0);
    if ((errno == 0 && value >= now) || has_capability(CAP_SYS_NICE))
        return true;
    return getrlimit(RLIMIT_NICE, &limit) == 0 && (rlim_t)(20 - value) <= limit.rlim_cur;
}

/* ---- who it is */

/* The entry and, to be freed, the bytes that it points to; NULL and errno, 0: there is none. */
static char *read_entry(const char *name, struct passwd *entry)
{
    char *bytes = NULL;
    for (size_t size = ENTRY_FIRST; size <= ENTRY_MAX; size *= 2) {
        struct passwd *found = NULL;
        char *grown = realloc(bytes, size);
        if (grown == NULL) {
            errno = ENOMEM;
            break;
        }
        bytes = grown;
        errno = getpwnam_r(name, entry, bytes, size, &found);
        if (errno == 0 && found != NULL)
            return bytes;
        if (errno != ERANGE)
            break;
    }
    int error = errno;
    free(bytes);
    errno = error == ENOENT || error == ESRCH ? 0 : error; /* as some databases say it */
    return NULL;
}

/* To be freed; NULL when memory is short. */
static gid_t *read_groups(const struct passwd *entry, int *len)
{
    gid_t *groups = NULL;
    for (int room = GROUPS_FIRST; room <= GROUPS_MAX; room *= 2) {
        gid_t *grown = realloc(groups, (size_t)room * sizeof *groups);
        if (grown == NULL)
            break;
        groups = grown;
        *len = room;
        if (getgrouplist(entry->pw_name, entry->pw_gid, groups, len) >= 0)
            return groups;
    }
    free(groups);
    return NULL;
}

static struct user *new_user(const struct user *like, const gid_t *groups)
{
    size_t name_size = strlen(like->name) + 1, home_size = strlen(like->home) + 1;
    size_t groups_size = like->groups_len * sizeof *groups;
    struct user *user = malloc(sizeof *user + groups_size + name_size + home_size);
    if (user == NULL)
        return NULL;
    char *text = (char *)user->groups + groups_size;
    *user = *like;
    memcpy(user->groups, groups, groups_size);
    user->name = memcpy(text, like->name, name_size);
    user->home = memcpy(text + name_size, like->home, home_size);
    return user;
}

struct user *user_copy(const struct user *user)
{
    return new_user(user, user->groups);
}

static bool is_us(const struct passwd *entry)
{
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;
    return getresuid(&real, &effective, &saved) == 0 &&
           getresgid(&real_group, &effective_group, &saved_group) == 0 && real == entry->pw_uid &&
           effective == real && saved == real && real_group == entry->pw_gid &&
           effective_group == real_group && saved_group == real_group;
}

struct user *user_find(const char *name, struct problem *problem)
{
    char shown[80];
    struct passwd entry;
    char *bytes = read_entry(name, &entry);
    (void)text_printable(name, shown, sizeof shown);
    if (bytes == NULL) {
        (void)problem_set(problem, "%s: %s", shown,
                          errno == 0 ? "there is no such user" : strerror(errno));
        return NULL;
    }
    struct user *user = NULL, like = {.ours = is_us(&entry),
                                      .uid = entry.pw_uid,
                                      .gid = entry.pw_gid,
                                      .name = entry.pw_name,
                                      .home = entry.pw_dir};
    int len = 0;
    gid_t *groups = read_groups(&entry, &len);
    like.groups_len = (size_t)len;
    if (groups == NULL || (user = new_user(&like, groups)) == NULL)
        (void)problem_set(problem, "%s: out of memory", shown);
    free(groups);
    free(bytes);
    if (user != NULL && !user->ours && !may_become(shown, problem)) {
        free(user);
        return NULL;
    }
    return user;
}
