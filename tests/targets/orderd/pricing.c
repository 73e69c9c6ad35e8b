/* SPDX-License-Identifier: Apache-2.0 */
#include "order.h"

NOINLINE int64_t unit_price(uint32_t sku)
{
	return 199 + (int64_t)(sku * 7919 % 97) * 50;
}

NOINLINE int64_t sales_tax(const struct order *o, int64_t amount)
{
	return o->user.domestic ? amount * 19 / 100 : 0;
}

NOINLINE int64_t shipping_cost(const struct order *o)
{
	static const int64_t base[] = { [ORDER_STANDARD] = 490, [ORDER_EXPRESS] = 1290, [ORDER_PICKUP] = 0 };

	if (o->user.vip)
		return 0;
	return base[o->kind] + (o->user.domestic ? 0 : 900);
}

NOINLINE int price_order(struct order *o)
{
	struct price *p = &o->price;
	int rc;

	p->subtotal = unit_price(o->sku) * o->qty;
	if (o->coupon[0]) {
		rc = apply_coupon(o);
		if (rc)
			return rc;
	}
	p->tax = sales_tax(o, p->subtotal - p->discount);
	p->shipping = shipping_cost(o);
	p->total = p->subtotal - p->discount + p->tax + p->shipping;
	o->priced = 1;
	return 0;
}
