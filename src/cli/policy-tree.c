/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy-tree.h"
#include "base/macro.h"
#include "base/refusal.h"
#include "patch/json.h"

#include <stdlib.h>
#include <string.h>

/* "90s", "5min", "250ms": the largest unit in which it is a whole number. */
static json_t *duration(uint64_t usec) {
        static const struct {
                const char *unit;
                uint64_t usec;
        } units[] = { { "d", 86400000000 }, { "h", 3600000000 }, { "min", 60000000 }, { "s", 1000000 } };
        uint64_t msec = (usec + 500) / 1000;

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (msec && msec * 1000 % units[i].usec == 0)
                        return json_sprintf("%" JSON_INTEGER_FORMAT "%s",
                                            (json_int_t)(msec * 1000 / units[i].usec), units[i].unit);
        return json_sprintf("%" JSON_INTEGER_FORMAT "%s", (json_int_t)msec, msec ? "ms" : "s");
}

static json_t *seconds(uint32_t sec) {
        return duration((uint64_t)sec * 1000000);
}

static json_t *size(uint64_t bytes) {
        static const struct {
                const char *unit;
                uint64_t bytes;
        } units[] = { { "GiB", UINT64_C(1) << 30 },
                      { "MiB", UINT64_C(1) << 20 },
                      { "KiB", UINT64_C(1) << 10 } };

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (bytes && bytes % units[i].bytes == 0)
                        return json_sprintf("%" JSON_INTEGER_FORMAT "%s",
                                            (json_int_t)(bytes / units[i].bytes), units[i].unit);
        return json_integer((json_int_t)bytes);
}

static json_t *wall_time(const WallTime *w) {
        return json_sprintf("%04d-%02d-%02d %02d:%02d", w->year, w->month, w->day, w->hour, w->minute);
}

/* Sets nothing where there is no text. */
static void set_text(json_t *table, const char *key, const char *text) {
        if (text && *text)
                json_object_set_new(table, key, json_text(text));
}

static void set_texts(json_t *table, const char *key, const char *const *texts, size_t n) {
        json_t *list;

        if (!n)
                return;
        list = json_array();
        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, json_text(texts[i]));
        json_object_set_new(table, key, list);
}

static size_t length(const char *const *texts) {
        size_t n = 0;

        while (texts && texts[n])
                n++;
        return n;
}

static json_t *exclude_table(const Policy *p) {
        static const char *const by[] = { "unit", "user", "cgroup", "path" };
        json_t *t = json_object();

        for (size_t i = 0; i < p->n_exclude; i++) {
                const char *key = by[p->exclude[i].by];

                if (!json_object_get(t, key))
                        json_object_set_new(t, key, json_array());
                json_array_append_new(json_object_get(t, key), json_text(p->exclude[i].pattern));
        }
        return t;
}

static json_t *accept_tables(const Policy *p) {
        json_t *list = json_array();

        for (size_t i = 0; i < p->n_accept; i++)
                json_array_append_new(list,
                                      json_pack("{s:o, s:s}", "package", json_text(p->accept[i].package),
                                                "code", refusal_get(p->accept[i].code)->code));
        return list;
}

static json_t *hook_tables(const Policy *p) {
        json_t *list = json_array();

        for (size_t i = 0; i < p->n_hook; i++) {
                const PolicyHook *h = &p->hook[i];
                json_t *t = json_object(), *events = json_array();

                for (size_t k = 0; k < EVENT_N; k++)
                        if (h->events[k])
                                json_array_append_new(events, json_string(event_type((EventKind)k)->kind));
                json_object_set_new(t, "events", events);
                set_texts(t, "command", h->command, length(h->command));
                set_text(t, "user", h->user);
                json_object_set_new(t, "timeout", duration(h->timeout_usec));
                json_array_append_new(list, t);
        }
        return list;
}

static json_t *baseline_table(const PolicyBaseline *b) {
        const SnapshotPolicy *s = &b->snapshot;
        json_t *t = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:b, s:b}", "snapshot",
                              snapshot_kind_text(s->kind), "keep", (int)s->keep, "keep_for",
                              seconds(s->keep_for_sec), "min_free", size(s->min_free), "max_size",
                              size(s->max_size), "limit", duration(b->hook_limit_usec), "settle",
                              duration(b->settle_usec), "automatic_rollback", b->automatic_rollback,
                              "require_snapshot", b->require_snapshot);

        set_texts(t, "hook", s->hook, s->n_hook);
        json_object_set_new(t, "hook_timeout", duration(s->hook_timeout_usec));
        return t;
}

static json_t *window_tables(const Policy *p) {
        json_t *list = json_array();

        for (size_t i = 0; i < p->n_window; i++) {
                const Window *w = &p->window[i];
                json_t *t = json_pack("{s:o, s:o, s:o}", "name", json_text(w->name), "start",
                                      wall_time(&w->start), "duration", seconds(w->duration_sec));

                set_text(t, "time_zone", w->zone);
                if (w->expiration.year)
                        json_object_set_new(t, "expiration", wall_time(&w->expiration));
                set_text(t, "recur", w->recur_text);
                set_texts(t, "unit", w->units, w->n_units);
                json_array_append_new(list, t);
        }
        return list;
}

static json_t *restart_table(const PolicyRestart *r) {
        json_t *t = json_pack("{s:s, s:o, s:o, s:b}", "reboot", reboot_setting_text(r->reboot), "timeout",
                              seconds(r->timeout_sec), "settle", seconds(r->settle_sec), "stop_at_failure",
                              r->stop_at_failure);

        set_texts(t, "never", r->never, r->n_never);
        set_texts(t, "allow", r->allow, r->n_allow);
        set_text(t, "reboot_command", r->reboot_command);
        set_text(t, "reboot_required", r->reboot_required);
        return t;
}

static json_t *drain_tables(const Policy *p) {
        json_t *list = json_array();

        for (size_t i = 0; i < p->n_drain; i++) {
                const PolicyDrain *d = &p->drain[i];
                json_t *t = json_pack("{s:o}", "unit", json_text(d->unit));

                set_text(t, "before", d->before);
                set_text(t, "after", d->after);
                set_text(t, "haproxy", d->haproxy);
                set_texts(t, "server", d->servers, d->n_servers);
                json_object_set_new(t, "timeout", seconds(d->timeout_sec));
                json_object_set_new(t, "force", json_boolean(d->force));
                json_array_append_new(list, t);
        }
        return list;
}

static json_t *probe_tables(const Policy *p) {
        static const char process[] = "process ";
        json_t *list = json_array();

        for (size_t i = 0; i < p->n_probe; i++) {
                const Probe *b = &p->probe[i];
                bool unit = strncmp(b->subject, process, strlen(process)) != 0;
                json_t *t = json_pack("{s:o}", unit ? "unit" : "process",
                                      json_text(b->subject + (unit ? 0 : strlen(process))));

                set_text(t, "name", b->name);
                if (b->kind == PROBE_COMMAND) {
                        set_texts(t, "command", b->command, length(b->command));
                        set_text(t, "user", b->user);
                } else {
                        set_text(t, probe_kind_text(b->kind), b->target);
                }
                set_text(t, "expect", b->expect);
                json_object_set_new(t, "interval", duration(b->interval_usec));
                json_object_set_new(t, "timeout", duration(b->timeout_usec));
                json_object_set_new(t, "verify_tls", json_boolean(b->verify_tls));
                json_array_append_new(list, t);
        }
        return list;
}

json_t *policy_tree(const Policy *p) {
        json_t *metrics = json_object();

        set_text(metrics, "listen", p->metrics_listen);
        return json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:b, s:o, "
                         "s:o}, s:o, s:o}",
                         "patch_mode", patch_mode_text(p->mode), "safe_point_deadline",
                         duration(p->deadline_usec), "unresponsive_after", duration(p->unresponsive_usec),
                         "scan_interval", seconds(p->scan_sec), "package_wait", seconds(p->package_wait_sec),
                         "package_restarts", p->hold_restarts ? "hold" : "allow", "exclude", exclude_table(p),
                         "accept", accept_tables(p), "hook", hook_tables(p), "baseline",
                         baseline_table(&p->baseline), "window", window_tables(p), "restart",
                         restart_table(&p->restart), "drain", drain_tables(p), "health", "automatic_rollback",
                         p->automatic_rollback, "crash_within", duration(p->crash_usec), "sample_interval",
                         duration(p->sample_usec), "probe", probe_tables(p), "metrics", metrics);
}

/* TOML writes texts, numbers, truths and lists of texts as JSON does. */
static void print_value(const char *key, const json_t *v, FILE *f) {
        char *text = json_dumps(v, JSON_ENCODE_ANY);

        fprintf(f, "%s = %s\n", key, text ? text : "");
        free(text);
}

static void print_values(const json_t *table, FILE *f) {
        const char *key;
        json_t *v;

        json_object_foreach((json_t *)(uintptr_t)table, key, v) print_value(key, v, f);
}

void policy_tree_print(const json_t *tree, FILE *f) {
        const char *key;
        json_t *v, *table;
        size_t i;

        json_object_foreach((json_t *)(uintptr_t)tree, key, v) {
                if (json_is_object(v) && json_object_size(v)) {
                        fprintf(f, "\n[%s]\n", key);
                        print_values(v, f);
                } else if (json_is_array(v)) {
                        json_array_foreach(v, i, table) {
                                fprintf(f, "\n[[%s]]\n", key);
                                print_values(table, f);
                        }
                } else if (!json_is_object(v)) {
                        print_value(key, v, f);
                }
        }
}
