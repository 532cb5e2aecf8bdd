/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/action.h"
#include "base/clock.h"
#include "base/macro.h"
#include "patch/digest.h"

#include <stdio.h>
#include <string.h>

static const char *id_of(const BuildId *id, Arena *arena) {
        char text[2 * BUILD_ID_MAX + 1];

        return arena_strdup(arena, build_id_text(id, text));
}

static const char *digest_of(const uint8_t digest[DIGEST_SIZE], Arena *arena) {
        char text[2 * DIGEST_SIZE + 1];

        return arena_strdup(arena, digest_text(digest, text));
}

/* The code and the text of why an image is not patched. */
static const char *reason_of(const ConvergedImage *image, const char **detail, Arena *a) {
        const Refusal *r = refusal_get(image->refusal);

        *detail = image->error;
        if (r) {
                *detail = arena_printf(a, "%s%s%s", image->subject,
                                       *image->subject && *image->detail ? ": " : "", image->detail);
                return r->code;
        }
        for (size_t i = 0; image->verdict && i < image->verdict->n; i++) {
                const Finding *f = &image->verdict->findings[i];

                if (refusal_get(f->code)->kind == REFUSAL_ADVICE)
                        continue;
                *detail = arena_printf(a, "%s%s%s", f->subject, *f->detail ? ": " : "", f->detail);
                return refusal_get(f->code)->code;
        }
        return image->outcome == IMAGE_ERROR ? "error" : "";
}

StoreAction action_of_image(const ConvergedProcess *p, const ConvergedImage *image, const Patch *patch,
                            bool *again, Arena *arena) {
        static const char *const outcomes[] = { "patched", "hotpatchable", "reverted", "revertible",
                                                "refused", "current",      "error" };
        bool reverts = converge_reverts(image) && image->carries;
        const char *detail = "";
        StoreAction a = {
                .time_usec = wall_usec(),
                .pid = p->of->process.pid,
                .comm = p->of->process.comm,
                .unit = p->of->process.unit,
                .image = image->image->path,
                .old_id = id_of(&image->image->old_id, arena),
                .new_id = id_of(reverts ? &image->carried.new_id : &image->image->new_id, arena),
                .digest = reverts ? digest_of(image->carried.digest, arena)
                          : patch ? digest_of(patch->digest, arena)
                                  : "",
                .action = reverts ? "revert" : "apply",
                .outcome = outcomes[image->outcome],
                .reason = image->outcome == IMAGE_PATCHED || image->outcome == IMAGE_REVERTED
                                  ? ""
                                  : reason_of(image, &detail, arena),
                .functions = image->functions,
                .pause_usec = image->pause_usec,
        };

        a.detail = image->outcome == IMAGE_REVERTED
                           ? "the build on disk is the one that the process was started with"
                           : detail;
        *again = image->outcome == IMAGE_ERROR ||
                 (image->outcome == IMAGE_RESTART && converge_is_passing(image->refusal));
        return a;
}

static StoreAction of_engine(const Process *p, int returned, const EngineResult *result, const char *error) {
        const Refusal *refused = refusal_get(result->refusal);

        return (StoreAction){
                .time_usec = wall_usec(),
                .pid = p->pid,
                .comm = p->comm,
                .unit = p->unit,
                .reason = returned > 0 && refused ? refused->code : "",
                .detail = returned > 0   ? result->detail
                          : returned < 0 ? error
                                         : "",
                .pause_usec = result->pause_usec,
        };
}

StoreAction action_of_apply(const Process *p, const Patch *patch, int returned, const EngineResult *result,
                            const char *error, Arena *arena) {
        StoreAction a = of_engine(p, returned, result, error);

        a.image = patch->name;
        a.old_id = id_of(&patch->old_id, arena);
        a.new_id = id_of(&patch->new_id, arena);
        a.digest = digest_of(patch->digest, arena);
        a.action = "apply";
        a.outcome = returned == 0 ? "patched" : returned > 0 ? "refused" : "error";
        a.functions = patch->n_sites;
        return a;
}

StoreAction action_of_revert(const Process *p, const ProcessPatch *patch, int returned,
                             const EngineResult *result, const char *error, Arena *arena) {
        StoreAction a = of_engine(p, returned, result, error);

        a.image = patch->name;
        a.old_id = id_of(&patch->old_id, arena);
        a.new_id = id_of(&patch->new_id, arena);
        a.digest = digest_of(patch->digest, arena);
        a.action = "revert";
        a.outcome = returned == 0 ? "reverted" : returned > 0 ? "refused" : "error";
        a.functions = patch->sites;
        return a;
}

void recorder_begin(Recorder *r, Store *store, const char *events, const char *root, const char *prefix) {
        *r = (Recorder){ .store = store, .events = events, .prefix = prefix, .arena = arena_new() };
        steps_begin(&r->steps, root, store);
}

void recorder_end(Recorder *r) {
        steps_end(&r->steps);
        r->arena = arena_free(r->arena);
}

void recorder_emit(Recorder *r, EventKind kind, const EventField *fields, size_t n, bool look,
                   const char *message) {
        Event event = { .kind = kind, .message = message, .fields = fields, .n = n };
        Error e = { 0 };

        if (steps_emit(&r->steps, &event, look, r->events, &e) < 0)
                fprintf(stderr, "%s%s (event: %s)\n", r->prefix, e.text, message);
}

/* A field without a value is left out. */
static const char *or_none(const char *text) {
        return *text ? text : NULL;
}

void recorder_tell_about(Recorder *r, EventKind kind, const StoreAction *a, const About *about,
                         const char *message) {
        char pid[16];
        const EventField fields[] = {
                { "STAUNCH_PID", a->pid ? pid : NULL },
                { "STAUNCH_COMM", or_none(a->comm) },
                { "STAUNCH_UNIT", or_none(a->unit) },
                { "UNIT", or_none(a->unit) },
                { "STAUNCH_IMAGE", or_none(a->image) },
                { "STAUNCH_BUILD_ID_OLD", or_none(a->old_id) },
                { "STAUNCH_BUILD_ID_NEW", or_none(a->new_id) },
                { "STAUNCH_PATCH", or_none(a->digest) },
                { "STAUNCH_VERDICT", a->outcome },
                { "STAUNCH_REASON", or_none(a->reason) },
                { "STAUNCH_DETAIL", or_none(a->detail) },
        };
        const Event event = { .kind = kind, .message = message, .fields = fields, .n = ELEMENTSOF(fields) };
        Error e = { 0 };

        snprintf(pid, sizeof(pid), "%d", a->pid);
        if (!about)
                recorder_emit(r, kind, fields, ELEMENTSOF(fields), true, message);
        else if (about_emit(about, &event, r->events, &e) < 0)
                fprintf(stderr, "%s%s (event: %s)\n", r->prefix, e.text, message);
}

void recorder_tell(Recorder *r, EventKind kind, const StoreAction *a, const char *message) {
        recorder_tell_about(r, kind, a, NULL, message);
}

void recorder_keep(Recorder *r, const StoreAction *a) {
        Error e = { 0 };

        if (r->store && store_add_action(r->store, a, &e) < 0)
                fprintf(stderr, "%s%s\n", r->prefix, e.text);
}

void recorder_add(Recorder *r, const StoreAction *a, bool again) {
        bool reverts = strcmp(a->action, "revert") == 0;
        const char *paused =
                a->pause_usec ? arena_printf(r->arena, ", paused for %lu us", (unsigned long)a->pause_usec)
                              : "";

        if (strcmp(a->outcome, "reverted") == 0)
                recorder_tell(r, EVENT_PATCH_REVERTED, a,
                              arena_printf(r->arena, "%s (pid %d): the patch of %s was taken out%s%s",
                                           a->comm, a->pid, a->image, *a->detail ? ": " : "", a->detail));
        else if (strcmp(a->outcome, "patched") == 0)
                recorder_tell(r, EVENT_PATCH_INSTALLED, a,
                              arena_printf(r->arena, "%s (pid %d): %s patched%s%s, %lu functions%s", a->comm,
                                           a->pid, a->image, *a->detail ? " " : "", a->detail,
                                           (unsigned long)a->functions, paused));
        else if (again)
                recorder_tell(r, EVENT_PATCH_FAILED, a,
                              arena_printf(r->arena, "%s (pid %d): %s%s: %s (%s)", a->comm, a->pid, a->image,
                                           reverts ? ": its patch could not be taken out" : " is not patched",
                                           a->reason, a->detail));
        recorder_keep(r, a); /* whoever is killed in between: rather told twice than never */
}
