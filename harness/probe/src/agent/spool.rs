//! The file that all events go to, one a line, before anyone asks for them.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ferry_record::event::Level;
use ferry_record::{Event, EventKind, Nanos};
use fs_err::{File, OpenOptions};
use serde::{Deserialize, Serialize};

use super::clock::Moment;
use super::saved::replace;
use crate::accounts::Accounts;

const EVENTS: &str = "events.jsonl";
const MANIFEST: &str = "spool.json";

/// Bytes below the limit that are left for last words: that it is full, and what of each probe it does not hold.
const RESERVE: u64 = 64 << 10;

/// What identifies a spool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Random.
    pub id: String,
    /// How often an agent was started on it.
    pub incarnation: u32,
    /// Time 0 of its clock.
    pub made: Moment,
}

/// A spool that one writer appends to.
#[derive(Debug)]
pub(super) struct Spool {
    pub manifest: Manifest,
    /// What it accounts for.
    pub accounts: Accounts,
    /// The time of its last event, which its clock must not go back behind.
    pub last: Nanos,
    file: File,
    length: u64,
    limit: u64,
    full: Option<String>,
}

impl Spool {
    /// Opens the spool in `folder`, or makes one. Half a line, the trace of an agent that was killed as it wrote, is removed.
    ///
    /// # Errors
    /// A folder that cannot be written, or that holds something else.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        fs_err::create_dir_all(folder)?;
        let path = folder.join(MANIFEST);
        let mut manifest = match fs_err::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Manifest { id: format!("{:016x}", rand::random::<u64>()), incarnation: 0, made: Moment::now()? }
            }
            Err(error) => return Err(error),
        };
        manifest.incarnation += 1;
        replace(&path, &serde_json::to_vec(&manifest)?)?;
        let file = OpenOptions::new().read(true).append(true).create(true).open(folder.join(EVENTS))?;
        let mut spool = Self { manifest, accounts: Accounts::default(), last: 0, file, length: 0, limit, full: None };
        spool.recover()?;
        Ok(spool)
    }

    fn recover(&mut self) -> io::Result<()> {
        let mut reader = BufReader::new(self.file.try_clone()?);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let event = line.strip_suffix(b"\n").and_then(|text| serde_json::from_slice::<Event>(text).ok());
            let at_end = reader.fill_buf()?.is_empty();
            match event {
                Some(event) => {
                    self.accounts.read(&event.kind);
                    self.last = self.last.max(event.t);
                }
                None if at_end => break,
                // Whoever collects sees it too; what it was is lost either way.
                None => {}
            }
            self.length += line.len() as u64;
            line.clear();
        }
        self.file.set_len(self.length)
    }

    /// Whoever reads it.
    pub fn reader(&self) -> io::Result<Reader> {
        Ok(Reader { file: self.file.try_clone()? })
    }

    /// Bytes in it, all of them complete lines.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Why it takes no more samples, if it does not.
    pub fn full(&self) -> Option<&str> {
        self.full.as_deref()
    }

    /// Appends an event. One that does not fit any more leaves a line that says so; of those behind it only the ends of
    /// probes are kept, with outages over what is missing.
    pub fn append(&mut self, event: &Event) {
        if self.full.is_none() {
            match self.put(event, self.limit.saturating_sub(RESERVE)) {
                Ok(()) => return,
                Err(error) => self.fill(event.t, error.to_string()),
            }
        }
        if let (EventKind::ProbeStopped { probe, planned }, Some(reason)) = (&event.kind, self.full.clone()) {
            let missing = self.accounts.get(probe).and_then(|account| account.outage(probe, *planned, &reason));
            for kind in missing.into_iter().chain([event.kind.clone()]) {
                // Without an end in the spool the probe is incomplete to whoever judges it, as it is.
                self.put(&Event { t: event.t, kind }, self.limit).ok();
            }
        }
    }

    fn fill(&mut self, t: Nanos, reason: String) {
        let message = format!("the agent keeps no more samples: {reason}");
        self.full = Some(reason);
        self.put(&Event { t, kind: EventKind::Log { level: Level::Error, message } }, self.limit).ok();
    }

    fn put(&mut self, event: &Event, limit: u64) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        if self.length + line.len() as u64 > limit {
            return Err(io::Error::other(format!("the spool has reached its limit of {} bytes", self.limit)));
        }
        if let Err(error) = self.file.write_all(&line) {
            // Half a line would spoil the next.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += line.len() as u64;
        self.accounts.read(&event.kind);
        Ok(())
    }
}

/// Reads a spool while it is written.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
}

impl Reader {
    /// Complete lines from byte `from` up to `length`, which is the end of a line: as many as fit into `most` bytes, and at
    /// least one if there is one. None if no line begins at `from`.
    pub fn lines(&self, from: u64, length: u64, most: usize) -> io::Result<Option<Vec<u8>>> {
        let before = from.saturating_sub(1);
        let mut bytes = vec![0; usize::try_from(from - before).unwrap_or(0)];
        self.file.file().read_exact_at(&mut bytes, before)?;
        if bytes.first().is_some_and(|byte| *byte != b'\n') {
            return Ok(None);
        }
        let left = usize::try_from(length.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut size = most.min(left);
        loop {
            let mut bytes = vec![0; size];
            self.file.file().read_exact_at(&mut bytes, from)?;
            match bytes.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => bytes.truncate(end + 1),
                // A line that is longer.
                None if size < left => {
                    size = size.saturating_mul(2).min(left);
                    continue;
                }
                None => bytes.clear(),
            }
            return Ok(Some(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use ferry_record::event::{ProbeInfo, SampleBlock};
    use tempfile::TempDir;

    use super::*;

    const LIMIT: u64 = 256 << 20;

    fn started() -> Event {
        let kind = EventKind::ProbeStarted(ProbeInfo {
            probe: "web/inside/new".into(),
            kind: "http".into(),
            target: "GET http://web/".into(),
            place: "inside".into(),
            connection: "new".into(),
            start: 1_000,
            interval: 50,
            timeout: 5_000,
        });
        Event { t: 990, kind }
    }

    fn block(start: Nanos, samples: usize) -> Event {
        let kind = EventKind::Samples(SampleBlock {
            probe: "web/inside/new".into(),
            start,
            interval: 50,
            latency: vec![100_000; samples],
            slip: vec![1; samples],
            failed: vec![],
        });
        Event { t: start + samples as u64 * 50, kind }
    }

    fn stopped(planned: u64) -> Event {
        Event { t: 90_000, kind: EventKind::ProbeStopped { probe: "web/inside/new".into(), planned } }
    }

    fn text(folder: &TempDir) -> String {
        fs_err::read_to_string(folder.path().join(EVENTS)).unwrap()
    }

    #[test]
    fn goes_on_where_it_ended() {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), LIMIT).unwrap();
        assert_eq!((spool.manifest.incarnation, spool.length(), spool.last), (1, 0, 0));
        spool.append(&started());
        spool.append(&block(1_000, 3));
        let (id, length) = (spool.manifest.id.clone(), spool.length());
        assert_eq!(length, text(&folder).len() as u64);
        drop(spool);

        let spool = Spool::open(folder.path(), LIMIT).unwrap();
        assert_eq!((spool.manifest.incarnation, spool.length(), spool.last), (2, length, 1_150));
        assert_eq!(spool.manifest.id, id);
        assert_eq!(spool.accounts.get("web/inside/new").unwrap().accounted, 3);
    }

    #[rstest::rstest]
    #[case::half_a_line(b"{\"t\":7,\"event\":\"samp")]
    #[case::half_a_line_of_zeros(&[0; 100])]
    #[case::a_line_of_zeros(b"\0\0\0\0\n")]
    fn a_torn_end_is_removed(#[case] torn: &[u8]) {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), LIMIT).unwrap();
        spool.append(&started());
        let whole = text(&folder);
        OpenOptions::new().append(true).open(folder.path().join(EVENTS)).unwrap().write_all(torn).unwrap();
        let mut spool = Spool::open(folder.path(), LIMIT).unwrap();
        assert_eq!(text(&folder), whole);
        spool.append(&block(1_000, 1));
        assert_eq!(text(&folder).lines().count(), 2);
    }

    #[test]
    fn a_full_spool_says_what_it_does_not_hold() {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), RESERVE + 1_000).unwrap();
        spool.append(&started());
        for start in 0..100 {
            spool.append(&block(1_000 + start * 500, 10));
        }
        spool.append(&stopped(1_000));
        assert!(spool.full().is_some());
        let text = text(&folder);
        let last: Vec<&str> = text.lines().skip_while(|line| !line.contains("\"log\"")).collect();
        insta::assert_snapshot!(last.join("\n"), @r#"
        {"t":4500,"event":"log","level":"error","message":"the agent keeps no more samples: the spool has reached its limit of 66536 bytes"}
        {"t":90000,"event":"sampler-outage","probe":"web/inside/new","from":4000,"to":51000,"reason":"the spool has reached its limit of 66536 bytes"}
        {"t":90000,"event":"probe-stopped","probe":"web/inside/new","planned":1000}
        "#);
        let again = Spool::open(folder.path(), LIMIT).unwrap();
        assert_eq!(again.accounts, Accounts::default());
    }

    #[test]
    fn is_read_by_whole_lines() {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), LIMIT).unwrap();
        spool.append(&started());
        let first = spool.length();
        spool.append(&block(1_000, 1));
        let second = spool.length();
        let reader = spool.reader().unwrap();
        let lines = |from, most| reader.lines(from, second, most).unwrap().map(|lines| lines.len() as u64);
        assert_eq!(lines(0, CHUNK), Some(second));
        assert_eq!(lines(0, usize::try_from(second).unwrap() - 1), Some(first));
        assert_eq!(lines(0, 1), Some(first), "a line that is longer comes whole");
        assert_eq!(lines(first, CHUNK), Some(second - first));
        assert_eq!(lines(second, CHUNK), Some(0));
        assert_eq!(lines(first - 1, CHUNK), None);
    }

    const CHUNK: usize = 1 << 20;
}
