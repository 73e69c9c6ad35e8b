/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/un.h>

#include "certificates.h"
#include "tls.h"

static char dir[64];
static struct test_identity ca, other_ca, server, agent, stranger, expired;

static int set_up(void **state)
{
	strcpy(dir, "/tmp/plumb-tls-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	identity_make(&ca, NULL, dir, "ca", NULL, 3600);
	identity_make(&other_ca, NULL, dir, "other-ca", NULL, 3600);
	identity_make(&server, &ca, dir, "collector", "DNS:localhost,IP:127.0.0.1", 3600);
	identity_make(&agent, &ca, dir, "agent", NULL, 3600);
	identity_make(&stranger, &other_ca, dir, "stranger", NULL, 3600);
	identity_make(&expired, &ca, dir, "expired", NULL, -3600);
	return 0;
}

static int tear_down(void **state)
{
	identity_free(&ca);
	identity_free(&other_ca);
	identity_free(&server);
	identity_free(&agent);
	identity_free(&stranger);
	identity_free(&expired);
	return rmdir(dir);
}

/* The server's side of one connection: the hand-shake, then one byte comes back. */
struct served {
	const struct tls *tls;
	int fd;
	bool shaken, has_name;
	char name[128];
};

static void *serve(void *arg)
{
	struct served *s = arg;
	char byte;
	SSL *ssl;

	if (tls_session(s->tls, NULL, &ssl, NULL))
		return NULL;
	SSL_set_fd(ssl, s->fd);
	s->shaken = SSL_accept(ssl) == 1;
	if (s->shaken) {
		s->has_name = tls_peer_name(ssl, s->name, sizeof(s->name));
		if (SSL_read(ssl, &byte, 1) == 1)
			SSL_write(ssl, &byte, 1);
	}
	SSL_free(ssl);
	close(s->fd);
	return NULL;
}

/* In TLS 1.3 a client learns at its first read that its certificate was refused. */
static int exchange(SSL *ssl, struct error *err)
{
	char byte = 'x';
	int rc = 0;

	if (SSL_write(ssl, &byte, 1) != 1 || SSL_read(ssl, &byte, 1) != 1)
		rc = tls_error(ssl, 0, "no answer", err);
	SSL_free(ssl);
	return rc;
}

static int meet(const struct tls_files *client_files, const char *host, struct served *s, struct error *err)
{
	struct tls_files files = { server.cert_path, server.key_path, ca.cert_path };
	struct tls *at_server, *at_client;
	int fds[2], rc;
	pthread_t thread;
	SSL *ssl;

	assert_int_equal(tls_server_new(&files, &at_server, err), 0);
	assert_int_equal(tls_client_new(client_files, &at_client, err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*s = (struct served){ .tls = at_server, .fd = fds[0] };
	assert_int_equal(pthread_create(&thread, NULL, serve, s), 0);
	rc = tls_connect(at_client, fds[1], host, &ssl, err);
	if (!rc)
		rc = exchange(ssl, err);
	close(fds[1]);
	pthread_join(thread, NULL);
	tls_free(at_server);
	tls_free(at_client);
	return rc;
}

static void test_mutual(void **state)
{
	static const char *const hosts[] = { "localhost", "127.0.0.1" };
	struct tls_files files = { agent.cert_path, agent.key_path, ca.cert_path };
	struct error err = { 0 };
	struct served s;

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(meet(&files, hosts[i], &s, &err), 0);
		assert_true(s.has_name);
		assert_string_equal(s.name, "CN=agent");
	}
}

static void test_client_without_certificate_has_no_name(void **state)
{
	struct tls_files files = { .ca = ca.cert_path };
	struct error err = { 0 };
	struct served s;

	assert_int_equal(meet(&files, "localhost", &s, &err), 0);
	assert_true(s.shaken);
	assert_false(s.has_name);
}

static void test_certificates_that_are_refused(void **state)
{
	struct test_identity *bad[] = { &stranger, &expired };
	struct error err = { 0 };
	struct served s;

	for (size_t i = 0; i < 2; i++) {
		struct tls_files files = { bad[i]->cert_path, bad[i]->key_path, ca.cert_path };

		assert_int_equal(meet(&files, "localhost", &s, &err), -EPROTO);
		assert_false(s.shaken);
	}
}

static void test_server_that_is_another(void **state)
{
	struct tls_files wrong_ca = { .ca = other_ca.cert_path }, right_ca = { .ca = ca.cert_path };
	struct error err = { 0 };
	struct served s;

	assert_int_equal(meet(&wrong_ca, "localhost", &s, &err), -EPROTO);
	assert_non_null(strstr(err.text, "certificate"));
	assert_int_equal(meet(&right_ca, "collector.example", &s, &err), -EPROTO);
	assert_non_null(strstr(err.text, "certificate"));
	assert_int_equal(meet(&right_ca, "127.0.0.2", &s, &err), -EPROTO);
	assert_non_null(strstr(err.text, "certificate"));
}

static void test_older_protocols_are_refused(void **state)
{
	struct tls_files files = { server.cert_path, server.key_path, ca.cert_path };
	SSL_CTX *old = SSL_CTX_new(TLS_client_method());
	struct served s = { 0 };
	struct tls *at_server;
	pthread_t thread;
	int fds[2];
	SSL *ssl;

	SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
	assert_int_equal(tls_server_new(&files, &at_server, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	s.tls = at_server;
	s.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
	ssl = SSL_new(old);
	SSL_set_fd(ssl, fds[1]);
	assert_int_not_equal(SSL_connect(ssl), 1);
	SSL_free(ssl);
	close(fds[1]);
	pthread_join(thread, NULL);
	assert_false(s.shaken);
	SSL_CTX_free(old);
	tls_free(at_server);
}

static void test_files(void **state)
{
	struct tls_files none = { 0 }, half = { .cert = agent.cert_path, .ca = ca.cert_path },
			 absent = { "/nowhere/cert.pem", agent.key_path, ca.cert_path },
			 crossed = { agent.cert_path, server.key_path, ca.cert_path },
			 no_ca = { agent.cert_path, agent.key_path, agent.key_path };
	struct error err = { 0 };
	struct tls *t = NULL;

	assert_int_equal(tls_server_new(&none, &t, &err), -EINVAL);
	assert_int_equal(tls_client_new(&half, &t, &err), -EINVAL);
	assert_non_null(strstr(err.text, "belong together"));
	assert_int_equal(tls_client_new(&absent, &t, &err), -EINVAL);
	assert_non_null(strstr(err.text, "/nowhere/cert.pem"));
	assert_non_null(strstr(err.text, "No such file"));
	assert_int_equal(tls_client_new(&crossed, &t, &err), -EINVAL);
	assert_non_null(strstr(err.text, server.key_path));
	assert_int_equal(tls_server_new(&no_ca, &t, &err), -EINVAL);
	assert_null(t);
}

static void address(struct sockaddr_storage *out, const char *text)
{
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	out->ss_family = AF_INET;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		return;
	out->ss_family = AF_INET6;
	assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
}

static void test_plain(void **state)
{
	static const struct { const char *text; bool loopback; } cases[] = {
		{ "127.0.0.1", true }, { "127.255.255.254", true }, { "::1", true }, { "::ffff:127.0.0.1", true },
		{ "0.0.0.0", false }, { "128.0.0.1", false }, { "10.127.0.1", false }, { "::", false }, { "::ffff:10.0.0.1",
		false },
		{ "fe80::1", false },
	};
	struct sockaddr_storage here, there;
	struct error err = { 0 };

	address(&here, "127.0.0.1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct sockaddr *a = (void *)&here, *b = (void *)&there;
		int want = cases[i].loopback ? 0 : -EACCES;

		address(&there, cases[i].text);
		assert_int_equal(tls_is_loopback(b), cases[i].loopback);
		assert_int_equal(tls_plain_allowed(a, b, false, &err), want);
		assert_int_equal(tls_plain_allowed(b, a, false, &err), want);
		assert_int_equal(tls_plain_allowed(a, b, true, &err), 0);
	}
	assert_non_null(strstr(err.hint, "--insecure"));
	here.ss_family = AF_UNIX;
	assert_true(tls_is_loopback((void *)&here));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutual),
		cmocka_unit_test(test_client_without_certificate_has_no_name),
		cmocka_unit_test(test_certificates_that_are_refused),
		cmocka_unit_test(test_server_that_is_another),
		cmocka_unit_test(test_older_protocols_are_refused),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_plain),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
