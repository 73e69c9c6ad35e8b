/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: made once, kept as hashes, read again when the file changes; and what each role may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tokens.h"

static char dir[64], path[128], admin_path[128];

static int make_dir(void **state)
{
	strcpy(dir, "/tmp/plumb-tokens.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/tokens", dir);
	snprintf(admin_path, sizeof(admin_path), "%s/admin.token", dir);
	return 0;
}

static int remove_dir(void **state)
{
	unlink(path);
	unlink(admin_path);
	return rmdir(dir);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char *read_file(const char *name)
{
	static char text[4096];
	FILE *f = fopen(name, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static unsigned mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_mode & 0777;
}

static void test_a_tokens_life(void **state)
{
	char anna[TOKEN_TEXT_MAX], ben[TOKEN_TEXT_MAX];
	struct identity who = { 0 };
	struct tokens *t;

	assert_int_equal(tokens_open(path, &t, NULL), 0);   /* no file: no tokens */
	assert_int_equal(tokens_check(t, "", &who, NULL), -EACCES);
	assert_int_equal(token_add(path, "anna", ROLE_PROBE, anna, NULL), 0);
	assert_int_equal(token_add(path, "ben@home", ROLE_VIEW, ben, NULL), 0);
	assert_string_not_equal(anna, ben);
	assert_int_equal(strlen(anna), 6 + 64);

	assert_int_equal(tokens_check(t, anna, &who, NULL), 0);   /* the file was read again */
	assert_string_equal(who.name, "anna");
	assert_int_equal(who.role, ROLE_PROBE);
	assert_int_equal(tokens_check(t, ben, &who, NULL), 0);
	assert_string_equal(who.name, "ben@home");
	assert_int_equal(tokens_count(t), 2);

	assert_int_equal(token_add(path, "anna", ROLE_ADMIN, ben, NULL), -EEXIST);
	assert_int_equal(token_remove(path, "anna", NULL), 0);
	assert_int_equal(token_remove(path, "anna", NULL), -ENOENT);
	assert_int_equal(tokens_check(t, anna, &who, NULL), -EACCES);
	tokens_free(t);
}

/* Neither the tokens themselves nor equal hashes of equal things are in the file, and nobody else reads it. */
static void test_what_is_kept(void **state)
{
	char token[TOKEN_TEXT_MAX];
	char *text;

	assert_int_equal(token_add(path, "anna", ROLE_PROBE, token, NULL), 0);
	text = read_file(path);
	assert_null(strstr(text, token));
	assert_null(strstr(text, token + 6));
	assert_non_null(strstr(text, "\nanna probe "));
	assert_int_equal(mode_of(path), 0600);
}

static void nobody(struct tokens *t, const char *token)
{
	struct identity who;
	struct error err;

	assert_int_equal(tokens_check(t, token, &who, &err), -EACCES);
}

static void test_what_is_no_token(void **state)
{
	char token[TOKEN_TEXT_MAX], other[2 * TOKEN_TEXT_MAX], longest[100000];
	struct tokens *t;

	assert_int_equal(token_add(path, "anna", ROLE_ADMIN, token, NULL), 0);
	assert_int_equal(tokens_open(path, &t, NULL), 0);
	nobody(t, "");
	nobody(t, token + 6);
	strcpy(other, token);
	other[20] = other[20] == '0' ? '1' : '0';
	nobody(t, other);
	snprintf(other, sizeof(other), "%s0", token);
	nobody(t, other);
	snprintf(other, sizeof(other), "%.*s", (int)strlen(token) - 1, token);
	nobody(t, other);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	nobody(t, longest);
	tokens_free(t);
}

static void bad_line(const char *text, const char *where)
{
	struct error err = { 0 };
	struct tokens *t;

	write_file(text);
	assert_int_equal(tokens_open(path, &t, &err), -EINVAL);
	assert_non_null(strstr(err.text, where));
}

#define SALT "00112233445566778899aabbccddeeff"
#define HASH SALT SALT

static void test_lines(void **state)
{
	struct error err = { 0 };
	struct tokens *t;

	write_file("# a comment\n\n  \nanna admin " SALT ":" HASH "\n\tben  view\t" SALT ":" HASH "\n");
	assert_int_equal(tokens_open(path, &t, NULL), 0);
	assert_int_equal(tokens_count(t), 2);
	/* What cannot be read leaves what was read before in place. */
	write_file("nonsense\n");
	assert_int_equal(tokens_reload(t, &err), -EINVAL);
	assert_int_equal(tokens_count(t), 2);
	tokens_free(t);
	bad_line("\nanna\n", ":2:");
	bad_line("anna admin " SALT "\n", ":1:");
	bad_line("anna root " SALT ":" HASH "\n", ":1:");
	bad_line("anna admin " SALT ":" SALT "\n", ":1:");
	bad_line("anna admin " SALT ":" HASH " more\n", ":1:");
	bad_line("an/na admin " SALT ":" HASH "\n", ":1:");
	bad_line("anna admin " SALT ":" SALT "00112233445566778899aabbccddeefg\n", ":1:");
	write_file("anna admin " SALT ":" HASH "\n");
	chmod(path, 0666);
	assert_int_equal(tokens_open(path, &t, &err), -EPERM);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(tokens_open(path, &t, &err), -EINVAL);
}

static void test_names_and_roles(void **state)
{
	static const char *const bad[] = { "", "a b", "a:b", "../x", "a\nb", "\xc3\xa4",
		"a123456789012345678901234567890123456789012345678901234567890123" };
	char token[TOKEN_TEXT_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(token_add(path, bad[i], ROLE_VIEW, token, NULL), -EINVAL);
	assert_int_equal(token_add(path, "anna", ROLE_NONE, token, NULL), -EINVAL);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(role_parse("view"), ROLE_VIEW);
	assert_int_equal(role_parse("admin"), ROLE_ADMIN);
	assert_int_equal(role_parse("none"), ROLE_NONE);
	assert_int_equal(role_parse("root"), ROLE_NONE);
}

static void test_the_first_start(void **state)
{
	struct identity who;
	struct tokens *t;
	char token[128];

	assert_int_equal(tokens_first(path, admin_path, NULL), 1);
	assert_int_equal(mode_of(admin_path), 0600);
	snprintf(token, sizeof(token), "%s", read_file(admin_path));
	token[strcspn(token, "\n")] = '\0';
	assert_int_equal(tokens_open(path, &t, NULL), 0);
	assert_int_equal(tokens_check(t, token, &who, NULL), 0);
	assert_int_equal(who.role, ROLE_ADMIN);
	assert_int_equal(tokens_first(path, admin_path, NULL), 0);
	/* Who has taken the last token away does not get it back by a restart. */
	assert_int_equal(token_remove(path, "admin", NULL), 0);
	assert_int_equal(tokens_first(path, admin_path, NULL), 0);
	assert_int_equal(tokens_check(t, token, &who, NULL), -EACCES);
	tokens_free(t);
}

static void may(enum role role, const char *action, int want)
{
	struct identity who = { .name = "anna", .role = role };
	struct error err = { 0 };

	assert_int_equal(role_check(&who, action, &err), want);
	if (want == -EACCES)
		assert_non_null(strstr(err.text, "anna has"));
}

static void test_what_roles_may(void **state)
{
	may(ROLE_NONE, "ps", -EACCES);
	may(ROLE_VIEW, "ps", 0);
	may(ROLE_VIEW, "list", 0);
	may(ROLE_VIEW, "query", 0);
	may(ROLE_VIEW, "trace", -EACCES);
	may(ROLE_VIEW, "rm", -EACCES);
	may(ROLE_PROBE, "trace", 0);
	may(ROLE_PROBE, "stat", 0);
	may(ROLE_PROBE, "ps", 0);
	may(ROLE_PROBE, "audit", -EACCES);
	may(ROLE_ADMIN, "audit", 0);
	may(ROLE_ADMIN, "trace", 0);
	may(ROLE_ADMIN, "format", -ENOSYS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_tokens_life), TEST(test_what_is_kept), TEST(test_what_is_no_token), TEST(test_lines),
		TEST(test_names_and_roles), TEST(test_the_first_start), cmocka_unit_test(test_what_roles_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
