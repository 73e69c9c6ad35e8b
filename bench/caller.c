/* SPDX-License-Identifier: Apache-2.0 */
/* caller LIBRARY FUNCTION: loads a library and calls its function 1,000 times a second, with a zeroed buffer. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char buffer[65536];
	void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
	void *symbol = library ? dlsym(library, argv[2]) : NULL;
	long (*function)(void *);

	if (!symbol) {
		fprintf(stderr, "caller: %s\n", argc == 3 ? dlerror() : "usage: caller LIBRARY FUNCTION");
		return 1;
	}
	memcpy(&function, &symbol, sizeof(function));
	puts("ready");
	fflush(stdout);
	for (;;) {
		function(buffer);
		usleep(1000);
	}
}
