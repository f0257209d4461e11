/* default_name.h - the name of an instance without --name. */
#ifndef SSHIM_BROKER_CLI_DEFAULT_NAME_H
#define SSHIM_BROKER_CLI_DEFAULT_NAME_H

#include <stddef.h>

/*
 * From a command (NULL: there is none): the base name of the program, or of the script or module
 * that an interpreter runs ("python3 shop.py": shop.py). The same for the same words, whatever the
 * files are.
 */
void default_name(char *const *command, char *name, size_t size);

#endif
