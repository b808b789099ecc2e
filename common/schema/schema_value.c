/* Compares whole values; order of members and form of numbers do not count. */

#include "schema/schema_value.h"


#define SCHEMA_MAX_UNIQUE   (1 << 20)    /* items of one array */
#define SCHEMA_UNIQUE_COST  16           /* steps of each */


static int schema_equals(schema_checker_t *c, const json_doc_t *adoc,
    uint32_t a, const json_doc_t *bdoc, uint32_t b);
static int schema_equals_strings(schema_checker_t *c, const json_doc_t *adoc,
    uint32_t a, const json_doc_t *bdoc, uint32_t b);
static int schema_equals_objects(schema_checker_t *c, const json_doc_t *adoc,
    uint32_t a, const json_doc_t *bdoc, uint32_t b);


static int
schema_hash_value(schema_scratch_t *work, const json_doc_t *doc,
    uint32_t token, uint64_t *hash)
{
    size_t               len;
    uint32_t             i;
    uint64_t             sum, inner, name;
    const char          *text;
    json_seed_t          seed = work->seed;
    json_number_t        number;
    const json_token_t  *t = &doc->tokens[token];

    sum = json_mix(seed.start ^ t->type, seed.factor);

    switch (t->type) {

    case JSON_NUMBER:
        json_number(doc->text + t->start, doc->text + t->end, &number);
        sum ^= json_number_hash(&number, &seed);
        break;

    case JSON_STRING:
        text = schema_text(work, doc, token, &len);
        if (text == NULL) {
            return -1;
        }

        sum ^= json_hash(&seed, text, len);
        break;

    case JSON_ARRAY:
        for (i = token + 1; i < t->next; i = doc->tokens[i].next) {
            if (schema_hash_value(work, doc, i, &inner) != 0) {
                return -1;
            }

            sum = json_mix(sum ^ inner, seed.factor) + seed.start;
        }
        break;

    case JSON_OBJECT:
        for (i = token + 1; i < t->next; i = doc->tokens[i + 1].next) {
            if (schema_hash_value(work, doc, i, &name) != 0
                || schema_hash_value(work, doc, i + 1, &inner) != 0)
            {
                return -1;
            }

            /* a sum, as the order of members has no meaning */
            inner = json_mix(inner ^ seed.start, seed.factor);
            sum += json_mix(name ^ inner, seed.factor);
        }
        break;

    default:
        break;
    }

    *hash = json_mix(sum, seed.factor);

    return 0;
}


int
schema_values(schema_compiler_t *c, schema_values_t *values, uint32_t token)
{
    uint32_t           i, k, size, end;
    uint64_t           hash;
    const json_doc_t  *doc = &c->schema->doc;

    end = doc->tokens[token].next;
    values->n = schema_count(doc, token);

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
            return schema_refuse(c, i, "%s", json_no_memory);
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
    const json_token_t  *t = &c->doc->tokens[token];

    c->steps -= 4 * (t->next - token) + (t->end - t->start) / 4;
}


/*
 * Finds a value equal to that at "token".  Returns 1 with its slot; 0 with the
 * empty slot for it, or with that of another value where the steps ended; -1
 * when memory is short.
 */

static int
schema_find(schema_checker_t *c, const schema_values_t *values,
    const json_doc_t *doc, uint32_t token, schema_slot_t **found,
    uint64_t *hash)
{
    int             rc;
    uint32_t        k;
    schema_slot_t  *slot;

    if (schema_hash_value(c->work, c->doc, token, hash) != 0) {
        return -1;
    }

    for (k = (uint32_t) *hash; ; k++) {
        slot = &values->slots[k & values->mask];
        *found = slot;

        if (slot->token == JSON_NONE) {
            return 0;
        }

        if (slot->hash != *hash) {
            continue;
        }

        rc = schema_equals(c, doc, slot->token, c->doc, token);

        if (rc != 0 || c->steps <= 0) {
            return rc;
        }
    }
}


int
schema_values_have(schema_checker_t *c, const schema_values_t *values,
    uint32_t token)
{
    uint64_t        hash;
    schema_slot_t  *slot;

    if (values->n == 0) {
        return 0;
    }

    schema_charge_value(c, token);

    return schema_find(c, values, &c->schema->doc, token, &slot, &hash);
}


int
schema_equals_own(schema_checker_t *c, uint32_t own, uint32_t token)
{
    return schema_equals(c, &c->schema->doc, own, c->doc, token);
}


/* 1: equal; -1: out of memory; 0, also where the steps end. */

static int
schema_equals(schema_checker_t *c, const json_doc_t *adoc, uint32_t a,
    const json_doc_t *bdoc, uint32_t b)
{
    int                  rc;
    uint32_t             i, k;
    json_number_t        x, y;
    const json_token_t  *s, *t;

    s = &adoc->tokens[a];
    t = &bdoc->tokens[b];

    if (s->type != t->type) {
        return 0;
    }

    c->steps--;

    switch (s->type) {

    case JSON_NUMBER:
        c->steps -= (s->end - s->start + t->end - t->start) / 4;
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

    schema_charge_text(c, adoc, a);
    schema_charge_text(c, bdoc, b);

    return json_equals(bdoc, b, text, len);
}


/* Both have as many members, and b has each of a's. */

static int
schema_equals_objects(schema_checker_t *c, const json_doc_t *adoc, uint32_t a,
    const json_doc_t *bdoc, uint32_t b)
{
    int       rc;
    uint32_t  i, k, n, tries, end;

    n = schema_count(adoc, a);

    if (n != schema_count(bdoc, b)) {
        return 0;
    }

    end = adoc->tokens[a].next;
    k = b + 1;

    for (i = a + 1; i < end; i = adoc->tokens[i + 1].next) {
        rc = 0;

        /* from behind the last one, once around */
        for (tries = 0; tries < n; tries++) {
            if (c->steps-- <= 0) {
                return 0;
            }

            if (k == bdoc->tokens[b].next) {
                k = b + 1;
            }

            rc = schema_equals_strings(c, adoc, i, bdoc, k);
            if (rc != 0) {
                break;
            }

            k = bdoc->tokens[k + 1].next;
        }

        if (rc == 1) {
            rc = schema_equals(c, adoc, i + 1, bdoc, k + 1);
        }

        if (rc != 1) {
            return rc;
        }

        k = bdoc->tokens[k + 1].next;
    }

    return 1;
}


int
schema_unique(schema_checker_t *c, uint32_t array, uint32_t *first,
    uint32_t *second, const schema_path_t *path)
{
    int               rc;
    uint32_t          i, end;
    uint64_t          hash;
    schema_slot_t    *slot;
    schema_values_t   values;

    end = c->doc->tokens[array].next;
    values.n = schema_count(c->doc, array);

    schema_charge_value(c, array);
    c->steps -= SCHEMA_UNIQUE_COST * (int64_t) values.n;

    if (values.n > SCHEMA_MAX_UNIQUE || c->steps <= 0) {
        return schema_stop(c, "uniqueItems", path, schema_too_costly);
    }

    if (values.n < 2) {
        return SCHEMA_FITS;
    }

    values.slots = schema_slots(c->work, values.n, &values.mask);
    rc = values.slots == NULL ? -1 : 0;

    for (i = array + 1; rc != -1 && i < end; i = c->doc->tokens[i].next) {
        rc = schema_find(c, &values, c->doc, i, &slot, &hash);

        if (rc == 1) {
            *first = slot->token;
            *second = i;
            return SCHEMA_VIOLATES;
        }

        if (rc == 0 && slot->token != JSON_NONE) {
            return schema_stop(c, "uniqueItems", path, schema_too_costly);
        }

        if (rc == 0) {
            slot->hash = hash;
            slot->token = i;
        }
    }

    return rc == -1 ? schema_stop(c, "uniqueItems", path, json_no_memory)
                    : SCHEMA_FITS;
}
