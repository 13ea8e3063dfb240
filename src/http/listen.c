/* SPDX-License-Identifier: MIT */
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/problem.h"
#include "base/text.h"
#include "base/url.h"

enum { SYSTEMD_FIRST_FD = 3, BACKLOG = 4096 };

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
};

/* ---- what people write */

struct host_port {
    char host[128]; /* "": all interfaces */
    char port[8];
    uint16_t number;
};

static bool split(const char *address, struct host_port *parts)
{
    const char *colon = strrchr(address, ':');
    uint64_t port;
    if (colon == NULL || !text_to_number(colon + 1, 65535, &port))
        return false;
    const char *host = address;
    size_t length = (size_t)(colon - address);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
        if (length == 0)
            return false;
    } else if (memchr(host, ':', length) != NULL || memchr(host, '[', length) != NULL) {
        return false;
    }
    if (length >= sizeof parts->host)
        return false;
    memcpy(parts->host, host, length);
    parts->host[length] = '\0';
    parts->number = (uint16_t)port;
    snprintf(parts->port, sizeof parts->port, "%u", parts->number);
    return true;
}

bool listen_address_valid(const char *address)
{
    const char *path = url_unix_path(address);
    struct host_port parts;
    if (path != NULL)
        return path[0] != '\0' && strlen(path) < sizeof((struct sockaddr_un *)NULL)->sun_path;
    return split(address, &parts);
}

/* ---- what the system says */

static bool is_loopback(const union socket_address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (address->any.sa_family != AF_INET6)
        return false;
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

/* Fills in the listener from the socket itself: also right for port 0 and handed-over sockets. */
static int describe(struct listener *listener)
{
    union socket_address address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(listener->fd, &address.any, &size) != 0)
        return -errno;
    listener->local = address.any.sa_family == AF_UNIX;
    listener->loopback = is_loopback(&address);
    char host[INET6_ADDRSTRLEN] = "?";
    if (address.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host);
        snprintf(listener->name, sizeof listener->name, "%s:%u", host, ntohs(address.v4.sin_port));
    } else if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host);
        snprintf(listener->name, sizeof listener->name, "[%s]:%u", host,
                 ntohs(address.v6.sin6_port));
    } else if (listener->local) {
        snprintf(listener->name, sizeof listener->name, "unix:%s", address.local.sun_path);
    } else {
        return -EAFNOSUPPORT;
    }
    return 0;
}

static enum listen_result refused(struct problem *problem, const char *address, int number)
{
    char shown[LISTENER_NAME_SIZE];
    problem_set(problem, "%s: %s", text_printable(address, shown, sizeof shown), strerror(number));
    return LISTEN_REFUSED;
}

static enum listen_result not_open(struct problem *problem, const char *name)
{
    problem_set(
        problem,
        "%s can be reached from other machines: this needs --token-file, or --open, by which you "
        "say that whoever reaches the port may put jobs",
        name);
    return LISTEN_WRONG;
}

static enum listen_result add(struct listeners *listeners, int fd, bool open,
                              struct problem *problem)
{
    struct listener *listener = &listeners->of[listeners->len];
    *listener = (struct listener){.fd = fd};
    int error = describe(listener);
    if (error != 0) {
        close(fd);
        return refused(problem, "a listening socket", -error);
    }
    if (!listener->local && !listener->loopback && !open) {
        close(fd);
        return not_open(problem, listener->name);
    }
    listeners->len++;
    return LISTEN_OK;
}

/* ---- systemd */

static unsigned handed_over(void)
{
    uint64_t pid, count;
    const char *for_pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    if (for_pid == NULL || fds == NULL || !text_to_number(for_pid, INT32_MAX, &pid) ||
        pid != (uint64_t)getpid() || !text_to_number(fds, INT32_MAX, &count))
        return 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return (unsigned)count;
}

static enum listen_result take_over(struct listeners *listeners, unsigned count, bool open,
                                    struct problem *problem)
{
    if (count > LISTENERS_MAX) {
        problem_set(problem, "%u sockets; at most %d are allowed", count, LISTENERS_MAX);
        return LISTEN_WRONG;
    }
    for (int fd = SYSTEMD_FIRST_FD; fd < SYSTEMD_FIRST_FD + (int)count; fd++) {
        int listening = 0, type = 0;
        socklen_t size = sizeof listening;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
            problem_set(problem, "descriptor %d is not a listening stream socket", fd);
            return LISTEN_WRONG;
        }
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
            return refused(problem, "a listening socket", errno);
        enum listen_result result = add(listeners, fd, open, problem);
        if (result != LISTEN_OK)
            return result;
    }
    return LISTEN_OK;
}

/* ---- unix sockets */

/* The path fits: listen_address_valid() has seen to that. */
static union socket_address unix_address(const char *path)
{
    union socket_address address = {.local = {.sun_family = AF_UNIX}};
    snprintf(address.local.sun_path, sizeof address.local.sun_path, "%s", path);
    return address;
}

static bool is_listened_on(const char *path)
{
    union socket_address address = unix_address(path);
    /* A server that is too busy to accept is there all the same, so this must not wait for it. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refuses =
        fd >= 0 && connect(fd, &address.any, sizeof address.local) != 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return !refuses;
}

/* Removes a socket file that nobody listens on any more. 0 or -errno. */
static int remove_stale(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    if (is_listened_on(path))
        return -EADDRINUSE;
    return unlink(path) == 0 ? 0 : -errno;
}

/* Binds so that the file has its mode from the first moment. 0 or -errno. */
static int bind_unix(int fd, const union socket_address *address, mode_t mode)
{
    const mode_t former = umask(~mode & 0777);
    int error = bind(fd, &address->any, sizeof address->local) == 0 ? 0 : -errno;
    (void)umask(former);
    return error;
}

static enum listen_result open_unix(struct listeners *listeners, const char *path, bool open,
                                    struct problem *problem)
{
    union socket_address address = unix_address(path);
    int error = remove_stale(path);
    if (error != 0)
        return refused(problem, path, -error);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refused(problem, path, errno);
    struct stat status = {.st_mode = 0};
    error = bind_unix(fd, &address,
                      listeners->socket_mode != 0 ? listeners->socket_mode : LISTEN_SOCKET_MODE);
    if (error == 0 && (listen(fd, BACKLOG) != 0 || lstat(path, &status) != 0))
        error = -errno;
    if (error != 0) {
        close(fd);
        return refused(problem, path, -error);
    }
    enum listen_result result = add(listeners, fd, open, problem);
    if (result == LISTEN_OK) {
        listeners->of[listeners->len - 1].device = status.st_dev;
        listeners->of[listeners->len - 1].inode = status.st_ino;
    }
    return result;
}

/* ---- TCP */

static void set_port(union socket_address *address, in_port_t port)
{
    if (address->any.sa_family == AF_INET)
        address->v4.sin_port = port;
    else
        address->v6.sin6_port = port;
}

static in_port_t port_of(int fd)
{
    union socket_address address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    return address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port;
}

/* A listening socket, or -errno. */
static int open_tcp(const union socket_address *address, socklen_t size, bool all_interfaces)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int yes = 1, v6_only = !all_interfaces;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        (address->any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) != 0) ||
        bind(fd, &address->any, size) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static enum listen_result open_all_interfaces(struct listeners *listeners, const char *name,
                                              in_port_t port, bool open, struct problem *problem)
{
    union socket_address address = {.v6 = {.sin6_family = AF_INET6, .sin6_port = port}};
    if (!open)
        return not_open(problem, name);
    int fd = open_tcp(&address, sizeof address.v6, true);
    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) { /* a machine without IPv6 */
        address = (union socket_address){.v4 = {.sin_family = AF_INET, .sin_port = port}};
        fd = open_tcp(&address, sizeof address.v4, true);
    }
    return fd < 0 ? refused(problem, name, -fd) : add(listeners, fd, open, problem);
}

/* A name can have the same address twice. */
static bool seen_before(const struct addrinfo *found, const struct addrinfo *at)
{
    for (; found != at; found = found->ai_next)
        if (found->ai_addrlen == at->ai_addrlen &&
            memcmp(found->ai_addr, at->ai_addr, at->ai_addrlen) == 0)
            return true;
    return false;
}

static enum listen_result open_host(struct listeners *listeners, const char *name,
                                    const struct addrinfo *found, bool open,
                                    struct problem *problem)
{
    in_port_t port = 0; /* with port 0, the one the first address got */
    int error = 0;
    for (const struct addrinfo *at = found; at != NULL && listeners->len < LISTENERS_MAX;
         at = at->ai_next) {
        union socket_address address;
        if (seen_before(found, at))
            continue;
        memcpy(&address, at->ai_addr, at->ai_addrlen);
        if (!is_loopback(&address) && !open)
            return not_open(problem, name);
        if (port != 0)
            set_port(&address, port);
        int fd = open_tcp(&address, at->ai_addrlen, false);
        if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT) {
            error = -fd; /* of a name's several addresses, one may not exist here */
            continue;
        }
        if (fd < 0)
            return refused(problem, name, -fd);
        enum listen_result result = add(listeners, fd, open, problem);
        if (result != LISTEN_OK)
            return result;
        port = port_of(fd);
    }
    return listeners->len > 0 ? LISTEN_OK : refused(problem, name, error);
}

static enum listen_result not_an_address(struct problem *problem)
{
    problem_set(problem, "not an address to listen on");
    return LISTEN_WRONG;
}

/* The caller frees *found; it is NULL on error. */
static enum listen_result resolve(const char *address, const struct host_port *parts, int flags,
                                  struct addrinfo **found, struct problem *problem)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    *found = NULL;
    int code = getaddrinfo(parts->host, parts->port, &hints, found);
    if (code == 0)
        return LISTEN_OK;
    *found = NULL;
    problem_set(problem, "%s: %s", address, gai_strerror(code));
    bool passing = code == EAI_SYSTEM || code == EAI_AGAIN || code == EAI_MEMORY;
    return passing ? LISTEN_REFUSED : LISTEN_WRONG;
}

static enum listen_result open_address(struct listeners *listeners, const char *address, bool open,
                                       struct problem *problem)
{
    struct host_port parts = {.number = 0};
    const char *path = url_unix_path(address);
    if (path != NULL)
        return open_unix(listeners, path, open, problem);
    if (!split(address, &parts))
        return not_an_address(problem);
    if (parts.host[0] == '\0')
        return open_all_interfaces(listeners, address, htons(parts.number), open, problem);
    struct addrinfo *found;
    enum listen_result result = resolve(address, &parts, AI_PASSIVE, &found, problem);
    if (found == NULL)
        return result;
    result = open_host(listeners, address, found, open, problem);
    freeaddrinfo(found);
    return result;
}

/* ---- the door */

enum listen_result listen_open(struct listeners *listeners, const char *address, bool open,
                               struct problem *problem)
{
    listeners->len = 0;
    unsigned count = handed_over();
    listeners->handed_over = count > 0;
    enum listen_result result = count > 0 ? take_over(listeners, count, open, problem)
                                          : open_address(listeners, address, open, problem);
    if (result != LISTEN_OK)
        listen_close(listeners);
    return result;
}

enum listen_result listen_check(const char *address, bool open, struct problem *problem)
{
    struct host_port parts = {.number = 0};
    if (url_unix_path(address) != NULL || open)
        return LISTEN_OK;
    if (!split(address, &parts))
        return not_an_address(problem);
    if (parts.host[0] == '\0')
        return not_open(problem, address);
    struct addrinfo *found;
    enum listen_result result = resolve(address, &parts, AI_PASSIVE, &found, problem);
    for (const struct addrinfo *at = found; at != NULL && result == LISTEN_OK; at = at->ai_next) {
        union socket_address place;
        memcpy(&place, at->ai_addr, at->ai_addrlen);
        if (!is_loopback(&place))
            result = not_open(problem, address);
    }
    if (found != NULL)
        freeaddrinfo(found);
    return result;
}

const char *listen_own_file(const struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->len; i++)
        if (listeners->of[i].inode != 0 && url_unix_path(listeners->of[i].name) != NULL)
            return url_unix_path(listeners->of[i].name);
    return NULL;
}

void listen_remove_files(const struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->len; i++) {
        const struct listener *listener = &listeners->of[i];
        const char *path = url_unix_path(listener->name);
        struct stat status;
        if (path != NULL && listener->inode != 0 && lstat(path, &status) == 0 &&
            status.st_dev == listener->device && status.st_ino == listener->inode)
            unlink(path);
    }
}

void listen_close(struct listeners *listeners)
{
    listen_remove_files(listeners);
    for (unsigned i = 0; i < listeners->len; i++)
        close(listeners->of[i].fd);
    listeners->len = 0;
}
