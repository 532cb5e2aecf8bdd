/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/text.h"
#include "deliver/policy.h"

#include <string.h>

static void told(void *data, const char *text) {
        (void)data;
        text_put(stderr, text);
        fputc('\n', stderr);
}

static int check(const char *path) {
        Error e = { 0 };
        int n = policy_check(path, told, NULL, &e);

        if (n < 0)
                return report_error(&e);
        if (n == 0) {
                text_put(stdout, path);
                puts(": no mistake");
                return EXIT_DONE;
        }
        fprintf(stderr, "%d mistake%s.\n", n, plural((size_t)n));
        return EXIT_ERROR;
}

static int show_json(const Policy *p) {
        json_t *j = json_object(), *accept = json_array(), *exclude = json_array(), *hook = json_array();
        static const char *const by[] = { "unit", "user", "cgroup", "path" };

        for (size_t i = 0; i < p->n_exclude; i++)
                json_array_append_new(exclude, json_pack("{s:s, s:o}", "by", by[p->exclude[i].by], "pattern",
                                                         json_text(p->exclude[i].pattern)));
        for (size_t i = 0; i < p->n_accept; i++)
                json_array_append_new(accept,
                                      json_pack("{s:o, s:s}", "package", json_text(p->accept[i].package),
                                                "code", refusal_get(p->accept[i].code)->code));
        json_object_set_new(j, "patch_mode", json_string(patch_mode_text(p->mode)));
        json_object_set_new(j, "safe_point_deadline_usec", json_integer((json_int_t)p->deadline_usec));
        json_object_set_new(j, "unresponsive_after_usec", json_integer((json_int_t)p->unresponsive_usec));
        json_object_set_new(j, "scan_interval_sec", json_integer(p->scan_sec));
        json_object_set_new(j, "package_restarts", json_string(p->hold_restarts ? "hold" : "allow"));
        json_object_set_new(j, "exclude", exclude);
        json_object_set_new(j, "accept", accept);
        for (size_t i = 0; i < p->n_hook; i++) {
                json_t *command = json_array();

                for (const char *const *word = p->hook[i].command; *word; word++)
                        json_array_append_new(command, json_text(*word));
                json_array_append_new(hook, json_pack("{s:o, s:o, s:I}", "command", command, "user",
                                                      json_text(p->hook[i].user), "timeout_usec",
                                                      (json_int_t)p->hook[i].timeout_usec));
        }
        json_object_set_new(j, "hook", hook);
        json_object_set_new(j, "windows", json_integer((json_int_t)p->n_window));
        json_object_set_new(j, "drains", json_integer((json_int_t)p->n_drain));
        json_object_set_new(j, "reboot", json_string(reboot_setting_text(p->restart.reboot)));
        json_object_set_new(j, "restart_timeout_sec", json_integer(p->restart.timeout_sec));
        json_object_set_new(j, "automatic_rollback", json_boolean(p->automatic_rollback));
        return json_print(j);
}

static int show(const char *path, bool as_json) {
        Policy p;
        Error e = { 0 };
        int code = EXIT_DONE;

        if (policy_load(path, &p, &e) < 0)
                return report_error(&e);
        if (as_json) {
                code = show_json(&p);
        } else {
                printf("patch_mode            %s\nsafe_point_deadline   %g s\nunresponsive_after    %g "
                       "s\nscan_interval         %u s\n"
                       "package_restarts      %s\n"
                       "reboot                %s\nautomatic_rollback    %s\n%zu excluded, %zu accepted, %zu "
                       "hooks\n",
                       patch_mode_text(p.mode), (double)p.deadline_usec / 1e6,
                       (double)p.unresponsive_usec / 1e6, p.scan_sec, p.hold_restarts ? "hold" : "allow",
                       reboot_setting_text(p.restart.reboot), p.automatic_rollback ? "true" : "false",
                       p.n_exclude, p.n_accept, p.n_hook);
        }
        policy_free(&p);
        return code;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        int code = options_read(&o, self, TAKES_JSON, argc, argv);
        const char *what = optind < argc ? argv[optind] : "",
                   *path = optind + 1 < argc ? argv[optind + 1] : POLICY_FILE;

        if (code >= 0)
                return code;
        if (argc - optind > 2)
                return usage_error(self, "one file at a time");
        if (strcmp(what, "check") == 0)
                return check(path);
        if (strcmp(what, "show") == 0)
                return show(path, o.json);
        return usage_error(self, "'check' or 'show'?");
}

const Command command_config = {
        .name = "config",
        .arguments = "check|show [FILE]",
        .summary = "Checks the agent's policy, or shows what is in force",
        .help = "FILE is " POLICY_FILE " unless given; FILE.d/*.toml are read after it.\n\n"
                "      --json          print JSON (show)\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 no mistake, 1 a mistake (each is printed with its file and line), 2 usage.\n",
        .run = run,
};
