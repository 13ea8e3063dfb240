/* SPDX-License-Identifier: MIT */
/* The page: a few files that are built into the program, the same for everybody. There is nothing
 * secret in them: what they show they ask of the other endpoints, with the token of who looks. */
#include "api/page.h"

#include <string.h>

#include "api/endpoint.h"
#include "api/respond.h"
#include "http/content.h"

/* The bytes of a file of src/api/page, as page_NAME and page_NAME_end. */
#define EMBED(name, file)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".global page_" #name "\n"                                                             \
            ".hidden page_" #name "\n"                                                             \
            "page_" #name ":\n"                                                                    \
            ".incbin \"src/api/page/" file "\"\n"                                                  \
            ".global page_" #name "_end\n"                                                         \
            ".hidden page_" #name "_end\n"                                                         \
            "page_" #name "_end:\n"                                                                \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char page_##name[] __attribute__((visibility("hidden")));                         \
    extern const char page_##name##_end[] __attribute__((visibility("hidden")))

EMBED(html, "index.html");
EMBED(css, "jobd.css");
EMBED(js, "jobd.js");
EMBED(icon, "icon.svg");
EMBED(text, "index.txt");

enum { HTML, CSS, JS, ICON, TEXT, FILES };

static struct content files[FILES] = {[HTML] = {.type = "text/html; charset=utf-8"},
                                      [CSS] = {.type = "text/css; charset=utf-8"},
                                      [JS] = {.type = "text/javascript; charset=utf-8"},
                                      [ICON] = {.type = "image/svg+xml"},
                                      [TEXT] = {.type = TYPE_TEXT}};

void page_init(void)
{
    static const char *const bytes[FILES][2] = {
        [HTML] = {page_html, page_html_end}, [CSS] = {page_css, page_css_end},
        [JS] = {page_js, page_js_end},       [ICON] = {page_icon, page_icon_end},
        [TEXT] = {page_text, page_text_end},
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
    if (!call->api->page && file != TEXT)
        return respond_error(call, 404, "not found");
    reply->policy = POLICY;
    reply_content(reply, call->request, &files[file]);
    return STEP_REPLY;
}

static enum step answer_root(struct call *call, enum jobd_result result)
{
    (void)result;
    bool page = call->api->page && request_accepts(call->request, "text/html");
    return answer_file(call, page ? HTML : TEXT);
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

#define FILE_ROW(path, what)                                                                       \
    {                                                                                              \
        .paths = {path}, .methods = GET_OR_HEAD, .scope = SCOPE_OPEN, .any_parameter = true,       \
        .answer = what,                                                                            \
    }

const struct endpoint page_endpoints[] = {
    FILE_ROW("/", answer_root),
    FILE_ROW("/jobd.css", answer_css),
    FILE_ROW("/jobd.js", answer_js),
    FILE_ROW("/icon.svg", answer_icon),
    {.methods = 0},
};
