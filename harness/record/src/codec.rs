//! The record as a file: one JSON object per line.
//!
//! A line is written and flushed whole, so that a killed run leaves at most its last line torn. Reading forgives exactly
//! that, and skips (and counts) events of a newer ferry; damage anywhere else is an error with its line.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::event::{Event, EventKind};
use crate::redact::Redactor;

/// The record's name in a run's folder.
pub const RECORD_FILE: &str = "record.jsonl";

/// The record could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file could not be made. Its path is in `source`.
    #[error("could not create the record")]
    Create(#[source] io::Error),
    /// The disk is full, the file is gone, …
    #[error("could not append to the record")]
    Append(#[source] io::Error),
    /// An event that has no JSON form.
    #[error("could not encode an event of the record")]
    Encode(#[source] serde_json::Error),
}

impl WriteError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Create(_) => Some("check that the run's folder is new and writable"),
            Self::Append(_) => Some("check the free space of the disk that holds the run's folder"),
            Self::Encode(_) => None,
        }
    }
}

/// Appends events to a record, redacted and flushed one by one.
#[derive(Debug)]
pub struct RecordWriter<W: Write> {
    out: W,
    redactor: Redactor,
    line: Vec<u8>,
}

impl RecordWriter<BufWriter<fs_err::File>> {
    /// Makes `record.jsonl` in `folder`, readable by its owner alone.
    ///
    /// # Errors
    /// The file exists already (a record is never overwritten) or cannot be made.
    pub fn create(folder: &Path, redactor: Redactor) -> Result<Self, WriteError> {
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use fs_err::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let file = options.open(folder.join(RECORD_FILE)).map_err(WriteError::Create)?;
        Ok(Self::new(BufWriter::new(file), redactor))
    }
}

impl<W: Write> RecordWriter<W> {
    /// A writer onto anything.
    pub fn new(out: W, redactor: Redactor) -> Self {
        Self { out, redactor, line: Vec::new() }
    }

    /// Appends one event and flushes it.
    ///
    /// # Errors
    /// The event cannot be encoded, or the output refuses it.
    pub fn append(&mut self, event: &Event) -> Result<(), WriteError> {
        self.line.clear();
        if self.redactor.is_needed_for(event) {
            let mut redacted = event.clone();
            self.redactor.event(&mut redacted);
            serde_json::to_writer(&mut self.line, &redacted).map_err(WriteError::Encode)?;
        } else {
            serde_json::to_writer(&mut self.line, event).map_err(WriteError::Encode)?;
        }
        self.line.push(b'\n');
        self.out.write_all(&self.line).and_then(|()| self.out.flush()).map_err(WriteError::Append)
    }

    /// Gives the output back.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// The record could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No such file, no permission, … The path is in `source`.
    #[error("could not read the record")]
    Io(#[source] io::Error),
    /// A line in the middle that is not an event.
    #[error("{file}:{line}: the record is damaged", file = .file.display())]
    Damaged {
        /// The record.
        file: PathBuf,
        /// 1-based.
        line: u64,
        /// What is wrong with the line.
        #[source]
        source: serde_json::Error,
    },
    /// Nothing in it that can be judged.
    #[error("{} is not the record of a run: it does not begin with run-started", .file.display())]
    NotARecord {
        /// The file.
        file: PathBuf,
    },
    /// A format that this ferry does not know.
    #[error("{}: the record has format {found}, this ferry reads up to {known}", .file.display())]
    Format {
        /// The record.
        file: PathBuf,
        /// As the record says.
        found: u32,
        /// [`crate::event::FORMAT`].
        known: u32,
    },
}

impl ReadError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io(_) => Some("name a run's folder (reports/out/RUN) or its record.jsonl"),
            Self::Damaged { .. } => {
                Some("the file was changed after the run; cut it at that line to judge what is before")
            }
            Self::NotARecord { .. } => Some("name a run's folder (reports/out/RUN) or its record.jsonl"),
            Self::Format { .. } => Some("read it with the ferry that made it, or a newer one"),
        }
    }
}

/// Events of a record, in order.
///
/// After the last one [`Self::torn`] and [`Self::skipped`] say what was left out.
#[derive(Debug)]
pub struct RecordReader<R> {
    input: R,
    file: PathBuf,
    line: u64,
    buffer: Vec<u8>,
    skipped: u64,
    torn: bool,
    done: bool,
}

impl RecordReader<BufReader<fs_err::File>> {
    /// Opens a record by its path or by the folder of its run.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let path = if path.is_dir() { path.join(RECORD_FILE) } else { path.to_owned() };
        let file = fs_err::File::open(&path).map_err(ReadError::Io)?;
        Ok(Self::new(BufReader::with_capacity(256 * 1024, file), path))
    }
}

impl<R: BufRead> RecordReader<R> {
    /// A reader of anything; `file` only names it in errors.
    pub fn new(input: R, file: impl Into<PathBuf>) -> Self {
        Self { input, file: file.into(), line: 0, buffer: Vec::new(), skipped: 0, torn: false, done: false }
    }

    /// How the record is called.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Events that this ferry does not know, so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether the last line was cut short, as a killed run leaves it.
    pub fn torn(&self) -> bool {
        self.torn
    }

    fn read(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            self.buffer.clear();
            if self.input.read_until(b'\n', &mut self.buffer).map_err(ReadError::Io)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            let whole = self.buffer.last() == Some(&b'\n');
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Event>(&self.buffer) {
                Ok(Event { kind: EventKind::Unknown, .. }) => self.skipped += 1,
                Ok(event) => return Ok(Some(event)),
                Err(_) if !whole => {
                    self.torn = true;
                    return Ok(None);
                }
                Err(source) => return Err(ReadError::Damaged { file: self.file.clone(), line: self.line, source }),
            }
        }
    }
}

impl<R: BufRead> Iterator for RecordReader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let event = self.read().transpose();
        self.done = !matches!(event, Some(Ok(_)));
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Failure, Level, SampleBlock};
    use proptest::prelude::*;
    use rstest::rstest;

    fn log(t: u64, message: &str) -> Event {
        Event { t, kind: EventKind::Log { level: Level::Info, message: message.into() } }
    }

    fn write(events: &[Event]) -> Vec<u8> {
        let mut writer = RecordWriter::new(Vec::new(), Redactor::default());
        for event in events {
            writer.append(event).unwrap();
        }
        writer.into_inner()
    }

    fn read(bytes: &[u8]) -> (Result<Vec<Event>, ReadError>, u64, bool) {
        let mut reader = RecordReader::new(bytes, "record.jsonl");
        let events = reader.by_ref().collect();
        (events, reader.skipped(), reader.torn())
    }

    #[test]
    fn a_line_looks_like_this() {
        let block = SampleBlock {
            probe: "web/outside/new".into(),
            start: 50,
            interval: 50,
            latency: vec![812, 1_000_000],
            slip: vec![12, 9],
            failed: vec![(1, Failure::Status(503))],
        };
        let bytes = write(&[log(7, "hello"), Event { t: 99, kind: EventKind::Samples(block) }]);
        insta::assert_snapshot!(String::from_utf8(bytes).unwrap(), @r#"
        {"t":7,"event":"log","level":"info","message":"hello"}
        {"t":99,"event":"samples","probe":"web/outside/new","start":50,"interval":50,"packed":"2AwMqPx5CQ","failed":[[1,{"status":503}]]}
        "#);
    }

    #[test]
    fn samples_as_arrays_are_read_too() {
        let line = r#"{"t":99,"event":"samples","probe":"web/outside/new","start":50,"interval":50,"latency":[812,1000],"slip":[12,9]}"#;
        let (events, ..) = read(format!("{line}\n").as_bytes());
        let EventKind::Samples(block) = &events.unwrap()[0].kind else { panic!("another event") };
        assert_eq!((&block.latency[..], &block.slip[..]), (&[812, 1000][..], &[12, 9][..]));
    }

    /// What a line costs beside its samples is shared by all of them: ten are enough.
    #[rstest]
    #[case::as_few_as_that(10, 50_000_000)]
    #[case::a_second_of_20(20, 50_000_000)]
    #[case::half_a_second_of_2000(1_000, 500_000)]
    fn ten_million_samples_fit_in_200_mb(#[case] n: u32, #[case] interval: u64) {
        let block = SampleBlock {
            probe: "web/outside/reused".into(),
            start: 3_600_000_000_000,
            interval,
            latency: (0..n).map(|i| 800 + i * 7_919 % 90_000).collect(),
            slip: (0..n).map(|i| 20 + i * 613 % 2_000).collect(),
            failed: vec![],
        };
        let bytes = write(&[Event { t: 3_600_000_000_000, kind: EventKind::Samples(block) }]);
        assert!(bytes.len() * 10_000_000 / n as usize <= 200_000_000, "{} bytes for {n} samples", bytes.len());
    }

    #[rstest]
    #[case::mid_line(br#"{"t":2,"event":"log","le"#)]
    #[case::mid_character(b"{\"t\":2,\"event\":\"log\",\"level\":\"info\",\"message\":\"\xe2\x82")]
    #[case::zeros(b"\0\0\0\0")]
    fn a_torn_last_line_is_forgiven(#[case] tail: &[u8]) {
        let mut bytes = write(&[log(1, "a")]);
        bytes.extend_from_slice(tail);
        let (events, skipped, torn) = read(&bytes);
        assert_eq!(events.unwrap(), [log(1, "a")]);
        assert_eq!((skipped, torn), (0, true));
    }

    #[test]
    fn a_whole_last_line_without_its_newline_counts() {
        let mut bytes = write(&[log(1, "a"), log(2, "b")]);
        bytes.pop();
        let (events, _, torn) = read(&bytes);
        assert_eq!(events.unwrap().len(), 2);
        assert!(!torn);
    }

    #[test]
    fn an_unknown_event_is_skipped_and_counted() {
        let mut bytes = b"{\"t\":1,\"event\":\"object-changed\",\"uid\":[1,{\"x\":null}]}\n".to_vec();
        bytes.extend(write(&[log(2, "b")]));
        let (events, skipped, torn) = read(&bytes);
        assert_eq!(events.unwrap(), [log(2, "b")]);
        assert_eq!((skipped, torn), (1, false));
    }

    #[rstest]
    #[case::not_json("garbage")]
    #[case::known_event_without_its_fields(r#"{"t":1,"event":"log"}"#)]
    fn damage_in_the_middle_names_its_line(#[case] line: &str) {
        let mut bytes = write(&[log(1, "a")]);
        bytes.extend(format!("{line}\n").bytes());
        bytes.extend(write(&[log(3, "c")]));
        let (events, ..) = read(&bytes);
        assert_eq!(events.unwrap_err().to_string(), "record.jsonl:2: the record is damaged");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RecordWriter::create(folder.path(), Redactor::default()).unwrap();
        writer.append(&log(1, "a")).unwrap();
        let path = folder.path().join(RECORD_FILE);
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Flushed already: a reader sees it while the writer lives.
        assert_eq!(RecordReader::open(folder.path()).unwrap().count(), 1);
        assert!(matches!(RecordWriter::create(folder.path(), Redactor::default()), Err(WriteError::Create(_))));
    }

    #[test]
    fn secrets_do_not_reach_the_file() {
        let redactor = Redactor::default();
        redactor.add_secret("hunter2-hunter2");
        let mut writer = RecordWriter::new(Vec::new(), redactor);
        writer.append(&log(1, "pushed with hunter2-hunter2")).unwrap();
        insta::assert_snapshot!(String::from_utf8(writer.into_inner()).unwrap(), @r#"{"t":1,"event":"log","level":"info","message":"pushed with [redacted]"}"#);
    }

    proptest! {
        #[test]
        fn cut_anywhere_a_record_reads_up_to_there(messages in prop::collection::vec(".*", 1..8), cut in 0.0..1.0f64) {
            let events: Vec<Event> = messages.iter().enumerate().map(|(i, m)| log(i as u64, m)).collect();
            let bytes = write(&events);
            let cut = (bytes.len() as f64 * cut) as usize;
            let (read, ..) = read(&bytes[..cut]);
            let read = read.unwrap();
            prop_assert!(events.starts_with(&read));
            let lines = bytes[..cut].iter().filter(|b| **b == b'\n').count();
            prop_assert!(read.len() >= lines);
        }
    }
}
