/* SPDX-License-Identifier: Apache-2.0 */
#include "patch/digest.h"

#include <errno.h>
#include <openssl/evp.h>

int digest_sha256(const void *bytes, size_t size, uint8_t out[DIGEST_SIZE], Error *e) {
        if (EVP_Digest(bytes, size, out, NULL, EVP_sha256(), NULL) != 1)
                return error_set(e, -ENOTSUP, "SHA-256 is not available from libcrypto");
        return 0;
}

const char *digest_text(const uint8_t digest[DIGEST_SIZE], char out[2 * DIGEST_SIZE + 1]) {
        static const char hex[] = "0123456789abcdef";

        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                out[2 * i] = hex[digest[i] >> 4];
                out[2 * i + 1] = hex[digest[i] & 15];
        }
        out[2 * DIGEST_SIZE] = 0;
        return out;
}
