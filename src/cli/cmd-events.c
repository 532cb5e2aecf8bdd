/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/text.h"
#include "report/line.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

/* One event as it is printed, from the journal or from the file. */
typedef struct Shown {
        uint64_t time_usec;
        int priority;
        const char *number, *kind, *message, *unit;
} Shown;

static bool wanted(const Shown *s, const Options *o) {
        return s->time_usec >= o->since_usec && (!o->unit || strcmp(o->unit, s->unit) == 0) &&
               (!o->id || strcmp(o->id, s->number) == 0 || strcmp(o->id, s->kind) == 0);
}

static void print_line(const Shown *s) {
        Colour colour = s->priority <= LOG_ERR       ? COLOUR_BAD
                        : s->priority == LOG_WARNING ? COLOUR_WARN
                                                     : COLOUR_NONE;
        char when[TEXT_TIME];

        printf("%s  %4s  %s%-18s%s  ", text_time(s->time_usec, when), s->number, colour_begin(stdout, colour),
               s->kind, colour_end(stdout));
        text_put(stdout, s->message);
        putchar('\n');
        fflush(stdout);
}

/* A line that is none of ours (a full disk cut it short) is passed over. */
static void file_line(const char *line, const Options *o) {
        char number[16];
        EventLine l;
        Shown s;

        if (!event_line_read(line, &l))
                return;
        snprintf(number, sizeof(number), "%u", l.number);
        s = (Shown){ l.time_usec, l.priority, number, l.kind, l.message, l.unit };
        if (wanted(&s, o)) {
                if (o->json)
                        fputs(line, stdout), fputs(strchr(line, '\n') ? "" : "\n", stdout), fflush(stdout);
                else
                        print_line(&s);
        }
        event_line_release(&l);
}

/* Waits until `fd` can be read. False when nobody reads our output any more ("| head"), or on an error. */
static bool wait_input(int fd, short events) {
        struct pollfd p[] = { { fd, events, 0 }, { STDOUT_FILENO, 0, 0 } };

        return !ferror(stdout) && poll(p, ELEMENTSOF(p), -1) > 0 &&
               !(p[1].revents & (POLLERR | POLLHUP | POLLNVAL));
}

/* Prints whole lines; one that is being written is left for the next time. */
static void read_lines(FILE *f, const Options *o) {
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;

        for (;;) {
                off_t at = ftello(f);
                ssize_t n = getline(&line, &room, f);

                if (n <= 0 || line[n - 1] != '\n') {
                        fseeko(f, at, SEEK_SET);
                        clearerr(f);
                        return;
                }
                file_line(line, o);
        }
}

/* Has another file taken its place? */
static bool was_moved(FILE *f, const char *path) {
        struct stat have, there;

        return fstat(fileno(f), &have) == 0 && stat(path, &there) == 0 &&
               (have.st_ino != there.st_ino || have.st_dev != there.st_dev);
}

static int read_file(const char *path, const Options *o) {
        _cleanup_(closep) int watch = o->follow ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;
        _cleanup_(freep) char *folder = strdup(path);
        FILE *f = fopen(path, "re");
        Error e = { 0 };

        if (watch >= 0 && folder) /* the folder tells of the file that takes its place, too */
                inotify_add_watch(watch, dirname(folder), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
        while (f) {
                char buffer[4096] __attribute__((aligned(8)));

                read_lines(f, o);
                if (was_moved(f, path)) {
                        read_lines(f, o); /* what was written before it was moved */
                        fclose(f);
                        f = fopen(path, "re");
                        continue;
                }
                if (!o->follow || !wait_input(watch, POLLIN)) {
                        fclose(f);
                        return EXIT_DONE;
                }
                while (read(watch, buffer, sizeof(buffer)) > 0)
                        ;
        }
        error_errno(&e, -errno, "%s", path);
        return report_error(&e);
}

static char *journal_text(sd_journal *journal, const char *key) {
        const void *data;
        size_t n, k = strlen(key) + 1;

        if (sd_journal_get_data(journal, key, &data, &n) < 0 || n < k)
                return strdup("");
        return strndup((const char *)data + k, n - k);
}

static void journal_entry(sd_journal *journal, const Options *o) {
        static const char *const more[] = { "STAUNCH_PID",          "STAUNCH_COMM",         "STAUNCH_IMAGE",
                                            "STAUNCH_BUILD_ID_OLD", "STAUNCH_BUILD_ID_NEW", "STAUNCH_PATCH",
                                            "STAUNCH_VERDICT",      "STAUNCH_REASON",       "STAUNCH_DETAIL",
                                            "STAUNCH_UNIT",         "STAUNCH_WINDOW" };
        _cleanup_(freep) char *number = journal_text(journal, "STAUNCH_EVENT"),
                              *kind = journal_text(journal, "STAUNCH_KIND"),
                              *message = journal_text(journal, "MESSAGE"),
                              *unit = journal_text(journal, "STAUNCH_UNIT"),
                              *priority = journal_text(journal, "PRIORITY"), *line = NULL;
        Shown s = {
                .number = number, .kind = kind, .message = message, .unit = unit, .priority = atoi(priority)
        };
        EventField fields[ELEMENTSOF(more)];
        char *values[ELEMENTSOF(more)];
        uint64_t usec = 0;

        sd_journal_get_realtime_usec(journal, &usec);
        s.time_usec = usec;
        if (!wanted(&s, o))
                return;
        if (!o->json || event_find(kind) == EVENT_N) {
                print_line(&s);
                return;
        }
        for (size_t i = 0; i < ELEMENTSOF(more); i++) {
                values[i] = journal_text(journal, more[i]);
                fields[i] = (EventField){ more[i], *values[i] ? values[i] : NULL };
        }
        line = event_json(&(Event){ event_find(kind), usec, message, fields, ELEMENTSOF(fields) });
        for (size_t i = 0; i < ELEMENTSOF(more); i++)
                free(values[i]);
        puts(line ? line : "");
        fflush(stdout);
}

static int read_journal(const Options *o) {
        sd_journal *journal;
        Error e = { 0 };
        int r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);

        if (r < 0) {
                error_errno(&e, r, "the journal");
                return report_error(&e);
        }
        sd_journal_get_fd(journal); /* what comes from now on wakes it */
        for (size_t k = 0; k < EVENT_N; k++) {
                char match[64];

                snprintf(match, sizeof(match), "MESSAGE_ID=%s", event_type((EventKind)k)->message_id);
                sd_journal_add_match(journal, match, 0);
        }
        if (o->since_usec)
                sd_journal_seek_realtime_usec(journal, o->since_usec);
        else
                sd_journal_seek_head(journal);
        for (;;) {
                while (sd_journal_next(journal) > 0)
                        journal_entry(journal, o);
                if (!o->follow ||
                    !wait_input(sd_journal_get_fd(journal), (short)sd_journal_get_events(journal)) ||
                    sd_journal_process(journal) < 0)
                        break;
        }
        sd_journal_close(journal);
        return EXIT_DONE;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        int code = options_read(&o, self, TAKES_JSON | TAKES_QUERY | TAKES_EVENTS, argc, argv);

        if (code >= 0)
                return code;
        if (argc != optind)
                return usage_error(self, "takes no operand");
        if (o.id && event_find(o.id) == EVENT_N)
                return usage_error(self, "--id: there is no event '%s'; docs/events.md lists them", o.id);
        if (o.file)
                return read_file(o.file, &o);
        /* Where there is a journal the agent writes there. */
        return access("/run/systemd/journal/socket", F_OK) == 0 ? read_journal(&o)
                                                                : read_file(EVENT_FILE, &o);
}

const Command command_events = {
        .name = "events",
        .arguments = "[OPTION]...",
        .summary = "Prints what the agent did and noticed, oldest first",
        .help = "      --id ID        only this kind: a number (19 installed, 20 failed, 43 started, 44 "
                "ready, ...) or\n"
                "                     a name (patch-installed); docs/events.md lists them\n"
                "      --since WHEN   not older: 90s, 30min, 2h, 7d, today, yesterday, 2026-01-31,\n"
                "                     \"2026-01-31 03:00\"\n"
                "      --unit UNIT    only about this systemd unit\n"
                "      --follow       go on with what happens from now on, until interrupted\n"
                "      --file FILE    read this file instead of the journal (" EVENT_FILE " without a\n"
                "                     journal)\n"
                "      --json         print each as a JSON object on one line\n"
                "      --explain CODE say what a refusal code means\n"
                "  -h, --help         this text\n\n"
                "Exit code: 0, 1 error, 2 usage.\n",
        .run = run,
};
