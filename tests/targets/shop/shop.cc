/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shop: C++ as services have it, built with and without its fix (fixes/v2.diff): a template that is instantiated three times,
 * a function that is inlined into two others, one that is overloaded, and exceptions, which pass through none of them.
 * Says "ready", works about a thousand times a second, and ends by itself after some minutes.
 */
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <string>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

namespace {
constexpr unsigned seconds = 300;
volatile int count;     /* what the compiler cannot know */
volatile double sink;
}

namespace shop {
template <class T> struct Limits {
	T low, high;
};

/* Every tenth value lies outside, and that is an error. */
template <class T> NOINLINE int clamp(T value, const Limits<T> &to, T *out)
{
	*out = value < to.high ? value : to.high;
	if (value > to.high)
		return -34;
	return 0;
}

/* In each of its callers. */
static inline __attribute__((always_inline)) int check(int n)
{
	sink = n;
	if (n % 10 == 0)
		return -22;
	return 0;
}

NOINLINE int order(int n)
{
	int rc = check(n);

	return rc ? rc : n & 7;
}

NOINLINE int refund(int n)
{
	int rc = check(n + 5);

	return rc ? rc : n & 3;
}

NOINLINE int price(int n)
{
	sink = n;
	if (n % 10 == 0)
		return -1;
	return n & 15;
}

NOINLINE int price(const std::string &name)
{
	sink = (double)name.size();
	if (name.empty())
		return -1;
	return (int)name.size();
}

NOINLINE int parse(const std::string &text)
{
	try {
		return std::stoi(text);
	} catch (const std::invalid_argument &) {
		return -2;
	}
}
}

static int work(int n)
{
	const shop::Limits<int> of_int{0, 8};
	const shop::Limits<long> of_long{0, 8};
	const shop::Limits<double> of_double{0, 8};
	int i;
	long l;
	double d;

	sink = shop::clamp(n % 10, of_int, &i) + shop::clamp((long)n % 10, of_long, &l) + shop::clamp(n % 10 * 1.0, of_double, &d);
	return i + (int)l + (int)d + shop::order(n) + shop::refund(n) + shop::price(n) + shop::price(std::string("coupon")) +
	       shop::parse(n % 50 ? "7" : "seven");
}

int main()
{
	const timespec pause = {0, 900000};

	alarm(seconds);
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	for (;;) {
		sink = work(count);
		count = count + 1;
		nanosleep(&pause, nullptr);
	}
}
