/*
 * Preloaded by a test: what librdkafka does once in a blue moon, when asked by
 * a file.  The program under test is the one that ships.
 *
 *   SLUICE_FATAL=FILE   while there is FILE, it is removed and the client that
 *                       polls next fails for good
 *   SLUICE_NO_NEW=FILE  while there is FILE, no client can be started
 *   SLUICE_SAID=TEXT    what a broker says of a topic that it does not create
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>


static char  fatal_file[512];
static char  no_new_file[512];
static char  said[512];


__attribute__((constructor)) static void
faults_init(void)
{
    const char  *fatal, *no_new, *text;

    fatal = getenv("SLUICE_FATAL");
    no_new = getenv("SLUICE_NO_NEW");
    text = getenv("SLUICE_SAID");

    /* nginx writes its title over the environment */
    (void) snprintf(fatal_file, sizeof(fatal_file), "%s", fatal ? fatal : "");
    (void) snprintf(no_new_file, sizeof(no_new_file), "%s",
                    no_new ? no_new : "");
    (void) snprintf(said, sizeof(said), "%s", text ? text : "");
}


const char *
rd_kafka_topic_result_error_string(const rd_kafka_topic_result_t *result)
{
    static const char  *(*next)(const rd_kafka_topic_result_t *result);

    if (next == NULL) {
        *(void **) &next = dlsym(RTLD_NEXT,
                                 "rd_kafka_topic_result_error_string");
    }

    return said[0] ? said : next(result);
}


int
rd_kafka_poll(rd_kafka_t *rk, int timeout)
{
    static int  (*next)(rd_kafka_t *rk, int timeout);

    if (next == NULL) {
        *(void **) &next = dlsym(RTLD_NEXT, "rd_kafka_poll");
    }

    if (fatal_file[0] && unlink(fatal_file) == 0) {
        (void) rd_kafka_test_fatal_error(rk,
                               RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                               "asked for by a test");
    }

    return next(rk, timeout);
}


rd_kafka_t *
rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *errstr,
    size_t size)
{
    static rd_kafka_t  *(*next)(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                                char *errstr, size_t size);

    if (next == NULL) {
        *(void **) &next = dlsym(RTLD_NEXT, "rd_kafka_new");
    }

    if (no_new_file[0] && access(no_new_file, F_OK) == 0) {
        (void) snprintf(errstr, size, "asked for by a test");
        return NULL;
    }

    return next(type, conf, errstr, size);
}
