/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, made on the spot: PEM files in a directory. */
#ifndef PLUMB_TEST_CERTIFICATES_H
#define PLUMB_TEST_CERTIFICATES_H

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test_identity {
	EVP_PKEY *key;
	X509 *cert;
	char cert_path[256], key_path[256];
};

static inline void identity_write(struct test_identity *id, const char *dir, const char *name)
{
	FILE *f;

	snprintf(id->cert_path, sizeof(id->cert_path), "%s/%s.pem", dir, name);
	snprintf(id->key_path, sizeof(id->key_path), "%s/%s.key", dir, name);
	f = fopen(id->cert_path, "w");
	PEM_write_X509(f, id->cert);
	fclose(f);
	f = fopen(id->key_path, "w");
	PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
}

static inline void identity_extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
}

/* Signed by `ca`, or by itself and able to sign. names: as in "DNS:localhost,IP:127.0.0.1", or NULL. */
static inline void identity_make(struct test_identity *id, const struct test_identity *ca, const char *dir, const char *name,
				 const char *names, long valid_seconds)
{
	X509_NAME *subject;

	id->key = EVP_EC_gen("P-256");
	id->cert = X509_new();
	X509_set_version(id->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id->cert), (long)getpid() + (ca ? 1 : 0));
	X509_gmtime_adj(X509_getm_notBefore(id->cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(id->cert), valid_seconds);
	X509_set_pubkey(id->cert, id->key);
	subject = X509_get_subject_name(id->cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(id->cert, ca ? X509_get_subject_name(ca->cert) : subject);
	if (!ca)
		identity_extend(id->cert, NID_basic_constraints, "critical,CA:TRUE");
	if (names)
		identity_extend(id->cert, NID_subject_alt_name, names);
	X509_sign(id->cert, ca ? ca->key : id->key, EVP_sha256());
	identity_write(id, dir, name);
}

static inline void identity_free(struct test_identity *id)
{
	unlink(id->cert_path);
	unlink(id->key_path);
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
}

#endif
