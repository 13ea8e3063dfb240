/* SPDX-License-Identifier: MIT */
/* The sockets jobd listens on: TCP, unix, or handed over by systemd (sd_listen_fds(3)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct problem;

enum { LISTENERS_MAX = 16, LISTENER_NAME_SIZE = 160, LISTEN_SOCKET_MODE = 0660 };

struct listener {
    int fd;
    bool local;                    /* a unix socket: guarded by its file mode */
    bool loopback;                 /* reached from this machine only */
    char name[LISTENER_NAME_SIZE]; /* as people write it, with the real port */
    dev_t device;                  /* of our own socket file, removed at the end */
    ino_t inode;
};

struct listeners {
    mode_t socket_mode; /* of a socket file, for listen_open(); 0: LISTEN_SOCKET_MODE */
    struct listener of[LISTENERS_MAX];
    unsigned len;
    bool handed_over; /* by systemd: the address was not looked at */
};

enum listen_result {
    LISTEN_OK,
    LISTEN_WRONG,  /* the address is not one, or is not allowed: the user's mistake */
    LISTEN_REFUSED /* the system says no */
};

/* Is `address` one of HOST:PORT, :PORT, [IPV6]:PORT, unix:PATH? Looks nothing up. */
bool listen_address_valid(const char *address);

/* Opens the sockets that systemd handed over, or else those that `address` names (a host name may
 * have several). `open`: also addresses that other machines can reach, and not only loopback and
 * unix sockets. On any error none is open, and `problem` names the address. May block on the lookup
 * of a name. Before there is another thread: a unix socket gets the mode of its file by the
 * process's umask. */
enum listen_result listen_open(struct listeners *listeners, const char *address, bool open,
                               struct problem *problem);

/* Would listen_open() be allowed to open `address`? Opens nothing; `problem` as there. May block on
 * the lookup of a name. */
enum listen_result listen_check(const char *address, bool open, struct problem *problem);

/* The path of the socket file that we made and must remove; NULL: there is none. */
const char *listen_own_file(const struct listeners *listeners);

/* Removes our own socket files; touches nothing else, so any thread may still be listening. */
void listen_remove_files(const struct listeners *listeners);

/* Removes them and closes all. */
void listen_close(struct listeners *listeners);
