/* SPDX-License-Identifier: MIT */
#include "http/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/problem.h"
#include "base/secret.h"
#include "base/verify.h"

enum { CHAIN_MAX = 16, KEY_ID_SIZE = 64 };

/* What is shown to clients. */
struct identity {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_len;
    gnutls_privkey_t key;
    unsigned key_mode; /* of its file */
    int64_t retired_us;
    struct identity *next; /* retired before */
};

struct tls {
    const char *certificate, *key;
    int64_t handshake_us;
    struct mutex lock;
    struct identity *current GUARDED_BY(lock);
    struct identity *retired; /* a handshake may still use them; the latest first */
};

static struct tls *of_process;

/* Always false. */
static bool wrong(struct problem *problem, const char *file, const char *why)
{
    (void)problem_set(problem, "%s: %s", file, why);
    return false; /* said here, for the analysis */
}

/* ---- reading */

void identity_free(struct identity *identity)
{
    if (identity == NULL)
        return;
    for (unsigned i = 0; i < identity->chain_len; i++)
        gnutls_pcert_deinit(&identity->chain[i]);
    if (identity->key != NULL)
        gnutls_privkey_deinit(identity->key);
    free(identity);
}

/* Release with gnutls_free(); for a key its bytes too. */
static bool load(const char *file, gnutls_datum_t *bytes, unsigned *mode, struct problem *problem)
{
    struct stat status = {.st_mode = 0};
    int fd = open(file, O_RDONLY | O_CLOEXEC); /* the library does not say why it cannot */
    int error = fd >= 0 && fstat(fd, &status) == 0 ? 0 : errno;
    if (error == 0 && S_ISDIR(status.st_mode))
        error = EISDIR;
    if (fd >= 0)
        close(fd);
    if (error != 0)
        return wrong(problem, file, strerror(error));
    *mode = (unsigned)status.st_mode;
    int code = gnutls_load_file(file, bytes);
    return code == 0 || wrong(problem, file, gnutls_strerror(code));
}

static bool read_chain(struct identity *identity, const char *file, struct problem *problem)
{
    gnutls_datum_t bytes;
    unsigned len = CHAIN_MAX, mode;
    if (!load(file, &bytes, &mode, problem))
        return false;
    int code =
        gnutls_pcert_list_import_x509_raw(identity->chain, &len, &bytes, GNUTLS_X509_FMT_PEM, 0);
    gnutls_free(bytes.data);
    if (code < 0)
        return wrong(problem, file, "it is no certificate in PEM");
    identity->chain_len = len;
    return true;
}

static bool read_key(struct identity *identity, const char *file, struct problem *problem)
{
    gnutls_datum_t bytes;
    if (!load(file, &bytes, &identity->key_mode, problem))
        return false;
    int code = gnutls_privkey_init(&identity->key);
    if (code == 0)
        code = gnutls_privkey_import_x509_raw(identity->key, &bytes, GNUTLS_X509_FMT_PEM, NULL, 0);
    explicit_bzero(bytes.data, bytes.size);
    gnutls_free(bytes.data);
    return code == 0 || wrong(problem, file, "it is no private key in PEM without a password");
}

static bool key_id(gnutls_pubkey_t key, unsigned char id[KEY_ID_SIZE], size_t *size)
{
    *size = KEY_ID_SIZE;
    return gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, size) == 0;
}

static bool belong_together(const struct identity *identity)
{
    unsigned char one[KEY_ID_SIZE], other[KEY_ID_SIZE];
    size_t size, other_size;
    gnutls_pubkey_t key;
    if (gnutls_pubkey_init(&key) != 0)
        return false;
    bool same = gnutls_pubkey_import_privkey(key, identity->key, 0, 0) == 0 &&
                key_id(key, one, &size) && key_id(identity->chain[0].pubkey, other, &other_size) &&
                size == other_size && memcmp(one, other, size) == 0;
    gnutls_pubkey_deinit(key);
    return same;
}

struct identity *tls_read(const struct tls *tls, struct problem *problem)
{
    struct identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL) {
        (void)wrong(problem, tls->key, "out of memory");
        return NULL;
    }
    if (read_chain(identity, tls->certificate, problem) && read_key(identity, tls->key, problem) &&
        (belong_together(identity) ||
         wrong(problem, tls->key, "it is not the key of the certificate in --tls-cert")))
        return identity;
    identity_free(identity);
    return NULL;
}

/* ---- its life */

bool tls_open(struct tls **tls, const char *certificate, const char *key, int64_t handshake_us,
              struct problem *problem)
{
    verify(of_process == NULL);
    struct tls *new = calloc(1, sizeof *new);
    if (new == NULL || mutex_init(&new->lock) != 0) {
        free(new);
        return wrong(problem, certificate, "out of memory");
    }
    new->certificate = certificate;
    new->key = key;
    new->handshake_us = handshake_us;
    struct identity *identity = tls_read(new, problem);
    mutex_lock(&new->lock);
    new->current = identity;
    mutex_unlock(&new->lock);
    *tls = of_process = new;
    if (identity != NULL)
        return true;
    tls_free(new);
    *tls = NULL;
    return false;
}

static void free_retired(struct tls *tls, int64_t before_us)
{
    struct identity **link = &tls->retired;
    while (*link != NULL && (*link)->retired_us > before_us)
        link = &(*link)->next;
    struct identity *old = *link, *next;
    *link = NULL;
    for (; old != NULL; old = next) {
        next = old->next;
        identity_free(old);
    }
}

void tls_replace(struct tls *tls, struct identity *identity)
{
    int64_t now_us = clock_now_us();
    mutex_lock(&tls->lock);
    struct identity *former = tls->current;
    tls->current = identity;
    mutex_unlock(&tls->lock);
    former->retired_us = now_us;
    former->next = tls->retired;
    tls->retired = former;
    free_retired(tls, now_us - tls->handshake_us - CLOCK_SECOND_US);
}

void tls_warn(struct tls *tls)
{
    mutex_lock(&tls->lock);
    unsigned mode = tls->current->key_mode;
    mutex_unlock(&tls->lock);
    const char *exposed = secret_exposed(mode);
    if (exposed != NULL)
        log_warn("%s: others can %s the key: its mode is %03o", tls->key, exposed, mode & 0777);
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    of_process = NULL;
    free_retired(tls, INT64_MAX);
    mutex_lock(&tls->lock);
    struct identity *identity = tls->current;
    mutex_unlock(&tls->lock);
    identity_free(identity);
    mutex_release(&tls->lock);
    free(tls);
}

/* ---- for the HTTP library */

static int show(gnutls_session_t session, const gnutls_datum_t *authorities, int authorities_len,
                const gnutls_pk_algorithm_t *algorithms, int algorithms_len,
                gnutls_pcert_st **chain, unsigned *chain_len, gnutls_privkey_t *key)
{
    (void)session;
    (void)authorities;
    (void)authorities_len;
    (void)algorithms;
    (void)algorithms_len;
    mutex_lock(&of_process->lock);
    struct identity *identity = of_process->current;
    mutex_unlock(&of_process->lock);
    *chain = identity->chain;
    *chain_len = identity->chain_len;
    *key = identity->key;
    return 0;
}

void *tls_certificate_callback(void)
{
    gnutls_certificate_retrieve_function2 *function = show;
    void *pointer;
    memcpy(&pointer, &function, sizeof pointer); /* as POSIX allows and C does not */
    return pointer;
}

/* Only forward secrecy and authenticated ciphers, in the server's order. No finite-field groups:
 * anybody may ask for a handshake, and one with them costs the client nothing and the loop's thread
 * a third of a second. */
const char *tls_priorities(void)
{
    return "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+CTYPE-X509:+COMP-NULL:"
           "+ECDHE-ECDSA:+ECDHE-RSA:"
           "+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:"
           "+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:+AEAD:"
           "+SIGN-ALL:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:-SIGN-DSA-SHA1:%SERVER_PRECEDENCE";
}

/* ---- reading */

static tls_reader *reads = tls_receive;

void tls_read_by(tls_reader *reader)
{
    reads = reader;
}

ssize_t tls_receive(void *session, void *bytes, size_t size)
{
    unsigned char number[8]; /* of the record: the only difference to what is defined below */
    return gnutls_record_recv_seq(session, bytes, size, number);
}

ssize_t tls_nothing_yet(void)
{
    return GNUTLS_E_AGAIN;
}

void *tls_owner(void *session)
{
    return gnutls_session_get_ptr(session);
}

void tls_say_last(void *session, const char *text, size_t size)
{
    if (gnutls_record_send(session, text, size) == (ssize_t)size)
        (void)gnutls_bye(session, GNUTLS_SHUT_WR);
}

__attribute__((visibility("default"))) ssize_t gnutls_record_recv(gnutls_session_t session,
                                                                  void *data, size_t data_size)
{
    return reads(session, data, data_size);
}

const char *tls_library(void)
{
    static char name[64];
    snprintf(name, sizeof name, "GnuTLS %s", gnutls_check_version(NULL));
    return name;
}
