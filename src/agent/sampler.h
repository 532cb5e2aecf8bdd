/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

/*
 * Looks at the CPU use and the memory of every service at an interval; where there is no systemd, of every
 * process, by name. A look is made in small steps of the loop.
 */
typedef struct Sampler Sampler;

/* `cores` and `bytes` negative: not known this time. */
typedef void SamplerDone(void *data, const char *subject, double cores, double bytes);

Sampler *sampler_new(sd_event *loop, SamplerDone *done, void *data);
void sampler_set(Sampler *s, uint64_t interval_usec);
void sampler_free(Sampler *s); /* accepts NULL */
