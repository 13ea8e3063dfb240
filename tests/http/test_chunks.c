/* SPDX-License-Identifier: MIT */
/* The framing of chunks: what is a body and what is none, however it comes in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/chunks.h"
#include "support/edge.h"

/* What is passed on of the bytes in two pieces, each of which ends where memory ends. Stops at the
 * end; *used as far. */
static enum chunk_state read_cut(const char *bytes, size_t size, size_t cut, char *passed,
                                 size_t *used)
{
    struct chunks chunks;
    size_t at[] = {0, cut, size}, total = 0;
    char *to = passed;
    chunks_begin(&chunks);
    for (int i = 0; i < 2; i++) {
        size_t part = at[i + 1] - at[i], looked_at;
        group_edges()->used = 0;
        char *piece = edges_room(group_edges(), part);
        memcpy(piece, bytes + at[i], part);
        size_t kept = chunks_read(&chunks, piece, part, &looked_at);
        assert_true(kept <= looked_at && looked_at <= part);
        memcpy(to, piece, kept);
        to += kept;
        total += looked_at;
    }
    *to = '\0';
    *used = total;
    return chunks.state;
}

static void bodies_and_others(void **state)
{
    static const struct {
        const char *bytes;
        const char *passed; /* NULL: it is wrong */
        const char *rest;
    } rows[] = {
        {"0\r\n\r\n", "0\r\n\r\n", ""},
        {"000\r\n\r\nGET", "000\r\n\r\n", "GET"},
        {"3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", ""},
        {"A\r\n0123456789\r\n0\r\n\r\nx", "A\r\n0123456789\r\n0\r\n\r\n", "x"},
        {"1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", ""},
        /* extensions */
        {"1;a\r\nx\r\n0;b=c;d=\"e;\\\"\r\t\"\r\n\r\n", NULL, NULL},
        {"1;a\r\nx\r\n0;b=c;d=\"e;\\\"\t\"\r\n\r\n", "1\r\nx\r\n0\r\n\r\n", ""},
        {"1 ; a = b ;c=\"\"\r\nx\r\n0\r\n\r\n", "1\r\nx\r\n0\r\n\r\n", ""},
        {"1;\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1;;a\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1;=a\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1;a=\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1;a b\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1;a=\"b\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1;a=\"b\"c\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1;a\x01\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1;a\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1;a\rx\r\n0\r\n\r\n", NULL, NULL},
        {"1;a=\"\n\"\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"0;\r\n\r\n", NULL, NULL},
        {"0;a\n\r\n", NULL, NULL},
        /* sizes */
        {"\r\n0\r\n\r\n", NULL, NULL},
        {"g\r\n", NULL, NULL},
        {"0x1\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"-1\r\n", NULL, NULL},
        {"+1\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {" 1\r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1 \r\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1_0\r\n", NULL, NULL},
        {"1,1\r\n", NULL, NULL},
        {"fffffffffffffffff\r\n", NULL, NULL},
        {"00000000000000000001\r\nx\r\n0\r\n\r\n", NULL, NULL},
        /* ends of lines */
        {"1\nx\r\n0\r\n\r\n", NULL, NULL},
        {"1\rx\r\n0\r\n\r\n", NULL, NULL},
        {"1\r\nx\n0\r\n\r\n", NULL, NULL},
        {"1\r\nx0\r\n\r\n", NULL, NULL},
        {"1\r\nxy\r\n0\r\n\r\n", NULL, NULL},
        {"1\r\nx\r0\r\n\r\n", NULL, NULL},
        {"0\n\n", NULL, NULL},
        {"0\r\n\n", NULL, NULL},
        {"0\r\n\rX", NULL, NULL},
        /* the trailer */
        {"0\r\nA: b\r\nC:\r\n\r\nx", "0\r\n\r\n", "x"},
        {"0\r\n:\r\n\r\n", NULL, NULL},
        {"0\r\n a: b\r\n\r\n", NULL, NULL},
        {"0\r\na\r\n\r\n", NULL, NULL},
        {"0\r\na : b\r\n\r\n", NULL, NULL},
        {"0\r\na: \x01\r\n\r\n", NULL, NULL},
        {"0\r\na: b\n\r\n", NULL, NULL},
        {"0\r\na: b\r\n c\r\n\r\n", NULL, NULL},
        {"0\r\nGET / HTTP/1.1\r\n\r\n", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = strlen(rows[i].bytes), used;
        char passed[64];
        for (size_t cut = 0; cut <= size; cut++) {
            enum chunk_state end = read_cut(rows[i].bytes, size, cut, passed, &used);
            if (end != (rows[i].passed != NULL ? CHUNK_DONE : CHUNK_BAD) &&
                (rows[i].passed != NULL || end == CHUNK_DONE))
                fail_msg("row %zu, cut at %zu: %d", i, cut, (int)end);
            if (rows[i].passed == NULL)
                continue;
            assert_string_equal(passed, rows[i].passed);
            assert_string_equal(rows[i].bytes + used, rows[i].rest);
        }
    }
}

static enum chunk_state read_filled(const char *before, char filler, size_t count)
{
    static char bytes[16384];
    struct chunks chunks;
    size_t used, size = strlen(before);
    memcpy(bytes, before, size);
    memset(bytes + size, filler, count);
    chunks_begin(&chunks);
    (void)chunks_read(&chunks, bytes, size + count, &used);
    return chunks.state;
}

static void what_is_left_out_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(read_filled("1;", 'a', 1000), CHUNK_NAME);
    assert_int_equal(read_filled("1;", 'a', 1100), CHUNK_BAD);
    assert_int_equal(read_filled("0\r\na:", 'a', 8000), CHUNK_TRAILER_VALUE);
    assert_int_equal(read_filled("0\r\na:", 'a', 8200), CHUNK_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_and_others),
        cmocka_unit_test(what_is_left_out_is_bounded),
    };
    return cmocka_run_group_tests_name("chunks", tests, group_edges_open, group_edges_close);
}
