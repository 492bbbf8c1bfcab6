//! A record from disk, folded.

use std::path::{Path, PathBuf};

use super::RunState;
use crate::codec::{ReadError, RecordReader};
use crate::event::{EventKind, FORMAT};

/// A record folded from disk.
#[derive(Debug)]
pub struct ReadRun {
    /// The run.
    pub run: RunState,
    /// The file that was read.
    pub file: PathBuf,
    /// Events of a newer ferry that were left out.
    pub skipped: u64,
    /// Whether the last line was cut short.
    pub torn: bool,
}

/// Reads and folds a record, given its path or the folder of its run.
///
/// # Errors
/// The file cannot be read, is damaged in the middle, is no record, or has a newer format.
pub fn read(path: &Path) -> Result<ReadRun, ReadError> {
    let mut reader = RecordReader::open(path)?;
    let mut run = RunState::default();
    while let Some(event) = reader.next().transpose()? {
        if run.started.is_none() {
            let EventKind::RunStarted(started) = &event.kind else { break };
            if started.format > FORMAT {
                let file = reader.file().to_owned();
                return Err(ReadError::Format { file, found: started.format, known: FORMAT });
            }
        }
        run.apply(&event);
    }
    let file = reader.file().to_owned();
    if run.started.is_none() {
        return Err(ReadError::NotARecord { file });
    }
    Ok(ReadRun { run, file, skipped: reader.skipped(), torn: reader.torn() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Record;
    use rstest::rstest;

    #[rstest]
    #[case::empty("", "is not the record of a run")]
    #[case::another_json("{\"t\":1,\"event\":\"run-ended\"}\n", "is not the record of a run")]
    #[case::text("hello\n", "record.jsonl:1: the record is damaged")]
    fn what_is_no_record_says_so(#[case] content: &str, #[case] expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("record.jsonl"), content).unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_newer_format_is_refused() {
        let mut events = Record::good().events();
        let EventKind::RunStarted(started) = &mut events[0].kind else { unreachable!() };
        started.format = FORMAT + 1;
        let folder = tempfile::tempdir().unwrap();
        let mut writer = crate::codec::RecordWriter::create(folder.path(), Default::default()).unwrap();
        events.iter().for_each(|e| writer.append(e).unwrap());
        assert!(matches!(read(folder.path()), Err(ReadError::Format { found: 2, .. })));
    }
}
