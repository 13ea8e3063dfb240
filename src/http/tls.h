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

/* Both files are PEM; the certificate may be followed by its chain. Their names are borrowed until
 * tls_free(). No handshake takes longer than handshake_us. False: `problem` names the file. Blocks
 * on the files. */
bool tls_open(struct tls **tls, const char *certificate, const char *key, int64_t handshake_us,
              struct problem *problem);
/* Reads both files again, for tls_replace() or identity_free(). NULL: `problem` says what is
 * wrong. */
struct identity *tls_read(const struct tls *tls, struct problem *problem);
/* New handshakes show this one; it is taken. One thread at a time. */
void tls_replace(struct tls *tls, struct identity *identity);
/* Takes NULL. */
void identity_free(struct identity *identity);
/* Logs a warning when everybody, and not only its group, can read the key. In the thread that calls
 * tls_replace(). */
void tls_warn(struct tls *tls);
/* No handshake is under way. Takes NULL. */
void tls_free(struct tls *tls);

/* For libmicrohttpd: a gnutls_certificate_retrieve_function2, and the versions and ciphers. */
void *tls_certificate_callback(void);
const char *tls_priorities(void);

/* libmicrohttpd reads by gnutls_record_recv(), which this program defines itself: from now on it
 * calls this reader, in all threads. Before the first session. */
typedef ssize_t tls_reader(void *session, void *bytes, size_t size);
void tls_read_by(tls_reader *reader);
/* For a reader: what GnuTLS's own function does; the result that says that nothing has come; and
 * the MHD_Connection that the session belongs to. */
ssize_t tls_receive(void *session, void *bytes, size_t size);
ssize_t tls_nothing_yet(void);
void *tls_owner(void *session);
/* Sends this text and close_notify, as far as the system takes them without blocking. */
void tls_say_last(void *session, const char *text, size_t size);

/* The TLS library and its version, or that there is none. */
const char *tls_library(void);
