//! Variables and the templates that use them.
//!
//! A template is a text with `{{ … }}` or `{% … %}` in it, as in Jinja. A text that is one expression and nothing else
//! keeps the value's type, so that `replicas: "{{ replicas }}"` is a number. Nothing is forgiven: a variable that is not
//! declared is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

use crate::names;

/// How the names of files end that are templates. Rendered, they lose it.
pub const TEMPLATE: &str = ".j2";

/// What a template may cost, in minijinja's steps: a page of loops stays far below it, an endless one does not.
const FUEL: u64 = 100_000;

/// Names and values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variables(BTreeMap<String, Value>);

/// Why a template cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It names a variable that is not declared.
    #[error("no variable is called `{name}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// As it is written.
        name: String,
        /// The declared one that was probably meant.
        nearest: Option<String>,
        /// All that are declared.
        known: Vec<String>,
        /// Where it is in the template, in bytes.
        range: Option<Range<usize>>,
    },
    /// It is no template, or fails.
    #[error("the template cannot be rendered: {message}")]
    Invalid {
        /// In the template engine's words.
        message: String,
        /// Where in the template, in bytes.
        range: Option<Range<usize>>,
    },
}

impl TemplateError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            TemplateError::Unknown { known, .. } if known.is_empty() => "declare it under `vars:`".into(),
            TemplateError::Unknown { known, .. } => {
                format!("declare it under `vars:`, or name one of {}", names::list(known))
            }
            TemplateError::Invalid { .. } => {
                "templates are Jinja's; write `{% raw %}…{% endraw %}` around braces that are none".into()
            }
        }
    }

    /// Where in the template, in bytes.
    pub fn range(&self) -> Option<Range<usize>> {
        match self {
            TemplateError::Unknown { range, .. } | TemplateError::Invalid { range, .. } => range.clone(),
        }
    }
}

/// Whether a text has anything to render.
pub fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|open| text.contains(open))
}

impl FromIterator<(String, Value)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(values: I) -> Variables {
        Variables(values.into_iter().collect())
    }
}

impl Variables {
    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.into(), value);
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Renders a template to text.
    ///
    /// # Errors
    /// If it is no template, names something undeclared, or does more than a template should.
    pub fn render(&self, text: &str) -> Result<String, TemplateError> {
        let environment = environment();
        let template = environment.template_from_str(text).map_err(|e| invalid(&e))?;
        self.all_declared(template.undeclared_variables(false), &environment, text)?;
        template.render(Serde(&self.0)).map_err(|e| invalid(&e))
    }

    /// Renders a template to a value: that of its only expression, or else a text.
    ///
    /// # Errors
    /// As [`Variables::render`].
    pub fn evaluate(&self, text: &str) -> Result<Value, TemplateError> {
        let Some(expression) = lone_expression(text) else { return self.render(text).map(Value::String) };
        let environment = environment();
        let compiled = environment.compile_expression(expression).map_err(|e| invalid(&e))?;
        self.all_declared(compiled.undeclared_variables(false), &environment, text)?;
        let value = compiled.eval(Serde(&self.0)).map_err(|e| invalid(&e))?;
        if value.is_undefined() {
            return Err(TemplateError::Invalid { message: format!("`{expression}` is undefined"), range: None });
        }
        serde_json::to_value(value).map_err(|e| TemplateError::Invalid { message: e.to_string(), range: None })
    }

    fn all_declared(
        &self,
        used: impl IntoIterator<Item = String>,
        environment: &Environment<'_>,
        text: &str,
    ) -> Result<(), TemplateError> {
        let globals: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
        let used: BTreeSet<String> = used.into_iter().collect();
        match used.into_iter().find(|name| !self.0.contains_key(name) && !globals.contains(name.as_str())) {
            None => Ok(()),
            Some(name) => Err(TemplateError::Unknown {
                nearest: names::nearest(&name, self.0.keys().map(String::as_str)).map(Into::into),
                known: self.0.keys().cloned().collect(),
                range: text.find(&name).map(|start| start..start + name.len()),
                name,
            }),
        }
    }
}

fn environment() -> Environment<'static> {
    // A rendered file keeps its last line's end.
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default();
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_syntax(syntax);
    environment.set_fuel(Some(FUEL));
    environment
}

/// The inside of a text that is `{{ … }}` and nothing else.
fn lone_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!is_template(inner) && !inner.contains("}}")).then(|| inner.trim_matches(['-', ' ', '\n']))
}

fn invalid(error: &minijinja::Error) -> TemplateError {
    let message = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    TemplateError::Invalid { message, range: error.range() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    fn variables() -> Variables {
        [("auth", json!("ssh")), ("replicas", json!(2)), ("parts", json!(["a", "b"])), ("on", json!(true))]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    #[rstest]
    #[case("{{ auth }}", json!("ssh"))]
    #[case("{{ replicas }}", json!(2))]
    #[case("{{ replicas + 1 }}", json!(3))]
    #[case("{{ on }}", json!(true))]
    #[case("{{ parts }}", json!(["a", "b"]))]
    #[case("by {{ auth }}", json!("by ssh"))]
    #[case("{{ auth }}{{ replicas }}", json!("ssh2"))]
    #[case("{% for part in parts %}{{ part }};{% endfor %}", json!("a;b;"))]
    #[case("{% raw %}{{ helm }}{% endraw %}", json!("{{ helm }}"))]
    #[case("{{ auth | upper }}", json!("SSH"))]
    #[case("{{ '<a&b>' }}", json!("<a&b>"))]
    fn evaluates(#[case] template: &str, #[case] expected: Value) {
        assert_eq!(variables().evaluate(template), Ok(expected));
    }

    #[test]
    fn says_what_is_wrong() {
        let templates = [
            "{{ auht }}",
            "via {{ auth }} and {{ color }}",
            "{{ auth",
            "{{ auth | uper }}",
            "{{ parts.first }}",
            "{{ parts[7] }}",
            "{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}",
            "{% include 'x' %}",
            "{{ 1 / 0 }}",
        ];
        let said = templates.map(|template| {
            let error = variables().evaluate(template).unwrap_err();
            format!("{error} ({}) {:?}", error.hint(), error.range())
        });
        insta::assert_snapshot!(said.join("\n"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[{}%#a-z0-9 |.+*()\\[\\]\"'-]{0,60}") {
            let _ = variables().evaluate(&text);
        }
    }
}
