/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct option_spec;

/* The options in groups, in lines of at most 80 columns. */
void options_help(FILE *out);
/* The rows of a table so, each group under its heading. */
void option_help_table(FILE *out, const struct option_spec *specs, size_t len);
