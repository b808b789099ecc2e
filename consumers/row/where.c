/* The filter "where": which records become rows at all. */

#include <stdio.h>
#include <stdlib.h>

#include "record/headers.h"
#include "row/number.h"
#include "row/where.h"


/* A value that "in" lists. */
typedef struct {
    json_type_t   type;
    char         *text;      /* of a string or, canonical, of a number */
    size_t        len;
} row_choice_t;


struct row_where_s {
    const conf_where_t  *conf;
    uint32_t             slot;
    row_choice_t        *choices;
    size_t               nchoices;
    buf_t                number;      /* working memory */
};


static int row_where_values(row_where_t *where, const json_doc_t *doc);
static int row_where_token(row_where_t *where, const json_doc_t *doc,
    uint32_t token);
static bool row_where_header(const row_where_t *where,
    const record_header_t *header);


row_where_t *
row_where_create(const conf_where_t *conf, row_paths_t *paths, char *reason,
    size_t size)
{
    int           rc;
    json_doc_t    doc;
    row_where_t  *where;
    json_error_t  err;

    where = calloc(1, sizeof(row_where_t));
    if (where == NULL) {
        return NULL;
    }

    memset(&doc, 0, sizeof(json_doc_t));
    where->conf = conf;
    where->slot = conf->pointer ? row_path_add(paths, conf->pointer) : 0;
    rc = where->slot == JSON_NONE ? -1 : 0;

    if (rc == 0 && conf->kind == CONF_WHERE_IN) {
        rc = json_parse(&doc, conf->values, strlen(conf->values), &err);

        if (rc == 0) {
            rc = row_where_values(where, &doc);
        } else {
            snprintf(reason, size, "\"where\": %s", err.reason);
        }
    }

    json_doc_free(&doc);

    if (rc == -1) {
        row_where_free(where);
        return NULL;
    }

    return where;
}


static int
row_where_values(row_where_t *where, const json_doc_t *doc)
{
    uint32_t             i;
    const char          *s;
    row_choice_t        *choice;
    const json_token_t  *t;

    where->choices = calloc(doc->count, sizeof(row_choice_t));
    if (where->choices == NULL) {
        return -1;
    }

    for (i = 1; i < doc->count; i = doc->tokens[i].next) {
        t = &doc->tokens[i];
        choice = &where->choices[where->nchoices++];
        choice->type = (json_type_t) t->type;
        s = doc->text + t->start;
        choice->len = t->end - t->start;

        if (t->type == JSON_NUMBER
            && row_canonical(&s, &choice->len, &where->number) != 0)
        {
            return -1;
        }

        choice->text = malloc(choice->len + 1);
        if (choice->text == NULL) {
            return -1;
        }

        if (t->type == JSON_STRING) {
            choice->len = json_unescape(doc, i, choice->text);
        } else {
            memcpy(choice->text, s, choice->len);
        }
    }

    return 0;
}


void
row_where_free(row_where_t *where)
{
    size_t  i;

    if (where == NULL) {
        return;
    }

    for (i = 0; i < where->nchoices; i++) {
        free(where->choices[i].text);
    }

    buf_free(&where->number);
    free(where->choices);
    free(where);
}


int
row_where(row_where_t *where, const row_ctx_t *ctx, const row_paths_t *paths)
{
    bool                    exists;
    uint32_t                token;
    const record_header_t  *header;

    header = NULL;
    token = JSON_NONE;

    if (where->conf->pointer) {
        token = paths->found[where->slot];
        exists = token != JSON_NONE;

    } else {
        header = headers_find(ctx->record, where->conf->header);
        exists = header != NULL;
    }

    if (where->conf->kind != CONF_WHERE_IN) {
        return exists == (where->conf->kind == CONF_WHERE_EXISTS);
    }

    return !exists ? 0
           : header ? row_where_header(where, header)
           : row_where_token(where, &ctx->doc, token);
}


static int
row_where_token(row_where_t *where, const json_doc_t *doc, uint32_t token)
{
    size_t               i, len;
    const char          *s;
    const row_choice_t  *choice;
    const json_token_t  *t;

    t = &doc->tokens[token];
    s = doc->text + t->start;
    len = t->end - t->start;

    if (t->type == JSON_NUMBER && row_canonical(&s, &len, &where->number) != 0)
    {
        return -1;
    }

    for (i = 0; i < where->nchoices; i++) {
        choice = &where->choices[i];

        if (choice->type == t->type
            && (t->type == JSON_STRING
                ? json_equals(doc, token, choice->text, choice->len)
                : choice->len == len && memcmp(choice->text, s, len) == 0))
        {
            return 1;
        }
    }

    return 0;
}


static bool
row_where_header(const row_where_t *where, const record_header_t *header)
{
    size_t               i;
    const row_choice_t  *choice;

    for (i = 0; i < where->nchoices; i++) {
        choice = &where->choices[i];

        if (header->value == NULL ? choice->type == JSON_NULL
            : choice->type == JSON_STRING && choice->len == header->len
              && memcmp(choice->text, header->value, header->len) == 0)
        {
            return true;
        }
    }

    return false;
}
