/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <getopt.h>
#include <stdio.h>

#include "collector.h"

int command_options(int argc, char **argv, const char **data)
{
	static const struct option options[] = {
		{ "data", required_argument, NULL, 'd' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int opt;

	*data = COLLECTOR_DATA;
	while ((opt = getopt_long(argc, argv, "d:h", options, NULL)) != -1) {
		if (opt != 'd')
			return opt;
		*data = optarg;
	}
	return 0;
}

int command_failed(const struct error *err)
{
	fprintf(stderr, "plumb-collector: %s%s%s\n", err->text, err->hint[0] ? "; " : "", err->hint);
	return EXIT_FAILED;
}
