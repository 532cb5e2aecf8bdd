/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "deliver/policy-read.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* [[hook]] */

typedef struct Hook {
        const TomlNode *events;
        const char **command;
        size_t n_command;
        const char *user;
        uint64_t timeout_usec;
} Hook;

static const Field fields[] = {
        { "events", FIELD_NODE, offsetof(Hook, events), 0, 0, NULL, true },
        { "command", FIELD_STRINGS, offsetof(Hook, command), 0, 0, NULL, true },
        { "user", FIELD_STRING, offsetof(Hook, user), 0, 0, NULL, false },
        { "timeout", FIELD_USEC, offsetof(Hook, timeout_usec), 1, 600, NULL, false },
};

/* A kind's name, its number, or "*". What would make a hook run because a hook ran is never given to one. */
static bool read_event(PolicyReader *r, const TomlNode *v, bool events[EVENT_N]) {
        char name[64];
        EventKind k;

        if (v->type == TOML_STRING)
                snprintf(name, sizeof(name), "%s", v->string);
        else if (v->type == TOML_INTEGER)
                snprintf(name, sizeof(name), "%lld", (long long)v->integer);
        else
                return false;
        if (strcmp(name, "*") == 0) {
                for (size_t i = 0; i < EVENT_N; i++)
                        events[i] = i != EVENT_HOOK_FAILED && i != EVENT_HOOK_DROPPED;
                return true;
        }
        k = event_find(name);
        if (k == EVENT_N)
                policy_mistake(r, v, "there is no event '%s'; docs/events.md lists them", name);
        else if (k == EVENT_HOOK_FAILED || k == EVENT_HOOK_DROPPED)
                policy_mistake(r, v, "'%s' is about hooks, and is given to none", name);
        else
                events[k] = true;
        return true;
}

static bool read_events(PolicyReader *r, const TomlNode *list, bool events[EVENT_N]) {
        if (list->type != TOML_ARRAY || !list->n || list->n > POLICY_MAX_ITEMS) {
                policy_mistake(r, list, "must be a list of names or numbers of events, or [\"*\"]");
                return false;
        }
        for (size_t i = 0; i < list->n; i++)
                if (!read_event(r, &list->items[i], events)) {
                        policy_mistake(r, &list->items[i],
                                       "must be a name or a number of an event, and is %s",
                                       toml_type_text(list->items[i].type));
                        return false;
                }
        return true;
}

void policy_read_hook(PolicyReader *r, const TomlNode *t) {
        Hook h = { .user = "nobody", .timeout_usec = 30000000 };
        PolicyHook hook = { 0 };
        const char **command;

        if (!policy_read_table(r, t, fields, ELEMENTSOF(fields), &h) ||
            !read_events(r, h.events, hook.events))
                return;
        if (!h.n_command || h.command[0][0] != '/') {
                policy_mistake(r, toml_get(t, "command"), "begins with the absolute path of a program");
                return;
        }
        policy_need_user(r, toml_get(t, "user"), h.user);
        policy_need_program(r, toml_get(t, "command"), h.command[0], h.user);
        command = arena_newa(r->policy->arena, const char *, h.n_command + 1);
        memcpy(command, h.command, h.n_command * sizeof(*command));
        hook.command = command;
        hook.user = h.user;
        hook.timeout_usec = h.timeout_usec;
        *POLICY_GROW(r->policy, hook, PolicyHook) = hook;
}
