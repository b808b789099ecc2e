/* The table of the configuration's keys. */

#ifndef SLUICE_CONF_KEYS_H
#define SLUICE_CONF_KEYS_H


#include "conf/walk.h"


/* In the order of the manual; ends with a NULL path. */
extern const conf_key_t  conf_keys[];


#endif
