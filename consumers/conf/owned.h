/* librdkafka properties the daemon owns. */

#ifndef SLUICE_CONF_KAFKA_H
#define SLUICE_CONF_KAFKA_H


typedef struct {
    const char  *name;       /* with a trailing '*': a prefix */
    const char  *value;      /* set behind the file's; NULL: not from here */
    const char  *reason;     /* why the file cannot give it */
} conf_owned_t;


/* Ends with a NULL name. */
extern const conf_owned_t  conf_owned[];

/* Why a property cannot be given, or NULL if it can. */
const char *conf_kafka_refusal(const char *name);


#endif
