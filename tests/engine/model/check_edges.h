/* SPDX-License-Identifier: MIT */
/* The part of check_engine() that is about who waits for whose end. */
#pragma once

#include <stddef.h>

#include "engine/engine.h"

/* Bytes that the records of parents count for. */
size_t check_edges(struct jobd *jobd) REQUIRES(jobd->lock);
