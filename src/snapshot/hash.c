/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/hash.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>

int hash_file(const char *path, HashKind kind, char out[2 * HASH_MAX + 1], Error *e) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        unsigned char bytes[1 << 16], digest[EVP_MAX_MD_SIZE];
        unsigned n_digest = 0;
        EVP_MD_CTX *md;
        ssize_t n;
        bool good;

        if (fd < 0)
                return error_errno(e, -errno, "%s", path);
        md = EVP_MD_CTX_new();
        good = md && EVP_DigestInit_ex(md, kind == HASH_MD5 ? EVP_md5() : EVP_sha256(), NULL) == 1;
        while (good && (n = read(fd, bytes, sizeof(bytes))) != 0) {
                if (n < 0) {
                        int r = error_errno(e, -errno, "%s", path);

                        EVP_MD_CTX_free(md);
                        return r;
                }
                good = EVP_DigestUpdate(md, bytes, (size_t)n) == 1;
        }
        good = good && EVP_DigestFinal_ex(md, digest, &n_digest) == 1 && n_digest <= HASH_MAX;
        EVP_MD_CTX_free(md);
        if (!good)
                return error_set(e, -EIO, "%s: its hash could not be computed", path);
        for (unsigned i = 0; i < n_digest; i++)
                snprintf(out + 2 * i, 3, "%02x", digest[i]);
        return 0;
}
