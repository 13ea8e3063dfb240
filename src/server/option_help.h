/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>

/* The options in groups, in lines of at most 80 columns. */
void options_help(FILE *out);
