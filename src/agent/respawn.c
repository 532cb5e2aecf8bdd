/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/respawn.h"
#include "base/macro.h"

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define SERVICE "org.freedesktop.systemd1"
#define PROPERTIES "org.freedesktop.DBus.Properties"

typedef struct Followed {
        Respawns *all;
        char unit[128];
        char *path;                 /* of its object */
        sd_bus_slot *signal, *call; /* what it says; the question that is under way */
        bool known, again;          /* the count; something changed while it was asked for */
        uint32_t count;
} Followed;

struct Respawns {
        sd_event *loop;
        RespawnTold *told;
        void *data;
        sd_bus *bus;
        Followed *units[RESPAWNS_MAX];
        size_t n;
};

Respawns *respawns_new(sd_event *loop, RespawnTold *told, void *data) {
        Respawns *r = calloc(1, sizeof(*r));

        if (!r)
                abort();
        *r = (Respawns){ .loop = loop, .told = told, .data = data };
        return r;
}

static void ask(Followed *f);

static int on_count(sd_bus_message *m, void *data, sd_bus_error *error) {
        Followed *f = data;
        uint32_t now, before = f->count;
        bool rose;

        (void)error;
        f->call = sd_bus_slot_unref(f->call);
        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "v", "u", &now) < 0)
                return 0;
        rose = f->known && now > before;
        f->known = true;
        f->count = now;
        if (TAKE(f->again, false))
                ask(f);
        if (rose)
                f->all->told(f->all->data, f->unit, before); /* may forget it */
        return 0;
}

static void ask(Followed *f) {
        if (f->call)
                f->again = true;
        else
                sd_bus_call_method_async(f->all->bus, &f->call, SERVICE, f->path, PROPERTIES, "Get", on_count,
                                         f, "ss", SERVICE ".Service", "NRestarts");
}

static int on_changed(sd_bus_message *m, void *data, sd_bus_error *error) {
        (void)m;
        (void)error;
        ask(data);
        return 0;
}

static void begin(Followed *f) {
        sd_bus_match_signal_async(f->all->bus, &f->signal, SERVICE, f->path, PROPERTIES, "PropertiesChanged",
                                  on_changed, NULL, f);
        ask(f);
}

static void end(Followed *f) {
        f->signal = sd_bus_slot_unref(f->signal);
        f->call = sd_bus_slot_unref(f->call);
        f->again = false;
}

static void disconnect(Respawns *r) {
        for (size_t i = 0; i < r->n; i++)
                end(r->units[i]);
        if (r->bus)
                sd_bus_detach_event(r->bus);
        r->bus = sd_bus_close_unref(r->bus);
}

/* A bus that was restarted is connected to anew; what is followed is asked for once more. */
static bool connect(Respawns *r) {
        if (r->bus && sd_bus_is_open(r->bus) > 0)
                return true;
        disconnect(r);
        if (sd_bus_open_system(&r->bus) < 0 ||
            sd_bus_attach_event(r->bus, r->loop, SD_EVENT_PRIORITY_NORMAL) < 0 ||
            sd_bus_call_method_async(r->bus, NULL, SERVICE, "/org/freedesktop/systemd1", SERVICE ".Manager",
                                     "Subscribe", NULL, NULL, NULL) < 0) {
                disconnect(r);
                return false;
        }
        for (size_t i = 0; i < r->n; i++)
                begin(r->units[i]);
        return true;
}

static size_t find(const Respawns *r, const char *unit) {
        size_t i = 0;

        while (i < r->n && strcmp(r->units[i]->unit, unit) != 0)
                i++;
        return i;
}

void respawns_follow(Respawns *r, const char *unit) {
        bool there = connect(r);
        Followed *f;

        if (!there || find(r, unit) < r->n || r->n == RESPAWNS_MAX || strlen(unit) >= sizeof(f->unit))
                return;
        f = calloc(1, sizeof(*f));
        if (!f)
                abort();
        f->all = r;
        memcpy(f->unit, unit, strlen(unit) + 1);
        if (sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &f->path) < 0) {
                free(f);
                return;
        }
        r->units[r->n++] = f;
        begin(f);
}

static void release(Followed *f) {
        end(f);
        free(f->path);
        free(f);
}

void respawns_forget(Respawns *r, const char *unit) {
        size_t i = find(r, unit);

        if (i == r->n)
                return;
        release(r->units[i]);
        r->units[i] = r->units[--r->n];
}

void respawns_free(Respawns *r) {
        if (!r)
                return;
        disconnect(r);
        for (size_t i = 0; i < r->n; i++)
                release(r->units[i]);
        free(r);
}
