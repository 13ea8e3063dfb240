/* SPDX-License-Identifier: MIT */
#include "api/openapi.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/embed.h"
#include "api/respond.h"
#include "base/chars.h"
#include "http/content.h"

EMBED(openapi_base, "src/api/openapi/openapi.json");

enum { NAME_SIZE = 96 };

/* What is being made. */
struct description {
    cJSON *whole, *paths;
    cJSON *subjects, *parameters, *fields, *bodies, *sent, *schemas; /* of openapi.json, by name or
                                                                      * path */
    cJSON *components;
    char *missing;
};

/* ---- small things */

static bool miss(struct description *description, const char *what, const char *name)
{
    if (description->missing != NULL)
        snprintf(description->missing, 128, "%s %.80s", what, name);
    return false;
}

static cJSON *object_in(cJSON *object, const char *name)
{
    cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    return found != NULL ? found : cJSON_AddObjectToObject(object, name);
}

/* The name of what a path's `*` stands for; it is the same in all that begin alike. */
static const char *subject_of(const char *path)
{
    static const struct {
        const char *begins, *name;
    } rows[] = {{"/do/", "queue"},     {"/take/", "queue"},   {"/queues/", "queue"},
                {"/jobs/", "id"},      {"/leases/", "token"}, {"/schedules/", "name"},
                {"/batches/", "batch"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strncmp(path, rows[i].begins, strlen(rows[i].begins)) == 0)
            return rows[i].name;
    return "";
}

static void template_of(const char *path, char out[NAME_SIZE])
{
    const char *star = strchr(path, '*');
    if (star == NULL)
        snprintf(out, NAME_SIZE, "%s", path);
    else
        snprintf(out, NAME_SIZE, "%.*s{%s}%s", (int)(star - path), path, subject_of(path),
                 star + 1);
}

/* ---- parameters */

/* cJSON prints 15 digits, which are too few for the largest id. */
static bool print_exactly(cJSON *schema)
{
    const cJSON *maximum = cJSON_GetObjectItemCaseSensitive(schema, "maximum");
    char digits[24];
    if (maximum == NULL || maximum->valuedouble < INT32_MAX)
        return true;
    snprintf(digits, sizeof digits, "%.0f", maximum->valuedouble);
    return cJSON_ReplaceItemInObjectCaseSensitive(schema, "maximum", cJSON_CreateRaw(digits));
}

static bool add_parameter(cJSON *list, const cJSON *described, const char *in, const char *name)
{
    cJSON *parameter = cJSON_Duplicate(described, true);
    return parameter != NULL && cJSON_AddItemToArray(list, parameter) &&
           print_exactly(cJSON_GetObjectItemCaseSensitive(parameter, "schema")) &&
           cJSON_AddStringToObject(parameter, "name", name) != NULL &&
           cJSON_AddStringToObject(parameter, "in", in) != NULL &&
           (strcmp(in, "path") != 0 || cJSON_AddTrueToObject(parameter, "required") != NULL);
}

/* A parameter that may be given more than once is described as a list of its values. */
static bool repeat_last(const cJSON *list)
{
    cJSON *parameter = cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1);
    cJSON *one = cJSON_DetachItemFromObjectCaseSensitive(parameter, "schema");
    cJSON *schema = cJSON_AddObjectToObject(parameter, "schema");
    return cJSON_AddStringToObject(schema, "type", "array") != NULL &&
           cJSON_AddNumberToObject(schema, "maxItems", JOBD_TAGS_MAX) != NULL &&
           cJSON_AddItemToObject(schema, "items", one);
}

/* `path name` where it means something of its own there, else the name. With x-absent it is in the
 * row of another path alone. */
static const cJSON *described_as(const cJSON *all, const char *path, const char *name)
{
    char own[2 * NAME_SIZE];
    snprintf(own, sizeof own, "%s %s", path, name);
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(all, own);
    return found != NULL ? found : cJSON_GetObjectItemCaseSensitive(all, name);
}

static bool add_query(struct description *description, const struct endpoint *row, const char *path,
                      cJSON *list)
{
    for (int i = 0; i < ENDPOINT_PARAMETERS_MAX && row->parameters[i] != NULL; i++) {
        const char *name = row->parameters[i];
        const cJSON *described = described_as(description->parameters, path, name);
        if (described == NULL)
            return miss(description, "parameter", name);
        if (cJSON_HasObjectItem(described, "x-absent"))
            continue;
        if (!add_parameter(list, described, "query", name))
            return false;
        if (row->repeated != NULL && strcmp(row->repeated, name) == 0 && !repeat_last(list))
            return false;
    }
    return true;
}

static bool add_fields(struct description *description, const struct endpoint *row,
                       const char *path, cJSON *list)
{
    for (int i = 0; i < ENDPOINT_FIELDS_MAX && row->fields[i] != NULL; i++) {
        const char *name = row->fields[i];
        const cJSON *field = described_as(description->fields, path, name);
        if (field == NULL)
            return miss(description, "field", name);
        if (!add_parameter(list, field, "header", name))
            return false;
    }
    return true;
}

static bool add_parameters(struct description *description, const struct endpoint *row,
                           const char *path, cJSON *operation)
{
    cJSON *list = cJSON_AddArrayToObject(operation, "parameters");
    const char *brace = strchr(path, '{');
    char subject[NAME_SIZE];
    if (brace != NULL) {
        snprintf(subject, sizeof subject, "%.*s", (int)strcspn(brace + 1, "}"), brace + 1);
        const cJSON *described = cJSON_GetObjectItemCaseSensitive(description->subjects, subject);
        if (described == NULL)
            return miss(description, "path", path);
        if (!add_parameter(list, described, "path", subject))
            return false;
    }
    return add_query(description, row, path, list) && add_fields(description, row, path, list);
}

/* ---- references to what is described once */

static bool refer_to(cJSON *object, const char *kind, const char *name)
{
    char reference[NAME_SIZE + 40];
    snprintf(reference, sizeof reference, "#/components/%s/%s", kind, name);
    return cJSON_AddStringToObject(object, "$ref", reference) != NULL;
}

/* ---- fields of an answer's header */

/* A reference cannot say `required`: what always comes somewhere, and elsewhere does not, is there
 * twice, as Jobd-State-always too. */
static bool add_sent_field(struct description *description, cJSON *answer, const char *name,
                           bool always)
{
    char key[NAME_SIZE + sizeof "-always"];
    cJSON *headers = object_in(description->components, "headers");
    const cJSON *described = cJSON_GetObjectItemCaseSensitive(description->sent, name);
    if (described == NULL)
        return miss(description, "field of an answer", name);
    snprintf(key, sizeof key, "%s%s", name, always ? "-always" : "");
    cJSON *header = cJSON_GetObjectItemCaseSensitive(headers, key);
    if (header == NULL) {
        header = cJSON_Duplicate(described, true);
        if (header == NULL || (always && cJSON_AddTrueToObject(header, "required") == NULL) ||
            !cJSON_AddItemToObject(headers, key, header)) {
            cJSON_Delete(header);
            return false;
        }
    }
    return refer_to(object_in(object_in(answer, "headers"), name), "headers", key);
}

/* Names with blanks between, and `!` behind those that always come. */
static bool add_sent_fields(struct description *description, cJSON *answer, const char *names)
{
    char name[NAME_SIZE];
    for (names += strspn(names, " "); *names != '\0'; names += strspn(names, " ")) {
        size_t length = strcspn(names, " !");
        bool always = names[length] == '!';
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        if (!add_sent_field(description, answer, name, always))
            return false;
        names += length + always;
    }
    return true;
}

/* What a row says of it, beside each status. */
static bool add_sent(struct description *description, const struct endpoint *row, cJSON *answers)
{
    char text[4 * NAME_SIZE], *rest = text, *names;
    snprintf(text, sizeof text, "%s", row->sent != NULL ? row->sent : "");
    while ((names = strsep(&rest, ",")) != NULL) {
        names += strspn(names, " ");
        if (*names == '\0')
            continue;
        const char *status = strsep(&names, " ");
        cJSON *answer = cJSON_GetObjectItemCaseSensitive(answers, status);
        if (answer == NULL || names == NULL)
            return miss(description, "answer with fields", status);
        if (!add_sent_fields(description, answer, names))
            return false;
    }
    return true;
}

/* ---- answers */

/* Makes what `schema` refers to one of several, and returns where to put the next one. NULL when
 * memory is short. */
static cJSON *another_of(cJSON *schema)
{
    cJSON *former = cJSON_DetachItemFromObjectCaseSensitive(schema, "$ref");
    if (former != NULL) {
        cJSON *one = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(cJSON_AddArrayToObject(schema, "anyOf"), one)) {
            cJSON_Delete(one);
            one = NULL;
        }
        if (!cJSON_AddItemToObject(one, "$ref", former))
            cJSON_Delete(former);
    }
    cJSON *any = cJSON_GetObjectItemCaseSensitive(schema, "anyOf");
    if (any == NULL)
        return schema;
    cJSON *another = cJSON_CreateObject();
    return cJSON_AddItemToArray(any, another) ? another : NULL;
}

static bool add_schema(struct description *description, cJSON *content, const char *name)
{
    if (cJSON_GetObjectItemCaseSensitive(description->schemas, name) == NULL)
        return miss(description, "schema", name);
    const char *type = strcmp(name, "Problem") == 0 ? TYPE_PROBLEM : TYPE_JSON;
    cJSON *schema = another_of(object_in(object_in(content, type), "schema"));
    return refer_to(schema, "schemas", name);
}

/* `kind` is the name of a schema, `text`, `bytes`: of any type; or a type of media. */
static bool add_kind(struct description *description, cJSON *content, const char *kind)
{
    if (strcmp(kind, "bytes") == 0)
        return object_in(content, "*/*") != NULL;
    if (strcmp(kind, "text") == 0)
        return cJSON_AddStringToObject(object_in(object_in(content, "text/plain"), "schema"),
                                       "type", "string") != NULL;
    return strchr(kind, '/') != NULL ? object_in(content, kind) != NULL
                                     : add_schema(description, content, kind);
}

/* `status` is "default" for all that is not named. What clients have sent, `bytes`, is never sent
 * without the fields that keep browsers from running it. */
static bool add_answer(struct description *description, cJSON *answers, const char *status,
                       char *kinds)
{
    cJSON *answer = cJSON_AddObjectToObject(answers, status);
    unsigned number = (unsigned)strtoul(status, NULL, 10);
    const char *phrase = number != 0 ? reply_phrase(number) : "It was refused, or failed: why.";
    bool nothing_else = strcmp(kinds, "bytes") == 0;
    if (cJSON_AddStringToObject(answer, "description", phrase) == NULL)
        return false;
    char *rest = kinds, *kind;
    while ((kind = strsep(&rest, " |")) != NULL) {
        if (*kind != '\0' && !add_kind(description, object_in(answer, "content"), kind))
            return false;
        if (strcmp(kind, "bytes") == 0 &&
            !add_sent_fields(description, answer,
                             nothing_else ? "X-Content-Type-Options! Content-Security-Policy!"
                                          : "X-Content-Type-Options Content-Security-Policy"))
            return false;
    }
    return true;
}

/* ---- refusals: a problem, or a line of text, the same for all endpoints, and described once */

static const struct refusal {
    const char *status, *sent;
    enum { OF_ALL, OF_TOKENS, OF_NAMED } whose; /* of rows that need a token; that name it */
} refusals[] = {
    {"401", "WWW-Authenticate!", OF_TOKENS}, {"403", "WWW-Authenticate", OF_TOKENS},
    {"415", "Accept-Encoding!", OF_ALL},     {"429", "Retry-After!", OF_NAMED},
    {"503", "Retry-After", OF_ALL},          {"default", "", OF_ALL},
};
enum { REFUSALS = sizeof refusals / sizeof refusals[0] };

static bool add_refusals(struct description *description)
{
    cJSON *responses = cJSON_AddObjectToObject(description->components, "responses");
    for (size_t i = 0; i < REFUSALS; i++) {
        char kinds[] = "Problem|text";
        const char *status = refusals[i].status;
        if (!add_answer(description, responses, status, kinds) ||
            !add_sent_fields(description, object_in(responses, status), refusals[i].sent))
            return false;
    }
    return true;
}

/* Where the row says nothing of its own about it. */
static bool refer_to_refusals(const struct endpoint *row, cJSON *answers)
{
    for (size_t i = 0; i < REFUSALS; i++) {
        const char *status = refusals[i].status;
        if (cJSON_HasObjectItem(answers, status) || refusals[i].whose == OF_NAMED ||
            (refusals[i].whose == OF_TOKENS && row->scope == SCOPE_OPEN))
            continue;
        if (!refer_to(object_in(answers, status), "responses", status))
            return false;
    }
    return true;
}

static bool is_refusal(const char *status)
{
    for (size_t i = 0; i < REFUSALS; i++)
        if (strcmp(refusals[i].status, status) == 0)
            return true;
    return false;
}

static bool add_answers(struct description *description, const struct endpoint *row,
                        cJSON *operation)
{
    char text[NAME_SIZE * 2], *rest = text, *one;
    cJSON *answers = cJSON_AddObjectToObject(operation, "responses");
    snprintf(text, sizeof text, "%s", row->answers);
    while ((one = strsep(&rest, ",")) != NULL) {
        char *kinds = one + strspn(one, " "), *status = strsep(&kinds, " ");
        char nothing[] = "";
        bool added =
            kinds == NULL && is_refusal(status)
                ? refer_to(object_in(answers, status), "responses", status)
                : add_answer(description, answers, status, kinds != NULL ? kinds : nothing);
        if (!added)
            return false;
    }
    return add_sent(description, row, answers) && refer_to_refusals(row, answers);
}

/* ---- rows */

static bool add_security(const struct endpoint *row, cJSON *operation)
{
    cJSON *list = cJSON_AddArrayToObject(operation, "security");
    if (row->scope == SCOPE_OPEN)
        return list != NULL;
    cJSON *one = cJSON_CreateObject();
    return cJSON_AddItemToArray(list, one) &&
           cJSON_AddItemToArray(cJSON_AddArrayToObject(one, "token"),
                                cJSON_CreateString(scope_name(row->scope)));
}

/* Any bytes; generators of clients want a schema, which says nothing. */
static bool add_body(const struct description *description, const char *path, cJSON *operation)
{
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(description->bodies, path);
    cJSON *body = own != NULL ? cJSON_Duplicate(own, true) : cJSON_CreateObject();
    if (!cJSON_AddItemToObject(operation, "requestBody", body)) {
        cJSON_Delete(body);
        return false;
    }
    return object_in(object_in(object_in(body, "content"), "*/*"), "schema") != NULL;
}

/* A name for it in generated clients: GET /jobs/{id}/output is jobsIdOutputGet. */
static bool add_id(cJSON *operation, const char *path, const char *method)
{
    char id[NAME_SIZE + METHODS_SIZE];
    size_t used = 0;
    bool begins = false;
    for (const char *at = path; *at != '\0' && used < NAME_SIZE; at++) {
        bool plain = char_is_alpha(*at) || char_is_digit(*at);
        if (plain)
            id[used++] = begins ? char_upper(*at) : *at;
        begins = !plain && used > 0;
    }
    snprintf(id + used, sizeof id - used, "%s%s", used > 0 ? "" : "root", method);
    used += used > 0 ? 0 : strlen("root");
    id[used] = char_upper(id[used]);
    return cJSON_AddStringToObject(operation, "operationId", id) != NULL;
}

static bool add_operation(struct description *description, const struct endpoint *row,
                          const char *path, unsigned method)
{
    char names[METHODS_SIZE];
    methods_list(method, names);
    for (char *at = names; *at != '\0'; at++)
        *at = char_lower(*at);
    if (row->summary == NULL || row->answers == NULL)
        return miss(description, names, path);
    cJSON *operation = cJSON_AddObjectToObject(object_in(description->paths, path), names);
    return cJSON_AddStringToObject(operation, "summary", row->summary) != NULL &&
           add_id(operation, path, names) && add_security(row, operation) &&
           add_parameters(description, row, path, operation) &&
           (!row->has_body || (method & (METHOD_POST | METHOD_PUT)) == 0 ||
            add_body(description, path, operation)) &&
           add_answers(description, row, operation);
}

static bool add_row(struct description *description, const struct endpoint *row)
{
    for (int i = 0; i < ENDPOINT_PATHS_MAX && row->paths[i] != NULL; i++) {
        char path[NAME_SIZE];
        template_of(row->paths[i], path);
        for (unsigned method = METHOD_GET; method < METHOD_OTHER; method <<= 1)
            if ((row->methods & method) != 0 && !add_operation(description, row, path, method))
                return false;
    }
    return true;
}

static bool begin(struct description *description)
{
    const char *const base[] = {openapi_base, openapi_base_end};
    cJSON *whole = cJSON_ParseWithLength(base[0], (size_t)(base[1] - base[0]));
    cJSON *components = cJSON_GetObjectItemCaseSensitive(whole, "components");
    description->whole = whole;
    description->components = components;
    description->paths = cJSON_GetObjectItemCaseSensitive(whole, "paths");
    description->schemas = cJSON_GetObjectItemCaseSensitive(components, "schemas");
    description->subjects = cJSON_DetachItemFromObjectCaseSensitive(whole, "x-path-parameters");
    description->parameters = cJSON_DetachItemFromObjectCaseSensitive(whole, "x-parameters");
    description->fields = cJSON_DetachItemFromObjectCaseSensitive(whole, "x-fields");
    description->bodies = cJSON_DetachItemFromObjectCaseSensitive(whole, "x-bodies");
    description->sent = cJSON_DetachItemFromObjectCaseSensitive(whole, "x-answer-fields");
    cJSON *version = cJSON_CreateString(JOBD_VERSION);
    return cJSON_ReplaceItemInObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(whole, "info"),
                                                  "version", version);
}

cJSON *openapi_json(const struct endpoint *const *tables, char missing[128])
{
    struct description description = {.missing = missing};
    bool whole = begin(&description) && add_refusals(&description);
    for (; *tables != NULL && whole; tables++)
        for (const struct endpoint *row = *tables; row->methods != 0 && whole; row++)
            whole = add_row(&description, row);
    cJSON_Delete(description.subjects);
    cJSON_Delete(description.parameters);
    cJSON_Delete(description.fields);
    cJSON_Delete(description.bodies);
    cJSON_Delete(description.sent);
    if (whole)
        return description.whole;
    cJSON_Delete(description.whole);
    return NULL;
}

/* ---- the answer: made when it is first asked for, the same from then on */

static const struct endpoint *const *all;
static struct content *_Atomic made;

void openapi_init(const struct endpoint *const *tables)
{
    all = tables;
}

static struct content *make(void)
{
    cJSON *json = openapi_json(all, NULL);
    char *text = json != NULL ? json_text(json) : NULL;
    struct content *content = text != NULL ? malloc(sizeof *content) : NULL, *other = NULL;
    cJSON_Delete(json);
    if (content == NULL) {
        free(text);
        return NULL;
    }
    *content = (struct content){.type = TYPE_JSON, .bytes = text, .size = strlen(text)};
    content_init(content);
    if (atomic_compare_exchange_strong(&made, &other, content))
        return content;
    free(text);
    free(content);
    return other;
}

static enum step answer_openapi(struct call *call, enum jobd_result result)
{
    struct content *content = atomic_load(&made);
    (void)result;
    if (content == NULL)
        content = make();
    if (content == NULL)
        return respond_no_memory(call);
    reply_content(call->reply, call->request, content);
    return STEP_REPLY;
}

const struct endpoint openapi_endpoints[] = {
    {
        .paths = {"/openapi.json"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_OPEN,
        .looks = true,
        .any_parameter = true,
        .summary = "Shows this description.",
        .answers = "200 OpenApi, 304",
        .sent = "200 ETag!, 304 ETag!",
        .fields = {"If-None-Match"},
        .answer = answer_openapi,
    },
    {.methods = 0},
};
