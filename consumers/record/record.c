/* Why a record cannot become a row. */

#include <stdarg.h>
#include <stdio.h>

#include "record/record.h"


int
record_fault(record_fault_t *fault, const char *sqlstate, const char *fmt,
    ...)
{
    va_list  ap;

    snprintf(fault->sqlstate, sizeof(fault->sqlstate), "%s", sqlstate);

    va_start(ap, fmt);
    vsnprintf(fault->reason, sizeof(fault->reason), fmt, ap);
    va_end(ap);

    return 1;
}
