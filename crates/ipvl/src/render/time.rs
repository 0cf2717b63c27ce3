//! How is a moment shown?

use crate::command::Timestamp;
use ipvl_control::kernel::sys::{LocalTime, local_time};
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// As iproute2 writes it.
pub fn stamp(how: Timestamp, now: SystemTime) -> String {
    match how {
        Timestamp::Short => format!("[{}] ", short(now)),
        Timestamp::Long => {
            let (time, micros) = local(now);
            let LocalTime { year, month, day, weekday, hour, minute, second } = time;
            let (weekday, month) = (WEEKDAYS[usize::from(weekday)], MONTHS[usize::from(month) - 1]);
            format!("Timestamp: {weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year} {micros} usec\n")
        }
    }
}

/// `2026-01-31T12:00:00.000000`, local time.
pub fn short(now: SystemTime) -> String {
    let (time, micros) = local(now);
    let LocalTime { year, month, day, hour, minute, second, .. } = time;
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}")
}

/// `12:00:00.000000`
pub fn clock(now: SystemTime) -> String {
    let (LocalTime { hour, minute, second, .. }, micros) = local(now);
    format!("{hour:02}:{minute:02}:{second:02}.{micros:06}")
}

fn local(now: SystemTime) -> (LocalTime, u32) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    (local_time(since.as_secs() as i64), since.subsec_micros())
}
