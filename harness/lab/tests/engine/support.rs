//! What the trials have in common.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use ferry_lab::bundle::{self, Images, Options, Prepared, Silent};
use ferry_lab::doctor::{self, Needs, Style, provision};
use ferry_lab::engine::Engine;
use ferry_lab::gc;
use ferry_lab::labels::Viewpoint;
use ferry_lab::reaper::{self, Reaper};
use ferry_lab::run::{RunId, RunScope};
use futures::FutureExt;
use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The components whose images the trials start. What makes them must not be made in the midst of a trial.
const WANTED: [&str; 5] = ["busybox-image", "gitserver", "node-1.34.4-lab", "registry-image", "toolbox"];

/// The images of [`WANTED`], or why no trial can start. Looked at by the first trial that runs.
static READY: OnceLock<Result<Prepared, String>> = OnceLock::new();

/// Lists async functions as a module's trials.
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$(crate::support::on_engine(module_path!(), stringify!($test), $test)),*]
        }
    };
}

/// A trial that needs the engine.
pub fn on_engine<F: Future<Output = ()> + 'static>(module: &str, name: &str, test: fn() -> F) -> Trial {
    let module = module.rsplit("::").next().unwrap_or(module);
    let ignored = std::env::var("FERRY_CLUSTER").is_ok_and(|value| value == "0");
    let run = move || {
        READY.get_or_init(|| block_on(ready())).as_ref().map_err(Failed::from)?;
        block_on(test());
        Ok(())
    };
    Trial::test(format!("{module}::{name}"), run).with_ignored_flag(ignored)
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

/// Makes sure that trials can start, as every run of a scenario does, and gets their images.
async fn ready() -> Result<Prepared, String> {
    let asked = std::env::var("FERRY_PROVISION").is_ok_and(|value| !value.is_empty() && value != "0");
    let bundle = bundle::load().map_err(|error| error.to_string())?;
    let images = match options().images {
        _ if cached(&bundle).await => doctor::Images::Cached,
        Images::Auto => doctor::Images::Auto,
        Images::Registry => doctor::Images::Registry,
        Images::Source => doctor::Images::Source,
    };
    let needs = Needs { images, cache: bundle::default_root(), ..Needs::default() };
    let (report, _) = provision::look(&needs, asked, &|step| eprintln!("{step:?}")).await.map_err(|error| {
        let hint = error.hint();
        format!("{error}; {hint}")
    })?;
    if !report.ready() {
        return Err(format!(
            "this machine cannot run the lab yet (FERRY_PROVISION=1 mends what can be, FERRY_CLUSTER=0 leaves these \
             tests out):\n{}",
            report.text(Style::Plain)
        ));
    }
    let engine = Engine::connect().await.map_err(|error| error.to_string())?;
    let prepared = bundle::prepare(&engine, &bundle, &WANTED, &options(), &Silent, &CancellationToken::new()).await;
    prepared.map_err(|error| error.to_string())
}

/// Whether all images are there. Without an engine they are not.
async fn cached(bundle: &bundle::Bundle) -> bool {
    let Ok(engine) = Engine::connect().await else { return false };
    let Ok(listed) = bundle::list(&engine, bundle, &options()).await else { return false };
    listed.iter().filter(|row| WANTED.contains(&row.name.as_str())).all(|row| row.cached.is_some())
}

/// `FERRY_IMAGES`, as for `ferry run`.
fn options() -> Options {
    let images = match std::env::var("FERRY_IMAGES").unwrap_or_default().as_str() {
        "source" => Images::Source,
        "registry" => Images::Registry,
        _ => Images::Auto,
    };
    Options { images, ..Options::default() }
}

/// A run of a trial's own on the engine, and further ones where a trial asks for them.
pub struct Lab {
    pub engine: Engine,
    pub run: RunScope,
    /// A place that no other process is at. Runs that are owned there can be judged from there alone: no sweep from
    /// elsewhere touches them, and a sweep from there touches nothing else.
    pub here: Viewpoint,
    out: TempDir,
    watched: Mutex<Vec<(RunId, Reaper)>>,
}

impl Lab {
    /// Runs `test`, and removes what it made whatever becomes of it; if it is killed, reapers do.
    pub async fn with(test: impl AsyncFnOnce(&Self)) {
        let engine = Engine::connect().await.unwrap();
        let out = tempfile::tempdir().unwrap();
        let here = Viewpoint { host: format!("trial/{}", out.path().display()), ..Viewpoint::here() };
        let (run, reaper) = watched(out.path(), &here);
        let lab = Self { engine, here, out, watched: Mutex::new(vec![(run.id.clone(), reaper)]), run };
        let outcome = AssertUnwindSafe(test(&lab)).catch_unwind().await;
        let mut left = Vec::new();
        for (run, reaper) in lab.watched.into_inner().unwrap() {
            left.extend(gc::teardown(&lab.engine, &run).await.unwrap().left);
            reaper.dismiss().unwrap();
        }
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
        assert_eq!(left, []);
    }

    /// Another run on the same engine.
    pub fn another_run(&self) -> RunScope {
        let (run, reaper) = watched(self.out.path(), &self.here);
        self.watched.lock().unwrap().push((run.id.clone(), reaper));
        run
    }

    /// Another run on the same engine, as if of a process that has died.
    pub fn dead_run(&self) -> RunScope {
        let mut run = self.another_run();
        run.owner.start = "1".into();
        run
    }

    /// What the engine holds of a run, as text.
    pub async fn things(&self, run: &RunId) -> Vec<String> {
        things(&self.engine, run.as_str()).await
    }

    /// The bundle's image of a component.
    pub fn image(&self, component: &str) -> &'static str {
        READY.get().unwrap().as_ref().unwrap().image(component).unwrap()
    }
}

/// A run of this process, with a reaper, that says it is owned from somewhere else.
fn watched(out: &Path, here: &Viewpoint) -> (RunScope, Reaper) {
    let mut run = RunScope::create(out).unwrap();
    let reaper = reaper::spawn(&std::env::current_exe().unwrap(), &run).unwrap();
    run.owner.host.clone_from(&here.host);
    (run, reaper)
}

/// What the engine holds of a run, as text.
pub async fn things(engine: &Engine, run: &str) -> Vec<String> {
    let found = gc::find(engine).await.unwrap();
    let mine = found.into_iter().filter(|found| found.run == run);
    mine.flat_map(|found| found.things).map(|thing| thing.to_string()).collect()
}
