/* SPDX-License-Identifier: Apache-2.0 */
/* many0 to many9999: functions that nobody calls, to put breakpoints on. */
	.text
	.altmacro
	.macro one n
	.globl many\n
	.type many\n, @function
many\n:
	push %rbx
	pop %rbx
	ret
	.size many\n, . - many\n
	.p2align 4
	.endm
	.macro ten n
	one %(\n * 10 + 0)
	one %(\n * 10 + 1)
	one %(\n * 10 + 2)
	one %(\n * 10 + 3)
	one %(\n * 10 + 4)
	one %(\n * 10 + 5)
	one %(\n * 10 + 6)
	one %(\n * 10 + 7)
	one %(\n * 10 + 8)
	one %(\n * 10 + 9)
	.endm
	.set i, 0
	.rept 1000
	ten %i
	.set i, i + 1
	.endr
	.section .note.GNU-stack, "", @progbits
