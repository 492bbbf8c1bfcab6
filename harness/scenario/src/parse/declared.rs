//! What a file declares before anything in it can be read: its variables and its matrix.

use serde_json::Value as Json;

use super::tree::{Node, Value};
use crate::cell::{BUILT_IN, Cell, PROVIDERS, plain};
use crate::diagnostic::{Diagnostic, codes};
use crate::names;
use crate::span::{Source, Span};
use crate::vars::{Variables, is_template};

/// Values for variables, from the command line.
pub type Sets = std::collections::BTreeMap<String, String>;

/// Cells beyond this are a slip: no machine would end a run of them.
const MAX_CELLS: usize = 256;

/// A variable as its file declares it.
#[derive(Debug)]
pub struct Declared {
    pub name: String,
    /// Null: it has none, and must be given.
    pub default: Json,
    pub span: Span,
}

/// The variables under `vars:`. What is no map is for the typed stage to say.
pub fn variables(root: &Node, source: &Source, found: &mut Vec<Diagnostic>) -> Vec<Declared> {
    let mut all = Vec::new();
    for (key, value) in entries(root, "vars") {
        if BUILT_IN.contains(&key.text.as_str()) {
            found.push(
                Diagnostic::error(
                    codes::BAD_VALUE,
                    source,
                    key.span,
                    format!("`{}` is a variable of every scenario", key.text),
                )
                .labelled("declared already")
                .helped("use it as it is, and vary it by the matrix"),
            );
        }
        if matches!(&value.value, Value::Text(text) if is_template(text)) {
            found.push(
                Diagnostic::error(codes::TEMPLATE, source, value.span, "a default is no template")
                    .labelled("would not be rendered")
                    .helped("write the value itself"),
            );
        }
        all.push(Declared { name: key.text.clone(), default: json(value), span: key.span });
    }
    all
}

/// The values of the variables in a cell: what the command line sets, else what the cell says, else the default.
pub fn values(
    declared: &[Declared],
    cell: &Cell,
    sets: &Sets,
    source: &Source,
    found: &mut Vec<Diagnostic>,
) -> Variables {
    let mut variables = Variables::default();
    variables.set("kubernetes", Json::String(cell.kubernetes.clone()));
    variables.set("provider", Json::String(cell.provider.clone()));
    for Declared { name, default, span } in declared {
        let value = match (sets.get(name), cell.vars.get(name)) {
            (Some(text), _) => typed(text, default),
            (None, Some(value)) => value.clone(),
            (None, None) => default.clone(),
        };
        if value.is_null() {
            found.push(
                Diagnostic::error(codes::UNKNOWN_VARIABLE, source, *span, format!("`{name}` has no value"))
                    .labelled("no default")
                    .helped(format!("give it one: `--set {name}=…`, or a default here")),
            );
        }
        variables.set(name, value);
    }
    let known: Vec<&str> = declared.iter().map(|d| d.name.as_str()).chain(BUILT_IN).collect();
    for name in sets.keys().filter(|name| !known.contains(&name.as_str())) {
        let meant = names::nearest(name, known.iter().copied());
        let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        found.push(
            Diagnostic::error(
                codes::UNKNOWN_VARIABLE,
                source,
                Span::default(),
                format!("there is no variable `{name}` to set{meant}"),
            )
            .helped(format!("known: {}", names::list(&known))),
        );
    }
    variables
}

/// A value from the command line: text where the default is one, else as YAML would read it.
fn typed(text: &str, default: &Json) -> Json {
    match default {
        Json::String(_) => Json::String(text.into()),
        _ => serde_saphyr::from_str(text).unwrap_or_else(|_| Json::String(text.into())),
    }
}

/// The cells of `matrix:`; one if there is none. What the command line sets is the only value of its dimension.
pub fn cells(
    root: &Node,
    declared: &[Declared],
    sets: &Sets,
    source: &Source,
    found: &mut Vec<Diagnostic>,
) -> Vec<Cell> {
    let mut error = |span: Span, message: String, help: String| {
        found.push(Diagnostic::error(codes::MATRIX, source, span, message).labelled("here").helped(help));
    };
    let known: Vec<&str> = BUILT_IN.into_iter().chain(declared.iter().map(|d| d.name.as_str())).collect();
    let mut dimensions: Vec<(String, Vec<Json>)> = Vec::new();
    let mut excluded: Vec<Vec<(String, Json)>> = Vec::new();
    for (key, value) in entries(root, "matrix") {
        if key.text == "exclude" {
            let Value::List(items) = &value.value else {
                error(
                    value.span,
                    "`exclude` is no list".into(),
                    "write `exclude: [{provider: k3s, kubernetes: \"1.33\"}]`".into(),
                );
                continue;
            };
            for item in items {
                let Value::Map(pairs) = &item.value else {
                    error(
                        item.span,
                        "an exclusion is a map of dimensions and their values".into(),
                        "write `{provider: k3s}`".into(),
                    );
                    continue;
                };
                for (name, _) in pairs {
                    if !entries(root, "matrix").any(|(key, _)| key.text == name.text && key.text != "exclude") {
                        error(
                            name.span,
                            format!("the matrix has no dimension `{}`", name.text),
                            "exclude by dimensions of this matrix".into(),
                        );
                    }
                }
                excluded.push(pairs.iter().map(|(name, value)| (name.text.clone(), json(value))).collect());
            }
            continue;
        }
        if !known.contains(&key.text.as_str()) {
            let meant = names::nearest(&key.text, known.iter().copied().chain(["exclude"]));
            let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            let help = format!(
                "a dimension is a variable of the scenario, declared under `vars:`; known: {}",
                names::list(&known)
            );
            error(key.span, format!("unknown dimension `{}`{meant}", key.text), help);
            continue;
        }
        let Value::List(items) = &value.value else {
            let written = source.slice(value.span);
            error(
                value.span,
                format!("the values of `{}` are no list", key.text),
                format!("write `{}: [{written}]`", key.text),
            );
            continue;
        };
        if items.is_empty() {
            error(
                value.span,
                format!("`{}` has no values: the scenario would run nowhere", key.text),
                "name at least one, or remove the dimension".into(),
            );
        }
        for item in items {
            match (key.text.as_str(), &item.value) {
                (_, Value::Map(_) | Value::Null) => error(
                    item.span,
                    "a value of a dimension is a text, a number, a boolean or a list".into(),
                    "it becomes part of the trial's name".into(),
                ),
                ("kubernetes", Value::Text(text)) if is_minor(text) => {}
                ("kubernetes", _) => error(
                    item.span,
                    format!("{} is no minor release of Kubernetes", item.describe(source)),
                    "write it in quotes, such as \"1.34\"".into(),
                ),
                ("provider", Value::Text(text)) if PROVIDERS.contains(&text.as_str()) => {}
                ("provider", _) => {
                    let written = source.slice(item.span);
                    let meant = names::nearest(written, PROVIDERS).map(|name| format!("; did you mean `{name}`?"));
                    error(
                        item.span,
                        format!("unknown provider `{written}`{}", meant.unwrap_or_default()),
                        format!("known: {}", names::list(&PROVIDERS)),
                    );
                }
                _ => {}
            }
        }
        dimensions.push((key.text.clone(), items.iter().map(json).collect()));
    }
    for (name, text) in sets {
        let default = declared.iter().find(|d| d.name == *name).map(|d| &d.default);
        let value = typed(text, default.unwrap_or(&Json::String(String::new())));
        match dimensions.iter_mut().find(|(dimension, _)| dimension == name) {
            Some((_, values)) => *values = vec![value],
            None if BUILT_IN.contains(&name.as_str()) => dimensions.push((name.clone(), vec![value])),
            None => {}
        }
    }
    let count = dimensions.iter().map(|(_, values)| values.len()).fold(1usize, usize::saturating_mul);
    if count > MAX_CELLS {
        let span = entries(root, "matrix").next().map_or(Span::default(), |(key, _)| key.span);
        error(
            span,
            format!("the matrix has {count} cells, at most {MAX_CELLS}"),
            "take values away, or split the scenario".into(),
        );
        return vec![Cell::default()];
    }
    let mut cells = vec![Cell::default()];
    for (name, values) in &dimensions {
        cells = cells.iter().flat_map(|cell| values.iter().map(move |value| with(cell, name, value))).collect();
    }
    cells.retain(|cell| {
        let is = |(name, value): &(String, Json)| cell.get(name) == Some(plain(value));
        !excluded.iter().any(|pairs| !pairs.is_empty() && pairs.iter().all(is))
    });
    if cells.is_empty() && dimensions.iter().all(|(_, values)| !values.is_empty()) {
        let span = entries(root, "matrix").next().map_or(Span::default(), |(key, _)| key.span);
        error(span, "every cell of the matrix is excluded".into(), "leave at least one".into());
    }
    if cells.is_empty() { vec![Cell::default()] } else { cells }
}

fn with(cell: &Cell, dimension: &str, value: &Json) -> Cell {
    let mut cell = cell.clone();
    match dimension {
        "kubernetes" => cell.kubernetes = plain(value),
        "provider" => cell.provider = plain(value),
        name => drop(cell.vars.insert(name.into(), value.clone())),
    }
    cell
}

fn is_minor(text: &str) -> bool {
    text.split_once('.').is_some_and(|(major, minor)| major == "1" && minor.parse::<u8>().is_ok())
}

/// The entries of the map under a key of the root.
fn entries<'n>(root: &'n Node, key: &str) -> impl Iterator<Item = &'n (super::tree::Key, Node)> {
    let found = match &root.value {
        Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, value)| &value.value),
        _ => None,
    };
    match found {
        Some(Value::Map(entries)) => entries.iter(),
        _ => [].iter(),
    }
}

/// A node as a plain value.
pub fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Signed(value) => (*value).into(),
        Value::Unsigned(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|(key, value)| (key.text.clone(), json(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::tests::example;
    use crate::parse::{Given, Sets, parse_with};
    use crate::{Cell, folders::NoFiles};

    fn cells(changes: &str, sets: &[(&str, &str)]) -> String {
        let sets: Sets = sets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match parse_with("f", &example(changes), Given { files: &NoFiles, sets: &sets, cell: None }) {
            Ok(scenario) => scenario.cells.iter().map(|cell| format!("{cell}\n")).collect(),
            Err(found) => found.to_text(),
        }
    }

    #[test]
    fn a_matrix_has_a_cell_for_each_combination() {
        let matrix = "vars: {auth: ssh, replicas: 2}
matrix: {kubernetes: [\"1.33\", \"1.34\"], auth: [ssh, http], exclude: [{kubernetes: \"1.33\", auth: http}]}";
        insta::assert_snapshot!(cells(matrix, &[]), @r"
        k8s_1_33::kind::auth_ssh
        k8s_1_34::kind::auth_ssh
        k8s_1_34::kind::auth_http
        ");
        insta::assert_snapshot!(cells(matrix, &[("auth", "http")]), @"k8s_1_34::kind::auth_http");
        insta::assert_snapshot!(cells(matrix, &[("provider", "k3s"), ("replicas", "3")]), @r"
        k8s_1_33::k3s::auth_ssh
        k8s_1_34::k3s::auth_ssh
        k8s_1_34::k3s::auth_http
        ");
        assert_eq!(cells("", &[]), format!("{}\n", Cell::default()));
    }

    #[test]
    fn a_scenario_is_read_for_a_cell() {
        let text = example("vars: {auth: ssh}\nmatrix: {auth: [ssh, http]}\nsummary: by {{ auth }}");
        let sets = Sets::new();
        let read = |cell: Option<&Cell>| parse_with("f", &text, Given { files: &NoFiles, sets: &sets, cell }).unwrap();
        let first = read(None);
        assert_eq!(first.summary.value, "by ssh");
        assert_eq!(read(Some(&first.cells[1])).summary.value, "by http");
    }

    #[test]
    fn what_authors_see() {
        let mistakes = [
            "matrix: {auht: [ssh]}\nvars: {auth: ssh}",
            "matrix: {auth: ssh}\nvars: {auth: ssh}",
            "matrix: {auth: []}\nvars: {auth: ssh}",
            "matrix: {auth: [{a: b}]}\nvars: {auth: ssh}",
            "matrix: {kubernetes: [1.34, latest]}",
            "matrix: {provider: [kindd]}",
            "matrix: {provider: [kind], exclude: [{provider: kind}]}",
            "matrix: {provider: [kind], exclude: {provider: kind}}",
            "matrix: {provider: [kind], exclude: [{kubernetes: \"1.34\"}]}",
            "matrix: {exclued: [{provider: kind}]}",
            "matrix: [a]",
        ];
        let said = mistakes.map(|changes| format!("{changes}\n{}", cells(changes, &[])));
        insta::assert_snapshot!(said.join("\n"));
    }
}
