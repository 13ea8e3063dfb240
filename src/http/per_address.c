/* SPDX-License-Identifier: MIT */
#include "http/per_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct address {
    RB_ENTRY(address) by_key;
    unsigned char key[16];
    uint32_t connections;
};

static int address_compare(const struct address *a, const struct address *b)
{
    return memcmp(a->key, b->key, sizeof a->key);
}

RB_GENERATE_INTERNAL(address_tree, address, by_key, address_compare, static __attribute__((unused)))

void addresses_init(struct addresses *addresses)
{
    RB_INIT(&addresses->tree);
}

void addresses_release(struct addresses *addresses)
{
    struct address *address, *next;
    for (address = RB_MIN(address_tree, &addresses->tree); address != NULL; address = next) {
        next = RB_NEXT(address_tree, &addresses->tree, address);
        RB_REMOVE(address_tree, &addresses->tree, address);
        free(address);
    }
}

static bool make_key(const struct sockaddr *from, unsigned char key[16])
{
    memset(key, 0, 16);
    if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        key[10] = key[11] = 0xff;
        memcpy(key + 12, &v4.sin_addr, 4);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        memcpy(key, &v6.sin6_addr, IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? 16 : 8);
        return true;
    }
    return false;
}

int addresses_enter(struct addresses *addresses, const struct sockaddr *from, uint32_t max,
                    struct address **address)
{
    struct address wanted = {.connections = 0};
    *address = NULL;
    if (!make_key(from, wanted.key))
        return 0;
    struct address *found = RB_FIND(address_tree, &addresses->tree, &wanted);
    if ((found != NULL ? found->connections : 0) >= max)
        return -EUSERS;
    if (found == NULL) {
        found = calloc(1, sizeof *found);
        if (found == NULL)
            return -ENOMEM;
        memcpy(found->key, wanted.key, sizeof found->key);
        RB_INSERT(address_tree, &addresses->tree, found);
    }
    found->connections++;
    *address = found;
    return 0;
}

void addresses_leave(struct addresses *addresses, struct address *address)
{
    if (address == NULL || --address->connections > 0)
        return;
    RB_REMOVE(address_tree, &addresses->tree, address);
    free(address);
}
