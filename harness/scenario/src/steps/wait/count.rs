//! `count`: how many objects of a kind there are.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::span::Spanned;
use crate::steps::bounds::Bounds;
use crate::text::{Kind, LabelSelector, Name};

/// How many objects of a kind exist. Those that are being deleted still count: they are there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "CountFile")]
#[schemars(with = "CountFile")]
pub struct Count {
    /// The kind.
    pub kind: Spanned<Kind>,
    /// The namespace; none: all of them.
    pub namespace: Option<Spanned<Name>>,
    /// Labels that they have.
    pub labels: Option<Spanned<LabelSelector>>,
    /// How many.
    pub bounds: Bounds<u64>,
}

/// [`Count`] as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Count", deny_unknown_fields, rename_all = "kebab-case")]
struct CountFile {
    /// The kind of object, such as `pod`.
    kind: Spanned<Kind>,
    /// The namespace that they are in. Default: any.
    namespace: Option<Spanned<Name>>,
    /// Labels that they have. Default: any.
    labels: Option<Spanned<LabelSelector>>,
    /// Exactly so many.
    is: Option<Spanned<u64>>,
    /// So many or more.
    at_least: Option<Spanned<u64>>,
    /// So many or fewer.
    at_most: Option<Spanned<u64>>,
}

impl TryFrom<CountFile> for Count {
    type Error = String;

    fn try_from(file: CountFile) -> Result<Count, String> {
        let CountFile { kind, namespace, labels, is, at_least, at_most } = file;
        Ok(Count { kind, namespace, labels, bounds: Bounds::new("count", is, at_least, at_most)? })
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are {} of {}", self.bounds, self.kind)?;
        self.namespace.as_ref().map_or(Ok(()), |namespace| write!(f, " in {namespace}"))?;
        self.labels.as_ref().map_or(Ok(()), |labels| write!(f, " with {labels}"))
    }
}
