/* The elements of an array of the record become rows: "each". */

#include "row/json.h"
#include "row/row_impl.h"


static int row_elements_of(row_plan_t *plan, uint32_t array, bool *tuple,
    buf_t *ends);
static int row_element_fault(row_ctx_t *ctx);


/*
 * A row that has to be a line makes lines of all: the rows of a record are of
 * one format, so that one COPY has them.
 */

int
row_each(row_plan_t *plan, const record_t *record, bool *tuple, buf_t *text,
    buf_t *ends, record_fault_t *fault)
{
    int          rc;
    bool         wanted;
    size_t       start;
    uint32_t     token;
    row_ctx_t   *ctx = &plan->ctx;

    ends->len = 0;
    ctx->root = 0;
    start = text->len;

    rc = row_begin(plan, record, text, fault);
    if (rc != 0) {
        return rc;
    }

    token = plan->paths.found[plan->each_slot];

    if (token == JSON_NONE || ctx->doc.tokens[token].type != JSON_ARRAY) {
        return row_fault(ctx, NULL, "22023", token == JSON_NONE
                         ? "the array of \"each\" is missing"
                         : "what \"each\" names is %s, not an array",
                         row_json_names[token == JSON_NONE ? 0
                                        : ctx->doc.tokens[token].type]);
    }

    wanted = *tuple;
    rc = row_elements_of(plan, token, tuple, ends);

    if (rc == ROW_DOUBT) {
        text->len = start;
        *tuple = false;
        rc = row_elements_of(plan, token, tuple, ends);
    }

    if (rc != 0) {
        text->len = start;
        *tuple &= wanted;
        return rc;
    }

    return ends->len ? 0 : ROW_FILTERED;
}


/* Returns ROW_DOUBT where a tuple was asked for and a line came. */

static int
row_elements_of(row_plan_t *plan, uint32_t array, bool *tuple, buf_t *ends)
{
    int          rc;
    bool         own;
    size_t       start;
    uint32_t     i, end;
    row_ctx_t   *ctx = &plan->ctx;

    ends->len = 0;
    ctx->nth = 0;
    start = ctx->text->len;
    end = ctx->doc.tokens[array].next;

    for (i = array + 1; i < end; i = ctx->doc.tokens[i].next) {
        ctx->root = i;
        own = *tuple;
        row_paths_resolve(&plan->inner, &ctx->doc, i);
        rc = row_append(plan, &own);

        if (rc == 1) {
            return row_element_fault(ctx);
        }

        if (rc != 0) {
            return rc;
        }

        if (own != *tuple) {
            return ROW_DOUBT;
        }

        if (ctx->nth++ == ROW_EACH
            || ctx->text->len - start > plan->spec.each_bytes)
        {
            return row_fault(ctx, NULL, "54000", "the record has more than %d "
                             "elements, or their rows more bytes than "
                             "\"batch.bytes\"", ROW_EACH);
        }

        if (buf_append(ends, (const char *) &ctx->text->len, sizeof(size_t))
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* Names the element before the reason. */

static int
row_element_fault(row_ctx_t *ctx)
{
    record_fault_t  fault;

    fault = *ctx->fault;

    return row_fault(ctx, NULL, fault.sqlstate, "element %u: %s",
                     (unsigned) ctx->nth, fault.reason);
}
