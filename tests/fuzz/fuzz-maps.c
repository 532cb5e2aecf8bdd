/* SPDX-License-Identifier: Apache-2.0 */
/* What other processes tell: /proc/PID/maps, /proc/PID/cgroup, the header of a shadow. */
#include "apply/header.h"
#include "proc/list.h"
#include "proc/maps.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1), unit[32];
        Header h;
        Maps m;
        Error e;

        if (!text)
                abort();
        memcpy(text, data, size);
        text[size] = 0;
        process_unit(text, unit, sizeof(unit));
        if (strlen(unit) >= sizeof(unit))
                abort();
        if (maps_parse(text, size, &m, &e) == 0) {
                for (size_t i = 0; i < m.n; i++) {
                        const Mapping *x = &m.items[i];

                        if (x->start >= x->end || (i && m.items[i - 1].end > x->start) ||
                            maps_at(&m, x->start) != x || maps_at(&m, x->end - 1) != x ||
                            maps_vacant(&m, x->start, x->end) || strlen(x->path) > size)
                                abort();
                }
                maps_free(&m);
        }
        if (header_decode(data, size, &h) == 0) {
                uint8_t *again = calloc(1, header_size(&h));

                if (!again || header_size(&h) > size)
                        abort();
                header_encode(&h, again);
                free(again);
                header_free(&h);
        }
        free(text);
        return 0;
}
