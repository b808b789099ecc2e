/* Finds the fields of all columns in one walk: a tree of JSON Pointers. */

#include <stdlib.h>
#include <string.h>

#include "row/path.h"


static void row_node_free(row_node_t *node);
static row_node_t *row_node_envelope(row_paths_t *paths, const char *name,
    size_t len);
static void row_paths_clear(row_paths_t *paths);
static void row_walk(row_paths_t *paths, const json_doc_t *doc,
    const row_node_t *node, uint32_t token);
static void row_walk_object(row_paths_t *paths, const json_doc_t *doc,
    const row_node_t *node, uint32_t token);
static const row_node_t *row_member(const json_doc_t *doc,
    const row_node_t *node, size_t at, uint32_t name);


void
row_paths_init(row_paths_t *paths)
{
    memset(paths, 0, sizeof(row_paths_t));
    paths->root.slot = JSON_NONE;
    paths->envelope.slot = JSON_NONE;
}


void
row_paths_free(row_paths_t *paths)
{
    row_node_free(&paths->root);
    row_node_free(&paths->envelope);
    free(paths->found);
    free(paths->rest);
}


static void
row_node_free(row_node_t *node)
{
    size_t  i;

    for (i = 0; i < node->nchildren; i++) {
        row_node_free(&node->children[i]);
    }

    free(node->children);
}


/* The child of that name; a new one is made.  NULL: memory is short. */

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
row_slot(row_paths_t *paths, row_node_t *node)
{
    if (node && node->slot == JSON_NONE) {
        node->slot = paths->nslots++;
    }

    return node ? node->slot : JSON_NONE;
}


uint32_t
row_path_add(row_paths_t *paths, const json_pointer_t *pointer)
{
    size_t       len;
    uint32_t     i, index;
    const char  *name;
    row_node_t  *node = &paths->root;

    len = 0;
    name = NULL;

    for (i = 0; node && i < json_pointer_count(pointer); i++) {
        name = json_pointer_ref(pointer, i, &len, &index);
        node = row_node(node, name, len, index);
    }

    if (paths->change && node && i == 1 && len > 2
        && memcmp(name, "__", 2) == 0 && node->slot == JSON_NONE)
    {
        node->slot = row_slot(paths, row_node_envelope(paths, name + 2,
                                                       len - 2));
        return node->slot;
    }

    return row_slot(paths, node);
}


/*
 * What ExtractNewRecordState adds to a row, by the name that it gives it: a
 * member of the envelope, "source_" or "transaction_" and a member of these,
 * or else a member of "source".
 */

static row_node_t *
row_node_envelope(row_paths_t *paths, const char *name, size_t len)
{
    size_t       i, n;
    row_node_t  *node;

    static const char *const  members[] = {
        "op", "ts_ms", "ts_us", "ts_ns", "before", "after", "source",
        "transaction"
    };
    static const char *const  structs[] = { "source", "transaction" };

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (len == strlen(members[i]) && memcmp(name, members[i], len) == 0) {
            return row_node(&paths->envelope, name, len, JSON_NONE);
        }
    }

    for (i = 0; i < sizeof(structs) / sizeof(structs[0]); i++) {
        n = strlen(structs[i]);

        if (len > n + 1 && memcmp(name, structs[i], n) == 0
            && name[n] == '_')
        {
            node = row_node(&paths->envelope, structs[i], n, JSON_NONE);
            return node ? row_node(node, name + n + 1, len - n - 1, JSON_NONE)
                        : NULL;
        }
    }

    node = row_node(&paths->envelope, structs[0], 6, JSON_NONE);

    return node ? row_node(node, name, len, JSON_NONE) : NULL;
}


uint32_t
row_path_add_name(row_paths_t *paths, const char *name)
{
    return row_slot(paths, row_node(&paths->root, name, strlen(name),
                                    JSON_NONE));
}


int
row_paths_ready(row_paths_t *paths, bool rest)
{
    paths->found = malloc((paths->nslots + 1) * sizeof(uint32_t));

    if (rest) {
        paths->rest = malloc(JSON_MAX_MEMBERS * sizeof(uint32_t));
    }

    return paths->found && (paths->rest || !rest) ? 0 : -1;
}


void
row_paths_resolve(row_paths_t *paths, const json_doc_t *doc, uint32_t root)
{
    row_paths_clear(paths);
    row_walk(paths, doc, &paths->root, root);
}


void
row_paths_resolve_change(row_paths_t *paths, const json_doc_t *doc,
    uint32_t root, uint32_t envelope)
{
    row_paths_clear(paths);

    if (envelope != JSON_NONE) {
        row_walk(paths, doc, &paths->envelope, envelope);
    }

    if (root != JSON_NONE) {
        row_walk(paths, doc, &paths->root, root);
    }
}


static void
row_paths_clear(row_paths_t *paths)
{
    memset(paths->found, 0xff, paths->nslots * sizeof(uint32_t));
    paths->nrest = 0;
}


static void
row_walk(row_paths_t *paths, const json_doc_t *doc, const row_node_t *node,
    uint32_t token)
{
    size_t    at, left;
    uint32_t  i, n, end;

    if (node->slot != JSON_NONE) {
        paths->found[node->slot] = token;
    }

    if (doc->tokens[token].type == JSON_OBJECT) {
        row_walk_object(paths, doc, node, token);
        return;
    }

    if (doc->tokens[token].type != JSON_ARRAY) {
        return;
    }

    end = doc->tokens[token].next;
    left = node->nchildren;
    n = 0;

    for (i = token + 1; i < end && left; i = doc->tokens[i].next, n++) {
        for (at = 0; at < node->nchildren; at++) {
            if (node->children[at].index == n) {
                row_walk(paths, doc, &node->children[at], i);
                left--;
            }
        }
    }
}


static void
row_walk_object(row_paths_t *paths, const json_doc_t *doc,
    const row_node_t *node, uint32_t token)
{
    size_t             at, left;
    uint32_t           i, end;
    const bool         all = paths->rest && node == &paths->root;
    const row_node_t  *child;

    end = doc->tokens[token].next;
    left = node->nchildren;
    at = 0;

    for (i = token + 1; i < end && (left || all); i = doc->tokens[i + 1].next)
    {
        child = row_member(doc, node, at, i);

        if (child) {
            row_walk(paths, doc, child, i + 1);
            at = (size_t) (child - node->children) + 1;
            left--;

        } else if (all) {
            paths->rest[paths->nrest++] = i;
        }
    }
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
    const json_token_t  *t = &doc->tokens[name];

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


int
row_rest(row_ctx_t *ctx, const row_paths_t *paths, const row_column_t *column)
{
    size_t               i, start;
    buf_t               *text = &ctx->whole;
    const json_token_t  *name, *value;

    if (ctx->doc.tokens[ctx->root].type != JSON_OBJECT) {
        return row_fault(ctx, column, "22032", "the value is no object");
    }

    text->len = 0;
    buf_add(text, "{", 1);

    for (i = 0; i < paths->nrest; i++) {
        name = &ctx->doc.tokens[paths->rest[i]];
        value = name + 1;
        start = name->start - 1;

        buf_add(text, ",", i ? 1 : 0);
        buf_add(text, ctx->doc.text + start,
                value->end + (value->type == JSON_STRING) - start);
    }

    buf_add(text, "}", 1);

    if (buf_failed(text)) {
        buf_free(text);
        return -1;
    }

    return ctx->writer->text(ctx, column, text->data, text->len);
}
