/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"

enum { OPTIONS_MAX = 64, VALUE_MAX = 4096, NAME_MAX_BYTES = 64 };

struct config {
	char *path;
	char **argv;
	int argc;
};

/* What a daemon's file may not say. */
static bool is_typed_only(const char *name)
{
	static const char *const names[] = { "help", "version", "config", "check-config", "private" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* ---- the file ---- */

static int read_file(const char *path, bool needed, struct buf *out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return !needed && errno == ENOENT ? 1 : error_set(err, errno, "cannot read %s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > CONFIG_BYTES_MAX) {
		close(fd);
		return error_set(err, EINVAL, "%s is no file of at most %d bytes", path, CONFIG_BYTES_MAX);
	}
	while (out->len <= CONFIG_BYTES_MAX && buf_reserve(out, 4096) && (n = read(fd, out->data + out->len, 4096)) > 0)
		out->len += (size_t)n;
	close(fd);
	return n < 0 || out->failed ? error_set(err, EIO, "cannot read %s", path) : 0;
}

/* libcyaml's first words are the reason, the rest says where. */
struct said { char text[400]; };

static void keep_words(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct said *s = ctx;
	size_t len = strlen(s->text);
	char *newline;

	vsnprintf(s->text + len, sizeof(s->text) - len, fmt, args);
	while ((newline = strchr(s->text, '\n')))
		*newline = ' ';
}

/* One optional text for each option, at the index of the option. */
static void make_schema(const struct option *options, int n, cyaml_schema_field_t *fields)
{
	int at = 0;

	for (int i = 0; i < n; i++) {
		if (is_typed_only(options[i].name))
			continue;
		fields[at++] = (cyaml_schema_field_t){
			.key = options[i].name, .data_offset = (uint32_t)(i * sizeof(char *)),
			.value = { .type = CYAML_STRING, .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, .data_size = sizeof(char),
				   .string = { .min = 0, .max = VALUE_MAX } },
		};
	}
	fields[at] = (cyaml_schema_field_t)CYAML_FIELD_END;
}

static int add_argument(struct config *c, char *text)
{
	char **more = text ? realloc(c->argv, ((size_t)c->argc + 2) * sizeof(*more)) : NULL;

	if (!more) {
		free(text);
		return -ENOMEM;
	}
	c->argv = more;
	more[c->argc++] = text;
	more[c->argc] = NULL;
	return 0;
}

static int add_value(struct config *c, const struct option *o, const char *value, struct error *err)
{
	struct buf text = { 0 };

	if (o->has_arg == no_argument && strcmp(value, "true") && strcmp(value, "false"))
		return error_set(err, EINVAL, "%s: %s is true or false, not '%s'", c->path, o->name, value);
	if (o->has_arg == no_argument && !strcmp(value, "false"))
		return 0;
	buf_printf(&text, "--%s", o->name);
	if (o->has_arg != no_argument)
		buf_printf(&text, "=%s", value);
	return text.failed || add_argument(c, text.data) ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int add_file(struct config *c, const struct buf *file, const struct option *options, int n, struct error *err)
{
	cyaml_schema_field_t fields[OPTIONS_MAX + 1];
	const cyaml_schema_value_t top = { .type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER,
					   .data_size = (uint32_t)(OPTIONS_MAX * sizeof(char *)), .mapping = { .fields = fields } };
	struct said said = { "" };
	const cyaml_config_t how = { .log_fn = keep_words, .log_ctx = &said, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR,
				     .flags = CYAML_CFG_NO_ALIAS };
	char **values = NULL;
	int rc = 0;

	make_schema(options, n, fields);
	if (cyaml_load_data((const uint8_t *)buf_text(file), file->len, &how, &top, (cyaml_data_t **)&values, NULL) != CYAML_OK)
		return error_set(err, EINVAL, "%s: %s", c->path, said.text[0] ? said.text : "that is no YAML mapping");
	for (int i = 0; !rc && values && i < n; i++)
		if (values[i])
			rc = add_value(c, &options[i], values[i], err);
	cyaml_free(&how, &top, values, 0);
	return rc;
}

/* ---- arguments ---- */

static const char *named_file(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--config") && i + 1 < argc)
			return argv[i + 1];
		if (!strncmp(argv[i], "--config=", 9))
			return argv[i] + 9;
	}
	return NULL;
}

static bool is_blank(const struct buf *file)
{
	const char *at = buf_text(file);

	while (*at) {
		at += strspn(at, " \t\r\n");
		if (*at == '#')
			at += strcspn(at, "\n");
		else if (*at)
			return false;
	}
	return true;
}

static int fill(struct config *c, const char *default_path, const struct option *options, int argc, char **argv, struct error *err)
{
	const char *named = named_file(argc, argv);
	struct buf file = { 0 };
	int n = 0, rc;

	while (n < OPTIONS_MAX && options[n].name)
		n++;
	c->path = strdup(named ? named : default_path ? default_path : "");
	if (!c->path || add_argument(c, strdup(argv[0])))
		return error_set(err, ENOMEM, "out of memory");
	rc = c->path[0] ? read_file(c->path, named, &file, err) : 1;
	if (rc > 0)
		c->path[0] = '\0';
	else if (!rc && !is_blank(&file))
		rc = add_file(c, &file, options, n, err);
	buf_free(&file);
	for (int i = 1; rc >= 0 && i < argc && argv[i]; i++)
		if (add_argument(c, strdup(argv[i])))
			rc = error_set(err, ENOMEM, "out of memory");
	return rc < 0 ? rc : 0;
}

int config_read(const char *default_path, const struct option *options, int argc, char **argv, struct config **out, struct error *err)
{
	struct config *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return error_set(err, ENOMEM, "out of memory");
	rc = fill(c, default_path, options, argc, argv, err);
	if (rc) {
		config_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

int config_argc(const struct config *c)
{
	return c->argc;
}

char **config_argv(const struct config *c)
{
	return c->argv;
}

const char *config_path(const struct config *c)
{
	return c->path;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->argc; i++)
		free(c->argv[i]);
	free(c->argv);
	free(c->path);
	free(c);
}
