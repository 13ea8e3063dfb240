/* SPDX-License-Identifier: MIT */
/* Many attempts end at once: each line, or item of an array, is a report as /done or /fail have it,
 * and has a status of its own. Those that count are written in one transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/endpoint.h"
#include "api/lease_values.h"
#include "api/lines.h"
#include "api/respond.h"
#include "base/base64.h"
#include "base/json_walk.h"
#include "base/text.h"
#include "base/utf8.h"
#include "jobd/lease.h"

enum {
    ANSWER_BYTES = 200, /* of an answer, beside its lease and at most */
    TYPE_MAX = 255
};

#define TYPE_LINES   "application/x-ndjson"
#define LEASE_PREFIX "/leases/"

struct report_entry {
    struct json_token lease; /* as it stands in the body; size 0: there is none */
    struct jobd_report report;
    const char *wrong; /* NULL: nothing */
    bool asked;        /* this time */
    bool taken;        /* its output and error are the engine's, or gone */
    char token[REQUEST_SUBJECT_SIZE];
};

struct reports {
    bool is_array;
    uint32_t len;
    struct report_entry *entries;
    struct jobd_report *reports; /* of the entries, for the engine */
    char *scratch;               /* as large as the body */
};

struct reports_state {
    struct reports *all; /* in one piece */
};

static struct reports_state *state_of(struct request *request)
{
    return request_state(request, sizeof(struct reports_state));
}

/* Frees the reports, and outputs and errors that the engine has not taken. */
static void release_reports(struct request *request)
{
    struct reports *all = state_of(request)->all;
    for (uint32_t i = 0; all != NULL && i < all->len; i++) {
        const struct jobd_report *report = &all->reports[i];
        if (all->entries[i].taken || report->result == JOBD_OK)
            continue;
        jobd_blob_unref(report->outcome.output);
        jobd_blob_unref(report->outcome.error);
    }
    free(all);
    state_of(request)->all = NULL;
}

/* ---- the body: one report after the other */

struct source {
    const struct jobd_blob *body;
    struct json_token whole;
    bool is_array, is_one; /* else lines */
    bool is_utf8;          /* all of it; else only some lines are */
    size_t at;
    uint32_t line;
};

/* False when it is neither. */
static bool open_source(const struct jobd_blob *body, struct source *source)
{
    const char *text = (const char *)body->bytes;
    *source = (struct source){
        .body = body, .whole = {text, body->size}, .is_utf8 = utf8_valid(body->bytes, body->size)};
    while (source->whole.size > 0 && strchr(" \t\r\n", *source->whole.text) != NULL) {
        source->whole.text++;
        source->whole.size--;
    }
    source->is_array = source->is_utf8 && json_is_array(text, body->size);
    source->is_one = source->is_utf8 && json_is_object(text, body->size);
    return source->is_array || source->whole.size == 0 || *source->whole.text != '[';
}

static bool next_report(struct source *source, struct json_token *item)
{
    if (source->is_array)
        return json_next_item(&source->whole, &source->at, item);
    if (!source->is_one)
        return lines_next(source->body, &source->at, &source->line, &item->text, &item->size);
    *item = source->whole;
    return source->at++ == 0;
}

/* ---- one report */

enum member { LEASE, OUTPUT, BASE64, TYPE, ERROR, DELAY, EXIT_CODE, MEMBERS };

static const char *const names[MEMBERS] = {
    [LEASE] = "lease", [OUTPUT] = "output", [BASE64] = "output_base64", [TYPE] = "content_type",
    [ERROR] = "error", [DELAY] = "delay",   [EXIT_CODE] = "exit_code"};

static enum member member_named(const struct json_token *name)
{
    unsigned i = 0;
    while (i < MEMBERS && (name->size != strlen(names[i]) + 2 ||
                           memcmp(name->text + 1, names[i], name->size - 2) != 0))
        i++;
    return (enum member)i;
}

static bool is_null(const struct json_token *value)
{
    return value->size == 4 && memcmp(value->text, "null", 4) == 0;
}

/* Its members; what is null is not there. NULL, or what is wrong. */
static const char *read_members(const struct json_token *item, struct json_token values[MEMBERS])
{
    struct json_token name, value;
    const char *wrong = NULL;
    size_t at = 0;
    if (!json_is_object(item->text, item->size))
        return "it is no JSON object";
    while (json_next_member(item->text, item->size, &at, &name, &value)) {
        enum member member = member_named(&name);
        if (member == MEMBERS)
            wrong = "unknown member; there are lease, output, output_base64, content_type, error, "
                    "delay, exit_code";
        else if (values[member].size > 0)
            wrong = "a member is given twice";
        else if (!is_null(&value))
            values[member] = value;
    }
    return wrong;
}

/* A string without NUL, into `out`; false when it is none. */
static bool decode(const struct json_token *value, char *out, size_t *size)
{
    if (value->size < 2 || value->text[0] != '"' || !json_decode(value, out, size) ||
        memchr(out, '\0', *size) != NULL)
        return false;
    out[*size] = '\0';
    return true;
}

/* Can it be the value of a header field? */
static bool is_type(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length > 0 && length <= TYPE_MAX && text[0] != ' ' && text[length - 1] != ' ';
}

static const char *keep(const char *bytes, size_t size, const char *type, struct jobd_blob **blob)
{
    *blob = jobd_blob_new(size, type);
    if (*blob == NULL)
        return jobd_result_text(JOBD_OUT_OF_MEMORY);
    if (size > 0)
        memcpy((*blob)->bytes, bytes, size);
    return NULL;
}

/* Cut to what is kept. */
static const char *read_output(const struct call *call, const struct json_token values[MEMBERS],
                               char *scratch, struct jobd_outcome *outcome)
{
    const struct json_token *output = &values[OUTPUT], *base64 = &values[BASE64];
    const struct json_token *type = &values[TYPE];
    bool is_text = output->size > 0 && output->text[0] == '"';
    const char *kind = base64->size > 0 ? TYPE_BYTES : is_text ? TYPE_TEXT : TYPE_JSON;
    const char *bytes = scratch;
    size_t max = call->api->output_max_bytes, size = 0;
    char *own = scratch;
    if (type->size > 0) { /* in front of the output's own bytes */
        if (!decode(type, scratch, &size) || !is_type(scratch))
            return "content_type must be 1 to 255 printable ASCII characters";
        kind = scratch;
        own = scratch + size + 1;
        bytes = own;
    }
    if (base64->size > 0) {
        if (!decode(base64, own, &size) || !base64_read(own, own, &size))
            return "output_base64 must be a string in Base64";
    } else if (is_text) {
        if (!json_decode(output, own, &size))
            return "output is no text: half a surrogate pair";
    } else {
        bytes = output->text;
        size = output->size;
    }
    outcome->output_truncated = size > max;
    return keep(bytes, size < max ? size : max, kind, &outcome->output);
}

static const char *read_failure(const struct json_token values[MEMBERS], char *scratch,
                                struct jobd_outcome *outcome)
{
    size_t size;
    outcome->state = JOBD_FAILED;
    if (values[DELAY].size > 0) {
        outcome->retry_exactly = true;
        if (!decode(&values[DELAY], scratch, &size) ||
            !text_to_duration(scratch, &outcome->retry_in_us) ||
            outcome->retry_in_us > LEASE_MAX_US)
            return "delay must be a duration of at most 7d, like 250ms, 30s or 5m";
    }
    if (values[ERROR].text[0] != '"' || !json_decode(&values[ERROR], scratch, &size))
        return "error must be a string";
    return keep(scratch, size < ERROR_MAX_BYTES ? size : ERROR_MAX_BYTES, TYPE_TEXT,
                &outcome->error);
}

static const char *read_token(const struct json_token *lease, char *scratch,
                              char token[REQUEST_SUBJECT_SIZE])
{
    size_t size, prefix = strlen(LEASE_PREFIX);
    if (lease->size == 0 || !decode(lease, scratch, &size))
        return "lease must be a string like /leases/TOKEN";
    const char *text = strncmp(scratch, LEASE_PREFIX, prefix) == 0 ? scratch + prefix : scratch;
    snprintf(token, REQUEST_SUBJECT_SIZE, "%s", strlen(text) < REQUEST_SUBJECT_SIZE ? text : "");
    return NULL;
}

static const char *read_exit_code(const struct json_token *value, struct jobd_outcome *outcome)
{
    uint64_t number = 0;
    outcome->exited = value->size > 0;
    if (outcome->exited && !json_read_number(value, EXIT_CODE_MAX, &number))
        return "exit_code must be a number, 0 to 255";
    outcome->exit_code = (int)number;
    return NULL;
}

static const char *read_report(const struct call *call, const struct json_token *item,
                               char *scratch, struct report_entry *entry)
{
    struct json_token values[MEMBERS] = {{NULL, 0}};
    const char *wrong = read_members(item, values);
    bool has_output = values[OUTPUT].size > 0 || values[BASE64].size > 0;
    if (values[LEASE].size > 0 && values[LEASE].text[0] == '"')
        entry->lease = values[LEASE];
    if (wrong != NULL || (wrong = read_token(&values[LEASE], scratch, entry->token)) != NULL)
        return wrong;
    entry->report.token = entry->token;
    entry->report.outcome.state = JOBD_DONE;
    if ((wrong = read_exit_code(&values[EXIT_CODE], &entry->report.outcome)) != NULL)
        return wrong;
    if (values[OUTPUT].size > 0 && values[BASE64].size > 0)
        return "output and output_base64: only one of them";
    if (values[ERROR].size > 0)
        return has_output ? "output and error: only one of them"
                          : read_failure(values, scratch, &entry->report.outcome);
    if (values[DELAY].size > 0)
        return "delay goes with error";
    return has_output ? read_output(call, values, scratch, &entry->report.outcome) : NULL;
}

/* ---- all of them */

static struct reports *new_reports(struct request *request, uint32_t len)
{
    size_t size = request->body->size;
    size_t each = sizeof(struct report_entry) + sizeof(struct jobd_report);
    /* The outputs, and the leases in the answer, are no larger than the body. */
    size_t counted =
        sizeof(struct reports) + len * (each + BLOB_BYTES + ANSWER_BYTES) + 3 * (size + 1);
    if (!jobd_charge(&request->body_account, counted))
        return NULL;
    struct reports *all = calloc(1, sizeof *all + len * each + 2 * size + 2);
    if (all == NULL)
        return NULL;
    all->len = len;
    all->entries = (struct report_entry *)(void *)(all + 1);
    all->reports = (struct jobd_report *)(void *)(all->entries + len);
    all->scratch = (char *)(all->reports + len);
    return all;
}

static enum step parse_reports(struct call *call)
{
    struct request *request = call->request;
    struct source source;
    struct json_token item;
    uint32_t len = 0;
    if (request->body == NULL)
        return respond_error(call, 400, "the body has no report");
    if (!open_source(request->body, &source))
        return respond_error(call, 400, "the body is neither JSON lines nor a JSON array");
    for (struct source count = source; next_report(&count, &item) && len <= JOBD_REPORTS_MAX;)
        len++;
    if (len > JOBD_REPORTS_MAX)
        return respond_error(call, 413, "at most 1000 reports at once");
    request->release = release_reports;
    struct reports *all = state_of(request)->all = new_reports(request, len);
    if (all == NULL)
        return respond_no_memory(call);
    all->is_array = source.is_array;
    for (uint32_t i = 0; i < len && next_report(&source, &item); i++) {
        struct report_entry *entry = &all->entries[i];
        bool is_text = source.is_utf8 || utf8_valid((const unsigned char *)item.text, item.size);
        entry->wrong = is_text ? read_report(call, &item, all->scratch, entry) : "it is not UTF-8";
        entry->report.result = entry->wrong == NULL ? JOBD_PENDING : JOBD_RESULTS;
        all->reports[i] = entry->report;
    }
    return STEP_START;
}

static enum jobd_result start_reports(struct call *call)
{
    struct request *request = call->request;
    struct reports *all = state_of(request)->all;
    for (uint32_t i = 0; i < all->len; i++)
        all->entries[i].asked = all->reports[i].result == JOBD_PENDING;
    return jobd_lease_finish_all(call->api->jobd, all->reports, all->len, &request->waiter,
                                 clock_now_us());
}

/* Notes what became of the reports that the engine was asked to take. True: some must be tried once
 * more. */
static bool conclude(struct reports *all, enum jobd_result result)
{
    bool again = false;
    for (uint32_t i = 0; i < all->len; i++) {
        struct jobd_report *report = &all->reports[i];
        struct report_entry *entry = &all->entries[i];
        bool open = report->result == JOBD_OK || report->result == JOBD_PENDING;
        entry->taken |= report->result == JOBD_OK;
        if (entry->asked && open && result != JOBD_OK)
            report->result = result;
        again = again || report->result == JOBD_PENDING;
    }
    return again;
}

static unsigned status_of(const struct report_entry *entry, enum jobd_result result,
                          const char **detail)
{
    *detail = entry->wrong;
    if (entry->wrong != NULL)
        return entry->wrong == jobd_result_text(JOBD_OUT_OF_MEMORY) ? 503 : 400;
    if (result == JOBD_OK || result == JOBD_REPEATED)
        return 200;
    return result_status(result, detail);
}

static void write_answer(struct json_out *out, const struct report_entry *entry,
                         enum jobd_result result)
{
    const char *detail;
    unsigned status = status_of(entry, result, &detail);
    const struct json_token none = {"null", 4};
    const struct json_token *lease = entry->lease.size > 0 ? &entry->lease : &none;
    json_out_open(out, NULL, '{');
    json_out_raw(out, "lease", lease->text, lease->size);
    json_out_int(out, "status", status);
    if (result == JOBD_REPEATED)
        json_out_raw(out, "repeated", "true", 4);
    if (detail != NULL)
        json_out_text(out, "detail", detail);
    json_out_close(out, '}');
}

static enum step respond_reports(struct call *call, const struct reports *all)
{
    bool array = all->is_array || call->request->wants_json;
    struct json_out out;
    json_out_begin(&out, all->len * (size_t)ANSWER_BYTES + call->request->body->size + 8);
    if (array)
        json_out_open(&out, NULL, '[');
    for (uint32_t i = 0; i < all->len; i++) {
        if (i > 0 && !array)
            json_out_next_line(&out);
        write_answer(&out, &all->entries[i], all->reports[i].result);
    }
    if (array)
        json_out_close(&out, ']');
    enum step step = respond_written(call, 200, &out);
    if (!array && call->reply->status == 200)
        call->reply->type = TYPE_LINES;
    return step;
}

static enum step answer_reports(struct call *call, enum jobd_result result)
{
    struct reports *all = state_of(call->request)->all;
    if (conclude(all, result))
        return STEP_START;
    return respond_reports(call, all);
}

const struct endpoint report_endpoints[] = {
    {
        .paths = {"/leases/done"},
        .methods = METHOD_POST,
        .scope = SCOPE_WORK,
        .about = ABOUT_ANY,
        .names_leases = true,
        .has_body = true,
        .summary = "Ends many attempts at once.",
        .answers = "200 Reports|application/x-ndjson",
        .parse = parse_reports,
        .start = start_reports,
        .answer = answer_reports,
    },
    {.methods = 0},
};
