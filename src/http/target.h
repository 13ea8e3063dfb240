/* SPDX-License-Identifier: MIT */
/* The target of a request line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* As it came: how many bytes at the front may stand in a target. That is visible ASCII (RFC 3986,
 * section 2), without a fragment and without an encoded NUL. The text must have a byte that may
 * not, such as a space. */
size_t target_count(const char *text);
/* A host as in the Host field (RFC 9110, section 7.2), perhaps with a port: a name of letters,
 * digits, -._~ and %XX, or an address in brackets? */
bool target_is_host(const char *text, size_t size);
/* As it came: when it is a whole URI, is its authority such a host, and nothing else (RFC 9110,
 * sections 4.2.1 and 4.2.4)? */
bool target_host_is_sound(const char *target, size_t size);

/* As it came: is it a whole URI, with an authority (RFC 9112, section 3.2.2)? Decoded, a path may
 * look like one. */
bool target_is_whole(const char *target);

/* The authority in one that is whole. */
const char *target_authority(const char *target, size_t *size);

/* Decodes a path without a query in place; returns the new length. An encoded slash stays encoded:
 * it is a byte of its segment, never a separator (RFC 3986, section 2.2), or else a proxy that lets
 * only some paths pass could be bypassed. The authority of a whole URI stays as it is. */
size_t target_decode(char *target, bool whole);
