/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_AGENT_COMMAND_H
#define PLUMB_AGENT_COMMAND_H

/* plumb-collector agent unbind AGENT, with --data DIR; argv[0] is "agent". The exit code: prints for people. */
int agent_command(int argc, char **argv);

#endif
