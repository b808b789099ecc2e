/*
 * The configuration file's tokens and texts, its error messages, its memory,
 * and strings from other files; knows no key.
 */

#ifndef SLUICE_CONF_READER_H
#define SLUICE_CONF_READER_H


#include "conf/conf.h"


typedef struct conf_key_s    conf_key_t;
typedef struct conf_block_s  conf_block_t;


/* A scalar's text, which lives as long as the configuration. */
typedef struct {
    char  *text;        /* of a string, decoded; of others, as written */
    bool   secret;      /* read from { "file": }: in no message */
    char  *file;        /* that it was read from, or NULL */
} conf_word_t;


typedef struct {
    const char        *file;      /* its name, for messages */
    const char        *text;
    size_t             len;
    json_doc_t         doc;
    conf_word_t       *words;     /* by token; of objects and arrays NULL */
    conf_block_t     **memory;    /* the configuration's */
    char              *err;       /* CONF_ERROR_MAX bytes */
    const char        *column;    /* the column being read, or NULL */
    const conf_key_t  *keys;      /* by which conf_walk() reads */
} conf_reader_t;


/*
 * Parses "text" and decodes its scalars.  Returns 0, or -1 with the message
 * set.  Tokens that were loaded before are neither used nor freed.
 */
int conf_load(conf_reader_t *cr, const char *text, size_t len);

/* Frees the tokens; the texts stay. */
void conf_unload(conf_reader_t *cr);

/*
 * Sets the message to "file:line:column: ..."; control characters become
 * '?'.  Returns -1.
 */
int conf_fail(conf_reader_t *cr, uint32_t token, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A condition that must not hold, and its message. */
typedef struct {
    bool         wrong;
    const char  *words;
} conf_rule_t;


/* Fails with the first rule that is broken. */
int conf_rules(conf_reader_t *cr, uint32_t place,
    const conf_rule_t *rules, size_t n);

/*
 * Memory that conf_memory_free() frees with the configuration: zeroed bytes,
 * a copy with a NUL added, a compiled pointer.  NULL with the message set.
 */
void *conf_alloc(conf_reader_t *cr, size_t size);
char *conf_copy(conf_reader_t *cr, const char *s, size_t len);
json_pointer_t *conf_pointer(conf_reader_t *cr, uint32_t token);
void conf_memory_free(conf_block_t *memory);

/*
 * The names of an object or the elements of an array, one a call; "after" is
 * 0 at first.  A name's value is the next token.  Returns 0 behind the last.
 */
uint32_t conf_next(const conf_reader_t *cr, uint32_t in, uint32_t after);

/* How many of the names "a|b|c" are members of the object. */
unsigned conf_given(const conf_reader_t *cr, uint32_t object,
    const char *names);

/* The number of members or elements; 0 of a scalar. */
size_t conf_count(const conf_reader_t *cr, uint32_t token);

/*
 * Turns { "file": PATH } into a string, the file's content without its last
 * line end; ${CREDENTIALS_DIRECTORY} is expanded in PATH.  Leaves any other
 * value as it is.
 */
int conf_resolve(conf_reader_t *cr, uint32_t token);

/*
 * A string with ${CREDENTIALS_DIRECTORY} expanded unless it came from a file;
 * NULL with the message set.
 */
char *conf_expand(conf_reader_t *cr, uint32_t token);

/* A value as JSON text; NULL with the message set. */
char *conf_json(conf_reader_t *cr, uint32_t token);

static inline json_type_t
conf_type(const conf_reader_t *cr, uint32_t token)
{
    return (json_type_t) cr->doc.tokens[token].type;
}

/* A string's text, "" of any other value. */

static inline char *
conf_string(const conf_reader_t *cr, uint32_t token)
{
    return conf_type(cr, token) == JSON_STRING ? cr->words[token].text
                                               : (char *) "";
}


#endif
