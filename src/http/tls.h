/* SPDX-License-Identifier: MIT */
/* The server's certificate and its key, for TLS 1.2 and 1.3. They can be read again while
 * connections are made: a handshake goes on with what it began with. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct problem;

/* There is one at a time in a process: the HTTP library's callback has no context. */
struct tls;
struct identity; /* a certificate and its key, as both files say them */

/* Both files are PEM; the certificate's may go on with its chain. Borrowed names. `handshake_us`:
 * longer takes none. False, with a problem that names the file. */
bool tls_open(struct tls **tls, const char *certificate, const char *key, int64_t handshake_us,
              struct problem *problem);
/* Reads both again, for tls_replace() or identity_free(). NULL when they are wrong, as above. */
struct identity *tls_read(const struct tls *tls, struct problem *problem);
/* New handshakes show this one; it is taken. One thread at a time. */
void tls_replace(struct tls *tls, struct identity *identity);
/* Takes NULL. */
void identity_free(struct identity *identity);
/* Logs that others can read the key, if so: all but its group. In the thread that replaces it. */
void tls_warn(struct tls *tls);
/* No handshake is under way. Takes NULL. */
void tls_free(struct tls *tls);

/* For libmicrohttpd: a gnutls_certificate_retrieve_function2, and the versions and ciphers. */
void *tls_certificate_callback(void);
const char *tls_priorities(void);

/* libmicrohttpd reads by gnutls_record_recv(), which is defined here: it is this function from now
 * on, in all threads, whoever calls it. Before the first session. */
typedef ssize_t tls_reader(void *session, void *bytes, size_t size);
void tls_read_by(tls_reader *reader);
/* As GnuTLS's own; that nothing has come; and what libmicrohttpd knows the session by. */
ssize_t tls_receive(void *session, void *bytes, size_t size);
ssize_t tls_nothing_yet(void);
void *tls_owner(void *session);
/* Sends this and the farewell, as far as the system takes it. */
void tls_say_last(void *session, const char *text, size_t size);

/* The TLS library and its version, or that there is none. */
const char *tls_library(void);
