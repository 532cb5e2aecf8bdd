/* SPDX-License-Identifier: Apache-2.0 */
#include "store/parts.h"

int store_put_fixes(Store *s, const StoreFixes *fixes, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "INSERT OR REPLACE INTO fixes VALUES (?,?,?,?,?,?)", e, "ssssii",
                              fixes->old_id, fixes->new_id, fixes->package, fixes->cves,
                              (int64_t)fixes->omitted, (int64_t)fixes->time_usec);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_get_fixes(Store *s, const char *old_id, const char *new_id,
                    void (*found)(void *data, const StoreFixes *fixes), void *data, Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(
                          s, &q,
                          "SELECT package, cves, omitted, time_usec FROM fixes WHERE old_id=? AND new_id=?",
                          e, "ss", old_id, new_id);
        if (r < 0)
                return r;
        code = sqlite3_step(q);
        if (code == SQLITE_ROW)
                found(data, &(StoreFixes){ .old_id = old_id,
                                           .new_id = new_id,
                                           .package = store_text(q, 0),
                                           .cves = store_text(q, 1),
                                           .omitted = (uint64_t)sqlite3_column_int64(q, 2),
                                           .time_usec = (uint64_t)sqlite3_column_int64(q, 3) });
        sqlite3_finalize(q);
        return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_prune_fixes(Store *s, uint64_t before_usec, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "DELETE FROM fixes WHERE time_usec < ?", e, "i", (int64_t)before_usec);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_put_unowned(Store *s, const char *path, uint64_t status_usec, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "INSERT OR REPLACE INTO unowned (path, status_usec) VALUES (?,?)", e,
                              "si", path, (int64_t)status_usec);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_is_unowned(Store *s, const char *path, uint64_t status_usec, Error *e) {
        sqlite3_stmt *q;
        int64_t n = 0;
        int r = store_prepare(s, &q, "SELECT count(*) FROM unowned WHERE path=? AND status_usec=?", e, "si",
                              path, (int64_t)status_usec);

        r = r < 0 ? r : store_number(s, q, &n, e);
        return r < 0 ? r : n > 0;
}

int store_prune_unowned(Store *s, uint64_t status_usec, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q,
                              "DELETE FROM unowned WHERE status_usec != ? OR rowid IN"
                              " (SELECT rowid FROM unowned ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
                              e, "ii", (int64_t)status_usec, (int64_t)STORE_UNOWNED);

        return r < 0 ? r : store_finish(s, q, e);
}
