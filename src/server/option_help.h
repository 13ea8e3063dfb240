/* SPDX-License-Identifier: MIT */
/* --help, made from the tables of options. */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct option_spec;

/* The server's whole help: usage, and its options in groups, in lines of at most 80 columns. */
void options_help(FILE *out);
/* The options of a table, each group under its heading. */
void option_help_table(FILE *out, const struct option_spec *specs, size_t len);
