/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "store/parts.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { BUSY_MSEC = 10000, VERSION = 10 };

/* One entry a version; a database of an older version runs those that it lacks. */
static const char *const migrations[VERSION] = {
        "CREATE TABLE action (id INTEGER PRIMARY KEY, time_usec INTEGER NOT NULL, pid INTEGER NOT NULL,"
        " comm TEXT NOT NULL, unit TEXT NOT NULL, image TEXT NOT NULL, old_id TEXT NOT NULL, new_id TEXT NOT "
        "NULL,"
        " digest TEXT NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,"
        " detail TEXT NOT NULL, functions INTEGER NOT NULL, pause_usec INTEGER NOT NULL) STRICT;"
        "CREATE INDEX action_time ON action (time_usec);"
        "CREATE TABLE restart (subject TEXT NOT NULL, image TEXT NOT NULL, new_id TEXT NOT NULL,"
        " reason TEXT NOT NULL, detail TEXT NOT NULL, since_usec INTEGER NOT NULL, tried_usec INTEGER NOT "
        "NULL,"
        " attempts INTEGER NOT NULL, last_result TEXT NOT NULL, PRIMARY KEY (subject, image)) STRICT;"
        "CREATE TABLE quarantine (old_id TEXT NOT NULL, new_id TEXT NOT NULL, digest TEXT NOT NULL,"
        " image TEXT NOT NULL, reason TEXT NOT NULL, since_usec INTEGER NOT NULL,"
        " PRIMARY KEY (old_id, new_id)) STRICT;",
        /* Changes of packages and what came before them; baselines, their journal, what is held. */
        "CREATE TABLE change (id INTEGER PRIMARY KEY AUTOINCREMENT, time_usec INTEGER NOT NULL,"
        " baseline INTEGER NOT NULL, complete INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;"
        "CREATE TABLE change_package (change INTEGER NOT NULL, name TEXT NOT NULL, arch TEXT NOT NULL,"
        " old_version TEXT NOT NULL, new_version TEXT NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,"
        " origin TEXT NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (change, name, arch)) STRICT;"
        "CREATE TABLE snapshot (id INTEGER PRIMARY KEY AUTOINCREMENT, change INTEGER NOT NULL,"
        " time_usec INTEGER NOT NULL, provider TEXT NOT NULL, handle TEXT NOT NULL, mark TEXT NOT NULL,"
        " state TEXT NOT NULL, reason TEXT NOT NULL) STRICT;"
        "CREATE TABLE baseline (id INTEGER PRIMARY KEY AUTOINCREMENT, since_usec INTEGER NOT NULL,"
        " changed_usec INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL) STRICT;"
        "CREATE TABLE baseline_step (baseline INTEGER NOT NULL, phase TEXT NOT NULL, position INTEGER NOT "
        "NULL,"
        " unit TEXT NOT NULL, before TEXT NOT NULL, done INTEGER NOT NULL,"
        " PRIMARY KEY (baseline, phase, position)) STRICT;"
        "CREATE TABLE held (name TEXT NOT NULL, arch TEXT NOT NULL, version TEXT NOT NULL,"
        " baseline INTEGER NOT NULL, reason TEXT NOT NULL, since_usec INTEGER NOT NULL,"
        " PRIMARY KEY (name, arch, version)) STRICT;",
        "CREATE TABLE build (id TEXT NOT NULL, path TEXT NOT NULL, package TEXT NOT NULL, arch TEXT NOT NULL,"
        " version TEXT NOT NULL, source TEXT NOT NULL, source_version TEXT NOT NULL,"
        " first_usec INTEGER NOT NULL, last_usec INTEGER NOT NULL, PRIMARY KEY (id, path, version)) STRICT;",
        "CREATE TABLE mark (kind TEXT NOT NULL, key TEXT NOT NULL, time_usec INTEGER NOT NULL, text TEXT NOT "
        "NULL,"
        " PRIMARY KEY (kind, key)) STRICT;",
        /* The performance baseline. */
        "CREATE TABLE figure (subject TEXT NOT NULL, name TEXT NOT NULL, measure TEXT NOT NULL,"
        " time_usec INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (subject, name, measure, time_usec))"
        " STRICT, WITHOUT ROWID;"
        "CREATE TABLE figure_hour (subject TEXT NOT NULL, name TEXT NOT NULL, measure TEXT NOT NULL,"
        " hour INTEGER NOT NULL, usual REAL NOT NULL, high REAL NOT NULL, windows INTEGER NOT NULL,"
        " PRIMARY KEY (subject, name, measure, hour)) STRICT, WITHOUT ROWID;",
        /* Taken out by hand, and not for harm. */
        "ALTER TABLE quarantine ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0;",
        /* Whether something was said is asked for each process in each round. */
        "CREATE INDEX action_process ON action (pid, image);",
        /* What events about a pair of builds say of it. */
        "CREATE TABLE fixes (old_id TEXT NOT NULL, new_id TEXT NOT NULL, package TEXT NOT NULL,"
        " cves TEXT NOT NULL, omitted INTEGER NOT NULL, time_usec INTEGER NOT NULL,"
        " PRIMARY KEY (old_id, new_id)) STRICT;",
        "CREATE TABLE unowned (path TEXT PRIMARY KEY, status_usec INTEGER NOT NULL) STRICT;",
        /* What events about a pending restart say of it. */
        "ALTER TABLE restart ADD COLUMN old_id TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE restart ADD COLUMN package TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE restart ADD COLUMN cves TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE restart ADD COLUMN omitted INTEGER NOT NULL DEFAULT 0;",
};

int store_fail(Store *s, int code, Error *e) {
        int r = code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? -ENOTRECOVERABLE
                : code == SQLITE_FULL                           ? -ENOSPC
                : code == SQLITE_BUSY                           ? -EBUSY
                : code == SQLITE_CANTOPEN                       ? -EACCES
                : code == SQLITE_NOMEM                          ? -ENOMEM
                : code == SQLITE_READONLY                       ? -EROFS
                                                                : -EIO;

        return error_set(e, r, "state database: %s", s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
}

int store_run(Store *s, const char *sql, Error *e) {
        int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : store_fail(s, code, e);
}

int store_number(Store *s, sqlite3_stmt *q, int64_t *out, Error *e) {
        int code = sqlite3_step(q);

        if (code == SQLITE_ROW)
                *out = sqlite3_column_int64(q, 0);
        sqlite3_finalize(q);
        return code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -ENOENT : store_fail(s, code, e);
}

static int number(Store *s, const char *sql, int64_t *out, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, sql, e, "");

        return r < 0 ? r : store_number(s, q, out, e);
}

static int migrate(Store *s, Error *e) {
        int64_t version = 0;
        char sql[64];
        int r = store_run(s, "BEGIN IMMEDIATE", e);

        if (r == 0)
                r = number(s, "PRAGMA user_version", &version, e);
        if (r < 0)
                return r;
        if (version > VERSION) {
                store_run(s, "ROLLBACK", NULL);
                return error_set(e, -EPROTONOSUPPORT,
                                 "state database: written by a newer version of this program");
        }
        for (; r == 0 && version < VERSION; version++)
                r = store_run(s, migrations[version], e);
        snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", VERSION);
        if (r == 0)
                r = store_run(s, sql, e);
        if (r == 0)
                return store_run(s, "COMMIT", e);
        store_run(s, "ROLLBACK", NULL);
        return r;
}

static int check(Store *s, Error *e) {
        sqlite3_stmt *q;
        int code = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &q, NULL);
        bool good;

        if (code == SQLITE_OK)
                code = sqlite3_step(q);
        good = code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(q, 0), "ok") == 0;
        sqlite3_finalize(q);
        if (code != SQLITE_ROW)
                return store_fail(s, code, e);
        return good ? 0 : store_fail(s, SQLITE_CORRUPT, e);
}

static int open_file(const char *path, bool write, Store **out, Error *e) {
        Store *s = calloc(1, sizeof(*s));
        int code, r;

        if (!s)
                return error_errno(e, -ENOMEM, "state database");
        code = sqlite3_open_v2(path, &s->db,
                               write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY,
                               NULL);
        r = code == SQLITE_OK ? 0 : store_fail(s, code, e);
        if (r == 0)
                sqlite3_busy_timeout(s->db, BUSY_MSEC);
        if (r == 0 && write)
                r = store_run(
                        s,
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF",
                        e);
        if (r == 0 && write)
                r = migrate(s, e);
        if (r == 0) /* rubbish shows now, not in the middle of the work */
                r = check(s, e);
        if (r < 0) {
                store_close(s);
                return r;
        }
        *out = s;
        return 0;
}

int store_open(const char *dir, Store **out, Error *e) {
        static const char *const parts[] = { "-wal", "-shm", "" };
        char path[PATH_MAX], part[PATH_MAX + 8], aside[PATH_MAX + 40];
        long long now = (long long)time(NULL);
        int r;

        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return error_errno(e, -errno, "%s", dir);
        snprintf(path, sizeof(path), "%s/state.db", dir);
        r = open_file(path, true, out, e);
        if (r != -ENOTRECOVERABLE)
                return r;
        /* The log first: beside a new database it would be taken for its own. */
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                snprintf(part, sizeof(part), "%s%s", path, parts[i]);
                snprintf(aside, sizeof(aside), "%s.lost-%lld%s", path, now, parts[i]);
                if (rename(part, aside) < 0 && errno != ENOENT)
                        return error_errno(e, -errno, "%s", aside);
        }
        r = open_file(path, true, out, e);
        return r < 0 ? r : STORE_LOST;
}

/* What an older version wrote lacks tables, which only a writer can add. */
static bool is_older(Store *s) {
        int64_t version = VERSION;

        return number(s, "PRAGMA user_version", &version, NULL) == 0 && version < VERSION;
}

int store_open_read(const char *dir, Store **out, Error *e) {
        char path[PATH_MAX];
        int r;

        snprintf(path, sizeof(path), "%s/state.db", dir);
        if (access(path, R_OK) < 0)
                return error_errno(e, -errno, "%s", path);
        r = open_file(path, false, out, e);
        if (r < 0 || !is_older(*out))
                return r;
        *out = store_close(*out);
        r = open_file(path, true, out, e);
        if (r < 0)
                return r;
        *out = store_close(*out);
        return open_file(path, false, out, e);
}

Store *store_close(Store *s) {
        if (s)
                sqlite3_close(s->db);
        free(s);
        return NULL;
}

int store_prepare(Store *s, sqlite3_stmt **q, const char *sql, Error *e, const char *types, ...) {
        int code = sqlite3_prepare_v2(s->db, sql, -1, q, NULL);
        va_list ap;

        va_start(ap, types);
        for (int i = 1; code == SQLITE_OK && types[i - 1]; i++) {
                if (types[i - 1] == 's') {
                        const char *text = va_arg(ap, const char *);

                        code = sqlite3_bind_text(*q, i, text ? text : "", -1, SQLITE_TRANSIENT);
                } else {
                        code = sqlite3_bind_int64(*q, i, va_arg(ap, int64_t));
                }
        }
        va_end(ap);
        if (code == SQLITE_OK)
                return 0;
        sqlite3_finalize(*q);
        return store_fail(s, code, e);
}

int store_finish(Store *s, sqlite3_stmt *q, Error *e) {
        int code = sqlite3_step(q);

        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

const char *store_text(sqlite3_stmt *q, int column) {
        const unsigned char *s = sqlite3_column_text(q, column);

        return s ? (const char *)s : "";
}

int store_add_action(Store *s, const StoreAction *a, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(
                s, &q,
                "INSERT INTO action (time_usec, pid, comm, unit, image, old_id, new_id, digest, "
                "action, outcome,"
                " reason, detail, functions, pause_usec) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                e, "iissssssssssii", (int64_t)a->time_usec, (int64_t)a->pid, a->comm, a->unit, a->image,
                a->old_id, a->new_id, a->digest, a->action, a->outcome, a->reason, a->detail,
                (int64_t)a->functions, (int64_t)a->pause_usec);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_each_action(Store *s, const StoreActionQuery *query, void (*each)(void *, const StoreAction *),
                      void *data, Error *e) {
        sqlite3_stmt *q;
        int code,
                r = store_prepare(
                        s, &q,
                        "SELECT * FROM (SELECT time_usec, pid, comm, unit, image, old_id, new_id, digest, "
                        "action,"
                        " outcome, reason, detail, functions, pause_usec, id FROM action WHERE time_usec >= ?"
                        " AND (?='' OR unit=?) AND (?='' OR digest LIKE ?||'%') ORDER BY id DESC LIMIT ?)"
                        " ORDER BY id",
                        e, "issssi", (int64_t)query->since_usec, query->unit, query->unit, query->digest,
                        query->digest, query->limit ? (int64_t)query->limit : (int64_t)-1);

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreAction){
                                   .time_usec = (uint64_t)sqlite3_column_int64(q, 0),
                                   .pid = sqlite3_column_int(q, 1),
                                   .comm = store_text(q, 2),
                                   .unit = store_text(q, 3),
                                   .image = store_text(q, 4),
                                   .old_id = store_text(q, 5),
                                   .new_id = store_text(q, 6),
                                   .digest = store_text(q, 7),
                                   .action = store_text(q, 8),
                                   .outcome = store_text(q, 9),
                                   .reason = store_text(q, 10),
                                   .detail = store_text(q, 11),
                                   .functions = (uint64_t)sqlite3_column_int64(q, 12),
                                   .pause_usec = (uint64_t)sqlite3_column_int64(q, 13),
                           });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_said(Store *s, const StoreAction *a, Error *e) {
        sqlite3_stmt *q;
        int code, said = 0,
                  r = store_prepare(
                          s, &q,
                          "SELECT outcome=? AND reason=? AND new_id=? FROM action WHERE pid=? AND image=?"
                          " ORDER BY id DESC LIMIT 1",
                          e, "sssis", a->outcome, a->reason, a->new_id, (int64_t)a->pid, a->image);

        if (r < 0)
                return r;
        code = sqlite3_step(q);
        if (code == SQLITE_ROW)
                said = sqlite3_column_int(q, 0);
        sqlite3_finalize(q);
        return code == SQLITE_ROW || code == SQLITE_DONE ? said : store_fail(s, code, e);
}

int store_has_action(Store *s, const StoreAction *a, Error *e) {
        sqlite3_stmt *q;
        int64_t n = 0;
        int r = store_prepare(s, &q,
                              "SELECT count(*) FROM action WHERE pid=? AND image=? AND digest=? AND action=?"
                              " AND outcome=? AND time_usec >= ?",
                              e, "issssi", (int64_t)a->pid, a->image, a->digest, a->action, a->outcome,
                              (int64_t)a->time_usec);

        r = r < 0 ? r : store_number(s, q, &n, e);
        return r < 0 ? r : n > 0;
}

int store_prune(Store *s, uint64_t before_usec, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "DELETE FROM action WHERE time_usec < ?", e, "i", (int64_t)before_usec);
        int64_t n = 0;

        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                r = number(s, "SELECT count(*) FROM action", &n, e);
        if (r < 0 || n <= STORE_ACTIONS)
                return r;
        r = store_prepare(s, &q,
                          "DELETE FROM action WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER"
                          " (PARTITION BY unit ORDER BY id DESC) AS n FROM action) WHERE n > ?)",
                          e, "i", (int64_t)STORE_ACTIONS_UNIT);
        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                r = store_prepare(s, &q,
                                  "DELETE FROM action WHERE id IN (SELECT id FROM action WHERE unit NOT LIKE"
                                  " '%.service' OR unit LIKE 'user@%' ORDER BY id DESC LIMIT -1 OFFSET ?)",
                                  e, "i", (int64_t)STORE_ACTIONS_OTHERS);
        return r < 0 ? r : store_finish(s, q, e);
}

int store_put_restart(Store *s, const StoreRestart *a, bool *fresh, Error *e) {
        int64_t before, after;
        sqlite3_stmt *q;
        int r = number(s, "SELECT count(*) FROM restart", &before, e);

        if (r == 0)
                r = store_prepare(s, &q,
                                  "INSERT INTO restart VALUES (?,?,?,?,?,?,0,0,'',?,?,?,?) ON CONFLICT "
                                  "(subject, image) DO "
                                  "UPDATE SET"
                                  " new_id=excluded.new_id, reason=excluded.reason, detail=excluded.detail,"
                                  " old_id=excluded.old_id, package=excluded.package, cves=excluded.cves,"
                                  " omitted=excluded.omitted",
                                  e, "sssssisssi", a->subject, a->image, a->new_id, a->reason, a->detail,
                                  (int64_t)a->since_usec, a->old_id, a->package, a->cves,
                                  (int64_t)a->omitted);
        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                r = number(s, "SELECT count(*) FROM restart", &after, e);
        if (r == 0)
                *fresh = after > before;
        return r;
}

int store_tried_restart(Store *s, const char *subject, uint64_t time_usec, const char *result, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(
                s, &q, "UPDATE restart SET tried_usec=?, attempts=attempts+1, last_result=? WHERE subject=?",
                e, "iss", (int64_t)time_usec, result, subject);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_has_restart(Store *s, const char *subject, const char *image, Error *e) {
        sqlite3_stmt *q;
        int64_t n = 0;
        int r = store_prepare(s, &q, "SELECT count(*) FROM restart WHERE subject=? AND image=?", e, "ss",
                              subject, image);

        r = r < 0 ? r : store_number(s, q, &n, e);
        return r < 0 ? r : n > 0;
}

int store_drop_restart(Store *s, const char *subject, const char *image, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(s, &q, "DELETE FROM restart WHERE subject=? AND (?=0 OR image=?)", e, "sis",
                              subject, (int64_t)(image != NULL), image ? image : "");

        return r < 0 ? r : store_finish(s, q, e);
}

int store_each_restart(Store *s, void (*each)(void *, const StoreRestart *), void *data, Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(
                          s, &q,
                          "SELECT subject, image, new_id, reason, detail, since_usec, tried_usec, attempts,"
                          " last_result, old_id, package, cves, omitted FROM restart ORDER BY since_usec, "
                          "subject, image",
                          e, "");

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreRestart){
                                   .subject = store_text(q, 0),
                                   .image = store_text(q, 1),
                                   .new_id = store_text(q, 2),
                                   .reason = store_text(q, 3),
                                   .detail = store_text(q, 4),
                                   .since_usec = (uint64_t)sqlite3_column_int64(q, 5),
                                   .tried_usec = (uint64_t)sqlite3_column_int64(q, 6),
                                   .attempts = (unsigned)sqlite3_column_int(q, 7),
                                   .last_result = store_text(q, 8),
                                   .old_id = store_text(q, 9),
                                   .package = store_text(q, 10),
                                   .cves = store_text(q, 11),
                                   .omitted = (uint64_t)sqlite3_column_int64(q, 12),
                           });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}

int store_put_quarantine(Store *s, const StoreQuarantine *a, Error *e) {
        sqlite3_stmt *q;
        int r = store_prepare(
                s, &q,
                "INSERT INTO quarantine VALUES (?,?,?,?,?,?,?) ON CONFLICT (old_id, new_id) DO UPDATE"
                " SET digest = excluded.digest, image = excluded.image, reason = excluded.reason,"
                " since_usec = excluded.since_usec, by_hand = excluded.by_hand"
                " WHERE by_hand OR NOT excluded.by_hand",
                e, "sssssii", a->old_id, a->new_id, a->digest, a->image, a->reason, (int64_t)a->since_usec,
                (int64_t)a->by_hand);

        return r < 0 ? r : store_finish(s, q, e);
}

int store_release(Store *s, const char *digest, unsigned *n, Error *e) {
        sqlite3_stmt *q;
        int r;

        if (strlen(digest) < 8 || strspn(digest, "0123456789abcdef") != strlen(digest))
                return error_set(e, -EINVAL, "'%s' is not a digest, or too short a part of one", digest);
        r = store_prepare(s, &q, "DELETE FROM quarantine WHERE digest LIKE ?||'%'", e, "s", digest);
        if (r == 0)
                r = store_finish(s, q, e);
        if (r == 0)
                *n = (unsigned)sqlite3_changes(s->db);
        return r;
}

int store_each_quarantine(Store *s, void (*each)(void *, const StoreQuarantine *), void *data, Error *e) {
        sqlite3_stmt *q;
        int code, r = store_prepare(
                          s, &q,
                          "SELECT old_id, new_id, digest, image, reason, since_usec, by_hand FROM quarantine"
                          " ORDER BY since_usec",
                          e, "");

        if (r < 0)
                return r;
        while ((code = sqlite3_step(q)) == SQLITE_ROW)
                each(data, &(StoreQuarantine){ store_text(q, 0), store_text(q, 1), store_text(q, 2),
                                               store_text(q, 3), store_text(q, 4),
                                               (uint64_t)sqlite3_column_int64(q, 5),
                                               sqlite3_column_int(q, 6) != 0 });
        sqlite3_finalize(q);
        return code == SQLITE_DONE ? 0 : store_fail(s, code, e);
}
