/* State, working memory and verdicts of a check; knows no keyword. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/schema_checker.h"


#define SCHEMA_WARM  (1024 * 1024)    /* bytes of each buffer kept */


const char  schema_too_costly[] = "too costly to check";


int
schema_violate(schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *fmt, ...)
{
    va_list  args;

    if (c->quiet) {
        return SCHEMA_VIOLATES;
    }

    schema_pointer(c->doc, path, c->violation->pointer);
    c->violation->keyword = keyword;

    va_start(args, fmt);
    (void) vsnprintf(c->violation->reason, sizeof(c->violation->reason), fmt,
                     args);
    va_end(args);

    return SCHEMA_VIOLATES;
}


int
schema_stop(schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *reason)
{
    c->quiet = 0;
    (void) schema_violate(c, keyword, path, "%s", reason);

    return SCHEMA_STOPS;
}


const char *
schema_text(schema_scratch_t *work, const json_doc_t *doc, uint32_t token,
    size_t *len)
{
    char                *text;
    size_t               size;
    const json_token_t  *t = &doc->tokens[token];

    size = t->end - t->start;

    if (!t->escaped) {
        *len = size;
        return doc->text + t->start;
    }

    if (work->size < size) {
        text = realloc(work->text, size * 2);
        if (text == NULL) {
            return NULL;
        }

        work->text = text;
        work->size = size * 2;
    }

    *len = json_unescape(doc, token, work->text);

    return work->text;
}


schema_slot_t *
schema_slots(schema_scratch_t *work, uint32_t n, uint32_t *mask)
{
    size_t          i, size;
    schema_slot_t  *slots;

    for (size = 16; size < 2 * (size_t) n; size *= 2) {
        /* void */
    }

    if (work->nslots < size) {
        slots = malloc(size * sizeof(schema_slot_t));
        if (slots == NULL) {
            return NULL;
        }

        free(work->slots);
        work->slots = slots;
        work->nslots = size;
    }

    for (i = 0; i < size; i++) {
        work->slots[i].token = JSON_NONE;
    }

    *mask = (uint32_t) size - 1;

    return work->slots;
}


void
schema_scratch_trim(schema_scratch_t *work)
{
    if (work->size > SCHEMA_WARM) {
        free(work->text);
        work->text = NULL;
        work->size = 0;
    }

    if (work->nslots > SCHEMA_WARM / sizeof(schema_slot_t)) {
        free(work->slots);
        work->slots = NULL;
        work->nslots = 0;
    }
}


void
schema_scratch_free(schema_scratch_t *work)
{
    free(work->text);
    free(work->slots);
}
