/* config.h - the settings of this process, read from the environment once at start. */
#ifndef CONFIG_H
#define CONFIG_H

#include "base.h"
#include "settings.h"

struct config_rate {
    uint32_t count;
    uint32_t seconds;
};

struct config {
#define CONFIG_TEXT(field, name, otherwise, help)             const char *field;
#define CONFIG_NUMBER(field, name, otherwise, min, max, help) int64_t field;
#define CONFIG_RATE(field, name, count_, seconds_, help)      struct config_rate field;
    SETTINGS(CONFIG_TEXT, CONFIG_NUMBER, CONFIG_RATE)
#undef CONFIG_TEXT
#undef CONFIG_NUMBER
#undef CONFIG_RATE
};

/* The process's settings; valid after config_load, then read-only. home is made absolute. */
extern struct config config;

/* -1 after printing every problem (unknown SX_ variable, bad number) to standard error. */
int config_load(void) must_check;

void config_print_help(void);     /* name, default, meaning: one line each */
void config_print_markdown(void); /* the README's table */

/* "$SX_HOME/run/x" and the like; the text is the caller's to free. */
char *config_path(const char *relative);

#endif
