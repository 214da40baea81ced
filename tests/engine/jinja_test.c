/* The Jinja interpreter against jinja2 itself: tests/golden/tokens/jinja.json holds templates, messages and what
 * transformers' environment renders (null where it fails). */
#include "engine/token/jinja/jinja.h"
#include "tests/support/test.h"

#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

/* What is refused here though jinja2 has it: never a wrong rendering, always an error. */
static const char *const refused[] = {
	"{{ [] }}",                 /* lists as text */
	"{{ '\xc3\xa9' | upper }}", /* letters beyond ASCII */
};

static bool is_refused(const char *template)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (!strcmp(template, refused[i]))
			return true;
	return false;
}

static int render(
	const char *template, size_t n, const char *message, size_t n_message, struct jinja_text *out, struct err *e)
{
	static const struct jinja_variable variable = {"bos_token", "<s>"};
	const struct chat_message user = {"user", message, n_message};
	struct jinja_request r = {
		.message = &user, .n_message = 1, .variable = &variable, .n_variable = 1, .now = 1700049600};
	struct jinja_template *t;
	*out = (struct jinja_text){0};
	int rc = jinja_parse(&t, template, n, e);
	if (!rc)
		rc = jinja_render(t, &r, out, e);
	jinja_free(t);
	return rc;
}

static void free_text(struct jinja_text *t)
{
	free(t->text);
	free(t->from_message);
}

TEST(jinja, as_jinja2_renders)
{
	json_error_t problem;
	json_t *all = json_load_file(test_tree("tests/golden/tokens/jinja.json"), 0, &problem), *one;
	size_t i, n_rendered = 0, n_failed = 0, n_refused = 0;
	CHECK(all != NULL);
	json_array_foreach(all, i, one)
	{
		const json_t *template = json_array_get(one, 0), *message = json_array_get(one, 1),
					 *want = json_array_get(one, 2);
		const char *source = json_string_value(template);
		struct jinja_text got;
		struct err e = {ERR_NONE, ""};
		int rc = render(source, json_string_length(template), json_string_value(message),
			json_string_length(message), &got, &e);
		if (rc && json_is_string(want) && is_refused(source)) {
			n_refused++;
		} else if (rc && json_is_null(want)) {
			n_failed++;
			CHECK(e.code == ERR_UNSUPPORTED && strstr(e.text, "chat template, line "));
		} else if (rc || json_is_null(want)) {
			test_fail(__FILE__, __LINE__, "%s: %s", source, rc ? e.text : got.text);
		} else {
			n_rendered++;
			CHECK_STR(got.text, json_string_value(want));
		}
		free_text(&got);
	}
	CHECK(n_rendered > 150 && n_failed > 30 && n_refused < 5);
	json_decref(all);
}

/* '#' for bytes of the message, '.' for the template's. */
static void check_marks(const char *template, const char *message, const char *want)
{
	struct jinja_text got;
	struct err e = {ERR_NONE, ""};
	CHECK_INT(render(template, strlen(template), message, strlen(message), &got, &e), 0);
	char *marks = calloc(1, got.n + 1);
	for (size_t i = 0; i < got.n; i++)
		marks[i] = got.from_message[i] ? '#' : '.';
	CHECK_STR(marks, want);
	free(marks);
	free_text(&got);
}

TEST(jinja, marks_follow_the_message)
{
	check_marks("<{{ messages[0].content }}>", "hello", ".#####.");
	check_marks("a{{ '<' + messages[0]['content'] | trim + '>' }}b", "  hi\n", "..##..");
	check_marks("{{ messages[0].content ~ messages[0].role }}", "user", "####....");
	check_marks("{{ messages[0].content[1:3] }}{{ messages[0].content[-1] }}", "abcd", "###");
	check_marks("{{ messages[0].content | replace('b', '__') }}", "abc", "#..#");
	check_marks("{{ messages[0].content.split('|') | join('-') }}", "a|b", "#.#");
	check_marks("{{ messages[0].content | upper }}{{ 'x' | upper }}", "ab", "##.");
	check_marks(
		"{% macro m(t) %}[{{ t }}]{% endmacro %}{% set x = m(messages[0].content) %}{{ x }}", "ab", ".##.");
	check_marks(
		"{% set b %}x{{ messages[0].content }}{% endset %}{% for c in b %}{{ c }},{% endfor %}", "ab", "..#.#.");
	check_marks("{{ messages[0].content | default('d', true) }}", "", ".");
	check_marks("{{ ['x', messages[0].content] | join }}", "\xc3\xa9", ".##");
}

/* A program may have set a locale whose month names are its own; the reference has English ones. */
TEST(jinja, dates_are_english_in_any_locale)
{
	char *old = strdup(setlocale(LC_ALL, NULL));
	bool foreign = setlocale(LC_ALL, "de_DE.UTF-8") || setlocale(LC_ALL, "fr_FR.UTF-8");
	struct jinja_text got;
	struct err e;
	const char *template = "{{ strftime_now('%d %b %Y, %A') }}";
	CHECK_INT(render(template, strlen(template), "x", 1, &got, &e), 0);
	struct tm local;
	time_t now = 1700049600;
	char want[64];
	CHECK(localtime_r(&now, &local) != NULL);
	setlocale(LC_ALL, "C");
	strftime(want, sizeof want, "%d %b %Y, %A", &local);
	setlocale(LC_ALL, old);
	CHECK_STR(got.text, want);
	free_text(&got);
	free(old);
	if (!foreign)
		test_skip("no German or French locale on this machine; checked in the C locale only");
}

static void check_refused(const char *template, const char *part)
{
	struct jinja_text got;
	struct err e = {ERR_NONE, ""};
	CHECK(render(template, strlen(template), "x", 1, &got, &e) != 0);
	if (!strstr(e.text, part))
		test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e.text, part);
	free_text(&got);
}

TEST(jinja, what_is_not_there_is_named)
{
	check_refused("a\nb\n{{ messages | pprint }}", "line 3: the filter \"pprint\" is not there");
	check_refused("{% import 'x' as y %}", "\"import\"");
	check_refused("{{ messages is prime }}", "the test \"prime\" of a list");
	check_refused("{{ 'a'.zfill(3) }}", "the method \"zfill\" of a string is not there");
	check_refused("{{ 1.5 }}", "fraction");
	check_refused("{{ 2 ** 3 }}", "**");
	check_refused("{{ 1 / 2 }}", "1 / 2 is not there");
	check_refused("{{ raise_exception('one turn only') }}", "one turn only");
	check_refused("{{ none.upper() }}", "\"upper\" is an undefined value and cannot be called");
}

/* Templates come out of files: none may run for ever, deeper than the stack, or out of memory. */
TEST(jinja, runaway_templates_end)
{
	check_refused("{% set r = range(1000) %}{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor "
				  "%}{% endfor %}",
		"steps");
	check_refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "levels");
	check_refused(
		"{% set n = namespace(s='xxxxxxxx') %}{% for i in range(90) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
		"bytes");
	check_refused("{{ range(1000000000) | length }}", "range");
	enum { DEEP = 100000 };
	char *deep = malloc(3 * DEEP + 8);
	const char *const patterns[][2] = {
		{"{{ ", "("}, {"{{ ", "["}, {"{{ ", "-"}, {"{{ 1", "+1"}, {"{{ x", ".a"}, {"{{ ", "not "}};
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		size_t n = strlen(strcpy(deep, patterns[i][0])), step = strlen(patterns[i][1]);
		for (int k = 0; k < DEEP / (int)step; k++, n += step)
			memcpy(deep + n, patterns[i][1], step);
		strcpy(deep + n, " }}");
		check_refused(deep, "chat template, line 1");
	}
	free(deep);
}
