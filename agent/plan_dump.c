/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <inttypes.h>

#include "buf.h"

static const char *const reg_names[GPR_COUNT] = {
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};
static const char *const binary_names[] = {
	[BIN_ADD] = "+", [BIN_SUB] = "-", [BIN_MUL] = "*", [BIN_DIV_U] = "/u", [BIN_DIV_S] = "/", [BIN_MOD_U] = "%u",
	[BIN_MOD_S] = "%", [BIN_AND] = "&", [BIN_OR] = "|", [BIN_XOR] = "^", [BIN_SHL] = "<<", [BIN_SHR_U] = ">>u",
	[BIN_SHR_S] = ">>", [BIN_EQ] = "==", [BIN_NE] = "!=", [BIN_LT_U] = "<u", [BIN_LT_S] = "<", [BIN_LE_U] = "<=u",
	[BIN_LE_S] = "<=", [BIN_LAND] = "&&", [BIN_LOR] = "||",
};
static const char *const unary_names[] = { [UN_NEG] = "-", [UN_NOT] = "~", [UN_LNOT] = "!" };
static const char *const special_names[] = {
	[SPECIAL_RET] = "ret", [SPECIAL_DURATION] = "duration", [SPECIAL_PID] = "pid", [SPECIAL_TID] = "tid",
	[SPECIAL_CPU] = "cpu", [SPECIAL_TS] = "ts", [SPECIAL_FUNCTION] = "function",
};

static void dump_integer(const struct plan_op *op, struct buf *out)
{
	buf_printf(out, ", %s%u", op->sign ? "s" : "u", op->size * 8);
}

static void dump_op(const struct plan_op *op, struct buf *out)
{
	switch (op->code) {
	case OP_REG:
		buf_printf(out, "r%u = %s", op->dst, reg_names[op->b & 15]);
		dump_integer(op, out);
		break;
	case OP_IMM:
		buf_printf(out, "r%u = %" PRId64, op->dst, (int64_t)op->imm);
		break;
	case OP_LOAD:
		buf_printf(out, "r%u = [r%u%+" PRId64 "]", op->dst, op->a, (int64_t)op->imm);
		dump_integer(op, out);
		break;
	case OP_DATA:
		buf_printf(out, "r%u = data+%u", op->dst, op->off);
		dump_integer(op, out);
		break;
	case OP_SPECIAL:
		buf_printf(out, "r%u = $%s", op->dst, special_names[op->b]);
		dump_integer(op, out);
		break;
	case OP_BITS:
		buf_printf(out, "r%u = r%u bits %u..%u, %s", op->dst, op->a, op->b, op->b + op->size - 1,
			   op->sign ? "signed" : "unsigned");
		break;
	case OP_BINARY:
		buf_printf(out, "r%u = r%u %s r%u", op->dst, op->a, binary_names[op->sub], op->b);
		break;
	case OP_UNARY:
		buf_printf(out, "r%u = %sr%u", op->dst, unary_names[op->sub], op->a);
		break;
	case OP_STREQ:
		buf_printf(out, "r%u = text at data+%u equals literal %u", op->dst, op->off, op->b);
		break;
	case OP_STORE:
		buf_printf(out, "data+%u = r%u", op->off, op->a);
		break;
	case OP_READ:
		buf_printf(out, "data+%u = %u bytes at [r%u%+" PRId64 "]", op->off, op->size, op->a, (int64_t)op->imm);
		break;
	case OP_STRING:
		buf_printf(out, "data+%u = text at [r%u%+" PRId64 "], at most %u bytes", op->off, op->a,
			   (int64_t)op->imm, op->size - 1);
		break;
	case OP_REQUIRE:
		buf_printf(out, "stop unless r%u", op->a);
		break;
	case OP_ERROR:
		buf_printf(out, "error if r%u", op->a);
		break;
	}
	if (op->bit != 0xff)
		buf_printf(out, "   (read bit %u)", op->bit);
}

static void dump_list(const char *title, const struct plan_op *ops, uint32_t n, struct buf *out)
{
	for (uint32_t i = 0; i < n; i++) {
		buf_printf(out, "  %s %2u: ", title, i);
		dump_op(&ops[i], out);
		buf_char(out, '\n');
	}
}

void plan_dump(const struct plan *plan, struct buf *out)
{
	dump_list("entry ", plan->entry, plan->n_entry, out);
	dump_list("return", plan->ret, plan->n_return, out);
	buf_printf(out, "  event: %u bytes, %u of them captured\n", plan->event_bytes, plan->data_bytes);
}
