/* SPDX-License-Identifier: MIT */
#include "run/passed_fields.h"

#include <string.h>
#include <strings.h>

bool passed_fields_signs(const char *name)
{
    return strcasecmp(name, "webhook-id") == 0 || strcasecmp(name, "webhook-signature") == 0 ||
           strcasecmp(name, "webhook-timestamp") == 0;
}

bool passed_fields_next(const char **text, struct passed_field *field)
{
    const char *line = *text, *end = strchr(line, '\n');
    size_t size = end != NULL ? (size_t)(end - line) : 0, name = strcspn(line, ":");
    if (name + strlen(": ") > size)
        return false;
    *field = (struct passed_field){.line = line,
                                   .line_size = size,
                                   .name_size = name,
                                   .value = line + name + strlen(": "),
                                   .value_size = size - name - strlen(": ")};
    *text = end + 1;
    return true;
}
