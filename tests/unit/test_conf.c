/* The consumer's configuration: what is taken, and what is said if not. */

#include <stdio.h>
#include <stdlib.h>

#include <librdkafka/rdkafka.h>

#include "conf/conf.h"
#include "conf/units.h"
#include "tap.h"


#define HEAD  "{ \"topic\": \"t\", \"group\": \"g\", \"start\": \"earliest\",\n"
#define KAFKA "\"kafka\": { \"bootstrap.servers\": \"b:1\" },\n"
#define TABLE "f:1: \"table\" must be NAME, SCHEMA.NAME or " \
              "[\"SCHEMA\", \"NAME\"], names of 1 to 63 bytes"
#define X63   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define PG    "\"postgres\": \"dbname=x\", \"table\": \"t\",\n"
#define COLS  "\"columns\": { \"a\": \"/a\" }"
#define GOOD  HEAD KAFKA PG COLS
#if (SLUICE_CURL)
#define AVRO(text)  text
#else
#define AVRO(text)  "f:5: this sluice-consumer is built without libcurl"
#endif

#define REGISTRY  GOOD ",\n\"registry\": { \"value\": \"json\", "
#define TOPICS(topics) \
    "{ \"group\": \"g\", \"start\": \"earliest\",\n\"topics\": " topics \
    "," KAFKA "\"postgres\": \"dbname=x\","
#define NAMED(table)  "\"table\": \"" table "\"," COLS "}"
#define COLUMNS  HEAD KAFKA PG "\"columns\": "


typedef struct {
    const char  *text;
    const char  *error;
} case_t;


static const case_t  errors[] = {
    { "", "f:1:1: " },
    { "[]", "f:1: a configuration must be a JSON object" },
    { "{ \"topic\": \"t\",\n  \"topic\": \"u\" }", "f:2:3: duplicate member" },
    { GOOD ",\n\"tabel\": \"x\" }",
      "f:5: unknown key \"tabel\", did you mean \"table\"?" },
    { GOOD ",\n\"zzzzzzzz\": 1 }", "f:5: unknown key \"zzzzzzzz\"" },
    { GOOD ",\n\"batch\": { \"row\": 1 } }",
      "f:5: unknown key \"row\", did you mean \"rows\"?" },
    { GOOD ",\n\"batch.rows\": 1 }", "f:5: unknown key \"batch.rows\" here, "
      "did you mean \"batch.rows\"?" },
    { GOOD ",\n\"batch\": 1 }", "f:5: \"batch\" must be an object" },
    { GOOD ",\n\"batch\": { \"rows\": 1.5 } }",
      "f:5: \"batch.rows\" must be a whole number" },
    { GOOD ",\n\"batch\": { \"rows\": 0 } }",
      "f:5: \"batch.rows\" must be between 1 and 1000000" },
    { GOOD ",\n\"batch\": { \"bytes\": \"8x\" } }",
      "f:5: \"batch.bytes\" must be a size such as \"8m\"" },
    { GOOD ",\n\"batch\": { \"linger\": 20 } }",
      "f:5: \"batch.linger\" must be a time such as \"20ms\" or \"10s\"" },
    { GOOD ",\n\"dead_letters\": { \"hold_above\": 2 } }",
      "f:5: \"dead_letters.hold_above\" must be a share between 0 and 1" },
    { GOOD ",\n\"dead_letters\": { \"topic\": 1 } }",
      "f:5: \"dead_letters.topic\" must be a string" },
    { GOOD ",\n\"receipts\": {} }",
      "f:5: key \"receipts.topic\" is missing" },
    { GOOD ",\n\"registry\": {} }",
      "f:5: key \"registry.value\" is missing" },
    { GOOD ",\n\"registry\": { \"value\": \"plain\" } }",
      "f:5: \"registry\" needs a \"value\" or \"key\" that is json or "
      "avro" },
    { GOOD ",\n\"registry\": { \"value\": \"avro\" } }",
      AVRO("f:5: Avro needs \"registry.url\", for the schemas") },
    { REGISTRY "\"url\": [\"registry:8081\"] } }",
      "f:5: \"registry.url\" takes URLs such as" },
    { REGISTRY "\"url\": [\"http://u:p@registry:8081\"] } }",
      "f:5: \"registry.url\" takes URLs such as" },
    { REGISTRY "\"url\": [\"http://\"] } }",
      "f:5: \"registry.url\" takes URLs such as" },
    { REGISTRY "\"user\": \"u\" } }",
      "f:5: \"registry.user\" and \"registry.password\" go together" },
    { REGISTRY "\"user\": \"u\", \"password\": \"p\",\n"
      "\"authorization\": \"Bearer b\" } }",
      "f:5: \"registry.user\" and \"registry.authorization\" both fill" },
    { REGISTRY "\"authorization\": \"a\\nb\" } }",
      "f:5: \"registry.authorization\" must be one line" },
    { REGISTRY "\"certificate\": \"c\" } }",
      "f:5: \"registry.certificate\" and \"registry.certificate_key\" go" },
    { REGISTRY "\"timeout\": \"2m\" } }",
      "f:5: \"registry.timeout\" must be between 100ms and 1m" },
    { GOOD ",\n\"create_table\": \"yes\" }",
      "f:5: \"create_table\" must be true or false" },
    { GOOD ",\n\"listen\": \"9465\" }",
      "f:5: \"listen\" must be ADDRESS:PORT such as \"127.0.0.1:9465\"" },
    { GOOD ",\n\"listen\": \"h:99999\" }",
      "f:5: \"listen\" must be ADDRESS:PORT such as \"127.0.0.1:9465\"" },
    { KAFKA, "f:1:8: " },
    { "{ \"group\": \"g\", \"start\": \"earliest\"," KAFKA PG COLS "}",
      "f:1: key \"topic\" is missing" },
    { GOOD ",\n\"topics\": [\"a\"] }",
      "f:1: \"topic\" and \"topics\" exclude each other" },
    { GOOD ",\n\"topics\": [] }", "f:5: \"topics\" must be 1 to 256 topics" },
    { GOOD ",\n\"topics\": \"a\" }", "f:5: \"topics\" must be 1 to 256" },
    { GOOD ",\n\"topics\": \"^(\" }",
      "f:5: \"topics\" must be a POSIX extended regular expression" },
    { GOOD ",\n\"topics\": [\"a/b\"] }", "f:5: a topic's name has 1 to 249" },
    { GOOD ",\n\"topics\": [\"..\"] }", "f:5: a topic's name has 1 to 249" },
    { GOOD ",\n\"topics\": [1] }", "f:5: a topic's name has 1 to 249" },
    { GOOD ",\n\"topics\": [\"a\", \"b\", \"a\"] }",
      "f:5: \"topics\" holds \"a\" twice" },
    { TOPICS("{ \"a\": \"x\\\"y\" }") NAMED("t"), "f:2: \"topics\" must be" },
    { TOPICS("{ \"a\": \"x\" }") NAMED("t"),
      "f:1: \"topics\" names the tables, so \"table\" names none" },
    { TOPICS("{ \"a\": \"sluice.x\" }") COLS "}",
      "f:2: \"table\" cannot be in schema \"sluice\"" },
    { TOPICS("[\"a\"]") NAMED("{topic}.x"),
      "f:1: \"{topic}\" cannot be in a schema's name" },
    { TOPICS("[\"a\"]") NAMED("x.{topic}{topic}"),
      "f:1: topic \"a\": the name of its table has more than 63 bytes" },
    { TOPICS("[\"" X63 "x\"]") NAMED("{topic}"),
      "f:1: topic \"" X63 "x\": the name of its table has more than 63" },
    { TOPICS("\"^a\"") NAMED("{topic}"), "f:1: a pattern of \"topics\" with "
      "\"{topic}\" in \"table\" needs \"tables\"" },
    { TOPICS("[\"a\"]") "\"tables\": [\"t\"]," NAMED("{topic}"),
      "f:1: \"tables\" goes with a pattern" },
    { TOPICS("[\"a\", \"d\"]") "\"dead_letters\": { \"topic\": \"d\" },"
      NAMED("t"), "f:1: \"dead_letters.topic\" cannot be" },
    { "{ \"group\": \"g\", \"start\": \"latest\", \"topics\": \"^a\","
      KAFKA PG COLS "}", "f:1: a pattern of \"topics\" needs another" },
    { HEAD PG COLS "}", "f:1: key \"kafka\" is missing" },
    { HEAD "\"kafka\": { \"client.id\": \"x\" },\n" PG COLS "}",
      "f:1: property \"bootstrap.servers\" of \"kafka\" is missing" },
    { HEAD "\"kafka\": {\n\"group.id\": \"x\" },\n" PG COLS "}",
      "f:3: property \"group.id\" cannot be given: use \"group\"" },
    { HEAD "\"kafka\": {\n\"enable.auto.commit\": true },\n" PG COLS "}",
      "f:3: property \"enable.auto.commit\" cannot be given: offsets are "
      "kept in PostgreSQL" },
    { HEAD "\"kafka\": {\n\"test.mock.num.brokers\": 3 },\n" PG COLS "}",
      "f:3: property \"test.mock.num.brokers\" cannot be given: it is for "
      "librdkafka's own tests" },
    { HEAD "\"kafka\": {\n\"sasl.password\": { \"file\": \"/nonexistent\" } "
      "},\n" PG COLS "}", "f:3: could not read \"/nonexistent\": No such "
      "file or directory" },
    { HEAD "\"kafka\": {\n\"sasl.password\": { \"fil\": \"x\" } },\n" PG COLS
      "}", "f:3: \"sasl.password\" must be a string or { \"file\": PATH }" },
    { "{\n\"kafka\": { \"no.such\": true } }",
      "f:2: property \"no.such\": librdkafka knows no such property" },
    { "{\n\"kafka\": { \"session.timeout.ms\": \"soon\" } }",
      "f:2: property \"session.timeout.ms\": " },
    { HEAD KAFKA "\"postgres\": \"host=x hunter2\", \"table\": \"t\",\n" COLS
      "}", "f:1: key \"postgres\" is not a conninfo string or URI of libpq" },
    { GOOD "}\nx", "f:5:1: " },
    { "{ \"start\": \"yesterday\" }", "f:1: \"start\" must be \"earliest\", "
      "\"latest\" or a time such as \"2026-01-31T12:00:00Z\"" },
    { "{ \"table\": \"a.b.\" }", NULL },
    { "{ \"table\": \".b\" }", TABLE "; quotes are part of a name, so in the "
      "array alone" },
    { "{ \"table\": \"\\\"na.me\\\"\" }", TABLE },
    { "{ \"table\": 1 }", TABLE },
    { "{ \"table\": [] }", TABLE },
    { "{ \"table\": [1] }", TABLE },
    { "{ \"table\": [\"\"] }", TABLE },
    { "{ \"table\": [\"\", \"a\"] }", TABLE },
    { "{ \"table\": [\"a\", [\"b\"]] }", TABLE },
    { "{ \"table\": [\"a\", \"b\", \"c\"] }", TABLE },
    { "{ \"table\": [\"" X63 "x\"] }", TABLE },
    { "{ \"table\": \"" X63 "x\" }", TABLE },
    { "{ \"table\": \"" X63 "x.a\" }", TABLE },
    { "{ \"table\": [\"" X63 "\", \"" X63 "\"] }", NULL },
    { "{ \"table\": [\"sluice\", \"a\"] }", "f:1: \"table\" cannot be in "
      "schema \"sluice\"" },
    { "{ \"table\": [\"a\\u0000b\"] }", "f:1:15: NUL in a string" },
    { "{ \"columns\": {} }", "f:1: \"columns\" must be \"auto\" or an object "
      "with at least one column" },
    { "{ \"columns\": { \"a\":\n\"b\" } }",
      "f:2: column \"a\": it is not a JSON Pointer: " },
    { "{ \"columns\": { \"a\": 1 } }",
      "f:1: column \"a\": it must be a JSON Pointer or an object" },
    { COLUMNS "{ \"a\": { \"type\": \"text\" } } }",
      "f:4: column \"a\": it needs one of \"path\", \"key\", \"meta\", "
      "\"header\", \"constant\" and \"generated\"" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"meta\": \"key\" } } }",
      "f:4: column \"a\": it needs one of \"path\", \"key\", \"meta\", "
      "\"header\", \"constant\" and \"generated\"" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\",\n\"requird\": true } } }",
      "f:2: column \"a\": unknown key \"requird\", did you mean "
      "\"required\"?" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"type\": \"txt\" } } }",
      "f:4: column \"a\": unknown type, did you mean \"text\"?" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"type\": \"int4range\" } } }",
      "f:4: column \"a\": a \"type\" that the manual does not list goes with "
      "\"create_table\" and \"evolve\" only: a table that is there has its "
      "own" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"type\": \"g(a,)\" } } }",
      "f:1: column \"a\": unknown type" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"type\": \"g(a)b\" } } }",
      "f:1: column \"a\": unknown type" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"type\": \"a.b.c\" } } }",
      "f:1: column \"a\": unknown type" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"type\": \"bit(a)\" } } }",
      "f:1: column \"a\": unknown type" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\",\n"
      "\"type\": \"text); drop table x\" } } }",
      "f:2: column \"a\": unknown type" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"type\": \"text(3)\" } } "
      "}", "f:1: column \"a\": unknown type" },
    { "{ \"columns\": { \"a\": { \"meta\": \"ofset\" } } }",
      "f:1: column \"a\": unknown \"meta\" \"ofset\", did you mean "
      "\"offset\"?" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"required\": true, "
      "\"default\": 1 } } }",
      "f:4: column \"a\": it cannot be required and have a default" },
    { "{ \"columns\": { \"a\": { \"header\": \"\" } } }",
      "f:1: column \"a\": \"header\" must be a header's name" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"header\": \"h\" } } }",
      "f:4: column \"a\": it needs one of " },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"type\": \"txt[]\" } } }",
      "f:4: column \"a\": a \"type\" that the manual does not list" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\",\n\"on_null\": \"rejct\" } } "
      "}", "f:2: column \"a\": unknown \"on_null\" \"rejct\", did you mean "
      "\"reject\"?" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"on_missing\": 1 } } }",
      "f:1: column \"a\": \"on_missing\" must be one of null|default|"
      "reject|keep" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"on_missing\": \"keep\" } } }",
      "f:4: column \"a\": \"keep\" goes with \"mode\" upsert, upsert" },
    { GOOD ",\n\"each\": \"/a\", \"mode\": \"update\", \"key\": [\"a\"] }",
      "f:5: \"each\" goes with \"mode\" append, ignore and upsert" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"root\": \"record\" } },\n"
      "\"each\": \"/b\", \"mode\": \"upsert\", \"key\": [\"a\"] }",
      "f:5: \"key\" is the same for all elements of a record" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"root\": \"record\" } } }",
      "f:4: column \"a\": \"root\" goes with \"path\", in a table with" },
    { COLUMNS "{ \"a\": { \"meta\": \"element\" } } }",
      "f:4: column \"a\": \"element\" goes with \"each\"" },
    { GOOD ",\n\"absent\": \"dead_letter\" }",
      "f:5: \"absent\" goes with \"mode\" update" },
    { GOOD ",\n\"on_missing\": \"keep\" }",
      "f:5: \"keep\" goes with \"mode\" upsert, upsert" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"on_null\": \"keep\" } },\n"
      "\"mode\": \"upsert\", \"key\": [\"a\"] }",
      "f:4: column \"a\": a column of \"key\" or \"newer\" cannot \"keep\"" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"unit\": \"h\" } } }",
      "f:1: column \"a\": unknown \"unit\"" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"transform\": \"lwer\" } } "
      "}", "f:1: column \"a\": unknown \"transform\" \"lwer\", did you mean "
      "\"lower\"?" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"transform\": [] } } }",
      "f:1: column \"a\": \"transform\" must be one to 16 transforms" },
    { "{ \"columns\": { \"a\": { \"path\": \"/a\", \"transform\": { \"mask\": "
      "-1 } } } }", "f:1: column \"a\": \"mask\" must be the number "
      "of characters that stay, 0 to 1000" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"required\": true, "
      "\"on_null\": \"null\" } } }",
      "f:4: column \"a\": \"required\" already decides \"on_missing\" "
      "and \"on_null\"" },
    { COLUMNS "{ \"a\": { \"meta\": \"offset\", \"default\": 1 } } }",
      "f:4: column \"a\": a value that is always there takes no \"default\"" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"on_null\": "
      "\"default\" } } }", "f:4: column \"a\": it has no \"default\"" },
    { COLUMNS "{ \"a\": { \"path\": \"/a\", \"default\": 1, "
      "\"on_missing\": \"null\" } } }",
      "f:4: column \"a\": its \"default\" is never used" },
    { COLUMNS "{ \"a\": { \"header\": \"h\", \"on_null\": \"json\" } } }",
      "f:4: column \"a\": \"on_null\" \"json\" goes with \"path\"" },
    { COLUMNS "{ \"a\": { \"meta\": \"headers\", \"default\": 1 } } }",
      "f:4: column \"a\": a value that is always there" },
    { COLUMNS "{ \"a\": { \"meta\": \"offset\", \"unit\": \"s\" } } }",
      "f:4: column \"a\": \"transform\" and \"unit\" go only with " },
    { GOOD ",\n\"format\": \"xml\" }", "f:5: \"format\" must be one of "
      "json|text|bytes|cloudevents" },
    { GOOD ",\n\"format\": \"text\" }", "f:1: a value of \"format\" \"text\" "
      "has no fields: columns take it whole by \"meta\": \"value\"" },
    { GOOD ",\n\"nul\": \"stripp\" }", "f:5: unknown \"nul\" \"stripp\", did "
      "you mean \"strip\"?" },
    { GOOD ",\n\"rest\": \"a\" }", "f:1: \"rest\" and \"columns\" both fill "
      "column \"a\"" },
    { GOOD ",\n\"where\": {} , \"x\": 1 }", "f:5: unknown key \"x\"" },
    { GOOD ",\n\"where\": { \"path\": \"/a\" } }", "f:5: \"where\" needs one "
      "of \"path\" and \"header\", and one of " },
    { GOOD ",\n\"where\": { \"equals\": 1 } }", "f:5: \"where\" needs one of" },
    { GOOD ",\n\"where\": { \"path\": \"/a\", \"equals\": 1, \"exists\": true "
      "} }", "f:5: \"where\" needs one of" },
    { GOOD ",\n\"where\": 1 }", "f:5: a condition of \"where\" must be" },
    { GOOD ",\n\"where\": { \"all\": [] } }", "f:5: \"where.all\" must be an "
      "array of 1 to 64 conditions" },
    { GOOD ",\n\"where\": { \"any\": [{ \"path\": \"/a\", \"exists\": true },\n"
      "{ \"all\": [{}] }] } }", "f:6: \"where\" needs one of \"path\"" },
    { GOOD ",\n\"where\": { \"any\": [1] } }",
      "f:5: a condition of \"where\" must be an object" },
    { GOOD ",\n\"where\": { \"all\": [{ \"pth\": \"/a\" }] } }",
      "f:5: unknown key \"pth\", did you mean \"path\"?" },
    { GOOD ",\n\"where\": { \"header\": \"h\", \"equals\": 1, \"all\": [{ "
      "\"path\": \"/a\", \"exists\": true }] } }", "f:5: \"where\" needs one" },
    { GOOD ",\n\"where\": { \"path\": \"/a\", \"equals\": [] } }",
      "f:5: what \"where\" compares with must be a string, a number, " },
    { GOOD ",\n\"where\": { \"path\": \"/a\", \"in\": [] } }",
      "f:5: \"where.in\" must be an array with at least one value" },
    { GOOD ",\n\"where\": { \"path\": \"a\", \"exists\": true } }",
      "f:5: it is not a JSON Pointer: " },
    { HEAD KAFKA PG "\"columns\": \"auto\", \"create_table\": true }",
      "f:1: \"create_table\" cannot create a table whose \"columns\" are "
      "\"auto\"" },
    { COLUMNS "{ \"a\": { \"generated\": \"identity\" } } }",
      "f:4: no column of \"columns\" is filled from the record" }
};


/* "f:5:2: words" as "f:5: words"; test_conf_table.c looks at columns. */

static const char *
without_column(const char *err)
{
    int          line;
    const char  *words;
    static char  text[CONF_ERROR_MAX];

    words = strstr(err, ": ");

    if (words && sscanf(err, "f:%d:", &line) == 1) {
        snprintf(text, sizeof(text), "f:%d%s", line, words);
    }

    return text;
}


static void
test_errors(void)
{
    char           err[CONF_ERROR_MAX];
    size_t         i;
    const conf_t  *conf;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        err[0] = '\0';
        conf = conf_parse("f", errors[i].text, strlen(errors[i].text), err);

        if (errors[i].error
            && strncmp(err, errors[i].error, strlen(errors[i].error)) != 0
            && strncmp(without_column(err), errors[i].error,
                       strlen(errors[i].error)) != 0)
        {
            printf("# %s\n", errors[i].text);
            is_str(err, errors[i].error, "a message");

        } else {
            ok(conf == NULL && strstr(err, "hunter2") == NULL,
               "refused: %s", err);
        }

        conf_free(conf);
    }
}


static void
test_good(void)
{
    char           err[CONF_ERROR_MAX];
    const conf_t  *conf;
    const char    *text;

    conf = conf_parse("f", GOOD "}", strlen(GOOD "}"), err);

    if (!ok(conf != NULL, "the least configuration")) {
        printf("# %s\n", err);
        return;
    }

    is(conf->batch_rows, 50000, "50,000 rows by default");
    is(conf->batch_bytes, 8 * 1024 * 1024, "8 MiB by default");
    is(conf->batch_linger, 20, "20 ms by default");
    is(conf->flush_timeout, 10000, "10 s to flush by default");
    ok(conf->hold_above == 0.2, "holds above 20 %%");
    ok(!conf->create_table && conf->listen == NULL, "nothing unasked");
    is_str(conf->columns[0].path, "/a", "a string is a path");
    conf_free(conf);

    setenv("CREDENTIALS_DIRECTORY", "/run/cred", 1);

    text = "{ \"topic\": \"t\", \"group\": \"g\","
           "\"start\": \"2026-01-31T12:00:00.5+01:00\","
           "\"kafka\": { \"bootstrap.servers\": \"b\","
           " \"ssl.ca.location\": \"${CREDENTIALS_DIRECTORY}/ca\","
           " \"session.timeout.ms\": 6000, \"client.id\": \"${HOME}\" },"
           "\"postgres\": \"dbname=x\", \"table\": [\"shop\", \"a\\\";drop\"],"
           "\"columns\": { \"id\": { \"generated\": \"identity\" },"
           " \"n\": { \"path\": \"/n\", \"type\": \"NUMERIC(12,2)\","
           "  \"default\": 1.10 },"
           " \"v\": { \"meta\": \"value\", \"type\": \"bytea\" } },"
           "\"batch\": { \"rows\": 5, \"bytes\": \"64k\", \"linger\": \"1s\" "
           "}, \"create_table\": true, \"flush_timeout\": \"2s\","
           "\"dead_letters\": { \"hold_above\": 1 },"
           "\"listen\": \"[::1]:80\" }";

    conf = conf_parse("f", text, strlen(text), err);

    if (!ok(conf != NULL, "every key")) {
        printf("# %s\n", err);
        return;
    }

    is(conf->start, CONF_START_TIME, "a start in time");
    is(conf->start_time, 1769857200500, "in ms of UTC");
    is_str(conf_property(conf, "ssl.ca.location"), "/run/cred/ca",
           "the credentials' folder is expanded");
    is_str(conf_property(conf, "client.id"), "${HOME}", "nothing else is");
    is_str(conf_property(conf, "session.timeout.ms"), "6000",
           "numbers are properties, too");
    is_str(conf->table_schema, "shop", "the schema");
    is_str(conf->table_name, "a\";drop", "the table, as it is");
    is_str(conf->table, "shop.a\";drop", "and as a string");
    is(conf->columns[0].from, CONF_FROM_IDENTITY, "an identity column");
    is_str(conf->columns[1].fallback, "1.10", "a default keeps its digits");
    is(conf->columns[2].from, CONF_FROM_VALUE, "the raw value");
    is(conf->batch_rows, 5, "rows");
    is(conf->batch_bytes, 65536, "bytes");
    is(conf->batch_linger, 1000, "linger");
    is(conf->flush_timeout, 2000, "flush_timeout");
    is_str(conf->listen_host, "::1", "an IPv6 address loses its brackets");
    is(conf->listen_port, 80, "the port");
    conf_free(conf);
}


/* Which topics a configuration reads, and where their records go. */

static void
test_topics(void)
{
    char           err[CONF_ERROR_MAX];
    size_t         i;
    const conf_t  *conf, *chosen;
    const char    *text;

    static const char *const  there[] = {
        "o.b", "__consumer_offsets", "o.a", "dead", "x.o.a", ("o." X63)
    };

    text = TOPICS("[\"b.c\", \"a\"]") NAMED("landing.t_{topic}");
    conf = conf_parse("f", text, strlen(text), err);

    if (!ok(conf != NULL, "a list and a template")) {
        printf("# %s\n", err);
        return;
    }

    is(conf_topics(conf), 2, "two topics");
    is_str(conf_topic(conf, 0), "a", "by name");
    is_str(conf->topic, "a,b.c", "and as text");
    is_str(conf_of_topic(conf, 1)->topic, "b.c", "each alone");
    is_str(conf_of_topic(conf, 1)->table, "landing.t_b.c", "its table");
    is_str(conf_of_topic(conf, 1)->table_schema, "landing", "in its schema");
    is_str(conf_of_topic(conf, 1)->table_name, "t_b.c", "with its name");
    is(conf->ntargets, 2, "two tables");
    is_str(conf->targets[conf->topics[1].target]->table, "landing.t_b.c",
           "the topic's");

    chosen = conf_choose(conf, there, 1, err);
    ok(chosen && chosen->ntopics == 0 && chosen->topics_left, "none is there");
    conf_free(chosen);
    conf_free(conf);

    text = TOPICS("{ \"b\": \"t\", \"a\": [\"s\", \"x\"], \"c\": \"t\" }")
           COLS "}";
    conf = conf_parse("f", text, strlen(text), err);
    ok(conf && conf->ntargets == 2, "topics may share a table");

    for (i = 0; conf && i < 3; i++) {
        is_str(conf->targets[conf->topics[i].target]->table,
               i ? "t" : "s.x", "a topic's table");
    }

    conf_free(conf);

    text = TOPICS("\"^o[.]|^dead$|^__\"") "\"tables\": [\"t.o.a\", \"s.*\"],"
           "\"dead_letters\": { \"topic\": \"dead\" }," NAMED("t.{topic}");
    conf = conf_parse("f", text, strlen(text), err);

    if (!ok(conf != NULL, "a pattern")) {
        printf("# %s\n", err);
        return;
    }

    is(conf_topics(conf), 0, "before the cluster is asked: none");
    chosen = conf_choose(conf, there, 6, err);

    if (ok(chosen != NULL, "chosen")) {
        is(chosen->ntopics, 1, "one may be read");
        is_str(chosen->topics[0].name, "o.a", "that one");
        ok(strstr(chosen->topics_left, "\"o.b\" is not read: its table")
           && strstr(chosen->topics_left, "has more than 63 bytes")
           && !strstr(chosen->topics_left, "dead")
           && !strstr(chosen->topics_left, "consumer"), "others are named: %s",
           chosen->topics_left);
    }

    conf_free(chosen);
    conf_free(conf);
}


static void
test_values(void)
{
    int64_t  n;

    is(conf_parse_size("8m", &n), 0, "8m");
    is(n, 8388608, "is 8 MiB");
    is(conf_parse_size("", &n), -1, "no size");
    is(conf_parse_size("-1", &n), -1, "no negative size");
    is(conf_parse_size("99999999999g", &n), -1, "too large a size");
    is(conf_parse_time("30d", &n), 0, "30d");
    is(n, 2592000000, "is 30 days");
    is(conf_parse_time("10", &n), -1, "a time needs a unit");
    is(conf_parse_date("1970-01-01T00:00:00Z", &n), 0, "the epoch");
    is(n, 0, "is 0");
    is(conf_parse_date("2026-02-30T00:00:00Z", &n), -1, "no such day");
    is(conf_parse_date("2026-01-01T25:00:00Z", &n), -1, "no such hour");
    is(conf_parse_date("2026-01-01", &n), -1, "a date alone");
    is(conf_parse_date("2026-01-01T00:00:00Zx", &n), -1, "something behind");
}


/* Where the renewal of an unsecured token would end the daemon. */

static void
test_token(void)
{
    char           err[CONF_ERROR_MAX];
    const char    *text;
    const conf_t  *conf;

    text = HEAD "\"kafka\": { \"bootstrap.servers\": \"b:1\",\n"
           "\"enable.sasl.oauthbearer.unsecure.jwt\": true },\n" PG COLS "}";
    err[0] = '\0';
    conf = conf_parse("f", text, strlen(text), err);

    if (rd_kafka_version() < 0x020200ff) {
        ok(conf == NULL && strncmp(err, "f:3:", 4) == 0
           && strstr(err, "crashes when it renews the token"),
           "an unsecured token is refused: %s", err);
    } else {
        ok(conf != NULL, "an unsecured token is taken");
    }

    conf_free(conf);
}


int
main(void)
{
    test_errors();
    test_good();
    test_topics();
    test_token();
    test_values();

    return tap_done();
}
