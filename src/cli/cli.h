/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/refusal.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit codes, the same for every command; converge alone has EXIT_PATCHED. */
enum {
        EXIT_DONE = 0, /* done, hotpatchable, or all current */
        EXIT_ERROR = 1,
        EXIT_USAGE = 2,
        EXIT_REFUSED = 3, /* refused, or a restart is needed, or damage was found */
        EXIT_PATCHED = 4, /* converge: everything that was outdated is patched now */
        EXIT_UNKNOWN = 5, /* cve, report, assess: what would tell is not here */
};

/* Where the agent keeps its state, unless --state says otherwise. */
#define STATE_DIR "/var/lib/staunch"
/* And its sockets and the lock of rounds, unless --runtime does. */
#define RUNTIME_DIR "/run/staunch"

typedef struct Command {
        const char *name;
        const char *arguments; /* of the synopsis */
        const char *summary;   /* one line */
        const char *help;      /* the options, as --help prints them */
        int (*run)(const struct Command *self, int argc, char **argv);
} Command;

extern const Command command_diff, command_build, command_show, command_apply, command_revert, command_verify,
        command_status, command_converge, command_explain, command_events, command_history, command_list,
        command_release, command_config, command_doctor, command_health, command_window;
extern const Command command_cve, command_report, command_assess;
extern const Command command_snapshot, command_rollback;

/* Options that several commands have. */
typedef struct PidList {
        pid_t *items; /* sorted, unique */
        size_t n;
} PidList;

typedef struct Options {
        bool json, all, dry_run, no_debug, no_hold;
        PidList pids;
        bool accepted[REFUSAL_N];
        unsigned long long deadline_usec; /* 0: the engine's default */
        const char *output, *root, *debug_old, *debug_new;
        const char *runtime;                                  /* NULL: not given */
        const char *state, *file, *unit, *id, *package, *cve; /* NULL: not given */
        unsigned long long since_usec;                        /* CLOCK_REALTIME; 0: not given */
        bool follow;
        const char *tracker, *format;
        bool fixed, download;
        const char *config;
        bool yes, last, resume;
        const char *events;
} Options;

/* Which of them a command takes. */
enum {
        TAKES_JSON = 1,
        TAKES_PIDS = 2,
        TAKES_ALL = 4,
        TAKES_DEADLINE = 8,
        TAKES_ACCEPT = 16,
        TAKES_DEBUG = 32,
        TAKES_OUTPUT = 64,
        TAKES_CONVERGE = 128, /* --dry-run, --root */
        TAKES_STATE = 256,
        TAKES_QUERY = 512,   /* --since, --unit */
        TAKES_EVENTS = 1024, /* --id, --file, --package, --cve, --follow */
        TAKES_ROOT = 65536,
        TAKES_TRACKER = 131072,
        TAKES_FIXED = 1 << 24,
        TAKES_FORMAT = 262144,
        TAKES_DOWNLOAD = 524288,
        TAKES_RUNTIME = 1 << 26,
        TAKES_NO_HOLD = 1 << 27,
        TAKES_RECORD = 1 << 28, /* --events */
        TAKES_CONFIG = 1 << 20,
        TAKES_ROLLBACK = 1 << 21, /* --dry-run, --yes, --last, --resume */
};

/*
 * Reads the options; argv[optind] is the first operand afterwards. Negative: go on. Otherwise the
 * exit code to end with (after --help, --explain or a mistake, which was reported).
 */
int options_read(Options *o, const Command *command, unsigned takes, int argc, char **argv);
void options_free(Options *o);
bool options_has_pid(const Options *o, pid_t pid);

/* Reports a mistake on the command line; returns EXIT_USAGE. */
int usage_error(const Command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
void command_help(const Command *command, FILE *to);
/* What helps against the error: "; run as root", or "". */
const char *error_hint(const Error *e);
/* Prints "staunch: TEXT"; returns EXIT_ERROR. */
int report_error(const Error *e);
/* Prints the long text of a code; EXIT_USAGE when there is no such code. */
int explain_code(const char *code);
/* Every code of `kinds` (bits 1 << RefusalKind) with its title. */
void explain_list(FILE *to, unsigned kinds);
