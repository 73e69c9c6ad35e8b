/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request for a function of this program itself -> a plan and a layout, which the agent's own checks must accept.
 * Input: two bytes of options, then the text of the request; after a newline, the text of --error.
 * fuzz-sources: agent/spec*.c agent/plan*.c agent/debuginfo*.c agent/image*.c agent/unpack*.c agent/zstream.c agent/cache.c agent/address_sort.c agent/demangle.c agent/resolved.c agent/layout.c agent/decode.c common/[a-z]*.c -lm
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "decode.h"
#include "plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum kind { KIND_PLAIN, KIND_BULK = 5 };
struct user { const char *name; unsigned id; };
struct order {
	long id;
	int qty;
	enum kind kind;
	struct user *user;
	char code[8];
	struct user buyer;
	unsigned flags : 3, more : 10;
	int delta : 5;
	short list[3][4];
	double price;
	struct order *next;
};
struct pair { long first; const char *second; };

struct pair target(struct order *o, int n, unsigned u, struct pair p, struct order by_value, char c);

__attribute__((noinline)) struct pair target(struct order *o, int n, unsigned u, struct pair p, struct order by_value, char c)
{
	p.first += o->id + n + u + by_value.qty + c;
	return p;
}

static struct image *image;
static struct debuginfo *di;
static const struct function *function;

static void open_self(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const struct function **fns = NULL;

	if (fd < 0 || image_open(fd, "self", &image, NULL) || debuginfo_open(image, "", NULL, &di, NULL) ||
	    debuginfo_find(di, "target", &fns, NULL) != 1)
		abort();
	function = fns[0];
	free(fns);
	close(fd);
}

static void check(const struct resolved *r)
{
	struct event *ev = calloc(1, r->plan.event_bytes);
	struct buf wire = { 0 };
	struct resolved copy;

	resolved_write(r, &wire);
	if (resolved_read(wire.data, wire.len, &copy, NULL) != (int)wire.len)
		abort();
	buf_clear(&wire);
	ev->flags = EVENT_RETURN;
	decode_event(&copy.layout, ev, 0, &wire);
	plan_dump(&r->plan, &wire);
	layout_dump(&r->layout, &wire);
	layout_pack_fields(&r->layout, &wire);
	resolved_free(&copy);
	buf_free(&wire);
	free(ev);
}

static void build(struct spec *spec, struct expr *error, const uint8_t options[2])
{
	static struct resolved r;
	struct error err = { 0 };
	struct plan_request rq = { .spec = spec, .error = error, .errors_only = options[0] & 1, .ship = !(options[0] & 2),
				   .force_call = options[0] & 4 };
	uint32_t keep;

	memset(&r, 0, sizeof(r));
	rq.limits = (struct capture_limits){ .depth = options[1] & 7, .bytes = (options[1] & 0x38) << 7, .string = options[1] & 0xc0 };
	if (!(options[0] & 8)) {
		rq.di = di;
		rq.fn = function;
	}
	if (plan_build(&rq, &r, &keep, &err) == 0)
		check(&r);
	else if (!err.text[0] || !err.code)
		abort();
	resolved_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err;
	struct spec *spec = NULL;
	struct expr *error = NULL;
	char *text, *second;

	if (size < 2)
		return 0;
	if (!function)
		open_self();
	text = strndup((const char *)data + 2, size - 2);
	second = strchr(text, '\n');
	if (second)
		*second++ = '\0';
	if (spec_parse(text, &spec, &err) == 0 && (!second || spec_parse_expr(second, &error, &err) == 0))
		build(spec, error, data);
	spec_free(spec);
	expr_free(error);
	free(text);
	return 0;
}
