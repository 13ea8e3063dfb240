/* SPDX-License-Identifier: MIT */
/* What the access log says of a request, and the line that says it. No file, no thread. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACCESS_METHOD_SIZE = 24, /* the longest registered one has 17 letters */
    ACCESS_TARGET_SIZE = 2049,
    ACCESS_LINE_SIZE = 6 * (ACCESS_TARGET_SIZE + ACCESS_METHOD_SIZE) + 512,
    ACCESS_GONE = 499 /* the client went away before it was answered */
};

/* A request that has ended, or a connection that was refused without one. Zeroed before its first
 * use. What is "" or 0 is not known, but for bytes. */
struct access {
    int64_t began_us, ended_us; /* by clock_now_us(): its first line had come; its reply had gone */
    char address[INET6_ADDRSTRLEN]; /* "unix": over a unix socket */
    char method[ACCESS_METHOD_SIZE];
    char target[ACCESS_TARGET_SIZE];
    unsigned status;
    uint64_t bytes; /* of the reply's body */
    uint64_t job;   /* the one it put in, took, looked at, ended; of several the first */
};

void access_set_address(struct access *access, const struct sockaddr *address);
/* Sets method and target from the first line, as far as it is among these bytes, as the client sent
 * them; but with stars in place of a lease's token, since whoever knows it can end the job. A
 * target that is too long is cut, with dots behind it. */
void access_set_request(struct access *access, const char *text, size_t size);

/* Writes the line, its line feed included, in printable ASCII alone; returns its length. In text
 * its words have no blanks, and "-" stands for what is not known; in JSON that is left out. */
size_t access_line(const struct access *access, bool json, char out[ACCESS_LINE_SIZE]);
