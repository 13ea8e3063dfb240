/* SPDX-License-Identifier: MIT */
/* Tells the service manager about the server's state, as sd_notify(3) does: lines in a datagram to
 * the socket that NOTIFY_SOCKET names, a path or, with @ in front, an abstract name. That is one
 * call of sendto(2), so libsystemd is not needed. Without that variable nothing is done; what
 * cannot be sent is lost. The main thread; nothing blocks. */
#pragma once

/* Serves, or serves again after notify_reloading(); `status` is a line for `systemctl status`. */
void notify_ready(const char *status);
/* Reads its settings again. */
void notify_reloading(void);
/* Drains. */
__attribute__((format(printf, 1, 2))) void notify_stopping(const char *format, ...);
