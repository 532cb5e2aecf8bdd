/* SPDX-License-Identifier: Apache-2.0 */
#include "store/figure.h"
#include "base/macro.h"
#include "store/parts.h"

static int put(Store *s, const char *sql, const StoreSeries *of, int64_t when, const double *values,
               unsigned windows, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, sql, e, "sssi", of->subject, of->name, of->measure, when);

        if (r < 0)
                return r;
        sqlite3_bind_double(q, 5, values[0]);
        if (windows) {
                sqlite3_bind_double(q, 6, values[1]);
                sqlite3_bind_int64(q, 7, windows);
        }
        return store_finish(s, q, e);
}

static int save(Store *s, const StoreSeries *of, Error *e) {
        sqlite3_stmt *q;
        int r = 0;

        for (size_t i = 0; i < of->n && r == 0; i++)
                r = put(s, "INSERT OR IGNORE INTO figure VALUES (?,?,?,?,?)", of,
                        (int64_t)of->samples[i].time_usec, &of->samples[i].value, 0, e);
        for (size_t i = 0; i < of->n_hours && r == 0; i++)
                r = put(s, "INSERT OR REPLACE INTO figure_hour VALUES (?,?,?,?,?,?,?)", of, of->hours[i].hour,
                        (double[]){ of->hours[i].usual, of->hours[i].high }, of->hours[i].windows, e);
        if (r == 0)
                r = store_prepare(
                        s, &q,
                        "DELETE FROM figure WHERE subject=?1 AND name=?2 AND measure=?3 AND time_usec <="
                        " (SELECT time_usec FROM figure WHERE subject=?1 AND name=?2 AND measure=?3"
                        " ORDER BY time_usec DESC LIMIT 1 OFFSET ?4)",
                        e, "sssi", of->subject, of->name, of->measure, (int64_t)STORE_SAMPLES);
        return r < 0 ? r : store_finish(s, q, e);
}

int store_save_series(Store *s, const StoreSeries *series, size_t n, uint64_t now_usec, Error *e) {
        int64_t hour = (int64_t)(now_usec / 1000000 / 3600) - STORE_HOURS;
        int r = store_run(s, "BEGIN IMMEDIATE", e);
        sqlite3_stmt *q;

        if (r < 0)
                return r;
        for (size_t i = 0; i < n && r == 0; i++)
                r = save(s, &series[i], e);
        /* And what nobody measures any more. */
        if (r == 0)
                r = store_prepare(s, &q, "DELETE FROM figure_hour WHERE hour <= ?", e, "i", hour);
        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                r = store_prepare(s, &q, "DELETE FROM figure WHERE time_usec < ?", e, "i",
                                  hour * 3600 * 1000000);
        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                return store_run(s, "COMMIT", e);
        store_run(s, "ROLLBACK", NULL);
        return r;
}

int store_each_sample(Store *s,
                      void (*each)(void *, const char *, const char *, const char *, const StoreSample *),
                      void *data, Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(s, &q,
                                    "SELECT subject, name, measure, time_usec, value FROM figure"
                                    " ORDER BY subject, name, measure, time_usec",
                                    e, "");

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, store_text(q, 0), store_text(q, 1), store_text(q, 2),
                     &(StoreSample){ (uint64_t)sqlite3_column_int64(q, 3), sqlite3_column_double(q, 4) });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_each_hour(Store *s,
                    void (*each)(void *, const char *, const char *, const char *, const StoreHour *),
                    void *data, Error *e) {
        sqlite3_stmt *q;
        int code,
                r = store_prepare(s, &q,
                                  "SELECT subject, name, measure, hour, usual, high, windows FROM figure_hour"
                                  " ORDER BY subject, name, measure, hour",
                                  e, "");

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, store_text(q, 0), store_text(q, 1), store_text(q, 2),
                     &(StoreHour){ sqlite3_column_int64(q, 3), sqlite3_column_double(q, 4),
                                   sqlite3_column_double(q, 5), (unsigned)sqlite3_column_int(q, 6) });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}
