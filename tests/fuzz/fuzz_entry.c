/* SPDX-License-Identifier: MIT */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "ledger/entry.h"
#include "ledger/entry_fields.h"

#define AT_US INT64_C(1800000000000000)

/* The fuzzer cannot guess a checksum: the bytes get theirs here. From malloc(). */
static unsigned char *with_checksum(const uint8_t *bytes, size_t size)
{
    unsigned char *whole = malloc(size + CHECKSUM_SIZE);
    uint32_t sum = entry_checksum(bytes, size);
    verify(whole != NULL);
    if (size > 0)
        memcpy(whole, bytes, size);
    for (unsigned i = 0; i < CHECKSUM_SIZE; i++)
        whole[size + i] = (unsigned char)(sum >> 8 * i);
    return whole;
}

/* All items once more, in `copy`, whose memory is the caller's; false when these bytes are no
 * entry. */
static bool copy_entry(const unsigned char *bytes, size_t size, struct entry *copy)
{
    struct entry_reader reader;
    struct news news;
    uint64_t next_id;
    enum entry_result result = entry_open(&reader, bytes, size, AT_US, &next_id);
    if (result != ENTRY_OK)
        return false;
    entry_begin(copy, ENTRY_FORMAT, AT_US, next_id);
    while ((result = entry_next(&reader, &news)) == ENTRY_OK) {
        entry_add(copy, &news);
        entry_release_news(&news);
    }
    verify(entry_end(copy));
    return result == ENTRY_END;
}

void fuzz_entry(const uint8_t *bytes, size_t size)
{
    struct entry first = {.bytes = NULL}, second = {.bytes = NULL};
    unsigned char *whole = with_checksum(bytes, size);
    struct entry_reader reader;
    uint64_t next_id;
    if (entry_open(&reader, bytes, size, AT_US, &next_id) == ENTRY_OK)
        verify(size > CHECKSUM_SIZE);
    /* There are many ways to write an entry, but only one in which it is written here. */
    if (copy_entry(whole, size + CHECKSUM_SIZE, &first)) {
        verify(copy_entry(first.bytes, first.size, &second));
        verify(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
        verify(first.items == second.items);
    }
    free(whole);
    entry_release(&first);
    entry_release(&second);
}
