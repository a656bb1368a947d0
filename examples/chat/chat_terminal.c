/* The conversation: lines in, answers out, commands that begin with '/', Ctrl-C that stops the
 * answer and not the program. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_program.h"
#include "common/cli.h"
#include "common/input.h"
#include "common/system.h"

#ifdef LLMIR_CHAT_LIBEDIT
#include <editline/readline.h>
#endif

static const char help_text[] =
    "  /help    this list\n"
    "  /reset   forget the conversation\n"
    "  /stats   times and speeds so far\n"
    "  /quit    leave (or Ctrl-D)\n"
    "  Ctrl-C   stop the answer\n";

/* What the signal handler reaches; set only while a conversation runs. */
static llmir_session_t* volatile interrupted_session;
static volatile sig_atomic_t interrupt_seen;

static void on_interrupt(void) {
    interrupt_seen = 1;
    if (interrupted_session != NULL) {
        llmir_session_cancel(interrupted_session);
    }
}

void chat_catch_interrupt(chat_t* chat) {
    interrupted_session = chat != NULL ? chat->session : NULL;
    system_on_interrupt(chat != NULL ? on_interrupt : NULL);
}

/* Reads one line without its newline into heap memory; NULL at the end of input. */
static char* read_plain_line(int with_prompt) {
    char* line;
    interrupt_seen = 0;
    if (with_prompt) {
        fputs("> ", stdout);
        fflush(stdout);
    }
    while ((line = input_read_line(stdin)) == NULL && interrupt_seen) {
        interrupt_seen = 0;
        clearerr(stdin); /* Ctrl-C at the prompt: a fresh line */
        fputs("\n> ", stdout);
        fflush(stdout);
    }
    return line;
}

#ifdef LLMIR_CHAT_LIBEDIT
/* The same with line editing, which gives a line up when Ctrl-C interrupts it. */
static char* read_edited_line(void) {
    char* line = NULL;
    do {
        if (interrupt_seen) {
            fputc('\n', stdout);
        }
        interrupt_seen = 0;
        line = readline("> ");
    } while (line == NULL && interrupt_seen);
    interrupt_seen = 0;
    if (line != NULL && line[0] != '\0') {
        add_history(line);
    }
    return line;
}
#endif

static char* read_line(int is_terminal) {
#ifdef LLMIR_CHAT_LIBEDIT
    if (is_terminal) {
        return read_edited_line();
    }
#endif
    return read_plain_line(is_terminal);
}

/* Returns 1 to go on, 0 to leave. */
static int run_command(chat_t* chat, const char* line) {
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0) {
        return 0;
    }
    if (strcmp(line, "/reset") == 0) {
        chat_reset(chat);
        fputs("The conversation is forgotten.\n", stderr);
    } else if (strcmp(line, "/stats") == 0) {
        chat_print_statistics(chat, &chat->total);
    } else {
        if (strcmp(line, "/help") != 0) {
            fprintf(stderr, "%s: unknown command '%s'\n", chat_program_name, line);
        }
        fputs(help_text, stderr);
    }
    return 1;
}

int chat_converse(chat_t* chat) {
    const int is_terminal = system_is_terminal();
    char* line = NULL;
    int result = 0;
    if (is_terminal) {
        fprintf(stderr, "%s on %s. /help lists the commands.\n", chat->opened.info.name,
                chat->opened.info.device);
    }
    while (result == 0 && (line = read_line(is_terminal)) != NULL) {
        if (line[0] == '/') {
            const int go_on = run_command(chat, line);
            free(line);
            if (!go_on) {
                break;
            }
            continue;
        }
        if (line[strspn(line, " \t")] != '\0') {
            result = chat_turn(chat, line);
            fputs(chat->interrupted ? " [stopped]\n" : "\n", stdout);
            fflush(stdout);
            if (chat->options->stats) {
                chat_print_statistics(chat, &chat->last);
            }
            if (is_terminal) {
                result = 0; /* an error has been told; the conversation goes on */
            }
        }
        free(line);
    }
    if (is_terminal && line == NULL) {
        fputc('\n', stdout);
    }
    return result;
}
