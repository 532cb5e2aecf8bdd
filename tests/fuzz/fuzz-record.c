/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a comparison, one line of JSON, and behind it the patch; as it comes from the vault, and as
 * it lies in the cache. What is accepted says the same when it is written and read again.
 */
#include "base/macro.h"
#include "deliver/cache.h"
#include "deliver/record.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char folder[] = "/tmp/staunch-fuzz-record-XXXXXX", record_path[512];
static const uint8_t digest[DIGEST_SIZE];

static void clean(void) {
        char command[128];

        snprintf(command, sizeof(command), "rm -r %s", folder);
        if (system(command) != 0)
                perror(folder);
}

/* A folder of the cache with the record of one pair, whose name is found out so. */
static void make_cache(void) {
        static Comparison c = { .old_id = { { 1 }, 1 }, .new_id = { { 2 }, 1 }, .outcome = OUTCOME_RESTART };
        struct dirent *d;
        char pairs[64];
        DIR *dir;

        if (c.arena)
                return;
        c.arena = arena_new();
        verdict_init(&c.verdict, c.arena);
        c.verdict.evidence = "";
        if (!mkdtemp(folder) || cache_put(folder, digest, digest, &c, NULL, NULL) < 0)
                __builtin_trap();
        atexit(clean);
        snprintf(pairs, sizeof(pairs), "%s/pairs", folder);
        dir = opendir(pairs);
        while (dir && (d = readdir(dir)))
                if (d->d_name[0] != '.')
                        snprintf(record_path, sizeof(record_path), "%s/%s", pairs, d->d_name);
        if (dir)
                closedir(dir);
}

static void from_cache(const uint8_t *bytes, size_t size) {
        FILE *f;
        Comparison c;

        make_cache();
        f = fopen(record_path, "we");

        if (!f || fwrite(bytes, 1, size, f) != size || fclose(f) != 0)
                __builtin_trap();
        if (cache_get(folder, digest, digest, NULL, &c) == 0)
                comparison_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
        const uint8_t *end = size ? memchr(bytes, '\n', size) : NULL;
        size_t n = end ? (size_t)(end - bytes) : size;
        FileBytes patch = { 0 }, none = { 0 };
        json_t *j = json_loadb((const char *)bytes, n, 0, NULL), *again;
        Comparison c, back;
        Error e = { 0 };

        from_cache(bytes, size);
        if (!j)
                return 0;
        if (end && file_dup(end + 1, size - n - 1, &patch, NULL) < 0)
                __builtin_trap();
        if (record_decode("input", j, &patch, &c, &e) == 0) {
                if ((c.outcome == OUTCOME_HOTPATCH) != (c.patch != NULL))
                        __builtin_trap();
                again = record_encode(&c);
                if (c.outcome == OUTCOME_HOTPATCH && file_dup(c.patch_bytes, c.patch_size, &none, NULL) < 0)
                        __builtin_trap();
                if (record_decode("again", again, &none, &back, &e) < 0 || back.outcome != c.outcome ||
                    back.verdict.n != c.verdict.n || back.changed != c.changed || back.n_needed != c.n_needed)
                        __builtin_trap();
                json_decref(again);
                comparison_free(&back);
                comparison_free(&c);
        } else if (!e.text[0]) {
                __builtin_trap();
        }
        json_decref(j);
        return 0;
}
