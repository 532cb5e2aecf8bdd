/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the administrator wants: /etc/staunch/staunch.toml and its drop-ins, which are read in the order of
 * their names, each later key replacing an earlier one, lists of tables ([[window]], [[probe]], ...) growing.
 * docs/policy.md describes every key. Strings and arrays belong to the policy's arena.
 */

/* Azure's words are accepted for the same things, in any case: AutomaticByPlatform, ImageDefault
 * (assess-only), Manual; IfRequired, Never, Always. */
typedef enum PatchMode { PATCH_AUTOMATIC, PATCH_ASSESS_ONLY, PATCH_MANUAL } PatchMode;
typedef enum RebootSetting { REBOOT_IF_REQUIRED, REBOOT_NEVER, REBOOT_ALWAYS } RebootSetting;

/* Kinds of what a thing is matched by; a pattern is a glob (fnmatch). */
typedef enum MatchBy { MATCH_UNIT, MATCH_USER, MATCH_CGROUP, MATCH_PATH, MATCH_PACKAGE } MatchBy;

typedef struct PolicyMatch {
        MatchBy by;
        const char *pattern;
} PolicyMatch;

/* [[accept]]: a refusal code that is accepted for a package (glob; "*": all). */
typedef struct PolicyAccept {
        const char *package;
        RefusalCode code;
} PolicyAccept;

/* [[window]]: a maintenance window. src/deliver/calendar.h computes its occurrences. */
typedef struct PolicyWindow {
        const char *name;
        const char *time_zone;  /* of the tz database, "Europe/Berlin"; default "UTC" */
        const char *recurrence; /* "1Week Sunday", "1Month Second Tuesday Offset4", "3Month Day1", ... */
        const char *start;      /* local time of the first: "2026-01-01 03:00" */
        uint32_t duration_sec;  /* 5400 (90 minutes) to 86400 */
        const char *file;       /* where it was said, for messages */
        unsigned line;
} PolicyWindow;

typedef enum ProbeKind { PROBE_HTTP, PROBE_TCP, PROBE_COMMAND } ProbeKind;

/* [[probe]]: how to ask whether a unit is well. */
typedef struct PolicyProbe {
        const char *name;
        const char *unit; /* glob; "": the machine's */
        ProbeKind kind;
        const char *target; /* URL (http://...), HOST:PORT, or a command line that /bin/sh runs */
        uint32_t timeout_msec, interval_sec;
        uint32_t expect_status; /* HTTP; 0: 200 to 399 */
} PolicyProbe;

/* [[drain]]: what to do before a unit is restarted, and after. */
typedef struct PolicyDrain {
        const char *unit;
        const char *haproxy_socket, *haproxy_server; /* runtime API: "backend/server"; or NULL, and: */
        const char *before, *after;                  /* command lines; NULL: none */
        uint32_t timeout_sec;
} PolicyDrain;

/* [[hook]]: a command that is run at events; the event is its standard input, as JSON. */
typedef struct PolicyHook {
        const char *command;
        const char **events; /* kinds ("patch-installed") or numbers ("19"); n_events == 0: all */
        size_t n_events;
} PolicyHook;

typedef struct Policy {
        Arena *arena;
        PatchMode mode;         /* patch_mode */
        RebootSetting reboot;   /* reboot */
        uint64_t deadline_usec; /* safe_point_deadline: for a safe point of one process */
        uint32_t scan_sec;      /* scan_interval: between two looks for images opened later */
        PolicyMatch *exclude;
        size_t n_exclude;
        PolicyAccept *accept;
        size_t n_accept;
        PolicyWindow *windows;
        size_t n_windows;
        PolicyProbe *probes;
        size_t n_probes;
        PolicyDrain *drains;
        size_t n_drains;
        PolicyHook *hooks;
        size_t n_hooks;
        struct {
                const char *provider; /* "auto", "none", "btrfs", "lvm-thin", "packages", "hook" */
                const char *hook;     /* command line: HOOK create|rollback|delete NAME */
                uint32_t keep;        /* snapshots kept */
        } snapshot;
        struct {
                const char *listen; /* "": none; "127.0.0.1:9917": loopback addresses only */
        } metrics;
        struct {
                bool automatic_rollback; /* revert a patch, or roll a baseline back, when health turns bad */
                uint32_t settle_sec;     /* how long figures are taken after a patch */
                double threshold;        /* how many times the baseline's spread a figure may move */
        } health;
} Policy;

#define POLICY_FILE "/etc/staunch/staunch.toml"

/*
 * Reads `path` and `path`.d/ *.toml. No file at all is the default policy. Every mistake is an error that
 * names the file, the line and what is allowed; unknown keys are mistakes.
 */
int policy_load(const char *path, Policy *out, Error *e);
/* Calls back with every mistake, not only the first; returns how many, or negative when a file can't be read.
 */
int policy_check(const char *path, void (*mistake)(void *data, const char *text), void *data, Error *e);
void policy_free(Policy *p);
const char *patch_mode_text(PatchMode m);
const char *reboot_setting_text(RebootSetting r);
/* Does some [[exclude]] of this kind match `subject`? */
bool policy_excludes(const Policy *p, MatchBy by, const char *subject);
/* Sets accepted[code] for what the policy accepts for `package` ("" when it is not known). */
void policy_accepted(const Policy *p, const char *package, bool accepted[REFUSAL_N]);
