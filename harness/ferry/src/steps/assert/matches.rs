//! Part of an object.

use serde_json::{Map, Value};

use crate::cluster::diff;
use crate::wait::Check;

pub(super) fn matches(object: Option<&Value>, partial: &Map<String, Value>) -> Check {
    let Some(object) = object else { return Check::NotYet("it does not exist".into()) };
    let differences = diff::missing(&Value::Object(partial.clone()), object);
    if differences.is_empty() { Check::Met("it matches".into()) } else { Check::NotYet(diff::in_words(&differences)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shows_what_differs() {
        let partial = json!({"spec": {"replicas": 3, "paused": null}, "status": {"readyReplicas": 3}});
        let check = |object: Value| matches(Some(&object), partial.as_object().unwrap());
        assert_eq!(
            check(json!({"spec": {"replicas": 3}, "status": {"readyReplicas": 3, "replicas": 4}})),
            Check::Met("it matches".into())
        );
        insta::assert_snapshot!(
            format!("{:?}", check(json!({"spec": {"replicas": 2, "paused": true}}))),
            @r#"NotYet("spec.paused: expected nothing, found true; spec.replicas: expected 3, found 2; status.readyReplicas: expected 3, found nothing")"#
        );
        assert_eq!(matches(None, &Map::new()), Check::NotYet("it does not exist".into()));
    }
}
