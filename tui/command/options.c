#include "tui/command/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/command/nearest.h"

const struct command_info command_table[N_COMMAND] = {
#define COMMAND(ID, name, arguments, fewest, most, summary, description) \
	[COMMAND_##ID] = {#name, arguments, fewest, most, summary, description},
#include "tui/commands.def"
#undef COMMAND
};

const char *const option_group_title[N_OPTION_GROUP] = {
	[OPTIONS_MODEL] = "Model",
	[OPTIONS_PROMPT] = "Prompt",
	[OPTIONS_RESPONSE] = "Response",
	[OPTIONS_MEASURE] = "Methods",
	[OPTIONS_COMPARE] = "Comparison",
	[OPTIONS_FIGURE] = "Figure",
	[OPTIONS_TRAIN] = "Training",
	[OPTIONS_INSPECT] = "Inspection",
	[OPTIONS_BENCH] = "Measurement",
	[OPTIONS_INFO] = "Detail",
	[OPTIONS_SCREEN] = "Screen",
	[OPTIONS_OUTPUT] = "Output",
};

const struct option_info option_table[N_OPTION] = {
#define OPTION(GROUP, field, name, letter, TYPE, argument, initial, low, high, commands, help) \
	[OPT_##field] = {OPTIONS_##GROUP, name, letter, OPTION_##TYPE, argument, initial, low, high, commands, help},
#include "tui/options.def"
#undef OPTION
};

/* Where each option's value lies in struct options. */
static const size_t field_offset[N_OPTION] = {
#define OPTION(GROUP, field, name, letter, TYPE, argument, initial, low, high, commands, help) \
	[OPT_##field] = offsetof(struct options, field),
#include "tui/options.def"
#undef OPTION
};

/* ---- values ---- */

static bool read_whole(const char *text, size_t n, int64_t *out)
{
	char copy[24], *end;
	if (n == 0 || n >= sizeof copy)
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	if (copy[0] != '-' && (copy[0] < '0' || copy[0] > '9')) /* strtoll would skip blanks and take a plus */
		return false;
	errno = 0;
	*out = strtoll(copy, &end, 10);
	return errno == 0 && *end == '\0' && end != copy;
}

static int check_range(const struct option_info *info, double value, struct err *e)
{
	if (value < info->low)
		return err_set(e, ERR_USE, "%.16g: must be %.16g or more", value, info->low);
	if (!(value <= info->high))
		return err_set(e, ERR_USE, "%.16g: must be %.16g or less", value, info->high);
	return 0;
}

static int set_whole(const struct option_info *info, const char *text, size_t n, int64_t *out, struct err *e)
{
	if (read_whole(text, n, out))
		return check_range(info, (double)*out, e);
	int shown = (int)(n < 60 ? n : 60);
	if (n > 0 && strspn(text, "0123456789") >= n) /* of more digits than any limit */
		return err_set(e, ERR_USE, "%.*s: must be %.16g or less", shown, text, info->high);
	return err_set(e, ERR_USE, "%.*s: not a whole number", shown, text);
}

static int set_real(const struct option_info *info, const char *text, double *out, struct err *e)
{
	char *end;
	errno = 0;
	*out = strtod(text, &end);
	if (end == text || *end || !isfinite(*out) || strspn(text, "0123456789.eE+-") != strlen(text))
		return err_set(e, ERR_USE, "%.60s: not a number", text);
	return check_range(info, *out, e);
}

/* Word number `index` of "a|b|c"; false past the end. */
static bool choice_word(const char *choices, int index, const char **word, size_t *n)
{
	for (; index > 0; index--) {
		choices = strchr(choices, '|');
		if (!choices)
			return false;
		choices++;
	}
	*word = choices;
	*n = strcspn(choices, "|");
	return true;
}

void option_choice_word(enum option_id id, int value, char out[24])
{
	const char *word;
	size_t n;
	if (value < 0 || !choice_word(option_table[id].argument, value, &word, &n))
		n = 0;
	snprintf(out, 24, "%.*s", (int)n, n ? word : "");
}

static int set_choice(const struct option_info *info, const char *text, int *out, struct err *e)
{
	const char *word;
	size_t n;
	for (*out = 0; choice_word(info->argument, *out, &word, &n); ++*out)
		if (strlen(text) == n && !memcmp(text, word, n))
			return 0;
	return err_set(e, ERR_USE, "%.60s: not one of %s", text, info->argument);
}

static int set_device(const struct option_info *info, const char *text, struct option_device *out, struct err *e)
{
	static const struct {
		const char *word;
		enum device_choice choice;
	} known[] = {{"auto", DEVICE_AUTO}, {"cpu", DEVICE_CPU}, {"cuda", DEVICE_CUDA}};
	*out = (struct option_device){DEVICE_AUTO, 0};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (!strcmp(text, known[i].word)) {
			out->choice = known[i].choice;
			return 0;
		}
	}
	int64_t index;
	if (!strncmp(text, "cuda:", 5) && read_whole(text + 5, strlen(text + 5), &index) && index >= 0 && index < 1024) {
		*out = (struct option_device){DEVICE_CUDA, (int)index};
		return 0;
	}
	return err_set(e, ERR_USE, "%.60s: not one of %s or cuda:N", text, info->argument);
}

static int set_pair(const struct option_info *info, const char *text, struct option_pair *out, struct err *e)
{
	int64_t first, second;
	size_t n = strcspn(text, ":x");
	if (!text[n] || !read_whole(text, n, &first) || !read_whole(text + n + 1, strlen(text + n + 1), &second))
		return err_set(e, ERR_USE, "%.60s: not of the form %s", text, info->argument);
	if (check_range(info, (double)first, e) || check_range(info, (double)second, e))
		return ERR_USE;
	*out = (struct option_pair){(int)first, (int)second};
	return 0;
}

static int n_items(const char *text)
{
	int n = 1;
	for (; *text; text++)
		n += *text == ',';
	return n;
}

static int set_texts(const char *text, struct option_texts *out, struct err *e)
{
	const char *whole = text;
	int n = n_items(text);
	out->item = calloc((size_t)n, sizeof *out->item);
	if (!out->item)
		return err_set(e, ERR_MEMORY, "no memory for a list of %d", n);
	for (out->n = 0; out->n < n; out->n++) {
		size_t length = strcspn(text, ",");
		if (length == 0)
			return err_set(e, ERR_USE, "%.60s: item %d of the list is empty", whole, out->n + 1);
		out->item[out->n] = strndup(text, length);
		if (!out->item[out->n])
			return err_set(e, ERR_MEMORY, "no memory for a list of %d", n);
		text += length + 1;
	}
	return 0;
}

static void free_texts(struct option_texts *texts)
{
	for (int i = 0; i < texts->n; i++)
		free(texts->item[i]);
	free(texts->item);
}

static int set_wholes(const struct option_info *info, const char *text, struct option_wholes *out, struct err *e)
{
	struct option_texts items = {0};
	int rc = set_texts(text, &items, e);
	out->item = rc ? NULL : calloc((size_t)items.n, sizeof *out->item);
	if (!rc && !out->item)
		rc = err_set(e, ERR_MEMORY, "no memory for a list of %d", items.n);
	for (out->n = 0; out->n < items.n && !rc; out->n++) {
		int64_t value = 0;
		rc = set_whole(info, items.item[out->n], strlen(items.item[out->n]), &value, e);
		out->item[out->n] = (int)value;
	}
	free_texts(&items);
	return rc;
}

/* The error begins with the value; the caller knows the option's name. Lists that were begun are freed by options_free(). */
static int set_value(struct options *o, enum option_id id, const char *text, struct err *e)
{
	const struct option_info *info = &option_table[id];
	void *field = (char *)o + field_offset[id];
	switch (info->type) {
	case OPTION_FLAG:
		*(option_flag *)field = true;
		return 0;
	case OPTION_TEXT:
		*(option_text *)field = text;
		return 0;
	case OPTION_WHOLE:
		return set_whole(info, text, strlen(text), field, e);
	case OPTION_REAL:
		return set_real(info, text, field, e);
	case OPTION_CHOICE:
		return set_choice(info, text, field, e);
	case OPTION_TEXTS:
		return set_texts(text, field, e);
	case OPTION_WHOLES:
		return set_wholes(info, text, field, e);
	case OPTION_PAIR:
		return set_pair(info, text, field, e);
	case OPTION_DEVICE:
		return set_device(info, text, field, e);
	}
	return 0;
}

static void set_absent(struct options *o, enum option_id id)
{
	void *field = (char *)o + field_offset[id];
	switch (option_table[id].type) {
	case OPTION_WHOLE:
		*(option_whole *)field = -1;
		break;
	case OPTION_REAL:
		*(option_real *)field = -1;
		break;
	case OPTION_CHOICE:
		*(option_choice *)field = -1;
		break;
	case OPTION_PAIR:
		*(struct option_pair *)field = (struct option_pair){-1, -1};
		break;
	default: /* cleared memory is false, NULL, an empty list, DEVICE_AUTO */
		break;
	}
}

static void free_list(struct options *o, enum option_id id)
{
	void *field = (char *)o + field_offset[id];
	if (option_table[id].type == OPTION_TEXTS) {
		struct option_texts *texts = field;
		free_texts(texts);
		*texts = (struct option_texts){NULL, 0};
	} else if (option_table[id].type == OPTION_WHOLES) {
		struct option_wholes *wholes = field;
		free(wholes->item);
		*wholes = (struct option_wholes){NULL, 0};
	}
}

/* "abc: not a whole number" becomes "--budget abc: not a whole number". */
static int name_option(struct err *e, const char *shown)
{
	struct err value = *e;
	return err_set(e, value.code, "%s %s", shown, value.text);
}

static int set_defaults(struct options *o, struct err *e)
{
	for (int id = 0; id < N_OPTION; id++) {
		set_absent(o, id);
		if (option_table[id].initial && set_value(o, id, option_table[id].initial, e))
			return name_option(e, option_table[id].name);
	}
	return 0;
}

void options_free(struct options *o)
{
	for (int id = 0; id < N_OPTION; id++)
		free_list(o, id);
	free(o->argument);
	o->argument = NULL;
	o->n_argument = 0;
}

/* ---- one by one ---- */

enum option_id option_kept(const char *name, size_t n_bytes)
{
	for (int id = 0; id < N_OPTION; id++)
		if ((option_table[id].commands & KEPT) && strlen(option_table[id].name) == n_bytes &&
			!memcmp(option_table[id].name, name, n_bytes))
			return (enum option_id)id;
	return N_OPTION;
}

static size_t value_bytes(enum option_type type)
{
	switch (type) {
	case OPTION_FLAG: return sizeof(option_flag);
	case OPTION_TEXT: return sizeof(option_text);
	case OPTION_WHOLE: return sizeof(option_whole);
	case OPTION_REAL: return sizeof(option_real);
	case OPTION_CHOICE: return sizeof(option_choice);
	case OPTION_PAIR: return sizeof(struct option_pair);
	case OPTION_DEVICE: return sizeof(struct option_device);
	default: return 0; /* lists are owned */
	}
}

int options_set(struct options *o, enum option_id id, const char *value, struct err *e)
{
	union {
		option_whole whole;
		option_real real;
		option_text text;
		struct option_pair pair;
		struct option_device device;
	} before;
	const char *wanted = value ? value : option_table[id].initial;
	void *field = (char *)o + field_offset[id];
	size_t n = value_bytes(option_table[id].type);
	if (n == 0)
		return err_set(e, ERR_USE, "%s is a list, which cannot be changed here", option_table[id].name);
	memcpy(&before, field, n);
	memset(field, 0, n);
	set_absent(o, id);
	int rc = wanted ? set_value(o, id, wanted, e) : 0;
	if (rc)
		memcpy(field, &before, n);
	else
		o->given[id] = value != NULL;
	return rc;
}

void options_say(const struct options *o, enum option_id id, char *out, size_t size)
{
	static const char *const device[] = {[DEVICE_AUTO] = "auto", [DEVICE_CPU] = "cpu", [DEVICE_CUDA] = "cuda"};
	const void *field = (const char *)o + field_offset[id];
	char word[24];
	*out = '\0';
	switch (option_table[id].type) {
	case OPTION_TEXT:
		snprintf(out, size, "%s", *(const option_text *)field ? *(const option_text *)field : "");
		break;
	case OPTION_WHOLE:
		if (*(const option_whole *)field >= 0)
			snprintf(out, size, "%lld", (long long)*(const option_whole *)field);
		break;
	case OPTION_REAL:
		if (*(const option_real *)field >= 0)
			snprintf(out, size, "%.9g", *(const option_real *)field);
		break;
	case OPTION_CHOICE:
		option_choice_word(id, *(const option_choice *)field, word);
		snprintf(out, size, "%s", word);
		break;
	case OPTION_DEVICE:
		snprintf(out, size, ((const struct option_device *)field)->index ? "%s:%d" : "%s",
			device[((const struct option_device *)field)->choice], ((const struct option_device *)field)->index);
		break;
	default:
		break;
	}
}

/* ---- words ---- */

struct reader {
	struct options *o;
	int argc;
	char **argv;
	int at; /* next word */
	bool over; /* -- was seen, or --help / --version settled everything */
};

static bool applies(enum option_id id, enum command_id command)
{
	return option_table[id].commands & (1u << command);
}

static int find_long(const char *name, size_t n, enum command_id command)
{
	for (int id = 0; id < N_OPTION; id++)
		if (applies(id, command) && strlen(option_table[id].name) == n && !memcmp(option_table[id].name, name, n))
			return id;
	return -1;
}

static int find_letter(char letter, enum command_id command)
{
	for (int id = 0; id < N_OPTION; id++)
		if (applies(id, command) && option_table[id].letter == letter)
			return id;
	return -1;
}

/* Which other commands know this option? Writes "run, compare". */
static bool known_elsewhere(const char *name, size_t n, char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	for (int command = 0; command < N_COMMAND; command++)
		if (find_long(name, n, command) >= 0 && used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", command_table[command].name);
	return used > 0;
}

static int unknown_long(const char *name, size_t n, enum command_id command, struct err *e)
{
	char elsewhere[80], hint[80];
	struct nearest near = nearest_begin(name, n);
	int shown = n < 60 ? (int)n : 60;
	if (known_elsewhere(name, n, elsewhere, sizeof elsewhere))
		return err_set(e, ERR_USE, "--%.*s belongs to %s, not to %s", shown, name, elsewhere, command_table[command].name);
	for (int id = 0; id < N_OPTION; id++)
		if (applies(id, command))
			nearest_offer(&near, option_table[id].name);
	nearest_hint(&near, "--", hint, sizeof hint);
	return err_set(e, ERR_USE, "--%.*s: unknown option%s", shown, name, hint);
}

/* `shown` is the option as typed, for messages. */
static int take(struct reader *r, enum option_id id, const char *shown, const char *value, struct err *e)
{
	if (r->o->given[id] && option_table[id].type != OPTION_FLAG)
		return err_set(e, ERR_USE, "%s given twice", shown);
	r->o->given[id] = true;
	free_list(r->o, id);
	if (set_value(r->o, id, value, e))
		return name_option(e, shown);
	if (id == OPT_help || id == OPT_version)
		r->at = r->argc;
	return 0;
}

/* The next word as the value of an option. A word that is itself an option of this command was hardly meant as one; = says otherwise. */
static int next_value(struct reader *r, enum option_id id, const char *shown, const char **value, struct err *e)
{
	const char *argument = option_table[id].argument;
	if (r->at >= r->argc)
		return err_set(e, ERR_USE, "%s needs a value: %s", shown, argument);
	const char *word = r->argv[r->at];
	if (!strncmp(word, "--", 2) && (!word[2] || find_long(word + 2, strcspn(word + 2, "="), r->o->command) >= 0))
		return err_set(e, ERR_USE, "%s needs a value: %s, and %.60s is an option (--%s=%.60s if it was meant)", shown, argument,
			word, option_table[id].name, word);
	*value = word;
	r->at++;
	return 0;
}

static int take_long(struct reader *r, const char *word, struct err *e)
{
	const char *name = word + 2, *value = NULL;
	size_t n = strcspn(name, "=");
	int id = find_long(name, n, r->o->command);
	if (id < 0)
		return unknown_long(name, n, r->o->command, e);
	char shown[40];
	snprintf(shown, sizeof shown, "--%s", option_table[id].name);
	if (option_table[id].type == OPTION_FLAG) {
		if (name[n])
			return err_set(e, ERR_USE, "%s takes no value", shown);
	} else if (name[n]) {
		value = name + n + 1;
	} else if (next_value(r, id, shown, &value, e)) {
		return ERR_USE;
	}
	return take(r, id, shown, value, e);
}

static int take_letters(struct reader *r, const char *word, struct err *e)
{
	for (const char *c = word + 1; *c; c++) {
		char shown[3] = {'-', *c, '\0'};
		int id = find_letter(*c, r->o->command);
		if (id < 0)
			return err_set(e, ERR_USE, "%.60s: unknown option", word[2] ? word : shown);
		const char *value = NULL;
		bool last = option_table[id].type != OPTION_FLAG;
		if (last && c[1])
			value = c + 1;
		else if (last && next_value(r, id, shown, &value, e))
			return ERR_USE;
		int rc = take(r, id, shown, value, e);
		if (rc || last)
			return rc;
	}
	return 0;
}

static int take_word(struct reader *r, struct err *e)
{
	const char *word = r->argv[r->at++];
	if (r->over || word[0] != '-' || !word[1]) {
		r->o->argument[r->o->n_argument++] = word;
		return 0;
	}
	if (!strcmp(word, "--")) {
		r->over = true;
		return 0;
	}
	return word[1] == '-' ? take_long(r, word, e) : take_letters(r, word, e);
}

static int check_count(const struct options *o, struct err *e)
{
	const struct command_info *c = &command_table[o->command];
	if (o->n_argument < c->fewest)
		return err_set(e, ERR_USE, "%s is missing: kvglass %s %s", c->fewest > 1 ? "a file" : "the file", c->name, c->arguments);
	if (c->most >= 0 && o->n_argument > c->most)
		return err_set(e, ERR_USE, "%.100s: unexpected word; usage: kvglass %s %s", o->argument[c->most], c->name, c->arguments);
	return 0;
}

int options_parse(struct options *out, enum command_id command, int argc, char **argv, int first, struct err *e)
{
	*out = (struct options){.command = command};
	struct reader r = {.o = out, .argc = argc, .argv = argv, .at = first};
	out->argument = calloc((size_t)(argc > 0 ? argc : 1), sizeof *out->argument);
	if (!out->argument)
		return err_set(e, ERR_MEMORY, "no memory for %d words", argc);
	int rc = set_defaults(out, e);
	while (!rc && r.at < argc)
		rc = take_word(&r, e);
	if (!rc && !out->help && !out->version)
		rc = check_count(out, e);
	if (rc)
		options_free(out);
	return rc;
}
