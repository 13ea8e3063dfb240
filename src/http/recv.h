/* SPDX-License-Identifier: MIT */
/* This program's own recv(), which takes the place of libc's: libmicrohttpd reads by it, and offers
 * no other way to look at what it reads first. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* As recv() without flags. */
typedef ssize_t recv_reader(int fd, void *bytes, size_t size);

/* From now on recv() without flags calls this reader in the calling thread; NULL: it reads as
 * usual, as it does with flags, and in all other threads. The reader itself must use recvfrom(). */
void recv_read_by(recv_reader *reader);
