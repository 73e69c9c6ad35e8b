/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coupons: SAVE10 takes 10 % off, FIVE takes 5.00 off (at most what the goods cost), HALF takes half the price off
 * every second item, and off a single item too.
 *
 * coupon_discount holds the service's planted bug: with HALF, an order of no items (a free sample) gets half an item's
 * price off a subtotal of nothing, and apply_coupon refuses what comes out with -EINVAL.  A fix belongs there and
 * nowhere else: HALF on no items takes off nothing.
 */
#include "order.h"

#include <errno.h>
#include <string.h>

NOINLINE int64_t coupon_discount(const char *coupon, int qty, int64_t unit)
{
	int64_t goods = unit * qty;

	if (strcmp(coupon, "SAVE10") == 0)
		return goods / 10;
	if (strcmp(coupon, "FIVE") == 0)
		return goods < 500 ? goods : 500;
	if (strcmp(coupon, "HALF") == 0) {
		int halves = qty / 2;

		if (halves == 0)
			halves = 1;
		return unit / 2 * halves;
	}
	return 0;
}

NOINLINE int apply_coupon(struct order *o)
{
	int64_t discount = coupon_discount(o->coupon, o->qty, unit_price(o->sku));

	if (discount > o->price.subtotal)
		return -EINVAL;
	o->price.discount = discount;
	return 0;
}
