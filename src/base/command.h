/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Running a program, with limits. It runs in a process group of its own, without the caller's open files.
 */
typedef struct Command {
        const char *const *argv; /* NULL at the end; argv[0] is searched for in PATH */
        const char *const
                *environment;  /* "KEY=VALUE", besides the caller's own; NULL at the end; may be NULL */
        uint64_t timeout_usec; /* then the group is killed; 0: never */
        const char *input;     /* its standard input; NULL: empty */
        const char *
                user; /* becomes that user, with the user's groups and HOME, in /; NULL: stays the caller's */
        size_t output_max;   /* bytes of standard output; more is an error. 0: 1 MiB */
        uint64_t memory_max; /* bytes of address space that each of its processes may have; 0: no limit of its
                                own */
} Command;

typedef struct CommandResult {
        int code;            /* of its exit; 128 + the number of the signal that ended it */
        char *output;        /* standard output, with a 0 behind it; owned by the result */
        size_t n;            /* its bytes */
        char complaint[256]; /* the last line that it wrote to standard error */
} CommandResult;

/*
 * 0: it ran and ended, well or not (result->code). -ETIME: it was killed for its time; -E2BIG: for its
 * output; otherwise it could not be started. The result is empty unless 0 is returned.
 */
int command_run(const Command *c, CommandResult *out, Error *e);
/* As command_run, and anything but exit code 0 is an error too: -EREMOTEIO, with what it complained about. */
int command_must(const Command *c, CommandResult *out, Error *e);
void command_result_free(CommandResult *r);
