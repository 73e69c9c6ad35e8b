/* SPDX-License-Identifier: Apache-2.0 */
/* A record as one JSON object, the same from the terminal and from the collector. */
#ifndef PLUMB_RECORD_JSON_H
#define PLUMB_RECORD_JSON_H

#include "model.h"

/* A pattern's first field says which function it was: values begin behind it. */
uint32_t record_first_field(const struct record *rec);
/* The return value; what else is captured at the return stands beside it. */
bool field_is_ret(const struct field *f);

/* Appends {"ts":ns,"host":..,"pid":..,"tid":..,"comm":..,"probe":..,"function":..,"build_id":..,"args":{..},"ret":..,
 * "duration_ns":..,"error":bool}, without a newline. host_json: ,"host":".." as it is to stand there. */
void record_json(const struct record *rec, const struct buf *host_json, const char *comm, struct buf *out);

#endif
