/* SPDX-License-Identifier: MIT */
#include "client/client.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "client/client_options.h"
#include "client/top.h"
#include "client/work.h"
#include "run/http_client.h"
#include "server/option_help.h"
#include "server/option_variables.h"

static void help(const struct client_command *command)
{
    printf("Usage: jobd %s %s\n%s", command->name, command->synopsis, command->about);
    option_help_table(stdout, command->specs, command->len);
}

static int wrong(const struct client_command *command, const struct problem *problem, int code)
{
    fprintf(stderr, "jobd %s: %s\n", command->name, problem->text);
    return code;
}

static int run(const struct client_command *command, char **words)
{
    struct client_options options;
    struct problem problem = {""};
    int code = 0;
    if (!client_options_read(&options, command, words, &problem))
        return wrong(command, &problem, EXIT_WRONG);
    if (options.help) {
        help(command);
    } else if (!http_client_set_up()) {
        (void)problem_set(&problem, "libcurl cannot start");
        code = wrong(command, &problem, EXIT_FAILED);
    } else {
        bool works = strcmp(command->name, "work") == 0;
        if (works)
            log_setup((enum log_format)options.log_format, (enum log_level)options.log_level);
        variables_warn(&(struct variable_reader){command->specs, command->len, command->name});
        code = works ? work_main(&options) : top_main(&options);
    }
    client_options_release(command, &options);
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        code = code != 0 ? code : EXIT_FAILED;
    return code;
}

int client_main(int argc, char **argv)
{
    for (const struct client_command *const *command = client_commands; *command != NULL; command++)
        if (argc > 1 && strcmp(argv[1], (*command)->name) == 0)
            return run(*command, argv + 2);
    return -1;
}
