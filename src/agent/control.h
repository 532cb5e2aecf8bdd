/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

/*
 * The control socket: root connects, sends one JSON object on one line ({"op": "status"}), gets one back. A
 * request that waits for a round is answered when it has ended.
 */
typedef struct Control Control;

/*
 * `ask` answers `op` with a new reference, or NULL: with *wait set the answer comes at the end of the next
 * full round
 * (`waits` is called once it is known that somebody waits), else the operation is not known.
 */
int control_open(const char *path, sd_event *loop, json_t *(*ask)(void *data, const char *op, bool *wait),
                 void (*waits)(void *data), void *data, Control **out, Error *e);
void control_close(Control *c); /* accepts NULL */
bool control_waits(const Control *c);
/* A full round begins: it answers those who wait now, not those who come later. */
void control_job_begins(Control *c);
/* It ended with this exit code. */
void control_job_ended(Control *c, int code);
