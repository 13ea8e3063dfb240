/* SPDX-License-Identifier: MIT */
#include "fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/auth.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/json_out.h"
#include "base/json_walk.h"
#include "base/log.h"
#include "server/option_sources.h"
#include "base/text.h"
#include "base/utf8.h"
#include "base/verify.h"

enum { PATH_SIZE = 40, WORDS_MAX = 64 };

/* Runs `read` while standard error goes nowhere: what is wrong is said there, a line each time. */
static void in_silence(void (*read)(void *context), void *context)
{
    log_setup(LOG_TEXT, LOG_ERROR);
    int before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    verify(before >= 0 && nowhere >= 0 && dup2(nowhere, STDERR_FILENO) >= 0);
    read(context);
    fflush(stderr);
    verify(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    close(nowhere);
}

static int file_with(const uint8_t *bytes, size_t size, char path[PATH_SIZE])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    verify(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    snprintf(path, PATH_SIZE, "/proc/self/fd/%d", fd);
    return fd;
}

struct words {
    int count;
    char *of[WORDS_MAX + 1];
};

static void read_options(void *context)
{
    struct words *words = context;
    struct options options;
    struct problem problem = {""};
    if (options_read(&options, words->count, words->of, &problem))
        options_release(&options);
    else
        verify(problem.text[0] != '\0' && strchr(problem.text, '\n') == NULL);
}

void fuzz_settings(const uint8_t *bytes, size_t size)
{
    char path[PATH_SIZE], name[] = "jobd", flag[] = "-c";
    int fd = file_with(bytes, size, path);
    struct words words = {.count = 3, .of = {name, flag, path, NULL}};
    in_silence(read_options, &words);
    close(fd);
}

void fuzz_options(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1), *rest = text, name[] = "jobd";
    struct words words = {.count = 1, .of = {name}};
    verify(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    for (char *word; words.count < WORDS_MAX && (word = strsep(&rest, "\n")) != NULL;)
        words.of[words.count++] = word;
    words.of[words.count] = NULL;
    bool opens_files = strstr(text, "-c") != NULL || memmem(bytes, size, "--c", 3) != NULL;
    if (!opens_files) /* whatever name it thinks of, /dev/stdin for one */
        in_silence(read_options, &words);
    free(text);
}

struct key_file {
    char path[PATH_SIZE];
    const char *token;
    size_t size;
};

static void read_tokens(void *context)
{
    struct key_file *file = context;
    struct problem problem = {""};
    struct auth *auth;
    if (!auth_open(&auth, file->path, &problem)) {
        verify(problem.text[0] != '\0' && strchr(problem.text, '\n') == NULL);
        return;
    }
    (void)authorize_token(auth, file->token, file->size, SCOPE_PUT, "mail");
    verify(authorize_token(auth, "?", 1, SCOPE_READ, "*") == AUTH_UNKNOWN);
    auth_free(auth);
}

void fuzz_auth(const uint8_t *bytes, size_t size)
{
    struct key_file file = {.token = (const char *)bytes, .size = size < 40 ? size : 40};
    int fd = file_with(bytes, size, file.path);
    in_silence(read_tokens, &file);
    close(fd);
}

/* What is an object can be walked, and a string of it says no more bytes than it has. */
static void walk_json(const char *text, size_t size)
{
    struct json_token name, value;
    size_t at = 0, decoded;
    if (!json_is_object(text, size))
        return;
    while (json_next_member(text, size, &at, &name, &value)) {
        char *out = malloc(name.size);
        verify(out != NULL && value.size > 0 && at <= size);
        if (json_decode(&name, out, &decoded))
            verify(decoded <= name.size - 2);
        free(out);
    }
}

/* What is written as it comes has the bytes that cJSON prints. `repaired` is what it makes of them.
 */
static void write_json(const uint8_t *bytes, size_t size, const char *repaired, const char *base64)
{
    enum { DIGITS = 14 }; /* of a double, so that cJSON prints all of them */
    uint64_t number = 0;
    for (size_t i = 0; i < size && i < DIGITS; i++)
        number = number * 10 + bytes[i] % 10;
    struct json_out out;
    json_out_begin(&out, size % 16);
    json_out_open(&out, NULL, '[');
    struct json_mark mark = json_out_mark(&out);
    json_out_base64(&out, NULL, bytes, size);
    json_out_back(&out, mark);
    json_out_bytes(&out, NULL, bytes, size);
    json_out_text(&out, NULL, repaired);
    json_out_base64(&out, NULL, bytes, size);
    json_out_thousandths(&out, NULL, number);
    json_out_close(&out, ']');
    cJSON *tree = cJSON_CreateArray();
    cJSON_AddItemToArray(tree, cJSON_CreateString(repaired));
    cJSON_AddItemToArray(tree, cJSON_CreateString(repaired));
    cJSON_AddItemToArray(tree, cJSON_CreateString(base64));
    cJSON_AddItemToArray(tree, cJSON_CreateNumber((double)number / 1000));
    char *written = json_out_line(&out), *printed = json_text(tree);
    verify(written != NULL && printed != NULL && strcmp(written, printed) == 0);
    cJSON_Delete(tree);
    free(written);
    free(printed);
}

void fuzz_text(const uint8_t *bytes, size_t size)
{
    walk_json((const char *)bytes, size);
    char *text = malloc(size + 1), shown[64];
    uint64_t number;
    int64_t us;
    verify(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    if (text_to_duration(text, &us))
        verify(us >= 0);
    (void)text_to_size(text, &number);
    if (text_to_time(text, &us)) {
        char time[TEXT_TIME_SIZE];
        text_time(us, time);
        verify(strlen(time) == TEXT_TIME_SIZE - 1);
    }
    if (text_to_number(text, 1000, &number))
        verify(number <= 1000);
    verify(strlen(text_printable(text, shown, sizeof shown)) < sizeof shown);
    char *utf8 = utf8_repaired(bytes, size), *base64 = base64_text(bytes, size);
    verify(utf8 != NULL && utf8_valid((const unsigned char *)utf8, strlen(utf8)));
    verify(base64 != NULL && strlen(base64) == (size + 2) / 3 * 4);
    write_json(bytes, size, utf8, base64);
    free(utf8);
    free(base64);
    free(text);
}
