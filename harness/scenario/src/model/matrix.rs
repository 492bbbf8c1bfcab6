//! Dimensions that a scenario varies in.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, IgnoredAny};

use crate::cell::PROVIDERS;

/// `matrix:` as it is written. Its cells are made before the rest of the file can be read, as templates depend on them;
/// by then everything about it has been checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Matrix;

impl<'de> Deserialize<'de> for Matrix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Matrix, D::Error> {
        std::collections::BTreeMap::<String, IgnoredAny>::deserialize(deserializer).map(|_| Matrix)
    }
}

impl JsonSchema for Matrix {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Matrix".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let value = json_schema!({ "type": ["string", "number", "boolean", "array"] });
        json_schema!({
            "description": "Dimensions and their values. Any key but those named here is a variable of the scenario.",
            "type": "object",
            "properties": {
                "kubernetes": {
                    "description": "Minor releases of Kubernetes. Default: \"1.34\".",
                    "type": "array",
                    "items": { "type": "string", "pattern": r"^1\.\d+$" },
                    "minItems": 1,
                },
                "provider": {
                    "description": "Who makes the cluster. Default: kind.",
                    "type": "array",
                    "items": { "enum": PROVIDERS },
                    "minItems": 1,
                },
                "exclude": {
                    "description": "Combinations that do not run: each a map of dimensions and values.",
                    "type": "array",
                    "items": { "type": "object" },
                },
            },
            "additionalProperties": { "type": "array", "items": value, "minItems": 1 },
        })
    }
}
