/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/text.h"

#include <string.h>

static const char *const kinds[] = {
        [REFUSAL_UPDATE] = "the update",
        [REFUSAL_PROCESS] = "one process",
        [REFUSAL_ADVICE] = "advice; it does not refuse",
};

void explain_list(FILE *to, unsigned which) {
        for (int i = 0; i < REFUSAL_N; i++) {
                const Refusal *r = refusal_get((RefusalCode)i);

                if (which & 1u << r->kind)
                        fprintf(to, "  %-19s %s\n", r->code, r->title);
        }
}

int explain_code(const char *code) {
        RefusalCode c = refusal_find(code);
        const Refusal *r = refusal_get(c);

        if (!r) {
                fputs("staunch: there is no code '", stderr);
                text_put(stderr, code);
                fputs("'. 'staunch explain' lists them.\n", stderr);
                return EXIT_USAGE;
        }
        printf("%s%s%s: %s\n\n", colour_begin(stdout, COLOUR_BOLD), r->code, colour_end(stdout), r->title);
        text_wrap(stdout, r->why, 2);
        printf("\nConcerns: %s.\nWhat to do:\n", kinds[r->kind]);
        text_wrap(stdout, r->remedy, 2);
        if (r->kind == REFUSAL_UPDATE)
                printf("\nWho knows better for a package may pass --accept %s to build or converge.\n",
                       r->code);
        return EXIT_DONE;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        int code = options_read(&o, self, 0, argc, argv);

        if (code >= 0)
                return code;
        if (argc - optind > 1)
                return usage_error(self, "one code at a time");
        if (optind < argc)
                return explain_code(argv[optind]);
        for (size_t kind = 0; kind < ELEMENTSOF(kinds); kind++) {
                printf("%sAbout %s:\n", kind ? "\n" : "", kinds[kind]);
                explain_list(stdout, 1u << kind);
        }
        return EXIT_DONE;
}

const Command command_explain = {
        .name = "explain",
        .arguments = "[CODE]",
        .summary = "Says what a refusal code means and what to do, or lists all codes",
        .help = "  -h, --help  this text\n",
        .run = run,
};
