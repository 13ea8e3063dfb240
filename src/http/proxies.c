/* SPDX-License-Identifier: MIT */
#include "http/proxies.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "base/chars.h"
#include "base/text.h"

enum {
    V4_AT = 12,
    V4_BITS = 96,
    BITS_MAX = 128,
    ENTRY_SIZE = INET6_ADDRSTRLEN + sizeof "[]:65535"
};

/* ---- addresses */

static bool read_address(const char *text, struct sockaddr_storage *address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(address, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(address, &v6, sizeof v6);
    return address->ss_family != AF_UNSPEC;
}

/* False: it is none of the internet. */
static bool bytes_of(const struct sockaddr *address, unsigned char bytes[16])
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memset(bytes, 0, 16);
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        bytes[10] = bytes[11] = 0xff;
        memcpy(bytes + V4_AT, &v4.sin_addr, sizeof v4.sin_addr);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        memcpy(bytes, &v6.sin6_addr, 16);
    }
    return address->sa_family == AF_INET || address->sa_family == AF_INET6;
}

static bool is_in(const struct network *network, const unsigned char bytes[16])
{
    const unsigned whole = network->bits / 8, rest = network->bits % 8;
    const unsigned char mask = (unsigned char)(0xff00 >> rest);
    return memcmp(network->bytes, bytes, whole) == 0 &&
           (rest == 0 || ((network->bytes[whole] ^ bytes[whole]) & mask) == 0);
}

/* ---- who they are */

static bool read_bits(const char *text, uint64_t max, uint64_t *bits)
{
    return text == NULL || text_to_number(text, max, bits);
}

static bool read_network(char *text, struct network *network)
{
    struct sockaddr_storage address;
    char *bits = strchr(text, '/');
    if (bits != NULL)
        *bits++ = '\0';
    if (!read_address(text, &address))
        return false;
    const bool v4 = address.ss_family == AF_INET;
    uint64_t count = v4 ? BITS_MAX - V4_BITS : BITS_MAX;
    if (!read_bits(bits, count, &count))
        return false;
    network->bits = (unsigned)count + (v4 ? V4_BITS : 0);
    return bytes_of((const struct sockaddr *)&address, network->bytes);
}

bool proxies_parse(struct proxies *proxies, const char *text)
{
    memset(proxies, 0, sizeof *proxies);
    while (true) {
        char one[INET6_ADDRSTRLEN + sizeof "/128"];
        const size_t size = strcspn(text, ",");
        if (size == 0 || size >= sizeof one)
            return false;
        memcpy(one, text, size);
        one[size] = '\0';
        if (strcmp(one, "unix") == 0)
            proxies->local = true;
        else if (proxies->len == PROXIES_MAX || !read_network(one, &proxies->of[proxies->len++]))
            return false;
        if (text[size] == '\0')
            return true;
        text += size + 1;
    }
}

bool proxies_has(const struct proxies *proxies, const struct sockaddr *address)
{
    unsigned char bytes[16];
    if (proxies == NULL)
        return false;
    if (!bytes_of(address, bytes))
        return proxies->local;
    for (unsigned i = 0; i < proxies->len; i++)
        if (is_in(&proxies->of[i], bytes))
            return true;
    return false;
}

/* ---- whom they speak for */

/* Without blanks around it, brackets and a port; false when it is too long. */
static bool bare(const char *text, size_t size, char out[ENTRY_SIZE])
{
    while (size > 0 && char_is_blank(*text)) {
        text++;
        size--;
    }
    while (size > 0 && char_is_blank(text[size - 1]))
        size--;
    if (size >= ENTRY_SIZE)
        return false;
    memcpy(out, text, size);
    out[size] = '\0';
    char *colon = strchr(out, ':'), *bracket = strchr(out, ']');
    if (out[0] == '[' && bracket != NULL) {
        *bracket = '\0';
        memmove(out, out + 1, (size_t)(bracket - out));
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    return true;
}

static void add_one(const struct proxies *proxies, const char *text, size_t size,
                    struct sockaddr_storage *client)
{
    struct sockaddr_storage address;
    char entry[ENTRY_SIZE];
    if (!bare(text, size, entry) || !read_address(entry, &address))
        client->ss_family = AF_UNSPEC;
    else if (client->ss_family == AF_UNSPEC ||
             !proxies_has(proxies, (const struct sockaddr *)&address))
        *client = address;
}

void proxies_client(const struct proxies *proxies, const char *text, size_t size,
                    struct sockaddr_storage *client)
{
    while (true) {
        const char *comma = memchr(text, ',', size);
        const size_t one = comma != NULL ? (size_t)(comma - text) : size;
        add_one(proxies, text, one, client);
        if (comma == NULL)
            return;
        text += one + 1;
        size -= one + 1;
    }
}
