/* SPDX-License-Identifier: MIT */
#include "http/recv.h"

#include <sys/socket.h>

static _Thread_local recv_reader *reads;

void recv_read_by(recv_reader *reader)
{
    reads = reader;
}

/* By another name here, as libc's headers may have made a macro or an inline function of its own.
 */
__attribute__((visibility("default"))) ssize_t recv_here(int fd, void *bytes, size_t size,
                                                         int flags) __asm__("recv");

ssize_t recv_here(int fd, void *bytes, size_t size, int flags)
{
    return reads != NULL && flags == 0 ? reads(fd, bytes, size)
                                       : recvfrom(fd, bytes, size, flags, NULL, NULL);
}
