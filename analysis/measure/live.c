/* What a finished measurement leaves behind. */
#include "analysis/measure/live.h"

#include <stdlib.h>

int live_make(struct live **out, struct session *session, const struct model *model, const struct capture *capture, int max_tokens, struct err *e)
{
	struct live *l = malloc(sizeof *l);
	if (!l)
		return err_set(e, ERR_MEMORY, "keeping the session: out of memory");
	*l = (struct live){.session = session, .model = model, .capture = capture_ref(capture), .max_tokens = max_tokens};
	*out = l;
	return 0;
}

void live_close(struct live *l)
{
	if (!l)
		return;
	session_close(l->session);
	capture_unref(l->capture);
	free(l);
}

const struct model *live_model(const struct live *l)
{
	return l->model;
}

const struct capture *live_capture(const struct live *l)
{
	return l->capture;
}

struct session *live_session(struct live *l)
{
	session_truncate(l->session, l->capture->n_prompt); /* never longer than the cache: the prompt was run whole */
	return l->session;
}

int live_room(const struct live *l)
{
	return l->max_tokens - l->capture->n_prompt;
}
