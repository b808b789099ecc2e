/* The schema's text, memory, strings and errors; knows no keyword. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema_compiler.h"
#include "schema/schema_report.h"


#define SCHEMA_CHUNK  4096    /* bytes allocated at once */


struct schema_chunk_s {
    schema_chunk_t  *next;
    size_t           used;
    size_t           size;
    _Alignas(16) unsigned char  data[];
};


int
schema_take(schema_compiler_t *c, const char *text, size_t len)
{
    unsigned       column;
    schema_t      *schema = c->schema;
    json_error_t   bad;

    c->len = len;

    schema->text = malloc(len + 1);
    if (schema->text == NULL) {
        goto no_memory;
    }

    if (len > 0) {
        memcpy(schema->text, text, len);
    }

    if (json_parse(&schema->doc, schema->text, len, &bad) != 0) {
        json_position(schema->text, len, bad.offset, &c->err->line, &column);
        (void) snprintf(c->err->reason, sizeof(c->err->reason),
                        "not JSON: %s in column %u", bad.reason, column);
        return -1;
    }

    c->nodes = calloc(schema->doc.count, sizeof(schema_node_t *));
    if (c->nodes == NULL) {
        goto no_memory;
    }

    return 0;

no_memory:

    (void) snprintf(c->err->reason, sizeof(c->err->reason), "%s",
                    json_no_memory);
    return -1;
}


void *
schema_alloc(schema_compiler_t *c, size_t size)
{
    void            *p;
    size_t           room;
    schema_chunk_t  *chunk;

    size = (size + 15) & ~(size_t) 15;
    chunk = c->schema->chunks;

    if (chunk == NULL || chunk->size - chunk->used < size) {
        room = size > SCHEMA_CHUNK ? size : SCHEMA_CHUNK;

        chunk = calloc(1, sizeof(schema_chunk_t) + room);
        if (chunk == NULL) {
            (void) schema_refuse(c, 0, "%s", json_no_memory);
            return NULL;
        }

        chunk->size = room;
        chunk->next = c->schema->chunks;
        c->schema->chunks = chunk;
    }

    p = chunk->data + chunk->used;
    chunk->used += size;

    return p;
}


void
schema_chunks_free(schema_t *schema)
{
    schema_chunk_t  *chunk, *next;

    for (chunk = schema->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
}


char *
schema_decode(schema_compiler_t *c, uint32_t token, size_t *len)
{
    char                *text;
    const json_token_t  *t;

    t = schema_token(c, token);

    text = schema_alloc(c, (size_t) (t->end - t->start) + 1);
    if (text == NULL) {
        return NULL;
    }

    *len = json_unescape(&c->schema->doc, token, text);
    text[*len] = '\0';

    return text;
}


/* The path from the root to a token; each element of "way" is a step. */

static const schema_path_t *
schema_way(const json_doc_t *doc, uint32_t token, schema_path_t *way)
{
    uint32_t              at, i;
    const schema_path_t  *path;

    path = NULL;

    for (at = 0; at != token; at = i) {
        way->up = path;
        way->name = NULL;
        way->token = JSON_NONE;
        way->index = 0;
        i = at + 1;

        if (doc->tokens[at].type == JSON_OBJECT) {
            while (doc->tokens[i + 1].next <= token) {
                i = doc->tokens[i + 1].next;
            }

            way->token = i;
            i += i != token;

        } else {
            while (doc->tokens[i].next <= token) {
                i = doc->tokens[i].next;
                way->index++;
            }
        }

        path = way++;
    }

    return path;
}


int
schema_refuse(schema_compiler_t *c, uint32_t token, const char *fmt, ...)
{
    char           pointer[SCHEMA_POINTER_MAX], what[90], where[150];
    va_list        args;
    unsigned       column;
    schema_path_t  way[JSON_MAX_DEPTH];

    va_start(args, fmt);
    (void) vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);

    schema_pointer(&c->schema->doc, schema_way(&c->schema->doc, token, way),
                   pointer);
    (void) schema_printable(pointer, strlen(pointer), where, sizeof(where));

    (void) snprintf(c->err->reason, sizeof(c->err->reason), "\"%s\": %s",
                    where, what);

    json_position(c->schema->text, c->len, schema_token(c, token)->start,
                  &c->err->line, &column);

    return -1;
}
