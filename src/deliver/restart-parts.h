/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "deliver/drain.h"
#include "deliver/restart.h"
#include "report/event.h"

/* What the files of restart.h have in common: restart.c (units in a window), restart-machine.c (the machine),
 * restart-recover.c (what an executor that was killed, or the boot before, has left). */

/* Kinds of marks in the state. */
#define MARK_WINDOW "window"   /* WINDOW@START, and what was told or done in it: "opened", "closed", ... */
#define MARK_TURN "turn"       /* the last turn's time */
#define MARK_BOOT "boot"       /* by the boot's id: that in which an agent started last */
#define MARK_DRAIN "drain"     /* by unit: what is to be undone */
#define MARK_RESTART "restart" /* by unit: its invocation before the restart that is under way */
#define MARK_REBOOT "reboot"   /* "machine": the boot in which it was told to restart */

typedef struct Turn {
        const RestartOptions *o;
        Store *store;
        Manager *manager;
        Arena *arena;
        const Window *window; /* that is open, or was */
        WindowSpan span;
        size_t done, failed;
        bool goes_down; /* the machine was told to restart in this turn */
} Turn;

/* `about`: of what is pending, where the event is about that; NULL: it is about nothing of it. */
void restart_say(const Turn *t, EventKind kind, const char *subject, const About *about, const char *reason,
                 const char *detail, const char *format, ...) __attribute__((format(printf, 7, 8)));
/* What the state keeps of what `subject` (NULL: anything) waits for; in the turn's arena. */
About restart_about(const Turn *t, const char *subject);
/* Was this told of this occurrence of the window? What is told is noted afterwards: rather twice, when the
 * agent is killed in between, than never. */
bool restart_is_noted(const Turn *t, const char *what);
int restart_note(const Turn *t, const char *what, Error *e);
/* A restart has failed in this occurrence of the window, and the policy says that nothing more is begun then.
 */
bool restart_has_failed(const Turn *t);
/* What became of a restart: in the history, in the pending restart, told. `how`: "in 3 s", say. */
void restart_done(Turn *t, const RestartStep *s, const char *how);
void restart_failed(Turn *t, const RestartStep *s, const char *reason, const char *detail);
/* Waits while packages are changed, up to the end of the window. True: nothing more is to be begun. */
bool restart_stops(const Turn *t);
/* drain_begin() and drain_end(), with what is to be undone written down meanwhile. */
int restart_drain(const Turn *t, const char *unit, char note[DRAIN_NOTE], Error *e);
int restart_undrain(const Turn *t, const char *unit, const char *note, bool restarted, Error *e);

/* Is the machine to be restarted in this window, as far as that can be told before its units are? Tells when
 * there is no time left. */
bool restart_wants_machine(const Turn *t, const RestartPlan *plan);
/* The machine, once in an occurrence of the window: drained, then restarted. */
void restart_machine(Turn *t, const RestartPlan *plan);
/* The machine, for what only that ends (RESTART_REBOOTS), whatever the window: it is not well meanwhile, and
 * nothing else is to be done in this turn. `about`: as of restart_say(). False: it may not be, and the
 * administrator does it. */
bool restart_machine_now(Turn *t, const About *about, const char *because);
/* Says that the machine has to be restarted where Debian's tools look for it. */
void restart_require_machine(const Turn *t, const RestartPlan *plan);

/* What an executor that was killed has left: systemd has finished the restart without it. */
void restart_recover(Turn *t);
/* The machine was told to restart in this boot, and may go down still, or does not. */
typedef enum RestartReboot { REBOOT_NONE, REBOOT_IS_DUE, REBOOT_DID_NOT_COME } RestartReboot;
RestartReboot restart_reboot(const Turn *t);
/* Takes into use again what runs and is drained still. `restarted`: since it was drained. */
void restart_undrain_left(const Turn *t, bool restarted);
