/* SPDX-License-Identifier: Apache-2.0 */
/* The line protocol: one order a line in, "OK total=CENTS" or "ERR -ERRNO" a line out. */
#ifndef ORDERD_NET_H
#define ORDERD_NET_H

#include <stdint.h>

struct worker;   /* a thread with its connections */

/* A listening socket on 127.0.0.1; *port 0 is replaced by the one that the kernel chose. fd or -errno. */
int net_listen(uint16_t *port);
struct worker *worker_start(void);
/* Hands a connection over; the worker closes it. 0 or -errno (then the caller still owns fd). */
int worker_give(struct worker *w, int fd);
/* Ends the thread, closes its connections, frees it; adds to the totals. */
void worker_stop(struct worker *w, uint64_t *orders, uint64_t *errors);

int handle_line(struct worker *w, const char *line, char *reply, int size);

#endif
