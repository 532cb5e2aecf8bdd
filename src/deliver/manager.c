/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/manager.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define SERVICE "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define INTERFACE SERVICE ".Manager"

enum { CALL_USEC = 30000000, MAX_RELATED = 4096 };

typedef struct Removed {
        char *job;
        char result[MANAGER_WORD];
} Removed;

struct Manager {
        sd_bus *bus;
        VEC(Removed) removed; /* jobs that ended since the last one was begun */
        bool changed;         /* some unit's properties, since this was cleared */
};

static int fail(Error *e, int r, const sd_bus_error *bad, const char *what) {
        if (bad && bad->message)
                return error_set(e, r, "systemd: %s: %s", what, bad->message);
        return error_errno(e, r, "systemd: %s", what);
}

static void forget_removed(Manager *m) {
        for (size_t i = 0; i < m->removed.n; i++)
                free(m->removed.items[i].job);
        m->removed.n = 0;
}

static int on_removed(sd_bus_message *message, void *data, sd_bus_error *error) {
        Manager *m = data;
        const char *job, *unit, *result;
        Removed one = { 0 };
        uint32_t id;

        (void)error;
        if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) < 0)
                return 0;
        one.job = strdup(job);
        snprintf(one.result, sizeof(one.result), "%s", result);
        if (one.job)
                vec_push(&m->removed, one);
        return 0;
}

static int on_changed(sd_bus_message *message, void *data, sd_bus_error *error) {
        Manager *m = data;

        (void)message;
        (void)error;
        m->changed = true;
        return 0;
}

int manager_open(Manager **out, Error *e) {
        _cleanup_(manager_closep) Manager *m = calloc(1, sizeof(*m));
        sd_bus_error bad = SD_BUS_ERROR_NULL;
        int r;

        if (!m)
                return error_errno(e, -ENOMEM, "systemd");
        r = sd_bus_open_system(&m->bus);
        if (r < 0)
                return error_errno(e, r, "systemd can't be reached over the system bus");
        sd_bus_set_method_call_timeout(m->bus, CALL_USEC);
        /* Only what systemd says: anybody may send signals. */
        r = sd_bus_match_signal(m->bus, NULL, SERVICE, OBJECT, INTERFACE, "JobRemoved", on_removed, m);
        if (r >= 0)
                r = sd_bus_match_signal(m->bus, NULL, SERVICE, NULL, "org.freedesktop.DBus.Properties",
                                        "PropertiesChanged", on_changed, m);
        if (r >= 0)
                r = sd_bus_call_method(m->bus, SERVICE, OBJECT, INTERFACE, "Subscribe", &bad, NULL, NULL);
        if (r < 0)
                r = fail(e, r, &bad, "subscribe");
        else
                *out = TAKE_PTR(m);
        sd_bus_error_free(&bad);
        return r < 0 ? r : 0;
}

Manager *manager_close(Manager *m) {
        if (m) {
                forget_removed(m);
                vec_free(&m->removed);
                sd_bus_flush_close_unref(m->bus);
        }
        free(m);
        return NULL;
}

/* Handles what comes until `until` says so, or the time is over (-ETIME). */
static int await(Manager *m, uint64_t deadline_usec, bool (*until)(Manager *m, const void *data),
                 const void *data) {
        while (!until(m, data)) {
                uint64_t now = now_usec();
                int r = sd_bus_process(m->bus, NULL);

                if (r == 0 && now >= deadline_usec)
                        return -ETIME;
                if (r == 0)
                        r = sd_bus_wait(m->bus, deadline_usec - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

static const Removed *find_removed(const Manager *m, const char *job) {
        for (size_t i = 0; i < m->removed.n; i++)
                if (strcmp(m->removed.items[i].job, job) == 0)
                        return &m->removed.items[i];
        return NULL;
}

static bool was_removed(Manager *m, const void *job) {
        return find_removed(m, job) != NULL;
}

/* `reply` names the job that was begun. */
static int await_job(Manager *m, sd_bus_message *reply, const char *what, uint64_t timeout_usec,
                     char result[MANAGER_WORD], Error *e) {
        const char *job;
        int r = sd_bus_message_read(reply, "o", &job);

        if (r >= 0)
                r = await(m, now_usec() + timeout_usec, was_removed, job);
        if (r == -ETIME) {
                snprintf(result, MANAGER_WORD, "unfinished");
                return 0;
        }
        if (r < 0)
                return fail(e, r, NULL, what);
        memcpy(result, find_removed(m, job)->result, MANAGER_WORD);
        return 0;
}

/* The object path of a unit; malloc'ed. */
static int unit_path(Manager *m, const char *unit, char **out, Error *e) {
        sd_bus_error bad = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *path;
        int r = sd_bus_call_method(m->bus, SERVICE, OBJECT, INTERFACE, "LoadUnit", &bad, &reply, "s", unit);

        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                r = fail(e, r, &bad, unit);
        else if (!(*out = strdup(path)))
                r = error_errno(e, -ENOMEM, "%s", unit);
        sd_bus_message_unref(reply);
        sd_bus_error_free(&bad);
        return r < 0 ? r : 0;
}

/* What a unit does not have is left empty. */
static void get_text(Manager *m, const char *path, const char *interface, const char *name, char *out,
                     size_t size) {
        char *text = NULL;

        out[0] = 0;
        if (sd_bus_get_property_string(m->bus, SERVICE, path, interface, name, NULL, &text) >= 0)
                snprintf(out, size, "%s", text);
        free(text);
}

static void get_invocation(Manager *m, const char *path, char out[33]) {
        sd_bus_message *reply = NULL;
        const void *bytes;
        size_t n;

        out[0] = 0;
        if (sd_bus_get_property(m->bus, SERVICE, path, SERVICE ".Unit", "InvocationID", NULL, &reply, "ay") >=
                    0 &&
            sd_bus_message_read_array(reply, 'y', &bytes, &n) >= 0)
                for (size_t i = 0; i < n && i < 16; i++)
                        snprintf(out + 2 * i, 3, "%02x", ((const uint8_t *)bytes)[i]);
        sd_bus_message_unref(reply);
}

static int read_state(Manager *m, const char *path, UnitState *out, Error *e) {
        UnitState s = { 0 };
        int refuses = 0;

        get_text(m, path, SERVICE ".Unit", "Id", s.name, sizeof(s.name));
        get_text(m, path, SERVICE ".Unit", "LoadState", s.load, sizeof(s.load));
        get_text(m, path, SERVICE ".Unit", "ActiveState", s.active, sizeof(s.active));
        if (!s.name[0] || !s.active[0])
                return error_set(e, -EIO, "systemd: %s: no state", path);
        get_invocation(m, path, s.invocation);
        sd_bus_get_property_trivial(m->bus, SERVICE, path, SERVICE ".Unit", "RefuseManualStop", NULL, 'b',
                                    &refuses);
        s.refuses = refuses;
        if (strstr(s.name, ".service")) {
                const char *service = SERVICE ".Service";

                get_text(m, path, service, "Type", s.type, sizeof(s.type));
                get_text(m, path, service, "Result", s.result, sizeof(s.result));
                get_text(m, path, service, "ControlGroup", s.cgroup, sizeof(s.cgroup));
                sd_bus_get_property_trivial(m->bus, SERVICE, path, service, "NRestarts", NULL, 'u',
                                            &s.n_restarts);
                sd_bus_get_property_trivial(m->bus, SERVICE, path, service, "TimeoutStartUSec", NULL, 't',
                                            &s.start_max_usec);
                sd_bus_get_property_trivial(m->bus, SERVICE, path, service, "TimeoutStopUSec", NULL, 't',
                                            &s.stop_max_usec);
        }
        *out = s;
        return 0;
}

int manager_unit(Manager *m, const char *unit, UnitState *out, Error *e) {
        _cleanup_(freep) char *path = NULL;
        int r = unit_path(m, unit, &path, e);

        return r < 0 ? r : read_state(m, path, out, e);
}

int manager_related(Manager *m, const char *unit, const char *property, Arena *a, const char ***out,
                    size_t *n, Error *e) {
        _cleanup_(freep) char *path = NULL;
        sd_bus_error bad = SD_BUS_ERROR_NULL;
        char **names = NULL;
        size_t count = 0;
        int r = unit_path(m, unit, &path, e);

        if (r < 0)
                return r;
        r = sd_bus_get_property_strv(m->bus, SERVICE, path, SERVICE ".Unit", property, &bad, &names);
        if (r < 0) {
                r = fail(e, r, &bad, unit);
                sd_bus_error_free(&bad);
                return r;
        }
        while (names && names[count])
                count++;
        *n = MIN(count, (size_t)MAX_RELATED);
        *out = arena_newa(a, const char *, *n);
        for (size_t i = 0; i < count; i++) {
                if (i < *n)
                        (*out)[i] = arena_strdup(a, names[i]);
                free(names[i]);
        }
        free(names);
        return 0;
}

int manager_restart(Manager *m, const char *unit, uint64_t timeout_usec, char result[MANAGER_WORD],
                    Error *e) {
        sd_bus_error bad = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        int r;

        forget_removed(m);
        /* "try": what was stopped meanwhile is not started. */
        r = sd_bus_call_method(m->bus, SERVICE, OBJECT, INTERFACE, "TryRestartUnit", &bad, &reply, "ss", unit,
                               "replace");
        r = r < 0 ? fail(e, r, &bad, unit) : await_job(m, reply, unit, timeout_usec, result, e);
        sd_bus_message_unref(reply);
        sd_bus_error_free(&bad);
        return r;
}

/* 1: a job is under way for the unit. */
static int has_job(Manager *m, const char *path) {
        sd_bus_message *reply = NULL;
        uint32_t id = 0;
        const char *job;
        int r = sd_bus_get_property(m->bus, SERVICE, path, SERVICE ".Unit", "Job", NULL, &reply, "(uo)");

        if (r >= 0)
                r = sd_bus_message_read(reply, "(uo)", &id, &job);
        sd_bus_message_unref(reply);
        return r < 0 ? r : id != 0;
}

static bool something_changed(Manager *m, const void *data) {
        (void)data;
        return m->changed || m->removed.n;
}

int manager_settled(Manager *m, const char *unit, uint64_t timeout_usec, Error *e) {
        _cleanup_(freep) char *path = NULL;
        uint64_t deadline = now_usec() + timeout_usec;
        int r = unit_path(m, unit, &path, e);

        while (r == 0) {
                m->changed = false;
                forget_removed(m);
                r = has_job(m, path);
                if (r == 0)
                        return 0;
                if (r > 0)
                        r = await(m, deadline, something_changed, NULL);
                if (r < 0)
                        return fail(e, r, NULL, unit);
        }
        return r;
}

int manager_watch(Manager *m, const char *unit, uint64_t usec, UnitState *out, Error *e) {
        _cleanup_(freep) char *path = NULL;
        uint64_t deadline = now_usec() + usec;
        UnitState first, now;
        int r = unit_path(m, unit, &path, e);

        if (r == 0)
                r = read_state(m, path, &first, e);
        if (r < 0)
                return r;
        for (now = first; strcmp(now.active, "active") == 0 && now.n_restarts == first.n_restarts &&
                          strcmp(now.invocation, first.invocation) == 0;) {
                m->changed = false;
                r = await(m, deadline, something_changed, NULL);
                if (r < 0 && r != -ETIME)
                        return fail(e, r, NULL, unit);
                forget_removed(m);
                if (read_state(m, path, &now, e) < 0)
                        return e ? e->code : -EIO;
                if (r == -ETIME)
                        break;
        }
        *out = now;
        return 0;
}

/* What is run: a shell's `command` with `environment`, or the program of that path with descriptors. */
typedef struct Run {
        const char *command, *environment;
        const int *fds; /* standard input and output; NULL: it is a shell's command */
        uint64_t timeout_usec;
} Run;

static int append_program(sd_bus_message *call, const Run *run) {
        int r = sd_bus_message_append(call, "(sv)", "StandardInputFileDescriptor", "h", run->fds[0]);

        if (r >= 0)
                r = sd_bus_message_append(call, "(sv)", "StandardOutputFileDescriptor", "h", run->fds[1]);
        return r < 0 ? r
                     : sd_bus_message_append(call, "(sv)", "ExecStart", "a(sasb)", 1, run->command, 1,
                                             run->command, 0);
}

static int append_shell(sd_bus_message *call, const Run *run) {
        int r = sd_bus_message_append(call, "(sv)", "Environment", "as", 1, run->environment);

        return r < 0 ? r
                     : sd_bus_message_append(call, "(sv)", "ExecStart", "a(sasb)", 1, "/bin/sh", 3, "/bin/sh",
                                             "-c", run->command, 0);
}

static int append_run(sd_bus_message *call, const Run *run) {
        int r = sd_bus_message_open_container(call, 'a', "(sv)");

        if (r >= 0)
                r = sd_bus_message_append(call, "(sv)", "Type", "s", "oneshot");
        if (r >= 0)
                r = sd_bus_message_append(call, "(sv)", "CollectMode", "s", "inactive-or-failed");
        if (r >= 0)
                r = sd_bus_message_append(call, "(sv)", "TimeoutStartUSec", "t", run->timeout_usec);
        if (r >= 0)
                r = run->fds ? append_program(call, run) : append_shell(call, run);
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        return r >= 0 ? sd_bus_message_append(call, "a(sa(sv))", 0) : r;
}

static int run_unit(Manager *m, const char *name, const Run *run, char result[MANAGER_WORD], Error *e) {
        sd_bus_error bad = SD_BUS_ERROR_NULL;
        sd_bus_message *call = NULL, *reply = NULL;
        int r = sd_bus_message_new_method_call(m->bus, &call, SERVICE, OBJECT, INTERFACE,
                                               "StartTransientUnit");

        forget_removed(m);
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", name, "fail");
        if (r >= 0)
                r = append_run(call, run);
        if (r >= 0)
                r = sd_bus_call(m->bus, call, 0, &bad, &reply);
        /* systemd ends it in time; a little later nobody waits any more. */
        r = r < 0 ? fail(e, r, &bad, name)
                  : await_job(m, reply, name, run->timeout_usec + CALL_USEC, result, e);
        sd_bus_message_unref(reply);
        sd_bus_message_unref(call);
        sd_bus_error_free(&bad);
        return r;
}

int manager_run(Manager *m, const char *name, const char *command, const char *environment,
                uint64_t timeout_usec, char result[MANAGER_WORD], Error *e) {
        return run_unit(m, name, &(Run){ command, environment, NULL, timeout_usec }, result, e);
}

int manager_filter(Manager *m, const char *name, const char *program, int in, int out, uint64_t timeout_usec,
                   char result[MANAGER_WORD], Error *e) {
        return run_unit(m, name, &(Run){ program, NULL, (const int[]){ in, out }, timeout_usec }, result, e);
}

int manager_reboot(Manager *m, Error *e) {
        sd_bus_error bad = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(m->bus, "org.freedesktop.login1", "/org/freedesktop/login1",
                                   "org.freedesktop.login1.Manager", "Reboot", &bad, NULL, "b", 0);

        if (sd_bus_error_has_name(&bad, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
            sd_bus_error_has_name(&bad, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
                sd_bus_error_free(&bad);
                r = sd_bus_call_method(m->bus, SERVICE, OBJECT, INTERFACE, "Reboot", &bad, NULL, NULL);
        }
        r = r < 0 ? fail(e, r, &bad, "restart the machine") : 0;
        sd_bus_error_free(&bad);
        return r;
}
