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


/* Parses from memory that ends where the text does, so that ASan sees more. */

static inline const char *
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
