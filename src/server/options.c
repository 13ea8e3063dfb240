/* SPDX-License-Identifier: MIT */
#include "server/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "server/option_types.h"
#include "server/config_file.h"
#include "store/store.h"
#include "base/text.h"
#include "base/verify.h"

enum { FIRST_LONG = 256, NAME_SIZE = 40, PLACE_SIZE = 64 };

#define DEFAULT_QUEUE "default"

#define SERVER(field) OF_SERVER, offsetof(struct options, field)
#define QUEUE(field)  OF_QUEUE, offsetof(struct queue_options, field)

#define SECOND     UINT64_C(1000000)
#define DAY        (86400 * SECOND)
#define MEMORY_MAX (UINT64_C(1) << 40)
#define JOBS_MAX   (UINT64_C(1) << 32)

static const struct option_spec specs[] = {
    {"listen", 'l', "ADDRESS", "127.0.0.1:8080", KIND_ADDRESS, SERVER(listen), 0, 0, NULL,
     "HOST:PORT, :PORT (all interfaces), [::1]:PORT or unix:PATH; port 0 picks one"},
    {"capacity", 'q', "N", "8", KIND_NUMBER, QUEUE(capacity), 1, 10000000, NULL,
     "jobs that may wait"},
    {"workers", 'w', "N", "1", KIND_NUMBER, QUEUE(workers), 0, 1024, NULL,
     "threads, each running a job at a time; 0: jobs only wait"},
    {"sleep", 0, "TIME", "50ms", KIND_DURATION, QUEUE(sleep_us), 0, 365 * DAY, NULL,
     "the pretend work"},
    {"post", 0, "URL", NULL, KIND_URL, QUEUE(post), 0, 0, NULL,
     "a job is a POST of its payload to this web service"},
    {"exec", 0, NULL, NULL, KIND_COMMAND, QUEUE(command), 0, 0, NULL,
     "a job is a run of this command, its payload on standard input"},
    {"attempts", 0, "N", "1", KIND_NUMBER, QUEUE(attempts), 1, JOBD_ATTEMPTS_MAX, NULL,
     "how often a job is tried, the first time included"},
    {"timeout", 0, "TIME", NULL, KIND_DURATION, QUEUE(timeout_us), 1000, 365 * DAY, NULL,
     "for one attempt; then it has failed [none]"},
    {"backoff", 0, "SPAN", "1s..5m", KIND_SPAN, QUEUE(backoff), 0, 365 * DAY, NULL,
     "until the next attempt: twice as long after each, half of it chance, between the two"},
    {"max-body", 0, "SIZE", "64KiB", KIND_SIZE, SERVER(body_max_bytes), 0, UINT64_C(1) << 30, NULL,
     "bytes of a request's body; no more than --memory"},
    {"memory", 0, "SIZE", "64MiB", KIND_SIZE, SERVER(memory_bytes), 0, MEMORY_MAX, NULL,
     "bytes of all payloads and outputs that are remembered"},
    {"keep", 0, "N", "1000", KIND_NUMBER, SERVER(keep), 0, 10000000, NULL,
     "done jobs remembered; as many failed or cancelled ones"},
    {"output-limit", 0, "SIZE", "64KiB", KIND_SIZE, SERVER(output_max_bytes), 0, UINT64_C(1) << 30,
     NULL, "bytes of a job's output that are kept"},
    {"max-connections", 0, "N", "16384", KIND_NUMBER, SERVER(connections_max), 1, 1000000, NULL,
     "connections at a time, parked ones included"},
    {"max-per-address", 0, "N", "12288", KIND_NUMBER, SERVER(per_address_max), 1, 1000000, NULL,
     "connections of one address (IPv6: of one /64) at a time"},
    {"header-timeout", 0, "TIME", "10s", KIND_DURATION, SERVER(header_us), SECOND / 10, DAY, NULL,
     "for a whole header; a body has this and a second for each 16 KiB of --max-body"},
    {"idle-timeout", 0, "TIME", "60s", KIND_DURATION, SERVER(idle_us), SECOND / 10, DAY, NULL,
     "for a connection between two requests"},
    {"data", 'd', "DIR", NULL, KIND_FOLDER, SERVER(data), 0, 0, NULL,
     "keep jobs on disk in this directory: a 202 means written down [memory only]"},
    {"sync", 0, "WHEN", "commit", KIND_CHOICE, SERVER(sync), 0, 0, store_sync_names,
     "written down for good: commit, before each answer; 1s, a second later; off, by the system"},
    {"grace", 0, "TIME", "30s", KIND_DURATION, SERVER(grace_us), 0, 365 * DAY, NULL,
     "how long a drain waits for jobs"},
    {"kill-after", 0, "TIME", "5s", KIND_DURATION, SERVER(kill_after_us), 0, DAY, NULL,
     "from TERM to KILL of a command that is to end"},
    {"token-file", 0, "FILE", NULL, KIND_FILE, SERVER(token_file), 0, 0, NULL,
     "who may come in: lines of a scope, put, work or admin, and a bearer token [everybody]"},
    {"tls-cert", 0, "FILE", NULL, KIND_FILE, SERVER(tls_certificate), 0, 0, NULL,
     "speak TLS: the certificate, and its chain, in PEM [no TLS]"},
    {"tls-key", 0, "FILE", NULL, KIND_FILE, SERVER(tls_key), 0, 0, NULL,
     "the certificate's key, in PEM"},
    {"cors-origin", 0, "ORIGIN", NULL, KIND_ORIGIN, SERVER(cors_origin), 0, 0, NULL,
     "pages of this web site may come in and read the answers [none]"},
    {"open", 0, NULL, NULL, KIND_FLAG, SERVER(open), 0, 0, NULL,
     "listen on more than loopback: whoever reaches the port may put jobs"},
    {"log-format", 0, "FORMAT", "text", KIND_CHOICE, SERVER(log_format), 0, 0, log_format_names,
     "text or json"},
    {"log-level", 0, "LEVEL", "info", KIND_CHOICE, SERVER(log_level), 0, 0, log_level_names,
     "error, warn, info or debug"},
    {"config", 'c', "FILE", NULL, KIND_PATH, OF_SERVER, 0, 0, 0, NULL,
     "read this JSON file: each option above is a key, and \"queues\" declares queues"},
    {"check", 0, NULL, NULL, KIND_ACTION, OF_SERVER, 0, ACTION_CHECK, 0, NULL,
     "check the configuration and end"},
    {"health", 0, NULL, NULL, KIND_ACTION, OF_SERVER, 0, ACTION_HEALTH, 0, NULL,
     "ask the server at --listen whether it lives and end"},
    {"version", 'V', NULL, NULL, KIND_ACTION, OF_SERVER, 0, ACTION_VERSION, 0, NULL,
     "say the version and what is built in, and end"},
    {"help", 'h', NULL, NULL, KIND_ACTION, OF_SERVER, 0, ACTION_HELP, 0, NULL, "say this and end"},
};

enum { SPECS = sizeof specs / sizeof specs[0] };

_Static_assert((int)SPECS <= (int)SETTINGS_MAX, "settings.h must hold every option");

/* Where settings come from, the strongest first. */
struct sources {
    struct settings line, environment;
    struct file_settings file;
};

/* ---- what a text means */

static bool apply_setting(const struct option_spec *spec, void *target,
                          const struct setting *setting)
{
    char allowed[160], shown[80];
    if (option_apply(spec, target, setting->text))
        return true;
    option_allowed(spec, allowed, sizeof allowed);
    return settings_wrong(setting->place, "invalid value \"%s\"; expected %s",
                          text_printable(setting->text, shown, sizeof shown), allowed);
}

static void release_queue(struct queue_options *queue)
{
    free(queue->post);
    free(queue->command);
}

static void release_files(struct options *options)
{
    free(options->config);
    free(options->data);
    free(options->token_file);
    free(options->tls_certificate);
    free(options->tls_key);
    free(options->cors_origin);
}

static size_t spec_named(const char *name)
{
    size_t i = 0;
    while (i < SPECS && strcmp(specs[i].name, name) != 0)
        i++;
    return i;
}

/* Every setting must be right, also one that a stronger source overrides. */
static bool all_right(const struct settings *settings)
{
    struct options options = {.data = NULL};
    struct queue_options queue = {.post = NULL};
    const struct setting *post = &settings->of[spec_named("post")];
    bool right = true;
    for (size_t i = 0; i < SPECS && right; i++) {
        void *target = specs[i].target == OF_QUEUE ? (void *)&queue : (void *)&options;
        right = settings->of[i].text == NULL || apply_setting(&specs[i], target, &settings->of[i]);
    }
    if (right && queue.post != NULL && queue.command != NULL)
        right = settings_wrong(post->place, "there is a command too; a queue has one runner");
    release_queue(&queue);
    release_files(&options);
    return right;
}

/* ---- sources */

/* getopt_long() would take beginnings too, which a later option may make ambiguous. */
static bool is_whole(const char *word)
{
    bool whole = strncmp(word, "--", 2) != 0 || word[2] == '\0';
    size_t length = whole ? 0 : strcspn(word + 2, "=");
    for (size_t i = 0; i < SPECS && !whole; i++)
        whole = specs[i].kind != KIND_COMMAND && strlen(specs[i].name) == length &&
                memcmp(specs[i].name, word + 2, length) == 0;
    return whole;
}

static bool wrong_option(const char *word, int code)
{
    char place[PLACE_SIZE], shown[PLACE_SIZE - 8];
    bool is_long = strncmp(word, "--", 2) == 0;
    if (is_long)
        snprintf(place, sizeof place, "%s", text_printable(word, shown, sizeof shown));
    else
        snprintf(place, sizeof place, "-%c", isprint(optopt) ? optopt : '?');
    return settings_wrong(place, "%s; see jobd --help",
                          !is_whole(word) ? "no such option"
                          : code == ':'   ? "needs a value"
                          : is_long       ? "takes no value"
                                          : "no such option");
}

/* What stands behind `--`. */
static bool set_command(struct settings *line, char **words)
{
    if (*words == NULL)
        return settings_wrong("--", "needs a command; see jobd --help");
    char *text = json_from_words(words);
    bool good = text != NULL ? settings_set(line, spec_named("exec"), "--", text)
                             : settings_wrong("--", "out of memory");
    free(text);
    return good;
}

static bool read_line(struct settings *line, enum action *action, int argc, char **argv)
{
    struct option longs[SPECS + 1] = {{0}};
    char shorts[3 + 2 * SPECS] = "+:";
    size_t used = 2, longs_len = 0;
    for (size_t i = 0; i < SPECS; i++) {
        if (specs[i].kind == KIND_COMMAND)
            continue;
        longs[longs_len++] =
            (struct option){specs[i].name, specs[i].takes != NULL ? required_argument : no_argument,
                            NULL, FIRST_LONG + (int)i};
        if (specs[i].letter != 0) {
            shorts[used++] = specs[i].letter;
            if (specs[i].takes != NULL)
                shorts[used++] = ':';
        }
    }
    shorts[used] = '\0';
    opterr = 0;
    optind = 0;       /* an earlier scan, which SIGHUP repeats, is forgotten whole */
    int code, at = 1; /* the word that is read */
    for (; (code = getopt_long(argc, argv, shorts, longs, NULL)) != -1; at = optind) {
        if (code == '?' || code == ':' || !is_whole(argv[at]))
            return wrong_option(argv[at], code);
        size_t i = 0;
        while (i < SPECS && code != FIRST_LONG + (int)i && code != specs[i].letter)
            i++;
        verify(i < SPECS);
        char place[PLACE_SIZE];
        snprintf(place, sizeof place, "--%s", specs[i].name);
        if (specs[i].kind == KIND_ACTION)
            *action = (enum action)specs[i].min;
        else if (!settings_set(line, i, place, optarg != NULL ? optarg : "true"))
            return false;
    }
    if (at < argc && strcmp(argv[at], "--") == 0)
        return set_command(line, argv + optind);
    if (optind < argc) {
        char shown[PLACE_SIZE];
        return settings_wrong(text_printable(argv[optind], shown, sizeof shown),
                              "unexpected argument; see jobd --help");
    }
    return true;
}

static void environment_name(const struct option_spec *spec, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "JOBD_%s", spec->name);
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static bool read_environment(struct settings *environment)
{
    for (size_t i = 0; i < SPECS; i++) {
        char name[NAME_SIZE];
        environment_name(&specs[i], name);
        const char *text = specs[i].kind != KIND_ACTION ? getenv(name) : NULL;
        if (text != NULL && !settings_set(environment, i, name, text))
            return false;
    }
    return true;
}

static enum setting_kind setting_kind(enum kind kind)
{
    switch (kind) {
    case KIND_NUMBER:
        return SETTING_NUMBER;
    case KIND_SIZE:
        return SETTING_SIZE;
    case KIND_DURATION:
        return SETTING_DURATION;
    case KIND_SPAN:
        return SETTING_SPAN;
    case KIND_COMMAND:
        return SETTING_WORDS;
    case KIND_FLAG:
        return SETTING_FLAG;
    case KIND_ADDRESS:
    case KIND_PATH:
    case KIND_FILE:
    case KIND_FOLDER:
    case KIND_URL:
    case KIND_ORIGIN:
    case KIND_CHOICE:
    case KIND_ACTION:
        break;
    }
    return SETTING_TEXT;
}

static bool read_file(struct file_settings *file, const char *path)
{
    struct setting_spec in_file[SPECS];
    for (size_t i = 0; i < SPECS; i++)
        in_file[i] = (struct setting_spec){
            .name = specs[i].name,
            .kind = setting_kind(specs[i].kind),
            .of_queue = specs[i].target == OF_QUEUE,
            .in_file = specs[i].kind != KIND_ACTION && specs[i].kind != KIND_PATH,
        };
    return settings_read_file(file, path, in_file, SPECS);
}

static const char *config_path(const struct sources *sources)
{
    size_t config = spec_named("config");
    const char *path = sources->line.of[config].text;
    return path != NULL ? path : sources->environment.of[config].text;
}

static bool read_sources(struct sources *sources, enum action *action, int argc, char **argv)
{
    if (!read_line(&sources->line, action, argc, argv))
        return false;
    if (*action == ACTION_HELP || *action == ACTION_VERSION)
        return true;
    if (!read_environment(&sources->environment))
        return false;
    const char *path = config_path(sources);
    if (path != NULL && !read_file(&sources->file, path))
        return false;
    bool right = all_right(&sources->line) && all_right(&sources->environment) &&
                 all_right(&sources->file.top);
    for (size_t i = 0; i < sources->file.queues_len && right; i++)
        right = all_right(&sources->file.queues[i].settings);
    return right;
}

/* ---- which source counts */

enum { RANKS = 5 };

/* A source, the strongest first; NULL when there is none of this rank. On the command line and in
 * the environment a queue's option means the default queue; the others take it where they say
 * nothing themselves. */
static const struct settings *of_rank(const struct sources *sources,
                                      const struct queue_settings *queue, unsigned rank)
{
    const struct settings *own = queue != NULL ? &queue->settings : NULL;
    bool own_first = queue != NULL && strcmp(queue->name, DEFAULT_QUEUE) != 0;
    const struct settings *const ranks[RANKS] = {own_first ? own : NULL, &sources->line,
                                                 &sources->environment, own, &sources->file.top};
    return ranks[rank];
}

static const char *strongest(const struct sources *sources, size_t option,
                             const struct queue_settings *queue)
{
    bool runner = specs[option].kind == KIND_URL || specs[option].kind == KIND_COMMAND;
    size_t post = spec_named("post"), command = spec_named("exec");
    for (unsigned rank = 0; rank < RANKS; rank++) {
        const struct settings *source = of_rank(sources, queue, rank);
        if (source == NULL)
            continue;
        if (source->of[option].text != NULL)
            return source->of[option].text;
        /* A runner overrides every weaker one, also one of another kind. */
        if (runner && (source->of[post].text != NULL || source->of[command].text != NULL))
            return NULL;
    }
    return specs[option].standard;
}

/* What has been said of one of the server's options; NULL: its default counts. */
static const struct setting *said(const struct sources *sources, const char *name)
{
    size_t option = spec_named(name);
    for (unsigned rank = 0; rank < RANKS; rank++) {
        const struct settings *source = of_rank(sources, NULL, rank);
        if (source != NULL && source->of[option].text != NULL)
            return &source->of[option];
    }
    return NULL;
}

static void combine(void *target, enum target kind, const struct sources *sources,
                    const struct queue_settings *queue)
{
    for (size_t i = 0; i < SPECS; i++) {
        const char *text = strongest(sources, i, queue);
        if (specs[i].target == kind && text != NULL)
            (void)option_apply(&specs[i], target, text); /* all_right() has seen it */
    }
}

static bool combine_all(struct options *options, const struct sources *sources)
{
    size_t len = sources->file.queues_len;
    const char *config = config_path(sources);
    if (config != NULL && (options->config = strdup(config)) == NULL)
        return settings_wrong("options", "out of memory");
    combine(options, OF_SERVER, sources, NULL);
    options->queues_len = len > 0 ? (uint32_t)len : 1;
    options->queues = calloc(options->queues_len, sizeof *options->queues);
    if (options->queues == NULL)
        return settings_wrong("queues", "out of memory");
    for (uint32_t i = 0; i < options->queues_len; i++) {
        const struct queue_settings *queue = len > 0 ? &sources->file.queues[i] : NULL;
        snprintf(options->queues[i].name, sizeof options->queues[i].name, "%s",
                 queue != NULL ? queue->name : DEFAULT_QUEUE);
        combine(&options->queues[i], OF_QUEUE, sources, queue);
    }
    return true;
}

/* A body must fit; a default makes room for what somebody has said. */
static bool fit_body(struct options *options, const struct sources *sources)
{
    const struct setting *body = said(sources, "max-body");
    char text[40], memory[40];
    if (options->body_max_bytes <= options->memory_bytes)
        return true;
    if (body == NULL) {
        options->body_max_bytes = options->memory_bytes;
        return true;
    }
    return settings_wrong(
        body->place,
        "\"%s\" is more than --memory \"%s\", which holds all payloads; allowed "
        "is at most %llu, or a larger --memory",
        text_printable(body->text, text, sizeof text),
        text_printable(strongest(sources, spec_named("memory"), NULL), memory, sizeof memory),
        (unsigned long long)options->memory_bytes);
}

/* So must an output; a default makes room likewise. */
static bool fit_output(struct options *options, const struct sources *sources)
{
    const struct setting *output = said(sources, "output-limit");
    char text[40], memory[40];
    if (options->output_max_bytes <= options->memory_bytes)
        return true;
    if (output == NULL) {
        options->output_max_bytes = options->memory_bytes;
        return true;
    }
    return settings_wrong(
        output->place,
        "\"%s\" is more than --memory \"%s\", which holds all outputs; allowed "
        "is at most %llu, or a larger --memory",
        text_printable(output->text, text, sizeof text),
        text_printable(strongest(sources, spec_named("memory"), NULL), memory, sizeof memory),
        (unsigned long long)options->memory_bytes);
}

static bool agree(const struct options *options)
{
    uint64_t jobs = 2 * options->keep + OPTIONS_LEASES_MAX;
    for (uint32_t i = 0; i < options->queues_len; i++)
        jobs += options->queues[i].capacity + options->queues[i].workers;
    if (jobs >= JOBS_MAX)
        return settings_wrong("--capacity",
                              "all queues and --keep together are %llu jobs; allowed "
                              "are fewer than %llu",
                              (unsigned long long)jobs, (unsigned long long)JOBS_MAX);
    if ((options->tls_certificate == NULL) != (options->tls_key == NULL))
        return settings_wrong(options->tls_key == NULL ? "--tls-cert" : "--tls-key",
                              "--tls-cert and --tls-key belong together");
    return true;
}

bool options_read(struct options *options, int argc, char **argv)
{
    struct sources *sources = calloc(1, sizeof *sources);
    *options = (struct options){.action = ACTION_RUN};
    if (sources == NULL)
        return settings_wrong("options", "out of memory");
    bool good = read_sources(sources, &options->action, argc, argv) &&
                combine_all(options, sources) && fit_body(options, sources) &&
                fit_output(options, sources) && agree(options);
    settings_release(&sources->line);
    settings_release(&sources->environment);
    settings_release_file(&sources->file);
    free(sources);
    if (!good)
        options_release(options);
    return good;
}

void options_release(struct options *options)
{
    for (uint32_t i = 0; options->queues != NULL && i < options->queues_len; i++)
        release_queue(&options->queues[i]);
    free(options->queues);
    release_files(options);
    options->queues = NULL;
    options->queues_len = 0;
}

/* ---- what has changed */

/* What a queue is made of cannot change; how it runs its jobs can. */
static bool is_live(const struct option_spec *spec)
{
    return spec->target == OF_QUEUE && strcmp(spec->name, "capacity") != 0 &&
           strcmp(spec->name, "workers") != 0;
}

static void compare(enum target target, const void *one, const void *other, options_differ *each,
                    void *context)
{
    for (size_t i = 0; i < SPECS; i++)
        if (specs[i].target == target && !option_same(&specs[i], one, other))
            each(context, specs[i].name, is_live(&specs[i]));
}

void options_compare(const struct options *options, const struct options *others,
                     options_differ *each, void *context)
{
    compare(OF_SERVER, options, others, each, context);
}

void options_compare_queues(const struct queue_options *queue, const struct queue_options *other,
                            options_differ *each, void *context)
{
    compare(OF_QUEUE, queue, other, each, context);
}

/* ---- help */

void options_help(FILE *out)
{
    fputs("Usage: jobd [options] [-- command [argument...]]\n"
          "A job queue that anyone can use with curl: POST or GET /do puts a job in and is\n"
          "answered at once, 202 queued or 429 busy.\n\n",
          out);
    for (size_t i = 0; i < SPECS; i++) {
        const struct option_spec *spec = &specs[i];
        char names[64], letter[8] = "    ";
        if (spec->kind == KIND_COMMAND) {
            fprintf(out, "  %-26s %s\n", "-- COMMAND [ARGUMENT...]", spec->help);
            continue;
        }
        if (spec->letter != 0)
            snprintf(letter, sizeof letter, "-%c, ", spec->letter);
        snprintf(names, sizeof names, "%s--%s%s%s", letter, spec->name,
                 spec->takes != NULL ? " " : "", spec->takes != NULL ? spec->takes : "");
        fprintf(out, "  %-26s %s%s%s%s\n", names, spec->help, spec->standard != NULL ? " [" : "",
                spec->standard != NULL ? spec->standard : "", spec->standard != NULL ? "]" : "");
    }
    fputs("\nEach option but the last four is also a variable, JOBD_CAPACITY for --capacity, and, "
          "all but\n"
          "--config, a key of the file, where the command is \"exec\", an array. The command line "
          "counts\n"
          "before the environment, that before the file.\n",
          out);
}
