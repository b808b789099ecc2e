/* librdkafka's properties that the daemon owns. */

#ifndef SLUICE_CONF_PROPERTIES_H
#define SLUICE_CONF_PROPERTIES_H


typedef struct {
    const char  *name;       /* with a trailing '*': a prefix */
    const char  *value;      /* set behind the file's; NULL: not from here */
    const char  *reason;     /* why the file cannot give it */
} conf_owned_t;


/* Ends with a NULL name. */
extern const conf_owned_t  conf_owned[];


#endif
