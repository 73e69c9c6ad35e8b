/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct tls {
	SSL_CTX *ctx;
};

int tls_error(const SSL *ssl, unsigned long code, const char *what, struct error *err)
{
	long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	const char *why;

	if (!code)
		code = ERR_peek_error();
	why = code ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	if (verified != X509_V_OK)
		return error_set(err, EPROTO, "%s: the peer's certificate: %s", what, X509_verify_cert_error_string(verified));
	/* OpenSSL passes the system's errors on as codes without a text. */
	if (!why && code && ERR_SYSTEM_ERROR(code))
		why = strerror(ERR_GET_REASON(code));
	return error_set(err, EPROTO, "%s: %s", what, why ? why : "the peer closed the connection");
}

static int file_error(const char *what, const char *path, struct error *err)
{
	char text[256];

	snprintf(text, sizeof(text), "cannot use the %s %s", what, path);
	tls_error(NULL, 0, text, err);
	err->code = EINVAL;
	return -EINVAL;
}

static int use_certificate(SSL_CTX *ctx, const struct tls_files *f, struct error *err)
{
	if (!f->cert != !f->key)
		return error_set(err, EINVAL, "a TLS certificate and its key belong together: one of them is missing");
	if (!f->cert)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(ctx, f->cert) != 1)
		return file_error("TLS certificate", f->cert, err);
	if (SSL_CTX_use_PrivateKey_file(ctx, f->key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return file_error("TLS key", f->key, err);
	return 0;
}

static int use_ca(SSL_CTX *ctx, const char *ca, struct error *err)
{
	if (!ca)
		return SSL_CTX_set_default_verify_paths(ctx) == 1 ? 0 : tls_error(NULL, 0, "the system's certificates", err);
	return SSL_CTX_load_verify_file(ctx, ca) == 1 ? 0 : file_error("TLS CA file", ca, err);
}

/* Nothing is resumed: a connection lives for days, and each one shows its certificate. */
static int set_up(SSL_CTX *ctx, const struct tls_files *files, bool server, struct error *err)
{
	int rc;

	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1)
		return tls_error(NULL, 0, "TLS 1.3", err);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	rc = use_certificate(ctx, files, err);
	if (!rc)
		rc = use_ca(ctx, files->ca, err);
	if (!rc && server) {
		STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(files->ca);

		if (!names)
			return file_error("TLS CA file", files->ca, err);
		SSL_CTX_set_client_CA_list(ctx, names);
	}
	return rc;
}

static int make(const SSL_METHOD *method, const struct tls_files *files, bool server, struct tls **out, struct error *err)
{
	struct tls *t = calloc(1, sizeof(*t));
	int rc;

	ERR_clear_error();
	if (t)
		t->ctx = SSL_CTX_new(method);
	rc = t && t->ctx ? set_up(t->ctx, files, server, err) : error_set(err, ENOMEM, "out of memory");
	if (rc) {
		tls_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

int tls_server_new(const struct tls_files *files, struct tls **out, struct error *err)
{
	if (!files->cert || !files->key || !files->ca)
		return error_set(err, EINVAL,
				 "TLS needs three files: the certificate, its key, and the CA that signs the agents' certificates");
	return make(TLS_server_method(), files, true, out, err);
}

int tls_client_new(const struct tls_files *files, struct tls **out, struct error *err)
{
	return make(TLS_client_method(), files, false, out, err);
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* An address must be in the certificate as an address, a name as a name. */
static bool expect_host(SSL *ssl, const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int tls_session(const struct tls *t, const char *host, SSL **out, struct error *err)
{
	SSL *ssl = SSL_new(t->ctx);

	if (!ssl)
		return error_set(err, ENOMEM, "no memory for a TLS connection");
	if (host && !expect_host(ssl, host)) {
		SSL_free(ssl);
		return error_set(err, EINVAL, "no name that a certificate can be for: %.200s", host);
	}
	*out = ssl;
	return 0;
}

int tls_connect(const struct tls *t, int fd, const char *host, SSL **out, struct error *err)
{
	SSL *ssl = NULL;
	int rc = tls_session(t, host, &ssl, err);

	if (rc)
		return rc;
	ERR_clear_error();
	if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1) {
		rc = tls_error(ssl, 0, "no TLS connection", err);
		SSL_free(ssl);
		return rc;
	}
	*out = ssl;
	return 0;
}

/* As RFC 2253 has it, where two names are never alike, and safe to print. Names that do not fit are none. */
static bool put_name(const X509_NAME *from, char *name, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int len = bio && X509_NAME_print_ex(bio, from, 0, XN_FLAG_RFC2253) > 0 ? (int)BIO_pending(bio) : 0;
	bool fits = len > 0 && (size_t)len < size && BIO_read(bio, name, len) == len;

	BIO_free(bio);
	name[fits ? len : 0] = '\0';
	return fits;
}

bool tls_peer_name(const SSL *ssl, char *name, size_t size)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);

	if (!cert || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	return put_name(X509_get_subject_name(cert), name, size);
}

bool tls_is_loopback(const struct sockaddr *addr)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)addr;

	switch (addr->sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			return v6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET;
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	default:
		return false;
	}
}

int tls_plain_allowed(const struct sockaddr *local, const struct sockaddr *peer, bool insecure, struct error *err)
{
	if (insecure || (tls_is_loopback(local) && tls_is_loopback(peer)))
		return 0;
	error_set(err, EACCES, "captured data does not leave this machine without TLS");
	return error_hint(err, "give --tls-cert, --tls-key and --tls-ca; or --insecure, on a network that you trust");
}
