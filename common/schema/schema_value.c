/* Whole values: equal whatever the order of members or the digits' form. */

#include <stdlib.h>
#include <string.h>

#include "schema/schema_impl.h"


#define SCHEMA_WARM  (1024 * 1024)    /* bytes of each buffer kept */


static int schema_hash_value(schema_scratch_t *work, const json_doc_t *doc,
    uint32_t token, uint64_t *hash);
static int schema_equals(schema_checker_t *c, const json_doc_t *adoc,
    uint32_t a, const json_doc_t *bdoc, uint32_t b);
static int schema_equals_strings(schema_checker_t *c, const json_doc_t *adoc,
    uint32_t a, const json_doc_t *bdoc, uint32_t b);
static int schema_equals_objects(schema_checker_t *c, const json_doc_t *adoc,
    uint32_t a, const json_doc_t *bdoc, uint32_t b);
static schema_slot_t *schema_slots(schema_scratch_t *work, uint32_t n,
    uint32_t *mask);


const char *
schema_text(schema_scratch_t *work, const json_doc_t *doc, uint32_t token,
    size_t *len)
{
    char                *text;
    size_t               size;
    const json_token_t  *t;

    t = &doc->tokens[token];
    size = t->end - t->start;

    if (!t->escaped) {
        *len = size;
        return doc->text + t->start;
    }

    if (work->size < size) {
        text = realloc(work->text, size * 2);
        if (text == NULL) {
            return NULL;
        }

        work->text = text;
        work->size = size * 2;
    }

    *len = json_unescape(doc, token, work->text);

    return work->text;
}


void
schema_scratch_trim(schema_scratch_t *work)
{
    if (work->size > SCHEMA_WARM) {
        free(work->text);
        work->text = NULL;
        work->size = 0;
    }

    if (work->nslots > SCHEMA_WARM / sizeof(schema_slot_t)) {
        free(work->slots);
        work->slots = NULL;
        work->nslots = 0;
    }
}


static int
schema_hash_value(schema_scratch_t *work, const json_doc_t *doc,
    uint32_t token, uint64_t *hash)
{
    size_t               len;
    uint32_t             i;
    uint64_t             sum, inner, name;
    const char          *text;
    json_number_t      number;
    const json_token_t  *t;

    t = &doc->tokens[token];
    sum = json_mix(work->seed.start ^ t->type, work->seed.factor);

    switch (t->type) {

    case JSON_NUMBER:
        json_number(doc->text + t->start, doc->text + t->end, &number);
        sum ^= json_number_hash(&number, &work->seed);
        break;

    case JSON_STRING:
        text = schema_text(work, doc, token, &len);
        if (text == NULL) {
            return -1;
        }

        sum ^= json_hash(&work->seed, text, len);
        break;

    case JSON_ARRAY:
        for (i = token + 1; i < t->next; i = doc->tokens[i].next) {
            if (schema_hash_value(work, doc, i, &inner) != 0) {
                return -1;
            }

            sum = json_mix(sum ^ inner, work->seed.factor) + work->seed.start;
        }
        break;

    case JSON_OBJECT:
        for (i = token + 1; i < t->next; i = doc->tokens[i + 1].next) {
            if (schema_hash_value(work, doc, i, &name) != 0
                || schema_hash_value(work, doc, i + 1, &inner) != 0)
            {
                return -1;
            }

            /* a sum, as their order is of no meaning */
            inner = json_mix(inner ^ work->seed.start, work->seed.factor);
            sum += json_mix(name ^ inner, work->seed.factor);
        }
        break;

    default:
        break;
    }

    *hash = json_mix(sum, work->seed.factor);

    return 0;
}


int
schema_values(schema_compiler_t *c, schema_values_t *values, uint32_t token)
{
    uint32_t      i, k, size, end;
    uint64_t      hash;
    json_doc_t   *doc;

    doc = &c->schema->doc;
    end = doc->tokens[token].next;

    for (i = token + 1; i < end; i = doc->tokens[i].next) {
        values->n++;
    }

    for (size = 4; size < 2 * values->n; size *= 2) {
        /* void */
    }

    values->mask = size - 1;
    values->slots = schema_alloc(c, size * sizeof(schema_slot_t));
    if (values->slots == NULL) {
        return -1;
    }

    for (i = 0; i < size; i++) {
        values->slots[i].token = JSON_NONE;
    }

    for (i = token + 1; i < end; i = doc->tokens[i].next) {
        if (schema_hash_value(c->schema->work, doc, i, &hash) != 0) {
            return schema_refuse(c, i, NULL, "%s", json_no_memory);
        }

        k = (uint32_t) hash;

        while (values->slots[k & values->mask].token != JSON_NONE) {
            k++;
        }

        values->slots[k & values->mask].hash = hash;
        values->slots[k & values->mask].token = i;
    }

    return 0;
}


static void
schema_charge_value(schema_checker_t *c, uint32_t token)
{
    const json_token_t  *t;

    t = &c->doc->tokens[token];
    c->steps -= (t->next - token) + (t->end - t->start) / 16;
}


int
schema_values_have(schema_checker_t *c, const schema_values_t *values,
    uint32_t token)
{
    int                   rc;
    uint32_t              k;
    uint64_t              hash;
    const schema_slot_t  *slot;

    if (values->n == 0) {
        return 0;
    }

    schema_charge_value(c, token);

    if (schema_hash_value(c->work, c->doc, token, &hash) != 0) {
        return -1;
    }

    for (k = (uint32_t) hash; ; k++) {
        slot = &values->slots[k & values->mask];

        if (slot->token == JSON_NONE) {
            return 0;
        }

        if (slot->hash != hash) {
            continue;
        }

        rc = schema_equals_own(c, slot->token, token);
        if (rc != 0) {
            return rc;
        }
    }
}


int
schema_equals_own(schema_checker_t *c, uint32_t own, uint32_t token)
{
    return schema_equals(c, &c->schema->doc, own, c->doc, token);
}


/* Where memory is short it is said to be equal: -1. */

static int
schema_equals(schema_checker_t *c, const json_doc_t *adoc, uint32_t a,
    const json_doc_t *bdoc, uint32_t b)
{
    int                  rc;
    uint32_t             i, k;
    json_number_t      x, y;
    const json_token_t  *s, *t;

    s = &adoc->tokens[a];
    t = &bdoc->tokens[b];

    if (s->type != t->type) {
        return 0;
    }

    c->steps--;

    switch (s->type) {

    case JSON_NUMBER:
        json_number(adoc->text + s->start, adoc->text + s->end, &x);
        json_number(bdoc->text + t->start, bdoc->text + t->end, &y);
        return json_number_compare(&x, &y) == 0;

    case JSON_STRING:
        return schema_equals_strings(c, adoc, a, bdoc, b);

    case JSON_ARRAY:
        k = b + 1;

        for (i = a + 1; i < s->next; i = adoc->tokens[i].next) {
            if (k >= t->next) {
                return 0;
            }

            rc = schema_equals(c, adoc, i, bdoc, k);
            if (rc != 1) {
                return rc;
            }

            k = bdoc->tokens[k].next;
        }

        return k == t->next;

    case JSON_OBJECT:
        return schema_equals_objects(c, adoc, a, bdoc, b);

    default:
        return 1;
    }
}


static int
schema_equals_strings(schema_checker_t *c, const json_doc_t *adoc, uint32_t a,
    const json_doc_t *bdoc, uint32_t b)
{
    size_t       len;
    const char  *text;

    if (adoc->tokens[a].escaped && !bdoc->tokens[b].escaped) {
        return schema_equals_strings(c, bdoc, b, adoc, a);
    }

    text = schema_text(c->work, adoc, a, &len);
    if (text == NULL) {
        return -1;
    }

    c->steps -= (int64_t) (len / 64);

    return json_equals(bdoc, b, text, len);
}


/* Names are unique in each: as many, and each of a's found in b. */

static int
schema_equals_objects(schema_checker_t *c, const json_doc_t *adoc, uint32_t a,
    const json_doc_t *bdoc, uint32_t b)
{
    int       rc;
    uint32_t  i, k, n, first, end, aend;

    n = 0;
    first = b + 1;
    end = bdoc->tokens[b].next;
    aend = adoc->tokens[a].next;

    for (i = a + 1; i < aend; i = adoc->tokens[i + 1].next) {
        n++;
    }

    for (k = first; k < end && n > 0; k = bdoc->tokens[k + 1].next) {
        n--;
    }

    if (n != 0 || k != end) {
        return 0;
    }

    k = first;

    for (i = a + 1; i < aend; i = adoc->tokens[i + 1].next) {

        /* from behind the one before: once around at most */
        for (n = k; ; ) {
            if (c->steps-- <= 0) {
                return 0;
            }

            if (k == end) {
                k = first;
            }

            rc = schema_equals_strings(c, adoc, i, bdoc, k);
            if (rc == -1) {
                return -1;
            }

            if (rc == 1) {
                break;
            }

            k = bdoc->tokens[k + 1].next;

            if (k == n || (k == end && n == first)) {
                return 0;
            }
        }

        rc = schema_equals(c, adoc, i + 1, bdoc, k + 1);
        if (rc != 1) {
            return rc;
        }

        k = bdoc->tokens[k + 1].next;

        if (k == end) {
            k = first;
        }
    }

    return 1;
}


static schema_slot_t *
schema_slots(schema_scratch_t *work, uint32_t n, uint32_t *mask)
{
    size_t          i, size;
    schema_slot_t  *slots;

    for (size = 16; size < 2 * (size_t) n; size *= 2) {
        /* void */
    }

    if (work->nslots < size) {
        slots = malloc(size * sizeof(schema_slot_t));
        if (slots == NULL) {
            return NULL;
        }

        free(work->slots);
        work->slots = slots;
        work->nslots = size;
    }

    for (i = 0; i < size; i++) {
        work->slots[i].token = JSON_NONE;
    }

    *mask = (uint32_t) size - 1;

    return work->slots;
}


int
schema_unique(schema_checker_t *c, uint32_t array, uint32_t *first,
    uint32_t *second, const schema_path_t *path)
{
    int                rc;
    uint32_t           i, k, n, mask, end;
    uint64_t           hash;
    schema_slot_t     *slot, *slots;
    const json_doc_t  *doc;

    doc = c->doc;
    n = 0;
    end = doc->tokens[array].next;

    for (i = array + 1; i < end; i = doc->tokens[i].next) {
        n++;
    }

    schema_charge_value(c, array);

    if (n > SCHEMA_MAX_UNIQUE || c->steps <= 0) {
        return schema_stop(c, "uniqueItems", path, schema_too_costly);
    }

    if (n < 2) {
        return SCHEMA_FITS;
    }

    slots = schema_slots(c->work, n, &mask);

    if (slots == NULL) {
        return schema_stop(c, "uniqueItems", path, json_no_memory);
    }

    for (i = array + 1; i < end; i = doc->tokens[i].next) {

        if (schema_hash_value(c->work, doc, i, &hash) != 0) {
            return schema_stop(c, "uniqueItems", path, json_no_memory);
        }

        for (k = (uint32_t) hash; ; k++) {
            slot = &slots[k & mask];

            if (slot->token == JSON_NONE) {
                slot->hash = hash;
                slot->token = i;
                break;
            }

            if (slot->hash != hash) {
                continue;
            }

            rc = schema_equals(c, doc, slot->token, doc, i);

            if (rc == -1) {
                return schema_stop(c, "uniqueItems", path, json_no_memory);
            }

            if (rc == 1) {
                *first = slot->token;
                *second = i;
                return SCHEMA_VIOLATES;
            }

            if (c->steps <= 0) {
                return schema_stop(c, "uniqueItems", path, schema_too_costly);
            }
        }
    }

    return SCHEMA_FITS;
}
