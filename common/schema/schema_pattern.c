/* "pattern", by PCRE2 with a bounded number of steps. */

#include "schema/schema_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>


#define SCHEMA_MATCH_HEAP   4096      /* KiB of backtracking */
#define SCHEMA_MATCH_STEPS  100000    /* of one pattern on one string */
#define SCHEMA_MATCH_COST   4         /* steps of a check, of each of these */


/* Close to ECMA-262, as JSON Schema wants: docs/reference/module.md. */
#define SCHEMA_PATTERN_OPTIONS                                                \
    (PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX   \
     | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF                    \
     | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT)


struct schema_pattern_s {
    schema_pattern_t  *next;
    pcre2_code        *code;
};


typedef struct {
    int64_t  steps;    /* left */
    size_t   last;     /* where it was before */
} schema_match_t;


static int schema_pattern_prepare(schema_t *schema);


schema_pattern_t *
schema_pattern_compile(schema_compiler_t *c, const char *text, size_t len,
    uint32_t token)
{
    int                     code;
    unsigned char           reason[64];
    schema_t               *schema = c->schema;
    PCRE2_SIZE              offset;
    schema_pattern_t       *pattern;
    pcre2_compile_context  *options;

    pattern = schema_alloc(c, sizeof(schema_pattern_t));
    if (pattern == NULL) {
        return NULL;
    }

    options = pcre2_compile_context_create(NULL);

    if (options == NULL || schema_pattern_prepare(schema) != 0) {
        pcre2_compile_context_free(options);
        (void) schema_refuse(c, token, "%s", json_no_memory);
        return NULL;
    }

    /* a dot stops at CR and LF, wherever PCRE2 was built */
    (void) pcre2_set_newline(options, PCRE2_NEWLINE_ANYCRLF);
    (void) pcre2_set_compile_extra_options(options, PCRE2_EXTRA_ALT_BSUX);

    pattern->code = pcre2_compile((PCRE2_SPTR) text, len,
                                  SCHEMA_PATTERN_OPTIONS, &code, &offset,
                                  options);
    pcre2_compile_context_free(options);

    if (pattern->code == NULL) {

        if (code == PCRE2_ERROR_HEAP_FAILED) {
            (void) schema_refuse(c, token, "%s", json_no_memory);
            return NULL;
        }

        (void) pcre2_get_error_message(code, reason, sizeof(reason));
        (void) schema_refuse(c, token, "%s at byte %zu", reason,
                             (size_t) offset);
        return NULL;
    }

    pattern->next = schema->patterns;
    schema->patterns = pattern;

    return pattern;
}


/* Makes what all patterns of a schema share. */

static int
schema_pattern_prepare(schema_t *schema)
{
    pcre2_match_context  *limits;

    if (schema->scratch.match == NULL) {
        schema->scratch.match = pcre2_match_data_create(1, NULL);
    }

    if (schema->scratch.limits == NULL) {
        limits = pcre2_match_context_create(NULL);
        if (limits == NULL) {
            return -1;
        }

        (void) pcre2_set_heap_limit(limits, SCHEMA_MATCH_HEAP);
        schema->scratch.limits = limits;
    }

    return schema->scratch.match == NULL ? -1 : 0;
}


void
schema_patterns_free(schema_t *schema)
{
    schema_pattern_t  *pattern;

    for (pattern = schema->patterns; pattern != NULL; pattern = pattern->next)
    {
        pcre2_code_free(pattern->code);
    }

    pcre2_match_data_free(schema->scratch.match);
    pcre2_match_context_free(schema->scratch.limits);
}


/*
 * Called before each item of a pattern.  PCRE2's own match limit starts again
 * at every character where a match may start, and ignores how far one item
 * reads.  Here both count.
 */

static int
schema_pattern_step(pcre2_callout_block *block, void *data)
{
    size_t           moved;
    schema_match_t  *match = data;

    moved = block->current_position > match->last
            ? block->current_position - match->last
            : match->last - block->current_position;

    match->last = block->current_position;
    match->steps -= 1 + (int64_t) (moved / 16);

    return match->steps > 0 ? 0 : PCRE2_ERROR_MATCHLIMIT;
}


int
schema_check_pattern(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int              rc;
    size_t           len;
    int64_t          steps;
    uint32_t         limit;
    const char      *text;
    schema_match_t   match;

    text = schema_text(c->work, c->doc, token, &len);
    if (text == NULL) {
        return schema_stop(c, "pattern", path, json_no_memory);
    }

    /* enough to read a long text about twice, and no more than is left */
    steps = SCHEMA_MATCH_STEPS + 2 * (int64_t) len;

    if (steps > c->steps / SCHEMA_MATCH_COST) {
        steps = c->steps > 0 ? c->steps / SCHEMA_MATCH_COST + 1 : 1;
    }

    match.steps = steps;
    match.last = 0;

    limit = steps < UINT32_MAX ? (uint32_t) steps : UINT32_MAX;
    (void) pcre2_set_match_limit(c->work->limits, limit);
    (void) pcre2_set_depth_limit(c->work->limits, limit);
    (void) pcre2_set_callout(c->work->limits, schema_pattern_step, &match);

    rc = pcre2_match(rule->u.pattern->code, (PCRE2_SPTR) text, len, 0,
                     PCRE2_NO_UTF_CHECK, c->work->match, c->work->limits);

    c->steps -= 8 + SCHEMA_MATCH_COST * (steps - match.steps);
    schema_charge_text(c, c->doc, token);

    if (rc >= 0) {
        return SCHEMA_FITS;
    }

    switch (rc) {

    case PCRE2_ERROR_NOMATCH:
        return schema_violate(c, "pattern", path, "does not match");

    case PCRE2_ERROR_NOMEMORY:
        return schema_stop(c, "pattern", path, json_no_memory);

    default:
        return schema_stop(c, "pattern", path, c->steps > 0
                           ? "matching the pattern takes too many steps"
                           : schema_too_costly);
    }
}
