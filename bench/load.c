/* SPDX-License-Identifier: MIT */
/* A small load client for what wrk cannot do: other protocols, a fixed rate, held connections,
 * requests in two steps, and the time from a put to the line that its worker writes.
 *
 * One thread, epoll, keep-alive. With --rate the time of a request counts from when it was due, not
 * from when a connection was free for it: a slow server cannot hide by slowing the client. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"
#include "pairs.h"
#include "talk.h"

#define SECOND_NS INT64_C(1000000000)

enum { STATUSES = 600, EVENTS = 512 };

struct connection {
    int fd;
    bool busy;
    int64_t since_ns; /* when its operation was due */
    struct talk talk;
};

static struct {
    unsigned connections, port;
    double warm_s, seconds, rate;
    uint64_t count; /* ends after so many operations; 0: after the time */
    bool hold;      /* one operation a connection; all stay open until standard input ends */
    bool lines;     /* standard input has a line `done job <id>` for each job that has run */
} wanted = {.connections = 1, .seconds = 1};

static int poller;
static struct connection *all, **idle;
static unsigned idle_len;
static bool measuring;
static int64_t window_ns, window_end_ns; /* `--count` knows no end */
static uint64_t asked, ended, errors, statuses[STATUSES];
static struct latency took, started;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void dial(struct connection *connection)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)wanted.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        die("connection");
}

/* A lost connection is an error of the run, never dialled again: a run with errors does not count.
 */
static void lose(struct connection *connection)
{
    errors++;
    close(connection->fd);
    connection->fd = -1;
}

/* Requests are short: what does not fit into an empty socket buffer is an error. */
static void send_out(struct connection *connection)
{
    struct talk *talk = &connection->talk;
    ssize_t sent = send(connection->fd, talk->out, talk->out_len, MSG_NOSIGNAL);
    if (sent != (ssize_t)talk->out_len)
        lose(connection);
}

static void begin(struct connection *connection, int64_t due_ns)
{
    connection->busy = true;
    connection->since_ns = due_ns;
    talk_ask(&connection->talk);
    send_out(connection);
    asked++;
}

static void pair(uint64_t job, int64_t at_ns, bool is_line)
{
    int64_t other_ns;
    if (pairs_meet(job, at_ns, &other_ns) && measuring)
        latency_add(&started, is_line ? at_ns - other_ns : other_ns - at_ns);
}

static void end(struct connection *connection)
{
    int64_t now = now_ns();
    connection->busy = false;
    if (measuring) {
        statuses[connection->talk.status % STATUSES]++;
        ended++;
        latency_add(&took, now - connection->since_ns);
    }
    if (wanted.lines && connection->talk.status == 202)
        pair(connection->talk.job, connection->since_ns, false);
    if (wanted.hold)
        ended++;
    else if (wanted.rate > 0)
        idle[idle_len++] = connection;
    else if (wanted.count == 0 || asked < wanted.count)
        begin(connection, now);
}

static void receive(struct connection *connection)
{
    struct talk *talk = &connection->talk;
    ssize_t got = recv(connection->fd, talk->in + talk->in_len, TALK_IN - talk->in_len, 0);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            lose(connection);
        return;
    }
    talk->in_len += (size_t)got;
    switch (talk_hear(talk)) {
    case TALK_MORE:
        break;
    case TALK_AGAIN:
        send_out(connection);
        break;
    case TALK_ENDED:
        end(connection);
        break;
    case TALK_BROKEN:
        lose(connection);
        break;
    }
}

/* False at the end of standard input. */
static bool read_lines(void)
{
    static char text[65536];
    static size_t length;
    int64_t now = now_ns();
    ssize_t got = read(STDIN_FILENO, text + length, sizeof text - length);
    if (got <= 0)
        return false;
    length += (size_t)got;
    char *line = text;
    for (char *newline; (newline = memchr(line, '\n', (size_t)(text + length - line))) != NULL;
         line = newline + 1)
        if (strncmp(line, "done job ", 9) == 0)
            pair(strtoull(line + 9, NULL, 10), now, true);
    length -= (size_t)(line - text);
    memmove(text, line, length);
    return true;
}

/* Sends what is due by now, and says how long until something is. */
static int64_t pace(int64_t start_ns, int64_t now)
{
    uint64_t due = (uint64_t)((double)(now - start_ns) / 1e9 * wanted.rate);
    while (asked < due && idle_len > 0)
        begin(idle[--idle_len], start_ns + (int64_t)((double)(asked + 1) / wanted.rate * 1e9));
    return start_ns + (int64_t)((double)(due + 1) / wanted.rate * 1e9) - now;
}

static void open_window(int64_t now)
{
    measuring = true;
    window_ns = now;
    window_end_ns = wanted.count > 0 ? INT64_MAX : now + (int64_t)(wanted.seconds * 1e9);
    puts("window"); /* whoever measures the server looks at it now */
    fflush(stdout);
}

static void report(void)
{
    printf("seconds %.6f\noperations %" PRIu64 "\nerrors %" PRIu64 "\n",
           (double)(now_ns() - window_ns) / 1e9, ended, errors);
    for (unsigned i = 0; i < STATUSES; i++)
        if (statuses[i] > 0)
            printf("status_%u %" PRIu64 "\n", i, statuses[i]);
    const struct {
        const char *name;
        const struct latency *of;
    } times[] = {{"took", &took}, {"started", &started}};
    for (size_t i = 0; i < 2; i++)
        if (times[i].of->count > 0)
            printf("%s_count %" PRIu64 "\n%s_p50 %.1f\n%s_p90 %.1f\n%s_p99 %.1f\n%s_p999 %.1f\n"
                   "%s_max %.1f\n",
                   times[i].name, times[i].of->count, times[i].name,
                   latency_permille_us(times[i].of, 500), times[i].name,
                   latency_permille_us(times[i].of, 900), times[i].name,
                   latency_permille_us(times[i].of, 990), times[i].name,
                   latency_permille_us(times[i].of, 999), times[i].name,
                   (double)times[i].of->max_ns / 1000);
}

static void start(int64_t now)
{
    for (unsigned i = 0; i < wanted.connections; i++)
        if (wanted.rate > 0)
            idle[idle_len++] = &all[i];
        else if (wanted.count == 0 || asked < wanted.count)
            begin(&all[i], now);
    if (wanted.hold) {
        printf("asked %" PRIu64 "\n", asked);
        fflush(stdout);
    }
}

static bool over(int64_t now)
{
    if (wanted.hold)
        return false;
    return errors == wanted.connections || (measuring && now >= window_end_ns) ||
           (wanted.count > 0 && ended + errors >= wanted.count);
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    int64_t begun_ns = now_ns(), warm_ns = begun_ns + (int64_t)(wanted.warm_s * 1e9);
    bool said = false;
    if (!wanted.hold && wanted.warm_s <= 0)
        open_window(begun_ns);
    start(begun_ns);
    for (int64_t now = begun_ns; !over(now); now = now_ns()) {
        int64_t wait_ns = 10000000;
        if (!measuring && !wanted.hold && now >= warm_ns)
            open_window(now);
        if (wanted.rate > 0) {
            int64_t next_ns = pace(begun_ns, now);
            wait_ns = next_ns < 0 ? 0 : next_ns < wait_ns ? next_ns : wait_ns;
        }
        int ready =
            epoll_pwait2(poller, events, EVENTS, &(struct timespec){.tv_nsec = wait_ns}, NULL);
        for (int i = 0; i < ready; i++)
            if (events[i].data.ptr != NULL)
                receive(events[i].data.ptr);
            else if (!read_lines())
                return;
        if (wanted.hold && !said && ended + errors == wanted.connections) {
            printf("answered %" PRIu64 "\n", ended);
            fflush(stdout);
            said = true;
        }
    }
}

static const char usage[] =
    "Usage: load [options] PORT [PATH]\n"
    "  -p PROTOCOL  http, or beanstalkd's put or take [http]\n"
    "  -n N         connections [1]\n"
    "  -w SECONDS   warm-up [0]\n"
    "  -d SECONDS   the measured window [1]\n"
    "  -c COUNT     so many operations, in place of a time\n"
    "  -r RATE      operations a second in all [as many as are answered]\n"
    "  -m METHOD    [GET]\n"
    "  -s BYTES     of a POST or put [0]\n"
    "  -b LINES     a POST has so many lines of so many bytes\n"
    "  -j           asks for JSON\n"
    "  -f METHOD    then ask this of the Location that was answered\n"
    "  -F SUFFIX    is added to that Location\n"
    "  -e PATH      then end all leases of the reply there, which must be JSON\n"
    "  -H           one operation a connection; stay open until standard input ends\n"
    "  -l           standard input has the lines of jobs that have run\n";

int main(int argc, char **argv)
{
    char host[32];
    struct talk_plan plan = {.protocol = "http", .method = "GET", .path = "/", .suffix = ""};
    for (int option; (option = getopt(argc, argv, "p:n:w:d:c:r:m:s:b:jf:F:e:Hl")) != -1;)
        switch (option) {
        case 'p':
            plan.protocol = optarg;
            break;
        case 'n':
            wanted.connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'w':
            wanted.warm_s = strtod(optarg, NULL);
            break;
        case 'd':
            wanted.seconds = strtod(optarg, NULL);
            break;
        case 'c':
            wanted.count = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            wanted.rate = strtod(optarg, NULL);
            break;
        case 'm':
            plan.method = optarg;
            break;
        case 's':
            plan.payload = strtoul(optarg, NULL, 10);
            break;
        case 'b':
            plan.lines = strtoul(optarg, NULL, 10);
            break;
        case 'j':
            plan.json = true;
            break;
        case 'f':
            plan.follow = optarg;
            break;
        case 'F':
            plan.suffix = optarg;
            break;
        case 'e':
            plan.ends = optarg;
            break;
        case 'H':
            wanted.hold = true;
            break;
        case 'l':
            wanted.lines = true;
            break;
        default:
            fputs(usage, stderr);
            return 2;
        }
    if (optind < argc)
        wanted.port = (unsigned)strtoul(argv[optind], NULL, 10);
    if (optind + 1 < argc)
        plan.path = argv[optind + 1];
    snprintf(host, sizeof host, "127.0.0.1:%u", wanted.port);
    plan.host = host;
    if (wanted.port == 0 || wanted.port > 65535 || wanted.connections == 0 || !talk_init(&plan)) {
        fputs(usage, stderr);
        return 2;
    }
    prctl(PR_SET_TIMERSLACK, 1UL); /* a rate is kept to the microsecond, not to the default fifty */
    all = calloc(wanted.connections, sizeof *all);
    idle = calloc(wanted.connections, sizeof(struct connection *));
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (all == NULL || idle == NULL || poller < 0)
        die("start");
    for (unsigned i = 0; i < wanted.connections; i++)
        dial(&all[i]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if ((wanted.hold || wanted.lines) &&
        epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
        die("standard input must be a pipe");
    run();
    report();
    return errors == 0 ? 0 : 1;
}
