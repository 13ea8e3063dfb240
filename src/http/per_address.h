/* SPDX-License-Identifier: MIT */
/* How many connections each address has. No lock of its own. */
#pragma once

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address;
RB_HEAD(address_tree, address);

struct addresses {
    struct address_tree tree;
};

void addresses_init(struct addresses *addresses);
void addresses_release(struct addresses *addresses);

/* Counts one more connection from there. 0; -EUSERS when it has `max` already; -ENOMEM. *address is
 * for addresses_leave(); it is NULL for a unix socket, which has no limit. IPv6 addresses count by
 * their /64, since one host may have all of it. */
int addresses_enter(struct addresses *addresses, const struct sockaddr *from, uint32_t max,
                    struct address **address);
/* Takes NULL. */
void addresses_leave(struct addresses *addresses, struct address *address);
