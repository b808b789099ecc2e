/* State, working memory and verdicts of a check; knows no keyword. */

#ifndef SLUICE_SCHEMA_CHECKER_H
#define SLUICE_SCHEMA_CHECKER_H


#include "schema/schema_node.h"
#include "schema/schema_report.h"


/* Verdicts of a part of a check. */
#define SCHEMA_FITS       0
#define SCHEMA_VIOLATES  -1
#define SCHEMA_STOPS     -2    /* no verdict, *violation is set: unwind */


typedef struct {
    const schema_t      *schema;
    const json_doc_t    *doc;
    schema_violation_t  *violation;
    schema_scratch_t    *work;
    int64_t              steps;    /* left */
    int                  quiet;    /* violations are not reported */
} schema_checker_t;


/* Checks the value at "token" by one keyword. */
typedef int schema_check_t(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);


#pragma GCC visibility push(hidden)


/* Sets the violation unless quiet; returns SCHEMA_VIOLATES. */
int schema_violate(schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same, quiet or not; returns SCHEMA_STOPS. */
int schema_stop(schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *reason);

extern const char  schema_too_costly[];

/* A string's decoded bytes, until the next call; NULL: out of memory. */
const char *schema_text(schema_scratch_t *work, const json_doc_t *doc,
    uint32_t token, size_t *len);

/* Charges for decoding a string, and for reading it once. */

static inline void
schema_charge_text(schema_checker_t *c, const json_doc_t *doc, uint32_t token)
{
    const json_token_t  *t;

    t = &doc->tokens[token];
    c->steps -= (int64_t) (t->end - t->start) / (t->escaped ? 1 : 16);
}

/* Empty slots, twice "n" at least; *mask is their number less one, or NULL. */
schema_slot_t *schema_slots(schema_scratch_t *work, uint32_t n,
    uint32_t *mask);

/* The first frees what is too large to keep, the second everything. */
void schema_scratch_trim(schema_scratch_t *work);
void schema_scratch_free(schema_scratch_t *work);


#pragma GCC visibility pop


#endif
