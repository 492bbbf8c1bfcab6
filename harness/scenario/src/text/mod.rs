//! Values that authors write as one short text: durations, rates, object references, paths, versions.
//!
//! Each is a type with its own file: what it accepts, what it says of text that it does not accept, and its schema.

mod address;
mod duration;
mod field_path;
mod http_url;
mod kind;
mod label_selector;
mod name;
mod object_glob;
mod object_ref;
mod rate;
mod regex;
mod rel_path;
mod revision;
mod var_name;
mod version;

pub use self::regex::Regex;
pub use address::Address;
pub use duration::HumanDuration;
pub use field_path::{FieldPath, Segment};
pub use http_url::HttpUrl;
pub use kind::Kind;
pub use label_selector::LabelSelector;
pub use name::Name;
pub use object_glob::ObjectGlob;
pub use object_ref::ObjectRef;
pub use rate::Rate;
pub use rel_path::RelPath;
pub use revision::Revision;
pub use var_name::VarName;
pub use version::Version;

/// Text that does not say what it should, and how to say it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TextError {
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl TextError {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> TextError {
        TextError { message: message.into(), hint: hint.into() }
    }
}

/// Separates an error's message from its hint where only one text can be passed (serde's `custom`).
pub(crate) const HINT: &str = "\nhint: ";

/// Reads and writes a `FromStr + Display` type as text, and describes it in the schema.
macro_rules! text_type {
    ($type:ident, what: $what:literal, pattern: $pattern:literal, examples: [$($example:literal),+ $(,)?]) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;

                impl serde::de::Visitor<'_> for TextVisitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(|e: crate::text::TextError| {
                            E::custom(format_args!("{}{}{}", e.message, crate::text::HINT, e.hint))
                        })
                    }
                }

                deserializer.deserialize_str(TextVisitor)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": $what,
                    "pattern": $pattern,
                    "examples": [$($example),+],
                })
            }
        }
    };
}
pub(crate) use text_type;

#[cfg(test)]
mod tests {
    /// A text type's table of tests: what parses shows as itself, what does not says so.
    #[track_caller]
    pub(crate) fn error<T: std::str::FromStr<Err = super::TextError> + std::fmt::Debug>(text: &str) -> String {
        let error = text.parse::<T>().expect_err("should not parse");
        format!("{} ({})", error.message, error.hint)
    }
}
