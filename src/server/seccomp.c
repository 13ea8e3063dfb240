/* SPDX-License-Identifier: MIT */
/* A list of what is denied, not of what is allowed: the libraries below, and the next libc, may
 * make calls that nobody here can list. Without libseccomp: what it would do for us is this loop
 * over a table, and it would be one more library in a static binary.
 *
 * The kernel remembers which calls a filter always allows, so that the length of the table costs
 * nothing on the way of a request. */
#include "server/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kd.h>
#include <linux/seccomp.h>
#include <linux/vt.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__) && !defined(__ILP32__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && !defined(__ILP32__)
#define MACHINE AUDIT_ARCH_AARCH64
#endif

#ifdef MACHINE

enum {
    X32 = 0x40000000, /* the bit of calls with short pointers on x86_64 */
    FCHMODAT2 = 452   /* younger than the headers; the same number on every machine */
};

static const uint16_t denied[] = {
    /* programs and processes; clone() is looked at below */
    SYS_execve,
    SYS_execveat,
    SYS_unshare,
    SYS_setns,
    SYS_personality,
    /* who we are */
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_setgroups,
    SYS_capset,
    /* other processes' insides */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_move_pages,
    SYS_migrate_pages,
    /* the tree of files */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_mknodat,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_fanotify_init,
    SYS_quotactl,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    /* modes, owners and attributes, which Landlock does not look at; fchown() is SQLite's */
    SYS_fchmod,
    SYS_fchmodat,
    FCHMODAT2,
    SYS_fchownat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    /* the kernel, and its large and young parts */
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    /* the machine */
    SYS_reboot,
    SYS_syslog,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_vhangup,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef __x86_64__
    SYS_fork,
    SYS_vfork,
    SYS_mknod,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_uselib,
#endif
};

enum { DENIED = sizeof denied / sizeof denied[0] };

/* What writes into a terminal as if its user had, takes it over, or changes what its keys do. The
 * kernel looks at the lower half of the word alone, and so does the filter. */
static const uint32_t denied_ioctls[] = {TIOCSTI,    TIOCLINUX,    TIOCCONS,  TIOCSCTTY,
                                         TIOCSETD,   KDSKBENT,     KDSKBSENT, KDSETKEYCODE,
                                         KDSKBDIACR, KDSKBDIACRUC, KDSETMODE, VT_SETMODE};

enum {
    DENIED_IOCTLS = sizeof denied_ioctls / sizeof denied_ioctls[0],
    PROGRAM_MAX = 2 * (DENIED + DENIED_IOCTLS) + 24
};

struct program {
    struct sock_filter steps[PROGRAM_MAX];
    unsigned short len;
};

static void add(struct program *program, struct sock_filter step)
{
    program->steps[program->len++] = step;
}

static void load(struct program *program, size_t offset)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *program, uint32_t how)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, how));
}

/* When what was loaded is so, then this answer. */
static void answer_if(struct program *program, uint16_t test, uint32_t value, uint32_t how)
{
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, 0, 1));
    answer(program, how);
}

static void deny_ioctls(struct program *program)
{
    const uint8_t steps = 1 + 2 * DENIED_IOCTLS;
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, steps));
    load(program, offsetof(struct seccomp_data, args[1]));
    for (size_t i = 0; i < DENIED_IOCTLS; i++)
        answer_if(program, BPF_JEQ, denied_ioctls[i], SECCOMP_RET_ERRNO | EPERM);
}

static void write_program(struct program *program)
{
    const uint32_t deny = SECCOMP_RET_ERRNO | EPERM;
    load(program, offsetof(struct seccomp_data, arch));
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0));
    answer(program, SECCOMP_RET_KILL_PROCESS);
    load(program, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    answer_if(program, BPF_JGE, X32, deny);
#endif
    for (size_t i = 0; i < DENIED; i++)
        answer_if(program, BPF_JEQ, denied[i], deny);
    /* Its flags are out of a filter's sight; libc then takes clone(). */
    answer_if(program, BPF_JEQ, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
    /* Threads, yes. */
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4));
    load(program, offsetof(struct seccomp_data, args[0]));
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
    answer(program, deny);
    answer(program, SECCOMP_RET_ALLOW);
    deny_ioctls(program);
    answer(program, SECCOMP_RET_ALLOW);
}

int seccomp_enter(void)
{
    struct program program = {.len = 0};
    write_program(&program);
    const struct sock_fprog filter = {.len = program.len, .filter = program.steps};
    /* Not to be paid for with slower branches in all that we do; before Linux 4.17 it costs none.
     */
    long code =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter);
    if (code != 0 && errno == EINVAL)
        code = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
    return code == 0 ? 0 : -errno;
}

#else

int seccomp_enter(void)
{
    return -ENOSYS;
}

#endif
