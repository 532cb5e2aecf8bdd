/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/cache.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/record.h"
#include "patch/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <xxhash.h>

enum { DAY_SEC = 86400 };

/* Of this program's own file; 0: it can't be read, and then nothing is cached. */
static uint64_t judge_hash(void) {
        static uint64_t hash;
        FileBytes self = { 0 };

        if (!hash && file_read("/proc/self/exe", IMAGE_MAX_SIZE, &self, NULL) == 0) {
                hash = XXH3_64bits(self.bytes, self.size);
                file_release(&self);
        }
        return hash;
}

/* The path of the record of a pair. */
static void pair_path(const char *dir, const uint8_t old_file[DIGEST_SIZE],
                      const uint8_t new_file[DIGEST_SIZE], const bool accepted[REFUSAL_N], char *out,
                      size_t size) {
        char old_text[2 * DIGEST_SIZE + 1], new_text[2 * DIGEST_SIZE + 1];
        uint64_t what = judge_hash();

        for (size_t i = 0; i < REFUSAL_N; i++)
                if (accepted && accepted[i]) {
                        const char *code = refusal_get((RefusalCode)i)->code;

                        what = XXH3_64bits_withSeed(code, strlen(code), what);
                }
        snprintf(out, size, "%s/pairs/%s-%s-%016lx.json", dir, digest_text(old_file, old_text),
                 digest_text(new_file, new_text), what);
}

static void patch_path(const char *dir, const char *digest, char *out, size_t size) {
        snprintf(out, size, "%s/patches/%s.spatch", dir, digest);
}

static time_t age(const char *path) {
        struct stat st;

        return stat(path, &st) < 0 ? 0 : time(NULL) - st.st_mtime;
}

int cache_get(const char *dir, const uint8_t old_file[DIGEST_SIZE], const uint8_t new_file[DIGEST_SIZE],
              const bool accepted[REFUSAL_N], Comparison *out) {
        FileBytes text = { 0 }, patch = { 0 };
        char path[PATH_MAX], with[PATH_MAX];
        const char *digest;
        json_t *j;
        int r = 0;

        pair_path(dir, old_file, new_file, accepted, path, sizeof(path));
        if (!judge_hash() || file_read(path, RECORD_MAX, &text, NULL) < 0)
                return CACHE_ABSENT;
        j = json_loadb((const char *)text.bytes, text.size, 0, NULL);
        file_release(&text);
        digest = json_string_value(json_object_get(j, "digest"));
        if (digest && strspn(digest, "0123456789abcdef") == strlen(digest)) {
                patch_path(dir, digest, with, sizeof(with));
                r = file_read(with, PATCH_MAX_FILE, &patch, NULL);
        }
        if (r == 0)
                r = record_decode(path, j, &patch, out, NULL);
        json_decref(j);
        if (r < 0)
                return CACHE_ABSENT;
        if (out->outcome == OUTCOME_HOTPATCH || age(path) < DAY_SEC)
                return 0;
        comparison_free(out);
        return CACHE_ABSENT;
}

int cache_put(const char *dir, const uint8_t old_file[DIGEST_SIZE], const uint8_t new_file[DIGEST_SIZE],
              const Comparison *c, const bool accepted[REFUSAL_N], Error *e) {
        char path[PATH_MAX], digest[2 * DIGEST_SIZE + 1];
        _cleanup_(freep) char *text = NULL;
        json_t *j;
        int r = 0;

        if (!judge_hash())
                return 0;
        snprintf(path, sizeof(path), "%s/pairs", dir);
        mkdir(path, 0700);
        snprintf(path, sizeof(path), "%s/patches", dir);
        mkdir(path, 0700);
        if (c->patch) {
                patch_path(dir, digest_text(c->patch->digest, digest), path, sizeof(path));
                r = file_write_atomic(path, c->patch_bytes, c->patch_size, e);
                if (r < 0)
                        return r;
        }
        j = record_encode(c);
        if (c->patch)
                json_object_set_new(j, "digest", json_string(digest));
        text = json_dumps(j, JSON_COMPACT);
        json_decref(j);
        if (!text)
                return error_errno(e, -ENOMEM, "the record of a comparison");
        pair_path(dir, old_file, new_file, accepted, path, sizeof(path));
        return file_write_atomic(path, text, strlen(text), e);
}

typedef struct Kept {
        char name[NAME_MAX + 10]; /* with its folder */
        time_t written;
        uint64_t bytes;
} Kept;

static int by_age(const void *a, const void *b) {
        const Kept *x = a, *y = b;

        return (x->written > y->written) - (x->written < y->written);
}

void cache_prune(const char *dir, unsigned days, uint64_t max_bytes) {
        static const char *const folders[] = { "pairs", "patches" };
        time_t oldest = time(NULL) - (time_t)days * DAY_SEC;
        _cleanup_(closep) int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        VEC(Kept) all = { 0 };
        uint64_t bytes = 0;

        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                char folder[PATH_MAX];
                struct dirent *d;
                DIR *files;

                snprintf(folder, sizeof(folder), "%s/%s", dir, folders[i]);
                files = opendir(folder);
                while (files && (d = readdir(files))) {
                        struct stat st;
                        Kept k;

                        if (d->d_name[0] == '.' ||
                            (size_t)snprintf(k.name, sizeof(k.name), "%s/%s", folders[i], d->d_name) >=
                                    sizeof(k.name) ||
                            fstatat(fd, k.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                                continue;
                        k.written = st.st_mtime;
                        k.bytes = (uint64_t)st.st_blocks * 512;
                        bytes += k.bytes;
                        vec_push(&all, k);
                }
                if (files)
                        closedir(files);
        }
        if (all.n)
                qsort(all.items, all.n, sizeof(*all.items), by_age);
        for (size_t i = 0; i < all.n && (all.items[i].written < oldest || bytes > max_bytes); i++)
                if (unlinkat(fd, all.items[i].name, 0) == 0)
                        bytes -= all.items[i].bytes;
        vec_free(&all);
}
