/* SPDX-License-Identifier: MIT */
/* The page at /, whose files are in src/api/page and become part of the program. */
#pragma once

/* Once, before it is served. */
void page_init(void);
