/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fixes.h"
#include "base/file.h"
#include "base/macro.h"
#include "evidence/read.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 64 << 20 };

/* "OLD NEW OMITTED PACKAGE CVE..." a line. */
void fixes_write(int fd, Steps *from, Steps *known, const BuildId *old_id, const BuildId *new_id) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1];
        Step step;

        build_id_text(old_id, old_text);
        build_id_text(new_id, new_text);
        if (steps_of(known, "", old_text, new_text, false).package)
                return;
        step = steps_of(from, "", old_text, new_text, false);
        if (!step.package) { /* not asked again for the next process */
                steps_put(known, old_text, new_text, &(Step){ .package = "" });
                return;
        }
        dprintf(fd, "%s %s %lu %s", old_text, new_text, (unsigned long)step.omitted, step.package);
        for (size_t k = 0; k < step.n; k++)
                dprintf(fd, " %s", step.cves[k]);
        dprintf(fd, "\n");
        steps_put(known, old_text, new_text, &step);
}

void fixes_take(int fd, Steps *known) {
        FileBytes text = { 0 };
        const char *line;
        Lines lines;
        size_t n;

        if (file_read_fd(fd, "fixes", TEXT_MAX, &text, NULL) < 0)
                return;
        lines = lines_of(&text);
        while (lines_next(&lines, &line, &n)) {
                _cleanup_(freep) char *copy = strndup(line, n);
                const char *cves[EVENT_CVES], *old_id, *new_id, *omitted;
                Step step = { .cves = cves };
                char *at = copy, *word;

                old_id = strsep(&at, " ");
                new_id = strsep(&at, " ");
                omitted = strsep(&at, " ");
                step.package = strsep(&at, " ");
                if (!step.package) /* the fork ended in the middle */
                        break;
                step.omitted = strtoul(omitted, NULL, 10);
                while (step.n < EVENT_CVES && (word = strsep(&at, " ")))
                        cves[step.n++] = word;
                steps_put(known, old_id, new_id, &step);
        }
        file_release(&text);
}
