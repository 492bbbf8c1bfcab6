//! One field of an object.

use ferry_scenario::text::FieldPath;
use serde_json::Value;

use crate::wait::Check;

pub(super) fn equals(object: Option<&Value>, path: &FieldPath, wanted: &Value) -> Check {
    let Some(object) = object else { return Check::NotYet("it does not exist".into()) };
    match path.lookup(object) {
        Some(found) if found == wanted => Check::Met(format!("{path} is {found}")),
        None if wanted.is_null() => Check::Met(format!("{path} is absent")),
        Some(found) => Check::NotYet(format!("{path} is {found}")),
        None => Check::NotYet(format!("{path} is absent")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!("flux-operator"), true)]
    #[case(json!("flux bootstrap"), false)]
    #[case(json!(null), false)]
    fn compares_a_field(#[case] wanted: Value, #[case] met: bool) {
        let object = json!({"spec": {"distribution": {"managedBy": "flux-operator"}}});
        let check = equals(Some(&object), &"spec.distribution.managedBy".parse().unwrap(), &wanted);
        assert_eq!(matches!(check, Check::Met(_)), met, "{check:?}");
    }

    #[test]
    fn null_stands_for_absence_but_not_of_the_object() {
        assert_eq!(
            equals(Some(&json!({})), &"spec".parse().unwrap(), &Value::Null),
            Check::Met("spec is absent".into())
        );
        assert_eq!(equals(None, &"spec".parse().unwrap(), &Value::Null), Check::NotYet("it does not exist".into()));
    }
}
