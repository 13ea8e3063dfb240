/* SPDX-License-Identifier: MIT */
#include "client/top_view.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"

enum { LINE_SIZE = 512, NAME_COLUMNS = 18, HEAD_ROWS = 4 };

#define RED    "\033[31m"
#define YELLOW "\033[33m"
#define BOLD   "\033[1m"
#define PLAIN  "\033[0m"

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* Of printable ASCII. */
static const char *string(const cJSON *object, const char *name, char *out, size_t size)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return text_printable(cJSON_IsString(item) ? item->valuestring : "", out, size);
}

/* A line, cut where the terminal ends. */
__attribute__((format(printf, 4, 5))) static void put(FILE *out, const struct top_view *view,
                                                      const char *color, const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bool colored = view->colors && color != NULL;
    fprintf(out, "%s%.*s%s%s", colored ? color : "", view->columns, text, colored ? PLAIN : "",
            view->line_end);
}

/* 1234567 as 1.2M: at most five characters. */
static const char *count(double value, char out[32])
{
    static const char units[] = "\0kMGT";
    size_t unit = 0;
    for (; value >= 99999.5 && unit < sizeof units - 2; unit++)
        value /= 1000;
    snprintf(out, 32, value < 10 && unit > 0 ? "%.1f%.1s" : "%.0f%.1s", value, &units[unit]);
    return out;
}

static const char *bytes(double value, char out[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    snprintf(out, 32, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

static void put_head(FILE *out, const struct top_view *view, const cJSON *status)
{
    char version[32], reason[160], used[32], limit[32], name[160], kind[32];
    const cJSON *memory = cJSON_GetObjectItemCaseSensitive(status, "memory");
    const cJSON *connections = cJSON_GetObjectItemCaseSensitive(status, "connections");
    const cJSON *store = cJSON_GetObjectItemCaseSensitive(status, "store");
    bool ready = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, "ready"));
    long up_s = (long)number(status, "uptime_s");
    put(out, view, BOLD, "jobd %s at %s, up %ldd %ld:%02ld:%02ld%s",
        string(status, "version", version, sizeof version),
        text_printable(view->name, name, sizeof name), up_s / 86400, up_s / 3600 % 24,
        up_s / 60 % 60, up_s % 60, view->frozen ? ", frozen" : "");
    put(out, view, NULL,
        "memory %s of %s, connections %.0f of %.0f, waiting requests %.0f, store %s",
        bytes(number(memory, "used"), used), bytes(number(memory, "limit"), limit),
        number(connections, "open"), number(connections, "limit"), number(connections, "parked"),
        string(store, "kind", kind, sizeof kind));
    if (view->notice[0] != '\0')
        put(out, view, RED, "%s", view->notice);
    else
        put(out, view, ready ? NULL : RED, "%s%s", ready ? "ready" : "not ready: ",
            ready ? "" : string(status, "reason", reason, sizeof reason));
}

static void put_queue(FILE *out, const struct top_view *view, const cJSON *queue)
{
    char name[80], waiting[32], capacity[32], of[72], later[32], runs[32], done[32], failed[32],
        rejected[32], rate[32];
    double queued = number(queue, "queued"),
           later_of = number(queue, "scheduled") + number(queue, "blocked");
    bool paused = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(queue, "paused"));
    bool full = queued + later_of >= number(queue, "capacity");
    snprintf(of, sizeof of, "%s/%s", count(queued, waiting),
             count(number(queue, "capacity"), capacity));
    snprintf(rate, sizeof rate, "%.1f", number(queue, "drain_per_s"));
    put(out, view,
        full     ? RED
        : paused ? YELLOW
                 : NULL,
        "%-*.*s %13s %6s %5s %8s %7s %8s %7s", NAME_COLUMNS, NAME_COLUMNS,
        string(queue, "name", name, sizeof name), of, count(later_of, later),
        count(number(queue, "running"), runs), count(number(queue, "done"), done),
        count(number(queue, "failed"), failed), count(number(queue, "rejected"), rejected),
        paused ? "paused" : rate);
}

int top_view_queues(const cJSON *status)
{
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(status, "queues"));
}

void top_view_draw(FILE *out, const struct top_view *view, const cJSON *status)
{
    const cJSON *queues = cJSON_GetObjectItemCaseSensitive(status, "queues"), *queue;
    int room = view->rows > 0 ? view->rows - HEAD_ROWS - 1 : -1, index = 0;
    if (status == NULL) {
        put(out, view, NULL, "%s", view->notice[0] != '\0' ? view->notice : "asking ...");
        return;
    }
    put_head(out, view, status);
    put(out, view, BOLD, "%-*s %13s %6s %5s %8s %7s %8s %7s", NAME_COLUMNS, "QUEUE", "WAITING",
        "LATER", "RUNS", "DONE", "FAILED", "REFUSED", "PER S");
    cJSON_ArrayForEach(queue, queues)
    {
        if (index++ < view->first || room == 0)
            continue;
        room--;
        put_queue(out, view, queue);
    }
}
