/* SPDX-License-Identifier: MIT */
#include "client/terminal.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME  "\033[H"
#define REST  "\033[J"

enum { COLUMNS = 80, ROWS = 24 }; /* where the terminal does not say */

static struct termios before;
static bool open_now;

static void say(const char *text, size_t size)
{
    ssize_t sent;
    while (size > 0 && ((sent = write(STDOUT_FILENO, text, size)) > 0 || errno == EINTR)) {
        text += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
}

bool terminal_open(void)
{
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    struct termios keys = before;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    open_now = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
    if (open_now)
        say(ENTER, strlen(ENTER));
    return open_now;
}

void terminal_close(void)
{
    if (!open_now)
        return;
    open_now = false;
    say(LEAVE, strlen(LEAVE));
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

void terminal_size(int *columns, int *rows)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *columns = known ? size.ws_col : COLUMNS;
    *rows = known ? size.ws_row : ROWS;
}

void terminal_draw(const char *text, size_t size)
{
    say(HOME, strlen(HOME));
    say(text, size);
    say(REST, strlen(REST));
}
