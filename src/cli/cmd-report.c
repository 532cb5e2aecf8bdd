/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/macro.h"
#include "cli/evidence.h"
#include "cli/json.h"
#include "config.h"
#include "evidence/exposure-json.h"
#include "evidence/openvex.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int print_openvex(const Exposure *x) {
        char host[256] = "", author[300];
        Error e = { 0 };
        json_t *j;
        int r;

        gethostname(host, sizeof(host) - 1);
        snprintf(author, sizeof(author), "Administrator of %s", host);
        r = openvex_document(x,
                             &(OpenvexOptions){ .author = author,
                                                .tooling = "staunch " STAUNCH_VERSION,
                                                .now_usec = wall_usec() },
                             &j, &e);
        if (r == -ENODATA) {
                fprintf(stderr, "staunch: %s; --fixed states more\n", e.text);
                return EXIT_UNKNOWN;
        }
        return r < 0 ? report_error(&e) : json_print(j);
}

static int run_report(const Command *self, int argc, char **argv) {
        static const char *const formats[] = { "table", "json", "openvex" };
        _cleanup_(options_free) Options o;
        Exposure x;
        size_t format = 0;
        int code = options_read(
                &o, self, TAKES_PIDS | TAKES_ROOT | TAKES_STATE | TAKES_TRACKER | TAKES_FIXED | TAKES_FORMAT,
                argc, argv);

        if (code >= 0)
                return code;
        if (argc > optind)
                return usage_error(self, "takes no operand; 'staunch cve' answers for one CVE");
        while (o.format && format < ELEMENTSOF(formats) && strcmp(o.format, formats[format]) != 0)
                format++;
        if (format == ELEMENTSOF(formats))
                return usage_error(self, "--format: '%s' is none of table, json, openvex", o.format);
        code = evidence_read(&o, NULL, true, &x);
        if (code != EXIT_DONE)
                return code;
        if (format == 0)
                evidence_table(&x);
        else
                code = format == 1 ? json_print(exposure_json(&x)) : print_openvex(&x);
        evidence_remarks(&x);
        exposure_free(&x);
        return code;
}

const Command command_report = {
        .name = "report",
        .arguments = "[OPTION]...",
        .summary = "Reports for scanners what CVEs mean for what runs, with hashes of patched code read back",
        .help = "      --format FORMAT table, json or openvex (OpenVEX 0.2.0); default: table\n"
                "      --fixed         also those that everything which runs has the fix of\n"
                "      --pid PID       only this process (repeatable, or PID,PID,...)\n"
                "      --tracker FILE  the security tracker's data, in debsecan's form; default: the file "
                "that\n"
                "                      SOURCE=file:///... in /etc/default/debsecan names\n"
                "      --root DIR      only images below DIR, and the package manager there\n"
                "      --state DIR     the agent's state (default " STATE_DIR ")\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 the report was made, 5 there is nothing to state (openvex), 1 error, 2 "
                "usage.\n",
        .run = run_report,
};
