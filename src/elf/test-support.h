/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "elf/image.h"

/* The command line's fixtures: the path that ends with /`name`, or NULL when it was not built. */
void fixtures_set(int argc, char **argv);
const char *fixture_path(const char *name);
/* Opens a fixture; skips the test when it was not built here. */
Image *fixture_open(const char *name);

/* A copy that image_parse can take over. */
FileBytes file_copy(const uint8_t *bytes, size_t size);

const ImageSymbol *find_symbol(const ImageSymbol *symbols, size_t n, const char *name, const char *version);
