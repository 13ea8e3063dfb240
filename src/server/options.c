/* SPDX-License-Identifier: MIT */
#include "server/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/chars.h"
#include "base/log.h"
#include "base/url_prefix.h"
#include "server/option_types.h"
#include "store/store.h"

#define SERVER(field)                                                                              \
    .target = OF_SERVER, .offset = offsetof(struct options, field),                                \
    .size = sizeof(((struct options *)NULL)->field)
#define QUEUE(field)                                                                               \
    .target = OF_QUEUE, .offset = offsetof(struct queue_options, field),                           \
    .size = sizeof(((struct queue_options *)NULL)->field)

#define SECOND UINT64_C(1000000)
#define DAY    (86400 * SECOND)
#define GIB    (UINT64_C(1) << 30)

static const char *const page_names[] = {"on", "off", NULL};

static const struct option_spec table[] = {
    {"listen", .letter = 'l', .type = &type_address, SERVER(listen), .argument = "ADDRESS",
     .default_value = "127.0.0.1:8080", .heading = "Network and access",
     .help = "HOST:PORT, :PORT (all interfaces), [IPV6]:PORT or unix:PATH; port 0 picks one",
     .more = "Listen on HOST:PORT, :PORT (all interfaces), [IPV6]:PORT or unix:PATH. With port 0 "
             "the system picks a port, and the log says which. A stale socket file is replaced; "
             "one that a server still listens on is not. Sockets handed over by "
             "systemd.socket(5) are used instead."},
    {"socket-mode", .type = &type_mode, SERVER(socket_mode), .argument = "MODE",
     .default_value = "0660", .help = "who may connect to unix:PATH: the mode of its file",
     .more =
         "The mode of the socket file of unix:PATH, in octal: whoever may write to it may connect. "
         "Its group is that of jobd, or of a directory with the set-group-id bit."},
    {"open", .type = &type_flag, SERVER(open),
     .help = "allow addresses that other machines can reach, without --token-file",
     .more = "Listen on addresses that other machines can reach, without --token-file: anyone "
             "who can reach the port may submit jobs."},
    {"token-file", .type = &type_file, SERVER(token_file),
     .flags = OPTION_SECRET | OPTION_REREAD | OPTION_NOT_EMPTY, .argument = "FILE",
     .unset = "no authentication",
     .help = "bearer tokens: one \"SCOPE TOKEN\" per line (read, put, work, admin)",
     .more = "Access control. Each line of the file is a scope, which is `read`, `read+data`, "
             "`put`, `work` or `admin` and may be limited to one queue by a colon and its name, "
             "and a token, which requests send as `Authorization: Bearer`. A line that begins "
             "with # is a comment."},
    {"tls-cert", .type = &type_file, SERVER(tls_certificate),
     .flags = OPTION_SECRET | OPTION_REREAD, .argument = "FILE", .unset = "no TLS",
     .help = "serve TLS with this certificate and its chain, in PEM",
     .more = "Serve TLS, 1.2 and 1.3, with this certificate in PEM, which may be followed by its "
             "chain. Needs --tls-key."},
    {"tls-key", .type = &type_file, SERVER(tls_key), .flags = OPTION_SECRET | OPTION_REREAD,
     .argument = "FILE", .unset = "no TLS", .help = "the certificate's private key, in PEM",
     .more = "The private key of --tls-cert, in PEM, without a password."},
    {"cors-origin", .type = &type_origin, SERVER(cors_origin), .argument = "ORIGIN",
     .unset = "none", .help = "let the pages of this web site send requests and read the replies",
     .more = "Let the pages of this web site, such as `https://app.example`, send requests and "
             "read the replies, by the CORS protocol. Without it no page of another site can."},
    {"trusted-proxy", .type = &type_proxies, SERVER(proxies), .argument = "LIST", .unset = "none",
     .help = "believe X-Forwarded-For of these addresses, ADDRESS/BITS, or unix",
     .more = "Believe the X-Forwarded-For of these, which says who a client is: addresses and "
             "networks, such as `10.0.0.0/8`, separated by commas, and `unix`, which stands for "
             "all unix sockets. The access log then names that client, and --max-per-address "
             "counts its requests. From others the field is ignored."},
    {"capacity", .letter = 'q', .type = &type_number, QUEUE(capacity), .min = 1, .max = 10000000,
     .argument = "N", .default_value = "8", .heading = "Queues",
     .help = "jobs that may wait in a queue",
     .more = "Jobs that may wait in a queue, at least 1. One more is answered 429."},
    {"workers", .letter = 'w', .type = &type_number, QUEUE(workers), .max = 1024, .argument = "N",
     .default_value = "1", .help = "worker threads; 0: remote workers only",
     .more = "Worker threads of a queue; each runs one job at a time. With 0 only remote workers "
             "run its jobs."},
    {"sleep", .type = &type_duration, QUEUE(sleep_us), .flags = OPTION_LIVE | OPTION_RUNNER,
     .max = 365 * DAY, .argument = "TIME", .default_value = "50ms",
     .help = "how long a job sleeps when there is no --post and no command"},
    {"post", .type = &type_url, QUEUE(post), .flags = OPTION_LIVE | OPTION_RUNNER,
     .argument = "URL", .help = "post the payload of each job to this web service",
     .more =
         "Post the payload of each job to this web service. A 2xx reply means success; 408, "
         "409, 425, 429, 5xx, a 403 with Retry-After, or no reply is a failed attempt; any other "
         "reply fails the job permanently."},
    {"exec", .type = &type_command, QUEUE(command),
     .flags = OPTION_LIVE | OPTION_RUNNER | OPTION_PROGRAM,
     .help = "run this command for each job, the payload on its standard input",
     .more = "Run this command for each job, without a shell. It gets the payload on standard "
             "input, and JOBD_ID, JOBD_QUEUE, JOBD_ATTEMPT, JOBD_CONTENT_TYPE and TRACEPARENT in "
             "the environment. Exit status 0 means success. What it writes to standard output "
             "is the output of the job, and the end of what it writes to standard error is its "
             "error, also when it succeeds. In the configuration file it is the key `exec`, an "
             "array of strings."},
    {"attempts", .type = &type_number, QUEUE(attempts), .flags = OPTION_LIVE, .min = 1,
     .max = JOBD_ATTEMPTS_MAX, .argument = "N", .default_value = "1",
     .help = "how often a job is tried before it fails",
     .more = "How often a job is tried before it fails, the first attempt included. With 1, a job "
             "fails for good when its command or service is away for just a second: give more "
             "to whatever may be run twice. With the default of --backoff, 5 span some 20 seconds, "
             "10 some ten minutes."},
    {"timeout", .type = &type_duration, QUEUE(timeout_us), .flags = OPTION_LIVE, .min = 1000,
     .max = 365 * DAY, .argument = "TIME", .unset = "none", .help = "time limit for one attempt"},
    {"backoff", .type = &type_span, QUEUE(backoff), .flags = OPTION_LIVE, .max = 365 * DAY,
     .argument = "SPAN", .default_value = "1s..5m",
     .help = "delay between attempts: doubles each time within this range, half of it random",
     .more = "Delay between a failed attempt and the next: a random time between the first time of "
             "the span and twice that. Both bounds double with each further attempt, until the "
             "upper one is the second time of the span."},
    {"expires", .type = &type_duration, QUEUE(expires_us), .flags = OPTION_LIVE | OPTION_KEY,
     .min = 1000, .max = 365 * DAY, .help = "cancel a job of which no attempt has begun in time"},
    {"running", .type = &type_number, QUEUE(running), .flags = OPTION_LIVE | OPTION_KEY, .min = 1,
     .max = 10000000, .help = "jobs that run at a time, leased ones included"},
    {"rate", .type = &type_rate, QUEUE(rate), .flags = OPTION_LIVE | OPTION_KEY,
     .help = "how often a job begins at most"},
    {"per-key", .type = &type_key_terms, QUEUE(per_key), .flags = OPTION_LIVE | OPTION_KEY,
     .help = "keys take turns; limits of each"},
    {"pass-headers", .type = &type_names, QUEUE(pass_headers), .flags = OPTION_LIVE | OPTION_KEY,
     .help = "fields of a request that go on with its job"},
    {"directory", .type = &type_directory, QUEUE(directory), .flags = OPTION_LIVE | OPTION_KEY,
     .runner = "exec", .help = "where the command runs"},
    {"environment", .type = &type_variables, QUEUE(environment), .flags = OPTION_LIVE | OPTION_KEY,
     .runner = "exec", .help = "more variables for the command"},
    {"user", .type = &type_user, QUEUE(user), .flags = OPTION_LIVE | OPTION_KEY, .runner = "exec",
     .help = "whom the command runs as"},
    {"nice", .type = &type_nice, QUEUE(nice), .flags = OPTION_LIVE | OPTION_KEY, .runner = "exec",
     .help = "the command's nice value"},
    {"headers", .type = &type_fields, QUEUE(headers),
     .flags = OPTION_LIVE | OPTION_KEY | OPTION_SECRET, .runner = "post",
     .help = "more fields for the request"},
    {"sign", .type = &type_file, QUEUE(sign),
     .flags = OPTION_LIVE | OPTION_KEY | OPTION_SECRET | OPTION_REREAD, .runner = "post",
     .help = "sign with the secret in this file"},
    {"unix", .type = &type_path, QUEUE(socket), .flags = OPTION_LIVE | OPTION_KEY, .runner = "post",
     .help = "the service's unix socket"},
    {"ca", .type = &type_file, QUEUE(ca), .flags = OPTION_LIVE | OPTION_KEY | OPTION_REREAD,
     .runner = "post", .help = "the certificates to trust"},
    {"breaker", .type = &type_breaker, QUEUE(breaker), .flags = OPTION_LIVE | OPTION_KEY,
     .runner = "post", .max = DAY, .help = "when jobs wait for a service that is down"},
    {"data", .letter = 'd', .type = &type_data, SERVER(data), .argument = "DIR|URL",
     .unset = "memory only", .heading = "What is kept",
     .help = "keep jobs on disk in this directory, or in postgres://...",
     .more = "Keep jobs on disk, in `jobd.db` in this directory, which is created if it does not "
             "exist. A request is answered when its change is on disk. Or in the PostgreSQL "
             "database that a URL names, `postgres://` or `postgresql://` as libpq has it: "
             "several servers with the same URL have the same queues. As others can read a "
             "command line, a password belongs in JOBD_DATA or a password file."},
    {"node", .type = &type_name, SERVER(node), .flags = OPTION_NOT_EMPTY, .argument = "NAME",
     .unset = "the host's name", .help = "the name of this server among those of one database",
     .more = "The name of this server, by which people tell it from others of the same database."},
    {"sync", .type = &type_choice, SERVER(sync), .choices = store_sync_names, .argument = "WHEN",
     .default_value = "commit", .help = "when to fsync: commit (before each reply), 1s, off",
     .more = "When to fsync: `commit`, before each reply; `1s`, within a second, so that a power "
             "cut loses at most that much; `off`, left to the operating system, so that a power "
             "cut can also damage the "
             "file."},
    {"memory", .type = &type_size, SERVER(memory_bytes), .max = 1024 * GIB, .argument = "SIZE",
     .default_value = "64MiB", .help = "bytes of all payloads and outputs together",
     .more = "Bytes of the payloads and outputs of all jobs together. When they need more, "
             "finished jobs are forgotten, done and cancelled ones before failed ones, and the log "
             "says how many; when none are left, submissions are answered 429."},
    {"max-body", .type = &type_size, SERVER(body_max_bytes), .max = GIB, .argument = "SIZE",
     .default_value = "64KiB", .help = "bytes of a request's body; no more than --memory",
     .more = "Bytes of the body of a request, at most 1GiB and no more than --memory. A smaller "
             "--memory lowers the default."},
    {"keep", .type = &type_number, SERVER(keep), .max = 10000000, .argument = "N",
     .default_value = "1000",
     .help = "done jobs to remember of each queue, as many failed, as many cancelled ones",
     .more = "How many done jobs to remember of each queue; also how many failed and how many "
             "cancelled ones."},
    {"keep", .type = &type_duration, QUEUE(keep_us),
     .flags = OPTION_LIVE | OPTION_KEY | OPTION_IN_QUEUE, .min = 1000, .max = 365 * DAY,
     .help = "how long an ended job is remembered at most"},
    {"keep-for", .type = &type_duration, SERVER(keep_for_us), .min = 1000, .max = 36500 * DAY,
     .argument = "TIME", .unset = "none", .help = "how long ended jobs are remembered at most",
     .more =
         "How long ended jobs are remembered at most, within --keep and --memory. The time goes "
         "on over a restart, by the wall clock."},
    {"output-limit", .type = &type_size, SERVER(output_max_bytes), .max = GIB, .argument = "SIZE",
     .default_value = "64KiB", .help = "bytes of a job's output to keep",
     .more =
         "Bytes of the output of a job to keep; the rest is dropped. At most --memory, which is "
         "also the limit for the outputs of all running commands together."},
    {"max-connections", .type = &type_number, SERVER(connections_max), .min = 1, .max = 1000000,
     .argument = "N", .default_value = "16384", .heading = "Connections",
     .help = "connections at a time, those of waiting requests included",
     .more = "Connections at a time, those of waiting requests included. One more is answered "
             "503 and closed. There are fewer when the limit on open files is too low for them."},
    {"max-per-address", .type = &type_number, SERVER(per_address_max), .min = 1, .max = 1000000,
     .argument = "N", .default_value = "12288",
     .help = "connections at a time from one address (IPv6: from one /64)",
     .more = "Connections at a time from one address; an IPv6 address counts by its /64. Unix "
             "sockets have no such limit."},
    {"leases", .type = &type_number, SERVER(leases_max), .min = 1, .max = 10000000, .argument = "N",
     .default_value = "16384", .help = "jobs that remote workers may hold at a time",
     .more = "Jobs that remote workers may hold at a time, in all queues together; requests that "
             "wait for a job count too. One more is answered 503."},
    {"schedules", .type = &type_number, SERVER(schedules_max), .flags = OPTION_NOT_IN_FILE,
     .max = CONFIG_SCHEDULES_MAX, .argument = "N", .default_value = "1000",
     .help = "how many schedules of recurring jobs there may be",
     .more = "How many schedules of recurring jobs there may be, those of the configuration file "
             "included, at most 10000. One more is answered 409."},
    {"max-streams", .type = &type_number, SERVER(streams_max), .min = 1, .max = 1000000,
     .argument = "N", .default_value = "1000",
     .help = "clients that may follow events and outputs at a time",
     .more =
         "Clients that may follow events, or the output of a job, at a time. Each is a connection "
         "too. One more is answered 503."},
    {"header-timeout", .type = &type_duration, SERVER(header_us), .min = SECOND / 10, .max = DAY,
     .argument = "TIME", .default_value = "10s",
     .help = "time limit for a header; a body has a second more for each 16 KiB of --max-body",
     .more = "Time limit for a whole header, counted from the connection or the request line. A "
             "whole body has this time and a second for each 16 KiB of --max-body. A slower client "
             "is answered 408."},
    {"idle-timeout", .type = &type_duration, SERVER(idle_us), .min = SECOND / 10, .max = DAY,
     .argument = "TIME", .default_value = "60s",
     .help = "how long a connection may be idle between two requests",
     .more = "How long a connection may be idle between two requests. To read a reply a client "
             "has this time, that of --header-timeout, and a second for each 16 KiB of the reply."},
    {"grace", .type = &type_duration, SERVER(grace_us), .max = 365 * DAY, .argument = "TIME",
     .default_value = "30s", .heading = "Running", .help = "how long a shutdown waits for jobs"},
    {"kill-after", .type = &type_duration, QUEUE(kill_after_us), .flags = OPTION_LIVE, .max = DAY,
     .argument = "TIME", .default_value = "5s",
     .help = "from SIGTERM to SIGKILL, for a command that is to stop",
     .more = "How long a command that is told to stop, and all that it started, has from SIGTERM "
             "to SIGKILL."},
    {"callback-allow", .type = &type_prefixes, SERVER(callback_allow),
     .flags = OPTION_LIVE | OPTION_REPEATS, .argument = "URL", .unset = "no callbacks",
     .help = "jobs may have callbacks that begin with this URL; may be given again",
     .more = "Jobs, batches and schedules may have a callback that begins with this URL, such as "
             "`https://app.example/hooks`: scheme, host and port are the same, and the path begins "
             "with the same segments. May be given more than once; in JOBD_CALLBACK_ALLOW several "
             "are separated by blanks, and in the configuration file they are an array. With this "
             "option there is a queue `callbacks`, which delivers them."},
    {"callback-secret", .type = &type_file, SERVER(callback_secret),
     .flags = OPTION_LIVE | OPTION_SECRET | OPTION_REREAD, .argument = "FILE",
     .unset = "not signed", .help = "sign callbacks with the Standard Webhooks secret in this file",
     .more = "Sign callbacks as Standard Webhooks specifies, with the secret in this file: "
             "`whsec_` and "
             "24 to 64 bytes in Base64."},
    {"page", .type = &type_choice, SERVER(page), .choices = page_names, .argument = "on|off",
     .default_value = "on", .help = "the page for browsers at /",
     .more = "Whether / shows browsers a page with the queues and jobs. The page makes the same "
             "requests as any other client, with the token that its reader enters."},
    {"access-log", .type = &type_file, SERVER(access_log), .argument = "FILE", .unset = "none",
     .help = "write a line for each request to this file; - is standard error",
     .more = "Write a line for each request to this file; `-` is standard error. A line has the "
             "time, the client's address, the method, the target, the status, the bytes of the "
             "reply's body, how long it took, and the id of its job; with --log-format `json` it "
             "is an object. SIGHUP and SIGUSR1 open the file anew, as after logrotate(8) has "
             "renamed it. No request waits for it: what a slow or full disk does not take is "
             "dropped, and the log says how many lines."},
    {"log-format", .type = &type_choice, SERVER(log_format), .choices = log_format_names,
     .argument = "FORMAT", .default_value = "text", .help = "format of the log: text or json"},
    {"log-level", .type = &type_choice, SERVER(log_level), .choices = log_level_names,
     .argument = "LEVEL", .default_value = "info",
     .help = "what to log: error, warn, info or debug"},
    {"config", .letter = 'c', .type = &type_file, SERVER(config),
     .flags = OPTION_REREAD | OPTION_NOT_IN_FILE, .argument = "FILE",
     .help = "read this JSON file: its keys are the options above, and \"queues\"",
     .more = "Read this file, which jobd.json(5) describes."},
    {"check", .type = &type_action, .action = ACTION_CHECK, .heading = "Instead of serving",
     .help = "check the configuration and exit"},
    {"health", .type = &type_action, .action = ACTION_HEALTH,
     .help = "check a running server and exit",
     .more = "Send a request to the server at --listen, over TLS with --tls-cert, and exit: with "
             "status 0 when it answers within five seconds, whatever it answers."},
    {"version", .letter = 'V', .type = &type_action, .action = ACTION_VERSION,
     .help = "print the version and exit"},
    {"help", .letter = 'h', .type = &type_action, .action = ACTION_HELP,
     .help = "print this help and exit", .more = "Print a summary of the options and exit."},
};

enum { OPTIONS_LEN = sizeof table / sizeof table[0] };

const struct option_spec *options_table(size_t *len)
{
    *len = OPTIONS_LEN;
    return table;
}

const char *option_place(const struct option_places *places, const char *name)
{
    for (size_t i = 0; i < OPTIONS_LEN; i++)
        if (places->of != NULL && places->of[i] != NULL && strcmp(table[i].name, name) == 0)
            return places->of[i];
    return name;
}

void *option_value(const struct option_spec *spec, const void *target)
{
    return (char *)(uintptr_t)target + spec->offset;
}

static bool is_set(const struct option_spec *spec, const void *target)
{
    const char *bytes = option_value(spec, target);
    size_t i = 0;
    while (i < spec->size && bytes[i] == 0)
        i++;
    return i < spec->size;
}

void option_variable(const struct option_spec *spec, char out[OPTION_VARIABLE_SIZE])
{
    snprintf(out, OPTION_VARIABLE_SIZE, "JOBD_%s", spec->name);
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '-' ? '_' : char_upper(*c);
}

/* ---- values */

static struct option_places *places_of(enum option_target target, void *options)
{
    return target == OF_QUEUE ? &((struct queue_options *)options)->places
                              : &((struct options *)options)->places;
}

bool option_set_place(enum option_target target, void *options, size_t option, const char *place)
{
    struct option_places *places = places_of(target, options);
    if (places->of == NULL)
        places->of = calloc(OPTIONS_LEN, sizeof *places->of);
    return places->of != NULL && (places->of[option] = strdup(place)) != NULL;
}

void options_release_values(enum option_target target, void *options)
{
    struct option_places *places = places_of(target, options);
    for (size_t i = 0; places->of != NULL && i < OPTIONS_LEN; i++)
        free(places->of[i]);
    free(places->of);
    places->of = NULL;
    for (size_t i = 0; i < OPTIONS_LEN; i++)
        if (table[i].target == target && table[i].type->release != NULL)
            table[i].type->release(option_value(&table[i], options));
}

void options_release(struct options *options)
{
    for (uint32_t i = 0; options->queues != NULL && i < options->queues_len; i++)
        options_release_values(OF_QUEUE, &options->queues[i]);
    free(options->queues);
    config_schedules_release(&options->schedules);
    options_release_values(OF_SERVER, options);
    *options = (struct options){.action = ACTION_RUN};
}

void options_compare(enum option_target target, const void *options, const void *others,
                     options_differ *each, void *context)
{
    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        const struct option_spec *spec = &table[i];
        if (spec->target != target)
            continue;
        const void *value = option_value(spec, options), *other = option_value(spec, others);
        bool same = spec->type->same != NULL ? spec->type->same(value, other)
                                             : memcmp(value, other, spec->size) == 0;
        if (!same)
            each(context, spec->name, (spec->flags & OPTION_LIVE) != 0);
    }
}

void options_swap_live(struct queue_options *queue, struct queue_options *other)
{
    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        if (table[i].target != OF_QUEUE || (table[i].flags & OPTION_LIVE) == 0)
            continue;
        char *value = option_value(&table[i], queue), *theirs = option_value(&table[i], other);
        for (size_t at = 0; at < table[i].size; at++) {
            char kept = value[at];
            value[at] = theirs[at];
            theirs[at] = kept;
        }
        char *place = queue->places.of[i];
        queue->places.of[i] = other->places.of[i];
        other->places.of[i] = place;
    }
}

void option_unset(const struct option_spec *spec, void *options)
{
    void *value = option_value(spec, options);
    if (spec->type->release != NULL)
        spec->type->release(value);
    memset(value, 0, spec->size);
}

/* ---- what follows from flags */

bool options_idle(const struct option_spec *spec, const struct queue_options *queue)
{
    return spec->runner != NULL && is_set(spec, queue) &&
           strcmp(options_runner(queue)->name, spec->runner) != 0;
}

const struct option_spec *options_runner(const struct queue_options *queue)
{
    const struct option_spec *usual = NULL;
    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        if ((table[i].flags & OPTION_RUNNER) == 0)
            continue;
        if (table[i].default_value != NULL)
            usual = &table[i];
        else if (is_set(&table[i], queue))
            return &table[i];
    }
    return usual;
}

bool options_has_queue(const void *options, const char *queue)
{
    const struct options *all = options;
    bool declared = false;
    for (uint32_t i = 0; i < all->queues_len && !declared; i++)
        declared = strcmp(all->queues[i].name, queue) == 0;
    return declared;
}

bool options_takes_jobs(const void *options, const char *queue)
{
    const struct options *all = options;
    bool takes = false;
    for (uint32_t i = 0; i < all->queues_len && !takes; i++)
        takes = strcmp(all->queues[i].name, queue) == 0 && !all->queues[i].callbacks;
    return takes;
}

bool options_allows_callback(const void *options, const char *callback)
{
    char *const *prefix = ((const struct options *)options)->callback_allow;
    while (prefix != NULL && *prefix != NULL && !url_prefix_allows(*prefix, callback))
        prefix++;
    return prefix != NULL && *prefix != NULL;
}

bool options_any(enum option_target target, const void *options, unsigned flags)
{
    bool set = false;
    for (size_t i = 0; i < OPTIONS_LEN && !set; i++)
        set = table[i].target == target && (table[i].flags & flags) != 0 &&
              is_set(&table[i], options);
    return set;
}

static size_t words_len(char *const *words)
{
    size_t len = 0;
    while (words != NULL && words[len] != NULL)
        len++;
    return len;
}

/* Those that the fields name. How many. */
static size_t files_of_fields(char *const *fields, const char **files)
{
    size_t len = 0;
    for (; fields != NULL && *fields != NULL; fields++)
        if (option_field_file(*fields) != NULL)
            files[len++] = option_field_file(*fields);
    return len;
}

static size_t files_of(enum option_target target, const void *options, const char **files)
{
    size_t len = 0;
    for (size_t i = 0; i < OPTIONS_LEN; i++)
        if (table[i].target == target && (table[i].flags & OPTION_REREAD) != 0 &&
            is_set(&table[i], options))
            files[len++] = *(char *const *)option_value(&table[i], options);
    return len;
}

const char **options_files(const struct options *options)
{
    size_t most = (options->queues_len + (size_t)1) * OPTIONS_LEN + 1, len = 0;
    for (uint32_t i = 0; i < options->queues_len; i++)
        most += words_len(options->queues[i].headers);
    const char **files = calloc(most, sizeof *files);
    if (files == NULL)
        return NULL;
    len = files_of(OF_SERVER, options, files);
    for (uint32_t i = 0; i < options->queues_len; i++) {
        len += files_of(OF_QUEUE, &options->queues[i], files + len);
        len += files_of_fields(options->queues[i].headers, files + len);
    }
    return files;
}
