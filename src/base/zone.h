/* SPDX-License-Identifier: MIT */
/* Time zones by their IANA names, from the system's data: `Europe/Paris`.
 *
 * The files in /usr/share/zoneinfo are read here, as RFC 9636 describes them (TZif, versions 1 to
 * 4): moments at which the clock changed or is known to, and behind the last of them a rule for all
 * years to come (zone_rule.h). libc reads the same files, but for the one zone of the process,
 * which is changed by setenv(): no two threads could look at two zones.
 *
 * A zone is read once and never changes: any number of threads may share it, without a lock. Only
 * zone_open() does I/O. A file of the system's is 4 KiB large at most, and so is its zone.
 *
 * UTC and Etc/UTC need no file. Where no data is installed, as in a container image that holds jobd
 * alone, no other zone is known, unless the image has /usr/share/zoneinfo too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

struct zone;

enum { ZONE_NAME_MAX = 64, ZONE_FILE_MAX = 65536 }; /* bytes */

/* A name is letters, digits and `_ + - /`; each part begins with a letter or digit, the first with
 * a capital: none leads out of the directory, or to what else is in it (`posix/`, `right/` with its
 * leap seconds, `localtime`). Which letters are capitals matters.
 *
 * 0; or, with `problem` set and `zone` untouched:
 *     -EINVAL              the name is none, too long, or not known here
 *     -EBADMSG             its file is damaged, or counts leap seconds
 *     another -errno       memory is short, or the file cannot be read */
__attribute__((warn_unused_result)) int zone_open(struct zone **zone, const char *name,
                                                  struct problem *problem);

/* The same from the bytes of a file. */
__attribute__((warn_unused_result)) int zone_parse(struct zone **zone, const unsigned char *bytes,
                                                   size_t size, struct problem *problem);

/* Takes NULL. */
void zone_free(struct zone *zone);

/* While the clock shows UTC + offset_s: [begin_s, end_s), in seconds since 1970. The next span may
 * have the same offset. Without a beginning or an end they are -ZONE_FOREVER_S and ZONE_FOREVER_S.
 */
struct zone_span {
    int64_t begin_s, end_s;
    int32_t offset_s;
};

#define ZONE_FOREVER_S (INT64_MAX / 4)

/* The span of a moment within -ZONE_FOREVER_S and ZONE_FOREVER_S. Does no I/O, takes no lock, and
 * some dozen steps. */
struct zone_span zone_span(const struct zone *zone, int64_t s);
