//! Lines of controllers' logs that tell of an error: JSON as Flux and its operator log, klog's lines, and panics of Go.

use serde::Deserialize;
use serde_json::Value;

use super::super::extract;
use crate::cluster::qualified;

/// An error, as a line tells it.
#[derive(Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its own time, where it has one.
    pub time: Option<String>,
    /// Message and error.
    pub message: String,
    /// `kind/namespace/name`, where it says what it is about.
    pub object: Option<String>,
}

/// What zap writes by way of controller-runtime, with Flux' keys.
#[derive(Deserialize)]
struct Line {
    level: String,
    #[serde(default)]
    ts: Value,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    error: Value,
    #[serde(default, rename = "controllerKind")]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    /// What an event was about that notification-controller could not send.
    #[serde(default, rename = "object")]
    about: Value,
}

/// What a line tells of an error; none if it tells of none.
pub fn error(text: &str) -> Option<Logged> {
    if text.starts_with('{') {
        return serde_json::from_str(text).ok().and_then(json);
    }
    let plain = |message: &str| Logged { time: None, message: extract::message(message), object: None };
    if ["panic: ", "fatal error: "].iter().any(|start| text.starts_with(start)) {
        return Some(plain(text));
    }
    // E0102 15:04:05.000000       1 reflector.go:205] …
    let mut characters = text.chars();
    let is_klog = matches!(characters.next(), Some('E' | 'F'))
        && characters.by_ref().take(4).filter(char::is_ascii_digit).count() == 4
        && characters.next() == Some(' ');
    is_klog.then(|| plain(text.split_once("] ").map_or(text, |(_, message)| message)))
}

fn json(line: Line) -> Option<Logged> {
    if !["error", "dpanic", "panic", "fatal"].contains(&line.level.as_str()) {
        return None;
    }
    let error = match &line.error {
        Value::Null => String::new(),
        Value::String(error) => error.clone(),
        other => other.to_string(),
    };
    let message =
        [line.msg.as_str(), &error].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    let object = match (&line.kind, &line.name) {
        (Some(kind), Some(name)) => Some((kind.clone(), line.namespace.clone(), name.clone())),
        _ => about(&line.about),
    };
    Some(Logged {
        time: line.ts.as_str().map(String::from),
        message: extract::message(&message),
        object: object.map(|(kind, namespace, name)| {
            let namespace = namespace.as_deref().filter(|namespace| !namespace.is_empty());
            format!("{}/{}", kind.to_lowercase(), qualified(namespace, &name))
        }),
    })
}

fn about(reference: &Value) -> Option<(String, Option<String>, String)> {
    let text = |key: &str| reference[key].as_str().map(String::from);
    Some((text("kind")?, text("namespace"), text("name")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::reconciler(
        r#"{"level":"error","ts":"2026-01-01T00:00:01.326Z","msg":"Reconciler error","controller":"kustomization","controllerGroup":"kustomize.toolkit.fluxcd.io","controllerKind":"Kustomization","Kustomization":{"name":"apps","namespace":"flux-system"},"namespace":"flux-system","name":"apps","reconcileID":"1c0f","error":"context deadline exceeded"}"#,
        Some(("Reconciler error: context deadline exceeded", Some("kustomization/flux-system/apps")))
    )]
    #[case::operator(
        r#"{"level":"error","ts":"2026-01-01T00:00:01.326Z","msg":"Reconciliation failed","controller":"resourceset","controllerKind":"ResourceSet","name":"apps","namespace":"","error":"no"}"#,
        Some(("Reconciliation failed: no", Some("resourceset/apps")))
    )]
    #[case::notification(
        r#"{"level":"error","ts":"2026-01-01T00:00:01.326Z","logger":"event-server","msg":"failed to send notification","object":{"kind":"GitRepository","namespace":"flux-system","name":"fleet"},"error":"timeout"}"#,
        Some(("failed to send notification: timeout", Some("gitrepository/flux-system/fleet")))
    )]
    #[case::without_error(
        r#"{"level":"error","ts":1767225601.3,"msg":"unable to start manager"}"#,
        Some(("unable to start manager", None))
    )]
    #[case::info(r#"{"level":"info","ts":"2026-01-01T00:00:01.326Z","msg":"no error here","error":""}"#, None)]
    #[case::access_log(r#"{"method":"GET","status":"error"}"#, None)]
    #[case::torn(r#"{"level":"error","msg":"cut"#, None)]
    #[case::klog("E0102 15:04:05.000000       1 reflector.go:205] Failed to watch", Some(("Failed to watch", None)))]
    #[case::klog_info("I0102 15:04:05.000000       1 leaderelection.go:257] attempting to acquire leader lease", None)]
    #[case::word("Error: x", None)]
    #[case::digits("E01023 x", None)]
    #[case::panic("panic: runtime error: invalid memory address", Some(("panic: runtime error: invalid memory address", None)))]
    #[case::empty("", None)]
    fn tells_errors_from_the_rest(#[case] line: &str, #[case] expected: Option<(&str, Option<&str>)>) {
        let found = error(line);
        assert_eq!(found.as_ref().map(|found| (found.message.as_str(), found.object.as_deref())), expected);
    }

    #[test]
    fn keeps_the_lines_own_time() {
        assert_eq!(
            error(r#"{"level":"error","ts":"2026-01-01T00:00:01.326Z","msg":"m"}"#).unwrap().time.as_deref(),
            Some("2026-01-01T00:00:01.326Z")
        );
    }
}
