//! `revision`: what Flux has applied.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::span::Spanned;
use crate::text::{HINT, ObjectRef, Revision, TextError};

/// The revision that every Flux sync of the fleet has applied while being ready, or only the given one.
#[derive(Debug, Clone)]
pub struct SyncRevision {
    /// The Flux object; none: all that follow the fleet's repository.
    pub of: Option<Spanned<ObjectRef>>,
    /// The revision.
    pub is: Revision,
}

/// The revision of one Flux object.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RevisionOf {
    /// The Flux object: a source, an applier or a FluxInstance.
    of: Spanned<ObjectRef>,
    /// The revision that it has applied (fetched, if it is a source).
    is: Spanned<Revision>,
}

impl<'de> Deserialize<'de> for SyncRevision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SyncRevision, D::Error> {
        struct RevisionVisitor;

        impl<'de> Visitor<'de> for RevisionVisitor {
            type Value = SyncRevision;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`head`, a revision, or `{of: OBJECT, is: REVISION}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SyncRevision, E> {
                let is =
                    text.parse().map_err(|e: TextError| E::custom(format_args!("{}{HINT}{}", e.message, e.hint)))?;
                Ok(SyncRevision { of: None, is })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SyncRevision, A::Error> {
                let RevisionOf { of, is } = RevisionOf::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SyncRevision { of: Some(of), is: is.value })
            }
        }

        deserializer.deserialize_any(RevisionVisitor)
    }
}

impl JsonSchema for SyncRevision {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SyncRevision".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (all, one) = (generator.subschema_for::<Revision>(), generator.subschema_for::<RevisionOf>());
        json_schema!({
            "description": "The revision that every Flux sync of the fleet has applied while being ready, or only the given one.",
            "anyOf": [all, one],
        })
    }
}

impl fmt::Display for SyncRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Some(object) => write!(f, "{object} has applied ")?,
            None => f.write_str("every sync has applied ")?,
        }
        match &self.is {
            Revision::Head => f.write_str("the latest commit"),
            Revision::Part(text) => f.write_str(text),
        }
    }
}
