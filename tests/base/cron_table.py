#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Instants of expressions of cron in time zones, by another implementation than jobd's.

cron_table.py SEED COUNT DIRECTORY writes COUNT lines to compare with:

    zone|expression|after|until|how many|the first five|the last

in seconds since 1970, each instant in (after, until]. The clocks are Python's zoneinfo, which reads
the same files in DIRECTORY; each minute of the calendar that an expression names is looked up both
ways (fold=0 and fold=1), and one that no clock ever shows is searched for the end of its gap. An
expression is made together with what it means, not parsed.
"""
import os
import random
import sys
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

# Half an hour of summer time, winter time, midnight, skipped days, Ramadan, dates by night.
FAVOURITES = """Europe/Paris America/New_York Australia/Lord_Howe Europe/Dublin Africa/Casablanca
    America/Sao_Paulo Asia/Beirut Pacific/Apia Asia/Gaza Africa/Cairo America/Nuuk Antarctica/Troll
    Asia/Tehran America/Santiago Pacific/Kwajalein Asia/Kathmandu Pacific/Chatham Asia/Pyongyang
    America/Caracas Europe/Istanbul America/Havana Pacific/Fakaofo Asia/Amman Asia/Jerusalem""".split()
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()
WORDS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
         "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}
MINUTES = 400  # of the calendar looked up for one line, about


class Field:
    """A field's text, its values, and whether it begins with a star."""

    def __init__(self, rng, low, high, names=(), star=0.4):
        items, self.values = [], set()
        for _ in range(1 if rng.random() < 0.7 else rng.randint(2, 4)):
            text, values = self.item(rng, low, high, names, star)
            items.append(text)
            self.values |= set(values)
        self.text = ",".join(items)
        self.star = self.text.startswith("*")

    @staticmethod
    def item(rng, low, high, names, star):
        def word(value):
            name = names[value - low] if names and value - low < len(names) and rng.random() < 0.5 else str(value)
            return rng.choice([name, name.upper(), name.capitalize()])

        step = rng.choice([1, 2, 3, 5, 7, 10, 15])
        step = min(step, high - low)
        if rng.random() < star:
            if rng.random() < 0.6:
                return "*", range(low, high + 1)
            return f"*/{step}", range(low, high + 1, step)
        first = rng.randint(low, high)
        last = rng.randint(first, high)
        if rng.random() < 0.5:
            return word(first), [first]
        if rng.random() < 0.5:
            return f"{word(first)}-{word(last)}", range(first, last + 1)
        end = "Sun" if names is DAYS and first > 0 and last == 7 else word(last)
        return f"{word(first)}-{end}/{step}", range(first, last + 1, step)


class Expression:
    def __init__(self, rng):
        self.minute = Field(rng, 0, 59, star=0.15)
        self.hour = Field(rng, 0, 23)
        self.day = Field(rng, 1, 31, star=0.6)
        self.month = Field(rng, 1, 12, MONTHS, star=0.8)
        self.weekday = Field(rng, 0, 7, DAYS, star=0.6)
        self.text = " ".join(f.text for f in (self.minute, self.hour, self.day, self.month, self.weekday))
        if rng.random() < 0.02:
            self.text = rng.choice(list(WORDS))
            parts = WORDS[self.text].split()
            for field, part, every in zip((self.minute, self.hour, self.day, self.month, self.weekday), parts,
                                          (range(60), range(24), range(1, 32), range(1, 13), range(7))):
                field.star = part == "*"
                field.values = set(every) if field.star else {int(part)}

    def has(self, day):
        of_month = day.day in self.day.values
        of_week = bool({day.isoweekday(), day.isoweekday() % 7} & self.weekday.values)
        both = self.day.star or self.weekday.star
        return day.month in self.month.values and (of_month and of_week if both else of_month or of_week)


def stamp(moment):
    return int(moment.timestamp())


def local(zone, s):
    return datetime.fromtimestamp(s, timezone.utc).astimezone(zone).replace(tzinfo=None, fold=0)


def gap_end(zone, low, high):
    """The clock is turned once in (low, high]."""
    before = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def instants(expression, zone, wall):
    both = sorted(stamp(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    shown = sorted({s for s in both if local(zone, s) == wall})
    if expression.hour.star:
        return shown
    return shown[:1] or [gap_end(zone, *both)]


def window(expression, rng):
    """So many days that there is something to see, and not too much."""
    a_day = len(expression.minute.values) * len(expression.hour.values)
    return max(1, min(800, MINUTES // a_day))


def around_a_change(zone, year, rng):
    """A moment at which the clock is turned in that year, or any."""
    at = stamp(datetime(year, 1, 1, tzinfo=timezone.utc))
    changes = []
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    for day in range(366):
        now = datetime.fromtimestamp(at + day * 86400, zone).utcoffset()
        if now != offset:
            changes.append(at + day * 86400)
        offset = now
    return rng.choice(changes) if changes else at + rng.randrange(366) * 86400


def line(rng, directory, names):
    name = rng.choice(FAVOURITES) if rng.random() < 0.7 else rng.choice(names)
    with open(os.path.join(directory, name), "rb") as data:
        zone = ZoneInfo.from_file(data, key=name)
    expression = Expression(rng)
    year = rng.choice([rng.randint(1971, 2037), rng.randint(2007, 2030), rng.randint(2038, 2500), 2011, 2018])
    days = window(expression, rng)
    after = around_a_change(zone, year, rng) - rng.randrange(days * 86400 + 86400)
    until = after + days * 86400 + 86400
    found = set()
    first = local(zone, after).date() - timedelta(days=2)
    for number in range(days + 6):
        day = first + timedelta(days=number)
        if expression.has(day):
            for hour in expression.hour.values:
                for minute in expression.minute.values:
                    found.update(instants(expression, zone, datetime(day.year, day.month, day.day, hour, minute)))
    found = sorted(s for s in found if after < s <= until)
    print(name, expression.text, after, until, len(found), " ".join(map(str, found[:5])),
          found[-1] if found else "", sep="|")


def names_in(directory):
    names = []
    for folder, _, files in os.walk(directory):
        for file in files:
            name = os.path.relpath(os.path.join(folder, file), directory)
            with open(os.path.join(folder, file), "rb") as data:
                if name[0].isupper() and data.read(4) == b"TZif":
                    names.append(name)
    return sorted(names)


def main():
    rng, directory = random.Random(int(sys.argv[1])), sys.argv[3]
    names = names_in(directory)
    for _ in range(int(sys.argv[2])):
        line(rng, directory, names)


main()
