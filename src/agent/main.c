/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "agent/child.h"
#include "base/macro.h"
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void help(void) {
        puts("Usage: staunchd [OPTION]...\n\n"
             "Keeps this machine's processes current: watches for replaced programs and libraries and moves "
             "the\n"
             "processes that run the old ones to the new. It runs until it is told to end (SIGTERM); SIGHUP "
             "reads\n"
             "the policy again.\n\n"
             "      --config FILE   policy (default " POLICY_FILE ")\n"
             "      --state DIR     what it remembers (default /var/lib/staunch)\n"
             "      --runtime DIR   sockets and lock (default /run/staunch)\n"
             "      --events FILE   events, where there is no journal (default " EVENT_FILE ")\n"
             "      --root DIR      only images below DIR\n"
             "      --version       print the version\n"
             "  -h, --help          this text\n\n"
             "Exit code: 0 it was told to end, 1 error, 2 usage.");
}

static int make_folder(const char *path, mode_t mode) {
        if (mkdir(path, mode) < 0 && errno != EEXIST) {
                child_log(LOG_ERR, "%s: %s", path, strerror(errno));
                return -1;
        }
        return 0;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },  { "state", required_argument, NULL, 's' },
                { "runtime", required_argument, NULL, 'r' }, { "events", required_argument, NULL, 'e' },
                { "root", required_argument, NULL, 'R' },    { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },          { 0 },
        };
        AgentOptions o = { .config = POLICY_FILE,
                           .state = "/var/lib/staunch",
                           .runtime = "/run/staunch",
                           .events = EVENT_FILE };
        Error e = { 0 };
        char *slash;
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
                switch (c) {
                case 'c':
                        o.config = optarg;
                        break;
                case 's':
                        o.state = optarg;
                        break;
                case 'r':
                        o.runtime = optarg;
                        break;
                case 'e':
                        o.events = optarg;
                        break;
                case 'R':
                        o.root = optarg;
                        break;
                case 'V':
                        puts("staunchd " STAUNCH_VERSION);
                        return EXIT_SUCCESS;
                case 'h':
                        help();
                        return EXIT_SUCCESS;
                default:
                        return 2;
                }
        if (optind != argc) {
                fprintf(stderr, "staunchd: it takes no operand; see --help\n");
                return 2;
        }
        if (make_folder(o.state, 0700) < 0 || make_folder(o.runtime, 0755) < 0)
                return EXIT_FAILURE;
        slash = strrchr(o.events, '/');
        if (slash && slash != o.events) {
                _cleanup_(freep) char *folder = strndup(o.events, (size_t)(slash - o.events));

                make_folder(folder, 0750);
        }
        if (agent_run(&o, &e) < 0) {
                child_log(LOG_ERR, "%s", e.text);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
