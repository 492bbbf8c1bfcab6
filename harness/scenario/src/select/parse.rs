//! From text to an expression, with every mistake that can be told apart from the others.
//!
//! ```text
//! any       = all   { ("|" | "or") all }
//! all       = unary { ("&" | "and") unary }
//! unary     = ("not" | "!") unary | "(" any ")" | predicate
//! predicate = WORD "(" argument ")"
//! ```
//!
//! What is wrong inside a predicate's parentheses is noted and reading goes on; what is wrong with the expression's shape
//! ends it.

use super::{Expr, Filter, NameGlob, Predicate, span_in};
use crate::names;
use crate::text::{Name, TextError};

/// Parentheses and `not`s in each other. People write three; a file made to exhaust the stack does not get further.
const MAX_DEPTH: usize = 64;

/// Something wrong with a stretch of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Byte that it begins at.
    pub start: usize,
    /// Bytes in it.
    pub len: usize,
    pub message: String,
    pub label: &'static str,
    pub help: String,
}

/// How each predicate is written; `all` is one as well, without an argument.
pub const PREDICATES: [(&str, &str); 8] = [
    ("tag", "tag(smoke)"),
    ("name", "name(take-*)"),
    ("area", "area(single-tenant)"),
    ("suite", "suite(ci)"),
    ("k8s", "k8s(>=1.34)"),
    ("provider", "provider(kind)"),
    ("var", "var(auth=http)"),
    ("all", "all()"),
];

/// Names that people try from other tools, and ours.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("test", "name"),
    ("scenario", "name"),
    ("label", "tag"),
    ("kubernetes", "k8s"),
    ("version", "k8s"),
    ("folder", "area"),
    ("package", "area"),
    ("matrix", "var"),
];

/// Reads a filter.
pub fn filter(text: &str) -> Result<Filter, Vec<Mistake>> {
    let mut parser = Parser { text, at: 0, depth: 0, found: Vec::new(), predicates: Vec::new() };
    let expr = parser.whole();
    let Parser { found, predicates, .. } = parser;
    match expr {
        Ok(expr) if found.is_empty() => {
            let predicates =
                predicates.into_iter().map(|(p, start, end)| (p, span_in(text, start, end - start))).collect();
            Ok(Filter { text: text.into(), expr, predicates })
        }
        Ok(_) => Err(found),
        Err(last) => Err(found.into_iter().chain([last]).collect()),
    }
}

struct Parser<'t> {
    text: &'t str,
    /// Bytes read so far.
    at: usize,
    depth: usize,
    found: Vec<Mistake>,
    predicates: Vec<(Predicate, usize, usize)>,
}

impl<'t> Parser<'t> {
    fn whole(&mut self) -> Result<Expr, Mistake> {
        if self.text.trim().is_empty() {
            let help = format!("write a predicate, such as `{}`; {}", PREDICATES[0].1, known_predicates());
            return Err(mistake(0, 0, "the filter is empty", "here", help));
        }
        let expr = self.any()?;
        self.blanks();
        match self.rest().chars().next() {
            None => Ok(expr),
            Some(')') => Err(mistake(
                self.at,
                1,
                "a `)` that closes nothing",
                "no `(` belongs to it",
                "remove it, or open a parenthesis before",
            )),
            Some(_) => {
                let len = self.token_len();
                let what = format!("`{}` where `&` or `|` was expected", &self.rest()[..len]);
                let help = "put `&` between things that must all hold, `|` between alternatives";
                Err(mistake(self.at, len, what, "`&` or `|` is missing before this", help))
            }
        }
    }

    fn any(&mut self) -> Result<Expr, Mistake> {
        let mut parts = vec![self.all()?];
        while self.operator('|', "or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn all(&mut self) -> Result<Expr, Mistake> {
        let mut parts = vec![self.unary()?];
        while self.operator('&', "and") {
            parts.push(self.unary()?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn unary(&mut self) -> Result<Expr, Mistake> {
        self.blanks();
        let start = self.at;
        if self.depth >= MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} parentheses and `not`s in each other");
            return Err(mistake(start, self.token_len(), what, "too deep from here on", "write it in a simpler way"));
        }
        self.depth += 1;
        let expr = match self.rest().chars().next() {
            Some('!') => {
                self.at += 1;
                Expr::Not(Box::new(self.unary()?))
            }
            Some('(') => {
                self.at += 1;
                let inner = self.any()?;
                self.blanks();
                if !self.eat(')') {
                    return Err(self.unclosed(start, 1));
                }
                inner
            }
            _ if self.word() == "not" => {
                self.at += "not".len();
                Expr::Not(Box::new(self.unary()?))
            }
            _ => self.predicate()?,
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn predicate(&mut self) -> Result<Expr, Mistake> {
        let start = self.at;
        let word = self.word();
        if word.is_empty() {
            let what = match self.rest().chars().next() {
                None => "the filter ends where a predicate was expected".to_owned(),
                Some(c) => format!("{c:?} where a predicate was expected"),
            };
            return Err(mistake(start, self.token_len(), what, "a predicate belongs here", known_predicates()));
        }
        self.at += word.len();
        self.blanks();
        if !self.eat('(') {
            let near = names::nearest(word, PREDICATES.iter().map(|(name, _)| *name));
            let help = match PREDICATES.iter().find(|(name, _)| Some(*name) == near) {
                Some((_, example)) => format!("a predicate has its argument in parentheses, such as `{example}`"),
                None => format!("write `name({word})` for a scenario's name, `tag({word})` for a tag"),
            };
            return Err(mistake(start, word.len(), format!("`{word}` is not a predicate"), "no `(` follows", help));
        }
        let (open, first) = (self.at - 1, self.at);
        // An argument ends at the parenthesis that closes it: names and globs have none.
        let Some(len) = self.rest().find([')', '(']) else { return Err(self.unclosed(open, 1)) };
        if self.rest()[len..].starts_with('(') {
            let what = format!("a `(` before the one of `{word}` is closed");
            return Err(mistake(
                first + len,
                1,
                what,
                "inside an argument",
                "names and globs have none; add a `)` before it",
            ));
        }
        let raw = &self.text[first..first + len];
        self.at = first + len + 1;
        let argument = raw.trim();
        let argument_at = first + (raw.len() - raw.trim_start().len());
        match predicate_of(word, argument) {
            Ok(predicate) => {
                self.predicates.push((predicate.clone(), start, self.at));
                Ok(Expr::Is(predicate))
            }
            Err(Wrong::Word(message, help)) => {
                self.found.push(mistake(start, word.len(), message, "no such predicate", help));
                Ok(Expr::Is(Predicate::All))
            }
            Err(Wrong::Argument(TextError { message, hint })) => {
                let (at, len) =
                    if argument.is_empty() { (open, self.at - open) } else { (argument_at, argument.len()) };
                self.found.push(mistake(at, len, message, "here", hint));
                Ok(Expr::Is(Predicate::All))
            }
        }
    }

    fn unclosed(&self, start: usize, len: usize) -> Mistake {
        mistake(start, len, "a `(` that is not closed", "opened here", "add the `)`")
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    /// The sign, once or twice (`&&` is a habit of many), or its word.
    fn operator(&mut self, sign: char, word: &str) -> bool {
        self.blanks();
        if self.word() == word {
            self.at += word.len();
            return true;
        }
        let found = self.eat(sign);
        if found {
            self.eat(sign);
        }
        found
    }

    /// The letters, digits and joiners that come next.
    fn word(&self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).unwrap_or(rest.len());
        &rest[..end]
    }

    /// Bytes to point at: a word, or one character; none at the end.
    fn token_len(&self) -> usize {
        match self.word().len() {
            0 => self.rest().chars().next().map_or(0, char::len_utf8),
            len => len,
        }
    }
}

enum Wrong {
    Word(String, String),
    Argument(TextError),
}

fn predicate_of(word: &str, argument: &str) -> Result<Predicate, Wrong> {
    let name = |kind: fn(String) -> Predicate| match argument.parse::<Name>() {
        Ok(name) => Ok(kind(name.to_string())),
        Err(_) if argument.is_empty() => Err(empty(word)),
        Err(_) if argument.contains(['*', '?', '[', '{']) => Err(Wrong::Argument(TextError::new(
            format!("`{word}` takes a name, not a glob"),
            "only `name` takes globs; put `|` between several names",
        ))),
        Err(error) => Err(Wrong::Argument(error)),
    };
    match word {
        "tag" => name(Predicate::Tag),
        "area" => name(Predicate::Area),
        "suite" => name(Predicate::Suite),
        "provider" => name(Predicate::Provider),
        "name" if argument.is_empty() => Err(empty(word)),
        "name" => NameGlob::new(argument).map(Predicate::Name).map_err(|why| {
            Wrong::Argument(TextError::new(
                format!("`{argument}` is not a glob: {why}"),
                "write `*` for any letters, `?` for one, `{a,b}` for alternatives, `[ab]` for one of several letters",
            ))
        }),
        "k8s" if argument.is_empty() => Err(empty(word)),
        "k8s" => argument.parse().map(Predicate::Kubernetes).map_err(Wrong::Argument),
        "var" => match argument.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if name.ends_with('!') => Err(Wrong::Argument(TextError::new(
                format!("`{argument}` is not NAME=VALUE"),
                format!("write `not var({}={value})`", name.trim_end_matches('!').trim()),
            ))),
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                Ok(Predicate::Var(name.into(), value.into()))
            }
            _ if argument.is_empty() => Err(empty(word)),
            _ => Err(Wrong::Argument(TextError::new(
                format!("`{argument}` is not NAME=VALUE"),
                "name the variable and its value, such as `var(auth=http)`",
            ))),
        },
        "all" if argument.is_empty() => Ok(Predicate::All),
        "all" => Err(Wrong::Argument(TextError::new("`all` takes no argument", "write `all()`"))),
        _ => {
            let lower = word.to_lowercase();
            let other = OTHER_NAMES.iter().find(|(name, _)| *name == lower).map(|(_, ours)| *ours);
            let meant = other.or_else(|| names::nearest(word, PREDICATES.iter().map(|(name, _)| *name)));
            let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            Err(Wrong::Word(format!("unknown predicate `{word}`{meant}"), known_predicates()))
        }
    }
}

fn empty(word: &str) -> Wrong {
    let example = PREDICATES.iter().find(|(name, _)| *name == word).map_or("tag(smoke)", |(_, example)| *example);
    Wrong::Argument(TextError::new(format!("`{word}` has nothing in its parentheses"), format!("write `{example}`")))
}

fn known_predicates() -> String {
    format!("predicates: {}", names::list(&PREDICATES.map(|(_, example)| example)))
}

fn one_or(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

fn mistake(
    start: usize,
    len: usize,
    message: impl Into<String>,
    label: &'static str,
    help: impl Into<String>,
) -> Mistake {
    Mistake { start, len, message: message.into(), label, help: help.into() }
}
