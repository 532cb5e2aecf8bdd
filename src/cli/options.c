/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/text.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
        OPTION_JSON = 256,
        OPTION_ALL,
        OPTION_PID,
        OPTION_DEADLINE,
        OPTION_ACCEPT,
        OPTION_DEBUG_OLD,
        OPTION_DEBUG_NEW,
        OPTION_NO_DEBUG,
        OPTION_DRY_RUN,
        OPTION_ROOT,
        OPTION_STATE,
        OPTION_SINCE,
        OPTION_UNIT,
        OPTION_ID,
        OPTION_FILE,
        OPTION_FOLLOW,
        OPTION_EXPLAIN,
        OPTION_TRACKER,
        OPTION_FIXED,
        OPTION_FORMAT,
        OPTION_DOWNLOAD,
        OPTION_CONFIG,
        OPTION_YES,
        OPTION_LAST,
        OPTION_RESUME,
        OPTION_RUNTIME,
        OPTION_NO_HOLD,
        OPTION_PACKAGE,
        OPTION_CVE,
        OPTION_EVENTS,
};

static const struct {
        unsigned takes; /* 0: every command */
        struct option option;
} known[] = {
        { 0, { "help", no_argument, NULL, 'h' } },
        { 0, { "explain", required_argument, NULL, OPTION_EXPLAIN } },
        { TAKES_RUNTIME, { "runtime", required_argument, NULL, OPTION_RUNTIME } },
        { TAKES_NO_HOLD, { "no-hold", no_argument, NULL, OPTION_NO_HOLD } },
        { TAKES_JSON, { "json", no_argument, NULL, OPTION_JSON } },
        { TAKES_PIDS, { "pid", required_argument, NULL, OPTION_PID } },
        { TAKES_ALL, { "all", no_argument, NULL, OPTION_ALL } },
        { TAKES_DEADLINE, { "deadline", required_argument, NULL, OPTION_DEADLINE } },
        { TAKES_ACCEPT, { "accept", required_argument, NULL, OPTION_ACCEPT } },
        { TAKES_DEBUG, { "debug-old", required_argument, NULL, OPTION_DEBUG_OLD } },
        { TAKES_DEBUG, { "debug-new", required_argument, NULL, OPTION_DEBUG_NEW } },
        { TAKES_DEBUG | TAKES_CONVERGE, { "no-debug", no_argument, NULL, OPTION_NO_DEBUG } },
        { TAKES_OUTPUT, { "output", required_argument, NULL, 'o' } },
        { TAKES_CONVERGE | TAKES_ROLLBACK, { "dry-run", no_argument, NULL, OPTION_DRY_RUN } },
        { TAKES_CONVERGE | TAKES_ROOT, { "root", required_argument, NULL, OPTION_ROOT } },
        { TAKES_ROLLBACK, { "yes", no_argument, NULL, OPTION_YES } },
        { TAKES_ROLLBACK, { "last", no_argument, NULL, OPTION_LAST } },
        { TAKES_ROLLBACK, { "resume", no_argument, NULL, OPTION_RESUME } },
        { TAKES_STATE, { "state", required_argument, NULL, OPTION_STATE } },
        { TAKES_CONFIG, { "config", required_argument, NULL, OPTION_CONFIG } },
        { TAKES_QUERY, { "since", required_argument, NULL, OPTION_SINCE } },
        { TAKES_QUERY, { "unit", required_argument, NULL, OPTION_UNIT } },
        { TAKES_EVENTS, { "id", required_argument, NULL, OPTION_ID } },
        { TAKES_EVENTS, { "file", required_argument, NULL, OPTION_FILE } },
        { TAKES_RECORD, { "events", required_argument, NULL, OPTION_EVENTS } },
        { TAKES_EVENTS, { "package", required_argument, NULL, OPTION_PACKAGE } },
        { TAKES_EVENTS, { "cve", required_argument, NULL, OPTION_CVE } },
        { TAKES_EVENTS, { "follow", no_argument, NULL, OPTION_FOLLOW } },
        { TAKES_TRACKER, { "tracker", required_argument, NULL, OPTION_TRACKER } },
        { TAKES_FIXED, { "fixed", no_argument, NULL, OPTION_FIXED } },
        { TAKES_FORMAT, { "format", required_argument, NULL, OPTION_FORMAT } },
        { TAKES_DOWNLOAD, { "download", no_argument, NULL, OPTION_DOWNLOAD } },
};

int usage_error(const Command *command, const char *format, ...) {
        va_list ap;

        fprintf(stderr, "staunch %s: ", command->name);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fprintf(stderr, "\nTry 'staunch %s --help'.\n", command->name);
        return EXIT_USAGE;
}

const char *error_hint(const Error *e) {
        return (e->code == -EACCES || e->code == -EPERM) && geteuid() != 0 ? "; run as root" : "";
}

int report_error(const Error *e) {
        progress_clear();
        fputs("staunch: ", stderr);
        text_put(stderr, e->text[0] ? e->text : strerror(e->code < 0 ? -e->code : EIO));
        fprintf(stderr, "%s\n", error_hint(e));
        return EXIT_ERROR;
}

static int add_pid(PidList *l, pid_t pid) {
        size_t at = 0;

        while (at < l->n && l->items[at] < pid)
                at++;
        if (at < l->n && l->items[at] == pid)
                return 0;
        pid_t *items = reallocarray(l->items, l->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        memmove(items + at + 1, items + at, (l->n - at) * sizeof(*items));
        items[at] = pid;
        l->items = items;
        l->n++;
        return 0;
}

/* "12" or "12,13". */
static bool read_pids(PidList *l, const char *text) {
        for (;;) {
                char *end;
                long v;

                errno = 0;
                v = strtol(text, &end, 10);
                if (end == text || *text < '0' || *text > '9' || errno || v <= 0 || v > INT_MAX ||
                    (*end && *end != ','))
                        return false;
                if (add_pid(l, (pid_t)v) < 0)
                        return false;
                if (!*end)
                        return true;
                text = end + 1;
        }
}

static bool read_seconds(const char *text, unsigned long long *usec) {
        char *end;
        double v;

        errno = 0;
        v = strtod(text, &end);
        if (end == text || *end || errno || !(v > 0 && v <= 86400))
                return false;
        *usec = (unsigned long long)(v * 1e6);
        return *usec > 0;
}

static int days_of(int year, int month) {
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 || year % 400 == 0));
}

/* So long ago, or a local date with or without a time. */
static bool read_since(const char *text, unsigned long long *usec) {
        static const struct {
                const char *unit;
                unsigned long long seconds;
        } units[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 } };
        time_t now = time(NULL);
        struct tm tm = { .tm_isdst = -1 };
        unsigned long n;
        char *end;
        int at = 0, n_read = 0;

        errno = 0;
        n = strtoul(text, &end, 10);
        for (size_t i = 0; end != text && *text != '-' && !errno && n <= 1000000 && i < ELEMENTSOF(units);
             i++)
                if (strcmp(end, units[i].unit) == 0) {
                        *usec = ((unsigned long long)now - n * units[i].seconds) * 1000000;
                        return n * units[i].seconds < (unsigned long long)now;
                }
        if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0) {
                localtime_r(&now, &tm);
                tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
                tm.tm_mday -= *text == 'y';
                tm.tm_isdst = -1;
        } else {
                if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &at) != 3 ||
                    (text[at] &&
                     (sscanf(text + at, "%*1[ T]%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &n_read) != 2 ||
                      text[at + n_read])) ||
                    tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
                    tm.tm_mday > days_of(tm.tm_year, tm.tm_mon) || tm.tm_hour < 0 || tm.tm_hour > 23 ||
                    tm.tm_min < 0 || tm.tm_min > 59)
                        return false;
                tm.tm_year -= 1900;
                tm.tm_mon--;
        }
        now = mktime(&tm);
        *usec = (unsigned long long)now * 1000000;
        return now > 0;
}

static int read_accept(Options *o, const Command *command, const char *text) {
        RefusalCode code = refusal_find(text);

        if (code == REFUSAL_N)
                return usage_error(command,
                                   "--accept: there is no refusal code '%s'. 'staunch explain' lists them.",
                                   text);
        if (!refusal_acceptable(code))
                return usage_error(
                        command, "--accept: '%s' is not a reason to refuse an update; it cannot be accepted.",
                        text);
        o->accepted[code] = true;
        return -1;
}

static int read_one(Options *o, const Command *command, int option, const char *value) {
        switch (option) {
        case 'h':
                command_help(command, stdout);
                return EXIT_DONE;
        case 'o':
                o->output = value;
                return -1;
        case OPTION_EXPLAIN:
                return explain_code(value);
        case OPTION_JSON:
                o->json = true;
                return -1;
        case OPTION_ALL:
                o->all = true;
                return -1;
        case OPTION_PID:
                if (!read_pids(&o->pids, value))
                        return usage_error(command, "--pid: '%s' is not a process id", value);
                return -1;
        case OPTION_DEADLINE:
                if (!read_seconds(value, &o->deadline_usec))
                        return usage_error(
                                command, "--deadline: '%s' is not a number of seconds (up to 86400)", value);
                return -1;
        case OPTION_ACCEPT:
                return read_accept(o, command, value);
        case OPTION_DEBUG_OLD:
                o->debug_old = value;
                return -1;
        case OPTION_DEBUG_NEW:
                o->debug_new = value;
                return -1;
        case OPTION_NO_DEBUG:
                o->no_debug = true;
                return -1;
        case OPTION_NO_HOLD:
                o->no_hold = true;
                return -1;
        case OPTION_DRY_RUN:
                o->dry_run = true;
                return -1;
        case OPTION_ROOT:
                if (value[0] != '/')
                        return usage_error(command, "--root: '%s' is not an absolute path", value);
                o->root = value;
                return -1;
        case OPTION_RUNTIME:
                o->runtime = value;
                return -1;
        case OPTION_STATE:
                o->state = value;
                return -1;
        case OPTION_SINCE:
                if (!read_since(value, &o->since_usec))
                        return usage_error(
                                command,
                                "--since: '%s' is no time; write 90s, 30min, 2h, 7d, today, yesterday, "
                                "2026-01-31 or \"2026-01-31 03:00\"",
                                value);
                return -1;
        case OPTION_UNIT:
                o->unit = value;
                return -1;
        case OPTION_ID:
                o->id = value;
                return -1;
        case OPTION_EVENTS:
                o->events = value;
                return -1;
        case OPTION_PACKAGE:
                o->package = value;
                return -1;
        case OPTION_CVE:
                o->cve = value;
                return -1;
        case OPTION_FILE:
                o->file = value;
                return -1;
        case OPTION_CONFIG:
                o->config = value;
                return -1;
        case OPTION_YES:
                o->yes = true;
                return -1;
        case OPTION_LAST:
                o->last = true;
                return -1;
        case OPTION_RESUME:
                o->resume = true;
                return -1;
        case OPTION_FOLLOW:
                o->follow = true;
                return -1;
        case OPTION_TRACKER:
                o->tracker = value;
                return -1;
        case OPTION_FIXED:
                o->fixed = true;
                return -1;
        case OPTION_FORMAT:
                o->format = value;
                return -1;
        case OPTION_DOWNLOAD:
                o->download = true;
                return -1;
        default: /* getopt_long has said what is wrong */
                fprintf(stderr, "Try 'staunch %s --help'.\n", command->name);
                return EXIT_USAGE;
        }
}

int options_read(Options *o, const Command *command, unsigned takes, int argc, char **argv) {
        struct option table[ELEMENTSOF(known) + 1] = { 0 };
        char program[64];
        struct stat st;
        size_t n = 0;
        int option;

        *o = (Options){ 0 };
        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (!known[i].takes || (known[i].takes & takes))
                        table[n++] = known[i].option;
        snprintf(program, sizeof(program), "staunch %s", command->name);
        argv[0] = program;
        while ((option = getopt_long(argc, argv, takes & TAKES_OUTPUT ? "ho:" : "h", table, NULL)) != -1) {
                int code = read_one(o, command, option, optarg);

                if (code >= 0)
                        return code;
        }
        if (o->all && o->pids.n)
                return usage_error(command, "--pid and --all exclude each other");
        if ((takes & TAKES_ALL) && !o->all && !o->pids.n)
                return usage_error(command, "which processes? --pid PID... or --all");
        if (o->no_debug && (o->debug_old || o->debug_new))
                return usage_error(command, "--no-debug and --debug-old or --debug-new exclude each other");
        /* For converge it is a place as the processes see it: a container's need not be here. */
        if (o->root && (takes & TAKES_ROOT) && (stat(o->root, &st) < 0 || !S_ISDIR(st.st_mode)))
                return usage_error(command, "--root: '%s' is no folder", o->root);
        return -1;
}

void options_free(Options *o) {
        free(o->pids.items);
        o->pids = (PidList){ 0 };
}

bool options_has_pid(const Options *o, pid_t pid) {
        for (size_t i = 0; i < o->pids.n; i++)
                if (o->pids.items[i] == pid)
                        return true;
        return false;
}
