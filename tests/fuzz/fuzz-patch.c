/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "patch/patch.h"

#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Whatever parses is valid, has exactly these bytes as its file, and keeps its digest. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
        _cleanup_(patch_freep) Patch *p = NULL;
        _cleanup_(freep) uint8_t *again = NULL;
        uint8_t digest[sizeof(p->digest)];
        FileBytes f = { .size = size };
        Error e = { 0 };
        size_t n;

        if (size == 0)
                return 0;
        f.bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (f.bytes == MAP_FAILED)
                return 0;
        memcpy((void *)f.bytes, bytes, size);
        if (patch_parse("input", &f, &p, &e) < 0) {
                if (!e.text[0])
                        abort(); /* refused without a reason */
                return 0;
        }
        memcpy(digest, p->digest, sizeof(digest));
        if (patch_validate(p, NULL) < 0 || patch_write(p, &again, &n, NULL) < 0)
                abort();
        if (n != size || memcmp(again, bytes, size) != 0 || memcmp(digest, p->digest, sizeof(digest)) != 0)
                abort();
        return 0;
}
