//! The database of runs: one SQLite file that runs side by side may write.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ferry_record::Verdict;
use ferry_record::numbers::{PhaseTime, ProbeNumbers};
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, Row, Transaction, TransactionBehavior, named_params, params};

use super::Entry;

/// How long a run waits for others that write; each writes for milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// What each version of the schema adds to the one before; `user_version` of the file is how many were carried out.
///
/// Times are in nanoseconds, latencies in microseconds, `wall_ms` in milliseconds since 1970. What ferry has released is
/// never changed here, only added to.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE run (
        run TEXT PRIMARY KEY,
        scenario TEXT NOT NULL,
        cell TEXT NOT NULL,
        conditions TEXT NOT NULL,
        wall_ms INTEGER NOT NULL,
        ferry TEXT NOT NULL,
        images TEXT NOT NULL,
        verdict TEXT NOT NULL,
        as_expected INTEGER NOT NULL,
        total_ns INTEGER NOT NULL,
        work_ns INTEGER,
        taken INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        longest_outage_ns INTEGER
    ) STRICT;
    CREATE INDEX run_by_trial ON run (scenario, cell, conditions, wall_ms);
    CREATE INDEX run_by_time ON run (wall_ms);
    CREATE TABLE phase (
        run TEXT NOT NULL REFERENCES run,
        position INTEGER NOT NULL,
        phase TEXT NOT NULL,
        took_ns INTEGER NOT NULL,
        done INTEGER NOT NULL,
        PRIMARY KEY (run, position)
    ) STRICT;
    CREATE TABLE probe (
        run TEXT NOT NULL REFERENCES run,
        probe TEXT NOT NULL,
        taken INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        outages INTEGER NOT NULL,
        longest_outage_ns INTEGER,
        p50_us INTEGER,
        p99_us INTEGER,
        max_us INTEGER,
        PRIMARY KEY (run, probe)
    ) STRICT;
"];

/// The history cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Its folder cannot be made. The path is in `source`.
    #[error("the folder of the history cannot be made")]
    Folder(#[source] std::io::Error),
    /// It is no database, is damaged, or cannot be read or written.
    #[error("the history {file} cannot be used: {reason}", file = file.display())]
    Database {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// It was written by a newer ferry, which may have meant something else by the same columns.
    #[error("the history {file} was written by a newer ferry: version {found}, known are those up to {known}", file = file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: usize,
        /// The newest version that this ferry knows.
        known: usize,
    },
}

impl StoreError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Folder(_) => "name another file with --history",
            Self::Database { .. } => "name another file with --history, or move this one away: ferry begins a new one",
            Self::Newer { .. } => "use that ferry, or name another file with --history",
        }
    }
}

/// An open history.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    file: PathBuf,
}

impl Store {
    /// Opens a history, or begins one.
    ///
    /// # Errors
    /// The file cannot be made or is not a history that this ferry knows.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = file.parent() {
            fs_err::create_dir_all(folder).map_err(StoreError::Folder)?;
        }
        Self::open_with(file, OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens a history if there is one.
    ///
    /// # Errors
    /// There is a file that is not a history that this ferry knows.
    pub fn open_existing(file: &Path) -> Result<Option<Self>, StoreError> {
        if file.exists() { Self::open_with(file, OpenFlags::empty()).map(Some) } else { Ok(None) }
    }

    fn open_with(file: &Path, create: OpenFlags) -> Result<Self, StoreError> {
        let flags = create | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).map_err(|e| unusable(file, &e))?;
        let mut store = Self { connection, file: file.to_path_buf() };
        store.prepare()?;
        Ok(store)
    }

    /// Brings the file to the newest version of the schema.
    fn prepare(&mut self) -> Result<(), StoreError> {
        // First of all: what follows may already have to wait for another process.
        self.connection.busy_timeout(BUSY).map_err(|e| unusable(&self.file, &e))?;
        // Readers do not stop writers then, and a process that is killed leaves a whole file.
        let wal = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;";
        self.connection.execute_batch(wal).map_err(|e| unusable(&self.file, &e))?;
        // Whoever only reads need not wait for those who write.
        if version(&self.connection).map_err(|e| unusable(&self.file, &e))? == MIGRATIONS.len() {
            return Ok(());
        }
        let (file, known) = (self.file.clone(), MIGRATIONS.len());
        let migrated = self.write(|transaction| migrate(transaction, MIGRATIONS))?;
        migrated.map_err(|found| StoreError::Newer { file, found, known })
    }

    /// Keeps a run, and returns up to `n` earlier ones of the same scenario, cell and conditions that ended as expected, the
    /// newest first.
    ///
    /// # Errors
    /// The database cannot be written, or holds the run already.
    pub fn add(&mut self, entry: &Entry, n: u32) -> Result<Vec<Entry>, StoreError> {
        self.write(|transaction| {
            let earlier = comparable(transaction, entry, n)?;
            insert(transaction, entry)?;
            Ok(earlier)
        })
    }

    /// The newest `n` runs, of one scenario or of all, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn newest(&self, scenario: Option<&str>, n: u32) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT * FROM run WHERE scenario = ?1 OR ?1 IS NULL ORDER BY wall_ms DESC, run DESC LIMIT ?2";
        entries(&self.connection, sql, params![scenario, n]).map_err(|e| unusable(&self.file, &e))
    }

    /// The scenarios that have a run, in alphabetical order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn scenarios(&self) -> Result<Vec<String>, StoreError> {
        let read = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare("SELECT DISTINCT scenario FROM run ORDER BY scenario")?;
            statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()
        };
        read().map_err(|e| unusable(&self.file, &e))
    }

    /// Carries `work` out as one change; as a writer from the start, since a reader that becomes one cannot wait.
    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection = &mut self.connection;
        let run = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|e| unusable(&self.file, &e))
    }
}

fn unusable(file: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Database { file: file.to_path_buf(), reason: error.to_string() }
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Carries out the migrations that a file has not seen. Says the file's version instead if that is newer than all.
fn migrate(transaction: &Transaction<'_>, migrations: &[&str]) -> rusqlite::Result<Result<(), usize>> {
    let found = version(transaction)?;
    let Some(missing) = migrations.get(found..) else { return Ok(Err(found)) };
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "user_version", migrations.len() as i64)?;
    }
    Ok(Ok(()))
}

/// Runs that ended as expected, but never those whose lab broke: even where that is expected, their times say nothing.
fn comparable(connection: &Connection, with: &Entry, n: u32) -> rusqlite::Result<Vec<Entry>> {
    let sql = "SELECT * FROM run
        WHERE scenario = ?1 AND cell = ?2 AND conditions = ?3 AND as_expected AND verdict NOT IN ('cancelled', 'infra')
        ORDER BY wall_ms DESC, run DESC LIMIT ?4";
    entries(connection, sql, params![with.scenario, with.cell, with.conditions, n])
}

fn insert(transaction: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO run (run, scenario, cell, conditions, wall_ms, ferry, images, verdict, as_expected, total_ns, work_ns,
            taken, failed, longest_outage_ns)
        VALUES (:run, :scenario, :cell, :conditions, :wall_ms, :ferry, :images, :verdict, :as_expected, :total_ns, :work_ns,
            :taken, :failed, :longest_outage_ns)",
        named_params! {
            ":run": entry.run,
            ":scenario": entry.scenario,
            ":cell": entry.cell,
            ":conditions": entry.conditions,
            ":wall_ms": entry.wall.as_millisecond(),
            ":ferry": entry.ferry,
            ":images": entry.images,
            ":verdict": entry.verdict.as_str(),
            ":as_expected": entry.as_expected,
            ":total_ns": integer(entry.total_ns),
            ":work_ns": entry.work_ns.map(integer),
            ":taken": integer(entry.taken),
            ":failed": integer(entry.failed),
            ":longest_outage_ns": entry.longest_outage_ns.map(integer),
        },
    )?;
    let mut phase =
        transaction.prepare("INSERT INTO phase (run, position, phase, took_ns, done) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, p) in (0i64..).zip(&entry.phases) {
        phase.execute(params![entry.run, position, p.phase, integer(p.took_ns), p.done])?;
    }
    let mut probe = transaction.prepare(
        "INSERT INTO probe (run, probe, taken, failed, outages, longest_outage_ns, p50_us, p99_us, max_us)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for p in &entry.probes {
        let [longest, p50, p99, max] = [p.longest_outage_ns, p.p50_us, p.p99_us, p.max_us].map(|n| n.map(integer));
        let [taken, failed, outages] = [p.taken, p.failed, p.outages].map(integer);
        probe.execute(params![entry.run, p.probe, taken, failed, outages, longest, p50, p99, max])?;
    }
    Ok(())
}

/// The runs that a query finds, with their phases and probes.
fn entries(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<Vec<Entry>> {
    let mut runs = connection.prepare(sql)?;
    let mut entries: Vec<Entry> = runs.query_map(params, run_of)?.collect::<Result<_, _>>()?;
    let mut phases = connection.prepare("SELECT * FROM phase WHERE run = ?1 ORDER BY position")?;
    let mut probes = connection.prepare("SELECT * FROM probe WHERE run = ?1 ORDER BY probe")?;
    for entry in &mut entries {
        entry.phases = phases.query_map([&entry.run], phase_of)?.collect::<Result<_, _>>()?;
        entry.probes = probes.query_map([&entry.run], probe_of)?.collect::<Result<_, _>>()?;
    }
    Ok(entries)
}

fn run_of(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let unreadable = |column: &str, kind, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(row.as_ref().column_index(column).unwrap_or(0), kind, error)
    };
    let verdict: String = row.get("verdict")?;
    let verdict = serde_json::from_value::<Verdict>(verdict.into())
        .map_err(|error| unreadable("verdict", Type::Text, error.into()))?;
    let wall = Timestamp::from_millisecond(row.get("wall_ms")?)
        .map_err(|error| unreadable("wall_ms", Type::Integer, error.into()))?;
    Ok(Entry {
        run: row.get("run")?,
        scenario: row.get("scenario")?,
        cell: row.get("cell")?,
        conditions: row.get("conditions")?,
        wall,
        ferry: row.get("ferry")?,
        images: row.get("images")?,
        verdict,
        as_expected: row.get("as_expected")?,
        total_ns: unsigned(row, "total_ns")?,
        work_ns: maybe_unsigned(row, "work_ns")?,
        taken: unsigned(row, "taken")?,
        failed: unsigned(row, "failed")?,
        longest_outage_ns: maybe_unsigned(row, "longest_outage_ns")?,
        phases: vec![],
        probes: vec![],
    })
}

fn phase_of(row: &Row<'_>) -> rusqlite::Result<PhaseTime> {
    Ok(PhaseTime { phase: row.get("phase")?, took_ns: unsigned(row, "took_ns")?, done: row.get("done")? })
}

fn probe_of(row: &Row<'_>) -> rusqlite::Result<ProbeNumbers> {
    Ok(ProbeNumbers {
        probe: row.get("probe")?,
        taken: unsigned(row, "taken")?,
        failed: unsigned(row, "failed")?,
        outages: unsigned(row, "outages")?,
        longest_outage_ns: maybe_unsigned(row, "longest_outage_ns")?,
        p50_us: maybe_unsigned(row, "p50_us")?,
        p99_us: maybe_unsigned(row, "p99_us")?,
        max_us: maybe_unsigned(row, "max_us")?,
    })
}

/// SQLite's integers are signed. What does not fit would be a time of 292 years.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0))
}

fn maybe_unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.and_then(|value| u64::try_from(value).ok()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::entry;
    use super::*;
    use rstest::rstest;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/history.sqlite");
        (folder, file)
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let (_folder, file) = folder();
        let mut failed = entry("20261121-120000-bcdf");
        failed.verdict = Verdict::Fail;
        failed.as_expected = false;
        failed.work_ns = None;
        failed.longest_outage_ns = Some(300_000_000);
        failed.phases[1].done = false;
        failed.probes[0].p99_us = None;
        Store::open(&file).unwrap().add(&failed, 20).unwrap();
        let store = Store::open_existing(&file).unwrap().unwrap();
        assert_eq!(store.newest(None, 20).unwrap(), [failed]);
    }

    #[test]
    fn only_what_can_be_compared_is_compared_with() {
        let (_folder, file) = folder();
        let mut store = Store::open(&file).unwrap();
        let late = |run: &str, second: i64| {
            let mut entry = entry(run);
            entry.wall = Timestamp::from_second(1_795_262_400 + second).unwrap();
            entry
        };
        let others = [
            Entry { scenario: "a/b".into(), ..late("scenario", 0) },
            Entry { cell: "k8s_1_35::kind".into(), ..late("cell", 1) },
            Entry { conditions: "16 cores".into(), ..late("conditions", 2) },
            Entry { verdict: Verdict::Fail, as_expected: false, ..late("failed", 3) },
            Entry { verdict: Verdict::Infra, as_expected: false, ..late("infra", 4) },
            Entry { verdict: Verdict::Cancelled, as_expected: false, ..late("cancelled", 5) },
        ];
        for other in &others {
            store.add(other, 20).unwrap();
        }
        // A self-test that fails as it must is as good as a pass.
        store.add(&Entry { verdict: Verdict::Fail, ..late("self-test", 6) }, 20).unwrap();
        for (i, run) in ["r1", "r2", "r3"].iter().enumerate() {
            store.add(&late(run, 10 + i as i64), 20).unwrap();
        }
        let names = |entries: Vec<Entry>| entries.into_iter().map(|e| e.run).collect::<Vec<_>>();
        assert_eq!(names(store.add(&late("now", 20), 20).unwrap()), ["r3", "r2", "r1", "self-test"]);
        assert_eq!(names(store.add(&late("then", 21), 2).unwrap()), ["now", "r3"]);
        assert_eq!(names(store.newest(None, 3).unwrap()), ["then", "now", "r3"]);
        assert_eq!(names(store.newest(Some("a/b"), 3).unwrap()), ["scenario"]);
        assert_eq!(store.scenarios().unwrap(), ["a/b", "single-tenant/official"]);
    }

    #[test]
    fn a_run_is_kept_once_and_as_a_whole() {
        let (_folder, file) = folder();
        let mut store = Store::open(&file).unwrap();
        store.add(&entry("r"), 20).unwrap();
        let mut again = entry("r");
        again.phases.clear();
        assert!(matches!(store.add(&again, 20), Err(StoreError::Database { .. })));
        assert_eq!(store.newest(None, 20).unwrap(), [entry("r")]);
    }

    #[test]
    fn runs_that_end_together_are_all_kept() {
        let (_folder, file) = folder();
        let seen: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let file = &file;
                    scope.spawn(move || {
                        let add = |i| {
                            // A connection each, as processes have; the first begin the file together.
                            let mut store = Store::open(file).unwrap();
                            store.add(&entry(&format!("{thread}-{i}")), 1_000).unwrap().len()
                        };
                        (0..5).map(add).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let store = Store::open_existing(&file).unwrap().unwrap();
        assert_eq!(store.newest(None, 1_000).unwrap().len(), 40);
        // Each saw all that came before it.
        let mut seen = seen;
        seen.sort_unstable();
        assert_eq!(seen, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn there_need_not_be_a_history() {
        let (_folder, file) = folder();
        assert!(Store::open_existing(&file).unwrap().is_none());
        assert!(!file.exists(), "reading begins no history");
    }

    #[test]
    fn a_history_of_a_newer_ferry_is_left_alone() {
        let (_folder, file) = folder();
        Store::open(&file).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
        let error = Store::open(&file).unwrap_err().to_string();
        assert!(error.ends_with("was written by a newer ferry: version 99, known are those up to 1"), "{error}");
    }

    #[rstest]
    #[case::text("this is no database, and long enough to be told apart from an empty file\n".repeat(40).into_bytes())]
    #[case::nulls(vec![0; 4096])]
    fn what_is_no_database_is_not_overwritten(#[case] bytes: Vec<u8>) {
        let (_folder, file) = folder();
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(&file, &bytes).unwrap();
        assert!(matches!(Store::open(&file), Err(StoreError::Database { .. })));
        assert_eq!(fs_err::read(&file).unwrap(), bytes);
    }

    #[test]
    fn each_migration_is_carried_out_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        let versions = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y", "CREATE TABLE b (z)"];
        for known in [1, 1, 3, 3] {
            let transaction = connection.transaction().unwrap();
            assert_eq!(migrate(&transaction, &versions[..known]).unwrap(), Ok(()));
            transaction.commit().unwrap();
        }
        connection.execute("INSERT INTO a (x, y) VALUES (1, 2)", []).unwrap();
        let transaction = connection.transaction().unwrap();
        assert_eq!(migrate(&transaction, &versions[..2]).unwrap(), Err(3));
    }
}
