#include "http1/fields.h"

#include <routed/error.h>

/* A token's bytes in lower case; 0 for every byte that no token has. */
/* clang-format off */
static const uint8_t lower_token[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*',
    ['+'] = '+', ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`', ['|'] = '|',
    ['~'] = '~',
    ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',
    ['7'] = '7', ['8'] = '8', ['9'] = '9',
    ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g',
    ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n',
    ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u',
    ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',
    ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g',
    ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n',
    ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u',
    ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};
/* clang-format on */

static int draw(struct http1_allowance *allowance, size_t name_size, size_t value_size)
{
    size_t cost = name_size + value_size + HTTP1_FIELD_OVERHEAD;
    if (allowance->count == 0)
        return ROUTED_ERROR_FIELDS_TOO_MANY;
    if (allowance->bytes < cost)
        return ROUTED_ERROR_FIELDS_TOO_LARGE;
    allowance->count--;
    allowance->bytes -= cost;
    return ROUTED_OK;
}

/* Copies the name in lower case; false when a byte is not allowed in one. */
static bool copy_name(uint8_t *copy, struct span name)
{
    for (size_t i = 0; i < name.size; i++)
        if (!(copy[i] = lower_token[name.data[i]]))
            return false;
    return name.size > 0;
}

int http1_fields_parse(struct span line, struct arena *arena, struct http1_allowance *allowance,
                       struct field *field)
{
    const uint8_t *colon = line.size ? memchr(line.data, ':', line.size) : NULL;
    if (!colon)
        return ROUTED_ERROR_FIELD_SYNTAX;
    struct span name = span_of(line.data, (size_t)(colon - line.data));
    struct span value = span_trim(span_after(line, name.size + 1));
    int error = draw(allowance, name.size, value.size);
    if (error)
        return error;
    uint8_t *copy = arena_new(arena, name.size + value.size);
    if (!copy)
        return ROUTED_ERROR_MEMORY;
    if (!copy_name(copy, name))
        return ROUTED_ERROR_FIELD_SYNTAX;
    if (value.size)
        memcpy(copy + name.size, value.data, value.size);
    field->text = span_of(copy, name.size);
    field->value = span_of(copy + name.size, value.size);
    field->name = field_lookup(field->text);
    return ROUTED_OK;
}
