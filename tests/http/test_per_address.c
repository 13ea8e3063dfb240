/* SPDX-License-Identifier: MIT */
/* Connections counted by address: limits, what counts as one address, and a run at random beside
 * a plain array. */
#include <errno.h>
#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "http/per_address.h"
#include "support/chance.h"
#include "base/verify.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static union socket_address parsed(const char *text, uint16_t port)
{
    union socket_address from;
    memset(&from, 0, sizeof from);
    if (strchr(text, ':') != NULL) {
        from.v6.sin6_family = AF_INET6;
        from.v6.sin6_port = htons(port);
        verify(inet_pton(AF_INET6, text, &from.v6.sin6_addr) == 1);
    } else {
        from.v4.sin_family = AF_INET;
        from.v4.sin_port = htons(port);
        verify(inet_pton(AF_INET, text, &from.v4.sin_addr) == 1);
    }
    return from;
}

static bool enter(struct addresses *addresses, const char *text, uint32_t max,
                  struct address **address)
{
    static uint16_t port;
    union socket_address from = parsed(text, ++port); /* which does not count */
    int error = addresses_enter(addresses, &from.any, max, address);
    assert_true(error == 0 || error == -EUSERS);
    return error == 0;
}

static void each_address_has_its_limit(void **state)
{
    struct addresses addresses;
    struct address *of_one[3], *of_other, *refused = (struct address *)&addresses;
    (void)state;
    addresses_init(&addresses);
    for (int i = 0; i < 3; i++) {
        assert_true(enter(&addresses, "192.0.2.1", 3, &of_one[i]));
        assert_non_null(of_one[i]);
    }
    assert_false(enter(&addresses, "192.0.2.1", 3, &refused));
    assert_null(refused);
    addresses_leave(&addresses, refused); /* takes NULL, and frees no place */
    assert_false(enter(&addresses, "192.0.2.1", 3, &refused));
    assert_true(enter(&addresses, "192.0.2.2", 3, &of_other)); /* another has its own */
    assert_ptr_not_equal(of_other, of_one[0]);
    addresses_leave(&addresses, of_other);
    addresses_leave(&addresses, of_one[1]);
    assert_true(enter(&addresses, "192.0.2.1", 3, &of_one[1]));
    assert_false(enter(&addresses, "192.0.2.1", 3, &refused));
    assert_true(enter(&addresses, "192.0.2.1", 4, &refused)); /* the limit of the moment */
    addresses_leave(&addresses, refused);
    for (int i = 0; i < 3; i++)
        addresses_leave(&addresses, of_one[i]);
    assert_true(RB_EMPTY(&addresses.tree));
    addresses_release(&addresses);
}

static void a_limit_of_none_lets_none_in(void **state)
{
    struct addresses addresses;
    struct address *address;
    (void)state;
    addresses_init(&addresses);
    assert_false(enter(&addresses, "192.0.2.1", 0, &address));
    assert_null(address);
    assert_true(RB_EMPTY(&addresses.tree));
    addresses_release(&addresses);
}

static void what_counts_as_one_address(void **state)
{
    static const struct {
        const char *one, *other;
        bool same;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "193.0.2.1", false},
        {"0.0.0.0", "0.0.0.1", false},
        {"2001:db8::1", "2001:db8::2", true},
        {"2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", true}, /* a whole /64 */
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"2001:db8::1", "2001:db9::1", false},
        {"::1", "::2", true},
        {"fe80::1", "fe80::2", true},
        /* IPv4 by way of an IPv6 socket is still IPv4: not all of it is one /64. */
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
        {"::ffff:127.0.0.1", "::1", false},
        {"0.0.0.0", "::", false},
        {"::192.0.2.1", "192.0.2.1", false},
    };
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        struct addresses addresses;
        struct address *one, *other;
        addresses_init(&addresses);
        assert_true(enter(&addresses, rows[i].one, 1, &one));
        if (enter(&addresses, rows[i].other, 1, &other) == rows[i].same)
            fail_msg("%s and %s", rows[i].one, rows[i].other);
        addresses_leave(&addresses, other);
        addresses_leave(&addresses, one);
        assert_true(RB_EMPTY(&addresses.tree));
        addresses_release(&addresses);
    }
}

/* A unix socket's peer has no name, and its address may be as short as its family. */
static void unix_sockets_have_no_limit(void **state)
{
    struct addresses addresses;
    struct address *address = (struct address *)&addresses;
    sa_family_t *family = malloc(sizeof *family); /* to the byte, for the sanitizer to see */
    (void)state;
    assert_non_null(family);
    *family = AF_UNIX;
    addresses_init(&addresses);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(
            addresses_enter(&addresses, (const struct sockaddr *)(void *)family, 1, &address), 0);
        assert_null(address);
        addresses_leave(&addresses, address);
    }
    assert_true(RB_EMPTY(&addresses.tree));
    addresses_release(&addresses);
    free(family);
}

/* ---- at random */

enum { ADDRESSES = 3000, HELD_MAX = 8000, STEPS = 100000 };

struct held {
    struct address *address;
    unsigned number;
};

struct model {
    struct addresses addresses;
    struct held held[HELD_MAX];
    unsigned held_len;
    uint32_t connections[ADDRESSES];
};

/* Of three kinds; the part that must not count is random. */
static union socket_address numbered(struct chance *chance, unsigned number)
{
    char text[64];
    unsigned high = number / 3 / 256, low = number / 3 % 256, any = chance_below(chance, 65536);
    if (number % 3 == 0)
        snprintf(text, sizeof text, "%s10.1.%u.%u", any % 2 == 0 ? "" : "::ffff:", high, low);
    else if (number % 3 == 1)
        snprintf(text, sizeof text, "2001:db8:%x:%x:%x::%x", high, low, any, any);
    else
        snprintf(text, sizeof text, "::ffff:192.168.%u.%u", high, low);
    return parsed(text, (uint16_t)any);
}

static void step_enter(struct model *model, struct chance *chance)
{
    unsigned number = chance_below(chance, ADDRESSES);
    uint32_t max = 1 + chance_below(chance, 4);
    union socket_address from = numbered(chance, number);
    struct address *address;
    bool room = model->connections[number] < max;
    assert_int_equal(addresses_enter(&model->addresses, &from.any, max, &address),
                     room ? 0 : -EUSERS);
    if (!room) {
        assert_null(address);
        return;
    }
    assert_non_null(address);
    model->held[model->held_len++] = (struct held){address, number};
    model->connections[number]++;
}

static void leave(struct model *model, unsigned index)
{
    struct held *held = &model->held[index];
    addresses_leave(&model->addresses, held->address);
    model->connections[held->number]--;
    *held = model->held[--model->held_len];
}

static void agrees_with_an_array(void **state)
{
    struct chance chance = chance_begin();
    static struct model model;
    (void)state;
    addresses_init(&model.addresses);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned enters = step / 10000 % 2 == 0 ? 8 : 2;
        if (chance_below(&chance, 10) < enters && model.held_len < HELD_MAX)
            step_enter(&model, &chance);
        else if (model.held_len > 0)
            leave(&model, chance_below(&chance, model.held_len));
    }
    while (model.held_len > 0)
        leave(&model, chance_below(&chance, model.held_len));
    assert_true(RB_EMPTY(&model.addresses.tree));
    addresses_release(&model.addresses);
}

/* What malloc() has given away; 0: it does not say. */
static size_t given_away(void)
{
#ifdef __GLIBC__
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

/* What is left at the end is freed: the sanitizer sees a leak, and so does malloc. */
static void release_frees_them_all(void **state)
{
    struct chance chance = chance_begin();
    struct addresses addresses;
    struct address *address;
    (void)state;
    size_t before = given_away();
    addresses_init(&addresses);
    for (unsigned number = 0; number < ADDRESSES; number++) {
        union socket_address from = numbered(&chance, number);
        assert_int_equal(addresses_enter(&addresses, &from.any, 1, &address), 0);
    }
    addresses_release(&addresses);
    assert_true(RB_EMPTY(&addresses.tree));
    assert_true(given_away() < before + 4096); /* a few are kept for the thread */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_has_its_limit),
        cmocka_unit_test(a_limit_of_none_lets_none_in),
        cmocka_unit_test(what_counts_as_one_address),
        cmocka_unit_test(unix_sockets_have_no_limit),
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(release_frees_them_all),
    };
    return cmocka_run_group_tests_name("addresses", tests, NULL, NULL);
}
