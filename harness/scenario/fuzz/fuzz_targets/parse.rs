//! Bytes as a scenario file: read, linted, planned; never a panic, never a place outside of the text.
#![no_main]

use ferry_scenario::{Cell, Disk, lint, parse, plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A folder that does not exist: no file is ever found in it.
    let files = Disk::new("/nonexistent/scenarios");
    let found = match parse("scenarios/area/fuzzed.yaml", text) {
        Ok(scenario) => {
            let plan = plan(&scenario, &Cell::default(), &files);
            assert!(!plan.to_string().is_empty());
            lint(&scenario, &files)
        }
        Err(found) => {
            assert!(!found.is_empty());
            found
        }
    };
    for diagnostic in found {
        let start = diagnostic.span.offset as usize;
        assert!(text.get(start..start + diagnostic.span.len as usize).is_some(), "{diagnostic:?}");
    }
});
