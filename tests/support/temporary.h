/* SPDX-License-Identifier: MIT */
/* Files of a test's own. All of it is for the test's own thread; server_stop_all() removes it. */
#pragma once

/* With all in it. */
const char *temporary_directory(void);
/* Writes a file there; its path, valid as long as the file. */
const char *temporary_file(const char *name, const char *text);
/* unix:PATH there, for --listen. */
const char *temporary_socket(void);

void temporary_remove_all(void);
