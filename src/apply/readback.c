/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/header.h"
#include "base/macro.h"
#include "patch/digest.h"
#include "proc/mem.h"
#include "proc/task.h"

#include <errno.h>
#include <string.h>

static uint64_t size_of(const Header *h) {
        uint64_t size = 0;

        for (size_t i = 0; i < h->n_code; i++)
                size += h->code[i].size > PATCH_MAX_FILE ? PATCH_MAX_FILE + UINT64_C(1)
                                                         : 16 + h->code[i].size;
        for (size_t i = 0; i < h->n_sites; i++)
                size += 9 + (uint64_t)h->sites[i].n;
        return size;
}

static uint8_t *put64(uint8_t *to, uint64_t v) {
        for (int i = 0; i < 8; i++)
                *to++ = (uint8_t)(v >> 8 * i);
        return to;
}

static int read_all(pid_t pid, const Header *h, uint8_t *to, Error *e) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < h->n_code; i++) {
                to = put64(put64(to, h->code[i].addr), h->code[i].size);
                r = mem_read(pid, h->shadow_base + h->code[i].addr, to, h->code[i].size);
                to += h->code[i].size;
        }
        for (size_t i = 0; r == 0 && i < h->n_sites; i++) {
                to = put64(to, h->sites[i].patch_addr);
                *to++ = h->sites[i].n;
                r = mem_read_code(pid, h->image_base + h->sites[i].patch_addr, to, h->sites[i].n);
                to += h->sites[i].n;
        }
        return r < 0 ? error_errno(e, r, "the code of patch %s", h->name) : 0;
}

static int hash(pid_t pid, const Header *h, uint8_t sha256[DIGEST_SIZE], Error *e) {
        _cleanup_(freep) uint8_t *bytes = NULL;
        uint64_t size = size_of(h);
        int r;

        if (size > PATCH_MAX_FILE)
                return error_set(e, -EFBIG, "patch %s says that it has more code than a patch can have",
                                 h->name);
        bytes = malloc(size + 1);
        if (!bytes)
                return error_errno(e, -ENOMEM, "the code of patch %s", h->name);
        r = read_all(pid, h, bytes, e);
        return r < 0 ? r : digest_sha256(bytes, size, sha256, e);
}

int engine_read_back(pid_t pid, const uint8_t digest[DIGEST_SIZE], uint8_t sha256[DIGEST_SIZE], Error *e) {
        _cleanup_(maps_free) Maps maps = { 0 };
        Header *headers = NULL;
        size_t n = 0;
        int r;

        pid = task_with_memory(pid);
        if (pid < 0)
                return error_errno(e, pid, "the process has ended");
        r = maps_read(pid, &maps, e);
        if (r == 0)
                r = header_find(pid, &maps, &headers, &n, e);
        if (r < 0)
                return r;
        r = error_set(e, -ENOENT, "the process does not carry this patch");
        for (size_t i = 0; i < n; i++)
                if (headers[i].state == PATCH_STATE_ACTIVE &&
                    memcmp(headers[i].digest, digest, DIGEST_SIZE) == 0) {
                        r = hash(pid, &headers[i], sha256, e);
                        break;
                }
        headers_free(&headers, n);
        return r;
}
