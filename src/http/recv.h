/* SPDX-License-Identifier: MIT */
/* The recv() of this program, ahead of libc's: libmicrohttpd reads by it, and has no other place
 * where what it reads could be looked at first. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* As recv() without flags. */
typedef ssize_t recv_reader(int fd, void *bytes, size_t size);

/* In the calling thread recv() without flags is this from now on; NULL: as ever, as in all other
 * threads, and with flags. The reader itself reads by recvfrom(). */
void recv_read_by(recv_reader *reader);
