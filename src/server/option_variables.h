/* SPDX-License-Identifier: MIT */
/* Variables that look like options and are none: they mean nothing, and somebody believes that they
 * do. */
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

/* Logs each that is meant as an option. Those of the server, of commands, and what Kubernetes and
 * Docker make of a service named jobd, are not. */
void variables_warn(const struct variable_reader *reader);
