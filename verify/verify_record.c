/* SPDX-License-Identifier: Apache-2.0 */
#include "verify_record.h"

#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "deflate.h"
#include "file.h"
#include "frame.h"
#include "inflate.h"
#include "patch.h"
#include "replay.h"

static const char magic[8] = { 'p', 'l', 'u', 'm', 'b', 'r', 'e', 'c' };
enum { FLAG_SIGNED = 1, DEFLATE_LEVEL = 6 };

struct head {
	char magic[8];
	uint8_t format, verdict, flags, zero;
	uint32_t pad;
	uint64_t raw_be, deflated_be;
};
_Static_assert(sizeof(struct head) == 32, "the head of a record is a format");

/* ---- what was asked ---- */

#define TEXT(member) { #member, offsetof(struct verify_spec, member) }
static const struct { const char *key; size_t offset; } texts[] = {
	TEXT(target_text), TEXT(baseline.text), TEXT(candidate.text), TEXT(arm_by), TEXT(function), TEXT(trigger), TEXT(error),
	TEXT(watched), TEXT(watched_per),
};
enum { N_TEXTS = sizeof(texts) / sizeof(texts[0]) };

static char **text_of(struct verify_spec *s, size_t i)
{
	return (char **)(void *)((char *)s + texts[i].offset);
}

/* Numbers and flags by their order. */
enum { N_NUMBERS = 9 };

static void numbers_of(const struct verify_spec *s, uint64_t n[N_NUMBERS])
{
	const uint64_t all[N_NUMBERS] = { s->target, s->pid, (uint64_t)(s->strip + 1), s->baseline.by, s->candidate.by, s->aa,
		 s->lines, s->budget_ppm, s->unwind_ok };

	memcpy(n, all, sizeof(all));
}

static bool take_numbers(const uint64_t n[N_NUMBERS], struct verify_spec *s)
{
	s->target = (enum verify_target)n[0];
	s->pid = n[1];
	s->strip = (int)n[2] - 1;
	s->baseline.by = (enum verify_arm_by)n[3];
	s->candidate.by = (enum verify_arm_by)n[4];
	s->aa = n[5];
	s->lines = (enum verify_lines)n[6];
	s->budget_ppm = n[7];
	s->unwind_ok = n[8];
	return n[0] <= VERIFY_TARGET_PATH && n[2] < 1000 && n[3] <= VERIFY_ARM_HOST && n[4] <= VERIFY_ARM_HOST && n[6] <= VERIFY_LINES_NONE;
}

/* What a number says to be there must be. */
static bool texts_are_there(const struct verify_spec *s)
{
	bool named = s->target == VERIFY_TARGET_NAME || s->target == VERIFY_TARGET_PATH;

	return (!named || s->target_text) && (!s->baseline.by || s->baseline.text) && (!s->candidate.by || s->candidate.text) &&
	       (!s->watched || s->watched_per);
}

static void pack_bin(msgpack_packer *pk, const void *data, size_t len)
{
	msgpack_pack_bin(pk, len);
	msgpack_pack_bin_body(pk, data, len);
}

void record_spec(struct buf *raw, const struct verify_spec *s)
{
	struct claim claim = s->claim;
	uint64_t n[N_NUMBERS];
	struct buf packed = { 0 };
	msgpack_packer pk;

	strcpy(claim.function, "f");   /* a claim without one is none */
	verdict_pack_claim(&packed, &claim);
	numbers_of(s, n);
	pack_into(&pk, raw);
	msgpack_pack_map(&pk, N_TEXTS + 4);
	for (size_t i = 0; i < N_TEXTS; i++)
		pack_key_text(&pk, texts[i].key, *text_of((struct verify_spec *)s, i));
	pack_key(&pk, "numbers");
	msgpack_pack_array(&pk, N_NUMBERS);
	for (int i = 0; i < N_NUMBERS; i++)
		msgpack_pack_uint64(&pk, n[i]);
	pack_key(&pk, "by_time");
	s->by_time ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
	pack_key(&pk, "claim");
	pack_bin(&pk, packed.data, packed.len);
	pack_key(&pk, "patch");
	if (s->patch)
		pack_bin(&pk, s->patch, s->patch_len);
	else
		msgpack_pack_nil(&pk);
	raw->failed |= packed.failed;
	buf_free(&packed);
}

static int damaged(struct error *err)
{
	return error_set(err, EPROTO, "the record is damaged");
}

static int take_claim(const msgpack_object *o, struct verify_spec *s, struct error *err)
{
	struct verdict *v = o && o->type == MSGPACK_OBJECT_BIN ? verdict_replay(o->via.bin.ptr, o->via.bin.size, err) : NULL;

	if (!v)
		return damaged(err);
	s->claim = *verdict_view(v)->claim;
	s->claim.function[0] = '\0';
	verdict_free(v);
	return 0;
}

static int take_patch(const msgpack_object *o, struct verify_spec *s, struct error *err)
{
	if (!o || o->type == MSGPACK_OBJECT_NIL)
		return 0;
	if (o->type != MSGPACK_OBJECT_BIN || o->via.bin.size > PATCH_BYTES_MAX)
		return damaged(err);
	s->patch_len = o->via.bin.size;
	s->patch = malloc(s->patch_len + 1);
	if (!s->patch)
		return error_set(err, ENOMEM, "no memory for the patch");
	memcpy(s->patch, o->via.bin.ptr, s->patch_len);
	s->patch[s->patch_len] = '\0';
	return 0;
}

static int read_spec(const msgpack_object *map, struct verify_spec *s, struct error *err)
{
	const msgpack_object *list = map_get(map, "numbers");
	uint64_t n[N_NUMBERS];
	int rc = take_claim(map_get(map, "claim"), s, err);

	if (!rc)
		rc = take_patch(map_get(map, "patch"), s, err);
	for (size_t i = 0; !rc && i < N_TEXTS; i++) {
		const msgpack_object *o = map_get(map, texts[i].key);

		if (o && o->type == MSGPACK_OBJECT_STR && !(*text_of(s, i) = object_text(o, VERIFY_TEXT_MAX)))
			rc = damaged(err);
	}
	if (rc || !list || list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size != N_NUMBERS)
		return rc ? rc : damaged(err);
	for (int i = 0; i < N_NUMBERS; i++)
		if (!object_u64(&list->via.array.ptr[i], &n[i]))
			return damaged(err);
	object_bool(map_get(map, "by_time"), &s->by_time);
	s->guards_given = true;
	return take_numbers(n, s) && texts_are_there(s) ? verify_spec_finish(s, err) : damaged(err);
}

/* ---- what came ---- */

void record_add(struct buf *raw, enum record_event what, uint64_t now_ns, const void *data, size_t len)
{
	msgpack_packer pk;

	pack_into(&pk, raw);
	msgpack_pack_array(&pk, data ? 3 : 2);
	msgpack_pack_int(&pk, what);
	msgpack_pack_uint64(&pk, now_ns);
	if (data)
		pack_bin(&pk, data, len);
}

static int play_frame(struct verify *v, const msgpack_object *o, uint64_t now_ns, struct error *err)
{
	struct frame_in in;
	int rc;

	rc = frame_take(o->via.bin.ptr, o->via.bin.size, &in, NULL);
	if (rc > 0 && rc != (int)o->via.bin.size)
		frame_in_free(&in);
	if (rc != (int)o->via.bin.size)
		return damaged(err);
	rc = verify_frame(v, &in, o->via.bin.ptr, o->via.bin.size, now_ns, err);
	frame_in_free(&in);
	return rc;
}

static int play(struct verify *v, const msgpack_object *o, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr;
	bool data = o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == 3 && part[2].type == MSGPACK_OBJECT_BIN;
	uint64_t what, now_ns;
	char reason[256];

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 2 || !object_u64(&part[0], &what) || !object_u64(&part[1], &now_ns))
		return damaged(err);
	buf_clear(verify_out(v));
	if (what == RECORD_FRAME && data)
		return play_frame(v, &part[2], now_ns, err);
	if (what == RECORD_STOP && data && part[2].via.bin.size < sizeof(reason)) {
		memcpy(reason, part[2].via.bin.ptr, part[2].via.bin.size);
		reason[part[2].via.bin.size] = '\0';
		verify_stop(v, reason, now_ns);
		return 0;
	}
	return what == RECORD_TIMER ? verify_timer(v, now_ns, err) : what == RECORD_START ? verify_start(v, now_ns, err) : damaged(err);
}

static struct verify *play_all(const char *raw, size_t len, struct error *err)
{
	struct verify_spec spec;
	struct verify *v = NULL;
	msgpack_object o;
	msgpack_zone zone;
	ssize_t n;
	int rc;

	if (!msgpack_zone_init(&zone, 65536)) {
		error_set(err, ENOMEM, "no memory for the record");
		return NULL;
	}
	verify_spec_init(&spec);
	n = pack_take(raw, len, &zone, &o);
	rc = n > 0 && o.type == MSGPACK_OBJECT_MAP ? read_spec(&o, &spec, err) : damaged(err);
	if (rc)
		verify_spec_free(&spec);
	else
		v = verify_new(&spec, err);
	for (size_t at = (size_t)n; v && !rc && at < len; at += (size_t)n) {
		msgpack_zone_clear(&zone);
		n = pack_take(raw + at, len - at, &zone, &o);
		rc = n > 0 ? play(v, &o, err) : damaged(err);
	}
	msgpack_zone_destroy(&zone);
	if (!rc)
		return v;
	verify_free(v);
	return NULL;
}

/* ---- the file ---- */

#define KEY_HINT "openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out key.pub"

/* OpenSSL would ask a terminal for it. */
static int no_password(char *to, int size, int writing, void *arg)
{
	return -1;
}

/* NULL: it is no private Ed25519 key. */
static EVP_PKEY *private_key(const struct record_key *key)
{
	BIO *bio = BIO_new_mem_buf(key->pem, (int)key->len);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	BIO_free(bio);
	if (!pkey || EVP_PKEY_id(pkey) == EVP_PKEY_ED25519)
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}

int record_key_read(const char *path, struct record_key *out, struct error *err)
{
	struct record_key key = { 0 };
	EVP_PKEY *pkey;
	int rc = file_read(path, RECORD_KEY_MAX, &key.pem, &key.len, err);

	if (rc)
		return rc;
	pkey = private_key(&key);
	if (!pkey) {
		record_key_free(&key);
		error_set(err, EINVAL, "%s is no private Ed25519 key without a password", path);
		return error_hint(err, KEY_HINT);
	}
	EVP_PKEY_free(pkey);
	*out = key;
	return 0;
}

void record_key_free(struct record_key *key)
{
	if (key->pem)
		explicit_bzero(key->pem, key->len);
	free(key->pem);
	*key = (struct record_key){ 0 };
}

static int sign(struct buf *file, const struct record_key *key, struct error *err)
{
	EVP_PKEY *pkey = private_key(key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char signature[RECORD_SIGNATURE];
	size_t n = sizeof(signature);
	int rc = 0;

	if (!pkey || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) != 1 ||
	    EVP_DigestSign(ctx, signature, &n, (const unsigned char *)file->data, file->len) != 1 || n != sizeof(signature))
		rc = error_set(err, EIO, "the record cannot be signed");
	else
		buf_add(file, signature, n);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return rc;
}

static int check_signature(const char *file, size_t len, const char *key, size_t key_len, struct error *err)
{
	BIO *bio = BIO_new_mem_buf(key, (int)key_len);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const unsigned char *bytes = (const unsigned char *)file;
	int rc = 0;

	if (!pkey || EVP_PKEY_id(pkey) != EVP_PKEY_ED25519)
		rc = error_hint((error_set(err, EINVAL, "that is no public Ed25519 key"), err), KEY_HINT);
	else if (!ctx || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) != 1 ||
		 EVP_DigestVerify(ctx, bytes + len, RECORD_SIGNATURE, bytes, len) != 1)
		rc = error_set(err, EKEYREJECTED, "the record is not signed with this key, or was changed after it was signed");
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	return rc;
}

int record_seal(const struct buf *raw, const struct record_key *key, struct buf *file, struct error *err)
{
	bool is_signed = key && key->pem;
	struct head h = { .format = RECORD_FORMAT, .verdict = VERDICT_VERSION, .flags = is_signed ? FLAG_SIGNED : 0, .raw_be = htobe64(raw->len) };
	struct deflater *d = deflater_new(DEFLATE_LEVEL);

	memcpy(h.magic, magic, sizeof(magic));
	buf_add(file, &h, sizeof(h));
	if (raw->failed || !d || deflater_run(d, raw->data, raw->len, file) < 0 || file->failed) {
		deflater_free(d);
		return error_set(err, ENOMEM, "no memory for the record");
	}
	deflater_free(d);
	h.deflated_be = htobe64(file->len - sizeof(h));
	memcpy(file->data, &h, sizeof(h));
	return is_signed ? sign(file, key, err) : 0;
}

static int read_head(const void *file, size_t len, struct head *h, struct error *err)
{
	uint64_t body;

	if (len < sizeof(*h))
		return error_set(err, EPROTO, "that is no record of plumb verify");
	memcpy(h, file, sizeof(*h));
	if (memcmp(h->magic, magic, sizeof(magic)) != 0)
		return error_set(err, EPROTO, "that is no record of plumb verify");
	if (h->format != RECORD_FORMAT || h->verdict != VERDICT_VERSION)
		return error_set(err, EPROTO, "the record was made by another version of plumb (format %u, rules %u; this one has %d and %d): it "
				 "needs that plumb", h->format, h->verdict, RECORD_FORMAT, VERDICT_VERSION);
	if (h->flags & ~FLAG_SIGNED || h->zero || h->pad)
		return damaged(err);
	body = len - sizeof(*h) - (h->flags & FLAG_SIGNED ? (size_t)RECORD_SIGNATURE : 0);
	if (be64toh(h->raw_be) > RECORD_RAW_MAX || be64toh(h->deflated_be) != body || body > len)
		return damaged(err);
	return 0;
}

struct verify *record_replay(const void *file, size_t len, const char *key, size_t key_len, bool *is_signed, struct error *err)
{
	struct inflater *i = inflater_new();
	struct verify *v = NULL;
	const char *raw;
	size_t raw_len;
	struct head h = { .flags = 0 };
	int rc = i ? read_head(file, len, &h, err) : error_set(err, ENOMEM, "no memory for the record");

	*is_signed = !rc && h.flags & FLAG_SIGNED;
	if (!rc && key)
		rc = *is_signed ? check_signature(file, len - RECORD_SIGNATURE, key, key_len, err) :
				  error_set(err, EKEYREJECTED, "the record is not signed");
	if (!rc && (inflater_run(i, (const char *)file + sizeof(h), be64toh(h.deflated_be), RECORD_RAW_MAX, &raw, &raw_len) < 0 ||
		    raw_len != be64toh(h.raw_be)))
		rc = damaged(err);
	if (!rc)
		v = play_all(raw, raw_len, err);
	inflater_free(i);
	return v;
}
