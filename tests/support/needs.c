/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/needs.h"

bool command_is_there(const char *command)
{
    char check[64];
    snprintf(check, sizeof check, "command -v %s >/dev/null", command);
    return system(check) == 0;
}

void need_command(const char *command)
{
    if (command_is_there(command))
        return;
    print_message("skipped: there is no %s\n", command);
    skip();
}
