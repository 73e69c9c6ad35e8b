/* SPDX-License-Identifier: Apache-2.0 */
#include "order.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return *end || errno || *out > max ? -EINVAL : 0;
}

static int set_id(struct order *o, const char *value)
{
	return parse_number(value, UINT64_MAX, &o->id);
}

static int set_sku(struct order *o, const char *value)
{
	uint64_t sku;
	int rc = parse_number(value, UINT32_MAX, &sku);

	o->sku = rc ? 0 : sku;
	return rc;
}

static int set_qty(struct order *o, const char *value)
{
	uint64_t qty;
	int rc = parse_number(value, INT32_MAX, &qty);

	o->qty = rc ? 0 : qty;
	return rc;
}

static uint32_t hash_name(const char *name)
{
	uint32_t h = 2166136261u;

	while (*name)
		h = (h ^ (unsigned char)*name++) * 16777619u;
	return h;
}

static int set_user(struct order *o, const char *value)
{
	free(o->user.name);
	o->user.name = strdup(value);
	if (!o->user.name)
		return -ENOMEM;
	o->user.id = hash_name(value);
	o->user.domestic = o->user.id % 4 != 0;
	o->user.vip = o->user.id % 10 == 0;
	o->user.risk = o->user.id % 50;
	return 0;
}

static int set_coupon(struct order *o, const char *value)
{
	if (strlen(value) >= sizeof(o->coupon))
		return -ENAMETOOLONG;
	strcpy(o->coupon, value);
	return 0;
}

static int set_kind(struct order *o, const char *value)
{
	static const char *const names[] = { "standard", "express", "pickup" };
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(value, names[i]) == 0) {
			o->kind = (enum order_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

static const struct {
	const char *key;
	int (*set)(struct order *o, const char *value);
} keys[] = {
	{ "id", set_id }, { "sku", set_sku }, { "qty", set_qty }, { "user", set_user }, { "coupon", set_coupon },
	{ "kind", set_kind },
};

static int set_key(struct order *o, char *word)
{
	char *value = strchr(word, '=');
	size_t i;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strcmp(word, keys[i].key) == 0)
			return keys[i].set(o, value);
	return -EINVAL;
}

/* "ORDER id=42 sku=7 qty=3 user=bob coupon=SAVE10 kind=express" */
NOINLINE int parse_order(struct order *o, const char *line)
{
	char copy[512], *rest = copy, *word;
	int rc = 0;

	memset(o, 0, sizeof(*o));
	if (strlen(line) >= sizeof(copy))
		return -EMSGSIZE;
	strcpy(copy, line);
	word = strsep(&rest, " ");
	if (strcmp(word, "ORDER"))
		return -ENOSYS;
	while (rc == 0 && (word = strsep(&rest, " ")))
		if (*word)
			rc = set_key(o, word);
	return rc;
}

NOINLINE int validate_order(const struct order *o)
{
	if (!o->user.name || !o->user.name[0])
		return -EACCES;
	if (o->sku == 0 || o->sku >= SKU_MAX)
		return -ENOENT;
	if (o->qty < 0 || o->qty > QTY_MAX)
		return -ERANGE;
	return 0;
}

NOINLINE int checkout(struct order *o)
{
	int rc = validate_order(o);

	if (rc)
		return rc;
	o->attempts++;
	rc = price_order(o);
	if (rc)
		return rc;
	rc = reserve_stock(o->sku, o->qty);
	if (rc == -EAGAIN) {
		restock(o->sku);
		o->attempts++;
		rc = reserve_stock(o->sku, o->qty);
	}
	o->reserved = rc == 0;
	return rc;
}

void order_clear(struct order *o)
{
	free(o->user.name);
	o->user.name = NULL;
}
