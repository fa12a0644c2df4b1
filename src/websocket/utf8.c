#include "websocket/utf8.h"

/* Most text is ASCII: eight bytes at a time while it is. */
static size_t ascii_run(struct span s)
{
    size_t at = 0;
    while (s.size - at >= 8) {
        uint64_t word;
        memcpy(&word, s.data + at, sizeof(word));
        if (word & 0x8080808080808080u)
            break;
        at += 8;
    }
    while (at < s.size && s.data[at] < 0x80)
        at++;
    return at;
}

/* The table of well-formed byte sequences, Unicode 3-7: only the second byte has ranges of its
 * own. */
static bool lead_take(struct websocket_utf8 *u, uint8_t c)
{
    u->lowest = 0x80;
    u->highest = 0xbf;
    if (c < 0xc2 || c > 0xf4)
        return false;
    if (c < 0xe0) {
        u->missing = 1;
    } else if (c < 0xf0) {
        u->missing = 2;
        if (c == 0xe0)
            u->lowest = 0xa0;
        if (c == 0xed)
            u->highest = 0x9f;
    } else {
        u->missing = 3;
        if (c == 0xf0)
            u->lowest = 0x90;
        if (c == 0xf4)
            u->highest = 0x8f;
    }
    return true;
}

bool websocket_utf8_feed(struct websocket_utf8 *u, struct span piece)
{
    while (piece.size) {
        if (u->missing == 0) {
            piece = span_after(piece, ascii_run(piece));
            if (piece.size == 0)
                break;
            if (!lead_take(u, piece.data[0]))
                return false;
        } else {
            if (piece.data[0] < u->lowest || piece.data[0] > u->highest)
                return false;
            u->lowest = 0x80;
            u->highest = 0xbf;
            u->missing--;
        }
        piece = span_after(piece, 1);
    }
    return true;
}

bool websocket_utf8_is_valid(struct span text)
{
    struct websocket_utf8 u = WEBSOCKET_UTF8_START;
    return websocket_utf8_feed(&u, text) && websocket_utf8_is_complete(&u);
}
