/* SPDX-License-Identifier: MIT */
/* What the server gives up: seen from outside in /proc, and from inside in a process that does the
 * same. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "server/sandbox.h"
#include "support/server.h"
#include "support/service.h"

#define WAIT FIELDS("Prefer: wait=15")

/* ---- from outside */

/* A number in /proc/PID/status. */
static unsigned long long status_of(const struct server *server, const char *name, int base)
{
    char path[64], line[256];
    size_t length = strlen(name);
    unsigned long long value = 0;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/status", (int)server_pid(server));
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            value = strtoull(line + length + 1, NULL, base);
            found = true;
        }
    fclose(in);
    assert_true(found);
    return value;
}

static void a_server_gives_up_what_it_does_not_need(void **state)
{
    (void)state;
    struct server *server = server_start("--log-level", "debug");
    struct client *client = client_new(server);
    assert_int_equal(status_of(server, "NoNewPrivs", 10), 1);
    if (geteuid() == 0)
        assert_int_equal(status_of(server, "CapBnd", 16), 0);
    if (!server_durable())
        assert_int_equal(status_of(server, "CapEff", 16), 0);
#if SANDBOX_WHOLE
    assert_int_equal(status_of(server, "Seccomp", 10), 2);
    assert_true(server_count_lines(server, ERR, "debug sandbox: no programs") > 0);
#endif
    assert_int_equal(client_send(client, "POST", "/do", WAIT, "x")->status, 200);
    client_free(client);
}

static void a_command_keeps_what_it_was_given(void **state)
{
    (void)state;
    struct server *server =
        server_start("--", "grep", "-E", "^(CapEff|NoNewPrivs|Seccomp):", "/proc/self/status");
    struct client *client = client_new(server);
    char expected[128];
    FILE *in = fopen("/proc/self/status", "re");
    char line[256], capabilities[32] = "";
    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL)
        (void)sscanf(line, "CapEff: %31s", capabilities);
    fclose(in);
    snprintf(expected, sizeof expected, "CapEff:\t%s\nNoNewPrivs:\t1\nSeccomp:\t%d\n", capabilities,
             prctl(PR_GET_SECCOMP));
    assert_answer(client_send(client, "POST", "/do", WAIT, NULL), 200, expected);
    client_free(client);
}

static void a_web_service_is_reached(void **state)
{
    (void)state;
    struct service *service = service_start();
    char url[SERVICE_URL_SIZE + 16];
    service_script(service,
                   SERVICE_SCRIPT({.answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"}));
    /* By name: the resolver reads files, and may load modules. */
    snprintf(url, sizeof url, "http://localhost%s", strrchr(service_url(service), ':'));
    struct server *server = server_start("--post", url);
    struct client *client = client_new(server);
    assert_answer(client_send(client, "POST", "/do", WAIT, "x"), 200, "yes");
    client_free(client);
    service_stop(service);
}

static void jobs_are_kept_on_disk(void **state)
{
    (void)state;
    char directory[SERVER_LINE_SIZE];
    snprintf(directory, sizeof directory, "%s/kept", temporary_directory());
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-d", directory, "-w", "0", NULL};
    const struct server_plan plan = {.arguments = arguments};
    struct server *server = server_spawn(&plan);
    server_await_listening(server);
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do");
    client_free(client);
    server_kill(server);
    server = server_spawn(&plan);
    server_await_listening(server);
    client = client_new(server);
    client_await_state(client, id, "queued");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
}

static void its_own_socket_is_removed(void **state)
{
    (void)state;
    const char *address = temporary_socket();
    const char *const arguments[] = {"-l", address, NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    assert_int_equal(access(address + strlen("unix:"), F_OK), 0);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(access(address + strlen("unix:"), F_OK), -1);
}

static void make_link(const char *target, const char *name)
{
    char fresh[SERVER_LINE_SIZE], path[SERVER_LINE_SIZE];
    snprintf(fresh, sizeof fresh, "%s/fresh", temporary_directory());
    snprintf(path, sizeof path, "%s/%s", temporary_directory(), name);
    assert_int_equal(symlink(target, fresh), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void make_secret(const char *directory, const char *token)
{
    char path[SERVER_LINE_SIZE], name[64];
    snprintf(path, sizeof path, "%s/%s", temporary_directory(), directory);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(name, sizeof name, "%s/tokens", directory);
    assert_int_equal(chmod(temporary_file(name, token), 0600), 0);
}

/* As a cluster mounts secrets: tokens -> ..data/tokens, ..data -> ..1, then -> ..2. */
static void a_mounted_secret_is_read_again(void **state)
{
    (void)state;
    char path[SERVER_LINE_SIZE], line[SERVER_LINE_SIZE];
    make_secret("..1", "admin first-token-of-16\n");
    make_link("..1", "..data");
    make_link("..data/tokens", "tokens");
    snprintf(path, sizeof path, "%s/tokens", temporary_directory());
    struct server *server = server_start("--token-file", path);
    struct client *client = client_new(server);
    make_secret("..2", "admin second-token-of-16\n");
    make_link("..2", "..data");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "SIGHUP: configuration reloaded", line);
    const struct answer *answer = client_send(
        client, "POST", "/do", FIELDS("Authorization: Bearer second-token-of-16"), NULL);
    assert_int_equal(answer->status, 202);
    client_free(client);
}

#if SANDBOX_WHOLE

static void rename_in(const char *from, const char *to)
{
    char old[SERVER_LINE_SIZE], new[SERVER_LINE_SIZE];
    snprintf(old, sizeof old, "%s/%s", temporary_directory(), from);
    snprintf(new, sizeof new, "%s/%s", temporary_directory(), to);
    assert_int_equal(rename(old, new), 0);
}

/* The kernel has been told which directory, not what its name will be: that is said, and what it
 * was goes on. */
static void a_directory_that_is_another_one_now_is_named(void **state)
{
    (void)state;
    char path[SERVER_LINE_SIZE], line[SERVER_LINE_SIZE];
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1) {
        print_message("skipped: this kernel has no Landlock\n");
        skip();
    }
    make_secret("secrets", "admin first-token-of-16\n");
    make_secret("fresh-ones", "admin second-token-of-16\n");
    snprintf(path, sizeof path, "%s/secrets/tokens", temporary_directory());
    struct server *server = server_start("--token-file", path);
    struct client *client = client_new(server);
    rename_in("secrets", "old");
    rename_in("fresh-ones", "secrets");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "it is in another directory than at the start", line);
    assert_non_null(strstr(line, "secrets/tokens: "));
    assert_non_null(strstr(line, "start jobd again: nothing is changed"));
    rename_in("secrets", "fresh-ones");
    make_link("fresh-ones", "secrets");
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "it is in another directory than at the start", 2);
    assert_int_equal(
        client_send(client, "POST", "/do", FIELDS("Authorization: Bearer first-token-of-16"), NULL)
            ->status,
        202);
    make_link("old", "secrets"); /* it is a name again of what was there at the start */
    temporary_file("old/tokens", "admin third-token-of-16\n");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "SIGHUP: configuration reloaded", line);
    assert_int_equal(
        client_send(client, "POST", "/do", FIELDS("Authorization: Bearer third-token-of-16"), NULL)
            ->status,
        202);
    client_free(client);
}

#endif

static void commands_cannot_be_added(void **state)
{
    (void)state;
    char line[SERVER_LINE_SIZE];
    const char *path = temporary_file("jobd.json", "{\"attempts\": 2}");
    struct server *server = server_start("-c", path);
    struct client *client = client_new(server);
    temporary_file("jobd.json", "{\"attempts\": 3, \"exec\": [\"true\"]}");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR,
                      "error SIGHUP: queue default: exec: a server that was started without "
                      "commands runs none; start it again: nothing is changed",
                      line);
    assert_int_equal(json_number(client_job(client, client_put(client, "/do")), "attempts"), 2);
    temporary_file("jobd.json", "{\"attempts\": 4}");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "changed: attempts", line);
    client_free(client);
}

/* ---- from inside */

#if SANDBOX_WHOLE

/* cmocka's assertions are for the test's own process. */
#define demand(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static _Noreturn void broken(const char *condition, int line)
{
    fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, line, condition, strerror(errno));
    _exit(1);
}

static void in_a_child(void (*run)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void *nothing(void *context)
{
    return context;
}

static void threads_and_sockets(void)
{
    pthread_t thread;
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    int pair[2];
    demand(pthread_create(&thread, NULL, nothing, NULL) == 0);
    demand(pthread_join(thread, NULL) == 0);
    demand(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    /* A machine may lack the name, but not the means to look it up. */
    int looked_up = getaddrinfo("localhost", "80", &hints, &found);
    demand(looked_up == 0 || looked_up == EAI_NONAME || looked_up == EAI_AGAIN);
    if (looked_up == 0)
        freeaddrinfo(found);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    demand(fd >= 0 && listen(fd, 1) == 0);
}

static void calls(void)
{
    char *const words[] = {(char[]){"true"}, NULL};
    int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    sandbox_enter(&(struct sandbox){.commands = false});
    demand(!sandbox_allows_commands());
    demand(execv("/bin/true", words) == -1 && errno == EPERM);
    demand(fork() == -1 && errno == EPERM);
    demand(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == -1 && errno == EPERM);
    demand(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
    demand(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == EPERM);
    demand(unshare(CLONE_NEWUSER) == -1 && errno == EPERM);
    demand(mount("none", "/", "tmpfs", 0, NULL) == -1 && errno == EPERM);
    demand(setuid(getuid()) == -1 && errno == EPERM);
    demand(chmod("/dev/null", 0666) == -1 && errno == EPERM);
    demand(fchmod(0, 0666) == -1 && errno == EPERM);
    demand(syscall(452, AT_FDCWD, "/dev/null", 0666, 0) == -1 &&
           (errno == EPERM || errno == ENOSYS));
    demand(chown("/dev/null", 0, 0) == -1 && errno == EPERM);
    demand(lchown("/dev/null", 0, 0) == -1 && errno == EPERM);
    demand(utimensat(AT_FDCWD, "/dev/null", NULL, 0) == -1 && errno == EPERM);
    demand(setxattr("/dev/null", "user.jobd", "", 0, 0) == -1 && errno == EPERM);
    demand(removexattr("/dev/null", "user.jobd") == -1 && errno == EPERM);
    demand(terminal >= 0 && ioctl(terminal, TIOCSTI, "x") == -1 && errno == EPERM);
    demand(ioctl(terminal, TIOCLINUX, (char[]){2}) == -1 && errno == EPERM);
    /* The kernel looks at the lower half alone. */
    demand(syscall(SYS_ioctl, terminal, 1UL << 32 | TIOCSTI, "x") == -1 && errno == EPERM);
    demand(ioctl(terminal, TIOCSETD, &(int){0}) == -1 && errno == EPERM);
    demand(ioctl(terminal, TIOCSCTTY, 0) == -1 && errno == EPERM);
    demand(ioctl(terminal, TIOCGWINSZ, &(struct winsize){0}) == 0);
#ifdef __x86_64__
    demand(syscall(0x40000000 | SYS_getpid) == -1 && errno == EPERM);
#endif
    threads_and_sockets();
}

static void system_calls_are_denied(void **state)
{
    (void)state;
    in_a_child(calls);
}

#ifdef __x86_64__
static void old_convention(void)
{
    long result;
    sandbox_enter(&(struct sandbox){.commands = false});
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory"); /* getpid() of i386 */
}

static void another_machines_calls_end_the_process(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        old_convention();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

static char secret[SERVER_LINE_SIZE], database[SERVER_LINE_SIZE], foreign[SERVER_LINE_SIZE],
    later[SERVER_LINE_SIZE], leads_nowhere[SERVER_LINE_SIZE];

static bool may_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    else
        demand(errno == EACCES);
    return fd >= 0;
}

static void files(void)
{
    char path[SERVER_LINE_SIZE + 8];
    sandbox_enter(&(struct sandbox){.secrets = true,
                                    .files = (const char *const[]){secret, leads_nowhere, NULL},
                                    .database = database});
    demand(prctl(PR_GET_DUMPABLE) == 0);
    demand(may_open("/etc/passwd", O_RDONLY));
    demand(may_open(secret, O_RDONLY));
    demand(!may_open(secret, O_WRONLY));
    demand(may_open(later, O_RDONLY)); /* where the link leads there may be a file one day */
    demand(!may_open(later, O_WRONLY));
    demand(may_open(database, O_RDWR | O_CREAT | O_TRUNC));
    snprintf(path, sizeof path, "%s-wal", database);
    demand(may_open(path, O_RDWR | O_CREAT));
    demand(truncate(path, 0) == 0 && unlink(path) == 0);
    demand(!may_open(foreign, O_RDONLY));
    demand(!may_open(foreign, O_WRONLY));
    demand(unlink(foreign) == -1 && errno == EACCES);
    demand(!may_open("/etc/jobd-made", O_WRONLY | O_CREAT));
}

static void place_in(char place[SERVER_LINE_SIZE], const char *directory)
{
    char name[64];
    snprintf(place, SERVER_LINE_SIZE, "%s/%s", temporary_directory(), directory);
    assert_int_equal(mkdir(place, 0700), 0);
    snprintf(name, sizeof name, "%s/file", directory);
    snprintf(place, SERVER_LINE_SIZE, "%s", temporary_file(name, ""));
}

static void other_files_are_out_of_reach(void **state)
{
    char missing[SERVER_LINE_SIZE];
    (void)state;
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1) {
        skip();
    }
    place_in(secret, "secret");
    place_in(database, "data");
    place_in(foreign, "foreign");
    place_in(later, "later");
    place_in(leads_nowhere, "link");
    snprintf(missing, sizeof missing, "%s/later/missing/file", temporary_directory());
    assert_int_equal(unlink(leads_nowhere), 0);
    assert_int_equal(symlink(missing, leads_nowhere), 0);
    in_a_child(files);
    assert_int_equal(access(foreign, F_OK), 0);
}

static void with_commands(void)
{
    char *const words[] = {(char[]){"true"}, NULL};
    sandbox_enter(&(struct sandbox){.commands = true, .secrets = true});
    demand(sandbox_allows_commands());
    demand(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    demand(prctl(PR_GET_DUMPABLE) == 0);
    execvp(words[0], words);
    broken("execvp", __LINE__);
}

static void commands_can_be_kept(void **state)
{
    (void)state;
    in_a_child(with_commands);
}

#endif

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_server_gives_up_what_it_does_not_need),
        TEST(a_command_keeps_what_it_was_given),
        TEST(a_web_service_is_reached),
        TEST(jobs_are_kept_on_disk),
        TEST(its_own_socket_is_removed),
        TEST(a_mounted_secret_is_read_again),
        TEST(commands_cannot_be_added),
#if SANDBOX_WHOLE
        TEST(a_directory_that_is_another_one_now_is_named),
        TEST(system_calls_are_denied),
#ifdef __x86_64__
        TEST(another_machines_calls_end_the_process),
#endif
        TEST(other_files_are_out_of_reach),
        TEST(commands_can_be_kept),
#endif
    };
    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
