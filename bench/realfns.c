/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls functions of the distribution's own libraries, as they were compiled there: what their first instruction is was
 * not chosen for a benchmark.
 *
 *   list          -> a line "INDEX LIBRARY NAME FIRST-BYTES" each, then "end"
 *   run CALLS     -> a line "INDEX NS" each, the median of 9 batches, then "end"
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCHES = 9, ARGS = 5 };

typedef long (*word_fn)(long a, long b, long c, long d, long e);

/* ---- arguments: what the functions' objects look like in memory, by their ABIs ---- */

static char text[64] = "SELECT", other[64] = "select", scratch[512];

struct cxx_string { char *at; size_t len; char local[16]; };                     /* std::string */
struct tree_node { int color; struct tree_node *parent, *left, *right; };        /* std::_Rb_tree_node_base */
struct rehash_policy { float load; size_t next; };                               /* std::__detail::_Prime_rehash_policy */
struct bignum { uint64_t *digits; int top, room, negative, flags; };             /* BIGNUM, flag 2: static digits */

static struct cxx_string string = { string.local, 9, "a red fox" }, string2 = { string2.local, 6, "a dog." };
static struct tree_node node;
static struct tree_node head = { 0, &node, &node, &node };
static struct tree_node node = { 1, &head, NULL, NULL };
static struct rehash_policy policy = { 1.0F, 0 };
static uint64_t digits[3][16] = { { 0x123456789abcdef, 0xfedcba }, { 77 } };
static struct bignum big = { digits[0], 2, 16, 0, 2 }, big2 = { digits[1], 1, 16, 0, 2 }, big3 = { digits[2], 0, 16, 0, 2 };

enum { NONE, TEXT = -1000, OTHER, SCRATCH, STRING, STRING2, NODE, POLICY, BIG, BIG2, BIG3, OBJECTS_END };

static void *const objects[] = { text, other, scratch, &string, &string2, &node, &policy, &big, &big2, &big3 };

static long argument(long word)
{
	return word >= TEXT && word < OBJECTS_END ? (long)objects[word - TEXT] : word;
}

static struct function {
	const char *library, *name;
	long arg[ARGS];
	word_fn call;
} functions[] = {
	{ "libz.so.1", "compressBound", { 1000, 0, 0 }, NULL },
	{ "libz.so.1", "zError", { -2, 0, 0 }, NULL },
	{ "libz.so.1", "crc32", { 0, TEXT, 48 }, NULL },
	{ "libz.so.1", "adler32", { 1, TEXT, 48 }, NULL },
	{ "libz.so.1", "adler32_combine", { 17, 42, 100 }, NULL },
	{ "libz.so.1", "deflateBound", { 0, 1000, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_stricmp", { TEXT, OTHER, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_strnicmp", { TEXT, OTHER, 6 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_strglob", { TEXT, OTHER, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_complete", { TEXT, 0, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_compileoption_get", { 3, 0, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_keyword_check", { TEXT, 6, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_initialize", { 0, 0, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_memory_used", { 0, 0, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_randomness", { 8, SCRATCH, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_uri_parameter", { 0, 0, 0 }, NULL },
	{ "libcrypto.so.3", "OpenSSL_version", { 0, 0, 0 }, NULL },
	{ "libcrypto.so.3", "CRYPTO_memcmp", { TEXT, OTHER, 32 }, NULL },
	{ "libcrypto.so.3", "OPENSSL_cleanse", { SCRATCH, 16, 0 }, NULL },
	{ "libcrypto.so.3", "ERR_peek_error", { 0, 0, 0 }, NULL },
	{ "libcrypto.so.3", "ERR_get_error", { 0, 0, 0 }, NULL },
	{ "libcrypto.so.3", "ERR_clear_error", { 0, 0, 0 }, NULL },
	{ "libcrypto.so.3", "OBJ_nid2sn", { 6, 0, 0 }, NULL },
	{ "libcrypto.so.3", "OBJ_nid2ln", { 6, 0, 0 }, NULL },
	{ "libcrypto.so.3", "OBJ_sn2nid", { TEXT, 0, 0 }, NULL },
	{ "libcrypto.so.3", "ASN1_tag2str", { 4, 0, 0 }, NULL },
	{ "libcrypto.so.3", "X509_verify_cert_error_string", { 18, 0, 0 }, NULL },
	{ "libcrypto.so.3", "OPENSSL_strnlen", { TEXT, 32, 0 }, NULL },
	{ "libcrypto.so.3", "OPENSSL_hexchar2int", { 'a', 0, 0 }, NULL },
	{ "libcrypto.so.3", "OPENSSL_LH_strhash", { TEXT, 0, 0 }, NULL },
	{ "libcrypto.so.3", "OPENSSL_strcasecmp", { TEXT, OTHER, 0 }, NULL },
	{ "libstdc++.so.6", "_ZSt11_Hash_bytesPKvmm", { TEXT, 32, 7 }, NULL },
	{ "libstdc++.so.6", "_ZSt15_Fnv_hash_bytesPKvmm", { TEXT, 32, 7 }, NULL },
	{ "libstdc++.so.6", "_ZNSt6chrono3_V212steady_clock3nowEv", { 0, 0, 0 }, NULL },
	{ "libstdc++.so.6", "_ZNSt6chrono3_V212system_clock3nowEv", { 0, 0, 0 }, NULL },
	{ "libstdc++.so.6", "_ZSt19uncaught_exceptionsv", { 0, 0, 0 }, NULL },
	{ "libstdc++.so.6", "_ZSt18uncaught_exceptionv", { 0, 0, 0 }, NULL },
	{ "libstdc++.so.6", "_ZNSt6locale7classicEv", { 0, 0, 0 }, NULL },
	{ "libstdc++.so.6", "__cxa_get_globals", { 0, 0, 0 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE4findEPKcmm", { STRING, TEXT, 0, 3 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE5rfindEPKcmm", { STRING, TEXT, 9, 3 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE13find_first_ofEPKcmm", { STRING, TEXT, 0, 3 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE12find_last_ofEPKcmm", { STRING, TEXT, 9, 3 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE17find_first_not_ofEPKcmm", { STRING, TEXT, 0, 3 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE16find_last_not_ofEPKcmm", { STRING, TEXT, 9, 3 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE4findEcm", { STRING, 'q', 0 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE5rfindEcm", { STRING, 'q', 9 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE7compareEPKc", { STRING, TEXT }, NULL },
	{ "libstdc++.so.6", "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE9_M_assignERKS4_", { STRING, STRING2 }, NULL },
	{ "libstdc++.so.6", "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE6resizeEmc", { STRING, 9, 'x' }, NULL },
	{ "libstdc++.so.6", "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE10_M_replaceEmmPKcm", { STRING, 0, 3, TEXT, 3 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt8__detail20_Prime_rehash_policy11_M_next_bktEm", { POLICY, 1000 }, NULL },
	{ "libstdc++.so.6", "_ZSt18_Rb_tree_incrementPSt18_Rb_tree_node_base", { NODE }, NULL },
	{ "libstdc++.so.6", "_ZSt18_Rb_tree_decrementPSt18_Rb_tree_node_base", { NODE }, NULL },
	{ "libcrypto.so.3", "BN_cmp", { BIG, BIG2 }, NULL },
	{ "libcrypto.so.3", "BN_ucmp", { BIG, BIG2 }, NULL },
	{ "libcrypto.so.3", "BN_num_bits", { BIG }, NULL },
	{ "libcrypto.so.3", "BN_copy", { BIG3, BIG }, NULL },
	{ "libcrypto.so.3", "BN_add", { BIG3, BIG, BIG2 }, NULL },
	{ "libcrypto.so.3", "BN_uadd", { BIG3, BIG, BIG2 }, NULL },
	{ "libcrypto.so.3", "BN_lshift1", { BIG3, BIG }, NULL },
	{ "libcrypto.so.3", "BN_rshift1", { BIG3, BIG }, NULL },
	{ "libcrypto.so.3", "BN_mod_word", { BIG, 97 }, NULL },
	{ "libcrypto.so.3", "BN_bn2bin", { BIG, SCRATCH }, NULL },
	{ "libcrypto.so.3", "BN_get_word", { BIG2 }, NULL },
	{ "libcrypto.so.3", "BN_is_bit_set", { BIG, 70 }, NULL },
	{ "libcrypto.so.3", "SHA256", { TEXT, 48, SCRATCH }, NULL },
	{ "libcrypto.so.3", "SHA1", { TEXT, 48, SCRATCH }, NULL },
	{ "libcrypto.so.3", "MD5", { TEXT, 48, SCRATCH }, NULL },
	{ "libz.so.1", "crc32_z", { 0, TEXT, 48 }, NULL },
	{ "libz.so.1", "adler32_z", { 1, TEXT, 48 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE4findERKS4_m", { STRING, STRING2, 0 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE5rfindERKS4_m", { STRING, STRING2, 9 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE7compareERKS4_", { STRING, STRING2 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE7compareEmmPKc", { STRING, 0, 3, TEXT }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE13find_first_ofEcm", { STRING, 'q', 0 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE12find_last_ofEcm", { STRING, 'q', 9 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE4copyEPcmm", { STRING, SCRATCH, 4, 1 }, NULL },
	{ "libstdc++.so.6", "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE6assignEPKc", { STRING, TEXT }, NULL },
	{ "libstdc++.so.6", "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE2atEm", { STRING, 2 }, NULL },
	{ "libstdc++.so.6", "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE17find_first_not_ofEcm", { STRING, 'q', 0 }, NULL },
	{ "libstdc++.so.6", "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE4swapERS4_", { STRING, STRING2 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_strlike", { TEXT, OTHER, 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_compileoption_used", { TEXT }, NULL },
	{ "libsqlite3.so.0", "sqlite3_value_type", { SCRATCH }, NULL },
	{ "libsqlite3.so.0", "sqlite3_errcode", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_errmsg", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_free", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_finalize", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_column_count", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_data_count", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_reset", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_sql", { 0 }, NULL },
	{ "libz.so.1", "deflateEnd", { 0 }, NULL },
	{ "libz.so.1", "inflateReset", { 0 }, NULL },
	{ "libz.so.1", "inflateEnd", { 0 }, NULL },
	{ "libz.so.1", "deflateReset", { 0 }, NULL },
	{ "libz.so.1", "inflateMark", { 0 }, NULL },
	{ "libz.so.1", "deflateSetHeader", { 0, 0 }, NULL },
	{ "libz.so.1", "crc32_combine_gen", { 100 }, NULL },
	{ "libz.so.1", "zlibVersion", { 0 }, NULL },
	{ "libz.so.1", "zlibCompileFlags", { 0 }, NULL },
	{ "libz.so.1", "get_crc_table", { 0 }, NULL },
	{ "libz.so.1", "crc32_combine", { 17, 42, 100 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_libversion", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_libversion_number", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_sourceid", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_threadsafe", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_keyword_count", { 0 }, NULL },
	{ "libsqlite3.so.0", "sqlite3_errstr", { 1 }, NULL },
	{ "libcrypto.so.3", "OpenSSL_version_num", { 0 }, NULL },
	{ "libcrypto.so.3", "BN_value_one", { 0 }, NULL },
	{ "libcrypto.so.3", "EVP_sha256", { 0 }, NULL },
	{ "libcrypto.so.3", "EVP_aes_128_cbc", { 0 }, NULL },
	{ "libcrypto.so.3", "EVP_md_null", { 0 }, NULL },
	{ "libcrypto.so.3", "BIO_s_mem", { 0 }, NULL },
	{ "libstdc++.so.6", "_ZSt15get_new_handlerv", { 0 }, NULL },
	{ "libstdc++.so.6", "_ZSt13get_terminatev", { 0 }, NULL },
	{ "libstdc++.so.6", "_ZNSt3_V216generic_categoryEv", { 0 }, NULL },
	{ "libstdc++.so.6", "_ZNSt3_V215system_categoryEv", { 0 }, NULL },
	{ "libstdc++.so.6", "__cxa_current_exception_type", { 0, 0, 0 }, NULL },
};

enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

static void find_all(void)
{
	for (int i = 0; i < FUNCTIONS; i++) {
		void *library = dlopen(functions[i].library, RTLD_NOW);
		void *symbol = library ? dlsym(library, functions[i].name) : NULL;

		memcpy(&functions[i].call, &symbol, sizeof(symbol));
	}
}

static void list(void)
{
	for (int i = 0; i < FUNCTIONS; i++) {
		const uint8_t *code;

		if (!functions[i].call)
			continue;
		memcpy(&code, &functions[i].call, sizeof(code));
		printf("%d %s %s ", i, functions[i].library, functions[i].name);
		for (int k = 0; k < 8; k++)
			printf("%02x", code[k]);
		putchar('\n');
	}
	puts("end");
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double time_of(const struct function *f, long calls)
{
	long arg[ARGS];
	double batch[BATCHES];

	for (int i = 0; i < ARGS; i++)
		arg[i] = argument(f->arg[i]);
	for (int b = 0; b < BATCHES; b++) {
		double start = now_ns();

		for (long i = 0; i < calls; i++)
			f->call(arg[0], arg[1], arg[2], arg[3], arg[4]);
		batch[b] = (now_ns() - start) / (double)calls;
	}
	qsort(batch, BATCHES, sizeof(batch[0]), by_value);
	return batch[BATCHES / 2];
}

int main(void)
{
	char line[64];
	long calls;

	setvbuf(stdout, NULL, _IOLBF, 0);
	find_all();
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "list", 4))
			list();
		if (sscanf(line, "run %ld", &calls) != 1)
			continue;
		for (int i = 0; i < FUNCTIONS; i++)
			if (functions[i].call)
				printf("%d %.1f\n", i, time_of(&functions[i], calls));
		puts("end");
	}
	return 0;
}
