/* kvglass: the program. Everything it does is behind command_main(). */
#include "tui/command/command.h"

int main(int argc, char **argv)
{
	return command_main(argc, argv);
}
