/* SPDX-License-Identifier: MIT */
/* The exec runner on an old kernel, or under an old container engine's filter: pidfd_open() and
 * close_range() are refused, here by a filter of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/portable.h"
#include "run/exec_scene.h"

static void refuse(uint32_t error)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = sizeof steps / sizeof steps[0], .filter = steps};
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
    assert_int_equal(portable_pidfd(getpid()), -1);
    assert_int_equal(errno, error);
}

static void commands_run_all_the_same(void)
{
    struct holders holders;
    char script[512];
    int leaks = open("/dev/null", O_RDONLY); /* on purpose without O_CLOEXEC */
    run(SHELL("echo words; echo why >&2; exit 3"));
    assert_int_equal(outcome.exit_code, 3);
    assert_bytes(outcome.output, "words\n");
    assert_bytes(outcome.error, "why");
    run((const char *const[]){"ls", "/proc/self/fd", NULL});
    assert_bytes(outcome.output, "0\n1\n2\n3\n");
    close(leaks);
    run(SHELL("exec >&- 2>&-; sleep 0.1; exit 4"));
    assert_int_equal(outcome.exit_code, 4);
    run(SHELL("sleep 600 & setsid -f sleep 600 >/dev/null 2>&1; echo now"));
    assert_bytes(outcome.output, "now\n");
    holders_begin(&holders);
    snprintf(script, sizeof script,
             "exec 9>%s; sh -c 'trap \"sleep 0.2; echo cleaned; exit 0\" TERM; echo >&9; "
             "while :; do sleep 0.02; done'; :",
             holders.path);
    run_told(&holders, script, 60 * SECOND_US);
    assert_bytes(outcome.output, "cleaned\n");
    snprintf(script, sizeof script,
             "exec 9>%s; trap '' TERM; setsid -f sleep 600; echo >&9; sleep 600; :", holders.path);
    run_told(&holders, script, SECOND_US / 10);
    holders_end(&holders);
}

static void by_a_filter(void **state)
{
    (void)state;
    refuse(EPERM);
    commands_run_all_the_same();
}

/* The kernel takes the answer of the last filter among equals. */
static void by_an_old_kernel(void **state)
{
    (void)state;
    refuse(ENOSYS);
    commands_run_all_the_same();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, nothing_stays, nothing_stays)
    const struct CMUnitTest tests[] = {
        TEST(by_a_filter),
        TEST(by_an_old_kernel),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
