//! What the tests that need Docker have in common.
#![allow(dead_code, reason = "each test binary uses its share")]

use std::sync::Arc;

use ferry_lab::bundle::{self, Options, Silent};
use ferry_lab::engine::Engine;
use ferry_lab::gc;
use ferry_lab::run::RunScope;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A run on the local engine, whose folder goes with it.
pub struct Lab {
    pub engine: Engine,
    pub run: RunScope,
    out: Arc<TempDir>,
}

impl Lab {
    pub async fn new() -> Self {
        let engine = Engine::connect().await.unwrap();
        let out = tempfile::tempdir().unwrap();
        let run = RunScope::create(out.path()).unwrap();
        Self { engine, run, out: Arc::new(out) }
    }

    /// Another run on the same engine, as if of a process that has died.
    pub fn with_dead_owner(&self) -> Self {
        let mut run = RunScope::create(self.out.path()).unwrap();
        run.owner.start = "1".into();
        Self { engine: self.engine.clone(), run, out: self.out.clone() }
    }

    /// Removes all of the run, which must work.
    pub async fn teardown(self) {
        let swept = gc::teardown(&self.engine, &self.run.id).await.unwrap();
        assert!(swept.is_clean(), "{swept:?}");
    }

    /// What the engine holds of the run, as text.
    pub async fn things(&self) -> Vec<String> {
        let found = gc::find(&self.engine).await.unwrap();
        let mine = found.into_iter().filter(|found| found.run == self.run.id.as_str());
        mine.flat_map(|found| found.things).map(|thing| thing.to_string()).collect()
    }

    /// The bundle's image of a component; `FERRY_IMAGE_<COMPONENT>` names another.
    pub async fn image(&self, component: &str) -> String {
        if let Ok(image) = std::env::var(format!("FERRY_IMAGE_{}", component.to_uppercase().replace(['-', '.'], "_"))) {
            return image;
        }
        let bundle = bundle::load().unwrap();
        let cancel = CancellationToken::new();
        let prepared =
            bundle::prepare(&self.engine, &bundle, &[component], &Options::default(), &Silent, &cancel).await.unwrap();
        prepared.image(component).unwrap().to_owned()
    }
}
