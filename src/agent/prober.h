/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/network.h"
#include "deliver/policy.h"

/*
 * Makes the configured probes at their intervals: none is waited for. One that is still under way when
 * it is due again is left out that time.
 */
typedef struct Prober Prober;

/* `failed` NULL: it went well, in `usec`. The probe is the policy's. */
typedef void ProberDone(void *data, const Probe *p, uint64_t usec, const char *failed);

Prober *prober_new(sd_event *loop, Network *net, ProberDone *done, void *data);
void prober_free(Prober *p); /* accepts NULL */
/* Other probes from now on; what is under way is forgotten. They must live until the next call. */
void prober_set(Prober *p, const Probe *probes, size_t n);
/* Net's answer. */
void prober_answer(Prober *p, unsigned id, uint64_t usec, const char *failed);
/* Net ended: its answers do not come. */
void prober_lost(Prober *p);
