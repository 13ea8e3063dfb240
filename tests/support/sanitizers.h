/* SPDX-License-Identifier: MIT */
/* Is what is tested built with AddressSanitizer or ThreadSanitizer? They replace malloc(), keep
 * memory that was freed, and do not start behind a library that is preloaded. */
#pragma once

#ifndef __SANITIZE_ADDRESS__
#define __SANITIZE_ADDRESS__ 0
#endif
#ifndef __SANITIZE_THREAD__
#define __SANITIZE_THREAD__ 0
#endif
#define SANITIZERS (__SANITIZE_ADDRESS__ + __SANITIZE_THREAD__)
