/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "config.h"
#include "proc/hold.h"

#include <string.h>

static const Command *const commands[] = {
        &command_converge, &command_diff,    &command_build,    &command_show,     &command_apply,
        &command_revert,   &command_verify,  &command_status,   &command_list,     &command_history,
        &command_events,   &command_release, &command_config,   &command_doctor,   &command_health,
        &command_explain,  &command_cve,     &command_snapshot, &command_rollback, &command_report,
        &command_assess,   &command_window,
};

static void program_help(FILE *to) {
        fputs("Usage: staunch COMMAND [OPTION]...\n"
              "Moves running processes from one build of a program or library to another.\n\n"
              "Commands:\n",
              to);
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
        fputs("\n"
              "  -h, --help          this text; `staunch COMMAND --help` for a command\n"
              "      --version       the version\n"
              "      --explain CODE  what a refusal code means, and what to do\n\n"
              "After a package upgrade, `staunch converge` is all that is needed; see staunch(1).\n",
              to);
}

void command_help(const Command *command, FILE *to) {
        fprintf(to, "Usage: staunch %s %s\n%s.\n\n%s", command->name, command->arguments, command->summary,
                command->help);
}

/* Output that cannot be written (a full disk) is an error, not a success. */
static int finish(int code) {
        if (fflush(stdout) != 0 || ferror(stdout)) {
                perror("staunch: standard output");
                return EXIT_ERROR;
        }
        return code;
}

static int unknown(const char *name) {
        fprintf(stderr, "staunch: there is no %s '%s'. Try 'staunch --help'.\n",
                name[0] == '-' ? "option" : "command", name);
        return EXIT_USAGE;
}

int main(int argc, char **argv) {
        const char *name = argc > 1 ? argv[1] : NULL;

        if (!name) {
                program_help(stderr);
                return EXIT_USAGE;
        }
        if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
                for (size_t i = 0; argc > 2 && i < ELEMENTSOF(commands); i++)
                        if (strcmp(argv[2], commands[i]->name) == 0) {
                                command_help(commands[i], stdout);
                                return finish(EXIT_DONE);
                        }
                if (argc > 2 && name[0] != '-')
                        return unknown(argv[2]);
                program_help(stdout);
                return finish(EXIT_DONE);
        }
        if (strcmp(name, "--version") == 0) {
                puts("staunch " STAUNCH_VERSION);
                return finish(EXIT_DONE);
        }
        if (strcmp(name, "--explain") == 0)
                name = "explain";
        else if (strncmp(name, "--explain=", 10) == 0)
                return finish(explain_code(name + 10));
        hold_nothing();
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (strcmp(name, commands[i]->name) == 0)
                        return finish(commands[i]->run(commands[i], argc - 1, argv + 1));
        return unknown(name);
}
