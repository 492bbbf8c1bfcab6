//! Files as they are while someone types, merges or mistreats them: whatever is done to a scenario, reading it ends with
//! a scenario or with diagnostics that point into its text. The stable half of `fuzz/`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by them")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ferry_scenario::select::Filter;
use ferry_scenario::{Cell, Diagnostics, Disk, lint, parse, plan};
use proptest::prelude::*;

/// Committed scenarios and the fuzzer's corpus.
fn originals() -> &'static [Vec<u8>] {
    static ORIGINALS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    ORIGINALS.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = files(&here.join("fuzz/corpus/parse"));
        for area in ["single-tenant", "self-test"] {
            paths.extend(files(&here.join("../../scenarios").join(area)));
        }
        paths.iter().map(|path| fs_err::read(path).unwrap()).collect()
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    paths
}

/// Something that happens to a file, at a place that is given as a part of its length.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(f64, u8),
    Delete(f64, usize),
    Insert(f64, String),
    Truncate(f64),
    SwapLines(f64, f64),
    RepeatLine(f64),
    Indent(f64, usize),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let place = 0.0..1.0;
    let text = prop_oneof![
        prop::sample::select(vec![
            ":", ": ", "- ", "[", "]", "{", "}", "\"", "'", "\n", "\t", "#", "&a ", "*a", "|", ">", "!", "---\n", "~",
            "null", "{{", "}}", "<<: ", "ä", "🚢", "\u{feff}", "\r\n", "\0", "1e999", "true",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,6}",
    ];
    let one = prop_oneof![
        (place.clone(), 1_u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (place.clone(), 1_usize..40).prop_map(|(at, len)| Mutation::Delete(at, len)),
        (place.clone(), text).prop_map(|(at, text)| Mutation::Insert(at, text)),
        place.clone().prop_map(Mutation::Truncate),
        (place.clone(), place.clone()).prop_map(|(a, b)| Mutation::SwapLines(a, b)),
        place.clone().prop_map(Mutation::RepeatLine),
        (place, 0_usize..12).prop_map(|(at, blanks)| Mutation::Indent(at, blanks)),
    ];
    prop::collection::vec(one, 1..5)
}

fn mutated(original: &[u8], mutations: &[Mutation]) -> String {
    let mut bytes = original.to_vec();
    for mutation in mutations {
        if bytes.is_empty() {
            break;
        }
        let at = |part: f64| ((bytes.len() as f64 * part) as usize).min(bytes.len() - 1);
        let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        let line_at = |part: f64| ((lines.len() as f64 * part) as usize).min(lines.len() - 1);
        match mutation {
            Mutation::Flip(part, bits) => {
                let at = at(*part);
                bytes[at] ^= bits;
            }
            Mutation::Delete(part, len) => {
                let at = at(*part);
                bytes.drain(at..(at + len).min(bytes.len()));
            }
            Mutation::Insert(part, text) => {
                let at = at(*part);
                bytes.splice(at..at, text.bytes());
            }
            Mutation::Truncate(part) => {
                let at = at(*part);
                bytes.truncate(at);
            }
            Mutation::SwapLines(a, b) => {
                let (a, b) = (line_at(*a), line_at(*b));
                lines.swap(a, b);
                bytes = lines.concat();
            }
            Mutation::RepeatLine(part) => {
                let line = line_at(*part);
                lines.insert(line, lines[line].clone());
                bytes = lines.concat();
            }
            Mutation::Indent(part, blanks) => {
                let line = line_at(*part);
                let text = lines[line].trim_ascii_start().to_vec();
                lines[line] = [" ".repeat(*blanks).into_bytes(), text].concat();
                bytes = lines.concat();
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads, plans and lints, and checks that what is found is in the text, or in a file around it.
fn check(text: &str) -> Result<(), TestCaseError> {
    let files = Disk::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios"));
    let found = match parse("scenarios/area/mutated.yaml", text) {
        Ok(scenario) => {
            prop_assert!(!plan(&scenario, &Cell::default(), &files).to_string().is_empty());
            lint(&scenario, &files)
        }
        Err(found) => {
            prop_assert!(found.has_errors(), "rejected for no reason");
            found
        }
    };
    within(&found, text)
}

fn within(found: &Diagnostics, text: &str) -> Result<(), TestCaseError> {
    for diagnostic in found.iter() {
        let (start, len) = (diagnostic.span.offset as usize, diagnostic.span.len as usize);
        let place = diagnostic.place();
        // What a mutated scenario does not declare any more is missed in the files of its fleet.
        let elsewhere = fs_err::read_to_string(&place.file).ok();
        let text = elsewhere.as_deref().unwrap_or(text);
        // YAML counts a carriage return of its own as the end of a line, too.
        let lines = text.matches(['\n', '\r']).count() as u32 + 1;
        prop_assert!(text.get(start..start + len).is_some(), "{start}+{len} in {text:?}: {diagnostic:?}");
        prop_assert!(place.line <= lines, "{place} of {lines} lines: {}", diagnostic.to_text());
        prop_assert!(!diagnostic.message.is_empty());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_mutated_scenario_is_read_or_explained(which in any::<prop::sample::Index>(), mutations in mutations()) {
        check(&mutated(which.get::<Vec<u8>>(originals()), &mutations))?;
    }

    #[test]
    fn any_text_is_read_or_explained(text in any::<String>()) {
        check(&text)?;
    }
}

/// Found by the test above.
#[test]
fn a_variable_that_the_fleet_misses_is_named_there() {
    let scenario = include_str!("../../../scenarios/traps/operator-manifests-deleted.yaml");
    check(&scenario.replace("greeting:", "reeting:")).unwrap();
}

#[test]
fn the_originals_are_read_or_explained() {
    for original in originals() {
        check(&String::from_utf8_lossy(original)).unwrap();
    }
}

#[test]
fn the_filters_of_the_corpus_are_read_or_explained() {
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/filter")) {
        let text = fs_err::read_to_string(&path).unwrap();
        match Filter::parse("--filter", &text) {
            Ok(filter) => assert_eq!(Filter::parse("--filter", &filter.to_string()).unwrap().expr(), filter.expr()),
            Err(found) => within(&found, &text).unwrap(),
        }
    }
}
