/* SPDX-License-Identifier: Apache-2.0 */
/* Ends that do not do their part: they stop reading, or do not end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "certificates.h"
#include "client.h"

enum { PATIENCE_MS = 100, MANY = 8 << 20 };   /* bytes: more than any socket's buffers here */

static char *many;

static int set_up(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	many = malloc(MANY);
	memset(many, 'x', MANY);
	return 0;
}

static int tear_down(void **state)
{
	free(many);
	return 0;
}

static void make_pair(struct transport *t, int *there)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*t = (struct transport){ .fd = fds[0], .patience_ms = PATIENCE_MS };
	*there = fds[1];
}

static void one_that_stops_reading(void **state)
{
	struct transport t;
	int there;

	make_pair(&t, &there);
	assert_int_equal(transport_send(&t, many, MANY), -ETIMEDOUT);
	close(there);
	transport_close(&t);
}

static void one_that_has_gone(void **state)
{
	struct transport t;
	int there;

	make_pair(&t, &there);
	close(there);
	assert_int_equal(transport_send(&t, many, MANY), -EPIPE);
	transport_close(&t);
}

static void *read_all(void *arg)
{
	static char to[65536];
	size_t got = 0;
	ssize_t n;

	while ((n = read(*(int *)arg, to, sizeof(to))) > 0)
		got += (size_t)n;
	return (void *)got;
}

static void one_that_reads(void **state)
{
	struct transport t;
	pthread_t reader;
	void *got;
	int there;

	make_pair(&t, &there);
	t.patience_ms = 0;
	assert_int_equal(pthread_create(&reader, NULL, read_all, &there), 0);
	assert_int_equal(transport_send(&t, many, MANY), 0);
	transport_close(&t);
	pthread_join(reader, &got);
	assert_int_equal((size_t)got, MANY);
	close(there);
}

/* ---- with TLS ---- */

struct served { struct tls *tls; int fd; SSL *ssl; };

static void *shake_hands(void *arg)
{
	struct served *s = arg;

	if (tls_session(s->tls, NULL, &s->ssl, NULL))
		return NULL;
	SSL_set_fd(s->ssl, s->fd);
	SSL_accept(s->ssl);
	return NULL;
}

static void one_that_stops_reading_with_tls(void **state)
{
	char dir[] = "/tmp/plumb-transport-XXXXXX";
	struct test_identity ca, server, client;
	struct served s = { 0 };
	struct transport t;
	struct tls *tls;
	pthread_t thread;
	struct error err;

	assert_non_null(mkdtemp(dir));
	identity_make(&ca, NULL, dir, "ca", NULL, 3600);
	identity_make(&server, &ca, dir, "collector", "DNS:localhost", 3600);
	identity_make(&client, &ca, dir, "plumb", NULL, 3600);
	assert_int_equal(tls_server_new(&(struct tls_files){ server.cert_path, server.key_path, ca.cert_path }, &s.tls, &err), 0);
	assert_int_equal(tls_client_new(&(struct tls_files){ client.cert_path, client.key_path, ca.cert_path }, &tls, &err), 0);
	make_pair(&t, &s.fd);
	assert_int_equal(pthread_create(&thread, NULL, shake_hands, &s), 0);
	assert_int_equal(tls_connect(tls, t.fd, "localhost", &t.ssl, &err), 0);
	pthread_join(thread, NULL);
	assert_int_equal(fcntl(t.fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(transport_send(&t, many, MANY), -ETIMEDOUT);
	transport_close(&t);
	SSL_free(s.ssl);
	close(s.fd);
	tls_free(tls);
	tls_free(s.tls);
	identity_free(&ca);
	identity_free(&server);
	identity_free(&client);
	rmdir(dir);
}

/* ---- private agents ---- */

static void an_agent_that_does_not_end(void **state)
{
	pid_t pid = fork();

	if (!pid) {
		signal(SIGTERM, SIG_IGN);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	private_agent_end(pid, 20);
	assert_int_equal(waitpid(pid, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
}

static void an_agent_that_ends(void **state)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_true(pid > 0);
	private_agent_end(pid, 20000);
	assert_int_equal(waitpid(pid, NULL, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_stops_reading), cmocka_unit_test(one_that_has_gone), cmocka_unit_test(one_that_reads),
		cmocka_unit_test(one_that_stops_reading_with_tls), cmocka_unit_test(an_agent_that_does_not_end),
		cmocka_unit_test(an_agent_that_ends),
	};

	return cmocka_run_group_tests_name("transport", tests, set_up, tear_down);
}
