/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/text.h"
#include "evidence/changelog.h"
#include "report/line.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

enum { SHOWN_CVES = 4 }; /* in one line of text */

static const json_t *field(const EventLine *l, const char *key) {
        return json_object_get(json_object_get(l->json, "fields"), key);
}

static bool names_cve(const EventLine *l, const char *cve) {
        const json_t *names = field(l, EVENT_CVE);

        for (size_t i = 0; i < json_array_size(names); i++) {
                const char *s = json_string_value(json_array_get(names, i));

                if (s && strcasecmp(s, cve) == 0)
                        return true;
        }
        return false;
}

/* Of several there is a space between two. */
static bool names_package(const EventLine *l, const char *package) {
        const char *at = json_string_value(field(l, "STAUNCH_PACKAGE"));
        size_t n = strlen(package);

        for (size_t word; at && *at; at += word + (at[word] == ' ')) {
                word = strcspn(at, " ");
                if (word == n && memcmp(at, package, n) == 0)
                        return true;
        }
        return false;
}

static bool wanted(const EventLine *l, const Options *o) {
        char number[16];

        snprintf(number, sizeof(number), "%u", l->number);
        return l->time_usec >= o->since_usec && (!o->unit || strcmp(o->unit, l->unit) == 0) &&
               (!o->id || strcmp(o->id, number) == 0 || strcmp(o->id, l->kind) == 0) &&
               (!o->package || names_package(l, o->package)) && (!o->cve || names_cve(l, o->cve));
}

/* " [openssl: CVE-2024-1234, CVE-2024-1235 and 3 more]" */
static void put_fixes(const EventLine *l) {
        const char *package = json_string_value(field(l, "STAUNCH_PACKAGE")),
                   *omitted = json_string_value(field(l, "STAUNCH_CVES_OMITTED"));
        const json_t *names = field(l, EVENT_CVE);
        size_t n = json_array_size(names);

        if (!package)
                return;
        fputs(" [", stdout);
        text_put(stdout, package);
        for (size_t i = 0; i < n && i < SHOWN_CVES; i++) {
                const char *s = json_string_value(json_array_get(names, i));

                fputs(i ? ", " : ": ", stdout);
                text_put(stdout, s ? s : "");
        }
        if (n > SHOWN_CVES)
                printf(" and %lu more",
                       (unsigned long)(n - SHOWN_CVES) + (omitted ? strtoul(omitted, NULL, 10) : 0));
        putchar(']');
}

static void print_line(const EventLine *l) {
        Colour colour = l->priority <= LOG_ERR       ? COLOUR_BAD
                        : l->priority == LOG_WARNING ? COLOUR_WARN
                                                     : COLOUR_NONE;
        char when[TEXT_TIME];

        printf("%s  %4u  %s%-18s%s  ", text_time(l->time_usec, when), l->number, colour_begin(stdout, colour),
               l->kind, colour_end(stdout));
        text_put(stdout, l->message);
        put_fixes(l);
        putchar('\n');
}

/* A line that is none of ours (a full disk cut it short) is passed over. */
static void print_event(const char *line, const Options *o) {
        EventLine l;

        if (!event_line_read(line, &l))
                return;
        if (wanted(&l, o)) {
                if (o->json)
                        fputs(line, stdout), fputs(strchr(line, '\n') ? "" : "\n", stdout);
                else
                        print_line(&l);
                fflush(stdout);
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
static int read_lines(FILE *f, const Options *o) {
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;

        for (;;) {
                off_t at = ftello(f);
                ssize_t n = getline(&line, &room, f);

                if (n <= 0 && ferror(f)) /* a folder */
                        return -errno;
                if (n <= 0 || line[n - 1] != '\n') {
                        fseeko(f, at, SEEK_SET);
                        clearerr(f);
                        return 0;
                }
                print_event(line, o);
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

                if (read_lines(f, o) < 0) {
                        error_errno(&e, -errno, "%s", path);
                        fclose(f);
                        return report_error(&e);
                }
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
        if (errno == ENOENT && !o->file)
                error_set(&e, -ENOENT, "%s: nothing was told yet, and there is no journal", path);
        else
                error_errno(&e, -errno, "%s", path);
        return report_error(&e);
}

/* What the agent wrote as fields of the event; the journal adds others. */
static bool is_event_field(const char *name) {
        return strcmp(name, "UNIT") == 0 ||
               (strncmp(name, "STAUNCH_", 8) == 0 && strcmp(name, "STAUNCH_EVENT") != 0 &&
                strcmp(name, "STAUNCH_KIND") != 0);
}

/* The same line as the file has. */
static void journal_entry(sd_journal *journal, const Options *o) {
        EventField fields[EVENT_FIELDS];
        char *texts[EVENT_FIELDS];
        EventKind kind = EVENT_N;
        _cleanup_(freep) char *message = NULL, *line = NULL;
        const void *data;
        size_t size, n = 0;
        uint64_t usec = 0;

        sd_journal_get_realtime_usec(journal, &usec);
        SD_JOURNAL_FOREACH_DATA(journal, data, size) {
                char *text = strndup(data, size), *value = text ? strchr(text, '=') : NULL;

                if (!value) {
                        free(text);
                        continue;
                }
                *value++ = 0;
                if (n < ELEMENTSOF(fields) && is_event_field(text)) {
                        texts[n] = text;
                        fields[n++] = (EventField){ text, value };
                        continue;
                }
                if (strcmp(text, "STAUNCH_KIND") == 0)
                        kind = event_find(value);
                else if (strcmp(text, "MESSAGE") == 0 && !message)
                        message = strdup(value);
                free(text);
        }
        if (kind != EVENT_N && message)
                line = event_json(&(Event){ kind, usec, message, fields, n });
        for (size_t i = 0; i < n; i++)
                free(texts[i]);
        if (line)
                print_event(line, o);
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
        char cve[CVE_MAX];
        size_t used;

        if (code >= 0)
                return code;
        if (argc != optind)
                return usage_error(self, "takes no operand");
        if (o.id && event_find(o.id) == EVENT_N)
                return usage_error(self, "--id: there is no event '%s'; docs/events.md lists them", o.id);
        if (o.cve && (!cve_read(o.cve, strlen(o.cve), cve, &used) || o.cve[used]))
                return usage_error(self, "--cve: '%s' is no CVE; write CVE-2024-1234", o.cve);
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
                "      --package NAME only about this package\n"
                "      --cve CVE      only about builds between which this CVE was fixed\n"
                "      --follow       go on with what happens from now on, until interrupted\n"
                "      --file FILE    read this file instead of the journal (" EVENT_FILE " without a\n"
                "                     journal)\n"
                "      --json         print each as a JSON object on one line\n"
                "      --explain CODE say what a refusal code means\n"
                "  -h, --help         this text\n\n"
                "Exit code: 0, 1 error, 2 usage.\n",
        .run = run,
};
