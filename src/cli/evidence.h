/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/cli.h"
#include "evidence/exposure.h"

/* What the commands cve and report have in common. */

/* Reads what the options ask for. EXIT_DONE, or the exit code after an error, which was reported. */
int evidence_read(const Options *o, const char *cve, bool read_back, Exposure *out);
/* The exit code that the answer stands for. */
int evidence_code(const Exposure *x);
/* A table: one line a CVE and package. */
void evidence_table(const Exposure *x);
/* What was not looked at or could not be told, for people, on standard error. */
void evidence_remarks(const Exposure *x);
