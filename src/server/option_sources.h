/* SPDX-License-Identifier: MIT */
/* The options from all their sources: command line over environment over configuration file over
 * defaults. */
#pragma once

#include "base/problem.h"
#include "server/options.h"

/* Reads all sources. False when something is wrong: then `problem` says what, where, and what is
 * allowed, and nothing needs releasing. Blocks on the file. */
bool options_read(struct options *options, int argc, char **argv, struct problem *problem);
