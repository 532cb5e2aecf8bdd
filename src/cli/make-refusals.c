/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/refusals.md from src/base/refusal.def. */
#include "base/macro.h"
#include "base/refusal.h"

#include <stdio.h>

static const struct {
        RefusalKind kind;
        const char *title, *text;
} parts[] = {
        { REFUSAL_UPDATE, "About the update",
          "The pair of builds cannot be moved over, in no process. `--accept CODE` (build, converge) makes "
          "one of\n"
          "them not count, for who knows better about a package." },
        { REFUSAL_PROCESS, "About one process",
          "The update can be moved over, but not in this process, or not now." },
        { REFUSAL_ADVICE, "Advice", "These do not refuse: they stand beside a verdict." },
};

int main(void) {
        puts("# Refusal codes\n\n"
             "Made from `src/base/refusal.def` by `ninja -C build refusals`; do not edit. A code that was "
             "shipped\n"
             "never changes its name or meaning. `staunch explain CODE` prints the same text.");
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                printf("\n## %s\n\n%s\n", parts[i].title, parts[i].text);
                for (int code = 0; code < REFUSAL_N; code++) {
                        const Refusal *r = refusal_get((RefusalCode)code);

                        if (r->kind == parts[i].kind)
                                printf("\n### `%s`\n\n%c%s. %s\n\nWhat to do: %s\n", r->code,
                                       r->title[0] >= 'a' && r->title[0] <= 'z' ? r->title[0] - 'a' + 'A'
                                                                                : r->title[0],
                                       r->title + 1, r->why, r->remedy);
                }
        }
        return 0;
}
