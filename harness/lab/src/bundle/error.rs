//! Why a bundle could not be prepared.

use std::io;
use std::path::PathBuf;

use super::graph::Problem;
use super::model::Bundle;

/// Why [`prepare`](super::prepare) or one of its relatives gave up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// `bundle.yaml` is not what [`Bundle`] describes.
    #[error("bundle.yaml cannot be read: {0}")]
    Syntax(Box<serde_saphyr::Error>),
    /// `bundle.yaml` contradicts itself or the sources.
    #[error("bundle.yaml has {} problem(s):{}", .0.len(), lines(.0))]
    Invalid(Vec<Problem>),
    /// A component was asked for that the bundle does not have.
    #[error("no component {name} in the bundle")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A component has no recipe for the way that was chosen.
    #[error("{component} cannot be built from source: the bundle only knows {reference}")]
    OnlyRegistry {
        /// The component.
        component: String,
        /// Where upstream publishes it.
        reference: String,
    },
    /// An output was asked for that was not prepared.
    #[error("{reference} was not prepared; there is {}", .prepared.join(", "))]
    NotPrepared {
        /// What was asked for.
        reference: String,
        /// What there is.
        prepared: Vec<String>,
    },
    /// The cache cannot be used.
    #[error("the cache in {} cannot be used: {source}", path.display())]
    Cache {
        /// Its root.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A file of digests that cannot be read.
    #[error("{} is not a file of image digests: {reason}", path.display())]
    Pins {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What a tag names today could not be asked.
    #[error("what {tagged} names today could not be asked: {reason}")]
    Floating {
        /// The image.
        tagged: String,
        /// What came back.
        reason: String,
    },
    /// The engine refused something outside any build.
    #[error("the engine could not {doing}: {source}")]
    Engine {
        /// What was tried.
        doing: String,
        /// What came back.
        source: bollard::errors::Error,
    },
    /// A component could not be built or pulled.
    #[error(transparent)]
    Component(Box<ComponentFailure>),
    /// A component could not be pushed to a mirror.
    #[error("{component} could not be mirrored: {reason}")]
    Mirror {
        /// The component.
        component: String,
        /// What went wrong.
        reason: StepError,
    },
    /// The caller's token was cancelled.
    #[error("preparing the bundle was cancelled")]
    Cancelled,
}

impl BundleError {
    pub(super) fn unknown(name: &str, bundle: &Bundle) -> Self {
        Self::Unknown { name: name.to_owned(), known: bundle.components.keys().cloned().collect() }
    }

    /// The next thing to do, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Component(failure) => failure.hint().map(str::to_owned),
            Self::Unknown { known, .. } => Some(format!("there is {}", known.join(", "))),
            Self::OnlyRegistry { .. } => {
                Some("use `--images registry`, or leave this component out of the run".to_owned())
            }
            Self::Cache { source, .. } => hint_in(&source.to_string())
                .map(str::to_owned)
                .or(Some("name another place with FERRY_CACHE".to_owned())),
            Self::Engine { .. } => Some("`ferry doctor` says what the engine lacks".to_owned()),
            Self::Pins { .. } => Some("`ferry bundle mirror` writes such a file".to_owned()),
            _ => None,
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// A component that could not be had, with the end of its log.
#[derive(Debug, thiserror::Error)]
#[error("{component} could not be {}: {reason}{}", if *.pulled { "pulled" } else { "built" }, self.tail_text())]
pub struct ComponentFailure {
    /// Which one.
    pub component: String,
    /// Whether it was to be pulled rather than built.
    pub pulled: bool,
    /// What went wrong.
    pub reason: StepError,
    /// The whole log.
    pub log: PathBuf,
    /// Its last lines, at most [`TAIL_LINES`](super::progress::TAIL_LINES).
    pub tail: Vec<String>,
}

impl ComponentFailure {
    fn tail_text(&self) -> String {
        if self.tail.is_empty() {
            return String::new();
        }
        let lines: String = self.tail.iter().map(|line| format!("\n  | {line}")).collect();
        format!("\n  the last {} lines of {}:{lines}", self.tail.len(), self.log.display())
    }

    /// The next thing to do, told from the error or from what the tools said last.
    pub fn hint(&self) -> Option<&str> {
        match &self.reason {
            StepError::Unusable { hint, .. } => Some(hint),
            StepError::Start { program, .. } => start_hint(program),
            reason => hint_in(&reason.to_string()).or_else(|| self.tail.iter().rev().find_map(|line| hint_in(line))),
        }
    }
}

/// What went wrong while one component was built or pulled.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A program could not be started.
    #[error("{program} could not be started: {source}")]
    Start {
        /// Its name.
        program: String,
        /// What came back.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` ended with {status}")]
    Exit {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The engine refused something.
    #[error("the engine could not {doing}: {source}")]
    Engine {
        /// What was tried.
        doing: String,
        /// What came back.
        source: bollard::errors::Error,
    },
    /// Something needed is absent or not as it should be.
    #[error("{what}")]
    Unusable {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The caller's token was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl StepError {
    pub(super) fn unusable(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unusable { what: what.into(), hint: hint.into() }
    }
}

/// Names what the engine was asked to do in its error.
pub(super) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StepError>;
}

impl<T> Doing<T> for Result<T, bollard::errors::Error> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StepError> {
        self.map_err(|source| StepError::Engine { doing: what(), source })
    }
}

fn start_hint(program: &str) -> Option<&'static str> {
    Some(match program {
        "go" => "install Go (https://go.dev/dl), or use `--images registry`",
        "cargo" => "install Rust (https://rustup.rs), or use `--images registry`",
        "python3" => "install Python 3 with pip: it fetches a newer Go toolchain",
        "debootstrap" | "unshare" | "tar" => {
            "install it (on Debian: apt-get install debootstrap util-linux tar), or `ferry doctor --provision`"
        }
        _ => return None,
    })
}

/// What a line of a tool's output asks for, by the words that tools use for it.
fn hint_in(line: &str) -> Option<&'static str> {
    const HINTS: &[(&[&str], &str)] = &[
        (
            &["no space left on device", "disk quota exceeded"],
            "free some disk: `ferry bundle gc` removes what no recipe needs any more",
        ),
        (&["requires go >=", "toolchain not available", "go.mod requires go"], "install a newer Go: https://go.dev/dl"),
        (
            &["checksum mismatch", "security error"],
            "a download does not match its go.sum: look at the module proxy before trusting it",
        ),
        (
            &["http response to https client"],
            "the engine accepts plain HTTP only from loopback: name the mirror in its daemon.json under insecure-registries",
        ),
        (
            &["toomanyrequests", "rate limit"],
            "the registry limits anonymous pulls: use a mirror (`--mirror HOST`), or wait",
        ),
        (
            &["manifest unknown", "manifest for", "no such manifest"],
            "the registry does not have it: is the mirror complete, and does `--lock` fit it? `--images source` builds it",
        ),
        (
            &[
                "no such host",
                "connection refused",
                "connection reset",
                "i/o timeout",
                "tls handshake",
                "network is unreachable",
                "temporary failure resolving",
                "could not resolve",
                "unexpected eof",
                "bad gateway",
                "request canceled",
            ],
            "the network or a package registry did not answer: check the proxy settings, then run it again, it resumes",
        ),
        (&["permission denied", "operation not permitted"], "this needs root: `ferry doctor` says what for"),
        (
            &["signal: killed", "out of memory", "cannot allocate memory"],
            "memory ran out: run it again with `--jobs 1`",
        ),
    ];
    let line = line.to_lowercase();
    HINTS.iter().find(|(needles, _)| needles.iter().any(|needle| line.contains(needle))).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn failure(reason: StepError, tail: &[&str]) -> ComponentFailure {
        ComponentFailure {
            component: "etcd".into(),
            pulled: false,
            reason,
            log: "/cache/logs/etcd.log".into(),
            tail: tail.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn a_failure_shows_the_end_of_its_log() {
        use std::os::unix::process::ExitStatusExt as _;
        let reason = StepError::Exit { command: "go build".into(), status: std::process::ExitStatus::from_raw(256) };
        let failure = failure(reason, &["compiling", "write /tmp/x: no space left on device"]);
        insta::assert_snapshot!(failure, @r"
        etcd could not be built: `go build` ended with exit status: 1
          the last 2 lines of /cache/logs/etcd.log:
          | compiling
          | write /tmp/x: no space left on device
        ");
        assert!(failure.hint().unwrap().contains("bundle gc"));
    }

    #[rstest]
    #[case::disk("write: No space left on device", Some("free some disk"))]
    #[case::go("go: go.mod requires go >= 1.27.0 (running go 1.26.8)", Some("newer Go"))]
    #[case::network("dial tcp: lookup example.org: no such host", Some("network"))]
    #[case::memory("link: signal: killed", Some("memory"))]
    #[case::checksum("verifying module: checksum mismatch", Some("go.sum"))]
    #[case::plain_http("http: server gave HTTP response to HTTPS client", Some("insecure-registries"))]
    #[case::missing("manifest for m:5000/a@sha256:0 not found: manifest unknown", Some("--lock"))]
    #[case::unknown("undefined: x", None)]
    fn hints(#[case] line: &str, #[case] expected: Option<&str>) {
        match expected {
            Some(words) => assert!(hint_in(line).unwrap().contains(words)),
            None => assert_eq!(hint_in(line), None),
        }
    }
}
