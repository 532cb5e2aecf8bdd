/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/refusal.h"
#include "deliver/window.h"
#include "report/event.h"
#include "snapshot/snapshot.h"
#include "verify/probe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the administrator wants: /etc/staunch/staunch.toml and its drop-ins, which are read in the order of
 * their names, each later key replacing an earlier one, lists growing.
 * docs/policy.md describes every key. Strings and arrays belong to the policy's arena.
 */

/* Azure's words are accepted for the same things, in any case: AutomaticByPlatform, ImageDefault
 * (assess-only), Manual; IfRequired, Never, Always. */
typedef enum PatchMode { PATCH_AUTOMATIC, PATCH_ASSESS_ONLY, PATCH_MANUAL } PatchMode;

/* Kinds of what a thing is matched by; a pattern is a glob (fnmatch). */
typedef enum MatchBy { MATCH_UNIT, MATCH_USER, MATCH_CGROUP, MATCH_PATH } MatchBy;

typedef struct PolicyMatch {
        MatchBy by;
        const char *pattern;
} PolicyMatch;

/* [[accept]]: a refusal code that is accepted for a package (glob; "*": all). */
typedef struct PolicyAccept {
        const char *package;
        RefusalCode code;
} PolicyAccept;

/* [[hook]]: a program that is told of events. */
typedef struct PolicyHook {
        bool events[EVENT_N];
        const char *const *command; /* NULL at the end */
        const char *user;
        uint64_t timeout_usec;
} PolicyHook;
/* [baseline]: docs/baseline.md */
typedef struct PolicyBaseline {
        SnapshotPolicy snapshot;
        uint64_t settle_usec;     /* so long all must have been well */
        uint64_t hook_limit_usec; /* for what is done before an upgrade */
        bool automatic_rollback, require_snapshot;
} PolicyBaseline;

/* [restart] */
typedef enum RebootSetting { REBOOT_NEVER, REBOOT_IF_REQUIRED, REBOOT_ALWAYS } RebootSetting;
typedef struct PolicyRestart {
        RebootSetting reboot;
        const char *reboot_command;  /* run by systemd instead of a reboot; "": none */
        const char *reboot_required; /* the file that says so; beside it FILE.pkgs */
        const char **never;          /* patterns of units, besides those that are known (docs/policy.md) */
        size_t n_never;
        const char **allow; /* patterns of units that may be restarted though they are known not to like it */
        size_t n_allow;
        uint32_t timeout_sec; /* of one restart, without draining */
        uint32_t settle_sec;  /* so long it must have stayed up */
        bool stop_at_failure; /* nothing more is restarted in this window */
} PolicyRestart;

/* [[drain]]: how to keep requests away from a unit while it is restarted. */
typedef struct PolicyDrain {
        const char *unit;           /* glob */
        const char *before, *after; /* commands, for /bin/sh; "": none */
        const char *haproxy;        /* its runtime API's socket; "": none */
        const char **servers;       /* "BACKEND/SERVER" */
        size_t n_servers;
        uint32_t timeout_sec; /* for each step: a command, sessions that end, the server that comes up */
        bool force;           /* restart even though sessions have not ended */
} PolicyDrain;

typedef struct Policy {
        Arena *arena;
        PatchMode mode;             /* patch_mode */
        uint64_t deadline_usec;     /* safe_point_deadline: for a safe point of one process */
        uint64_t unresponsive_usec; /* unresponsive_after: beyond the safe point's, for a look at one process
                                     */
        uint32_t scan_sec;          /* scan_interval: between two looks for images opened later */
        uint32_t package_wait_sec;  /* package_wait: for a package manager that holds its lock */
        int hold_restarts; /* package_restarts: 1, restarts by packages' scripts wait for the round */
        PolicyMatch *exclude;
        size_t n_exclude;
        PolicyAccept *accept;
        size_t n_accept;
        PolicyHook *hook;
        size_t n_hook;
        PolicyBaseline baseline;
        Window *window; /* [[window]] */
        size_t n_window;
        PolicyDrain *drain;
        size_t n_drain;
        PolicyRestart restart;
        bool automatic_rollback; /* [health]: take a patch out that does harm */
        uint64_t crash_usec;  /* [health] crash_within: how long after a patch a crash is held against it */
        uint64_t sample_usec; /* [health] sample_interval: between two looks at CPU use and memory */
        Probe *probe;         /* [[probe]] */
        size_t n_probe;
        const char *metrics_listen; /* [metrics] listen: a loopback address and port; "": none */
} Policy;

enum { POLICY_PROBES = 256 }; /* at most so many */

#define POLICY_FILE "/etc/staunch/staunch.toml"

/*
 * Reads `path` and `path`.d/ *.toml. No file at all is the default policy. Every mistake is an error that
 * names the file, the line and what is allowed; unknown keys are mistakes.
 */
int policy_load(const char *path, Policy *out, Error *e);
/* Calls back with every mistake, not only the first; returns how many, or negative when a file can't be read.
 * `here`: what this machine does not have is one as well: users, and programs that can be executed. It is
 * none to policy_load(): a user of a directory server, or a program on a file system that is mounted later,
 * may not be there yet when the machine starts, and the rest of the policy is in force then. */
int policy_check(const char *path, bool here, void (*mistake)(void *data, const char *text), void *data,
                 Error *e);
/* Is there such a file, or a folder of its drop-ins? Else the defaults are in force. */
bool policy_is_there(const char *path);
void policy_free(Policy *p);
const char *patch_mode_text(PatchMode m);
const char *reboot_setting_text(RebootSetting s);
/* Does some [[exclude]] of this kind match `subject`? */
bool policy_excludes(const Policy *p, MatchBy by, const char *subject);
/* Sets accepted[code] for what the policy accepts for `package` ("" when it is not known). */
void policy_accepted(const Policy *p, const char *package, bool accepted[REFUSAL_N]);
