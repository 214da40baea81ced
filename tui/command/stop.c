#include <signal.h>
#include <stddef.h>

#include "tui/command/command.h"

/* The one thing a handler can reach. */
static volatile sig_atomic_t asked;

static void remember(int signal)
{
	(void)signal;
	asked = 1;
}

void stop_on_signals(void)
{
	/* RESETHAND: whoever presses ^C a second time does not want to wait for the end of a step. */
	struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct sigaction before;
		/* a program started with nohup or in the background of a shell script keeps ignoring */
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

bool stop_asked(void)
{
	return asked;
}
