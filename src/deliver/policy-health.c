/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "deliver/policy-read.h"

#include <string.h>

/* [health], [[probe]] and [metrics]. */

#define AT(T, member) offsetof(T, member)
static const Field health_fields[] = {
        { "automatic_rollback", FIELD_BOOL, AT(Policy, automatic_rollback), 0, 0, NULL, false },
        { "crash_within", FIELD_USEC, AT(Policy, crash_usec), 1, 30 * 86400, NULL, false },
        { "sample_interval", FIELD_USEC, AT(Policy, sample_usec), 0.05, 3600, NULL, false },
};
static const Field metrics_fields[] = {
        { "listen", FIELD_STRING, AT(Policy, metrics_listen), 0, 0, NULL, false },
};

typedef struct ProbeKeys {
        const char *name, *unit, *process, *http, *tcp, *user, *expect;
        const char **command;
        size_t n_command;
        uint64_t interval_usec, timeout_usec;
        bool verify_tls;
} ProbeKeys;
static const Field probe_fields[] = {
        { "name", FIELD_STRING, AT(ProbeKeys, name), 0, 0, NULL, false },
        { "unit", FIELD_STRING, AT(ProbeKeys, unit), 0, 0, NULL, false },
        { "process", FIELD_STRING, AT(ProbeKeys, process), 0, 0, NULL, false },
        { "http", FIELD_STRING, AT(ProbeKeys, http), 0, 0, NULL, false },
        { "tcp", FIELD_STRING, AT(ProbeKeys, tcp), 0, 0, NULL, false },
        { "command", FIELD_STRINGS, AT(ProbeKeys, command), 0, 0, NULL, false },
        { "user", FIELD_STRING, AT(ProbeKeys, user), 0, 0, NULL, false },
        { "expect", FIELD_STRING, AT(ProbeKeys, expect), 0, 0, NULL, false },
        { "interval", FIELD_USEC, AT(ProbeKeys, interval_usec), 0.05, 86400, NULL, false },
        { "timeout", FIELD_USEC, AT(ProbeKeys, timeout_usec), 0.01, 300, NULL, false },
        { "verify_tls", FIELD_BOOL, AT(ProbeKeys, verify_tls), 0, 0, NULL, false },
};
enum { SUBJECT_MAX = 127, NAME_MAX_BYTES = 95, EXPECT_MAX = 1024 };

void policy_health_defaults(Policy *p) {
        p->automatic_rollback = true;
        p->crash_usec = UINT64_C(3600) * 1000000;
        p->sample_usec = 30000000;
        p->metrics_listen = "";
}

void policy_read_health(PolicyReader *r, const TomlNode *t) {
        policy_read_table(r, t, health_fields, ELEMENTSOF(health_fields), r->policy);
}

void policy_read_metrics(PolicyReader *r, const TomlNode *t) {
        const char *before = r->policy->metrics_listen;
        struct sockaddr_storage address;
        socklen_t size;

        if (!policy_read_table(r, t, metrics_fields, ELEMENTSOF(metrics_fields), r->policy) ||
            !*r->policy->metrics_listen || probe_loopback(r->policy->metrics_listen, &address, &size))
                return;
        r->policy->metrics_listen = before;
        policy_mistake(r, toml_get(t, "listen"),
                       "must be a loopback address and a port, such as \"127.0.0.1:9464\" or \"[::1]:9464\"");
}

/* What is asked: exactly one of three keys. */
static bool read_target(PolicyReader *r, const TomlNode *t, const ProbeKeys *k, Probe *p) {
        char host[256];
        uint16_t port;

        if (!!k->http + !!k->tcp + !!k->command != 1) {
                policy_mistake(r, t, "a probe asks one thing: give 'http', 'tcp' or 'command'");
                return false;
        }
        p->target = k->http ? k->http : k->tcp;
        p->kind = k->http ? PROBE_HTTP : k->tcp ? PROBE_TCP : PROBE_COMMAND;
        if (k->http && !probe_is_url(k->http)) {
                policy_mistake(r, toml_get(t, "http"), "must be a URL, http://... or https://...");
                return false;
        }
        if (k->tcp && !probe_address(k->tcp, host, sizeof(host), &port)) {
                policy_mistake(r, toml_get(t, "tcp"), "must be \"HOST:PORT\" or \"[ADDRESS]:PORT\"");
                return false;
        }
        if (k->command && (!k->n_command || k->command[0][0] != '/')) {
                policy_mistake(r, toml_get(t, "command"),
                               "must be a list of arguments, the first of them a program's absolute path");
                return false;
        }
        if (k->user && !k->command) {
                policy_mistake(r, toml_get(t, "user"), "is for a 'command'");
                return false;
        }
        if (k->user && strcmp(k->user, "root") == 0) {
                policy_mistake(r, toml_get(t, "user"), "a probe must not run as root");
                return false;
        }
        return true;
}

static bool read_subject(PolicyReader *r, const TomlNode *t, const ProbeKeys *k, Probe *p) {
        if (!!k->unit + !!k->process != 1) {
                policy_mistake(r, t,
                               "whose health is it? Give 'unit', or 'process' for one outside of units");
                return false;
        }
        p->subject = k->unit ? k->unit : arena_printf(r->policy->arena, "process %s", k->process);
        p->name = k->name ? k->name
                  : p->target
                          ? p->target
                          : arena_printf(r->policy->arena, "%s %s", probe_kind_text(p->kind), k->command[0]);
        if (!*p->subject || strlen(p->subject) > SUBJECT_MAX || strlen(p->name) > NAME_MAX_BYTES ||
            !*p->name) {
                policy_mistake(r, t, "its unit or name is empty or too long (give a shorter 'name')");
                return false;
        }
        for (size_t i = 0; i < r->policy->n_probe; i++)
                if (strcmp(r->policy->probe[i].subject, p->subject) == 0 &&
                    strcmp(r->policy->probe[i].name, p->name) == 0) {
                        policy_mistake(r, t, "there is a probe '%s' of this unit already; give it a 'name'",
                                       p->name);
                        return false;
                }
        return true;
}

void policy_read_probe(PolicyReader *r, const TomlNode *t) {
        ProbeKeys k = { .interval_usec = 10000000, .timeout_usec = 5000000, .verify_tls = true };
        Probe p = { 0 };

        if (!policy_read_table(r, t, probe_fields, ELEMENTSOF(probe_fields), &k) ||
            !read_target(r, t, &k, &p) || !read_subject(r, t, &k, &p))
                return;
        if (r->policy->n_probe == POLICY_PROBES) {
                policy_mistake(r, t, "more than %d probes", POLICY_PROBES);
                return;
        }
        if (k.expect && (!*k.expect || strlen(k.expect) > EXPECT_MAX)) {
                policy_mistake(r, toml_get(t, "expect"), "must be a text of 1 to %d bytes", EXPECT_MAX);
                return;
        }
        if (k.command) {
                const char **argv = arena_newa(r->policy->arena, const char *, k.n_command + 1);

                memcpy(argv, k.command, k.n_command * sizeof(*argv));
                argv[k.n_command] = NULL;
                p.command = argv;
                p.user = k.user ? k.user : "nobody";
                policy_need_user(r, toml_get(t, "user"), p.user);
                policy_need_program(r, toml_get(t, "command"), argv[0], p.user);
        }
        p.expect = k.expect;
        p.interval_usec = k.interval_usec;
        p.timeout_usec = k.timeout_usec;
        p.verify_tls = k.verify_tls;
        *POLICY_GROW(r->policy, probe, Probe) = p;
}
