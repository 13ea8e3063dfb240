/* SPDX-License-Identifier: MIT */
#include "support/failing_server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 13 };

struct failing *failing;

/* All is well until the test says otherwise. */
static const char *make_file(void)
{
    const char *file = temporary_file("failing", "");
    int fd = open(file, O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)sizeof *failing), 0);
    failing = mmap(NULL, sizeof *failing, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(failing, MAP_FAILED);
    close(fd);
    return file;
}

struct server *failing_spawn(const char *const *arguments, int64_t ahead_s)
{
    static char path[256], preload[] = "LD_PRELOAD=build/default/tests/failing.so";
    const char *all[2 + ARGUMENTS_MAX + 1] = {"-l", "127.0.0.1:0"};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_in_range(i, 0, ARGUMENTS_MAX - 1);
        all[2 + i] = arguments[i];
    }
    snprintf(path, sizeof path, FAILING_FILE "=%s", make_file());
    atomic_store(&failing->wall_ahead_s, ahead_s);
    return server_spawn(&(struct server_plan){
        .arguments = all, .environment = (const char *const[]){preload, path, NULL}});
}
