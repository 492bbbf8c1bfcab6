//! Steps that name one object and mostly nothing else: `restart: deployment/apps/web`, or a map where there is more to say.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::text::{HINT, ObjectRef, TextError};

/// An object alone, or a map with more.
pub(super) enum Short<M> {
    /// `kind/namespace/name`.
    Object(ObjectRef),
    /// Everything by its key.
    Map(M),
}

impl<'de, M: Deserialize<'de>> Deserialize<'de> for Short<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShortVisitor<M>(PhantomData<M>);

        impl<'de, M: Deserialize<'de>> Visitor<'de> for ShortVisitor<M> {
            type Value = Short<M>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object such as `deployment/apps/web`, or a map")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Short<M>, E> {
                let wrong = |e: TextError| E::custom(format_args!("{}{HINT}{}", e.message, e.hint));
                text.parse().map(Short::Object).map_err(wrong)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Short<M>, A::Error> {
                M::deserialize(MapAccessDeserializer::new(map)).map(Short::Map)
            }
        }

        deserializer.deserialize_any(ShortVisitor(PhantomData))
    }
}

impl<M: JsonSchema> JsonSchema for Short<M> {
    fn schema_name() -> Cow<'static, str> {
        M::schema_name().trim_end_matches("Fields").to_owned().into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (object, map) = (generator.subschema_for::<ObjectRef>(), generator.subschema_for::<M>());
        json_schema!({ "anyOf": [object, map] })
    }
}
