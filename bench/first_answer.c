/* SPDX-License-Identifier: MIT */
/* Starts a server again and again and says how many µs lie between its exec and its first answer.
 *
 *     first_answer TIMES PORT PATH COMMAND [ARGUMENT...]
 *
 * Asks without a pause between two tries, so that the figure is the server's and not a timer's. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool answered(uint16_t port, const char *path)
{
    char text[256];
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = false;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
        int length =
            snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        good = send(fd, text, (size_t)length, MSG_NOSIGNAL) == length &&
               recv(fd, text, sizeof text, 0) > 0;
    }
    close(fd);
    return good;
}

/* The child is made before the clock is read: what the fork costs is not the server's. */
static int64_t once(uint16_t port, const char *path, char **command)
{
    int go[2], status;
    if (pipe2(go, O_CLOEXEC) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        char byte;
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        if (read(go[0], &byte, 1) == 1)
            execvp(command[0], command);
        _exit(127);
    }
    usleep(20000);
    int64_t start_us = now_us(), took_us = -1;
    bool lives = child > 0 && write(go[1], "x", 1) == 1;
    while (lives && took_us < 0 && now_us() < start_us + 10000000) {
        if (answered(port, path))
            took_us = now_us() - start_us;
        else if (waitpid(child, &status, WNOHANG) == child)
            lives = false;
    }
    if (lives) {
        kill(child, SIGTERM);
        waitpid(child, &status, 0);
    }
    close(go[0]);
    close(go[1]);
    return took_us;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("Usage: first_answer TIMES PORT PATH COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    for (unsigned long i = strtoul(argv[1], NULL, 10); i > 0; i--) {
        int64_t took_us = once((uint16_t)strtoul(argv[2], NULL, 10), argv[3], argv + 4);
        if (took_us < 0) {
            fprintf(stderr, "first_answer: %s did not answer\n", argv[4]);
            return 1;
        }
        printf("%lld\n", (long long)took_us);
    }
    return 0;
}
