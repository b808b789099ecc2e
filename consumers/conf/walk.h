/* Reads the configuration's objects by the table of keys. */

#ifndef SLUICE_CONF_WALK_H
#define SLUICE_CONF_WALK_H


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
    CONF_ENUM,          /* int: "first" and the place in "choices" */
    CONF_NAMES,         /* conf_names_t: one or more different strings */
    CONF_POINTER,       /* json_pointer_t *: a JSON Pointer */
    CONF_JSON,          /* char *: any value, as JSON */
    CONF_SECTION,       /* an object of keys of the table, in the same scope */
    CONF_TEXT,          /* a string the setter reads */
    CONF_CUSTOM         /* any value the setter reads */
} conf_kind_t;


/*
 * Reads the value at "token" into "scope": a conf_t, or what the setter of a
 * list gives conf_walk().  Returns 0, or -1 by conf_fail().
 */
typedef int conf_set_t(conf_reader_t *cr, const conf_key_t *key,
    uint32_t token, void *scope);


struct conf_key_s {
    const char   *path;        /* "batch.rows"; "*" stands for any name */
    conf_kind_t   kind;
    bool          required;
    const char   *also;        /* a path whose object has this key too, */
    bool          also_required;    /* and has to have it */
    conf_set_t   *set;         /* NULL: fills the field of the kind */
    size_t        offset;      /* of the field in the scope's struct */
    const char   *min;         /* of COUNT, SIZE, TIME: as a value is */
    const char   *max;
    int           first;       /* of ENUM */
    const char   *choices;     /* of ENUM: "hold|add" */
    const char   *fallback;    /* JSON, used when the key is absent */
    const char   *form;        /* in words, what the key takes */
    const char   *schema;      /* of CUSTOM: members of its JSON Schema */
    const char   *example;     /* JSON */
    const char   *doc;         /* sentences; `names` between backquotes */
};

#define CONF_KEYS_MAX  256     /* of one table, which ends with a NULL path */


/*
 * Reads an object by the rows of cr->keys right below the path "parent" ("",
 * "batch", "columns.*") into "scope": refuses what is unknown, names what is
 * missing and gives what is absent its default.  JSON_NONE for an absent
 * object.
 */
int conf_walk(conf_reader_t *cr, uint32_t object, const char *parent,
    void *scope);

/* Reads one value by its row: 0, or -1 by conf_fail(). */
int conf_set(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope);

/* Fails with "KEY must be WORDS"; returns -1. */
int conf_must(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    const char *words);

/* The place of a string in the row's "choices", or -1 by conf_fail(). */
int conf_choice(conf_reader_t *cr, const conf_key_t *key, uint32_t token);


#endif
