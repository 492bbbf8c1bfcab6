//! Runs of the past: a row for each in a small database, and how a new run compares with them.
//!
//! History is a convenience. Nothing that is wrong with it ends a run or changes its verdict: it is a warning in the record.

mod store;
mod trend;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ferry_record::event::{Level, RunStarted};
use ferry_record::intervals::{Interval, IntervalSet};
use ferry_record::numbers::{self, PhaseTime, ProbeNumbers};
use ferry_record::report::HISTORY;
use ferry_record::{EventKind, Judgement, Nanos, RunState, Verdict};
use jiff::Timestamp;
use serde::Serialize;

use crate::edge;
use crate::run::recorder::Recorder;
pub use store::{Store, StoreError};
pub use trend::{ENOUGH, Trend, WINDOW};

/// Name of the database in the folder of runs.
pub const FILE: &str = "history.sqlite";

/// How long the history may hold up a tear-down: a disk that hangs must not.
const DEADLINE: Duration = Duration::from_secs(10);

/// The lab's activities whose time depends on the machine and its caches, and not on the migration.
const SET_UP: [&str; 3] = ["doctor", "sweep", "bundle"];

/// What is kept of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The run's id.
    pub run: String,
    /// `area/name`.
    pub scenario: String,
    /// The matrix cell.
    pub cell: String,
    /// What else must be the same for times to be comparable, e.g. `2 cores, auth=http`.
    pub conditions: String,
    /// When it began.
    pub wall: Timestamp,
    /// Version of ferry.
    pub ferry: String,
    /// Where images were to come from.
    pub images: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether this is how its scenario says that it must end.
    pub as_expected: bool,
    /// From command to verdict.
    pub total_ns: Nanos,
    /// Of these, what is left without set-up, quiet and soak; none when a phase was not done.
    pub work_ns: Option<Nanos>,
    /// Samples of all probes.
    pub taken: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Longest outage of any probe.
    pub longest_outage_ns: Option<Nanos>,
    /// The phases that began, in order.
    pub phases: Vec<PhaseTime>,
    /// The probes.
    pub probes: Vec<ProbeNumbers>,
}

impl Entry {
    /// What is kept of a run with its judgement; none of a record without a frame.
    pub fn of(run: &RunState, judgement: &Judgement) -> Option<Self> {
        let started = run.started.as_ref()?;
        let (taken, failed) = run.sample_totals();
        let phases = numbers::phases(run);
        let complete = phases.len() == run.phases.len() && phases.iter().all(|phase| phase.done);
        Some(Self {
            run: started.run.clone(),
            scenario: started.scenario.clone(),
            cell: started.cell.clone(),
            conditions: conditions(started),
            wall: started.wall,
            ferry: started.ferry.clone(),
            images: started.host.get("images").cloned().unwrap_or_default(),
            verdict: judgement.verdict,
            as_expected: judgement.as_expected,
            total_ns: run.known_until(),
            work_ns: complete.then(|| work(run)),
            taken,
            failed,
            longest_outage_ns: run.outages().iter().map(|(_, outage)| outage.span.len()).max(),
            phases,
            probes: numbers::probes(run),
        })
    }

    /// Whether its numbers say something about the scenario: those of a run that was cancelled, or whose lab broke, do not.
    pub fn is_comparable(&self) -> bool {
        !matches!(self.verdict, Verdict::Cancelled | Verdict::Infra)
    }
}

fn conditions(started: &RunStarted) -> String {
    let cores = started.host.get("cores").map(|cores| format!("{cores} cores"));
    let proof = started.self_proof.then(|| "self-proof".to_owned());
    [cores, proof, started.host.get("set").cloned()].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The time from command to verdict without that of [`SET_UP`], and of phases that last as long as they are told to.
fn work(run: &RunState) -> Nanos {
    let until = run.known_until();
    let span = |from: Nanos, to: Option<Nanos>| Interval::new(from, to.unwrap_or(until).min(until));
    let set_up = run.activities.iter().filter(|a| SET_UP.contains(&a.name.as_str()));
    let waiting = run.phases.iter().filter(|p| p.info.role != Default::default());
    let left_out: IntervalSet = set_up
        .map(|a| span(a.started, a.ended))
        .chain(waiting.filter_map(|p| Some(span(p.started?, p.ended))))
        .collect();
    until.saturating_sub(left_out.total())
}

/// Where the history is: the file that was named, or the one beside the runs.
pub fn file(named: Option<&Path>, reports: &Path) -> PathBuf {
    named.map_or_else(|| reports.join(FILE), Path::to_path_buf)
}

/// Compares a run that has just been judged with earlier ones, says so in its record, and keeps it for later ones.
pub(crate) async fn remember(recorder: &Recorder, judgement: &Judgement, file: PathBuf) {
    let warn = |what: String| {
        let message = format!("this run is not compared with earlier ones, nor kept for later ones: {what}");
        recorder.emit(EventKind::Log { level: Level::Warn, message });
    };
    let judgement = judgement.clone();
    let Some(Some(entry)) = recorder.ask(move |run| Entry::of(run, &judgement)).await else {
        return warn("its record has no beginning".into());
    };
    let work = tokio::task::spawn_blocking(move || compare_and_keep(&entry, &file));
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(Ok(Ok(Some(trend)))) => trend.facts().iter().for_each(|(key, says)| recorder.fact(key, says)),
        Ok(Ok(Ok(None))) => {}
        Ok(Ok(Err(error))) => warn(edge::chain(&error)),
        Ok(Err(panic)) => warn(panic.to_string()),
        Err(_) => warn(format!("the history did not answer within {DEADLINE:?}")),
    }
}

fn compare_and_keep(entry: &Entry, file: &Path) -> Result<Option<Trend>, StoreError> {
    let mut store = Store::open(file)?;
    // Read and written as one: of two runs that end together, one sees the other.
    let earlier = store.add(entry, WINDOW)?;
    Ok(entry.is_comparable().then(|| trend::trend(entry, &earlier)))
}

impl Trend {
    /// As facts of the run's record, where every report finds them.
    fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![(HISTORY.to_owned(), self.whole())];
        facts.extend(self.parts().map(|parts| (format!("{HISTORY}.parts"), parts)));
        facts
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A run that passed: 60 s with 10 s of set-up, one probe.
    pub(crate) fn entry(run: &str) -> Entry {
        let phase =
            |phase: &str, seconds: u64| PhaseTime { phase: phase.into(), took_ns: seconds * 1_000_000_000, done: true };
        Entry {
            run: run.into(),
            scenario: "single-tenant/official".into(),
            cell: "k8s_1_34::kind".into(),
            conditions: "2 cores".into(),
            wall: "2026-11-21T12:00:00Z".parse().unwrap(),
            ferry: "0.1.0".into(),
            images: "auto".into(),
            verdict: Verdict::Pass,
            as_expected: true,
            total_ns: 60_000_000_000,
            work_ns: Some(50_000_000_000),
            taken: 400,
            failed: 0,
            longest_outage_ns: None,
            phases: vec![phase("bootstrap", 20), phase("take over", 10)],
            probes: vec![ProbeNumbers {
                probe: "web/outside/new".into(),
                taken: 400,
                failed: 0,
                outages: 0,
                longest_outage_ns: None,
                p50_us: Some(1_200),
                p99_us: Some(4_000),
                max_us: Some(9_000),
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_probe::Clock;
    use ferry_record::Event;
    use ferry_record::codec::RecordWriter;
    use ferry_record::event::{Outcome, PhaseInfo, PhaseRole};
    use ferry_record::redact::Redactor;
    use ferry_record::verdict::judge_live;

    use crate::run::recorder;
    use crate::view::View;

    const SECOND: Nanos = 1_000_000_000;

    struct Blind;

    impl View for Blind {
        fn event(&mut self, _: &Event, _: &RunState) {}
        fn tick(&mut self, _: Nanos, _: &RunState) {}
        fn close(&mut self, _: &RunState) {}
    }

    /// 60 s: 10 of them bundle, 5 of them quiet.
    fn events(run: &str, outcome: Outcome) -> Vec<Event> {
        let phase = |name: &str, role| PhaseInfo {
            name: name.into(),
            budget: Default::default(),
            steps: 0,
            role,
            changes: vec![],
        };
        let frame = RunStarted {
            format: 1,
            run: run.into(),
            scenario: "a/b".into(),
            summary: "s".into(),
            cell: "k8s_1_34::kind".into(),
            ferry: "0.1.0".into(),
            wall: "2026-11-21T12:00:00Z".parse().unwrap(),
            clusters: vec![],
            phases: vec![phase("bootstrap", PhaseRole::Scenario), phase("quiet", PhaseRole::Quiet)],
            invariants: vec![],
            rules: vec![],
            flux_namespace: "flux-system".into(),
            self_proof: true,
            expect: None,
            host: [("cores", "2"), ("images", "source"), ("set", "auth=http")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
        };
        let done = || Outcome::Done;
        let events = [
            (0, EventKind::RunStarted(Box::new(frame))),
            (2, EventKind::ActivityStarted { activity: "bundle".into() }),
            (12, EventKind::ActivityEnded { activity: "bundle".into(), error: None }),
            (20, EventKind::PhaseStarted { phase: 0 }),
            (40, EventKind::PhaseEnded { phase: 0, outcome }),
            (40, EventKind::PhaseStarted { phase: 1 }),
            (45, EventKind::PhaseEnded { phase: 1, outcome: done() }),
            (60, EventKind::Fact { key: "k".into(), value: "v".into() }),
        ];
        events.map(|(t, kind)| Event { t: t * SECOND, kind }).into()
    }

    fn entry(outcome: Outcome) -> Entry {
        let run: RunState = events("r", outcome).iter().collect();
        Entry::of(&run, &judge_live(&run)).unwrap()
    }

    #[test]
    fn set_up_and_quiet_are_no_work() {
        let entry = entry(Outcome::Done);
        assert_eq!((entry.total_ns, entry.work_ns), (60 * SECOND, Some(45 * SECOND)));
        assert_eq!(entry.conditions, "2 cores, self-proof, auth=http");
        assert_eq!(entry.images, "source");
    }

    #[test]
    fn the_work_of_a_run_that_stopped_half_way_is_not_known() {
        let failed = Outcome::Failed { error: "e".into(), hint: None };
        assert_eq!(entry(failed).work_ns, None);
    }

    #[test]
    fn a_record_without_a_frame_is_not_kept() {
        let run = RunState::default();
        assert_eq!(Entry::of(&run, &judge_live(&run)), None);
    }

    /// The state of a run that is kept in `file` at its end.
    async fn remembered(run: &str, file: &Path) -> RunState {
        let redactor = Redactor::default();
        let record = RecordWriter::new(Vec::new(), redactor.clone());
        let (recorder, dispatcher) =
            recorder::start(Clock::start(), redactor, record, Box::new(Blind), Default::default()).unwrap();
        events(run, Outcome::Done).into_iter().for_each(|event| recorder.emit(event.kind));
        let judgement = recorder.judge().await.unwrap();
        remember(&recorder, &judgement, file.to_path_buf()).await;
        dispatcher.close().state
    }

    #[tokio::test]
    async fn a_run_says_how_many_came_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(None, folder.path());
        let says = async |run| remembered(run, &file).await.facts[HISTORY].clone();
        // No probe sampled, so that these runs are inconclusive: nothing to compare with.
        assert_eq!(says("20261121-120000-bcdf").await, "no history yet");
        assert_eq!(says("20261121-120100-bcdf").await, "no history yet");
        let store = Store::open_existing(&file).unwrap().unwrap();
        assert_eq!(store.newest(None, 20).unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_history_that_cannot_be_used_is_a_warning_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(None, folder.path());
        fs_err::create_dir_all(&file).unwrap();
        let run = remembered("20261121-120000-bcdf", &file).await;
        assert!(!run.facts.contains_key(HISTORY));
        assert!(run.infra.is_empty());
        let [warning] = run.log.as_slice() else { panic!("{:?}", run.log) };
        assert_eq!(warning.level, Level::Warn);
        assert!(warning.message.starts_with("this run is not compared with earlier ones"), "{}", warning.message);
    }
}
