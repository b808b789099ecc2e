/* Proves that every offset is accounted for, once. */

#ifndef SLUICE_VERIFY_H
#define SLUICE_VERIFY_H


#include "conf/conf.h"


/* Runs verify without options.  Returns its exit status. */
int verify_prove(const conf_t *conf);


#endif
