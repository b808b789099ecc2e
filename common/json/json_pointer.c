/* JSON Pointer (RFC 6901) over tokens, and positions for messages. */

#include <stdlib.h>

#include "json/json_impl.h"


struct json_pointer_s {
    uint32_t  count;
    struct {
        const char  *name;
        size_t       len;
        uint32_t     index;    /* JSON_NONE: not an array index */
    } refs[];
};


static uint32_t json_index(const char *name, size_t len);
static uint32_t json_element(const json_doc_t *doc, uint32_t array,
    uint32_t index);


json_pointer_t *
json_pointer_compile(const char *pointer, size_t len, const char **reason)
{
    char            *out;
    size_t           count, size, i;
    json_pointer_t  *compiled;

    if (len > 0 && pointer[0] != '/') {
        *reason = "JSON Pointer does not start with \"/\"";
        return NULL;
    }

    if (len > JSON_MAX_LEN) {
        *reason = "JSON Pointer is too long";
        return NULL;
    }

    for (count = 0, i = 0; i < len; i++) {
        count += pointer[i] == '/';

        if (pointer[i] == '~'
            && (i + 1 == len
                || (pointer[i + 1] != '0' && pointer[i + 1] != '1')))
        {
            *reason = "\"~\" in a JSON Pointer is not followed by 0 or 1";
            return NULL;
        }
    }

    size = sizeof(json_pointer_t) + count * sizeof(compiled->refs[0]);

    compiled = malloc(size + len);
    if (compiled == NULL) {
        *reason = json_no_memory;
        return NULL;
    }

    out = (char *) compiled + size;
    compiled->count = 0;

    for (i = 0; i < len; i++) {

        if (pointer[i] == '/') {
            compiled->refs[compiled->count].name = out;
            compiled->refs[compiled->count].len = 0;
            compiled->count++;
            continue;
        }

        if (pointer[i] == '~') {
            *out++ = pointer[++i] == '0' ? '~' : '/';

        } else {
            *out++ = pointer[i];
        }

        compiled->refs[compiled->count - 1].len++;
    }

    for (i = 0; i < count; i++) {
        compiled->refs[i].index = json_index(compiled->refs[i].name,
                                             compiled->refs[i].len);
    }

    return compiled;
}


void
json_pointer_free(json_pointer_t *pointer)
{
    free(pointer);
}


char *
json_pointer_escape(char *p, const char *name, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (name[i] == '~' || name[i] == '/') {
            *p++ = '~';
            *p++ = name[i] == '~' ? '0' : '1';
        } else {
            *p++ = name[i];
        }
    }

    return p;
}


static uint32_t
json_index(const char *name, size_t len)
{
    size_t    i;
    uint64_t  index;

    if (len == 0 || len > 10 || (len > 1 && name[0] == '0')) {
        return JSON_NONE;
    }

    for (index = 0, i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return JSON_NONE;
        }

        index = index * 10 + (uint64_t) (name[i] - '0');
    }

    return index < JSON_NONE ? (uint32_t) index : JSON_NONE;
}


uint32_t
json_pointer_count(const json_pointer_t *pointer)
{
    return pointer->count;
}


const char *
json_pointer_ref(const json_pointer_t *pointer, uint32_t i, size_t *len,
    uint32_t *index)
{
    *len = pointer->refs[i].len;
    *index = pointer->refs[i].index;

    return pointer->refs[i].name;
}


uint32_t
json_find(const json_doc_t *doc, uint32_t root, const json_pointer_t *pointer)
{
    uint32_t  i;

    for (i = 0; i < pointer->count && root != JSON_NONE; i++) {

        if (doc->tokens[root].type == JSON_ARRAY) {
            root = json_element(doc, root, pointer->refs[i].index);

        } else {
            root = json_member(doc, root, pointer->refs[i].name,
                               pointer->refs[i].len);
        }
    }

    return root;
}


uint32_t
json_member(const json_doc_t *doc, uint32_t object, const char *name,
    size_t len)
{
    uint32_t  i, end;

    if (object == JSON_NONE || doc->tokens[object].type != JSON_OBJECT) {
        return JSON_NONE;
    }

    end = doc->tokens[object].next;

    for (i = object + 1; i < end; i = doc->tokens[i + 1].next) {
        if (json_equals(doc, i, name, len)) {
            return i + 1;
        }
    }

    return JSON_NONE;
}


static uint32_t
json_element(const json_doc_t *doc, uint32_t array, uint32_t index)
{
    uint32_t  i, end;

    if (index == JSON_NONE) {
        return JSON_NONE;
    }

    end = doc->tokens[array].next;

    for (i = array + 1; i < end; i = doc->tokens[i].next) {
        if (index-- == 0) {
            return i;
        }
    }

    return JSON_NONE;
}


void
json_position(const char *text, size_t len, size_t offset, unsigned *line,
    unsigned *column)
{
    size_t  i, start;

    if (offset > len) {
        offset = len;
    }

    *line = 1;

    for (start = 0, i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            (*line)++;
            start = i + 1;
        }
    }

    *column = (unsigned) (offset - start) + 1;
}
