/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/cache.h"
#include "base/file.h"
#include "base/macro.h"
#include "config.h"
#include "deliver/record.h"
#include "patch/digest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

/* The name of the record of a pair, without the folder. */
static void pair_name(const BuildId *old_id, const BuildId *new_id, const bool accepted[REFUSAL_N], char *out,
                      size_t size) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1];
        uint64_t what = XXH3_64bits(STAUNCH_VERSION, strlen(STAUNCH_VERSION));

        for (size_t i = 0; i < REFUSAL_N; i++)
                if (accepted && accepted[i]) {
                        const char *code = refusal_get((RefusalCode)i)->code;

                        what = XXH3_64bits_withSeed(code, strlen(code), what);
                }
        snprintf(out, size, "%s-%s-%016lx.json", build_id_text(old_id, old_text),
                 build_id_text(new_id, new_text), what);
}

void cache_patch_path(const char *dir, const uint8_t digest[32], char *out, size_t size) {
        char text[2 * DIGEST_SIZE + 1];

        snprintf(out, size, "%s/patches/%s.spatch", dir, digest_text(digest, text));
}

int cache_get(const char *dir, const BuildId *old_id, const BuildId *new_id, const bool accepted[REFUSAL_N],
              Comparison *out) {
        char name[PATH_MAX], path[2 * PATH_MAX], patch_path[PATH_MAX];
        FileBytes text = { 0 }, patch = { 0 };
        const char *digest;
        json_t *j;
        int r;

        pair_name(old_id, new_id, accepted, name, sizeof(name));
        snprintf(path, sizeof(path), "%s/pairs/%s", dir, name);
        if (file_read(path, RECORD_MAX, &text, NULL) < 0)
                return CACHE_ABSENT;
        j = json_loadb((const char *)text.bytes, text.size, 0, NULL);
        file_release(&text);
        digest = json_string_value(json_object_get(j, "digest"));
        if (digest && strlen(digest) == (size_t)2 * DIGEST_SIZE && !strchr(digest, '/')) {
                snprintf(patch_path, sizeof(patch_path), "%s/patches/%s.spatch", dir, digest);
                if (file_read(patch_path, PATCH_MAX_FILE, &patch, NULL) < 0) {
                        json_decref(j);
                        return CACHE_ABSENT;
                }
        }
        r = record_decode(path, j, &patch, out, NULL);
        json_decref(j);
        if (r < 0)
                return CACHE_ABSENT;
        if (build_id_equal(&out->old_id, old_id) && build_id_equal(&out->new_id, new_id))
                return 0;
        comparison_free(out);
        return CACHE_ABSENT;
}

int cache_put(const char *dir, const Comparison *c, const bool accepted[REFUSAL_N], Error *e) {
        char name[PATH_MAX], path[2 * PATH_MAX], digest[2 * DIGEST_SIZE + 1];
        _cleanup_(freep) char *text = NULL;
        json_t *j;
        int r = 0;

        snprintf(path, sizeof(path), "%s/pairs", dir);
        mkdir(path, 0700);
        snprintf(path, sizeof(path), "%s/patches", dir);
        mkdir(path, 0700);
        if (c->patch) {
                cache_patch_path(dir, c->patch->digest, path, sizeof(path));
                r = file_write_atomic(path, c->patch_bytes, c->patch_size, e);
                if (r < 0)
                        return r;
        }
        j = record_encode(c);
        if (c->patch)
                json_object_set_new(j, "digest", json_string(digest_text(c->patch->digest, digest)));
        text = json_dumps(j, JSON_COMPACT);
        json_decref(j);
        if (!text)
                return error_errno(e, -ENOMEM, "the record of a comparison");
        pair_name(&c->old_id, &c->new_id, accepted, name, sizeof(name));
        snprintf(path, sizeof(path), "%s/pairs/%s", dir, name);
        return file_write_atomic(path, text, strlen(text), e);
}
