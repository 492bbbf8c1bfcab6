//! ConfigMaps and Secrets: whether their content changed, never the content.

use ferry_record::cluster::facts;
use kube::api::DynamicObject;
use serde_json::json;

use super::Facts;

pub(super) fn extract(object: &DynamicObject, found: &mut Facts) {
    let [data, binary] = ["data", "binaryData"].map(|key| object.data.get(key));
    let all = match binary {
        None => data.cloned(),
        Some(binary) => Some(json!([data, binary])),
    };
    // An empty one and one without data are the same to whoever reads it.
    found.hash(facts::DATA, Some(&all.filter(|all| !all.is_null()).unwrap_or_else(|| json!({}))));
}

#[cfg(test)]
mod tests {
    use super::super::testing::kept;
    use ferry_record::cluster::facts;

    fn data(kind: &str, content: &str) -> String {
        kept(&format!("{{apiVersion: v1, kind: {kind}, metadata: {{name: a, namespace: b}}{content}}}")).facts
            [facts::DATA]
            .clone()
    }

    #[test]
    fn a_hash_follows_the_content() {
        let of = |content: &str| data("Secret", content);
        assert_eq!(of(", data: {a: eA==, b: eQ==}"), of(", data: {b: eQ==, a: eA==}, type: Opaque"));
        assert_ne!(of(", data: {a: eA==}"), of(", data: {a: eQ==}"));
        assert_eq!(of(""), of(", data: {}"));
        let of = |content: &str| data("ConfigMap", content);
        assert_ne!(of(", data: {a: x}"), of(", data: {a: x}, binaryData: {b: eA==}"));
        assert_ne!(of(", data: {a: x}"), of(", binaryData: {a: x}"));
    }

    #[test]
    fn content_is_not_kept() {
        let yaml = "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {password: aHVudGVyMg==}}";
        let record = serde_json::to_string(&kept(yaml)).unwrap();
        assert!(!record.contains("aHVudGVyMg") && !record.contains("password"), "{record}");
    }
}
