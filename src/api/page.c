/* SPDX-License-Identifier: MIT */
/* The page: a few files that are built into the program, the same for everybody. Nothing in them is
 * secret: the browser asks the other endpoints for all that it shows, with the user's token. */
#include "api/page.h"

#include <stdio.h>

#include "api/embed.h"
#include "api/endpoint.h"
#include "api/respond.h"
#include "http/content.h"

EMBED(page_html, "src/api/page/index.html");
EMBED(page_css, "src/api/page/jobd.css");
EMBED(page_js, "src/api/page/jobd.js");
EMBED(page_icon, "src/api/page/icon.svg");
EMBED(page_text, "src/api/page/index.txt");

enum { HTML, CSS, JS, ICON, FILES };

static struct content files[FILES] = {[HTML] = {.type = "text/html; charset=utf-8"},
                                      [CSS] = {.type = "text/css; charset=utf-8"},
                                      [JS] = {.type = "text/javascript; charset=utf-8"},
                                      [ICON] = {.type = "image/svg+xml"}};

void page_init(void)
{
    static const char *const bytes[FILES][2] = {
        [HTML] = {page_html, page_html_end},
        [CSS] = {page_css, page_css_end},
        [JS] = {page_js, page_js_end},
        [ICON] = {page_icon, page_icon_end},
    };
    for (unsigned i = 0; i < FILES; i++) {
        files[i].bytes = bytes[i][0];
        files[i].size = (size_t)(bytes[i][1] - bytes[i][0]);
        content_init(&files[i]);
    }
}

#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "    \
    "require-trusted-types-for 'script'"

static enum step answer_file(struct call *call, unsigned file)
{
    struct reply *reply = call->reply;
    if (!call->api->page)
        return respond_error(call, 404, "not found");
    reply->policy = POLICY;
    reply_content(reply, call->request, &files[file]);
    return STEP_REPLY;
}

/* First a line that can be pasted as it is. */
static enum step answer_root(struct call *call, enum jobd_result result)
{
    char base[REQUEST_BASE_SIZE];
    (void)result;
    if (call->api->page && request_accepts(call->request, "text/html"))
        return answer_file(call, HTML);
    if (!request_base(call->request, base))
        snprintf(base, sizeof base, "http://localhost:8080");
    call->reply->policy = POLICY;
    return respond_printed(call, "curl -d 'some work' '%s/do'\n%s%s", base, page_text,
                           call->api->page ? "Browsers get a page here.\n" : "");
}

static enum step answer_css(struct call *call, enum jobd_result result)
{
    (void)result;
    return answer_file(call, CSS);
}

static enum step answer_js(struct call *call, enum jobd_result result)
{
    (void)result;
    return answer_file(call, JS);
}

static enum step answer_icon(struct call *call, enum jobd_result result)
{
    (void)result;
    return answer_file(call, ICON);
}

/* The text for curl has no ETag: what it says depends on the request's Host. */
#define FILE_FIELDS                                                                                \
    "Cache-Control! Vary! Content-Security-Policy! X-Content-Type-Options! Referrer-Policy! ETag"

#define FILE_ROW(path, what, type)                                                                 \
    {                                                                                              \
        .paths = {path}, .methods = GET_OR_HEAD, .scope = SCOPE_OPEN, .any_parameter = true,       \
        .summary = "The page for browsers.", .answers = "200 " type ", 304",                       \
        .sent = "200 " FILE_FIELDS ", 304 " FILE_FIELDS "!", .fields = {"If-None-Match"},          \
        .answer = what,                                                                            \
    }

const struct endpoint page_endpoints[] = {
    FILE_ROW("/", answer_root, "text/html|text"),
    FILE_ROW("/jobd.css", answer_css, "text/css"),
    FILE_ROW("/jobd.js", answer_js, "text/javascript"),
    FILE_ROW("/icon.svg", answer_icon, "image/svg+xml"),
    {.methods = 0},
};
