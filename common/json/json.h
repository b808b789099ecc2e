/*
 * Strict JSON (RFC 8259) over the caller's bytes: check, tokens, pointers.
 *
 * Room: the strict JSON reader: tokens, strings, JSON Pointer.
 */

#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


/* Another module's json_* must not take the place of ours in nginx. */
#pragma GCC visibility push(hidden)


/*
 * Narrower than RFC 8259 where PostgreSQL's jsonb is: what passes here is
 * always storable, in texts of up to 16 MiB (jsonb takes 16,777,216 elements
 * of one array), and can be read again.  jsonb refuses a numeric with more
 * than 16,383 decimals, and cannot print a value beyond 1 GiB, where 1e15000
 * is 15,001 bytes.
 */
#define JSON_MAX_DEPTH     64
#define JSON_MAX_MEMBERS   1024     /* of one object */
#define JSON_MAX_DIGITS    1000     /* of one number */
#define JSON_MAX_EXPONENT  15000    /* |exponent| of one number */
#define JSON_MAX_ZEROS     (64 << 20)    /* |exponents| of one text, summed */
#define JSON_MAX_LEN       (UINT32_MAX - 1)    /* bytes of one text */

#define JSON_NONE  UINT32_MAX       /* no such token */


typedef enum {
    JSON_NULL = 0,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
} json_type_t;


/*
 * One value, in document order.  An object is followed by its members, each
 * a JSON_STRING token (the name) and the value's tokens; an array by its
 * elements.  "next" is the index behind the value and everything inside it.
 */
typedef struct {
    uint32_t  start;    /* offset of the first byte; of a string: behind '"' */
    uint32_t  end;      /* offset behind the last; of a string: its last '"' */
    uint32_t  next;
    uint8_t   type;     /* json_type_t */
    uint8_t   escaped;  /* string with at least one backslash */
} json_token_t;


typedef struct {
    const char  *reason;  /* static text, no client bytes: "duplicate member" */
    size_t       offset;  /* of the offending byte */
    bool         limit;   /* JSON maybe, but beyond one of the limits above */
} json_error_t;


/*
 * A parsed text and its working memory, kept from one text to the next: a
 * warm document allocates nothing.  Zero-initialize before the first use.
 * The tokens point into the caller's text, which must outlive their use.
 */
typedef struct json_keys_s  json_keys_t;

typedef struct {
    const char    *text;
    json_token_t  *tokens;
    uint32_t       count;
    uint32_t       size;      /* allocated tokens */
    json_keys_t   *keys;      /* member names seen, to find duplicates */
} json_doc_t;


/* An object or array that is open. */
typedef struct {
    uint32_t  token;
    uint32_t  members;
    uint32_t  stamp;     /* 0 while names are compared one by one */
} json_frame_t;


/*
 * A text that is read in turns.  Between two of them it may be copied, as its
 * document may.  Only json_begin() and json_read() touch it.
 */
typedef struct {
    json_doc_t     *doc;
    const uint8_t  *text;
    const uint8_t  *end;
    const uint8_t  *at;       /* where reading goes on; NULL: it failed */
    const uint8_t  *bad;
    const char     *reason;
    bool            limit;
    uint32_t        depth;
    uint32_t        zeros;    /* exponents summed */
    uint32_t        alone;
    json_frame_t    stack[JSON_MAX_DEPTH];
} json_parser_t;


/* What json_read() returns beside -1. */
#define JSON_READ  0
#define JSON_MORE  1


/* A compiled JSON Pointer (RFC 6901). */
typedef struct json_pointer_s  json_pointer_t;


/*
 * Checks "text" of "len" bytes strictly: RFC 8259, UTF-8 without surrogates
 * or overlong forms, no NUL (raw or as \u0000), no duplicate member names
 * (compared decoded), the limits above; one value, nothing behind it but
 * white space; no byte order mark.  Fills doc->tokens; token 0 is the value.
 * Returns 0, or -1 with *err set ("out of memory" has reason
 * json_no_memory).  Linear in len.
 */
extern const char  json_no_memory[];

int json_parse(json_doc_t *doc, const char *text, size_t len,
    json_error_t *err);

/*
 * The same in turns.  Without "alone" only the value at the text's beginning
 * is read, and anything may follow it.  json_read() reads about "turn" bytes
 * (a long string or number whole) and returns JSON_MORE, until it returns
 * JSON_READ or -1 as json_parse() does.  json_behind() is then the offset
 * behind the value.
 */
void json_begin(json_parser_t *ps, json_doc_t *doc, const char *text,
    size_t len, int alone);
int json_read(json_parser_t *ps, json_doc_t *doc, size_t turn,
    json_error_t *err);

static inline size_t
json_behind(const json_parser_t *ps)
{
    return (size_t) (ps->at - ps->text);
}

/* Frees what the document holds, not the text; it may be used again. */
void json_doc_free(json_doc_t *doc);

/*
 * Decodes a string token into "out", which has room for end - start bytes
 * (the decoded form is never longer).  Returns the decoded length in bytes;
 * no NUL is appended.
 */
size_t json_unescape(const json_doc_t *doc, uint32_t token, char *out);

/*
 * Whether a string token, decoded, is the "len" bytes at "s".  Allocates
 * nothing.
 */
int json_equals(const json_doc_t *doc, uint32_t token, const char *s,
    size_t len);

/*
 * Compiles "pointer" of "len" bytes: "" or "/"-separated reference tokens
 * with ~0 and ~1 (RFC 6901, section 3).  Returns NULL with *reason set to a
 * static text if it is malformed or memory is short.  Freed by
 * json_pointer_free(), which takes NULL.
 */
json_pointer_t *json_pointer_compile(const char *pointer, size_t len,
    const char **reason);
void json_pointer_free(json_pointer_t *pointer);

/*
 * Writes "len" bytes of a name as a reference token, at most twice as many and
 * no NUL.  Returns behind them.
 */
char *json_pointer_escape(char *p, const char *name, size_t len);

/*
 * The reference tokens of a pointer, decoded: how many, and each by its place.
 * "index" is set to the array index it stands for, or to JSON_NONE.
 */
uint32_t json_pointer_count(const json_pointer_t *pointer);
const char *json_pointer_ref(const json_pointer_t *pointer, uint32_t i,
    size_t *len, uint32_t *index);

/*
 * The token "pointer" names below token "root", or JSON_NONE.  An array
 * index has no sign and no leading zero; "-" names nothing.
 */
uint32_t json_find(const json_doc_t *doc, uint32_t root,
    const json_pointer_t *pointer);

/*
 * The value of the member "name" of token "object", or JSON_NONE: also where
 * that is no object, or JSON_NONE itself.
 */
uint32_t json_member(const json_doc_t *doc, uint32_t object,
    const char *name, size_t len);

/*
 * Steps over a run of characters beyond ASCII (RFC 3629, section 4): returns
 * where ASCII goes on, or "end", or where a byte above 0x7f is no UTF-8.
 */
const uint8_t *json_utf8(const uint8_t *p, const uint8_t *end);

/* Writes a code point as UTF-8, at most 4 bytes.  Returns behind them. */
char *json_put_utf8(char *p, uint32_t c);

/*
 * Makes "len" bytes of a stranger's text fit for a line of a log, in place:
 * line breaks become spaces; other control characters, those of Unicode too,
 * and bytes that are no UTF-8 become question marks.
 */
void json_one_line(char *s, size_t len);

/* The value of a hexadecimal digit, or -1. */

static inline int
json_hex(uint8_t c)
{
    if ((uint8_t) (c - '0') <= 9) {
        return c - '0';
    }

    c |= 0x20;

    return (uint8_t) (c - 'a') <= 5 ? c - 'a' + 10 : -1;
}

/*
 * Line and column (from 1, in bytes) of "offset" in "text", for messages.
 */
void json_position(const char *text, size_t len, size_t offset,
    unsigned *line, unsigned *column);


#pragma GCC visibility pop


#endif
