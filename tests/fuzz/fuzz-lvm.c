/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of lvs. */
#include "snapshot/lvm.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        json_t *rows = NULL;
        const json_t *row;
        size_t i;
        Error e;

        if (lvm_parse((const char *)data, size, &rows, &e) == 0)
                json_array_foreach(rows, i, row) {
                        if (!json_string_length(json_object_get(row, "lv_full_name")) ||
                            !json_string_length(json_object_get(row, "lv_uuid")))
                                __builtin_trap();
                }
        json_decref(rows);
        return 0;
}
