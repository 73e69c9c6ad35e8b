/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_TOKENS_INTERNAL_H
#define PLUMB_TOKENS_INTERNAL_H

#include <openssl/sha.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "tokens.h"

enum { TOKENS_MAX = 4096, TOKEN_LINE_MAX = 512, TOKEN_SALT_BYTES = 16, TOKEN_BYTES = 32 };

struct token_entry {
	struct identity who;
	unsigned char salt[TOKEN_SALT_BYTES], hash[SHA256_DIGEST_LENGTH];
};

bool token_name_ok(const char *name);
/* All of the file; *list is the caller's to free. *st is zeros when there is no file. */
int tokens_read(const char *path, struct token_entry **list, unsigned *n, struct stat *st, struct error *err);
void token_hash(const unsigned char salt[TOKEN_SALT_BYTES], const char *token, unsigned char hash[SHA256_DIGEST_LENGTH]);

#endif
