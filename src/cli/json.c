/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json.h"
#include "cli/cli.h"

#include <stdio.h>

int json_print(json_t *j) {
        int r = j ? json_dumpf(j, stdout, JSON_INDENT(2)) : -1;

        json_decref(j);
        if (r < 0) {
                fputs("staunch: JSON output failed\n", stderr);
                return EXIT_ERROR;
        }
        putchar('\n');
        return EXIT_DONE;
}
