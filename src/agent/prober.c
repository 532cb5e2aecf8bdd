/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/prober.h"
#include "base/clock.h"
#include "base/macro.h"

#include <limits.h>

typedef struct Slot {
        Prober *prober;
        const Probe *probe;
        sd_event_source *timer;
        unsigned id; /* of what is under way; 0: nothing is */
} Slot;

struct Prober {
        sd_event *loop;
        Network *net;
        ProberDone *done;
        void *data;
        Slot *slots;
        size_t n;
        unsigned next;
};

Prober *prober_new(sd_event *loop, Network *net, ProberDone *done, void *data) {
        Prober *p = calloc(1, sizeof(*p));

        if (!p)
                abort();
        *p = (Prober){ .loop = loop, .net = net, .done = done, .data = data };
        return p;
}

static void clear(Prober *p) {
        for (size_t i = 0; i < p->n; i++)
                sd_event_source_unref(p->slots[i].timer);
        free(p->slots);
        p->slots = NULL;
        p->n = 0;
}

void prober_free(Prober *p) {
        if (p)
                clear(p);
        free(p);
}

static int on_due(sd_event_source *s, uint64_t usec, void *data) {
        Slot *slot = data;
        Prober *p = slot->prober;

        sd_event_source_set_time(s, MAX(usec + slot->probe->interval_usec, now_usec()));
        sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        if (slot->id)
                return 0;
        p->next = p->next < INT_MAX ? p->next + 1 : 1;
        slot->id = p->next;
        if (!network_probe(p->net, p->next, slot->probe))
                slot->id = 0;
        return 0;
}

void prober_set(Prober *p, const Probe *probes, size_t n) {
        uint64_t now = now_usec();

        clear(p);
        p->slots = calloc(n + 1, sizeof(*p->slots));
        if (!p->slots)
                abort();
        p->n = n;
        for (size_t i = 0; i < n; i++) {
                Slot *s = &p->slots[i];

                *s = (Slot){ .prober = p, .probe = &probes[i] };
                /* Not all at the same moment. */
                sd_event_add_time(p->loop, &s->timer, CLOCK_MONOTONIC,
                                  now + probes[i].interval_usec * (i + 1) / (n + 1),
                                  probes[i].interval_usec / 20 + 1, on_due, s);
        }
}

void prober_answer(Prober *p, unsigned id, uint64_t usec, const char *failed) {
        for (size_t i = 0; i < p->n; i++)
                if (id && p->slots[i].id == id) {
                        p->slots[i].id = 0;
                        p->done(p->data, p->slots[i].probe, usec, failed);
                        return;
                }
}

void prober_lost(Prober *p) {
        for (size_t i = 0; i < p->n; i++)
                if (p->slots[i].probe->kind != PROBE_COMMAND)
                        p->slots[i].id = 0;
}
