/* SPDX-License-Identifier: Apache-2.0 */
/* Inflating what a peer sent: bounded, and with memory that is used again. */
#ifndef PLUMB_INFLATE_H
#define PLUMB_INFLATE_H

#include <stddef.h>
#include <stdint.h>

struct columns_reader;
struct inflater;   /* owns zlib's state and the last result */

/* NULL: no memory. */
struct inflater *inflater_new(void);
void inflater_free(struct inflater *i);
/*
 * Inflates one zlib stream that is all of data. On 0 *out is valid until the next call. -EPROTO: not a whole stream, or something
 * behind it; -EMSGSIZE: more than `max` bytes; -ENOMEM.
 */
int inflater_run(struct inflater *i, const void *data, size_t len, size_t max, const char **out, size_t *out_len);
/*
 * The same for the bytes of a CHUNK: its records, whatever the codec (enum wire_codec); at most `max` bytes of them. -EPROTO also for
 * a codec that there is not.
 */
int inflater_records(struct inflater *i, uint64_t codec, const void *data, size_t len, size_t max, const char **out, size_t *out_len);
/* The bytes of a CHUNK of WIRE_CODEC_COLUMNS: opened as columns_open says, valid until the next call. */
int inflater_columns(struct inflater *i, const void *data, size_t len, size_t max, struct columns_reader **out);

#endif
