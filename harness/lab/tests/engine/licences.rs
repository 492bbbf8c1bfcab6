//! That the licences in `bundle.yaml` are those that the modules come with.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use ferry_lab::bundle::{self, Origin};

trials![licences_are_what_the_modules_come_with];

/// How a licence's text tells which it is.
const MARKS: [(&str, &str); 5] = [
    ("AGPL-3.0", "GNU AFFERO GENERAL PUBLIC LICENSE Version 3"),
    ("GPL-3.0", "GNU GENERAL PUBLIC LICENSE Version 3"),
    ("Apache-2.0", "Apache License Version 2.0"),
    ("MPL-2.0", "Mozilla Public License Version 2.0"),
    ("MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"),
];

async fn licences_are_what_the_modules_come_with() {
    let bundle = bundle::load().unwrap();
    let mut modules: BTreeMap<(String, String), Vec<(&str, &str)>> = BTreeMap::new();
    for (name, component) in &bundle.components {
        for origin in bundle::origins(component, &bundle) {
            if let Origin::Go { module, version } = origin {
                modules.entry((module, version)).or_default().push((name, &component.license));
            }
        }
    }
    assert!(modules.len() >= 15, "{modules:?}");
    let folders = download(modules.keys().map(|(module, version)| format!("{module}@{version}")));
    for ((module, version), components) in &modules {
        let folder = Path::new(&folders[&format!("{module}@{version}")]);
        let file = ["LICENSE", "LICENSE.txt"].map(|name| folder.join(name)).into_iter().find(|file| file.is_file());
        let text = fs_err::read_to_string(file.unwrap_or_else(|| panic!("{module}@{version}"))).unwrap();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = MARKS.iter().find(|(_, mark)| text.contains(mark)).map(|(id, _)| *id);
        for (name, license) in components {
            // The text does not say whether later versions are allowed.
            let family = license.trim_end_matches("-only").trim_end_matches("-or-later");
            assert_eq!(found, Some(family), "{name}: {license}, and {module}@{version} says otherwise");
        }
    }
}

/// The modules' folders in Go's module cache, where most are already.
fn download(modules: impl Iterator<Item = String>) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut go = Command::new("go");
    go.current_dir(folder.path()).args(["mod", "download", "-json"]).args(modules).env("GOFLAGS", "-mod=mod");
    // Some modules are newer than this machine's Go, which then leaves them packed.
    go.env("GOTOOLCHAIN", "auto");
    let output = go.output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let found = serde_json::Deserializer::from_str(&said).into_iter::<serde_json::Value>();
    let found: Vec<_> = found.map(Result::unwrap).collect();
    // With -json, what could not be downloaded is told in the answer itself.
    let failed: Vec<_> = found.iter().filter(|found| found.get("Error").is_some()).collect();
    assert!(output.status.success() && failed.is_empty(), "{failed:#?} {errors}");
    let text = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap().to_owned();
    found
        .iter()
        .map(|found| (format!("{}@{}", text(found, "Path"), text(found, "Version")), text(found, "Dir")))
        .collect()
}
