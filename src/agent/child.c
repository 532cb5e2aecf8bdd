/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/child.h"
#include "agent/channel.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

void child_log(int level, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        fprintf(stderr, "<%d>%s: %s\n", level, program_invocation_short_name, text);
}

json_t *child_error(const Error *e) {
        json_t *text = json_string(e->text);

        return json_pack("{s:o, s:i}", "error", text ? text : json_string("error"), "code", e->code);
}

void child_begin(const char *program, SandboxRole role) {
        SandboxReport report;
        Error e = { 0 };

        signal(SIGPIPE, SIG_IGN);
        signal(SIGINT, SIG_IGN); /* of a terminal: the applier decides */
        if (sandbox_enter(role, &report, &e) < 0 ||
            /* It has no work of its own: without the one that asks it ends. (A new user id clears this.) */
            prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 ||
            channel_send(CHILD_CHANNEL,
                         json_pack("{s:b, s:b, s:b, s:b, s:i}", "ready", 1, "user", report.user,
                                   "capabilities", report.capabilities, "seccomp", report.seccomp, "landlock",
                                   report.landlock),
                         NULL, 0, &e) < 0) {
                child_log(LOG_ERR, "%s: %s", program, e.text);
                exit(EXIT_FAILURE);
        }
}
