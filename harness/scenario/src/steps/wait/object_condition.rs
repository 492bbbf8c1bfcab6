//! `condition`: what an object's status says of itself.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::span::Spanned;
use crate::text::ObjectRef;

/// A condition in an object's status.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ObjectCondition {
    /// The object.
    pub object: Spanned<ObjectRef>,
    /// The condition's type, such as `Ready` or `Stalled`.
    pub r#type: String,
    /// Its status. Default: "True".
    #[serde(default)]
    pub status: Status,
    /// Its reason, where that matters.
    pub reason: Option<String>,
}

/// A condition's status, in quotes as in Kubernetes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Status {
    #[default]
    True,
    False,
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::True => "True",
            Status::False => "False",
            Status::Unknown => "Unknown",
        })
    }
}

impl fmt::Display for ObjectCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ObjectCondition { object, r#type, status, reason } = self;
        write!(f, "{object} has {type}={status}")?;
        reason.as_ref().map_or(Ok(()), |reason| write!(f, " because of {reason}"))
    }
}
