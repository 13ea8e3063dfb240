/* SPDX-License-Identifier: MIT */
#include "http/rows_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct raw raw;

void ask_rows(const struct server *server, const struct row *rows, size_t len)
{
    size_t wrong = 0;
    for (size_t i = 0; i < len; i++) {
        int status = raw_ask(server, rows[i].request, &raw);
        /* One answer, with one status line; a body may speak of HTTP. */
        if (status == rows[i].status && strstr(raw.text + 1, "\nHTTP/1.1 ") == NULL &&
            strstr(raw.text, "\r\nDate: ") != NULL)
            continue;
        print_error("%d, not %d, for:\n%s\nit said:\n%s\n", status, rows[i].status, rows[i].request,
                    raw.text);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}
