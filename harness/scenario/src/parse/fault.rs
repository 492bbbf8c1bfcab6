//! Why a node is not what its type asks for, as the deserializer passes it upwards.

use std::fmt;

use serde::de;

use crate::span::Span;
use crate::text::HINT;

/// What was wrong, and at which node once that is known.
#[derive(Debug)]
pub struct Fault {
    pub kind: FaultKind,
    pub at: Option<At>,
}

/// The node to leave out when the rest is read again, and the text to point at.
#[derive(Debug, Clone, Copy)]
pub struct At {
    pub node: u32,
    pub span: Span,
}

#[derive(Debug)]
pub enum FaultKind {
    /// Another type is expected, in words; `keys` are those of an expected map.
    Type { expected: String, keys: &'static [&'static str] },
    /// Not one of the known names of an enum.
    Name { what: &'static str, written: String, known: &'static [&'static str] },
    /// A key that the type knows nothing of.
    Key { written: String, known: &'static [&'static str] },
    /// A key that the type asks for.
    Missing(&'static str),
    /// A value that the type rejects, in its own words.
    Value { message: String, hint: Option<String> },
    /// A map of one key is expected.
    OneKey { message: String, hint: String },
    /// A consequence of something already reported.
    Known,
}

impl Fault {
    pub fn new(kind: FaultKind, node: u32, span: Span) -> Fault {
        Fault { kind, at: Some(At { node, span }) }
    }

    /// Points the fault at a node, unless a deeper one was named already.
    pub fn or_at(mut self, node: u32, span: Span) -> Fault {
        self.at.get_or_insert(At { node, span });
        self
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Fault {
        Fault { kind, at: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        let text = message.to_string();
        let (message, hint) = match text.split_once(HINT) {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        FaultKind::Value { message, hint }.into()
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Fault {
        FaultKind::Type { expected: expected.to_string(), keys: &[] }.into()
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Fault {
        FaultKind::Type { expected: expected.to_string(), keys: &[] }.into()
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Fault {
        FaultKind::Name { what: "name", written: variant.into(), known }.into()
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Fault {
        FaultKind::Key { written: field.into(), known }.into()
    }

    fn missing_field(field: &'static str) -> Fault {
        FaultKind::Missing(field).into()
    }
}
