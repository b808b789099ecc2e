/* The filter: which records become rows at all. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/headers.h"
#include "row/row_impl.h"
#include "schema/schema.h"


/* A value of "in"; numbers are the schema's. */
typedef struct {
    json_type_t   type;
    char         *text;      /* of a string, decoded */
    size_t        len;
} row_choice_t;


struct row_where_s {
    const conf_where_t  *conf;
    uint32_t             slot;
    row_choice_t        *choices;
    size_t               nchoices;
    schema_t            *numbers;    /* { "enum": [...] }, or NULL */
};


static int row_where_values(row_plan_t *plan, row_where_t *where,
    char *reason, size_t size);
static bool row_where_token(row_plan_t *plan, const row_where_t *where);
static bool row_where_header(const row_where_t *where,
    const record_t *record);


int
row_where_ready(row_plan_t *plan, char *reason, size_t size)
{
    row_where_t         *where;
    const conf_where_t  *conf;

    conf = plan->spec.where;

    if (conf == NULL || (conf->pointer == NULL && conf->header == NULL)) {
        return 0;
    }

    where = calloc(1, sizeof(row_where_t));
    if (where == NULL) {
        return -1;
    }

    plan->where = where;
    where->conf = conf;

    if (conf->pointer) {
        plan->parse = true;
        where->slot = row_path_add(plan, conf->pointer);
        if (where->slot == JSON_NONE) {
            return -1;
        }
    }

    return conf->kind == CONF_WHERE_IN
           ? row_where_values(plan, where, reason, size) : 0;
}


static int
row_where_values(row_plan_t *plan, row_where_t *where, char *reason,
    size_t size)
{
    buf_t                schema;
    uint32_t             i, n;
    json_doc_t          *doc;
    row_choice_t        *choice;
    json_error_t         err;
    schema_error_t       wrong;
    const json_token_t  *t;

    doc = &plan->doc;

    if (json_parse(doc, where->conf->values, strlen(where->conf->values),
                   &err)
        == -1)
    {
        snprintf(reason, size, "\"where\": %s", err.reason);
        return -1;
    }

    where->choices = calloc(doc->count, sizeof(row_choice_t));
    if (where->choices == NULL) {
        return -1;
    }

    memset(&schema, 0, sizeof(buf_t));
    n = 0;

    for (i = 1; i < doc->count; i = doc->tokens[i].next) {
        t = &doc->tokens[i];

        if (t->type == JSON_NUMBER) {
            buf_addf(&schema, "%s%.*s", n++ ? "," : "{\"enum\":[",
                     (int) (t->end - t->start), doc->text + t->start);
            continue;
        }

        choice = &where->choices[where->nchoices++];
        choice->type = (json_type_t) t->type;

        if (t->type == JSON_STRING) {
            choice->text = malloc(t->end - t->start + 1);
            if (choice->text == NULL) {
                buf_free(&schema);
                return -1;
            }
            choice->len = json_unescape(doc, i, choice->text);
        }
    }

    if (n == 0) {
        return 0;
    }

    buf_addf(&schema, "]}");

    if (buf_failed(&schema)) {
        return -1;
    }

    where->numbers = schema_compile(schema.data, schema.len, &wrong);
    buf_free(&schema);

    if (where->numbers == NULL) {
        snprintf(reason, size, "\"where\": %s", wrong.reason);
        return -1;
    }

    return 0;
}


void
row_where_free(row_plan_t *plan)
{
    size_t  i;

    if (plan->where == NULL) {
        return;
    }

    for (i = 0; i < plan->where->nchoices; i++) {
        free(plan->where->choices[i].text);
    }

    free(plan->where->choices);
    schema_free(plan->where->numbers);
    free(plan->where);
}


bool
row_where(row_plan_t *plan, const record_t *record)
{
    return plan->where->conf->pointer ? row_where_token(plan, plan->where)
                                      : row_where_header(plan->where, record);
}


static bool
row_where_token(row_plan_t *plan, const row_where_t *where)
{
    size_t               i;
    uint32_t             token;
    schema_violation_t   violation;
    const row_choice_t  *choice;
    const json_token_t  *t;

    token = plan->found[where->slot];

    if (where->conf->kind != CONF_WHERE_IN) {
        return (token != JSON_NONE)
               == (where->conf->kind == CONF_WHERE_EXISTS);
    }

    if (token == JSON_NONE) {
        return false;
    }

    t = &plan->doc.tokens[token];

    if (t->type == JSON_NUMBER) {
        return where->numbers
               && schema_check(where->numbers, &plan->doc, token, &violation)
                  == 0;
    }

    for (i = 0; i < where->nchoices; i++) {
        choice = &where->choices[i];

        if (choice->type == t->type
            && (t->type != JSON_STRING
                || json_equals(&plan->doc, token, choice->text, choice->len)))
        {
            return true;
        }
    }

    return false;
}


static bool
row_where_header(const row_where_t *where, const record_t *record)
{
    size_t                 i;
    const row_choice_t    *choice;
    const record_header_t  *header;

    header = headers_find(record, where->conf->header);

    if (where->conf->kind != CONF_WHERE_IN) {
        return (header != NULL) == (where->conf->kind == CONF_WHERE_EXISTS);
    }

    if (header == NULL) {
        return false;
    }

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
