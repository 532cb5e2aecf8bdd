/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/events.md from event.def. */
#include "report/event.h"

int main(void) {
        static const char *const levels[] = { "emerg",   "alert",  "crit", "error",
                                              "warning", "notice", "info", "debug" };

        puts("# Events\n\n"
             "Made from `src/report/event.def`; do not edit. `staunch events` prints them; `--id` takes a "
             "number or a\n"
             "name. In the journal each has its MESSAGE_ID, STAUNCH_EVENT (the number) and STAUNCH_KIND (the "
             "name), so\n"
             "that `journalctl STAUNCH_EVENT=19` works too. The numbers below 1000 are those that Windows "
             "Update gives\n"
             "the same things. Fields, where they apply: STAUNCH_PID, STAUNCH_COMM, STAUNCH_UNIT (and "
             "UNIT),\n"
             "STAUNCH_IMAGE, STAUNCH_BUILD_ID_OLD, STAUNCH_BUILD_ID_NEW, STAUNCH_PATCH (the digest), "
             "STAUNCH_VERDICT,\n"
             "STAUNCH_REASON (a code of [refusals.md](refusals.md), or a word), STAUNCH_DETAIL, "
             "STAUNCH_WINDOW.\n\n"
             "An event that names two builds says what the step from the old one to the new one is, as "
             "`staunch cve` knows\n"
             "it ([evidence.md](evidence.md)): STAUNCH_PACKAGE, and STAUNCH_CVE once for each CVE that the "
             "newer version\n"
             "fixes (256 at most; STAUNCH_CVES_OMITTED: so many more). After `patch-reverted` these are open "
             "again in that\n"
             "process. It is what was known when that pair of builds was told of first; `round-started` "
             "waits for nothing to\n"
             "be looked up, and says it only when it was known before. `journalctl "
             "STAUNCH_CVE=CVE-2024-1234` and "
             "`staunch\n"
             "events --cve` find them. What waits for a restart keeps what was known of it, so that each "
             "later "
             "event of that\n"
             "restart, its window and its baseline says it too. An event may be about several images and "
             "packages (a window, a\n"
             "baseline, a unit that waits for more than one): then a field is there once for each value in "
             "the "
             "journal, and in\n"
             "JSON (and a hook's environment) its values have a space between two; STAUNCH_CVE is a list "
             "there. "
             "It names 8\n"
             "images with their builds and 24 packages at most; windows and baselines name packages and CVEs "
             "only, snapshots\n"
             "packages only.\n\n"
             "Without a journal they are in `/var/log/staunch/events.jsonl`, one JSON object a line: `time` "
             "(UTC), `id`,\n"
             "`kind`, `priority` (syslog), `message`, `fields`; past 16 MiB the file is moved to "
             "`events.jsonl.1`.\n\n"
             "| number | name | level | MESSAGE_ID | what it means |\n"
             "|---|---|---|---|---|");
        for (size_t i = 0; i < EVENT_N; i++) {
                const EventType *t = event_type((EventKind)i);

                printf("| %u | `%s` | %s | `%s` | %s |\n", t->number, t->kind, levels[t->priority],
                       t->message_id, t->meaning);
        }
        return 0;
}
