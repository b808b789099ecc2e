/* The columns' JSON Pointers as one tree, resolved in one walk. */

#include <stdlib.h>
#include <string.h>

#include "row/row_impl.h"


static row_node_t *row_node(row_node_t *parent, const char *name, size_t len,
    uint32_t index);
static void row_walk(row_plan_t *plan, const row_node_t *node,
    uint32_t token);
static const row_node_t *row_member(const json_doc_t *doc,
    const row_node_t *node, size_t at, uint32_t name);
static uint32_t row_slot(row_plan_t *plan, row_node_t *node);


static row_node_t *
row_node(row_node_t *parent, const char *name, size_t len, uint32_t index)
{
    size_t       i;
    row_node_t  *child, *children;

    for (i = 0; i < parent->nchildren; i++) {
        child = &parent->children[i];
        if (child->len == len && memcmp(child->name, name, len) == 0) {
            return child;
        }
    }

    children = realloc(parent->children,
                       (parent->nchildren + 1) * sizeof(row_node_t));
    if (children == NULL) {
        return NULL;
    }

    parent->children = children;
    child = &children[parent->nchildren++];

    memset(child, 0, sizeof(row_node_t));
    child->name = name;
    child->len = len;
    child->index = index;
    child->slot = JSON_NONE;

    return child;
}


static uint32_t
row_slot(row_plan_t *plan, row_node_t *node)
{
    if (node && node->slot == JSON_NONE) {
        node->slot = plan->nslots++;
    }

    return node ? node->slot : JSON_NONE;
}


uint32_t
row_path_add(row_plan_t *plan, const json_pointer_t *pointer)
{
    size_t       len;
    uint32_t     i, index;
    const char  *name;
    row_node_t  *node;

    node = &plan->root;

    for (i = 0; node && i < json_pointer_count(pointer); i++) {
        name = json_pointer_ref(pointer, i, &len, &index);
        node = row_node(node, name, len, index);
    }

    return row_slot(plan, node);
}


uint32_t
row_path_add_name(row_plan_t *plan, const char *name)
{
    return row_slot(plan, row_node(&plan->root, name, strlen(name),
                                   JSON_NONE));
}


int
row_path_ready(row_plan_t *plan, bool rest)
{
    plan->found = malloc((plan->nslots + 1) * sizeof(uint32_t));

    if (rest) {
        plan->rest = malloc(JSON_MAX_MEMBERS * sizeof(uint32_t));
    }

    return plan->found && (plan->rest || !rest) ? 0 : -1;
}


void
row_path_free(row_node_t *node)
{
    size_t  i;

    for (i = 0; i < node->nchildren; i++) {
        row_path_free(&node->children[i]);
    }

    free(node->children);
}


void
row_path_resolve(row_plan_t *plan)
{
    memset(plan->found, 0xff, plan->nslots * sizeof(uint32_t));
    plan->nrest = 0;

    row_walk(plan, &plan->root, 0);
}


/*
 * Members tend to come in the order of the columns, so the search for each
 * begins behind the last one found.
 */

static const row_node_t *
row_member(const json_doc_t *doc, const row_node_t *node, size_t at,
    uint32_t name)
{
    size_t               i, len;
    const char          *s;
    const row_node_t    *child;
    const json_token_t  *t;

    t = &doc->tokens[name];
    s = doc->text + t->start;
    len = t->end - t->start;

    for (i = node->nchildren; i--; at++) {

        if (at >= node->nchildren) {
            at = 0;
        }

        child = &node->children[at];

        if (t->escaped ? json_equals(doc, name, child->name, child->len)
                       : child->len == len
                         && memcmp(child->name, s, len) == 0)
        {
            return child;
        }
    }

    return NULL;
}


static void
row_walk(row_plan_t *plan, const row_node_t *node, uint32_t token)
{
    size_t               at, left;
    uint32_t             i, n, end;
    json_doc_t          *doc;
    const bool           all = plan->rest && node == &plan->root;
    const row_node_t    *child;

    doc = &plan->doc;

    if (node->slot != JSON_NONE) {
        plan->found[node->slot] = token;
    }

    end = doc->tokens[token].next;
    left = node->nchildren;

    if (doc->tokens[token].type == JSON_OBJECT) {

        at = 0;

        for (i = token + 1; i < end && (left || all);
             i = doc->tokens[i + 1].next)
        {
            child = row_member(doc, node, at, i);

            if (child) {
                row_walk(plan, child, i + 1);
                at = (size_t) (child - node->children) + 1;
                left--;

            } else if (all) {
                plan->rest[plan->nrest++] = i;
            }
        }

    } else if (doc->tokens[token].type == JSON_ARRAY) {

        n = 0;

        for (i = token + 1; i < end && left; i = doc->tokens[i].next, n++) {
            for (at = 0; at < node->nchildren; at++) {
                if (node->children[at].index == n) {
                    row_walk(plan, &node->children[at], i);
                    left--;
                }
            }
        }
    }
}


/* The members that no column takes, in their order, as they were written. */

int
row_rest(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault)
{
    int                  rc;
    size_t               i, start;
    const json_token_t  *name, *value;

    (void) record;

    if (plan->doc.tokens[0].type != JSON_OBJECT) {
        return row_fault(fault, "22032", column, "the value is no object");
    }

    rc = row_put(column, "{", 1, text);

    for (i = 0; rc == 0 && i < plan->nrest; i++) {
        name = &plan->doc.tokens[plan->rest[i]];
        value = name + 1;
        start = name->start - 1;

        if (i) {
            rc = row_put(column, ",", 1, text);
        }

        if (rc == 0) {
            rc = row_put(column, plan->doc.text + start,
                         value->end + (value->type == JSON_STRING) - start,
                         text);
        }
    }

    return rc ? rc : row_put(column, "}", 1, text);
}
