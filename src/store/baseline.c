/* SPDX-License-Identifier: Apache-2.0 */
#include "store/baseline.h"
#include "store/parts.h"

#include <errno.h>
#include <stddef.h>

#define FINISHED "('done','rolled-back','failed','rollback-failed','cancelled')"

int store_unfinished(Store *s, int64_t *id, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "SELECT coalesce(max(id), 0) FROM baseline WHERE state NOT IN " FINISHED,
                              e, "");

        return r < 0 ? r : store_number(s, q, id, e);
}

int store_put_step(Store *s, const StoreStep *p, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "INSERT OR REPLACE INTO baseline_step VALUES (?,?,?,?,?,?)", e, "isissi",
                              p->baseline, p->phase, (int64_t)p->position, p->unit, p->before,
                              (int64_t)p->done);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_add_baseline(Store *s, uint64_t time_usec, const char *const *units, size_t n, int64_t *id,
                       Error *e) {
        sqlite3_stmt *q;
        int64_t other = 0, baseline = 0;
        int r = store_run(s, "BEGIN IMMEDIATE", e);

        if (r < 0)
                return r;
        r = store_unfinished(s, &other, e);
        if (r == 0 && other)
                r = error_set(e, -EBUSY, "baseline %lld is not finished", (long long)other);
        if (r == 0)
                r = store_prepare(s, &q, "INSERT INTO baseline VALUES (NULL,?,?,'planned','')", e, "ii",
                                  (int64_t)time_usec, (int64_t)time_usec);
        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                baseline = sqlite3_last_insert_rowid(s->db);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = store_put_step(s,
                                   &(StoreStep){ .baseline = baseline,
                                                 .phase = "forward",
                                                 .position = (unsigned)i,
                                                 .unit = units[i] },
                                   e);
        if (r == 0)
                r = store_run(s, "COMMIT", e);
        if (r < 0)
                store_run(s, "ROLLBACK", NULL);
        else
                *id = baseline;
        return r;
}

int store_set_baseline(Store *s, int64_t id, const char *state, const char *reason, uint64_t time_usec,
                       Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "UPDATE baseline SET state=?, reason=?, changed_usec=? WHERE id=?", e,
                              "ssii", state, reason, (int64_t)time_usec, id);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_take_change(Store *s, int64_t baseline, int64_t change, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "UPDATE change SET baseline=? WHERE id=?", e, "ii", baseline, change);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_release_changes(Store *s, int64_t baseline, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "UPDATE change SET baseline=0 WHERE baseline=?", e, "i", baseline);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_each_baseline(Store *s, void (*each)(void *, const StoreBaseline *), void *data, Error *e) {
        sqlite3_stmt *q;
        int code,
                r = store_prepare(
                        s, &q, "SELECT id, since_usec, changed_usec, state, reason FROM baseline ORDER BY id",
                        e, "");

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreBaseline){ .id = sqlite3_column_int64(q, 0),
                                             .since_usec = (uint64_t)sqlite3_column_int64(q, 1),
                                             .changed_usec = (uint64_t)sqlite3_column_int64(q, 2),
                                             .state = store_text(q, 3),
                                             .reason = store_text(q, 4) });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_each_step(Store *s, int64_t baseline, void (*each)(void *, const StoreStep *), void *data,
                    Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(s, &q,
                                    "SELECT baseline, phase, position, unit, before, done FROM baseline_step"
                                    " WHERE baseline=? ORDER BY phase DESC, position",
                                    e, "i", baseline);

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreStep){ .baseline = sqlite3_column_int64(q, 0),
                                         .phase = store_text(q, 1),
                                         .position = (unsigned)sqlite3_column_int(q, 2),
                                         .unit = store_text(q, 3),
                                         .before = store_text(q, 4),
                                         .done = sqlite3_column_int(q, 5) != 0 });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_hold(Store *s, int64_t baseline, const char *reason, uint64_t time_usec, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q,
                              "INSERT OR REPLACE INTO held SELECT p.name, p.arch, p.new_version, ?, ?, ? FROM"
                              " change_package p JOIN change c ON p.change = c.id WHERE c.baseline = ? AND"
                              " p.new_version <> ''",
                              e, "isii", baseline, reason, (int64_t)time_usec, baseline);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_unhold(Store *s, int64_t baseline, unsigned *n, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "DELETE FROM held WHERE baseline=?", e, "i", baseline);

        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                *n = (unsigned)sqlite3_changes(s->db);
        return r;
}

int store_each_held(Store *s, void (*each)(void *, const StoreHeld *), void *data, Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(s, &q,
                                    "SELECT name, arch, version, baseline, reason, since_usec FROM held"
                                    " ORDER BY name, arch, version",
                                    e, "");

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreHeld){ store_text(q, 0), store_text(q, 1), store_text(q, 2),
                                         sqlite3_column_int64(q, 3), store_text(q, 4),
                                         (uint64_t)sqlite3_column_int64(q, 5) });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_copy(Store *s, const char *path, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "VACUUM INTO ?", e, "s", path);

        return r < 0 ? r : store_finish(s, q, e);
}
