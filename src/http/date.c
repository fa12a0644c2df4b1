#include "http/message.h"

static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

#define SECONDS_A_DAY 86400
#define YEAR_MAX      9999

struct civil {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
    int hour;
    int minute;
    int second;
};

/* Days since 1970-01-01 of the proleptic Gregorian calendar. Years are counted from March, so
 * that the leap day is the last of its year; 400 of them have 146097 days. */
static int64_t days_from_civil(const struct civil *c)
{
    int64_t year = c->month > 2 ? c->year : c->year - 1;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (c->month > 2 ? c->month - 3 : c->month + 9) + 2) / 5 + c->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, struct civil *c)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    c->day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    c->month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    c->year = year_of_era + era * 400 + (c->month <= 2 ? 1 : 0);
}

static void write_number(char *out, int digits, int64_t value)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

void http_date_write(char out[HTTP_DATE_SIZE], int64_t unix_seconds)
{
    int64_t days = unix_seconds / SECONDS_A_DAY;
    int64_t second = unix_seconds % SECONDS_A_DAY;
    if (second < 0) {
        second += SECONDS_A_DAY;
        days--;
    }
    struct civil c;
    civil_from_days(days, &c);
    int weekday = (int)((days % 7 + 11) % 7); /* 1970-01-01 was a Thursday */

    memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", HTTP_DATE_SIZE);
    memcpy(out, day_names[weekday], 3);
    write_number(out + 5, 2, c.day);
    memcpy(out + 8, month_names + (c.month - 1) * 3, 3);
    write_number(out + 12, 4, c.year < 0 ? 0 : c.year > YEAR_MAX ? YEAR_MAX : c.year);
    write_number(out + 17, 2, second / 3600);
    write_number(out + 20, 2, second / 60 % 60);
    write_number(out + 23, 2, second % 60);
}

/* ---- reading ---- */

/* Each step takes its part off the front of the text; the first that fails decides. */

static bool take_text(struct span *s, const char *text)
{
    struct span wanted = span_from(text);
    if (!span_starts_with(*s, wanted))
        return false;
    *s = span_after(*s, wanted.size);
    return true;
}

static bool take_number(struct span *s, size_t digits, int *value)
{
    if (s->size < digits)
        return false;
    *value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (s->data[i] < '0' || s->data[i] > '9')
            return false;
        *value = *value * 10 + s->data[i] - '0';
    }
    *s = span_after(*s, digits);
    return true;
}

static bool take_day_name(struct span *s, bool whole)
{
    for (int i = 0; i < 7; i++) {
        struct span name = span_from(day_names[i]);
        if (!whole)
            name.size = 3;
        if (span_starts_with(*s, name)) {
            *s = span_after(*s, name.size);
            return true;
        }
    }
    return false;
}

static bool take_month(struct span *s, int *month)
{
    for (int i = 0; i < 12; i++) {
        if (span_starts_with(*s, span_of(month_names + (size_t)i * 3, 3))) {
            *s = span_after(*s, 3);
            *month = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_time(struct span *s, struct civil *c)
{
    return take_number(s, 2, &c->hour) && take_text(s, ":") && take_number(s, 2, &c->minute) &&
           take_text(s, ":") && take_number(s, 2, &c->second);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool read_fixed(struct span s, struct civil *c)
{
    int year = 0;
    bool good = take_day_name(&s, false) && take_text(&s, ", ") && take_number(&s, 2, &c->day) &&
                take_text(&s, " ") && take_month(&s, &c->month) && take_text(&s, " ") &&
                take_number(&s, 4, &year) && take_text(&s, " ") && take_time(&s, c) &&
                take_text(&s, " GMT") && s.size == 0;
    c->year = year;
    return good;
}

/* Sunday, 06-Nov-94 08:49:37 GMT. Two digits of a year mean 1970 to 2069. */
static bool read_rfc850(struct span s, struct civil *c)
{
    int year = 0;
    bool good = take_day_name(&s, true) && take_text(&s, ", ") && take_number(&s, 2, &c->day) &&
                take_text(&s, "-") && take_month(&s, &c->month) && take_text(&s, "-") &&
                take_number(&s, 2, &year) && take_text(&s, " ") && take_time(&s, c) &&
                take_text(&s, " GMT") && s.size == 0;
    c->year = year + (year < 70 ? 2000 : 1900);
    return good;
}

/* Sun Nov  6 08:49:37 1994 */
static bool read_asctime(struct span s, struct civil *c)
{
    int year = 0;
    bool good = take_day_name(&s, false) && take_text(&s, " ") && take_month(&s, &c->month) &&
                take_text(&s, " ") &&
                (take_text(&s, " ") ? take_number(&s, 1, &c->day) : take_number(&s, 2, &c->day)) &&
                take_text(&s, " ") && take_time(&s, c) && take_text(&s, " ") &&
                take_number(&s, 4, &year) && s.size == 0;
    c->year = year;
    return good;
}

/* A second of 60 is a leap second: it reads as the next minute's first. */
static bool is_possible(const struct civil *c)
{
    if (c->day < 1 || c->hour > 23 || c->minute > 59 || c->second > 60)
        return false;
    struct civil same;
    civil_from_days(days_from_civil(c), &same);
    return same.day == c->day && same.month == c->month; /* false for February 30 */
}

bool http_date_read(struct span text, int64_t *unix_seconds)
{
    struct civil c = {0};
    if (!read_fixed(text, &c) && !read_rfc850(text, &c) && !read_asctime(text, &c))
        return false;
    if (!is_possible(&c))
        return false;
    *unix_seconds = days_from_civil(&c) * SECONDS_A_DAY + c.hour * 3600 + c.minute * 60 + c.second;
    return true;
}
