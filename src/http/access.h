/* SPDX-License-Identifier: MIT */
/* What the access log says of a request, and its line. Knows no file and no thread. */
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
/* Method and target, as far as the first line is among these bytes, and as it has them; with stars
 * in place of a lease's token, as who has that can end the job. A target that is longer is cut,
 * with dots behind it. */
void access_set_request(struct access *access, const char *text, size_t size);

/* Writes the line, its line feed included, in printable ASCII alone: one of text, whose words have
 * no blank and are "-" where they are not known, or one of JSON, where those are left out. Its
 * length. */
size_t access_line(const struct access *access, bool json, char out[ACCESS_LINE_SIZE]);
