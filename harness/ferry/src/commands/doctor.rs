//! `ferry doctor`, and the same look that every run begins with.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::process::ExitCode;

use ferry_lab::bundle::{self, Bundle};
use ferry_lab::doctor::provision::{Started, Step, Stopped};
use ferry_lab::doctor::{self, GIB, Needs, Report, Style};
use ferry_lab::engine::Engine;
use ferry_record::EventKind;
use ferry_record::event::Level;

use crate::cli::ImageArgs;
use crate::edge::{Exit, Problem};
use crate::run::recorder::Recorder;

/// What a single-node cluster with all controllers has been seen to write, doubled.
const CLUSTER_BYTES: u64 = 4 * GIB;

/// Looks at the machine, and mends it when asked to.
pub async fn command(provision: bool, stop: bool, json: bool, images: &ImageArgs) -> Result<ExitCode, Problem> {
    if stop {
        return stop_engine().await;
    }
    let needs = needs(images);
    let report = look(&needs, provision, &|line| eprintln!("{line}")).await?;
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(|e| Problem::infra("the findings").because(e))?;
        println!("{text}");
    } else {
        let style = if std::io::stdout().is_terminal() { Style::Fancy } else { Style::Plain };
        print!("{}", report.text(style));
    }
    Ok(if report.ready() { Exit::Pass } else { Exit::Infra }.into())
}

/// Makes sure that a run that needs the `wanted` components can start, mending the machine when asked to, and connects to
/// the engine.
pub async fn ready(
    images: &ImageArgs,
    provision: bool,
    bundle: &Bundle,
    wanted: &[String],
    recorder: &Recorder,
) -> Result<Engine, Problem> {
    let mut needs = needs(images);
    if images.mirror.is_none() {
        let hosts =
            pulled_only(bundle, wanted).filter(|host| !needs.registries.contains(host)).collect::<BTreeSet<_>>();
        needs.registries.extend(hosts);
    }
    match missing(images, bundle, wanted).await {
        Some((0, _)) => needs = Needs { images: doctor::Images::Cached, engine_bytes: CLUSTER_BYTES, ..needs },
        // A build that goes on where an earlier one ended needs the rest of the room.
        Some((missing, all)) => needs.build_bytes = needs.build_bytes * missing / all,
        None => {}
    }
    let say = |line: &str| recorder.emit(EventKind::Log { level: Level::Info, message: line.into() });
    let report = look(&needs, provision, &say).await?;
    if !report.ready() {
        return Err(Problem::infra("this machine cannot run scenarios yet")
            .because(in_the_way(&report))
            .hint(remedies(&report)));
    }
    engine().await
}

/// Connects to the engine, whatever else the machine lacks.
pub async fn engine() -> Result<Engine, Problem> {
    Engine::connect().await.map_err(|e| {
        let hint = e.hint();
        Problem::infra("the engine cannot be reached").because(e).hint(hint)
    })
}

fn needs(images: &ImageArgs) -> Needs {
    let mut needs = Needs { images: images.images.into(), cache: bundle::default_root(), ..Needs::default() };
    if let Some(mirror) = &images.mirror {
        needs.registries = vec![mirror.split('/').next().unwrap_or(mirror).to_string()];
    }
    needs
}

/// The registries of what cannot be built.
fn pulled_only<'a>(bundle: &'a Bundle, wanted: &'a [String]) -> impl Iterator<Item = String> + 'a {
    let wanted = wanted.iter().filter_map(|name| bundle.components.get(name));
    let pulled =
        wanted.filter(|component| component.source.is_none()).filter_map(|component| component.registry.as_ref());
    pulled.filter_map(|registry| registry.reference.split('/').next().map(str::to_owned))
}

/// How many components are missing of how many: none if all the `wanted` ones are there, whatever they are made of. Where
/// there is no engine yet, nothing can be said.
async fn missing(images: &ImageArgs, bundle: &Bundle, wanted: &[String]) -> Option<(u64, u64)> {
    let engine = Engine::connect().await.ok()?;
    let listed = bundle::list(&engine, bundle, &images.options()).await.ok()?;
    let is_missing = |row: &&bundle::Listed| row.cached.is_none();
    if listed.iter().filter(is_missing).all(|row| !wanted.contains(&row.name)) {
        return Some((0, listed.len() as u64));
    }
    Some((listed.iter().filter(is_missing).count() as u64, listed.len() as u64))
}

/// Looks at the machine and, where `mend` says so, mends it, telling what it does.
async fn look(needs: &Needs, mend: bool, say: &(dyn Fn(&str) + Send + Sync)) -> Result<Report, Problem> {
    let progress = |step: Step| match step {
        Step::Begins(what) => say(&format!("provision: {what}")),
        Step::Done { what, took } => say(&format!("provision: {what} done in {:.1} s", took.as_secs_f64())),
        Step::Note(note) => say(&format!("provision: {note}")),
    };
    let (report, done) = doctor::provision::look(needs, mend, &progress).await.map_err(|e| {
        let hint = e.hint();
        Problem::infra("this machine could not be provisioned").because(e).hint(hint)
    })?;
    if let Some(Started::Process { .. }) = done.engine {
        say("provision: Docker Engine runs until `ferry doctor --stop-engine` or the next boot");
    }
    Ok(report)
}

/// The findings that stand in the way, in one line.
fn in_the_way(report: &Report) -> String {
    report.blocking().map(|finding| format!("{}: {}", finding.check, finding.observed)).collect::<Vec<_>>().join("; ")
}

/// What to do about them.
fn remedies(report: &Report) -> String {
    let remedies =
        report.blocking().filter_map(|finding| finding.remedy.as_ref()).map(|remedy| match &remedy.command {
            Some(command) => format!("{} ($ {})", remedy.text, command.lines().collect::<Vec<_>>().join("; ")),
            None => remedy.text.clone(),
        });
    let mendable = if report.fixes().is_empty() { "" } else { "; FERRY_PROVISION=1 does it" };
    format!("{}{mendable}; `ferry doctor` shows everything it looked at", remedies.collect::<Vec<_>>().join("; "))
}

async fn stop_engine() -> Result<ExitCode, Problem> {
    let stopped = doctor::stop_engine().await.map_err(|e| Problem::infra("the engine was not stopped").because(e))?;
    match stopped {
        Stopped::Stopped { pid } => println!("stopped the Docker Engine with process id {pid}"),
        Stopped::NotOurs => println!("no engine runs that ferry has started; nothing was done"),
    }
    Ok(Exit::Pass.into())
}
