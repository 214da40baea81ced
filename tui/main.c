#include <stdio.h>

int main(void)
{
	puts("kvglass " KVGLASS_VERSION);
	return 0;
}
