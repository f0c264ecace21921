/* sxctl.h - the commands of sxctl, one function each. A new command is a function here and a line in main.c. */
#ifndef SXCTL_H
#define SXCTL_H

/* argv[0] is the command's own name; the result is the exit status. Settings are loaded before. */
int sxctl_call(int argc, char **argv);
int sxctl_who(int argc, char **argv);
int sxctl_ledger(int argc, char **argv);
int sxctl_keys(int argc, char **argv);
int sxctl_rotate_master_key(int argc, char **argv);
int sxctl_settings(int argc, char **argv);
int sxctl_create_admin(int argc, char **argv);
int sxctl_supervise(int argc, char **argv);
int sxctl_demo(int argc, char **argv);
int sxctl_bench_data(int argc, char **argv);

#endif
