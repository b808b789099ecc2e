/* The table of the configuration's keys, and what reads by it. */

#ifndef SLUICE_CONF_TABLE_H
#define SLUICE_CONF_TABLE_H


#include "conf/reader.h"


/* What a key takes, and the field it fills. */
typedef enum {
    CONF_STRING = 0,    /* char *: not empty */
    CONF_SECRET,        /* char *: ${CREDENTIALS_DIRECTORY} is replaced */
    CONF_BOOL,          /* bool */
    CONF_COUNT,         /* int64_t: a whole number */
    CONF_SIZE,          /* int64_t: bytes, "8m" */
    CONF_TIME,          /* int64_t: milliseconds, "20ms" */
    CONF_SHARE,         /* double: 0 to 1 */
    CONF_ENUM,          /* int: "min" and the place in "choices" */
    CONF_NAMES,         /* conf_names_t: one or more different strings */
    CONF_SECTION,       /* an object of keys of the table, in the same scope */
    CONF_TEXT,          /* a string the setter reads */
    CONF_CUSTOM         /* any value the setter reads */
} conf_kind_t;


typedef struct conf_key_s  conf_key_t;

/*
 * Called with the value and the struct of the key's scope: conf_t, or what
 * the setter of a list gives conf_walk().  Returns 0, or -1 by conf_fail().
 */
typedef int (*conf_set_pt)(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);


struct conf_key_s {
    const char   *path;        /* "batch.rows"; "*" stands for any name */
    conf_kind_t   kind;
    bool          required;
    conf_set_pt   set;         /* NULL: fills the field of the kind */
    size_t        offset;      /* of the field in the scope's struct */
    int64_t       min;         /* of COUNT, SIZE, TIME, ENUM */
    int64_t       max;         /* of COUNT, SIZE, TIME */
    const char   *choices;     /* of ENUM and TEXT: "earliest|latest" */
    const char   *fallback;    /* JSON, used when the key is absent */
    const char   *form;        /* of TEXT and CUSTOM: what it takes, words */
    const char   *schema;      /* of CUSTOM: members of its JSON Schema */
    const char   *example;     /* JSON */
    const char   *doc;         /* sentences; `names` between backquotes */
};


extern const conf_key_t  conf_keys[];
extern const size_t      conf_nkeys;


/*
 * Reads an object by the rows right below "prefix" ("", "batch.",
 * "columns.*.") into "scope": refuses what is unknown, names what is missing
 * and gives what is absent its default.  NULL for an absent object.
 */
int conf_walk(conf_reader_t *cr, const conf_node_t *object,
    const char *prefix, void *scope);

/* Reads one value by its row: 0, or -1 by conf_fail(). */
int conf_set(conf_reader_t *cr, const conf_key_t *key, conf_node_t *node,
    void *scope);

/* The place of a string in the row's "choices", or -1 by conf_fail(). */
int conf_choice(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node);

/* Frees the strings and names the rows below "prefix" filled. */
void conf_release(const char *prefix, void *scope);

/* Whether a row takes a string, which may then be { "file": PATH }. */
bool conf_is_string(const conf_key_t *key);

/* Whether a row lies right below a prefix; then its own name, else NULL. */
const char *conf_below(const conf_key_t *key, const char *prefix);


#endif
