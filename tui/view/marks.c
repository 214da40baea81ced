#include "tui/view/marks.h"

bool marks_marked(const struct look *l, int token)
{
	struct span now = look_marking(l);
	return (l->marking && token >= now.begin && token < now.end) || spans_find(&l->marked, token) >= 0;
}

struct style marks_style(const struct app *app, int token, struct style s)
{
	const struct look *l = &app->look;
	bool found = spans_find(&l->search.match, token) >= 0;
	if (!found && !marks_marked(l, token))
		return s;
	struct style mark = theme_style(&app->theme, found ? ROLE_FOUND : ROLE_SPAN);
	mark.attr |= s.attr & ~(uint32_t)ATTR_DIM; /* kept tokens stay bold and underlined */
	return mark;
}
