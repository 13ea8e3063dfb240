/* SPDX-License-Identifier: MIT */
/* Whose is a process? The kernel tells a process's parent, group and session, and nothing of what
 * its ancestors were once they are gone. So:
 *
 *     1. jobd is a "child subreaper": what loses its parent becomes a child of jobd, of its main
 *        thread, not of process 1. Nothing that descends from a command leaves jobd's own tree.
 *     2. A command leads a session of its own. Whatever it starts is in that session, or in one
 *        that a descendant has made: no process can join a session from outside. So a session as a
 *        whole belongs to one tree, and so does each group, which lives within one session.
 *     3. A child of a process of the tree is of the tree.
 *     4. An orphan in a session that is not known yet is known by its environment, which has the
 *        job's id and attempt.
 *     5. If that was cleared too, or overwritten with a title, it is of the only command that may
 *        have started it: no other ran at its birth, or those that did have ended. That holds where
 *        only commands can leave orphans to jobd: it had no children at its start and is not
 *        process 1, to which a container's other processes fall.
 *
 *                jobd ──┬── sh (leader, session 70) ── timeout (70, own group) ── python (70)
 *          main thread  ├── daemon (session 93: JOBD_ID=17 in its environment) ── helper (93)
 *                       └── tee (70, left over)
 *
 * A signal goes to groups: the kernel sends it to all of a group at once, those included that are
 * just being forked, so nobody within a group slips through, and nobody gets it twice. KILL is
 * repeated until nobody is left, which catches what was starting a session of its own meanwhile.
 *
 * What escapes: a process of the fifth kind while another command runs that might have started it,
 * until that one ends, and as process 1 for good; one that forks, makes a session and ends faster
 * than /proc can be read, for ever; one that lives on while jobd itself is killed. A number that
 * /proc has shown may be another's when the signal is sent only if all numbers were used up in
 * between. */
#include "run/process_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "run/process_list.h"

enum {
    MARKS = 2,
    MARK_SIZE = 40,
    SESSIONS_FIRST = 8,
    IN_VAIN_MAX = 4,
    UNSURE_MAX = 1000, /* as many ms */
    PAUSE_MS = 5,      /* between two looks at the end of all */
    QUIET_LOOKS = 2    /* that find nobody then */
};

static LIST_HEAD(, process_tree) running = LIST_HEAD_INITIALIZER(running);
static struct mutex lock = {PTHREAD_MUTEX_INITIALIZER};
static struct condition started;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned starting GUARDED_BY(lock);
static bool over GUARDED_BY(lock);
static bool all_orphans_ours; /* set once */

static void set_up(void)
{
    siginfo_t info;
    verify(condition_init(&started) == 0); /* not by its initializer: that one's clock may jump */
    bool childless = waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0;
    all_orphans_ours = childless && errno == ECHILD && getpid() != 1;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* Linux 3.4 */
}

/* ---- the list */

/* At the end of jobd: a worker that went on would report how the command ended, as if it had done
 * so by itself. */
static void block_forever_if(bool ends)
{
    if (ends)
        for (;;)
            (void)pause();
}

void process_tree_begin(struct process_tree *tree, uint64_t job, uint32_t attempt)
{
    verify(pthread_once(&once, set_up) == 0);
    *tree = (struct process_tree){.job = job, .attempt = attempt, .began_ticks = process_ticks()};
    mutex_lock(&lock);
    bool ends = over;
    if (!ends) {
        LIST_INSERT_HEAD(&running, tree, entry);
        starting++;
    }
    mutex_unlock(&lock);
    block_forever_if(ends);
}

void process_tree_started(struct process_tree *tree, pid_t leader)
{
    mutex_lock(&lock);
    tree->leader = leader;
    if (over)
        (void)kill(-leader, SIGKILL);
    starting--;
    condition_signal(&started);
    mutex_unlock(&lock);
}

void process_tree_give_up(struct process_tree *tree)
{
    mutex_lock(&lock);
    LIST_REMOVE(tree, entry);
    starting--;
    condition_signal(&started);
    mutex_unlock(&lock);
}

void process_tree_end(struct process_tree *tree)
{
    (void)kill(-tree->leader, SIGKILL);
    mutex_lock(&lock);
    LIST_REMOVE(tree, entry);
    bool ends = over;
    mutex_unlock(&lock);
    block_forever_if(ends);
    free(tree->sessions.of);
}

void process_trees_reap(void)
{
    while (waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0)
        ;
}

/* ---- sessions */

static bool has_session(const struct sessions *sessions, pid_t session)
{
    for (size_t i = 0; i < sessions->len; i++)
        if (sessions->of[i] == session)
            return true;
    return false;
}

/* Where memory is short it is found again in another way, or not. */
static void add_session(struct sessions *sessions, pid_t session)
{
    if (has_session(sessions, session))
        return;
    if (sessions->len == sessions->room) {
        size_t room = sessions->room > 0 ? 2 * sessions->room : SESSIONS_FIRST;
        pid_t *grown = realloc(sessions->of, room * sizeof *grown);
        if (grown == NULL)
            return;
        sessions->of = grown;
        sessions->room = room;
    }
    sessions->of[sessions->len++] = session;
}

/* ---- whose it is */

static bool leads_another(const struct process_tree *tree, pid_t session)
{
    const struct process_tree *other;
    bool leads = false;
    mutex_lock(&lock);
    LIST_FOREACH(other, &running, entry)
    leads = leads || (other != tree && other->leader == session && session > 0);
    mutex_unlock(&lock);
    return leads;
}

/* Could no other command have started it? One that is being killed asks the same of its own. */
static bool is_no_others(const struct process_tree *tree, const struct process *process)
{
    const struct process_tree *other;
    bool alone = all_orphans_ours && tree->began_ticks <= process->began_ticks;
    mutex_lock(&lock);
    LIST_FOREACH(other, &running, entry)
    alone = alone && (other == tree || other->ending || other->began_ticks > process->began_ticks);
    mutex_unlock(&lock);
    return alone;
}

static enum process_answer is_marked(const struct process_tree *tree, pid_t id)
{
    char job[MARK_SIZE], attempt[MARK_SIZE];
    const char *const marks[MARKS] = {job, attempt};
    snprintf(job, sizeof job, PROCESS_TREE_JOB, tree->job);
    snprintf(attempt, sizeof attempt, PROCESS_TREE_ATTEMPT, tree->attempt);
    return process_has_environment(id, marks, MARKS);
}

/* Is it the tree's by its session, whatever its parent is? */
static bool is_in_session(const struct process_tree *tree, const struct process *process)
{
    return process->session == tree->leader || (has_session(&tree->sessions, process->session) &&
                                                !leads_another(tree, process->session));
}

static enum process_answer is_own_orphan(const struct process_tree *tree,
                                         const struct process *orphan)
{
    if (is_in_session(tree, orphan))
        return PROCESS_YES;
    if (leads_another(tree, orphan->session))
        return PROCESS_NO;
    if (is_no_others(tree, orphan))
        return PROCESS_YES;
    if (!orphan->dead)
        return is_marked(tree, orphan->id);
    /* A dead one has no environment. It may have left children since the list was read, which show
     * once it is reaped. */
    return orphan->began_ticks < tree->began_ticks ? PROCESS_NO : PROCESS_UNSURE;
}

/* ---- looking */

/* Marks all processes of the tree in the list, in which its orphans are marked already. */
static void spread(struct process_tree *tree, struct process_list *list)
{
    const pid_t self = getpid(), own_session = getsid(0);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < list->len; i++) {
            struct process *process = &list->of[i];
            const struct process *parent = process_find(list, process->parent);
            if (process->id == self || (!process->ours && !(parent != NULL && parent->ours) &&
                                        !is_in_session(tree, process)))
                continue;
            more = more || !process->ours;
            process->ours = true;
            if (process->session != tree->leader && process->session != own_session)
                add_session(&tree->sessions, process->session);
        }
    }
}

/* Marks the orphans that are the tree's, and reaps the dead ones. Is one of them alive? One that
 * ended while the list was read left children that are not in it: then the list must be read
 * again. */
static bool sort_orphans(const struct process_tree *tree, struct process_list *adopted)
{
    bool alive = false;
    for (size_t i = 0; i < adopted->len; i++) {
        struct process *orphan = &adopted->of[i];
        enum process_answer own = is_own_orphan(tree, orphan);
        orphan->ours = orphan->id != tree->leader && own == PROCESS_YES;
        adopted->unsure = adopted->unsure || own == PROCESS_UNSURE;
        alive = alive || (orphan->ours && !orphan->dead);
        if (orphan->ours && orphan->dead && waitpid(orphan->id, NULL, WNOHANG) != 0)
            adopted->moved = true; /* process_trees_reap() may have been faster */
    }
    return alive;
}

static void mark_orphans(const struct process_list *adopted, struct process_list *list)
{
    for (size_t i = 0; i < adopted->len; i++) {
        struct process *process = process_find(list, adopted->of[i].id);
        if (process != NULL)
            process->ours = adopted->of[i].ours;
    }
}

/* Where the kernel does not tell whose thread's children they are. */
static void mark_children(struct process_tree *tree, struct process_list *list)
{
    const pid_t self = getpid();
    for (size_t i = 0; i < list->len; i++) {
        struct process *process = &list->of[i];
        if (process->parent == self && !leads_another(tree, process->session) &&
            is_marked(tree, process->id) == PROCESS_YES)
            process->ours = true;
    }
}

bool process_tree_leader_ended(struct process_tree *tree)
{
    siginfo_t info = {.si_pid = 0};
    if (!tree->ended) {
        int code = waitid(P_PID, (id_t)tree->leader, &info, WEXITED | WNOHANG | WNOWAIT);
        tree->ended = code == 0 ? info.si_pid != 0 : errno == ECHILD;
    }
    return tree->ended;
}

/* ---- signals */

static bool signal_group(pid_t group, int number)
{
    bool reached = kill(-group, number) == 0;
    if (reached && number == SIGTERM)
        (void)kill(-group, SIGCONT);
    return reached;
}

/* The groups of those that are ours, each once. KILL goes to each process too: it may just have
 * left its group for one of its own, and twice does no harm. */
static pid_t signal_list(struct process_list *list, int number)
{
    pid_t alive = 0;
    for (size_t i = 0; i < list->len; i++) {
        const struct process *process = &list->of[i];
        if (!process->ours || process->dead || process->group <= 1)
            continue;
        pid_t group = process->group;
        if (signal_group(group, number))
            alive = process->id;
        for (size_t j = i; j < list->len; j++) {
            struct process *other = &list->of[j];
            if (other->group != group)
                continue;
            if (number == SIGKILL && other->ours && !other->dead)
                (void)kill(other->id, SIGKILL);
            other->ours = false;
        }
    }
    return alive;
}

static pid_t scan(struct process_tree *tree, int number, const struct process_list *adopted)
{
    struct process_list all = {0};
    pid_t alive = 0;
    if (process_list_all(&all)) {
        if (adopted != NULL)
            mark_orphans(adopted, &all);
        else
            mark_children(tree, &all);
        spread(tree, &all);
        alive = signal_list(&all, number);
    } else {
        (void)signal_group(tree->leader, number);
    }
    process_list_release(&all);
    return alive;
}

/* That nobody is left, only the orphans can tell: when the leader has ended, each of the others is
 * one, or descends from one that lives. */
static pid_t look(struct process_tree *tree, int number, struct process_list *adopted)
{
    for (int in_vain = 0, unsure = 0; in_vain < IN_VAIN_MAX;) {
        bool ended = process_tree_leader_ended(tree), told = process_list_adopted(adopted);
        bool orphans = told && sort_orphans(tree, adopted);
        if (told && adopted->unsure && unsure++ < UNSURE_MAX) {
            (void)poll(NULL, 0, 1);
            continue;
        }
        if (ended && told && !orphans && !adopted->moved)
            return 0;
        if (ended && told && !orphans)
            continue;
        pid_t alive = scan(tree, number, told ? adopted : NULL);
        if (alive != 0 || !told)
            return alive;
        in_vain++; /* they have just ended, or may not be signalled */
    }
    return 0;
}

pid_t process_tree_signal(struct process_tree *tree, int number)
{
    struct process_list adopted = {0};
    if (number == SIGKILL) {
        mutex_lock(&lock);
        tree->ending = true;
        mutex_unlock(&lock);
    }
    pid_t alive = look(tree, number, &adopted);
    process_list_release(&adopted);
    return alive;
}

/* ---- the end of all */

static void kill_leaders(void)
{
    const struct process_tree *tree;
    mutex_lock(&lock);
    LIST_FOREACH(tree, &running, entry)
    if (tree->leader > 0)
        (void)kill(-tree->leader, SIGKILL);
    mutex_unlock(&lock);
}

static void wait_for_starts(int64_t until_us)
{
    const struct timespec until = clock_monotonic(until_us);
    mutex_lock(&lock);
    while (starting > 0 && condition_wait_until(&started, &lock, &until))
        ;
    mutex_unlock(&lock);
}

/* One look, at all trees together: their own threads may be using them. */
static bool kill_all(void)
{
    static const char *const marks[MARKS] = {"JOBD_ID=", "JOBD_ATTEMPT="};
    struct process_list adopted = {0}, all = {0};
    struct process_tree every = {.leader = -1};
    bool read = process_list_adopted(&adopted) && process_list_all(&all);
    for (size_t i = 0; i < all.len && read; i++)
        all.of[i].ours = leads_another(&every, all.of[i].session);
    for (size_t i = 0; i < adopted.len && read; i++) {
        struct process *orphan = process_find(&all, adopted.of[i].id);
        if (orphan != NULL &&
            (all_orphans_ours || process_has_environment(orphan->id, marks, MARKS) != PROCESS_NO))
            orphan->ours = true;
    }
    if (read)
        spread(&every, &all);
    bool any = read && (signal_list(&all, SIGKILL) != 0 || adopted.moved || adopted.unsure);
    free(every.sessions.of);
    process_list_release(&adopted);
    process_list_release(&all);
    return any;
}

void process_trees_kill(void)
{
    const int64_t until_us = clock_after_us(CLOCK_SECOND_US);
    verify(pthread_once(&once, set_up) == 0);
    mutex_lock(&lock);
    over = true;
    mutex_unlock(&lock);
    kill_leaders();
    wait_for_starts(until_us);
    /* Whose parent dies between the two lists of a look is in neither of them as ours; it is in the
     * next one. */
    for (int quiet = kill_all() ? 0 : 1; quiet < QUIET_LOOKS && clock_now_us() < until_us;) {
        (void)poll(NULL, 0, PAUSE_MS);
        quiet = kill_all() ? 0 : quiet + 1;
    }
}
