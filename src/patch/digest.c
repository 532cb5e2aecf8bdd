/* SPDX-License-Identifier: Apache-2.0 */
#include "patch/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

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

static int hex_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

bool digest_from_text(const char *text, uint8_t out[DIGEST_SIZE]) {
        if (strlen(text) != 2 * DIGEST_SIZE)
                return false;
        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

                if (high < 0 || low < 0)
                        return false;
                out[i] = (uint8_t)(high << 4 | low);
        }
        return true;
}
