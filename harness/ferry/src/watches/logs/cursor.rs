//! Where reading a log is, by the times that the kubelet puts before its lines, so that what is read again is not taken twice.

use jiff::Timestamp;

/// The place after the last line taken.
#[derive(Debug, Default)]
pub struct Cursor {
    last: Option<Timestamp>,
    /// Lines taken that have this time.
    at_last: usize,
    /// While reading anew: lines with the last time that are still to be passed over.
    again: Option<usize>,
}

/// A line as the kubelet sends it.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// One not taken before: its time and text.
    New(Timestamp, &'a str),
    /// One taken before.
    Known,
    /// No line of the log: what the kubelet itself has to say, as when a log is gone.
    Foreign(&'a str),
}

impl Cursor {
    /// The log is read anew, from this time on. It is the whole second before the last line, as the API knows no other: kube
    /// would round to the next one, and the API server leave out what is before it.
    pub fn anew(&mut self) -> Option<Timestamp> {
        self.again = Some(self.at_last);
        self.last.and_then(|last| Timestamp::from_second(last.as_second()).ok())
    }

    /// The next line.
    pub fn take<'a>(&mut self, line: &'a str) -> Line<'a> {
        let (time, text) = line.split_once(' ').unwrap_or((line, ""));
        let Ok(time) = time.parse::<Timestamp>() else { return Line::Foreign(line) };
        if let (Some(again), Some(last)) = (&mut self.again, self.last) {
            if time < last {
                return Line::Known;
            }
            if time == last && *again > 0 {
                *again -= 1;
                return Line::Known;
            }
        }
        // What was read before has been passed: from here on a time that goes back is the clock's fault.
        self.again = None;
        self.at_last = if self.last == Some(time) { self.at_last + 1 } else { 1 };
        self.last = Some(time);
        Line::New(time, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("2026-01-01T00:00:00.5Z {\"level\":\"info\"}", Some("{\"level\":\"info\"}"))]
    #[case("2026-01-01T00:00:00.5Z", Some(""))]
    #[case("2026-01-01T00:00:00.5Z ", Some(""))]
    #[case("unable to retrieve container logs for containerd://1c0f", None)]
    fn knows_lines_from_what_the_kubelet_says(#[case] line: &str, #[case] text: Option<&str>) {
        match Cursor::default().take(line) {
            Line::New(_, found) => assert_eq!(Some(found), text),
            Line::Foreign(found) => assert_eq!((Some(found), None), (Some(line), text)),
            Line::Known => panic!("nothing was read before"),
        }
    }

    #[test]
    fn a_clock_that_goes_back_loses_no_line() {
        let mut cursor = Cursor::default();
        let lines = ["2026-01-01T00:00:05Z a", "2026-01-01T00:00:03Z b", "2026-01-01T00:00:04Z c"];
        assert!(lines.iter().all(|line| matches!(cursor.take(line), Line::New(..))));
    }

    proptest! {
        /// However often reading breaks off, and although each time it begins with the whole second again, each line is
        /// taken once, in order.
        #[test]
        fn each_line_is_taken_once(
            steps in proptest::collection::vec(prop_oneof![Just(0_i64), Just(0), 1..400_i64, 500..3_000_i64], 1..60),
            breaks in proptest::collection::vec(0_usize..60, 0..8),
        ) {
            let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            let mut time = start;
            let lines: Vec<(Timestamp, String)> = steps.iter().enumerate().map(|(number, step)| {
                time += jiff::SignedDuration::from_millis(*step);
                (time, format!("{time} {number}"))
            }).collect();
            let mut cursor = Cursor::default();
            let mut taken = vec![];
            for end in breaks.into_iter().map(|end| end.min(lines.len())).chain([lines.len()]) {
                let since = cursor.anew();
                // A shorter reading than the last ends before it says anything new.
                for (_, line) in lines[..end].iter().filter(|(time, _)| since.is_none_or(|since| *time >= since)) {
                    match cursor.take(line) {
                        Line::New(_, number) => taken.push(number.parse::<usize>().unwrap()),
                        Line::Known => {}
                        Line::Foreign(text) => prop_assert!(false, "{}", text),
                    }
                }
            }
            prop_assert_eq!(taken, (0..lines.len()).collect::<Vec<_>>());
        }
    }
}
