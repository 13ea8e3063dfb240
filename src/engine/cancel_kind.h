/* SPDX-License-Identifier: MIT */
#pragma once

#include "engine/changes.h"

/* The change of jobs that wait, and were withdrawn, when they are cancelled. */
extern const struct change_kind cancel_kind;
