#include "tui/draw/number.h"
#include "tests/support/test.h"

#include <math.h>

TEST(number, reads_like_words)
{
	char out[32];
	CHECK_STR(number_grouped(out, 0), "0");
	CHECK_STR(number_grouped(out, 999), "999");
	CHECK_STR(number_grouped(out, 1954), "1,954");
	CHECK_STR(number_grouped(out, -1234567), "-1,234,567");
	CHECK_STR(number_grouped(out, -123), "-123");
	CHECK_STR(number_percent(out, 0.787), "79 %");
	CHECK_STR(number_percent(out, 1), "100 %");
	CHECK_STR(number_percent(out, NAN), "\xe2\x80\x93");
	CHECK_STR(number_count(out, 53), "53");
	CHECK_STR(number_count(out, 52.7), "52.7");
	CHECK_STR(number_count(out, 1234.6), "1,235");
	CHECK_STR(number_count(out, NAN), "\xe2\x80\x93");
	CHECK_STR(number_duration(out, 8.4), "8 s");
	CHECK_STR(number_duration(out, 59.9), "1:00");
	CHECK_STR(number_duration(out, 125), "2:05");
	CHECK_STR(number_duration(out, 3725), "1:02:05");
}
