/* SPDX-License-Identifier: Apache-2.0 */
/*
 * staunch-apt-hook: called by apt before it runs dpkg (DPkg::Pre-Install-Pkgs, version 3). Keeps what is
 * needed to go back. Whatever goes wrong, the upgrade goes on: nothing that it says counts.
 */
#include "base/macro.h"
#include "deliver/before.h"
#include "report/event.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SPARE_SEC = 60 }; /* for what is no copy: after that it is ended */

static int fail(const Before *b, const Error *e) {
        fprintf(stderr, "staunch-apt-hook: %s\n", e->text);
        event_emit(&(Event){ .kind = EVENT_SNAPSHOT_FAILED,
                             .message = e->text,
                             .fields = (EventField[]){ { "STAUNCH_DETAIL", e->text } },
                             .n = 1 },
                   b->events, NULL);
        return 1;
}

int main(int argc, char **argv) {
        static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                                 { "state", required_argument, NULL, 's' },
                                                 { "root", required_argument, NULL, 'r' },
                                                 { "events", required_argument, NULL, 'e' },
                                                 { 0 } };
        Policy policy;
        Before b = { .policy = &policy, .state = "/var/lib/staunch", .root = "/", .events = EVENT_FILE };
        const char *config = POLICY_FILE;
        DpkgChange *changes = NULL;
        Arena *a = arena_new();
        Error e = { 0 };
        size_t n = 0;
        int c, r;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (c) {
                case 'c':
                        config = optarg;
                        break;
                case 's':
                        b.state = optarg;
                        break;
                case 'r':
                        b.root = optarg;
                        break;
                case 'e':
                        b.events = optarg;
                        break;
                default:
                        return 2;
                }
        /* A policy with a mistake keeps nobody from having a way back. */
        if (policy_load(config, &policy, &e) < 0 && policy_load("/nonexistent", &policy, &e) < 0)
                return fail(&b, &e);
        alarm((unsigned)(policy.baseline.hook_limit_usec / 1000000 +
                         policy.baseline.snapshot.hook_timeout_usec / 1000000) +
              SPARE_SEC);
        r = dpkg_read_changes(stdin, a, &changes, &n, &e);
        if (r < 0)
                return fail(&b, &e);
        if (getenv("STAUNCH_ROLLBACK"))
                return 0; /* it goes back: what is there now is what did harm */
        r = before_change(&b, changes, n, &e);
        if (r)
                fprintf(stderr, "staunch-apt-hook: no complete way back: %s\n", e.text);
        policy_free(&policy);
        arena_free(a);
        return r != 0;
}
