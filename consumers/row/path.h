/* Finds the fields of all columns in one walk: a tree of JSON Pointers. */

#ifndef SLUICE_PATH_H
#define SLUICE_PATH_H


#include "row/field.h"


/* A reference token of the pointers; the root has no name. */
typedef struct row_node_s  row_node_t;

struct row_node_s {
    const char  *name;
    size_t       len;
    uint32_t     index;        /* in an array, or JSON_NONE */
    uint32_t     slot;         /* JSON_NONE: no pointer ends here */
    row_node_t  *children;
    size_t       nchildren;
};


typedef struct row_paths_s  row_paths_t;

struct row_paths_s {
    row_node_t   root;
    row_node_t   envelope;     /* of debezium; likewise */
    bool         change;       /* "envelope" is used */
    uint32_t     nslots;
    uint32_t    *found;        /* by slot: the token, or JSON_NONE */
    uint32_t    *rest;         /* names of the root's members that no pointer
                                  begins with; NULL: nothing asks for them */
    size_t       nrest;
};


void row_paths_init(row_paths_t *paths);
void row_paths_free(row_paths_t *paths);

/*
 * The slot of a pointer, or of a member of the root; the same again for the
 * same pointer, whose text must outlive "paths".  JSON_NONE: memory is short.
 * Of a change "/__op" and "/__source_lsn" are in its envelope too.
 */
uint32_t row_path_add(row_paths_t *paths, const json_pointer_t *pointer);
uint32_t row_path_add_name(row_paths_t *paths, const char *name);

/* Called after the last pointer.  Returns -1 when memory is short. */
int row_paths_ready(row_paths_t *paths, bool rest);

/*
 * Fills "found" and "rest" from a document, below a token; of a change also
 * below that of its envelope.  JSON_NONE: the change has none, of either.
 */
void row_paths_resolve(row_paths_t *paths, const json_doc_t *doc,
    uint32_t root);
void row_paths_resolve_change(row_paths_t *paths, const json_doc_t *doc,
    uint32_t root, uint32_t envelope);

/* The field of all members of "rest", in their order, as they were written. */
int row_rest(row_ctx_t *ctx, const row_paths_t *paths,
    const row_column_t *column);


#endif
