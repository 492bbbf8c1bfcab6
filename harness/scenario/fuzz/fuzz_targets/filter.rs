//! Bytes as a filter: read, printed, read again as the same; never a panic, never a place outside of the text.
#![no_main]

use ferry_scenario::select::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Filter::parse("--filter", text) {
        Ok(filter) => {
            let printed = filter.to_string();
            let again = Filter::parse("--filter", &printed).expect("what is printed can be read");
            assert_eq!(again.expr(), filter.expr());
        }
        Err(found) => {
            assert!(!found.is_empty());
            for diagnostic in found {
                let start = diagnostic.span.offset as usize;
                assert!(text.get(start..start + diagnostic.span.len as usize).is_some(), "{diagnostic:?}");
            }
        }
    }
});
