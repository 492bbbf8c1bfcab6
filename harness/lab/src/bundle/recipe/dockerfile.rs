//! `docker build` of a folder of the sources and other components' files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::query_parameters::BuildImageOptionsBuilder;
use futures::StreamExt as _;
use tokio_util::io::ReaderStream;

use super::super::error::{Doing as _, StepError};
use super::super::model::DockerfileRecipe;
use super::{Site, append, blocking, labels};

/// Proxy settings of this machine that a build needs to reach package registries. Docker knows these arguments without
/// their being declared, and keeps them out of the image's history.
const PROXY_VARIABLES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

/// Builds the image under its name.
pub(super) async fn build(site: &Site<'_>, recipe: &DockerfileRecipe) -> Result<(), StepError> {
    let scratch = site.draft.scratch()?;
    let folder = scratch.join("context");
    site.bundle.sources.write(&recipe.dir, &folder)?;
    let inputs = recipe.inputs.iter().map(|(path, from)| Ok((PathBuf::from(path), site.inputs.file(from)?.clone())));
    let inputs = inputs.collect::<Result<Vec<_>, StepError>>()?;
    let archive = scratch.join("context.tar");
    let packed = archive.clone();
    blocking(move || pack(&folder, &inputs, &packed)).await?;

    let mut args: HashMap<String, String> = recipe.args.clone().into_iter().collect();
    if let Some(base) = &recipe.base {
        args.insert("BASE".to_owned(), site.inputs.image(base)?.to_owned());
    }
    let set = |name: &&str| std::env::var(name).ok().map(|value| ((*name).to_owned(), value));
    args.extend(PROXY_VARIABLES.iter().filter_map(set));
    let image = site.planned.image();
    let options = BuildImageOptionsBuilder::default()
        .t(&image)
        .rm(true)
        .forcerm(true)
        .networkmode("host")
        .platform(&format!("linux/{}", site.around.arch))
        .buildargs(&args)
        .labels(&labels(site.planned))
        .build();
    let context = fs_err::tokio::File::open(&archive).await?;
    let body = bollard::body_try_stream(ReaderStream::with_capacity(context, 1 << 16));
    let mut output = std::pin::pin!(site.docker.build_image(options, None, Some(body)));
    let mut stages = Stages::default();
    while let Some(message) = output.next().await {
        let message = message.doing(|| format!("build {image}"))?;
        let text = message.stream.or(message.status).unwrap_or_default();
        for line in text.lines() {
            if let Some(id) = stages.ended_by(line) {
                site.leftovers.stage(&id);
            }
            site.log.line(line);
        }
    }
    Ok(())
}

/// Tells the last image of each stage but the final one from what the builder says. Those have no name, and labels do not
/// reach them; BuildKit, which keeps its cache elsewhere, says nothing of the kind.
#[derive(Debug, Default)]
struct Stages {
    last: Option<String>,
}

impl Stages {
    fn ended_by(&mut self, line: &str) -> Option<String> {
        let line = line.trim();
        if line.starts_with("Step ") && line.contains(" : FROM ") {
            return self.last.take();
        }
        if let Some(id) =
            line.strip_prefix("---> ").filter(|id| id.len() == 12 && id.chars().all(|c| c.is_ascii_hexdigit()))
        {
            self.last = Some(id.to_owned());
        }
        None
    }
}

/// The build context. Times and owners are fixed, so that the engine's own build cache can tell equal files.
fn pack(folder: &Path, inputs: &[(PathBuf, PathBuf)], archive: &Path) -> std::io::Result<()> {
    let (file, _) = fs_err::File::create(archive)?.into_parts();
    let mut tar = tar::Builder::new(std::io::BufWriter::new(file));
    tar.mode(tar::HeaderMode::Deterministic);
    tar.follow_symlinks(false);
    tar.append_dir_all("", folder)?;
    append(&mut tar, inputs.iter().map(|(path, from)| (path, from)))?;
    tar.into_inner()?.into_inner().map_err(|error| error.into_error())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_ends_where_the_next_begins() {
        let output = "Step 1/5 : ARG BASE
Step 2/5 : FROM ${BASE} AS files
 ---> f552e13b9589
Step 3/5 : RUN apt-get update
 ---> Running in 822069c9a0c9
 ---> b569ee5d71cf
Step 4/5 : FROM scratch
 --->
Step 5/5 : COPY --from=files /a /a
 ---> Using cache
 ---> 872f062d51b2
Successfully built 872f062d51b2";
        let mut stages = Stages::default();
        let ended: Vec<_> = output.lines().filter_map(|line| stages.ended_by(line)).collect();
        assert_eq!(ended, ["b569ee5d71cf"]);
    }

    #[test]
    fn a_context_holds_the_folder_and_the_inputs() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        fs_err::create_dir_all(at("folder")).unwrap();
        fs_err::create_dir_all(at("data/sub")).unwrap();
        fs_err::write(at("folder/Dockerfile"), "FROM scratch").unwrap();
        fs_err::write(at("data/sub/file"), "x").unwrap();
        fs_err::write(at("etcd"), "binary").unwrap();
        let inputs = [("binary".into(), at("etcd")), ("data".into(), at("data"))];
        pack(&at("folder"), &inputs, &at("a.tar")).unwrap();
        pack(&at("folder"), &inputs, &at("b.tar")).unwrap();
        assert_eq!(fs_err::read(at("a.tar")).unwrap(), fs_err::read(at("b.tar")).unwrap());
        let mut archive = tar::Archive::new(fs_err::File::open(at("a.tar")).unwrap());
        let entries = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned());
        let mut names: Vec<_> = entries.map(|path| path.display().to_string()).collect();
        names.retain(|name| !name.is_empty());
        assert_eq!(names, ["Dockerfile", "binary", "data/", "data/sub", "data/sub/file"]);
    }
}
