/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/baseline-units.h"
#include "base/command.h"
#include "base/macro.h"
#include "deliver/policy-read.h"
#include "deliver/probed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ASK_USEC = 30000000 };

typedef struct Unit {
        char invocation[BASELINE_WORD], active[BASELINE_WORD], result[BASELINE_WORD],
                start_max[BASELINE_WORD];
} Unit;

static bool is_machine(const char *unit) {
        return strcmp(unit, "machine") == 0;
}

static bool is_unit(const char *unit) {
        return strchr(unit, '.') && !strchr(unit, ' ') && unit[0] != '-';
}

static int show(const char *unit, Unit *out, Error *e) {
        const char *const argv[] = {
                "systemctl", "show", "--property=InvocationID,ActiveState,Result,TimeoutStartUSec",
                "--",        unit,   NULL
        };
        static const struct {
                const char *key;
                size_t offset;
        } keys[] = { { "InvocationID=", offsetof(Unit, invocation) },
                     { "ActiveState=", offsetof(Unit, active) },
                     { "Result=", offsetof(Unit, result) },
                     { "TimeoutStartUSec=", offsetof(Unit, start_max) } };
        CommandResult result;
        char *save = NULL;
        int r = command_must(&(Command){ .argv = argv, .timeout_usec = ASK_USEC }, &result, e);

        *out = (Unit){ 0 };
        if (r < 0)
                return r;
        for (char *line = result.output ? strtok_r(result.output, "\n", &save) : NULL; line;
             line = strtok_r(NULL, "\n", &save))
                for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                        if (strncmp(line, keys[i].key, strlen(keys[i].key)) == 0)
                                snprintf((char *)out + keys[i].offset, BASELINE_WORD, "%s",
                                         line + strlen(keys[i].key));
        command_result_free(&result);
        return 0;
}

static int boot(void *data, char out[BASELINE_WORD], Error *e) {
        static const char path[] = "/proc/sys/kernel/random/boot_id";
        FILE *f = fopen(path, "re");
        int r = 0;

        (void)data;
        if (!f)
                return error_errno(e, -errno, "%s", path);
        if (!fgets(out, BASELINE_WORD, f))
                r = error_set(e, -EIO, "%s: nothing can be read", path);
        else
                out[strcspn(out, "\n")] = 0;
        fclose(f);
        return r;
}

static int invocation(void *data, const char *unit, char out[BASELINE_WORD], Error *e) {
        Unit u;
        int r;

        if (is_machine(unit))
                return boot(data, out, e);
        out[0] = 0;
        r = is_unit(unit) ? show(unit, &u, e) : 0;
        if (r == 0 && is_unit(unit))
                snprintf(out, BASELINE_WORD, "%s", u.invocation);
        return r;
}

static int restart(void *data, const char *unit, Error *e) {
        const char *const argv[] = { "systemctl", "restart", "--", unit, NULL };
        CommandResult result;
        int r;

        (void)data;
        if (is_machine(unit))
                return BASELINE_REBOOTS;
        if (!is_unit(unit))
                return 0;
        /* No limit: systemd has one for each unit. */
        r = command_must(&(Command){ .argv = argv }, &result, e);
        if (r == 0)
                command_result_free(&result);
        return r;
}

static int healthy(void *data, const char *unit, Error *why) {
        Unit u;
        int r;

        (void)data;
        if (!is_unit(unit))
                return 0;
        r = show(unit, &u, why);
        if (r < 0)
                return r;
        if (strcmp(u.active, "active") == 0 ||
            (strcmp(u.active, "inactive") == 0 && strcmp(u.result, "success") == 0))
                return 0;
        error_set(why, -EIO, "%s is %s (%s)", unit, u.active[0] ? u.active : "not known",
                  u.result[0] ? u.result : "no result");
        return strcmp(u.active, "failed") == 0 ? 2 : 1;
}

typedef struct Asked {
        const Policy *policy;
        const ProbeNames *but;
        ProbeNames *failing;
} Asked;

static int answers_one(void *data, const char *unit, Error *why) {
        const Asked *a = data;
        double sec;
        Unit u;
        int r;

        if (!is_unit(unit))
                return 0;
        r = show(unit, &u, why);
        if (r < 0)
                return r;
        sec = policy_duration(u.start_max); /* "infinity" is none */
        return probed_ask(a->policy, NULL, unit, sec > 0 ? (uint64_t)(sec * 1e6) : 0, a->but, why);
}

static int answers(void *data, const char *unit, const ProbeNames *but, Error *why) {
        Asked a = { .policy = data, .but = but };

        return a.policy ? probed_each(a.policy, unit, answers_one, &a, why) : 0;
}

static int failing_one(void *data, const char *unit, Error *e) {
        const Asked *a = data;

        (void)e;
        probed_failing(a->policy, NULL, unit, a->failing);
        return 0;
}

static void failing(void *data, const char *unit, ProbeNames *out) {
        Asked a = { .policy = data, .failing = out };

        if (a.policy)
                probed_each(a.policy, unit, failing_one, &a, NULL);
}

static int pause_usec(void *data, uint64_t usec) {
        struct timespec t = { .tv_sec = (time_t)(usec / 1000000), .tv_nsec = (long)(usec % 1000000) * 1000 };

        (void)data;
        return nanosleep(&t, NULL) < 0 ? -errno : 0;
}

const BaselineOps baseline_units = {
        .invocation = invocation,
        .restart = restart,
        .healthy = healthy,
        .answers = answers,
        .failing = failing,
        .wait = pause_usec,
        .boot = boot,
};
