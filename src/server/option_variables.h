/* SPDX-License-Identifier: MIT */
/* Environment variables that look like options and are not: somebody believes that they have an
 * effect. */
#pragma once

#include <stddef.h>

struct option_spec;

/* Who reads variables, and which. */
struct variable_reader {
    const struct option_spec *specs;
    size_t len;
    /* `work`: only its rows with OPTION_VARIABLE are variables, of the others it is said that they
     * are not. NULL: the server. */
    const char *command;
};

/* Logs a warning for each variable that seems to be meant as an option. Not for those of the
 * server's own options, those that commands are given, and those that Kubernetes and Docker set for
 * a service named jobd. */
void variables_warn(const struct variable_reader *reader);
