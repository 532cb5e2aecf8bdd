/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/manager.h"
#include "deliver/policy.h"

/*
 * Keeps requests away from a unit while it is restarted, as the policy's [[drain]] says: by a command, or by
 * HAProxy's runtime API: the server is drained, its sessions are waited for, and afterwards it gets no
 * request before HAProxy's own check has found it well (where it has one).
 *
 * What was drained is a text (one line each) that the caller keeps until drain_end(), so that it can be
 * undone when this program was killed in between.
 */
enum { DRAIN_NOTE = 4096 };

/* The longest that draining and its end may take for this unit. */
uint64_t drain_need_usec(const Policy *p, const char *unit);
/* `keep` is called before each step with what is then to be undone; an error of it is one of the step. On
 * failure what was done before is in the note, for drain_end(). */
int drain_begin(Manager *m, const Policy *p, const char *unit, char note[DRAIN_NOTE],
                int (*keep)(void *data, const char *note, Error *e), void *data, Error *e);
/* Undoes what is in the note: all of it, also when some of it fails. `restarted`: the unit is another process
 * now, HAProxy's check has to find it well first. */
int drain_end(Manager *m, const Policy *p, const char *unit, const char *note, bool restarted, Error *e);
