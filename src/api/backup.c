/* SPDX-License-Identifier: MIT */
/* GET /backup: a copy of the database. The request waits until the store has made it, and is
 * answered with the bytes then, so that a copy that cannot be made is a status and not a short
 * body. */
#include "api/endpoint.h"
#include "api/respond.h"
#include "store/backup.h"

enum { AGAIN_S = 10 }; /* when another may be over */

#define TYPE_DATABASE "application/vnd.sqlite3"

/* In request_state(). */
struct backup_call {
    struct store_backup *backup; /* NULL: none, or the reply's */
    enum backup_result begun;
};

static struct backup_call *asked_of(struct request *request)
{
    return request_state(request, sizeof(struct backup_call));
}

/* ---- the store's answer */

static void made(void *context)
{
    struct request *request = context;
    request->waiter.result = JOBD_OK;
    request->waiter.wake(&request->waiter);
}

static bool leave(struct request *request)
{
    return store_backup_leave(asked_of(request)->backup);
}

static void release(struct request *request)
{
    store_backup_free(asked_of(request)->backup);
}

/* ---- the body */

static ssize_t read_backup(void *context, struct http_stream *stream, char *to, size_t max)
{
    (void)stream;
    ssize_t size = store_backup_read(context, to, max);
    return size > 0 ? size : STREAM_END;
}

static void free_backup(void *context)
{
    store_backup_free(context);
}

/* ---- the endpoint */

static enum step parse_backup(struct call *call)
{
    const struct api *api = call->api;
    if (api->turns != NULL)
        return respond_error(call, 501,
                             "the jobs are in a PostgreSQL database: copy that with pg_dump");
    if (api->store == NULL)
        return respond_error(call, 501,
                             "the jobs are in memory: there are backups with --data DIR");
    return STEP_START;
}

/* HEAD is not worth a copy. */
static enum jobd_result start_backup(struct call *call)
{
    struct request *request = call->request;
    struct backup_call *asked = asked_of(request);
    if (request->method == METHOD_HEAD)
        return JOBD_OK;
    asked->backup = store_backup_new(call->api->store, made, request);
    if (asked->backup == NULL)
        return JOBD_OUT_OF_MEMORY;
    request->release = release;
    request->leave = leave;
    request->watch_hangup = true;
    asked->begun = jobd_closed(call->api->jobd) ? BACKUP_CLOSED : store_backup_begin(asked->backup);
    return asked->begun == BACKUP_BEGUN ? JOBD_PENDING : JOBD_OK;
}

static enum step refuse(struct call *call, enum backup_result why)
{
    switch (why) {
    case BACKUP_BUSY:
        call->reply->retry_after_s = AGAIN_S;
        return respond_error(call, 503, "another backup is being made or fetched");
    case BACKUP_CLOSED:
        return respond_result(call, JOBD_CLOSED);
    case BACKUP_FAILING:
    case BACKUP_BEGUN: /* which is no refusal */
        break;
    }
    return respond_result(call, JOBD_STORE_FAILED);
}

static enum step answer_backup(struct call *call, enum jobd_result result)
{
    struct backup_call *asked = asked_of(call->request);
    struct reply *reply = call->reply;
    struct problem problem;
    uint64_t bytes = 0;
    if (result != JOBD_OK)
        return respond_result(call, result);
    if (asked->begun != BACKUP_BEGUN)
        return refuse(call, asked->begun);
    if (asked->backup != NULL && !store_backup_made(asked->backup, &bytes, &problem)) {
        reply->retry_after_s = AGAIN_S;
        return respond_error(call, 503, problem.text);
    }
    reply->status = 200;
    reply->type = TYPE_DATABASE;
    reply->stream = (struct reply_stream){
        .read = read_backup, .free = free_backup, .context = asked->backup, .size = bytes};
    asked->backup = NULL;
    reply_text(reply, "Content-Disposition", "attachment; ", "filename=\"jobd.db\"");
    reply_text(reply, "Cache-Control", "", "no-store");
    return STEP_REPLY;
}

const struct endpoint backup_endpoints[] = {
    {
        .paths = {"/backup"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_ADMIN,
        .summary = "Downloads a copy of the database of a server with --data DIR.",
        .answers = "200 " TYPE_DATABASE,
        .sent = "200 Content-Disposition! Cache-Control!",
        .parse = parse_backup,
        .start = start_backup,
        .answer = answer_backup,
    },
    {.methods = 0},
};
