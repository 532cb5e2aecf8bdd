/* SPDX-License-Identifier: Apache-2.0 */
/* The only C++ here: toml++ behind a C interface. Nothing of it, no exception either, leaves this file. */
#include "deliver/toml.h"

#include <cerrno>
#include <cstring>
#include <new>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

static void convert(const toml::node &from, const char *key, Arena *a, TomlNode *to) {
        const toml::source_position at = from.source().begin;

        *to = TomlNode{};
        to->key = key;
        to->line = at.line;
        to->column = at.column;
        if (const toml::table *t = from.as_table()) {
                TomlNode *items = static_cast<TomlNode *>(arena_array(a, t->size(), sizeof(TomlNode)));

                to->type = TOML_TABLE;
                for (auto &&[k, v] : *t) {
                        const std::string_view name = k.str();
                        char *copy = static_cast<char *>(arena_alloc(a, name.size() + 1));

                        std::memcpy(copy, name.data(), name.size());
                        convert(v, copy, a, &items[to->n]);
                        items[to->n].line = k.source().begin.line;
                        items[to->n].column = k.source().begin.column;
                        to->n++;
                }
                to->items = items;
        } else if (const toml::array *array = from.as_array()) {
                TomlNode *items = static_cast<TomlNode *>(arena_array(a, array->size(), sizeof(TomlNode)));

                to->type = TOML_ARRAY;
                for (const toml::node &v : *array)
                        convert(v, "", a, &items[to->n++]);
                to->items = items;
        } else if (auto s = from.as_string()) {
                to->type = TOML_STRING;
                to->string = arena_strdup(a, s->get().c_str());
                /* A NUL inside would end it early for everyone who reads it. */
                if (std::strlen(to->string) != s->get().size())
                        to->type = TOML_DATE_TIME;
        } else if (auto i = from.as_integer()) {
                to->type = TOML_INTEGER;
                to->integer = i->get();
                to->number = static_cast<double>(i->get());
        } else if (auto f = from.as_floating_point()) {
                to->type = TOML_FLOAT;
                to->number = f->get();
        } else if (auto b = from.as_boolean()) {
                to->type = TOML_BOOLEAN;
                to->boolean = b->get();
        } else {
                to->type = TOML_DATE_TIME;
        }
}

int toml_parse_text(const char *name, const void *bytes, size_t size, Arena *arena, const TomlNode **out, Error *e) {
        TomlNode *root;

        if (size > TOML_MAX)
                return error_set(e, -EFBIG, "%s: more than %d bytes", name, TOML_MAX);
        toml::parse_result result = toml::parse(std::string_view(static_cast<const char *>(bytes), size));
        if (!result) {
                const toml::parse_error &error = result.error();
                const std::string_view text = error.description();

                return error_set(e, -EINVAL, "%s:%u:%u: %.*s", name, error.source().begin.line,
                                 error.source().begin.column, static_cast<int>(text.size()), text.data());
        }
        root = static_cast<TomlNode *>(arena_alloc(arena, sizeof(TomlNode)));
        convert(result.table(), "", arena, root);
        *out = root;
        return 0;
}

const TomlNode *toml_get(const TomlNode *table, const char *key) {
        for (size_t i = 0; i < table->n; i++)
                if (std::strcmp(table->items[i].key, key) == 0)
                        return &table->items[i];
        return nullptr;
}

const char *toml_type_text(TomlType t) {
        static const char *const names[] = { "a table", "an array", "a string", "an integer",
                                             "a number", "a boolean", "a date or a string with a NUL in it" };

        return names[t];
}
