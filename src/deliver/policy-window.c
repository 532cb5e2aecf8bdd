/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "deliver/policy-read.h"

#include <stdio.h>
#include <string.h>

/* [[window]], [restart], [[drain]]: when what can't be hotpatched is restarted, and how. */

typedef struct WindowKeys {
        const char *name, *start, *duration, *zone, *expiration, *recur, **units;
        size_t n_units;
} WindowKeys;

#define AT(T, member) offsetof(T, member)
static const Field window_fields[] = {
        { "name", FIELD_STRING, AT(WindowKeys, name), 0, 0, NULL, true },
        { "start", FIELD_STRING, AT(WindowKeys, start), 0, 0, NULL, true },
        { "duration", FIELD_STRING, AT(WindowKeys, duration), 0, 0, NULL, true },
        { "time_zone", FIELD_STRING, AT(WindowKeys, zone), 0, 0, NULL, false },
        { "expiration", FIELD_STRING, AT(WindowKeys, expiration), 0, 0, NULL, false },
        { "recur", FIELD_STRING, AT(WindowKeys, recur), 0, 0, NULL, false },
        { "unit", FIELD_STRINGS, AT(WindowKeys, units), 0, 0, NULL, false },
};

static const Word reboot_words[] = { { "IfRequired", REBOOT_IF_REQUIRED },
                                     { "if-required", REBOOT_IF_REQUIRED },
                                     { "Never", REBOOT_NEVER },
                                     { "Always", REBOOT_ALWAYS },
                                     { NULL, 0 } };

static const Field restart_fields[] = {
        { "reboot", FIELD_ENUM, AT(PolicyRestart, reboot), 0, 0, reboot_words, false },
        { "reboot_command", FIELD_STRING, AT(PolicyRestart, reboot_command), 0, 0, NULL, false },
        { "reboot_required", FIELD_STRING, AT(PolicyRestart, reboot_required), 0, 0, NULL, false },
        { "never", FIELD_STRINGS, AT(PolicyRestart, never), 0, 0, NULL, false },
        { "allow", FIELD_STRINGS, AT(PolicyRestart, allow), 0, 0, NULL, false },
        { "timeout", FIELD_SEC, AT(PolicyRestart, timeout_sec), 1, 3600, NULL, false },
        { "settle", FIELD_SEC, AT(PolicyRestart, settle_sec), 0, 600, NULL, false },
        { "stop_at_failure", FIELD_BOOL, AT(PolicyRestart, stop_at_failure), 0, 0, NULL, false },
};

static const Field drain_fields[] = {
        { "unit", FIELD_STRING, AT(PolicyDrain, unit), 0, 0, NULL, true },
        { "before", FIELD_STRING, AT(PolicyDrain, before), 0, 0, NULL, false },
        { "after", FIELD_STRING, AT(PolicyDrain, after), 0, 0, NULL, false },
        { "haproxy", FIELD_STRING, AT(PolicyDrain, haproxy), 0, 0, NULL, false },
        { "server", FIELD_STRINGS, AT(PolicyDrain, servers), 0, 0, NULL, false },
        { "timeout", FIELD_SEC, AT(PolicyDrain, timeout_sec), 1, 3600, NULL, false },
        { "force", FIELD_BOOL, AT(PolicyDrain, force), 0, 0, NULL, false },
};

static bool read_time(PolicyReader *r, const TomlNode *v, const char *text, WallTime *out) {
        Error e = { 0 };

        if (wall_time_parse(text, out, &e) < 0)
                policy_mistake(r, v, "%s", e.text);
        return e.code == 0;
}

/* Seconds of "3h" or, as Azure writes it, "03:00"; negative: neither. */
static double window_duration(const char *text) {
        unsigned hours, minutes;
        int n = 0;

        if (sscanf(text, "%2u:%2u%n", &hours, &minutes, &n) == 2 && n == 5 && !text[n] && minutes < 60)
                return hours * 3600.0 + minutes * 60.0;
        return policy_duration(text);
}

void policy_read_window(PolicyReader *r, const TomlNode *t) {
        WindowKeys k = { .zone = "", .recur = "" };
        const TomlNode *start = toml_get(t, "start");
        size_t before = r->mistakes;
        Window w = { 0 };
        double duration;
        Error e = { 0 };

        if (start && start->type == TOML_DATE_TIME) {
                policy_mistake(r, start, "write it in quotes: \"2026-12-01 22:00\"");
                return;
        }
        if (!policy_read_table(r, t, window_fields, ELEMENTSOF(window_fields), &k))
                return;
        w = (Window){
                .name = k.name, .zone = k.zone, .recur_text = k.recur, .units = k.units, .n_units = k.n_units
        };
        if (!*k.name || strlen(k.name) > 64)
                policy_mistake(r, toml_get(t, "name"), "1 to 64 characters");
        for (size_t i = 0; i < r->policy->n_window; i++)
                if (strcmp(r->policy->window[i].name, k.name) == 0)
                        policy_mistake(r, toml_get(t, "name"), "there is a window of this name already");
        read_time(r, start, k.start, &w.start);
        if (k.expiration && read_time(r, toml_get(t, "expiration"), k.expiration, &w.expiration) &&
            date_number(w.expiration.year, w.expiration.month, w.expiration.day) <
                    date_number(w.start.year, w.start.month, w.start.day))
                policy_mistake(r, toml_get(t, "expiration"), "is before the start");
        duration = window_duration(k.duration);
        if (duration < WINDOW_MIN_SEC || duration > WINDOW_MAX_SEC)
                policy_mistake(r, toml_get(t, "duration"),
                               "from 10min to 24h; write it like \"3h\" or \"03:00\"");
        else
                w.duration_sec = (uint32_t)duration;
        if (zone_check(k.zone, &e) < 0)
                policy_mistake(r, toml_get(t, "time_zone"), "%s", e.text);
        if (*k.recur && recurrence_parse(k.recur, &w.recur, &e) < 0)
                policy_mistake(r, toml_get(t, "recur"), "%s", e.text);
        if (r->mistakes == before)
                *POLICY_GROW(r->policy, window, Window) = w;
}

void policy_restart_defaults(Policy *p) {
        p->restart = (PolicyRestart){ .reboot = REBOOT_NEVER,
                                      .reboot_command = "",
                                      .reboot_required = "/run/reboot-required",
                                      .timeout_sec = 300,
                                      .settle_sec = 5,
                                      .stop_at_failure = true };
}

/* Lists grow. */
static void join(Arena *a, const char **old, size_t n_old, const char ***list, size_t *n) {
        const char **all = arena_newa(a, const char *, n_old + *n);

        if (n_old)
                memcpy(all, old, n_old * sizeof(*all));
        if (*n)
                memcpy(all + n_old, *list, *n * sizeof(*all));
        *list = all;
        *n += n_old;
}

void policy_read_restart(PolicyReader *r, const TomlNode *t) {
        PolicyRestart have = r->policy->restart, fresh = have;

        fresh.n_never = fresh.n_allow = 0;
        if (!policy_read_table(r, t, restart_fields, ELEMENTSOF(restart_fields), &fresh))
                return;
        join(r->policy->arena, have.never, have.n_never, &fresh.never, &fresh.n_never);
        join(r->policy->arena, have.allow, have.n_allow, &fresh.allow, &fresh.n_allow);
        if (*fresh.reboot_required != '/')
                policy_mistake(r, toml_get(t, "reboot_required"), "must be an absolute path");
        if (toml_get(t, "reboot_command"))
                policy_need_command(r, toml_get(t, "reboot_command"), fresh.reboot_command);
        r->policy->restart = fresh;
}

void policy_read_drain(PolicyReader *r, const TomlNode *t) {
        PolicyDrain d = { .before = "", .after = "", .haproxy = "", .timeout_sec = 120 };
        size_t before = r->mistakes;

        if (!policy_read_table(r, t, drain_fields, ELEMENTSOF(drain_fields), &d))
                return;
        for (size_t i = 0; i < d.n_servers; i++) {
                const char *slash = strchr(d.servers[i], '/');

                /* They become words of the runtime API. */
                if (!slash || slash == d.servers[i] || !slash[1] || strchr(slash + 1, '/') ||
                    strpbrk(d.servers[i], " ;\t\r\n\\\"'"))
                        policy_mistake(r, toml_get(t, "server"), "\"%s\": write BACKEND/SERVER",
                                       d.servers[i]);
        }
        if (!!*d.haproxy != !!d.n_servers)
                policy_mistake(r, t, "'haproxy' (the socket) and 'server' go together");
        if (*d.haproxy && *d.haproxy != '/')
                policy_mistake(r, toml_get(t, "haproxy"), "must be the absolute path of HAProxy's socket");
        if (!*d.haproxy && !*d.before)
                policy_mistake(r, t, "says nothing: give 'before' or 'haproxy'");
        policy_need_command(r, toml_get(t, "before"), d.before);
        policy_need_command(r, toml_get(t, "after"), d.after);
        if (r->mistakes == before)
                *POLICY_GROW(r->policy, drain, PolicyDrain) = d;
}

const char *reboot_setting_text(RebootSetting s) {
        return policy_word(reboot_words, (int)s);
}
