/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of HAProxy's runtime API. */
#include "deliver/haproxy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1);
        HaproxyServer s = { 0 };
        Error e;

        if (!text)
                abort();
        memcpy(text, data, size);
        text[size] = 0;
        if (haproxy_parse_stat(text, "b/s1", &s, &e) == 0 && strlen(s.status) >= sizeof(s.status))
                abort();
        haproxy_parse_state(text, "b/s1", &s, &e);
        free(text);
        return 0;
}
