/* SPDX-License-Identifier: MIT */
/* What a callback tells. */
#pragma once

#include "run/callbacks.h"

/* A callback_render, for which `context` is the struct api: the source's JSON as GET shows it; a
 * job's with its output as `output`, when that is UTF-8 and at most 4 KiB large. */
enum callback_body callback_body(void *context, uint64_t delivery, struct jobd_blob **body);
