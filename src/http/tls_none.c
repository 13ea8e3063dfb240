/* SPDX-License-Identifier: MIT */
/* In place of tls.c where GnuTLS is not linked: http_has_tls() says no, so that
 * little of this comes to be asked. */
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

const char *tls_library(void)
{
    return "no TLS";
}
