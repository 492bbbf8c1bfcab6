//! What `invariants:` lists: known rules, and rules of the scenario's own.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use super::Invariant;
use crate::span::Spanned;
use crate::text::Name;

/// A rule that the run is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// A known one, by its name.
    Known(Invariant),
    /// One of the scenario's own.
    Own(OwnRule),
}

/// A rule of the scenario's own: an expression over the record that must be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OwnRule {
    /// Its name in the verdict; no known rule has it.
    pub name: Spanned<Name>,
    /// CEL over the record, such as `probes['web/outside/new'].failed == 0`. It knows `run`, `phases`, `probes`, `outages`,
    /// `objects`, `steps`, `errors` and `commits`.
    pub cel: Spanned<String>,
}

impl OwnRule {
    /// The parts of the record that an expression knows, by their names.
    pub const VARIABLES: [&str; 8] = ["run", "phases", "probes", "outages", "objects", "steps", "errors", "commits"];
}

impl Judged {
    /// The rule's name in the verdict.
    pub fn name(&self) -> &str {
        match self {
            Judged::Known(invariant) => invariant.as_str(),
            Judged::Own(rule) => rule.name.as_str(),
        }
    }

    /// The rule, if it is a known one.
    pub fn known(&self) -> Option<Invariant> {
        match self {
            Judged::Known(invariant) => Some(*invariant),
            Judged::Own(_) => None,
        }
    }

    /// The rule, if it is one of the scenario's own.
    pub fn own(&self) -> Option<&OwnRule> {
        match self {
            Judged::Known(_) => None,
            Judged::Own(rule) => Some(rule),
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Judged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JudgedVisitor;

        impl<'de> Visitor<'de> for JudgedVisitor {
            type Value = Judged;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule's name such as `no-lost-request`, or a map with `name` and `cel`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Judged, E> {
                Invariant::deserialize(StrDeserializer::new(text)).map(Judged::Known)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Judged, A::Error> {
                OwnRule::deserialize(MapAccessDeserializer::new(map)).map(Judged::Own)
            }
        }

        deserializer.deserialize_any(JudgedVisitor)
    }
}

impl Serialize for Judged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Judged::Known(invariant) => invariant.serialize(serializer),
            Judged::Own(rule) => rule.serialize(serializer),
        }
    }
}

impl JsonSchema for Judged {
    fn schema_name() -> Cow<'static, str> {
        "Judged".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (known, own) = (generator.subschema_for::<Invariant>(), generator.subschema_for::<OwnRule>());
        json_schema!({ "anyOf": [known, own] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::tests::example;

    #[test]
    fn names_and_maps_side_by_side() {
        let text = example("invariants: [latency, {name: calm, cel: size(errors) == 0}]");
        let scenario = crate::parse("f", &text).unwrap_or_else(|e| panic!("{}", e.to_text()));
        let [known, own] = scenario.invariants.as_slice() else { panic!("{:?}", scenario.invariants) };
        assert_eq!((known.known(), known.own()), (Some(Invariant::Latency), None));
        assert_eq!(own.own().map(|rule| rule.cel.as_str()), Some("size(errors) == 0"));
        let names = serde_json::json!(["latency", {"name": "calm", "cel": "size(errors) == 0"}]);
        assert_eq!(serde_json::to_value(&scenario.invariants).unwrap(), names);
    }
}
