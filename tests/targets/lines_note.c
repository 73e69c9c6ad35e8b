/* SPDX-License-Identifier: Apache-2.0 */
/* In a file of its own, so that no compiler knows what it does. */
#include "lines.h"

int note(int line, int value)
{
	ran[line]++;
	return value;
}
