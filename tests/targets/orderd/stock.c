/* SPDX-License-Identifier: Apache-2.0 */
#include "order.h"

#include <errno.h>
#include <pthread.h>

enum { SHELF = 10000 };

static struct {
	pthread_mutex_t lock;
	int left[SKU_MAX];
} stock = { .lock = PTHREAD_MUTEX_INITIALIZER };

void stock_init(void)
{
	int sku;

	for (sku = 0; sku < SKU_MAX; sku++)
		stock.left[sku] = SHELF;
}

/* -EAGAIN: not enough on the shelf, restock first. */
NOINLINE int reserve_stock(uint32_t sku, int qty)
{
	int rc = 0;

	pthread_mutex_lock(&stock.lock);
	if (stock.left[sku] < qty)
		rc = -EAGAIN;
	else
		stock.left[sku] -= qty;
	pthread_mutex_unlock(&stock.lock);
	return rc;
}

NOINLINE void restock(uint32_t sku)
{
	pthread_mutex_lock(&stock.lock);
	stock.left[sku] = SHELF;
	pthread_mutex_unlock(&stock.lock);
}
