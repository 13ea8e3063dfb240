/* SPDX-License-Identifier: MIT */
/* The changes of jobs that wait, and were withdrawn, when they are cancelled. */
#pragma once

#include "engine/changes.h"

/* Somebody asks for it. */
extern const struct change_kind cancel_kind;
/* A job that it waits for has failed, or its time is over. Nobody asks for these two, so they are
 * tried until they are written. */
extern const struct change_kind orphan_kind, expire_kind;
