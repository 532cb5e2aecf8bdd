/* SPDX-License-Identifier: Apache-2.0 */
#include "store/change.h"
#include "store/parts.h"

#include <errno.h>
#include <stddef.h>

int store_add_change(Store *s, uint64_t time_usec, const StorePackage *packages, size_t n, int64_t *id,
                     Error *e) {
        sqlite3_stmt *q;
        int64_t change = 0;
        int r = store_run(s, "BEGIN IMMEDIATE", e);

        if (r < 0)
                return r;
        r = store_prepare(s, &q, "INSERT INTO change VALUES (NULL,?,0,0,'')", e, "i", (int64_t)time_usec);
        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                change = sqlite3_last_insert_rowid(s->db);
        for (size_t i = 0; r == 0 && i < n; i++) {
                r = store_prepare(s, &q,
                                  "INSERT OR REPLACE INTO change_package VALUES (?,?,?,?,?,'','','',0)", e,
                                  "issss", change, packages[i].name, packages[i].arch,
                                  packages[i].old_version, packages[i].new_version);
                if (r == 0)
                        r = store_finish(s, q, e);
        }
        if (r == 0)
                r = store_run(s, "COMMIT", e);
        if (r < 0)
                store_run(s, "ROLLBACK", NULL);
        else
                *id = change;
        return r;
}

int store_set_copy(Store *s, const StorePackage *p, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(
                s, &q,
                "UPDATE change_package SET file=?, sha256=?, origin=?, bytes=? WHERE change=? AND"
                " name=? AND arch=?",
                e, "sssiiss", p->file, p->sha256, p->origin, (int64_t)p->bytes, p->change, p->name, p->arch);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_set_change(Store *s, int64_t id, bool complete, const char *reason, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "UPDATE change SET complete=?, reason=? WHERE id=?", e, "isi",
                              (int64_t)complete, reason, id);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_drop_change(Store *s, int64_t id, Error *e) {
        static const char *const sql[] = { "DELETE FROM change_package WHERE change=?",
                                           "DELETE FROM snapshot WHERE change=?",
                                           "DELETE FROM change WHERE id=?" };
        int r = store_run(s, "BEGIN IMMEDIATE", e);
        sqlite3_stmt *q;

        if (r < 0)
                return r;
        for (size_t i = 0; r == 0 && i < sizeof(sql) / sizeof(*sql); i++) {
                r = store_prepare(s, &q, sql[i], e, "i", id);
                if (r == 0)
                        r = store_finish(s, q, e);
        }
        if (r == 0)
                r = store_run(s, "COMMIT", e);
        if (r < 0)
                store_run(s, "ROLLBACK", NULL);
        return r;
}

int store_each_change(Store *s, void (*each)(void *, const StoreChange *), void *data, Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(s, &q,
                                    "SELECT id, time_usec, baseline, complete, reason,"
                                    " (SELECT count(*) FROM change_package WHERE change = change.id)"
                                    " FROM change ORDER BY id",
                                    e, "");

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreChange){ .id = sqlite3_column_int64(q, 0),
                                           .time_usec = (uint64_t)sqlite3_column_int64(q, 1),
                                           .baseline = sqlite3_column_int64(q, 2),
                                           .complete = sqlite3_column_int(q, 3) != 0,
                                           .reason = store_text(q, 4),
                                           .packages = (unsigned)sqlite3_column_int(q, 5) });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_each_package(Store *s, int64_t change, void (*each)(void *, const StorePackage *), void *data,
                       Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(
                          s, &q,
                          "SELECT change, name, arch, old_version, new_version, file, sha256, origin, bytes"
                          " FROM change_package WHERE ?=0 OR change=? ORDER BY change, name, arch",
                          e, "ii", change, change);

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StorePackage){ .change = sqlite3_column_int64(q, 0),
                                            .name = store_text(q, 1),
                                            .arch = store_text(q, 2),
                                            .old_version = store_text(q, 3),
                                            .new_version = store_text(q, 4),
                                            .file = store_text(q, 5),
                                            .sha256 = store_text(q, 6),
                                            .origin = store_text(q, 7),
                                            .bytes = (uint64_t)sqlite3_column_int64(q, 8) });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_add_snapshot(Store *s, const StoreSnapshot *a, int64_t *id, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "INSERT INTO snapshot VALUES (NULL,?,?,?,?,?,?,?)", e, "iisssss",
                              a->change, (int64_t)a->time_usec, a->provider, a->handle, a->mark, a->state,
                              a->reason);

        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                *id = sqlite3_last_insert_rowid(s->db);
        return r;
}

int store_set_snapshot(Store *s, int64_t id, const char *state, const char *handle, const char *mark,
                       const char *reason, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "UPDATE snapshot SET state=?, handle=?, mark=?, reason=? WHERE id=?", e,
                              "ssssi", state, handle, mark, reason, id);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_drop_snapshot(Store *s, int64_t id, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "DELETE FROM snapshot WHERE id=?", e, "i", id);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_each_snapshot(Store *s, void (*each)(void *, const StoreSnapshot *), void *data, Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(
                          s, &q,
                          "SELECT id, change, time_usec, provider, handle, mark, state, reason FROM snapshot"
                          " ORDER BY id",
                          e, "");

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreSnapshot){ .id = sqlite3_column_int64(q, 0),
                                             .change = sqlite3_column_int64(q, 1),
                                             .time_usec = (uint64_t)sqlite3_column_int64(q, 2),
                                             .provider = store_text(q, 3),
                                             .handle = store_text(q, 4),
                                             .mark = store_text(q, 5),
                                             .state = store_text(q, 6),
                                             .reason = store_text(q, 7) });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}
