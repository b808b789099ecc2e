/* "topics": the topics of one daemon, and the table of each. */

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/check.h"
#include "conf/setters.h"


#define CONF_TOPICS_MAX  256
#define CONF_TOPIC_LEN   249    /* bytes, Kafka's Topic.MAX_NAME_LENGTH */
#define CONF_TOPIC_NAME  63     /* bytes of an SQL name, NAMEDATALEN */
#define CONF_LEFT_MAX    1000   /* bytes of "topics_left" */

/* In a table's name it stands for the topic's. */
#define CONF_PLACE       "{topic}"


static int conf_topic_table(conf_reader_t *cr, const conf_key_t *key,
    uint32_t token, conf_topic_t *topic);
static int conf_topics_text(conf_reader_t *cr, conf_t *conf);
static int conf_name_table(conf_reader_t *cr, const conf_t *conf,
    conf_topic_t *topic);
static int conf_copy_topic(conf_reader_t *cr, conf_t *conf,
    conf_topic_t *topic);
static int conf_replace_target(conf_reader_t *cr, const conf_t *from,
    conf_t *to);
static int conf_topic_targets(conf_reader_t *cr, conf_t *conf);
static bool conf_is_allowed(const conf_t *conf, const conf_topic_t *topic);
static int conf_choose_among(conf_reader_t *cr, const conf_t *conf,
    conf_t *chosen, const char *const *names, size_t n);
static int conf_choose_matching(conf_reader_t *cr, const conf_t *conf,
    conf_t *chosen, const char *const *names, size_t n, buf_t *left);
static void conf_leave(buf_t *left, const char *topic, const char *why);
static int conf_compare_topics(const void *a, const void *b);


bool
conf_is_topic(const char *s)
{
    size_t  len;

    len = strlen(s);

    return len >= 1 && len <= CONF_TOPIC_LEN && strcmp(s, ".") != 0
           && strcmp(s, "..") != 0
           && strspn(s, "abcdefghijklmnopqrstuvwxyz"
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}


int
conf_set_topics(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    int           rc;
    char         *name;
    size_t        n;
    regex_t       regex;
    conf_t       *conf = scope;
    uint32_t      i;
    json_type_t   type;

    type = conf_type(cr, token);
    conf->several = true;

    if (type == JSON_STRING && conf_string(cr, token)[0] == '^') {
        conf->topics_pattern = conf_string(cr, token);
        rc = regcomp(&regex, conf->topics_pattern, REG_EXTENDED | REG_NOSUB);
        if (rc == 0) {
            regfree(&regex);
        }

        return rc == 0 ? 0 : conf_must(cr, key, token, "a POSIX extended "
                                       "regular expression");
    }

    n = type == JSON_ARRAY || type == JSON_OBJECT ? conf_count(cr, token) : 0;

    if (n < 1 || n > CONF_TOPICS_MAX) {
        return conf_must(cr, key, token, "1 to 256 topics, or a pattern that "
                         "begins with \"^\"");
    }

    conf->by_topic = type == JSON_OBJECT;
    conf->topics = conf_alloc(cr, n * sizeof(conf_topic_t));
    if (conf->topics == NULL) {
        return -1;
    }

    for (i = token + 1; i; i = conf_next(cr, token, i)) {
        name = cr->words[i].text;

        if (conf_type(cr, i) != JSON_STRING || !conf_is_topic(name)) {
            return conf_fail(cr, i, "a topic's name has 1 to %d of the "
                             "characters a-z, A-Z, 0-9, \".\", \"_\" and "
                             "\"-\"", CONF_TOPIC_LEN);
        }

        conf->topics[conf->ntopics].name = name;

        if (conf->by_topic
            && conf_topic_table(cr, key, i + 1, &conf->topics[conf->ntopics])
               == -1)
        {
            return -1;
        }

        conf->ntopics++;
    }

    qsort(conf->topics, n, sizeof(conf_topic_t), conf_compare_topics);

    for (n = 1; n < conf->ntopics; n++) {
        if (strcmp(conf->topics[n - 1].name, conf->topics[n].name) == 0) {
            return conf_fail(cr, token, "\"topics\" holds \"%s\" twice",
                             conf->topics[n].name);
        }
    }

    return 0;
}


/* Its value is as that of "table". */

static int
conf_topic_table(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    conf_topic_t *topic)
{
    conf_t  table = { 0 };

    if (conf_set_table(cr, key, token, &table) == -1) {
        return -1;
    }

    topic->table = table.table;
    topic->table_schema = table.table_schema;
    topic->table_name = table.table_name;

    return 0;
}


static int
conf_compare_topics(const void *a, const void *b)
{
    const conf_topic_t  *p = a, *q = b;

    return strcmp(p->name, q->name);
}


int
conf_check_topics(conf_reader_t *cr, conf_t *conf)
{
    bool  map, place;

    map = conf->by_topic;
    place = conf->several && conf->table_name
            && strstr(conf->table_name, CONF_PLACE);

    if (!conf->several && conf->topic == NULL) {
        return conf_fail(cr, 0, "key \"topic\" is missing");
    }

    const conf_rule_t  rules[] = {
        { conf->several && conf->topic,
          "\"topic\" and \"topics\" exclude each other" },

        { map && conf->table,
          "\"topics\" names the tables, so \"table\" names none" },

        { conf->nroutes && (map || place),
          "\"route\" names the tables, so \"topics\" cannot: they take "
          "names alone, and \"table\" no \"" CONF_PLACE "\"" },

        { conf->several && conf->table_schema
          && strstr(conf->table_schema, CONF_PLACE),
          "\"" CONF_PLACE "\" cannot be in a schema's name" },

        { conf->topics_pattern && place && conf->tables.n == 0,
          "a pattern of \"topics\" with \"" CONF_PLACE "\" in \"table\" "
          "needs \"tables\": those that a topic may name" },

        { conf->topics_pattern && conf->start == CONF_START_LATEST,
          "a pattern of \"topics\" needs another \"start\" than "
          "\"latest\", which would skip what a new topic got before it was "
          "found" },

        { conf->tables.n && !(conf->topics_pattern && place),
          "\"tables\" goes with a pattern of \"topics\" and \"" CONF_PLACE
          "\" in \"table\"" }
    };

    if (conf_rules(cr, 0, rules, sizeof(rules) / sizeof(rules[0]))
        == -1)
    {
        return -1;
    }

    conf->by_topic = map || place;

    if (map) {
        conf->table = (char *) "(topics)";
    }

    if (conf->several && conf_topics_text(cr, conf) == -1) {
        return -1;
    }

    conf->daemon_topic = conf->topic;

    return 0;
}


/* For people: the pattern, or the names with commas between them. */

static int
conf_topics_text(conf_reader_t *cr, conf_t *conf)
{
    char    *p;
    size_t   i, len;

    if (conf->topics_pattern) {
        conf->topic = conf->topics_pattern;
        return 0;
    }

    for (i = 0, len = 0; i < conf->ntopics; i++) {
        len += strlen(conf->topics[i].name) + 1;
    }

    conf->topic = p = conf_alloc(cr, len);
    if (p == NULL) {
        return -1;
    }

    for (i = 0; i < conf->ntopics; i++) {
        if (i) {
            *p++ = ',';
        }

        p = stpcpy(p, conf->topics[i].name);
    }

    return 0;
}


int
conf_fill_topics(conf_reader_t *cr, conf_t *conf)
{
    size_t         i;
    conf_topic_t  *topic;

    for (i = 0; i < conf->ntopics; i++) {
        topic = &conf->topics[i];

        if (conf_name_table(cr, conf, topic) == -1) {
            return conf_fail(cr, 0, "topic \"%s\": the name of its table has "
                             "more than %d bytes", topic->name,
                             CONF_TOPIC_NAME);
        }

        if (conf_copy_topic(cr, conf, topic) == -1) {
            return -1;
        }
    }

    return conf->by_topic ? conf_topic_targets(cr, conf) : 0;
}


/* Puts the topic's name into that of "table", unless "topics" names it. */

static int
conf_name_table(conf_reader_t *cr, const conf_t *conf, conf_topic_t *topic)
{
    char        *p;
    size_t       len, before;
    const char  *s, *place;

    if (!conf->by_topic || topic->table_name) {
        return 0;
    }

    s = conf->table_name;
    place = strstr(s, CONF_PLACE);
    before = (size_t) (place - s);
    place += sizeof(CONF_PLACE) - 1;
    len = before + strlen(topic->name) + strlen(place);

    if (len > CONF_TOPIC_NAME || strstr(place, CONF_PLACE)) {
        return -1;
    }

    p = conf_alloc(cr, len + 1);
    if (p == NULL) {
        return -1;
    }

    memcpy(p, s, before);
    (void) stpcpy(stpcpy(p + before, topic->name), place);
    topic->table_schema = conf->table_schema;
    topic->table_name = p;

    return 0;
}


/* The topic's configuration, as if it were the only one. */

static int
conf_copy_topic(conf_reader_t *cr, conf_t *conf, conf_topic_t *topic)
{
    conf_t  *copy;

    copy = conf_alloc(cr, sizeof(conf_t));
    if (copy == NULL) {
        return -1;
    }

    *copy = *conf;
    copy->topic = topic->name;
    copy->several = false;
    copy->topics = NULL;
    copy->ntopics = 0;
    copy->topics_left = NULL;
    copy->memory = NULL;
    topic->conf = copy;

    if (!conf->by_topic) {
        return conf_replace_target(cr, conf, copy);
    }

    copy->table = topic->table;
    copy->table_schema = topic->table_schema;
    copy->table_name = topic->table_name;
    copy->targets = conf_alloc(cr, sizeof(conf_t *));
    if (copy->targets == NULL
        || (copy->table == NULL && conf_table_key(cr, copy) == -1))
    {
        return -1;
    }

    topic->table = copy->table;
    copy->targets[0] = copy;
    copy->ntargets = 1;

    return 0;
}


/* The targets of "from", with "to" in its place. */

static int
conf_replace_target(conf_reader_t *cr, const conf_t *from, conf_t *to)
{
    size_t          i;
    const conf_t  **targets;

    targets = conf_alloc(cr, (from->ntargets + 1) * sizeof(conf_t *));
    if (targets == NULL) {
        return -1;
    }

    for (i = 0; i < from->ntargets; i++) {
        targets[i] = from->targets[i] == from ? to : from->targets[i];
    }

    to->targets = targets;

    return 0;
}


/* Each table once, sorted, so that all daemons lock them in one order. */

static int
conf_topic_targets(conf_reader_t *cr, conf_t *conf)
{
    size_t          i, j;
    const conf_t   *other;
    const conf_t  **targets;

    targets = conf_alloc(cr, (conf->ntopics + 1) * sizeof(conf_t *));
    if (targets == NULL) {
        return -1;
    }

    conf->targets = targets;
    conf->ntargets = 0;

    for (i = 0; i < conf->ntopics; i++) {

        for (j = 0; j < conf->ntargets; j++) {
            other = targets[j];
            if (strcmp(other->table, conf->topics[i].table) >= 0) {
                break;
            }
        }

        if (j == conf->ntargets
            || strcmp(targets[j]->table, conf->topics[i].table) != 0)
        {
            memmove(&targets[j + 1], &targets[j],
                    (conf->ntargets++ - j) * sizeof(conf_t *));
            targets[j] = conf->topics[i].conf;
        }
    }

    for (i = 0; i < conf->ntopics; i++) {
        for (j = 0; strcmp(targets[j]->table, conf->topics[i].table); j++) {
            /* it is one of them */
        }

        conf->topics[i].target = (uint16_t) j;
    }

    return 0;
}


const conf_t *
conf_choose(const conf_t *conf, const char *const *names, size_t n, char *err)
{
    int            rc;
    conf_t        *chosen;
    conf_block_t  *memory;
    conf_reader_t  cr = { 0 };

    memory = NULL;
    cr.file = conf->file;
    cr.err = err;
    cr.memory = &memory;

    /* errors need a place */
    rc = conf_load(&cr, "{}", 2);
    chosen = rc == 0 ? conf_alloc(&cr, sizeof(conf_t)) : NULL;

    if (chosen == NULL || conf_choose_among(&cr, conf, chosen, names, n) == -1)
    {
        conf_memory_free(memory);
        chosen = NULL;

    } else {
        chosen->memory = memory;
    }

    conf_unload(&cr);

    return chosen;
}


static int
conf_choose_among(conf_reader_t *cr, const conf_t *conf, conf_t *chosen,
    const char *const *names, size_t n)
{
    int     rc;
    size_t  i, j, most;
    buf_t   left = { 0 };

    most = conf->topics_pattern ? CONF_TOPICS_MAX : conf->ntopics;

    *chosen = *conf;
    chosen->memory = NULL;
    chosen->ntopics = 0;
    chosen->topics = conf_alloc(cr, most * sizeof(conf_topic_t));
    if (chosen->topics == NULL || conf_replace_target(cr, conf, chosen) == -1)
    {
        return -1;
    }

    rc = 0;

    if (conf->topics_pattern) {
        rc = conf_choose_matching(cr, conf, chosen, names, n, &left);
    }

    for (i = 0; conf->topics_pattern == NULL && i < conf->ntopics; i++) {

        for (j = 0; j < n && strcmp(names[j], conf->topics[i].name); j++) {
            /* void */
        }

        if (j < n) {
            chosen->topics[chosen->ntopics++] = conf->topics[i];
        } else {
            conf_leave(&left, conf->topics[i].name, "it does not exist, or "
                       "the daemon has no right to describe it");
        }
    }

    if (left.len && !buf_failed(&left)) {
        chosen->topics_left = conf_copy(cr, left.data, left.len);
        rc = chosen->topics_left ? rc : -1;
    }

    buf_free(&left);

    return rc == -1 ? -1 : conf_fill_topics(cr, chosen);
}


/* Kafka's own topics and those that the daemon writes are not read. */

static int
conf_choose_matching(conf_reader_t *cr, const conf_t *conf, conf_t *chosen,
    const char *const *names, size_t n, buf_t *left)
{
    size_t         i;
    conf_t         table;
    regex_t        regex;
    conf_topic_t  *topic;

    if (regcomp(&regex, conf->topics_pattern, REG_EXTENDED | REG_NOSUB)) {
        return conf_fail(cr, 0, "out of memory");
    }

    for (i = 0; i < n; i++) {

        if (strncmp(names[i], "__", 2) == 0
            || (conf->dead_topic && strcmp(names[i], conf->dead_topic) == 0)
            || (conf->receipts_topic
                && strcmp(names[i], conf->receipts_topic) == 0)
            || regexec(&regex, names[i], 0, NULL, 0) != 0)
        {
            continue;
        }

        if (chosen->ntopics == CONF_TOPICS_MAX) {
            conf_leave(left, names[i], "256 others match too");
            continue;
        }

        topic = &chosen->topics[chosen->ntopics];
        memset(topic, 0, sizeof(conf_topic_t));
        topic->name = conf_copy(cr, names[i], strlen(names[i]));

        if (topic->name == NULL) {
            break;
        }

        if (conf_name_table(cr, conf, topic) == -1) {
            conf_leave(left, names[i], "the name of its table has more than "
                       "63 bytes");
            continue;
        }

        if (conf->by_topic) {
            table = *conf;
            table.table_schema = topic->table_schema;
            table.table_name = topic->table_name;

            if (conf_table_key(cr, &table) == -1) {
                break;
            }

            topic->table = table.table;

            if (!conf_is_allowed(conf, topic)) {
                conf_leave(left, names[i], "its table is not in \"tables\"");
                continue;
            }
        }

        chosen->ntopics++;
    }

    regfree(&regex);
    qsort(chosen->topics, chosen->ntopics, sizeof(conf_topic_t),
          conf_compare_topics);

    return i < n ? -1 : 0;
}


/* A name of "tables", or "SCHEMA.*". */

static bool
conf_is_allowed(const conf_t *conf, const conf_topic_t *topic)
{
    size_t       i, len;
    const char  *name, *schema;

    schema = topic->table_schema;

    for (i = 0; i < conf->tables.n; i++) {
        name = conf->tables.names[i];
        len = strlen(name);

        if (strcmp(name, topic->table) == 0
            || (schema && len > 2 && strcmp(name + len - 2, ".*") == 0
                && strlen(schema) == len - 2
                && memcmp(schema, name, len - 2) == 0))
        {
            return true;
        }
    }

    return false;
}


static void
conf_leave(buf_t *left, const char *topic, const char *why)
{
    if (left->len < CONF_LEFT_MAX) {
        buf_addf(left, "%stopic \"%s\" is not read: %s",
                 left->len ? "; " : "", topic, why);
    }
}
