//! `path` and `equals`: one field.

use std::fmt;

use serde_json::Value;

use crate::span::Spanned;
use crate::text::{FieldPath, ObjectRef};

/// A field of an object has a value.
#[derive(Debug, Clone)]
pub struct FieldEquals {
    /// The object.
    pub object: Spanned<ObjectRef>,
    /// The field.
    pub path: Spanned<FieldPath>,
    /// The value that it must have; null stands for a field that is absent.
    pub equals: Spanned<Value>,
}

impl fmt::Display for FieldEquals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FieldEquals { object, path, equals } = self;
        match &equals.value {
            Value::Null => write!(f, "{object} has no {path}"),
            Value::String(text) => write!(f, "{object} has {path} = {text}"),
            value => write!(f, "{object} has {path} = {value}"),
        }
    }
}
