//! moment's date formats, in English: what `{{date 'FORMAT' tz='ZONE'}}` writes.
//!
//! See moment's manual, "Displaying", "Format". Zones are those of deployctl's own IANA database.

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, Zoned};

use crate::argocd::{UnknownTimeZone, time_zone};

/// Why a date can't be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// There is no such zone. (moment prints a line, and goes on in the machine's own.)
    #[error(transparent)]
    Zone(#[from] UnknownTimeZone),
}

/// The tokens, longer ones before those that they begin with.
const TOKENS: &[&str] = &[
    "Hmmss",
    "hmmss",
    "Hmm",
    "hmm",
    "Mo",
    "MMMM",
    "MMM",
    "MM",
    "M",
    "Do",
    "DDDo",
    "DDDD",
    "DDD",
    "DD",
    "D",
    "dddd",
    "ddd",
    "dd",
    "do",
    "d",
    "wo",
    "ww",
    "w",
    "Wo",
    "WW",
    "W",
    "Qo",
    "Q",
    "NNNNN",
    "NNNN",
    "NNN",
    "NN",
    "N",
    "YYYYYY",
    "YYYYY",
    "YYYY",
    "YY",
    "Y",
    "yyyy",
    "yyy",
    "yy",
    "yo",
    "y",
    "ggggg",
    "gggg",
    "gg",
    "GGGGG",
    "GGGG",
    "GG",
    "e",
    "E",
    "a",
    "A",
    "hh",
    "h",
    "HH",
    "H",
    "kk",
    "k",
    "mm",
    "m",
    "ss",
    "s",
    "SSSSSSSSS",
    "SSSSSSSS",
    "SSSSSSS",
    "SSSSSS",
    "SSSSS",
    "SSSS",
    "SSS",
    "SS",
    "S",
    "x",
    "X",
    "zz",
    "z",
    "ZZ",
    "Z",
];

/// The tokens that stand for a format, and that format.
const LOCAL: &[(&str, &str)] = &[
    ("LTS", "h:mm:ss A"),
    ("LT", "h:mm A"),
    ("LLLL", "dddd, MMMM D, YYYY h:mm A"),
    ("LLL", "MMMM D, YYYY h:mm A"),
    ("LL", "MMMM D, YYYY"),
    ("L", "MM/DD/YYYY"),
    ("llll", "ddd, MMM D, YYYY h:mm A"),
    ("lll", "MMM D, YYYY h:mm A"),
    ("ll", "MMM D, YYYY"),
    ("l", "M/D/YYYY"),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Returns `at` in the zone `zone` as `format` says; as ISO 8601 to the second if that is empty.
///
/// # Errors
///
/// Fails if there is no such zone.
pub fn format(at: Timestamp, zone: &str, format: &str) -> Result<String, MomentError> {
    let at = at.to_zoned(time_zone(zone)?);
    let default =
        if at.offset().is_zero() { "YYYY-MM-DDTHH:mm:ss[Z]" } else { "YYYY-MM-DDTHH:mm:ssZ" };
    let format = if format.is_empty() { default } else { format };
    let mut out = String::new();
    for piece in pieces(&expanded(format)) {
        match piece {
            Piece::Text(text) => out.push_str(&text),
            Piece::Token(token) => write(token, &at, &mut out),
        }
    }
    Ok(out)
}

enum Piece {
    Text(String),
    Token(&'static str),
}

/// Returns `format` with the tokens that stand for formats replaced.
fn expanded(format: &str) -> String {
    let mut out = String::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let (text, after) = match literal(rest) {
            Some((_, length)) => rest.split_at(length),
            None => match LOCAL.iter().find(|(token, _)| rest.starts_with(token)) {
                Some((token, format)) => {
                    out.push_str(format);
                    ("", &rest[token.len()..])
                }
                None => rest.split_at(c.len_utf8()),
            },
        };
        out.push_str(text);
        rest = after;
    }
    out
}

fn pieces(format: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let (piece, length) = match literal(rest) {
            Some((text, length)) => (Piece::Text(text), length),
            None => match TOKENS.iter().find(|token| rest.starts_with(**token)) {
                Some(token) => (Piece::Token(token), token.len()),
                None => (Piece::Text(c.to_string()), c.len_utf8()),
            },
        };
        pieces.push(piece);
        rest = &rest[length..];
    }
    pieces
}

/// Returns the text, and how long it is written, that `[…]` or `\` keeps from being a token.
fn literal(text: &str) -> Option<(String, usize)> {
    if let Some(inside) = text.strip_prefix('[') {
        // Up to the last `]` before another `[`.
        let end = inside[..inside.find('[').unwrap_or(inside.len())].rfind(']')?;
        return Some((inside[..end].to_owned(), end + 2));
    }
    let escaped = text.strip_prefix('\\')?;
    let token = TOKENS.iter().chain(LOCAL.iter().map(|(token, _)| token));
    match token.filter(|token| escaped.starts_with(**token)).max_by_key(|token| token.len()) {
        Some(token) => Some(((*token).to_owned(), token.len() + 1)),
        None => Some((String::new(), 1)),
    }
}

/// Writes what `token` stands for.
fn write(token: &str, at: &Zoned, out: &mut String) {
    let text = match token {
        "M" | "MM" => padded(at.month(), token.len()),
        "Mo" => ordinal(at.month()),
        "MMM" => month(at)[..3].to_owned(),
        "MMMM" => month(at).to_owned(),
        "Q" => quarter(at).to_string(),
        "Qo" => ordinal(quarter(at)),
        "D" | "DD" => padded(at.day(), token.len()),
        "Do" => ordinal(at.day()),
        "DDD" => at.day_of_year().to_string(),
        "DDDD" => padded(at.day_of_year(), 3),
        "DDDo" => ordinal(at.day_of_year()),
        "d" | "e" => sunday_first(at.weekday()).to_string(),
        "do" => ordinal(sunday_first(at.weekday())),
        "dd" => weekday(at)[..2].to_owned(),
        "ddd" => weekday(at)[..3].to_owned(),
        "dddd" => weekday(at).to_owned(),
        "E" => at.weekday().to_monday_one_offset().to_string(),
        "w" | "ww" => padded(week(at.date()).1, token.len()),
        "wo" => ordinal(week(at.date()).1),
        "W" | "WW" => padded(at.date().iso_week_date().week(), token.len()),
        "Wo" => ordinal(at.date().iso_week_date().week()),
        "YY" => padded(at.year().rem_euclid(100), 2),
        "YYYYYY" => format!("+{:06}", at.year()),
        "Y" | "YYYY" => padded(at.year(), 4),
        "YYYYY" => padded(at.year(), 5),
        "y" | "yy" | "yyy" | "yyyy" => padded(at.year(), token.len()),
        "yo" => ordinal(at.year()),
        "N" | "NN" | "NNN" | "NNNNN" => "AD".to_owned(),
        "NNNN" => "Anno Domini".to_owned(),
        "gg" => padded(week(at.date()).0 % 100, 2),
        "gggg" | "ggggg" => padded(week(at.date()).0, token.len()),
        "GG" => padded(at.date().iso_week_date().year() % 100, 2),
        "GGGG" | "GGGGG" => padded(at.date().iso_week_date().year(), token.len()),
        _ => time(token, at),
    };
    out.push_str(&text);
}

fn time(token: &str, at: &Zoned) -> String {
    let of_twelve = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let (minute, second) = (padded(at.minute(), 2), padded(at.second(), 2));
    match token {
        "a" => (if at.hour() < 12 { "am" } else { "pm" }).to_owned(),
        "A" => (if at.hour() < 12 { "AM" } else { "PM" }).to_owned(),
        "H" | "HH" => padded(at.hour(), token.len()),
        "h" | "hh" => padded(of_twelve, token.len()),
        "k" | "kk" => padded(if at.hour() == 0 { 24 } else { at.hour() }, token.len()),
        "Hmm" => format!("{}{minute}", at.hour()),
        "Hmmss" => format!("{}{minute}{second}", at.hour()),
        "hmm" => format!("{of_twelve}{minute}"),
        "hmmss" => format!("{of_twelve}{minute}{second}"),
        "m" | "mm" => padded(at.minute(), token.len()),
        "s" | "ss" => padded(at.second(), token.len()),
        "X" => at.timestamp().as_second().to_string(),
        "x" => at.timestamp().as_millisecond().to_string(),
        "z" | "zz" => at.strftime("%Z").to_string(),
        "Z" => at.strftime("%:z").to_string(),
        "ZZ" => at.strftime("%z").to_string(),
        // Only `S` is left: as many digits of the second's fraction, of which three are known.
        fraction => {
            let digits = format!("{:03}000000", at.millisecond());
            digits[..fraction.len()].to_owned()
        }
    }
}

fn padded(number: impl Into<i64>, width: usize) -> String {
    format!("{:0width$}", number.into())
}

fn ordinal(number: impl Into<i64>) -> String {
    let number = number.into();
    let suffix = match (number % 100 / 10, number % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

fn month(at: &Zoned) -> &'static str {
    let index = usize::from(at.month().unsigned_abs()) - 1;
    MONTHS[index]
}

fn quarter(at: &Zoned) -> i8 {
    (at.month() + 2) / 3
}

fn weekday(at: &Zoned) -> &'static str {
    match at.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

fn sunday_first(weekday: Weekday) -> i8 {
    weekday.to_sunday_zero_offset()
}

/// Returns the year and the week that `date` is in, in English: a week begins on Sunday, and 1 January
/// is in the first.
fn week(date: Date) -> (i16, i16) {
    let first_of =
        |year| Date::new(year, 1, 1).ok().map(|first| i16::from(sunday_first(first.weekday())));
    let from_sunday = date.day_of_year() - 1 + first_of(date.year()).unwrap_or(0);
    let next = first_of(date.year() + 1).unwrap_or(0);
    let days = date.days_in_year() - (date.day_of_year() - 1);
    if days <= next { (date.year() + 1, 1) } else { (date.year(), from_sunday / 7 + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at: &str, zone: &str, pattern: &str) -> String {
        format(at.parse().unwrap(), zone, pattern).unwrap()
    }

    #[test]
    fn dates_are_written_as_moment_writes_them() {
        let at = "2020-01-10T15:25:50.126Z";
        for (pattern, expected) in [
            ("dddd, MMMM Do YYYY, h:mm:ss a", "Friday, January 10th 2020, 3:25:50 pm"),
            ("YYYY-MM-DDTHH:mm:ss.SSS[Z]", "2020-01-10T15:25:50.126Z"),
            ("YYYYMMDD-HHmmss", "20200110-152550"),
            ("YY.M.D Q Qo DDD DDDD", "20.1.10 1 1st 10 010"),
            ("d do dd ddd e E", "5 5th Fr Fri 5 5"),
            ("w ww W WW gggg GGGG", "2 02 2 02 2020 2020"),
            ("Hmm hmm Hmmss k kk A", "1525 325 152550 15 15 PM"),
            ("S SS SSS SSSS", "1 12 126 1260"),
            ("X x", "1578669950 1578669950126"),
            ("Z ZZ z", "+00:00 +0000 UTC"),
            ("[year] YYYY [a[b]", "year 2020 [pmb"),
            ("[a] YYYY]", "a] YYYY"),
            ("\\Y\\M YYYYYY", "YM +002020"),
            (
                "LT LTS L l LL ll LLL lll",
                "3:25 PM 3:25:50 PM 01/10/2020 1/10/2020 January 10, 2020 Jan 10, 2020 January 10, 2020 3:25 PM Jan 10, 2020 3:25 PM",
            ),
            ("LLLL|llll", "Friday, January 10, 2020 3:25 PM|Fri, Jan 10, 2020 3:25 PM"),
            ("", "2020-01-10T15:25:50Z"),
        ] {
            assert_eq!(check(at, "UTC", pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_zone_moves_the_clock() {
        let at = "2020-01-10T15:25:50Z";
        assert_eq!(check(at, "Asia/Tokyo", "YYYY-MM-DD HH:mm Z z"), "2020-01-11 00:25 +09:00 JST");
        assert_eq!(check(at, "America/New_York", ""), "2020-01-10T10:25:50-05:00");
        assert_eq!(check(at, "Asia/Tokyo", "h k"), "12 24");
        assert!(format(at.parse().unwrap(), "Mars/Olympus", "Y").is_err());
    }

    #[test]
    fn weeks_turn_with_the_year() {
        let week = |at: &str| check(at, "UTC", "gggg-w GGGG-W");
        assert_eq!(week("2019-12-28T00:00:00Z"), "2019-52 2019-52");
        assert_eq!(week("2019-12-29T00:00:00Z"), "2020-1 2019-52");
        assert_eq!(week("2020-01-05T00:00:00Z"), "2020-2 2020-1");
        assert_eq!(week("2021-01-01T00:00:00Z"), "2021-1 2020-53");
        assert_eq!(week("2022-01-01T00:00:00Z"), "2022-1 2021-52");
        assert_eq!(week("2022-12-31T00:00:00Z"), "2022-53 2022-52");
    }
}
