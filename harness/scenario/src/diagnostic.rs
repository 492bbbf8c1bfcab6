//! What is wrong with a scenario file, where, and what to do about it.

use std::fmt;
use std::ops::Deref;

use miette::{LabeledSpan, SourceCode};

use crate::span::{Place, Source, SourceFile, Span};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Probably not what the author means; the scenario can run.
    Warning,
    /// The scenario cannot run.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// One thing that is wrong.
///
/// It renders by itself as a line ([`Diagnostic::to_text`]) and through miette with the text around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `E…` from parsing, `F…` from lint.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to write at the place itself.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// The file that it is in.
    pub source: Source,
}

/// Codes of what parsing finds. Those of lint are in its rules.
pub mod codes {
    /// The file cannot be read, or is too large to be a scenario.
    pub const FILE: &str = "E001";
    /// There is nothing in it.
    pub const EMPTY: &str = "E002";
    /// It is not YAML.
    pub const YAML: &str = "E003";
    /// A key occurs twice in a map.
    pub const REPEATED_KEY: &str = "E004";
    /// A key that has no meaning here.
    pub const UNKNOWN_KEY: &str = "E005";
    /// A key that must be there is not.
    pub const MISSING_KEY: &str = "E006";
    /// A value of the wrong type.
    pub const WRONG_TYPE: &str = "E007";
    /// A name that is not among the known ones.
    pub const UNKNOWN_NAME: &str = "E008";
    /// A value that does not say what it should.
    pub const BAD_VALUE: &str = "E009";
    /// What must be a map of one key is not.
    pub const ONE_KEY: &str = "E010";
    /// A variable that is not declared.
    pub const UNKNOWN_VARIABLE: &str = "E011";
    /// A template that cannot be rendered.
    pub const TEMPLATE: &str = "E012";
    /// A fragment that cannot be included.
    pub const FRAGMENT: &str = "E013";
    /// A matrix that makes no cells.
    pub const MATRIX: &str = "E014";
    /// A filter that says nothing, or selects nothing.
    pub const FILTER: &str = "E015";
    /// A suite that cannot be.
    pub const SUITE: &str = "E016";
    /// More mistakes than are worth listing.
    pub const TOO_MANY: &str = "E099";
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, source: &Source, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            span,
            label: String::new(),
            help: None,
            source: source.clone(),
        }
    }

    pub(crate) fn labelled(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    pub(crate) fn helped(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Line and column in its file.
    pub fn place(&self) -> Place {
        self.source.place(self.span)
    }

    /// `file:line:column: error[E006]: message (help)`, on one line.
    pub fn to_text(&self) -> String {
        let help = self.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        let text = format!("{}: {}[{}]: {}{help}", self.place(), self.severity, self.code, self.message);
        text.replace('\n', " ")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let text = self.source.file(self.span).map_or("", SourceFile::text);
        (!text.is_empty()).then_some(&self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new(Some(self.label.clone()), self.span.offset as usize, self.span.len as usize);
        Some(Box::new(std::iter::once(label)))
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let offset = u32::try_from(span.offset()).unwrap_or(u32::MAX);
        let file = self.file(Span { offset, ..Span::default() }).ok_or(miette::MietteError::OutOfBounds)?;
        let start = file.start() as usize;
        let inner = miette::SourceSpan::from((span.offset() - start, span.len()));
        let contents = file.text().read_span(&inner, before, after)?;
        let outer = miette::SourceSpan::from((contents.span().offset() + start, contents.span().len()));
        Ok(Box::new(miette::MietteSpanContents::new_named(
            file.name().to_owned(),
            contents.data(),
            outer,
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

/// Everything that is wrong, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Whether the scenario cannot run.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// One line each.
    pub fn to_text(&self) -> String {
        self.0.iter().map(|d| d.to_text() + "\n").collect()
    }

    /// For rendering at the edge, each with the text around it.
    pub fn reports(&self) -> impl Iterator<Item = miette::Report> + '_ {
        self.0.iter().cloned().map(miette::Report::new)
    }
}

impl From<Vec<Diagnostic>> for Diagnostics {
    fn from(mut diagnostics: Vec<Diagnostic>) -> Diagnostics {
        diagnostics.sort_by_key(|d| (d.source.name().to_owned(), d.span.offset));
        Diagnostics(diagnostics)
    }
}

impl Deref for Diagnostics {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.0
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_text().trim_end())
    }
}

impl std::error::Error for Diagnostics {}
