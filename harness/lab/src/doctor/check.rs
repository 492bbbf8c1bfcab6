//! What a check is.

use std::fmt::Debug;

use crate::{
    doctor::{Finding, Fix, Images, Machine, Needs, Probes, Remedy, Status},
    engine::EngineInfo,
};

/// One thing to look at. A new check is one file and one line in [`CHECKS`](crate::doctor::CHECKS).
pub trait Check: Debug + Sync {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// Why it matters, in a sentence for people who have never heard of it.
    fn why(&self) -> &'static str;
    /// Looks.
    fn look(&self, cx: &Context<'_>) -> Outcome;

    /// Looks and writes down what was found.
    fn find(&self, cx: &Context<'_>) -> Finding {
        let Outcome { status, observed, remedy, fixes } = self.look(cx);
        Finding { check: self.name(), status, observed, why: self.why(), remedy, fixes }
    }
}

/// All that a check may look at.
#[derive(Debug)]
pub struct Context<'a> {
    /// What the run needs.
    pub needs: &'a Needs,
    /// This machine.
    pub machine: &'a dyn Machine,
    /// What engine and registries answered.
    pub probes: &'a Probes,
}

impl<'a> Context<'a> {
    /// The engine's facts, where one answers.
    pub fn engine(&self) -> Option<&'a EngineInfo> {
        self.probes.engine.as_ref().ok()
    }

    /// Whether this machine's kernel and file system are (or would be) the engine's: it is here, or none answers yet on a Linux.
    pub fn engine_here(&self) -> bool {
        self.engine().map_or(self.machine.os() == "linux", |engine| engine.local)
    }

    /// Whether the images have to be built here.
    pub fn builds(&self) -> bool {
        match self.needs.images {
            Images::Source => true,
            Images::Auto => !self.probes.registries_answer(),
            Images::Cached | Images::Registry => false,
        }
    }

    /// The fixes that install what is missing of `(program, Debian package)`. None where provisioning may not act.
    pub fn packages(&self, wanted: &[(&str, &str)]) -> Vec<Fix> {
        let missing = wanted.iter().filter(|(program, _)| !self.machine.has(program));
        let fixes = missing.map(|(_, package)| Fix::Package((*package).into()));
        if self.machine.provisionable() { fixes.collect() } else { Vec::new() }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    status: Status,
    observed: String,
    remedy: Option<Remedy>,
    fixes: Vec<Fix>,
}

impl Outcome {
    fn new(status: Status, observed: impl Into<String>) -> Self {
        Self { status, observed: observed.into(), remedy: None, fixes: Vec::new() }
    }

    /// As it should be.
    pub fn ok(observed: impl Into<String>) -> Self {
        Self::new(Status::Ok, observed)
    }

    /// Something may go wrong or be slow.
    pub fn warn(observed: impl Into<String>) -> Self {
        Self::new(Status::Warn, observed)
    }

    /// The run cannot start.
    pub fn fail(observed: impl Into<String>) -> Self {
        Self::new(Status::Fail, observed)
    }

    /// Nothing to look at.
    pub fn skip(observed: impl Into<String>) -> Self {
        Self::new(Status::Skip, observed)
    }

    /// Adds what to do, in words.
    pub fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = Some(Remedy { text: text.into(), command: None });
        self
    }

    /// Adds what to do, in words and as commands, one per line.
    pub fn remedy_by(mut self, text: impl Into<String>, command: impl Into<String>) -> Self {
        self.remedy = Some(Remedy { text: text.into(), command: Some(command.into()) });
        self
    }

    /// Adds what provisioning would do.
    pub fn fixes(mut self, fixes: impl IntoIterator<Item = Fix>) -> Self {
        self.fixes.extend(fixes);
        self
    }
}
