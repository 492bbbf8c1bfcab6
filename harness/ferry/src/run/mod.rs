//! One run of one scenario: from its file to a verdict and a clean machine.

pub mod course;
pub mod executor;
pub mod fleet;
pub mod probing;
pub mod recorder;
pub mod stage;
pub mod stock;
mod teardown;
mod watchdog;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ferry_lab::bundle;
use ferry_lab::engine::Engine;
use ferry_lab::reaper::Reaper;
use ferry_lab::run::RunScope;
use ferry_probe::Clock;
use ferry_record::codec::RecordWriter;
use ferry_record::event::{ClusterInfo, Expectation, Level, OwnRule, RunStarted};
use ferry_record::redact::Redactor;
use ferry_record::{EventKind, Judgement, Verdict};
use ferry_scenario::model::ExpectedVerdict;
use ferry_scenario::text::Name;
use ferry_scenario::{Scenario, Spanned};
use tokio_util::sync::CancellationToken;

use crate::cli::{Keep, RunArgs};
use crate::cluster::Cluster;
use crate::commands::doctor;
use crate::commands::trials::Loaded;
use crate::edge::{Exit, Problem};
use crate::history;
use crate::view::Screen;
use crate::view::bars::{Bars, word};
use crate::watches;
use course::{Frame, Stretch};
use executor::{Executor, Site};
use fleet::{FLUX_SYSTEM, Fleet};
use recorder::{Dispatcher, Recorder};
use stage::{Plot, Stage};
use stock::Stock;

/// What a run left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its folder, with record and reports.
    pub folder: PathBuf,
    /// Its verdict.
    pub judgement: Judgement,
    /// What the tear-down could not remove.
    pub left: Vec<String>,
}

impl Finished {
    /// The exit code: the verdict's, except that a pass with leftovers is not clean.
    pub fn exit(&self) -> Exit {
        match self.judgement.verdict {
            _ if self.judgement.as_expected && self.left.is_empty() => Exit::Pass,
            _ if self.judgement.as_expected => Exit::Infra,
            Verdict::Pass | Verdict::Fail => Exit::Fail,
            Verdict::Infra => Exit::Infra,
            Verdict::Inconclusive => Exit::Inconclusive,
            Verdict::Cancelled => Exit::Cancelled,
        }
    }
}

/// Runs a scenario that parses and lints. Errors are of things that come before the record exists; everything after that
/// is in the record and its verdict.
pub async fn run(scenario: &Loaded, arguments: &RunArgs, ferry: &Path, screen: &Screen) -> Result<Finished, Problem> {
    let scope = RunScope::create(&arguments.reports).map_err(|e| {
        Problem::infra("the run's folder cannot be made").because(e).hint("name another with --reports".to_string())
    })?;
    let folder = scope.dir.clone();
    let clock = Clock::start();
    let redactor = Redactor::default();
    let record = RecordWriter::create(&folder, redactor.clone())
        .map_err(|e| Problem::infra("the record cannot be written").hint(e.hint().map(String::from)).because(e))?;
    let cancel = CancellationToken::new();
    let (recorder, dispatcher) = recorder::start(clock, redactor, record, screen.view(), cancel.clone())
        .map_err(|e| Problem::infra("the record's thread cannot be started").because(e))?;
    let signals = crate::signals::listen(cancel.clone(), Some(recorder.clone()))
        .map_err(|e| Problem::infra("signals cannot be listened to").because(e))?;

    recorder.emit(EventKind::RunStarted(Box::new(frame(scenario, &scope, arguments))));
    for rule in scenario.scenario.invariants.iter().filter_map(|judged| judged.known()) {
        if !Frame::is_judged(rule, &scenario.scenario, &arguments.proof) {
            let message = format!("{rule} is not judged: `--quick` leaves out the quiet phase that it compares with");
            recorder.fact("not judged", &format!("{rule} (--quick)"));
            recorder.emit(EventKind::Log { level: Level::Warn, message });
        }
    }
    let mut lab = Lab::default();
    let job = Job { scenario, arguments, ferry, scope: &scope, recorder: &recorder, cancel: &cancel, screen };
    if let Err(problem) = job.migrate(&mut lab).await {
        recorder.infra(&problem);
    }
    let history = history::file(arguments.history.as_deref(), &arguments.reports);
    finish(scope, arguments.keep, history, recorder, dispatcher, lab, signals).await
}

/// What of the lab exists, for the tear-down.
#[derive(Debug, Default)]
struct Lab {
    engine: Option<Engine>,
    plot: Option<Plot>,
    stage: Option<Stage>,
    reaper: Option<Reaper>,
}

/// Everything that a run is told and speaks through.
struct Job<'a> {
    scenario: &'a Loaded,
    arguments: &'a RunArgs,
    ferry: &'a Path,
    scope: &'a RunScope,
    recorder: &'a Recorder,
    cancel: &'a CancellationToken,
    screen: &'a Screen,
}

impl Job<'_> {
    /// From the machine as it is to the last phase. Errors are the lab's; what the migration did wrong is in the record.
    async fn migrate(&self, lab: &mut Lab) -> Result<(), Problem> {
        let Job { scenario, recorder, cancel, .. } = *self;
        let built = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            built = self.build(lab) => built?,
        };
        let _watchdog = watchdog::start(built, recorder.clone(), cancel.clone());
        let Some(stage) = &lab.stage else { return Ok(()) };
        let mut sites = vec![];
        for stage in stage.all() {
            let cluster = Cluster::connect(stage.kubeconfig()).await;
            let cluster = cluster.map_err(|e| Problem::infra("the new cluster").because(e))?;
            let recorder = if sites.is_empty() { recorder.clone() } else { recorder.beside(stage.name()) };
            sites.push(Site { stage, cluster, recorder });
        }
        let watch = |site: &Site<'_>| {
            watches::start(site.cluster.client.clone(), site.recorder.clone(), FLUX_SYSTEM, cancel.clone())
        };
        let watches: Vec<_> = sites.iter().map(watch).collect();
        let fleet = Fleet::of(stage.toolbox());
        // Ends in order when it is cancelled, so that the last samples are in the record.
        let frame = Frame::of(&scenario.scenario, &self.arguments.proof);
        Executor::new(&scenario.scenario, &sites, &fleet, recorder, cancel.clone(), frame).run().await;
        futures::future::join_all(watches.into_iter().map(watches::Watches::stop)).await;
        Ok(())
    }

    /// Everything up to a lab that is ready for its scenario; what stands is in `lab` even when this is dropped half-way.
    async fn build(&self, lab: &mut Lab) -> Result<Engine, Problem> {
        let Job { scenario, arguments, ferry, scope, recorder, cancel, screen } = *self;
        let bundle = bundle::load()?;
        let folder = scenario.folder.as_path();
        let profile = stock::profile(folder, &scenario.scenario, &scenario.cell)?;
        let images = &scenario.plan.needs.images;
        let stock = Stock::of(&scenario.scenario, &scenario.cell, &profile, images, &bundle)?;
        stock.can_be_had(&scenario.scenario, &bundle, arguments.images.images)?;
        let ready = doctor::ready(&arguments.images, arguments.provision, &bundle, &stock.components, recorder);
        let engine = recorder.activity("doctor", ready).await?;
        lab.engine = Some(engine.clone());
        recorder.fact("engine", &engine.info().version);
        recorder.activity("sweep", teardown::sweep(&engine, recorder)).await?;

        let prepared = recorder
            .activity("bundle", async {
                let names: Vec<&str> = stock.components.iter().map(String::as_str).collect();
                let bars = Bars::new(screen, Some(recorder.clone()));
                let options = arguments.images.options();
                bundle::prepare(&engine, &bundle, &names, &options, &bars, cancel).await.map_err(Problem::from)
            })
            .await?;
        for fact in prepared.facts() {
            let origin = fact.digest.as_ref().or(fact.image_id.as_ref()).unwrap_or(&fact.key);
            recorder.fact(&fact.name, &format!("{} ({}, {origin})", fact.version, word(fact.way)));
        }

        lab.reaper = Some(teardown::start_reaper(ferry, scope)?);
        let work = async {
            let plot =
                lab.plot.insert(Plot::stake(&engine, scope, prepared, profile, stock, &scenario.scenario).await?);
            plot.build(folder, &scenario.scenario, recorder).await
        };
        lab.stage = Some(recorder.activity("cluster", work).await?);
        Ok(engine)
    }
}

/// Judges, removes what the run made, and writes the reports.
async fn finish(
    scope: RunScope,
    keep: Keep,
    history: PathBuf,
    recorder: Recorder,
    dispatcher: Dispatcher,
    mut lab: Lab,
    signals: tokio::task::JoinHandle<()>,
) -> Result<Finished, Problem> {
    let judgement = recorder.judge().await.ok_or_else(|| Problem::infra("the record's thread ended early"))?;
    // After it: a signal that comes while the history is asked must not make the record disagree with its verdict.
    history::remember(&recorder, &judgement, history).await;

    let stays = match keep {
        Keep::Never => false,
        Keep::OnFailure => !judgement.as_expected && judgement.verdict != Verdict::Cancelled,
        Keep::Always => true,
    };
    let mut left = vec![];
    if let Some(engine) = &lab.engine {
        let worth_a_look = !judgement.as_expected && judgement.verdict != Verdict::Cancelled;
        if let (Some(plot), true) = (&lab.plot, worth_a_look) {
            let (provider, stage) = (plot.provider.as_ref(), lab.stage.as_ref());
            teardown::collect_logs(provider, &plot.clusters, stage, &scope, &recorder).await;
        }
        if stays {
            teardown::keep(engine, &scope, lab.stage.as_ref(), &recorder).await;
        } else {
            left = teardown::tear_down(engine, &scope, &recorder).await;
        }
        // A kept cluster must outlive its run; what could not be removed is the reaper's to try again.
        if let Some(reaper) = lab.reaper.take().filter(|_| left.is_empty()) {
            reaper.dismiss().map_err(|e| Problem::infra("the run's reaper could not be ended").because(e))?;
        }
    }
    // What these handles guard is gone, or is to stay.
    std::mem::forget(lab.stage.take());
    recorder.emit(EventKind::RunEnded);
    signals.abort();
    let closed = dispatcher.close();
    if let Some(error) = closed.write_error {
        let hint = error.hint().map(String::from);
        return Err(Problem::infra(format!("the record in {} is not complete", scope.dir.display()))
            .because(error)
            .hint(hint));
    }
    ferry_record::report::write(&scope.dir, &closed.state, &judgement).map_err(|e| {
        Problem::infra(format!("the reports in {} could not be written", scope.dir.display()))
            .because(e)
            .hint(format!("the record is complete: `ferry report {}` writes them again", scope.id.as_str()))
    })?;
    Ok(Finished { folder: scope.dir, judgement, left })
}

/// The record's first line: enough to judge the run without the scenario file.
fn frame(loaded: &Loaded, scope: &RunScope, arguments: &RunArgs) -> RunStarted {
    let scenario = &loaded.scenario;
    let around = Frame::of(scenario, &arguments.proof);
    let expect = scenario.expect.as_ref().map(|expect| Expectation {
        verdict: match expect.verdict.value {
            ExpectedVerdict::Pass => Verdict::Pass,
            ExpectedVerdict::Fail => Verdict::Fail,
            ExpectedVerdict::Inconclusive => Verdict::Inconclusive,
            ExpectedVerdict::Infra => Verdict::Infra,
        },
        rule: expect.rule.as_ref().map(|rule| rule.value.clone()),
        holds: expect.holds.iter().map(|rule| rule.value.clone()).collect(),
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut host: BTreeMap<String, String> = [
        ("cores", cores.to_string()),
        ("kernel", kernel()),
        ("images", format!("{:?}", arguments.images.images).to_lowercase()),
    ]
    .map(|(key, value)| (key.into(), value))
    .into();
    // Cells name only what the matrix varies.
    let set: Vec<_> = arguments.select.sets().iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !set.is_empty() {
        host.insert("set".into(), set.join(", "));
    }
    RunStarted {
        format: ferry_record::event::FORMAT,
        run: scope.id.as_str().into(),
        scenario: loaded.name.clone(),
        summary: scenario.summary.value.clone(),
        cell: loaded.cell.to_string(),
        ferry: env!("CARGO_PKG_VERSION").into(),
        wall: jiff::Timestamp::now(),
        clusters: clusters(scenario),
        phases: around.course(scenario).iter().map(Stretch::info).collect(),
        invariants: scenario
            .invariants
            .iter()
            .filter_map(|judged| judged.known())
            .filter(|rule| Frame::is_judged(*rule, scenario, &arguments.proof))
            .map(|rule| rule.as_str().into())
            .collect(),
        rules: scenario.invariants.iter().filter_map(|i| i.own()).map(own_rule).collect(),
        flux_namespace: FLUX_SYSTEM.into(),
        self_proof: around.self_proof,
        expect,
        host,
    }
}

/// The run's clusters with the probes that ask them, where there are several.
fn clusters(scenario: &Scenario) -> Vec<ClusterInfo> {
    let of = |name: &Spanned<Name>| {
        let probes = scenario.probes.iter().filter(|probe| scenario.asked(probe) == Some(&name.value));
        ClusterInfo { name: name.to_string(), probes: probes.map(|probe| probe.name().to_string()).collect() }
    };
    scenario.clusters.iter().map(of).collect()
}

/// A rule of the scenario's own, as the record keeps it.
fn own_rule(rule: &ferry_scenario::model::OwnRule) -> OwnRule {
    OwnRule { name: rule.name.to_string(), cel: rule.cel.value.clone() }
}

fn kernel() -> String {
    let read = |path: &str| fs_err::read_to_string(Path::new(path)).unwrap_or_default().trim().to_string();
    read("/proc/sys/kernel/osrelease")
}
