/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site_census FILE...: for which share of a program's functions is there a cheap breakpoint site?
 *
 *   first cheap   the first instruction is one that the kernel emulates or patches: what every other tracer gets
 *   cheap         site_choose finds one on the straight line (all places from which a return probe works)
 *   with args     the same while the six argument registers still hold the arguments
 *
 * The reasons against are listed with -v, one function a line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image.h"
#include "plumb/event.h"
#include "site.h"

#define ARG_REGS (1u << GPR_DI | 1u << GPR_SI | 1u << GPR_DX | 1u << GPR_CX | 1u << GPR_R8 | 1u << GPR_R9)

struct census {
	const struct image *img;
	const char *path;
	uint8_t *code;
	uint64_t last_addr;
	unsigned functions, first, cheap, with_args, refused, loops;
	bool verbose;
};

static void count(struct census *c, const struct symbol *sym, size_t len)
{
	struct error err = { 0 };
	struct site site;

	c->functions++;
	if (site_choose(c->code, len, sym->addr, 0, true, &site, &err) != 0) {
		c->refused++;
		if (c->verbose)
			printf("%s: %s\n", sym->name, err.text);
		return;
	}
	c->loops += strstr(site.reason, "jumps back to the entry") != NULL;
	c->cheap += site.kind != SITE_STEPPED;
	c->first += site.kind != SITE_STEPPED && site.distance == 0;
	if (c->verbose && site.kind == SITE_STEPPED)
		printf("%s: %s\n", sym->name, site.reason);
	if (site_choose(c->code, len, sym->addr, ARG_REGS, true, &site, &err) == 0)
		c->with_args += site.kind != SITE_STEPPED;
}

static int visit(const struct symbol *sym, void *arg)
{
	struct census *c = arg;
	size_t want = sym->size < SITE_CODE_MAX ? (size_t)sym->size : SITE_CODE_MAX;
	ssize_t len;

	if (want == 0 || sym->addr == c->last_addr) /* an alias */
		return 0;
	c->last_addr = sym->addr;
	len = image_code(c->img, sym->addr, c->code, want);
	if (len > 0)
		count(c, sym, (size_t)len);
	return 0;
}

static double percent(unsigned part, unsigned whole)
{
	return whole ? 100.0 * part / whole : 0;
}

static int census(const char *path, uint8_t *code, bool verbose)
{
	struct census c = { .path = path, .code = code, .verbose = verbose };
	struct image *img = NULL;
	struct error err = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	rc = fd < 0 ? error_set(&err, errno, "%s: %s", path, strerror(errno)) : image_open(fd, path, &img, &err);
	if (fd >= 0)
		close(fd);
	if (rc != 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	c.img = img;
	image_each(img, visit, &c);
	printf("%-28s %9u %11.1f%% %6.1f%% %9.1f%% %8u %6u\n", strrchr(path, '/') ? strrchr(path, '/') + 1 : path, c.functions,
	       percent(c.first, c.functions), percent(c.cheap, c.functions), percent(c.with_args, c.functions), c.refused, c.loops);
	image_free(img);
	return 0;
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	uint8_t *code = malloc(SITE_CODE_MAX);
	int failed = 0;

	if (argc < 2 + verbose || !code) {
		fprintf(stderr, "usage: site_census [-v] FILE...\n");
		free(code);
		return 2;
	}
	printf("%-28s %9s %12s %7s %10s %8s %6s\n", "file", "functions", "first cheap", "cheap", "with args", "refused", "loops");
	for (int i = 1 + verbose; i < argc; i++)
		failed |= census(argv[i], code, verbose);
	free(code);
	return failed;
}
