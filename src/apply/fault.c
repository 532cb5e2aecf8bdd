/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/fault.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

const char *const fault_names[] = {
        "begin",       "stage-reserved", "chain-pair",    "chain-stopped",  "chain-map",      "stage-piece",
        "stage-done",  "staged",         "stopped",       "switch-checked", "switch-journal", "switch-page",
        "switch-word", "switch-written", "switch-header", "switch-marked",  "resumed",        NULL,
};

const char *const fault_undo_names[] = { "undo-time", "undo-header", "undo-page", "undo-journal", NULL };

static const char *armed, *following;
static FaultKind armed_kind, following_kind;
static pid_t front;

void fault_set(const char *name, FaultKind kind) {
        armed = name;
        armed_kind = name ? kind : FAULT_NONE;
        following = NULL;
}

void fault_then(const char *name, FaultKind kind) {
        following = name;
        following_kind = kind;
}

void fault_front(pid_t pid) {
        front = pid;
}

int fault(const char *name, Error *e) {
        FaultKind kind = armed_kind;

        if (!armed || strcmp(armed, name) != 0)
                return 0;
        armed = following;
        armed_kind = following_kind;
        following = NULL;
        if (kind == FAULT_ERROR)
                return error_set(e, -EIO, "fault %s", name);
        if ((kind == FAULT_KILL_FRONT || kind == FAULT_KILL_BOTH) && front > 1)
                kill(front, SIGKILL);
        if (kind == FAULT_KILL_GUARDIAN || kind == FAULT_KILL_BOTH)
                kill(getpid(), SIGKILL);
        return 0;
}
