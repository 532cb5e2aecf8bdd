/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

/*
 * Which services systemd starts again by itself (Restart= of the unit): its own count, NRestarts, over the
 * system bus, and never waited for. Without systemd nothing is ever told.
 */
typedef struct Respawns Respawns;

enum { RESPAWNS_MAX = 200 }; /* units; beyond, they are not followed */

/* The count rose from `before`, since the unit is followed or was told last. */
typedef void RespawnTold(void *data, const char *unit, uint32_t before);

Respawns *respawns_new(sd_event *loop, RespawnTold *told, void *data);
/* From now on; one that is followed already stays so. */
void respawns_follow(Respawns *r, const char *unit);
void respawns_forget(Respawns *r, const char *unit);
void respawns_free(Respawns *r); /* accepts NULL */
