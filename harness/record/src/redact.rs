//! Keeps secrets out of the record.
//!
//! Two nets: the run's own secrets, known word for word ([`Redactor::add_secret`]), and shapes that are secret wherever they
//! come from (private keys, `password=`, bearer tokens, user info in URLs). Replacing is best effort for the second.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use regex::Regex;

use crate::event::{Event, EventKind, Failure, Outcome};
use crate::verdict::Judgement;

/// What stands in a text where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Shorter secrets would erase ordinary words.
const MIN_SECRET: usize = 6;

/// Shapes of secrets: (pattern, replacement).
static SHAPES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)", REDACTED),
        (r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{16,}", "${1}[redacted]"),
        (r"(?i)\b(authorization:\s*basic\s+)[A-Za-z0-9+/=]+", "${1}[redacted]"),
        (
            r#"(?i)\b((?:[a-z0-9]+[_-])*(?:password|passwd|passphrase|secret|token|api[_-]?key|client[_-]key(?:-data)?))(["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s"',;&}]+)"#,
            "$1$2[redacted]",
        ),
        (r"(?i)(--(?:password|passwd|token|secret)\s+)[^\s\-]\S*", "${1}[redacted]"),
        (r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@:]*:[^/\s@]+@", "${1}[redacted]@"),
        (r"\bgh[pousr]_[A-Za-z0-9]{20,}", REDACTED),
        (r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*", REDACTED),
    ]
    .into_iter()
    // A pattern that does not compile fails the test that counts them.
    .filter_map(|(pattern, with)| Some((Regex::new(pattern).ok()?, with)))
    .collect()
});

/// Cheap test before the patterns run: what none of these letters are in has no shape of a secret.
static SUSPICIOUS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)private key|bearer|basic|pass|secret|token|key|://|gh[pousr]_|eyj").ok());

/// A growing set of secrets, shared by its clones: secrets are added as the run makes them.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<RwLock<Vec<String>>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Redactor").field("secrets", &secrets).finish()
    }
}

impl Redactor {
    /// From now on `secret` is replaced wherever it stands. Secrets of less than 6 bytes are not: they would erase words.
    ///
    /// A secret of several lines (a key) is also replaced line by line, as logs break it.
    pub fn add_secret(&self, secret: impl Into<String>) {
        let secret = secret.into();
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        if secret.contains('\n') {
            let lines = secret.lines().map(str::trim).filter(|l| !l.starts_with("-----") && l.len() >= 16);
            secrets.extend(lines.map(str::to_owned));
        }
        secrets.push(secret);
        secrets.retain(|s| s.trim().len() >= MIN_SECRET);
        // Longest first, so that a secret that contains another leaves nothing behind.
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
    }

    /// The text without its secrets.
    pub fn text(&self, text: &str) -> String {
        let mut out = text.to_owned();
        self.redact(&mut out);
        out
    }

    /// Takes the secrets out of every text of an event.
    pub fn event(&self, event: &mut Event) {
        for_each_text(&mut event.kind, &mut |text| self.redact(text));
    }

    /// Whether the event carries text at all; sample blocks without failures, the bulk of a record, do not.
    pub(crate) fn is_needed_for(&self, event: &Event) -> bool {
        !matches!(&event.kind, EventKind::Samples(block) if block.failed.is_empty())
    }

    fn redact(&self, text: &mut String) {
        for secret in self.secrets.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), REDACTED);
            }
        }
        if SUSPICIOUS.as_ref().is_some_and(|s| !s.is_match(text)) {
            return;
        }
        for (shape, with) in SHAPES.iter() {
            if shape.is_match(text) {
                *text = shape.replace_all(text, *with).into_owned();
            }
        }
    }
}

/// Visits every text of an event that comes from outside of ferry's own code. Exhaustive on purpose: a new event has to
/// decide.
fn for_each_text(kind: &mut EventKind, f: &mut dyn FnMut(&mut String)) {
    match kind {
        EventKind::RunStarted(run) => {
            f(&mut run.summary);
            run.host.values_mut().for_each(f);
        }
        EventKind::Fact { value, .. } => f(value),
        EventKind::ActivityEnded { error, .. } => error.iter_mut().for_each(f),
        EventKind::StepStarted { title, .. } => f(title),
        EventKind::PhaseEnded { outcome, .. } | EventKind::StepEnded { outcome, .. } => match outcome {
            Outcome::Failed { error, hint } => {
                f(error);
                hint.iter_mut().for_each(f);
            }
            Outcome::Done | Outcome::Skipped | Outcome::Cancelled => {}
        },
        EventKind::NotYet { reason, .. } | EventKind::SamplerOutage { reason, .. } => f(reason),
        EventKind::WatchGap { reason, .. } | EventKind::WatchEnded { reason, .. } => f(reason),
        EventKind::Object(seen) => {
            seen.annotations.values_mut().for_each(&mut *f);
            seen.conditions.iter_mut().for_each(|condition| f(&mut condition.message));
        }
        EventKind::Notice(notice) => f(&mut notice.message),
        EventKind::ErrorLogged(line) => f(&mut line.message),
        EventKind::LogRead { broken, .. } => broken.iter_mut().for_each(f),
        EventKind::Fault { target, .. } => f(target),
        EventKind::Beside { told, .. } => for_each_text(told, f),
        EventKind::SelfProof { message, .. } => f(message),
        EventKind::ProbeStarted(info) => f(&mut info.target),
        EventKind::Samples(block) => {
            for (_, failure) in &mut block.failed {
                if let Failure::Body(text) | Failure::Other(text) = failure {
                    f(text);
                }
            }
        }
        EventKind::Log { message, .. } => f(message),
        EventKind::Infra { what, error, hint } => {
            f(what);
            f(error);
            hint.iter_mut().for_each(f);
        }
        EventKind::Cancelled { by } => f(by),
        EventKind::Verdict(Judgement { findings, .. }) => {
            for finding in findings {
                f(&mut finding.message);
                finding.details.iter_mut().for_each(&mut *f);
            }
        }
        EventKind::ActivityStarted { .. }
        | EventKind::PhaseStarted { .. }
        | EventKind::ProbeStopped { .. }
        | EventKind::WatchStarted { .. }
        | EventKind::ObjectGone { .. }
        | EventKind::Committed { .. }
        | EventKind::AgentClock { .. }
        | EventKind::RunEnded
        | EventKind::Unknown => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn every_shape_compiles() {
        assert_eq!(SHAPES.len(), 8);
        assert!(SUSPICIOUS.is_some());
    }

    #[rstest]
    #[case::plain("kustomization/apps is not ready: dependency missing", None)]
    #[case::url_without_userinfo("GET http://git.lab:8080/fleet.git", None)]
    #[case::mail("author flux@example.com", None)]
    #[case::ssh_user_is_no_secret("ssh://git@git.lab/fleet.git", None)]
    #[case::secret_as_kind("secret/flux-system/flux-system created", None)]
    #[case::url("clone http://ferry:s3cr3t@git/fleet.git", Some("clone http://[redacted]@git/fleet.git"))]
    #[case::password("--password=abc123 --branch main", Some("--password=[redacted] --branch main"))]
    #[case::password_apart("--password abc123 --branch main", Some("--password [redacted] --branch main"))]
    #[case::env("GIT_PASSWORD=abc123", Some("GIT_PASSWORD=[redacted]"))]
    #[case::json(r#"{"password": "abc 123","user":"x"}"#, Some(r#"{"password": [redacted],"user":"x"}"#))]
    #[case::yaml("client-key-data: LS0tLS1CRUdJ", Some("client-key-data: [redacted]"))]
    #[case::words_about_authentication("basic authentication required, bearer token expired", None)]
    #[case::basic("Authorization: Basic Zm9vOmJhcg==", Some("Authorization: Basic [redacted]"))]
    #[case::bearer("Authorization: Bearer abcdefgh.ijklmnop", Some("Authorization: Bearer [redacted]"))]
    #[case::jwt("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln", Some("[redacted]"))]
    #[case::github("using ghp_0123456789abcdefghijABCD", Some("using [redacted]"))]
    #[case::key(
        "key:\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\nok",
        Some("key:\n[redacted]\nok")
    )]
    #[case::torn_key("-----BEGIN PRIVATE KEY-----\nb3Bl", Some("[redacted]"))]
    fn shapes(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(Redactor::default().text(text), expected.unwrap_or(text));
    }

    #[test]
    fn own_secrets_go_longest_first_and_short_ones_stay() {
        let redactor = Redactor::default();
        let clone = redactor.clone();
        redactor.add_secret("abcdef");
        redactor.add_secret("abcdef-ghijkl");
        redactor.add_secret("main");
        assert_eq!(clone.text("x abcdef-ghijkl abcdef main"), "x [redacted] [redacted] main");
        assert_eq!(format!("{clone:?}"), "Redactor { secrets: 2 }");
    }

    #[test]
    fn a_key_is_found_line_by_line_too() {
        let redactor = Redactor::default();
        redactor.add_secret("-----BEGIN X-----\nQUJDREVGR0hJSktMTU5P\n-----END X-----\n");
        assert_eq!(redactor.text("stderr: QUJDREVGR0hJSktMTU5P"), "stderr: [redacted]");
    }

    #[test]
    fn failures_of_samples_are_redacted_as_well() {
        let redactor = Redactor::default();
        let mut event = Event {
            t: 0,
            kind: EventKind::Samples(crate::event::SampleBlock {
                failed: vec![(0, Failure::Body("token=abcdefgh".into()))],
                ..Default::default()
            }),
        };
        redactor.event(&mut event);
        let EventKind::Samples(block) = event.kind else { unreachable!() };
        assert_eq!(block.failed, [(0, Failure::Body("token=[redacted]".into()))]);
    }
}
