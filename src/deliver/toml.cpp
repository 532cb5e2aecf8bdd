/* SPDX-License-Identifier: Apache-2.0 */
/* The only C++ here: toml++ behind a C interface. Nothing of it, no exception either, leaves this file. */
#include "deliver/toml.h"

#include <cerrno>
#include <cstring>
#include <new>

/* It asserts where a document is wrong in some ways ("[!]"): that is thrown as well. Without exceptions it
 * goes on behind a mistake, into more of them. */
namespace {
struct Asserted {};
[[noreturn]] void asserted() {
        throw Asserted();
}
} // namespace
#define TOML_ASSERT(expression) ((expression) ? (void)0 : asserted())
#define TOML_EXCEPTIONS 1
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

/* The line at which an assertion is met: the last of the shortest beginning of the document that meets it. */
static unsigned asserted_line(std::string_view text) {
        unsigned low = 1, high = 1;

        for (const char c : text)
                high += c == '\n';
        while (low < high) {
                const unsigned middle = low + (high - low) / 2;
                size_t end = 0;

                for (unsigned line = 0; line < middle; line++)
                        end = text.find('\n', end) + 1;
                try {
                        (void)toml::parse(text.substr(0, end));
                        low = middle + 1;
                } catch (const Asserted &) {
                        high = middle;
                } catch (const toml::parse_error &) {
                        low = middle + 1; /* cut in the middle of a text */
                }
        }
        return low;
}

int toml_parse_text(const char *name, const void *bytes, size_t size, Arena *arena, const TomlNode **out,
                    Error *e) {
        TomlNode *root;

        if (size > TOML_MAX)
                return error_set(e, -EFBIG, "%s: more than %d bytes", name, TOML_MAX);
        const std::string_view document(static_cast<const char *>(bytes), size);
        try {
                const toml::table table = toml::parse(document);

                root = static_cast<TomlNode *>(arena_alloc(arena, sizeof(TomlNode)));
                convert(table, "", arena, root);
        } catch (const toml::parse_error &error) {
                const std::string_view text = error.description();

                return error_set(e, -EINVAL, "%s:%u:%u: %.*s", name, error.source().begin.line,
                                 error.source().begin.column, static_cast<int>(text.size()), text.data());
        } catch (const Asserted &) {
                return error_set(e, -EINVAL, "%s:%u: not TOML", name, asserted_line(document));
        } catch (const std::bad_alloc &) {
                return error_set(e, -ENOMEM, "%s: out of memory", name);
        }
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
        static const char *const names[] = { "a table",
                                             "an array",
                                             "a string",
                                             "an integer",
                                             "a number",
                                             "a boolean",
                                             "a date or a string with a NUL in it" };

        return names[t];
}
