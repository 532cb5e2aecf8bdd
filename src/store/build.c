/* SPDX-License-Identifier: Apache-2.0 */
#include "store/parts.h"

int store_put_build(Store *s, const StoreBuild *b, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q,
                              "INSERT INTO build VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (id, path, version)"
                              " DO UPDATE SET last_usec=excluded.last_usec",
                              e, "sssssssii", b->id, b->path, b->package, b->arch, b->version, b->source,
                              b->source_version, (int64_t)b->first_usec, (int64_t)b->last_usec);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_each_build(Store *s, void (*each)(void *, const StoreBuild *), void *data, Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(s, &q,
                                    "SELECT id, path, package, arch, version, source, source_version, "
                                    "first_usec, last_usec"
                                    " FROM build ORDER BY id, path",
                                    e, "");
        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreBuild){ .id = store_text(q, 0),
                                          .path = store_text(q, 1),
                                          .package = store_text(q, 2),
                                          .arch = store_text(q, 3),
                                          .version = store_text(q, 4),
                                          .source = store_text(q, 5),
                                          .source_version = store_text(q, 6),
                                          .first_usec = (uint64_t)sqlite3_column_int64(q, 7),
                                          .last_usec = (uint64_t)sqlite3_column_int64(q, 8) });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_prune_builds(Store *s, uint64_t before_usec, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "DELETE FROM build WHERE last_usec < ?", e, "i", (int64_t)before_usec);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_begin(Store *s, Error *e) {
        return store_run(s, "BEGIN IMMEDIATE", e);
}

int store_end(Store *s, bool keep, Error *e) {
        return store_run(s, keep ? "COMMIT" : "ROLLBACK", e);
}
