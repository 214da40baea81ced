#include "analysis/ramp.h"
#include "tests/support/test.h"

TEST(ramp, levels)
{
	CHECK_NEAR(ramp_level(RAMP_LIFT, 1, 0), 0, 0);
	CHECK_NEAR(ramp_level(RAMP_LIFT, 10, 0), 0.5, 1e-7);
	CHECK_NEAR(ramp_level(RAMP_LIFT, 100, 0), 1, 1e-7);
	CHECK_NEAR(ramp_level(RAMP_LIFT, 1e9f, 0), 1, 0);
	CHECK_NEAR(ramp_level(RAMP_LIFT, 0, 0), 0, 0);
	CHECK_NEAR(ramp_level(RAMP_PERCENTILE, 0.25f, 0), 0.25, 0);
	CHECK_NEAR(ramp_level(RAMP_RAW, 2, 8), 0.25, 0);
	CHECK_NEAR(ramp_level(RAMP_RAW, 2, 0), 0, 0);
	CHECK_NEAR(ramp_level(RAMP_DIFFERENCE, 0, 0), 0.5, 0);
	CHECK_NEAR(ramp_level(RAMP_DIFFERENCE, -2, 0), 0, 0);
	CHECK_NEAR(ramp_level(RAMP_DIFFERENCE, 7, 0), 1, 0);
	for (int s = RAMP_LIFT; s <= RAMP_DIFFERENCE; s++)
		CHECK(isnan(ramp_level((enum ramp_scale)s, NAN, 1)));
	CHECK(isnan(ramp_level(RAMP_RAW, 1, NAN)));
}

/* The ends and the middle as published. */
TEST(ramp, published_colours)
{
	CHECK_INT(ramp_rgb(RAMP_VIRIDIS, 0), 0x440154);
	CHECK_INT(ramp_rgb(RAMP_VIRIDIS, 0.5f), 0x21918c);
	CHECK_INT(ramp_rgb(RAMP_VIRIDIS, 1), 0xfde725);
	CHECK_INT(ramp_rgb(RAMP_CIVIDIS, 0), 0x00224e);
	CHECK_INT(ramp_rgb(RAMP_CIVIDIS, 1), 0xfee838);
	CHECK_INT(ramp_rgb(RAMP_MAGMA, 0), 0x000004);
	CHECK_INT(ramp_rgb(RAMP_MAGMA, 1), 0xfcfdbf);
	CHECK_INT(ramp_rgb(RAMP_GREY, 0), 0);
	CHECK_INT(ramp_rgb(RAMP_GREY, 1), 0xffffff);
	CHECK_INT(ramp_rgb(RAMP_VIRIDIS, -3), 0x440154);
	CHECK_INT(ramp_rgb(RAMP_VIRIDIS, NAN), 0x440154);
}

/* CIE lightness 0 .. 100 of an sRGB colour. */
static double lightness(uint32_t rgb)
{
	static const double weight[] = {0.2126, 0.7152, 0.0722};
	double y = 0;
	for (int i = 0; i < 3; i++) {
		double c = (rgb >> (16 - 8 * i) & 255) / 255.0;
		y += weight[i] * (c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4));
	}
	return y > 216.0 / 24389 ? 116 * cbrt(y) - 16 : y * 24389 / 27;
}

TEST(ramp, lightness_is_monotonic)
{
	const enum ramp_colour rising[] = {RAMP_VIRIDIS, RAMP_CIVIDIS, RAMP_MAGMA, RAMP_GREY};
	for (int c = 0; c < 4; c++) {
		double before = -1;
		for (int i = 0; i < 256; i++) {
			double now = lightness(ramp_rgb(rising[c], ((float)i + 0.5f) / 256));
			CHECK(now > before - 0.3); /* 8-bit rounding of three channels */
			before = now;
		}
		CHECK(before > 90);
	}
	for (int i = 0; i < 128; i++) {
		uint32_t left = ramp_rgb(RAMP_DIVERGING, ((float)i + 0.5f) / 256);
		uint32_t right = ramp_rgb(RAMP_DIVERGING, (255.5f - (float)i) / 256);
		CHECK_NEAR(lightness(left), lightness(right), 4); /* equal in OKLab, nearly so in CIELAB */
		CHECK((left & 255) >= (left >> 16) && (right >> 16) >= (right & 255)); /* blue below, orange above */
		if (i)
			CHECK(lightness(left) > lightness(ramp_rgb(RAMP_DIVERGING, ((float)i - 0.5f) / 256)) - 0.3);
	}
}

TEST(ramp, text_can_be_read)
{
	CHECK(ramp_wants_black(0xffffff) && ramp_wants_black(0xfde725) && ramp_wants_black(0x777777));
	CHECK(!ramp_wants_black(0x000000) && !ramp_wants_black(0x440154) && !ramp_wants_black(0x707070));
}
