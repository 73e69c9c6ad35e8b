/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_TOKEN_COMMAND_H
#define PLUMB_TOKEN_COMMAND_H

/* plumb-collector token add NAME ROLE | rm NAME | list, each with --data DIR; argv[0] is "token". The exit code: prints for people. */
int token_command(int argc, char **argv);

#endif
