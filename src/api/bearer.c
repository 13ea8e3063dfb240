/* SPDX-License-Identifier: MIT */
#include "api/bearer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bearer {
    struct auth *auth;
    enum scope scope;                    /* that it takes */
    char queue[JOBD_QUEUE_NAME_MAX + 1]; /* "": all */
    size_t size;
    char token[];
};

bool bearer_of(const struct call *call, const char *queue, struct bearer **bearer)
{
    size_t size = 0;
    const char *token = request_token(call->request, &size);
    *bearer = NULL;
    if (call->api->auth == NULL || token == NULL)
        return true;
    *bearer = malloc(sizeof **bearer + size);
    if (*bearer == NULL)
        return false;
    **bearer = (struct bearer){
        .auth = call->api->auth, .scope = call->request->endpoint->scope, .size = size};
    snprintf((*bearer)->queue, sizeof(*bearer)->queue, "%s", queue != NULL ? queue : "");
    memcpy((*bearer)->token, token, size);
    return true;
}

bool bearer_may(const struct bearer *bearer)
{
    return bearer == NULL ||
           authorize_token(bearer->auth, bearer->token, bearer->size, bearer->scope,
                           bearer->queue[0] != '\0' ? bearer->queue : NULL) == AUTH_GOOD;
}

void bearer_free(struct bearer *bearer)
{
    free(bearer);
}
