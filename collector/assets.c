/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard's files, as they were at build time. */
#include <errno.h>
#include <string.h>

#include "http_internal.h"

/* The assembler puts a file into the program; where it lies is told with -Wa,-I. */
#define ASSET(symbol, file) \
	__asm__(".section .rodata, \"a\"\n" \
		".global asset_" #symbol ", asset_" #symbol "_end\n" \
		"asset_" #symbol ": .incbin \"" file "\"\n" \
		"asset_" #symbol "_end:\n" \
		".previous\n"); \
	extern const char asset_##symbol[], asset_##symbol##_end[]

ASSET(index, "index.html");
ASSET(style, "style.css");
ASSET(app, "app.js");
ASSET(api, "api.js");
ASSET(charts, "charts.js");
ASSET(dom, "dom.js");
ASSET(format, "format.js");
ASSET(tail, "tail.js");
ASSET(verdict, "verdict.js");
ASSET(views, "views.js");
ASSET(uplot, "uPlot.iife.min.js");
ASSET(uplot_css, "uPlot.min.css");

static const char HTML[] = "text/html; charset=utf-8", CSS[] = "text/css; charset=utf-8", JS[] = "text/javascript; charset=utf-8";

static const struct {
	const char *path, *type;
	const char *start, *end;
} assets[] = {
	{ "/", HTML, asset_index, asset_index_end },
	{ "/style.css", CSS, asset_style, asset_style_end },
	{ "/app.js", JS, asset_app, asset_app_end },
	{ "/api.js", JS, asset_api, asset_api_end },
	{ "/charts.js", JS, asset_charts, asset_charts_end },
	{ "/dom.js", JS, asset_dom, asset_dom_end },
	{ "/format.js", JS, asset_format, asset_format_end },
	{ "/tail.js", JS, asset_tail, asset_tail_end },
	{ "/verdict.js", JS, asset_verdict, asset_verdict_end },
	{ "/views.js", JS, asset_views, asset_views_end },
	{ "/uPlot.iife.min.js", JS, asset_uplot, asset_uplot_end },
	{ "/uPlot.min.css", CSS, asset_uplot_css, asset_uplot_css_end },
};

void assets_get(struct call *call)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(call->req));
	struct error err;

	for (size_t i = 0; i < sizeof(assets) / sizeof(assets[0]); i++) {
		if (strcmp(path && path[0] ? path : "/", assets[i].path))
			continue;
		call_headers(call, assets[i].type, "no-cache");
		call_send(call, 200, assets[i].start, (size_t)(assets[i].end - assets[i].start));
		return;
	}
	error_set(&err, ENOENT, "there is nothing there");
	call_error(call, &err);
}
