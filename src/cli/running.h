/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "proc/list.h"

#include <jansson.h>

/* The round that runs now: the agent's, or one by hand. */
typedef struct Running {
        bool runs;
        pid_t pid;              /* 0: not known */
        uint64_t begun_usec;    /* CLOCK_REALTIME; 0: not known */
        Process program;        /* whose it is; pid 0: not known */
        const json_t *of_agent; /* what the agent says of it (docs/agent.md); NULL: it is not the agent's */
} Running;

/*
 * `agent`: the agent's answer to "status", which outlives *out; NULL where there is none. `lock`: the file of
 * round_lock(); who holds it goes before what the agent says, whose own may wait for it. Others than root see
 * none.
 */
void running_find(const json_t *agent, const char *lock, Running *out);
/* `round` of docs/json.md; a new reference. */
json_t *running_json(const Running *r);
/* "a round (...) runs since ...", one line without its end. NULL: none runs. */
const char *running_text(Arena *a, const Running *r);
