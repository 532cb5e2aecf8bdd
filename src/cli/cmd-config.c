/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/policy-tree.h"
#include "cli/text.h"
#include "deliver/policy.h"

#include <errno.h>
#include <string.h>

static void told(void *data, const char *text) {
        (void)data;
        text_put(stderr, text);
        fputc('\n', stderr);
}

/* A file that is named has to be there, itself or its drop-ins; without the usual one the defaults are in
 * force. */
static int missing(const char *path, Error *e) {
        return policy_is_there(path) ? 0 : error_set(e, -ENOENT, "%s: no such file, and no %s.d", path, path);
}

static int check(const char *path) {
        Error e = { 0 };
        int n = policy_check(path, true, told, NULL, &e);

        if (n < 0)
                return report_error(&e);
        if (n == 0) {
                text_put(stdout, path);
                puts(policy_is_there(path) ? ": no mistake"
                                           : ": there is no policy; the defaults are in force");
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
        json_object_set_new(j, "package_wait_sec", json_integer(p->package_wait_sec));
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
        json_object_set_new(j, "policy", policy_tree(p));
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
                json_t *tree = policy_tree(&p);

                policy_tree_print(tree, stdout);
                json_decref(tree);
        }
        policy_free(&p);
        return code;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        Error e = { 0 };
        int code = options_read(&o, self, TAKES_JSON, argc, argv);
        const char *what = optind < argc ? argv[optind] : "",
                   *path = optind + 1 < argc ? argv[optind + 1] : POLICY_FILE;

        if (code >= 0)
                return code;
        if (argc - optind > 2)
                return usage_error(self, "one file at a time");
        if (strcmp(what, "check") == 0)
                return optind + 1 < argc && missing(path, &e) < 0 ? report_error(&e) : check(path);
        if (strcmp(what, "show") == 0)
                return show(path, o.json);
        return usage_error(self, "'check' or 'show'?");
}

const Command command_config = {
        .name = "config",
        .arguments = "check|show [FILE]",
        .summary = "Checks the agent's policy, or shows what is in force",
        .help = "FILE is " POLICY_FILE " unless given; FILE.d/*.toml are read after it.\n"
                "show prints all of it, defaults included, as one file that means the same.\n\n"
                "      --json          print JSON (show)\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 no mistake, 1 a mistake (each is printed with its file and line), 2 usage.\n",
        .run = run,
};
