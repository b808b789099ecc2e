/*
 * Rows in the order of their keys.  A key becomes bytes that memcmp() orders as
 * PostgreSQL orders the key, text as COLLATE "C" does: a merge sorts the same
 * way, so all daemons lock alike.
 */

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "store/order.h"


typedef enum {
    ORDER_FIXED = 0,    /* so many bytes, as they are */
    ORDER_BYTES,
    ORDER_NUMBER,       /* with a sign; a time, too */
    ORDER_TEXT,
    ORDER_CUT           /* text without the spaces behind a length */
} order_kind_t;


struct order_column_s {
    order_kind_t   kind;
    size_t         field;    /* of the tuple */
    const char    *p;        /* of the row at hand, "len" bytes */
    size_t         len;
};


struct order_row_s {
    uint64_t     first;      /* bytes of the key, the rest in "keys" */
    const char  *key;        /* its place there, until all are */
    uint32_t     len;
    uint32_t     row;
};


static order_kind_t order_kind(const char *receive);
static int order_key(order_t *order, const order_plan_t *plan,
    const char *tuple);
static bool order_find(const order_plan_t *plan, const char *tuple);
static int order_compare(const void *a, const void *b);


int
order_plan(order_plan_t *plan, const target_t *target)
{
    size_t           i, j, field;
    const char      *name;
    const conf_t    *conf;
    order_column_t  *column;

    order_plan_free(plan);
    conf = target->conf;

    plan->columns = calloc(conf->key.n + 1, sizeof(order_column_t));
    if (plan->columns == NULL) {
        return -1;
    }

    for (i = 0; target->known && i < conf->key.n; i++) {
        column = &plan->columns[plan->n++];
        name = conf->key.names[i];

        for (j = 0, field = 0; j < target->ncolumns; j++) {
            if (strcmp(target->columns[j].name, name) == 0) {
                column->kind = order_kind(target->receives[j]);
                column->field = field;
                break;
            }

            field += target->columns[j].from != CONF_FROM_IDENTITY;
        }

        if (field >= plan->fields) {
            plan->fields = field + 1;
        }
    }

    return 0;
}


void
order_plan_free(order_plan_t *plan)
{
    free(plan->columns);
    memset(plan, 0, sizeof(order_plan_t));
}


static order_kind_t
order_kind(const char *receive)
{
    return strcmp(receive, "textrecv") == 0 ? ORDER_TEXT
           : strcmp(receive, "varcharrecv") == 0 ? ORDER_CUT
           : strcmp(receive, "bytearecv") == 0 ? ORDER_BYTES
           : strcmp(receive, "uuid_recv") == 0
             || strcmp(receive, "boolrecv") == 0 ? ORDER_FIXED
           : ORDER_NUMBER;
}


int
order_rows(order_t *order, const order_plan_t *plan, const batch_t *batch,
    size_t row)
{
    int                 rc;
    bool                sorted;
    size_t              i, start;
    uint64_t            first;
    unsigned            target;
    order_row_t        *o;
    const batch_row_t  *r;

    target = batch->rows[row].target;
    order->n = 0;
    order->keys.len = 0;

    if (order->size < batch->nrows) {
        free(order->rows);
        order->size = batch->rows_size;
        order->rows = malloc(order->size * sizeof(order_row_t));

        if (order->rows == NULL) {
            order->size = 0;
            return -1;
        }
    }

    for (i = row; i < batch->nrows; i = r->next) {
        r = &batch->rows[i];

        if (!batch_is_stored(r, target)) {
            continue;
        }

        start = order->keys.len;
        rc = r->tuple ? order_key(order, plan, batch->text.data + r->text) : 1;

        if (rc != 0) {
            return rc;
        }

        o = &order->rows[order->n++];
        o->row = (uint32_t) i;
        o->len = (uint32_t) (order->keys.len - start);
    }

    sorted = true;

    for (i = 0, start = 0; i < order->n; i++) {
        o = &order->rows[i];
        o->key = order->keys.data + start;
        memcpy(&first, o->key, 8);
        o->first = be64toh(first);
        start += o->len;
        sorted = sorted && (i == 0 || order_compare(o - 1, o) < 0);
    }

    if (!sorted) {
        qsort(order->rows, order->n, sizeof(order_row_t), order_compare);
    }

    return 0;
}


/* Appends the key, with a zero byte behind a text, and eight at the end. */

static int
order_key(order_t *order, const order_plan_t *plan, const char *tuple)
{
    char                  *p;
    buf_t                 *keys = &order->keys;
    size_t                 i, size;
    const order_column_t  *column;

    if (!order_find(plan, tuple)) {
        return 1;
    }

    for (i = 0, size = 8; i < plan->n; i++) {
        size += plan->columns[i].len + 1;
    }

    if (buf_reserve(keys, size) == -1) {
        return -1;
    }

    p = keys->data + keys->len;

    for (i = 0; i < plan->n; i++) {
        column = &plan->columns[i];
        memcpy(p, column->p, column->len);

        switch (column->kind) {

        case ORDER_CUT:
            if (column->len && p[column->len - 1] == ' ') {
                return 1;
            }
            /* fall through */

        case ORDER_TEXT:
            p[column->len] = '\0';
            p++;
            break;

        case ORDER_NUMBER:
            *p = (char) (*p ^ 0x80);
            break;

        case ORDER_BYTES:
            if (i + 1 < plan->n) {
                /* nothing ends it */
                return 1;
            }
            break;

        case ORDER_FIXED:
            break;
        }

        p += column->len;
    }

    memset(p, 0, 8);
    keys->len = (size_t) (p - keys->data) + 8;

    return 0;
}


/* Whether the tuple has all of the key. */

static bool
order_find(const order_plan_t *plan, const char *tuple)
{
    size_t       field, i;
    uint32_t     len;
    const char  *p;

    p = tuple + 2;

    for (field = 0; field < plan->fields; field++) {
        memcpy(&len, p, 4);
        len = be32toh(len);
        p += 4;

        for (i = 0; i < plan->n; i++) {
            if (plan->columns[i].field != field) {
                continue;
            }

            if (len == BATCH_NULL) {
                return false;
            }

            plan->columns[i].p = p;
            plan->columns[i].len = len;
        }

        p += len == BATCH_NULL ? 0 : len;
    }

    return true;
}


static int
order_compare(const void *a, const void *b)
{
    int                 rc;
    const order_row_t  *p = a, *q = b;

    if (p->first != q->first) {
        return p->first < q->first ? -1 : 1;
    }

    rc = memcmp(p->key, q->key, p->len < q->len ? p->len : q->len);

    if (rc == 0) {
        rc = p->len != q->len ? (p->len > q->len) - (p->len < q->len)
                              : (p->row > q->row) - (p->row < q->row);
    }

    return rc;
}


void
order_free(order_t *order)
{
    free(order->rows);
    buf_free(&order->keys);
    memset(order, 0, sizeof(order_t));
}


size_t
order_row(const order_t *order, size_t place, bool *last)
{
    const order_row_t  *o;

    o = &order->rows[place];
    *last = place + 1 == order->n || o->len != o[1].len
            || memcmp(o->key, o[1].key, o->len) != 0;

    return o->row;
}
