/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "store/parts.h"

#include <errno.h>

int store_put_mark(Store *s, const StoreMark *m, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "INSERT OR REPLACE INTO mark VALUES (?,?,?,?)", e, "ssis", m->kind,
                              m->key, (int64_t)m->time_usec, m->text);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_drop_mark(Store *s, const char *kind, const char *key, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "DELETE FROM mark WHERE kind=? AND key=?", e, "ss", kind, key);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_each_mark(Store *s, const char *kind, void (*each)(void *, const StoreMark *), void *data,
                    Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(
                          s, &q, "SELECT key, time_usec, text FROM mark WHERE kind=? ORDER BY time_usec, key",
                          e, "s", kind);

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreMark){ kind, store_text(q, 0), (uint64_t)sqlite3_column_int64(q, 1),
                                         store_text(q, 2) });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_mark_time(Store *s, const char *kind, const char *key, uint64_t *time_usec, Error *e) {
        int64_t time = 0;
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "SELECT time_usec FROM mark WHERE kind=? AND key=?", e, "ss", kind, key);

        if (r == 0)
                r = store_number(s, q, &time, e);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (time_usec)
                *time_usec = (uint64_t)time;
        return 1;
}

int store_prune_marks(Store *s, const char *kind, uint64_t before_usec, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "DELETE FROM mark WHERE kind=? AND time_usec<?", e, "si", kind,
                              (int64_t)before_usec);

        return r < 0 ? r : store_finish(s, q, e);
}
