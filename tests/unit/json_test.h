/* Shared by the tests of the JSON reader: parsing, building large texts. */

#ifndef SLUICE_JSON_TEST_H
#define SLUICE_JSON_TEST_H


#include <stdlib.h>

#include "json/json.h"
#include "tap.h"
#include "tokens.h"


#define BIG  (16 << 20)


static json_doc_t  doc;
static char        big[BIG];
static size_t      big_len;


static inline void
add(const char *s)
{
    size_t  len;

    len = strlen(s);

    if (big_len <= BIG && len <= BIG - big_len) {
        memcpy(big + big_len, s, len);
        big_len += len;
    }
}


static inline void
add_times(const char *s, size_t n)
{
    while (n-- > 0) {
        add(s);
    }
}


/* An object of n members "PREFIX0", "PREFIX1" and so on. */

static inline void
add_object(const char *prefix, unsigned n)
{
    char      name[64];
    unsigned  i;

    add("{");

    for (i = 0; i < n; i++) {
        (void) snprintf(name, sizeof(name), "%s\"%s%u\":1", i ? "," : "",
                        prefix, i);
        add(name);
    }

    add("}");
}


/*
 * Whether a text that is read in the shortest turns has the same tokens and
 * the same error.  Parser and document move between the turns.
 */

static inline int
turns_agree(const char *text, size_t len, int rc, const json_error_t *err)
{
    int            same, got;
    uint32_t       i;
    json_doc_t     whole;
    json_error_t   bad;
    json_parser_t  ps[2];

    whole = doc;
    memset(&doc, 0, sizeof(doc));
    memset(&bad, 0, sizeof(bad));

    json_begin(&ps[0], &doc, text, len, 1);

    while ((got = json_read(&ps[0], &doc, 1, &bad)) == JSON_MORE) {
        ps[1] = ps[0];
        memset(&ps[0], 0xff, sizeof(ps[0]));
        ps[0] = ps[1];
    }

    same = got == rc && doc.count == whole.count
           && (rc == 0 || (bad.reason == err->reason
                           && bad.offset == err->offset));

    for (i = 0; same && i < doc.count; i++) {
        same = doc.tokens[i].start == whole.tokens[i].start
               && doc.tokens[i].end == whole.tokens[i].end
               && doc.tokens[i].next == whole.tokens[i].next
               && doc.tokens[i].type == whole.tokens[i].type;
    }

    json_doc_free(&doc);
    doc = whole;

    return same;
}


/* Not inlined: gcc would warn of a text as long as "big". */
static const char *parse(const char *text, size_t len, size_t *offset)
    __attribute__((noinline));


/* Parses from memory that ends where the text does, so that ASan sees more. */

static const char *
parse(const char *text, size_t len, size_t *offset)
{
    int           rc;
    char         *copy;
    const char   *fault;
    json_error_t  err;

    copy = malloc(len + (len == 0));
    if (len > 0) {
        memcpy(copy, text, len);
    }

    memset(&err, 0, sizeof(err));

    rc = json_parse(&doc, copy, len, &err);
    fault = err.reason;

    if (rc == 0) {
        fault = tokens_fault(&doc, len);

    } else if (fault == NULL || err.offset > len || doc.count != 0) {
        fault = "error is not set";
    }

    if (len <= 4096 && !turns_agree(copy, len, rc, &err)) {
        fault = "turns change what is read";
    }

    if (offset != NULL) {
        *offset = err.offset;
    }

    doc.text = NULL;
    free(copy);

    return fault;
}


static inline const char *
parse_big(void)
{
    return parse(big, big_len, NULL);
}


static inline const char *
parse_text(const char *text)
{
    return parse(text, strlen(text), NULL);
}


#endif
