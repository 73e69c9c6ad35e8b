/* SPDX-License-Identifier: Apache-2.0 */
/* An order on its way from a line of text to a total.  All functions return 0 or -errno. Money is in cents. */
#ifndef ORDERD_ORDER_H
#define ORDERD_ORDER_H

#include <stdbool.h>
#include <stdint.h>

/* For functions that somebody will want to look at from outside. */
#define NOINLINE __attribute__((noinline))

enum order_kind { ORDER_STANDARD, ORDER_EXPRESS, ORDER_PICKUP };

struct user {
	uint32_t id;
	char *name;                /* owned by the order */
	unsigned int vip : 1;
	unsigned int domestic : 1;
	unsigned int risk : 6;
};

struct price {
	int64_t subtotal;
	int64_t discount;
	int64_t tax;
	int64_t shipping;
	int64_t total;
};

struct order {
	uint64_t id;
	uint32_t sku;
	int qty;                   /* 0: a free sample, the customer pays the shipping only */
	enum order_kind kind;
	struct user user;
	char coupon[16];           /* "": none */
	bool gift;
	unsigned int priced : 1;
	unsigned int reserved : 1;
	unsigned int attempts : 4;
	struct price price;
};

enum { QTY_MAX = 100 };

/* order.c */
int parse_order(struct order *o, const char *line);
int validate_order(const struct order *o);
int checkout(struct order *o);
void order_clear(struct order *o);

/* pricing.c */
int price_order(struct order *o);
int64_t unit_price(uint32_t sku);
int64_t sales_tax(const struct order *o, int64_t amount);
int64_t shipping_cost(const struct order *o);

/* coupon.c */
int64_t coupon_discount(const char *coupon, int qty, int64_t unit);
int apply_coupon(struct order *o);

/* stock.c */
enum { SKU_MAX = 64 };
void stock_init(void);
int reserve_stock(uint32_t sku, int qty);
void restock(uint32_t sku);

#endif
