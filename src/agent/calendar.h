/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/restart.h"

#include <systemd/sd-event.h>

/*
 * When the executor of restarts gets a turn: after each full round (what is pending is then known), when a
 * window closes, and when the agent begins. When a window opens, a full round is asked for first. A turn runs
 * in a fork that outlives an agent which is killed; there is one at a time.
 */
typedef struct Calendar Calendar;

/* `options` and what it points to must live as long; `want_round` asks for a full round. */
int calendar_open(sd_event *loop, const RestartOptions *options, void (*want_round)(void *data), void *data,
                  Calendar **out, Error *e);
void calendar_close(Calendar *c); /* accepts NULL; waits for a turn that runs */
/* A full round has ended, or the agent has begun. */
void calendar_turn(Calendar *c);
/* The policy is another one now. */
void calendar_changed(Calendar *c);
