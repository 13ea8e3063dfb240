/* SPDX-License-Identifier: MIT */
/* Which URLs begin with a prefix, such as https://app.example/hooks: parsed, and not compared as
 * text, so that no spelling leads elsewhere. No state, any thread.
 *
 *     scheme    the same, http or https
 *     host      the same in lower case and without a dot at its end; an address of IPv4 or IPv6 as
 *               the address that it is: 127.1 is 127.0.0.1, [0::1] is [::1]
 *     port      the same; none is the scheme's own
 *     path      the prefix's whole segments come first: /hooks allows /hooks and /hooks/a, and not
 *               /hooksevil; a prefix that ends with / allows what is below it alone
 *     query     any
 *
 * Both are refused if they have anything that programs read differently: user names and passwords,
 * fragments, backslashes, blanks, control characters, bytes that are not ASCII, percent signs in
 * the host, hosts that end in a number and are no address, segments . and .. (also with a ;
 * behind), and percent-encoded dots, slashes, backslashes, percent signs and control characters in
 * the path. */
#pragma once

#include <stdbool.h>

enum { URL_PREFIX_MAX = 2048 }; /* bytes of either */

/* Can it be a prefix? It has no query. */
bool url_prefix_ok(const char *prefix);
/* Is it a URL that may be allowed by one? */
bool url_prefix_url_ok(const char *url);
/* Does the URL begin with that prefix? False also when one of them is not ok. */
bool url_prefix_allows(const char *prefix, const char *url);
