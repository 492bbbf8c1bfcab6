//! Does a privileged container start?

use crate::doctor::{Check, Context, Outcome, capability::CapabilitySet};

/// See [`Check::why`].
#[derive(Debug)]
pub struct Privileged;

impl Check for Privileged {
    fn name(&self) -> &'static str {
        "privileged"
    }

    fn why(&self) -> &'static str {
        "a cluster node is a privileged container: it mounts, routes and runs containers of its own"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        if !cx.needs.provider.runs_nodes() {
            return Outcome::skip("no node runs in the engine");
        }
        let lacking = if cx.engine_here() { CapabilitySet::lacking_here(cx.machine) } else { Vec::new() };
        let names = lacking.join(", ");
        match &cx.probes.privileged {
            None if lacking.is_empty() => Outcome::skip("no engine to try it with"),
            None => Outcome::warn(format!("this machine lacks {names}, so that privileged containers cannot start as they are"))
                .remedy("--provision starts an engine with an OCI runtime that does without"),
            Some(Ok(())) if lacking.is_empty() => Outcome::ok("a privileged container starts"),
            Some(Ok(())) => Outcome::ok(format!("a privileged container starts; nodes do without {names}, as this machine lacks it")),
            Some(Err(message)) if !lacking.is_empty() => Outcome::fail(format!("{}; this machine lacks {names}", brief(message)))
                .remedy("the engine was not started by ferry and is not changed; stop it, and --provision starts one whose OCI runtime does without"),
            Some(Err(message)) if cx.engine().is_some_and(|engine| engine.rootless) => {
                Outcome::fail(brief(message)).remedy("the engine is rootless: use one that runs as root")
            }
            Some(Err(message)) => Outcome::fail(brief(message))
                .remedy_by("find out why the engine refuses", "docker run --rm --privileged IMAGE true"),
        }
    }
}

/// One line of what the engine said.
fn brief(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    format!("a privileged container does not start: {line}")
}
