//! One object's absence, and a condition in its status.

use ferry_scenario::steps::ObjectCondition;
use serde_json::Value;

use crate::cluster::ready::is_stale;
use crate::wait::Check;

pub(super) fn gone(object: Option<&Value>) -> Check {
    match object {
        None => Check::Met("it is gone".into()),
        Some(object) => {
            let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array).map_or(0, Vec::len);
            match object.pointer("/metadata/deletionTimestamp").and_then(Value::as_str) {
                Some(since) => {
                    Check::NotYet(format!("it is being deleted since {since}, with {finalizers} finalizers left"))
                }
                None => Check::NotYet("it exists, and nobody has asked to delete it".into()),
            }
        }
    }
}

pub(super) fn condition(object: Option<&Value>, wanted: &ObjectCondition) -> Check {
    let Some(object) = object else { return Check::NotYet("it does not exist yet".into()) };
    let kind = wanted.r#type.as_str();
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let Some(found) = conditions.and_then(|all| all.iter().find(|c| c["type"] == kind)) else {
        return Check::NotYet(format!("it has no condition {kind} yet"));
    };
    if is_stale(object, found) {
        return Check::NotYet(format!("its condition {kind} is of an older generation"));
    }
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    let seen = format!("{kind}={}: {}: {}", text("status"), text("reason"), text("message"));
    let reason_fits = wanted.reason.as_ref().is_none_or(|reason| text("reason") == reason);
    if text("status") == wanted.status.to_string() && reason_fits { Check::Met(seen) } else { Check::NotYet(seen) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::tests::parsed;
    use ferry_scenario::steps::{Condition, Wait};
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::absent(None, Check::Met("it is gone".into()))]
    #[case::there(Some(json!({})), Check::NotYet("it exists, and nobody has asked to delete it".into()))]
    #[case::going(
        Some(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a", "b"]}})),
        Check::NotYet("it is being deleted since 2026-01-01T00:00:00Z, with 2 finalizers left".into())
    )]
    fn knows_when_an_object_is_gone(#[case] object: Option<Value>, #[case] expected: Check) {
        assert_eq!(gone(object.as_ref()), expected);
    }

    #[rstest]
    #[case("type: Ready", Check::NotYet("Ready=False: BuildFailed: no path".into()))]
    #[case("type: Ready, status: \"False\"", Check::Met("Ready=False: BuildFailed: no path".into()))]
    #[case("type: Ready, status: \"False\", reason: BuildFailed", Check::Met("Ready=False: BuildFailed: no path".into()))]
    #[case("type: Ready, status: \"False\", reason: Other", Check::NotYet("Ready=False: BuildFailed: no path".into()))]
    #[case("type: Stalled", Check::NotYet("it has no condition Stalled yet".into()))]
    fn judges_a_condition(#[case] wanted: &str, #[case] expected: Check) {
        let wait: Wait = parsed(&format!("{{condition: {{object: a/b, {wanted}}}}}"));
        let Condition::Condition(wanted) = wait.until else { panic!("another condition") };
        let conditions = json!([{"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "no path"}]);
        assert_eq!(condition(Some(&json!({"status": {"conditions": conditions}})), &wanted), expected);
        let stale = json!([{"type": wanted.r#type, "status": wanted.status.to_string(), "observedGeneration": 1}]);
        let stale = json!({"metadata": {"generation": 2}, "status": {"conditions": stale}});
        let older = format!("its condition {} is of an older generation", wanted.r#type);
        assert_eq!(condition(Some(&stale), &wanted), Check::NotYet(older));
        assert_eq!(condition(None, &wanted), Check::NotYet("it does not exist yet".into()));
    }
}
