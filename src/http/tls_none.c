/* SPDX-License-Identifier: MIT */
/* In place of tls.c where GnuTLS is not linked. http_has_tls() is false there, so most of this is
 * never called. */
#include "http/tls.h"

#include <stddef.h>

#include "base/problem.h"

static const char without[] = "TLS is not built in";

bool tls_open(struct tls **tls, const char *certificate, const char *key, int64_t handshake_us,
              struct problem *problem)
{
    (void)certificate, (void)key, (void)handshake_us;
    *tls = NULL;
    return problem_set(problem, "--tls-cert: %s", without);
}

struct identity *tls_read(const struct tls *tls, struct problem *problem)
{
    (void)tls;
    (void)problem_set(problem, "%s", without);
    return NULL;
}

void tls_replace(struct tls *tls, struct identity *identity)
{
    (void)tls, (void)identity;
}

void identity_free(struct identity *identity)
{
    (void)identity;
}

void tls_warn(struct tls *tls)
{
    (void)tls;
}

void tls_free(struct tls *tls)
{
    (void)tls;
}

void *tls_certificate_callback(void)
{
    return NULL;
}

const char *tls_priorities(void)
{
    return "";
}

void tls_read_by(tls_reader *reader)
{
    (void)reader;
}

ssize_t tls_receive(void *session, void *bytes, size_t size)
{
    (void)session, (void)bytes, (void)size;
    return -1;
}

ssize_t tls_nothing_yet(void)
{
    return -1;
}

void *tls_owner(void *session)
{
    (void)session;
    return NULL;
}

void tls_say_last(void *session, const char *text, size_t size)
{
    (void)session, (void)text, (void)size;
}

const char *tls_library(void)
{
    return "no TLS";
}
