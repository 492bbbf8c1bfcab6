//! CEL over live objects: compiled when a scenario is checked, evaluated whenever an object changes.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Env, ExecutionError, Program, Value as CelValue};
use serde_json::Value;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    program: Program,
    env: SharedEnv,
}

/// Functions and macros of the language's standard library.
#[derive(Clone)]
struct SharedEnv(Arc<Env>);

impl fmt::Debug for SharedEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}

/// A text that is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Line and column in the text, both from 1.
    pub at: (usize, usize),
}

/// Why an expression has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// It has a value, but a condition is true or false.
    #[error("the expression gives the type {0}, not true or false")]
    NotBoolean(String),
    /// It names what does not exist; other objects would not help.
    #[error("the expression cannot be evaluated: {0}")]
    Unknown(String),
    /// Not with these objects: a field is absent, or of another type.
    #[error("the expression cannot be evaluated yet: {0}")]
    NotWithThese(String),
}

/// Functions of the standard library that authors may have meant.
const FUNCTIONS: [&str; 25] = [
    "all",
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "getHours",
    "getMinutes",
    "getSeconds",
    "has",
    "int",
    "map",
    "matches",
    "orValue",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
    "value",
];

impl Expression {
    /// Compiles a text.
    ///
    /// # Errors
    /// The first thing that is wrong with its syntax.
    pub fn compile(text: &str) -> Result<Expression, SyntaxError> {
        let env = Arc::new(Env::stdlib());
        let program = env.compile(text).map_err(|all| {
            let Some(first) = all.errors.first() else { return SyntaxError { message: all.to_string(), at: (1, 1) } };
            let from_1 = |n: isize| usize::try_from(n).unwrap_or(1).max(1);
            SyntaxError { message: plain(&first.msg), at: (from_1(first.pos.0), from_1(first.pos.1)) }
        })?;
        Ok(Expression { program, env: SharedEnv(env) })
    }

    /// The variables that it looks at, without those that its own macros bind.
    pub fn variables(&self) -> BTreeSet<&str> {
        self.walk().variables
    }

    /// Fields that it looks at, such as `object.status.readyReplicas`, each as variable and keys.
    pub fn fields(&self) -> BTreeSet<Vec<&str>> {
        self.walk().fields
    }

    /// Functions that the standard library does not have, each with the nearest that it has.
    pub fn unknown_functions(&self) -> Vec<(String, Option<&'static str>)> {
        let is_known = |name: &str| {
            // A declared name cannot be added again: the only way to ask.
            Context::with_env(self.env.0.clone()).add_function(name, |any: i64| any).is_err()
        };
        let references = self.program.references();
        let mut unknown: Vec<_> = references.functions().into_iter().map(str::to_owned).collect();
        // Operators and what macros expand to are no names that anyone writes.
        unknown.retain(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()) && !is_known(name));
        unknown.sort();
        unknown.into_iter().map(|name| (name.clone(), crate::names::nearest(&name, FUNCTIONS))).collect()
    }

    /// Whether it holds, each variable bound to an object, or to null.
    ///
    /// # Errors
    /// It has no answer, now or ever.
    pub fn holds<'v>(&self, bound: impl IntoIterator<Item = (&'v str, &'v Value)>) -> Result<bool, EvaluationError> {
        let mut context = Context::with_env(self.env.0.clone());
        for (name, value) in bound {
            context.add_variable_from_value(name, to_cel(value));
        }
        match self.program.execute(&context) {
            Ok(CelValue::Bool(holds)) => Ok(holds),
            Ok(other) => Err(EvaluationError::NotBoolean(other.type_of().to_string())),
            Err(ExecutionError::UndeclaredReference(name)) => {
                Err(EvaluationError::Unknown(format!("there is no variable or function `{name}`")))
            }
            Err(ExecutionError::NoSuchKey(key)) => Err(EvaluationError::NotWithThese(format!("there is no `{key}`"))),
            Err(error) => Err(EvaluationError::NotWithThese(in_words(&error))),
        }
    }

    fn walk(&self) -> Walk<'_> {
        let mut walk = Walk::default();
        walk.expression(self.program.expression());
        walk
    }
}

/// The parser's words in plainer ones, without the dozen signs that it would have liked better.
fn plain(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split_once(" expecting ").map_or(message, |(found, _)| found);
    let rest = |prefix: &str| message.strip_prefix(prefix).map(|rest| rest.trim_matches('\''));
    if message.ends_with("'<EOF>'") {
        return match rest("missing ").and_then(|what| what.split_once(" at ")) {
            Some((what, _)) => format!("it ends without `{}`", what.trim_matches('\'')),
            None => "it ends too early".into(),
        };
    }
    if let Some(sign) = rest("token recognition error at: ") {
        return format!("`{}` has no meaning here", sign.trim());
    }
    if let Some(found) = rest("mismatched input ")
        .or_else(|| rest("extraneous input "))
        .or_else(|| rest("no viable alternative at input "))
    {
        return format!("`{found}` is not expected here");
    }
    message.to_owned()
}

/// The library's error without the whole of a large object in it.
fn in_words(error: &ExecutionError) -> String {
    let text = error.to_string();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// As Kubernetes binds objects: whole numbers are int, whatever their sign.
fn to_cel(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => CelValue::Int(int),
            (None, Some(uint)) => CelValue::UInt(uint),
            (None, None) => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(entries) => {
            let entries: HashMap<String, CelValue> =
                entries.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect();
            entries.into()
        }
    }
}

/// What an expression refers to.
#[derive(Default)]
struct Walk<'e> {
    variables: BTreeSet<&'e str>,
    fields: BTreeSet<Vec<&'e str>>,
    /// Names that macros around the current place bind.
    bound: Vec<&'e str>,
}

impl<'e> Walk<'e> {
    fn expression(&mut self, expression: &'e IdedExpr) {
        if let Some(field) = path(expression) {
            if let Some(root) = field.first().filter(|root| !self.bound.contains(root) && !root.starts_with('@')) {
                self.variables.insert(root);
                self.fields.insert(field);
            }
            return;
        }
        match &expression.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
            Expr::Select(select) => self.expression(&select.operand),
            Expr::Call(call) => {
                call.target.iter().map(AsRef::as_ref).chain(&call.args).for_each(|e| self.expression(e))
            }
            Expr::List(list) => list.elements.iter().for_each(|e| self.expression(e)),
            Expr::Map(map) => map.entries.iter().for_each(|e| self.entry(&e.expr)),
            Expr::Struct(fields) => fields.entries.iter().for_each(|e| self.entry(&e.expr)),
            Expr::Comprehension(macro_) => {
                self.expression(&macro_.iter_range);
                self.expression(&macro_.accu_init);
                let outside = self.bound.len();
                self.bound.extend([macro_.iter_var.as_str(), macro_.accu_var.as_str()]);
                self.bound.extend(macro_.iter_var2.as_deref());
                [&macro_.loop_cond, &macro_.loop_step, &macro_.result].into_iter().for_each(|e| self.expression(e));
                self.bound.truncate(outside);
            }
        }
    }

    fn entry(&mut self, entry: &'e EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.expression(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.expression(&entry.key);
                self.expression(&entry.value);
            }
        }
    }
}

/// `a.b.c` as its parts; `has(a.b)` looks at `a.b` too.
fn path(expression: &IdedExpr) -> Option<Vec<&str>> {
    match &expression.expr {
        Expr::Ident(name) => Some(vec![name]),
        Expr::Select(select) => {
            let mut parts = path(&select.operand)?;
            parts.push(&select.field);
            Some(parts)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    fn web() -> Value {
        json!({"metadata": {"name": "web", "labels": {"app": "web"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
               "spec": {"replicas": 2, "ratio": 0.5},
               "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "False"}]}})
    }

    #[rstest]
    #[case::equals("object.spec.replicas == 2", Ok(true))]
    #[case::less("object.spec.replicas < 2", Ok(false))]
    #[case::fraction("object.spec.ratio == 0.5", Ok(true))]
    #[case::has("has(object.spec.suspend)", Ok(false))]
    #[case::guarded("!has(object.spec.suspend) || object.spec.suspend == false", Ok(true))]
    #[case::index("object.metadata.labels['app'] == 'web'", Ok(true))]
    #[case::exists("object.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')", Ok(true))]
    #[case::all("object.status.conditions.all(c, c.status == 'True')", Ok(false))]
    #[case::size("size(object.status.conditions) == 2", Ok(true))]
    #[case::text("object.metadata.name.startsWith('we') && object.metadata.name.matches('^w.b$')", Ok(true))]
    #[case::time("timestamp(object.metadata.creationTimestamp) < timestamp('2026-01-02T00:00:00Z')", Ok(true))]
    #[case::nothing("none == null", Ok(true))]
    #[case::no_key("object.spec.suspend == true", Err(EvaluationError::NotWithThese("there is no `suspend`".into())))]
    #[case::no_variable("web.spec.replicas == 2", Err(EvaluationError::Unknown("there is no variable or function `web`".into())))]
    #[case::no_function("sized(object.spec) == 2", Err(EvaluationError::Unknown("there is no variable or function `sized`".into())))]
    #[case::number("object.spec.replicas", Err(EvaluationError::NotBoolean("int".into())))]
    #[case::text_value("object.metadata.name", Err(EvaluationError::NotBoolean("string".into())))]
    #[case::map("object.spec", Err(EvaluationError::NotBoolean("map".into())))]
    fn evaluates(#[case] text: &str, #[case] expected: Result<bool, EvaluationError>) {
        let expression = Expression::compile(text).unwrap();
        assert_eq!(expression.holds([("object", &web()), ("none", &Value::Null)]), expected);
    }

    /// An object that is not there (yet) must not end a wait, whatever the expression does with it.
    #[rstest]
    #[case("object.spec.replicas == 2")]
    #[case("object.status.conditions.exists(c, c.type == 'Ready')")]
    #[case("object.metadata.labels['app'] == 'web'")]
    #[case("size(object.items) > 1")]
    fn a_missing_object_is_no_answer(#[case] text: &str) {
        let answer = Expression::compile(text).unwrap().holds([("object", &Value::Null)]);
        assert!(matches!(answer, Err(EvaluationError::NotWithThese(_))), "{answer:?}");
    }

    #[rstest]
    #[case("object.a == web.b && true", &["object", "web"], &["object.a", "web.b"])]
    #[case("object.items.exists(c, c.type == other.x)", &["object", "other"], &["object.items", "other.x"])]
    #[case("has(object.a.b)", &["object"], &["object.a.b"])]
    #[case("size(object.a[0].b) > 1", &["object"], &["object.a"])]
    #[case("1 == 1", &[], &[])]
    fn knows_what_it_looks_at(#[case] text: &str, #[case] variables: &[&str], #[case] fields: &[&str]) {
        let expression = Expression::compile(text).unwrap();
        assert_eq!(expression.variables().into_iter().collect::<Vec<_>>(), variables);
        let found: Vec<String> = expression.fields().iter().map(|field| field.join(".")).collect();
        assert_eq!(found, fields);
    }

    #[rstest]
    #[case("size(object) > 0 && object.x.contains('a') && object.l.exists(c, c > int('1'))", &[])]
    #[case("siez(object) > 0", &[("siez", Some("size"))])]
    #[case("object.name.startWith('a') || xyzzy(1)", &[("startWith", Some("startsWith")), ("xyzzy", None)])]
    fn knows_unknown_functions(#[case] text: &str, #[case] unknown: &[(&str, Option<&str>)]) {
        let found = Expression::compile(text).unwrap().unknown_functions();
        assert_eq!(found.iter().map(|(name, near)| (name.as_str(), *near)).collect::<Vec<_>>(), unknown);
    }

    #[test]
    fn a_mistake_has_its_place() {
        let error = |text| Expression::compile(text).map(|_| ()).unwrap_err();
        let texts = ["", "object.spec.replicas = 2", "object.spec.", "a ==", "(a", "a b", "'open", "a && && b", "1 +"];
        let shown = texts.map(|text| {
            let SyntaxError { message, at } = error(text);
            format!("{text:?} {}:{}: {message}", at.0, at.1)
        });
        insta::assert_snapshot!(shown.join("\n"), @r#"
        "" 1:1: it ends too early
        "object.spec.replicas = 2" 1:22: `=` has no meaning here
        "object.spec." 1:13: `.` is not expected here
        "a ==" 1:5: it ends too early
        "(a" 1:3: it ends without `)`
        "a b" 1:3: `b` is not expected here
        "'open" 1:1: `open` has no meaning here
        "a && && b" 1:6: `&&` is not expected here
        "1 +" 1:4: it ends too early
        "#);
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"([a-z]{1,3}|[0-9]{1,2}|[ .,:?!<>=&|+*/%()\[\]{}'"\\-]|==|&&|\|\||has\(|é){0,30}"#) {
            if let Ok(expression) = Expression::compile(&text) {
                let _ = (expression.variables(), expression.unknown_functions());
                let _ = expression.holds([("a", &web())]);
            }
        }
    }
}
