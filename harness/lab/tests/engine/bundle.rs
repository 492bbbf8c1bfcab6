//! The bundle on a real engine.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Mutex;

use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListImagesOptions, RemoveImageOptions, StartContainerOptions,
};
use ferry_lab::bundle::{
    self, Bundle, BundleError, Event, Images, Options, Prepared, Progress, Silent, SourceFile, Sources, Way, pins,
};
use ferry_lab::engine::Engine;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::support::Lab;

trials![
    a_mirror_gives_back_by_digest_what_was_pushed_to_it,
    what_was_built_is_found_again_and_only_what_is_lost_is_built_again,
    two_at_once_build_everything_once,
    a_failed_build_says_what_the_engine_said_and_leaves_nothing,
    cancelling_stops_and_leaves_nothing,
];

/// A small bundle with one component of each kind that a mirror can hold, and one that needs both.
const YAML: &str = "
components:
  trial-image:
    {version: '1', license: MIT, homepage: h, registry: {reference: 'ghcr.io/trial/image:v1'}, source: {dockerfile: {dir: trial}}}
  trial-files:
    version: '0.9.1'
    license: BSD-2-Clause
    homepage: https://github.com/pkg/errors
    registry: {reference: 'trial/files:v0.9.1', files: {license: /usr/share/LICENSE, makefile: /usr/share/Makefile}}
    source: {go: {dir: files, extract: {license: github.com/pkg/errors/LICENSE, makefile: github.com/pkg/errors/Makefile}}}
  trial-both:
    version: '1'
    license: MIT
    homepage: h
    source: {dockerfile: {dir: both, base: trial-image, inputs: {license: trial-files/license}}}
";

static SOURCES: &[SourceFile] = &[
    SourceFile {
        path: "both/Dockerfile",
        executable: false,
        content: b"ARG BASE\nFROM ${BASE}\nCOPY license /license\n",
    },
    SourceFile {
        path: "files/go.mod",
        executable: false,
        content: b"module files\n\ngo 1.20\n\nrequire github.com/pkg/errors v0.9.1\n",
    },
    SourceFile {
        path: "files/go.sum",
        executable: false,
        content: b"github.com/pkg/errors v0.9.1 h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=\n\
                   github.com/pkg/errors v0.9.1/go.mod h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=\n",
    },
    // With a layer of its own at the bottom no trial's build goes on from a layer that another trial removes.
    SourceFile {
        path: "trial/Dockerfile",
        executable: false,
        content: b"FROM scratch\nARG SALT\nLABEL salt=${SALT}\nCOPY greeting /greeting\n",
    },
    SourceFile { path: "trial/greeting", executable: false, content: b"hello from the trial bundle\n" },
];

/// The engine is shared: images of other trials, past or at the same time, must have other keys.
fn salted(yaml: &str, cache: &tempfile::TempDir) -> String {
    let salt = cache.path().file_name().unwrap().display();
    let args = format!("{{dockerfile: {{dir: trial, args: {{SALT: '{salt}'}}}}}}");
    yaml.replace("{dockerfile: {dir: trial}}", &args)
}

struct Trial {
    engine: Engine,
    bundle: Bundle,
    cache: tempfile::TempDir,
}

impl Trial {
    /// Runs `test`, and removes the images that it made whatever becomes of it.
    async fn with(test: impl AsyncFnOnce(&Self)) {
        Self::of(YAML, SOURCES, test).await;
    }

    /// As [`Trial::with`], on a bundle of the test's own.
    async fn of(yaml: &str, sources: &'static [SourceFile], test: impl AsyncFnOnce(&Self)) {
        let engine = Engine::connect().await.unwrap();
        let cache = tempfile::tempdir().unwrap();
        let bundle = bundle::parse(&salted(yaml, &cache), Sources::of(sources)).unwrap();
        let trial = Self { engine, bundle, cache };
        let outcome = AssertUnwindSafe(test(&trial)).catch_unwind().await;
        trial.end().await;
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    }

    fn options(&self, images: Images) -> Options {
        Options { images, cache: Some(self.cache.path().to_owned()), ..Options::default() }
    }

    async fn prepare(&self, options: &Options, progress: &dyn Progress) -> Result<Prepared, BundleError> {
        let wanted = ["trial-image", "trial-files", "trial-both"];
        bundle::prepare(&self.engine, &self.bundle, &wanted, options, progress, &CancellationToken::new()).await
    }

    /// Removes what the trial left in the engine.
    async fn end(self) {
        let images = self.engine.docker.list_images(None::<ListImagesOptions>).await.unwrap();
        let keys = fs_err::read_dir(self.cache.path().join("locks")).unwrap();
        let keys: Vec<String> = keys.map(|lock| lock.unwrap().file_name().into_string().unwrap()).collect();
        for name in images.into_iter().flat_map(|image| image.repo_tags) {
            let lock = name.strip_prefix("flux-ferry/").map(|name| name.replace(':', "-") + ".lock");
            if lock.is_some_and(|lock| lock.starts_with("trial-") && keys.contains(&lock)) {
                self.forget(&name).await;
            }
        }
    }

    async fn forget(&self, image: &str) {
        self.engine.docker.remove_image(image, None::<RemoveImageOptions>, None).await.unwrap();
    }
}

/// The names of the components that were made rather than found.
#[derive(Default)]
struct Started(Mutex<Vec<String>>);

impl Progress for Started {
    fn event(&self, component: Option<&str>, event: Event<'_>) {
        if let (Some(component), Event::Started(_)) = (component, event) {
            self.0.lock().unwrap().push(component.to_owned());
        }
    }
}

impl Started {
    fn take(&self) -> Vec<String> {
        let mut names = std::mem::take(&mut *self.0.lock().unwrap());
        names.sort();
        names
    }
}

async fn what_was_built_is_found_again_and_only_what_is_lost_is_built_again() {
    Trial::with(async |trial| {
        let options = trial.options(Images::Source);
        let started = Started::default();
        let first = trial.prepare(&options, &started).await.unwrap();
        assert_eq!(started.take(), ["trial-both", "trial-files", "trial-image"]);
        assert!(fs_err::read_to_string(first.file("trial-files/license").unwrap()).unwrap().contains("Dave Cheney"));

        let second = trial.prepare(&options, &started).await.unwrap();
        assert_eq!(started.take(), [""; 0]);
        assert_eq!(second.facts(), first.facts());

        trial.forget(first.image("trial-both").unwrap()).await;
        trial.prepare(&options, &started).await.unwrap();
        assert_eq!(started.take(), ["trial-both"]);

        let entry = first.file("trial-files/license").unwrap();
        fs_err::remove_file(entry).unwrap();
        trial.prepare(&options, &started).await.unwrap();
        assert_eq!(started.take(), ["trial-files"]);

        // `auto` asks no registry for what is there.
        let auto = trial.prepare(&trial.options(Images::Auto), &started).await.unwrap();
        let keys = |prepared: &Prepared| prepared.facts().iter().map(|fact| fact.key.clone()).collect::<Vec<_>>();
        assert_eq!((started.take(), keys(&auto)), (vec![], keys(&first)));
    })
    .await;
}

async fn two_at_once_build_everything_once() {
    Trial::with(async |trial| {
        let options = trial.options(Images::Source);
        let started = Started::default();
        let (one, two) = tokio::join!(trial.prepare(&options, &started), trial.prepare(&options, &started));
        assert_eq!(started.take(), ["trial-both", "trial-files", "trial-image"]);
        assert_eq!(one.unwrap().facts(), two.unwrap().facts());
    })
    .await;
}

async fn a_failed_build_says_what_the_engine_said_and_leaves_nothing() {
    static BROKEN: &[SourceFile] = &[
        SourceFile { path: "files/go.mod", executable: false, content: b"module files\n\ngo 1.20\n" },
        SourceFile { path: "trial/Dockerfile", executable: false, content: b"FROM scratch\nCOPY absent /absent\n" },
    ];
    let yaml = YAML.replace("dir: both", "dir: trial").replace("base: trial-image, ", "");
    Trial::of(&yaml, BROKEN, async |trial| {
        let error = trial.prepare(&trial.options(Images::Source), &Silent).await.unwrap_err();
        let BundleError::Component(failure) = &error else { panic!("{error}") };
        assert!(failure.log.is_file());
        assert!(error.to_string().contains(&failure.log.display().to_string()), "{error}");
        let left = fs_err::read_dir(trial.cache.path().join("components")).unwrap().count();
        assert_eq!(left, 0);
    })
    .await;
}

async fn cancelling_stops_and_leaves_nothing() {
    Trial::with(async |trial| {
        let cancel = CancellationToken::new();
        struct CancelAtStart(CancellationToken);
        impl Progress for CancelAtStart {
            fn event(&self, _: Option<&str>, event: Event<'_>) {
                if let Event::Started(_) = event {
                    self.0.cancel();
                }
            }
        }
        let options = trial.options(Images::Source);
        let progress = CancelAtStart(cancel.clone());
        let result = bundle::prepare(&trial.engine, &trial.bundle, &["trial-both"], &options, &progress, &cancel).await;
        assert!(matches!(result, Err(BundleError::Cancelled)));
        assert_eq!(fs_err::read_dir(trial.cache.path().join("components")).unwrap().count(), 0);
    })
    .await;
}

/// Starts the lab's registry image, open to anyone, on a loopback port, and gives its address.
async fn open_registry(lab: &Lab) -> String {
    let loopback = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: None };
    let config = ContainerCreateBody {
        image: Some(lab.image("registry-image").to_owned()),
        labels: Some(lab.run.labels("mirror").into_iter().collect()),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([("5000/tcp".to_owned(), Some(vec![loopback]))])),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let docker = &lab.engine.docker;
    let id = docker.create_container(None::<CreateContainerOptions>, config).await.unwrap().id;
    docker.start_container(&id, None::<StartContainerOptions>).await.unwrap();
    let inspected = docker.inspect_container(&id, None::<InspectContainerOptions>).await.unwrap();
    let ports = inspected.network_settings.unwrap().ports.unwrap();
    let port = ports["5000/tcp"].as_ref().unwrap()[0].host_port.clone().unwrap();
    format!("127.0.0.1:{port}")
}

async fn a_mirror_gives_back_by_digest_what_was_pushed_to_it() {
    Lab::with(async |lab| Trial::with(async |trial| mirrored(&open_registry(lab).await, trial).await).await).await;
}

async fn mirrored(registry: &str, trial: &Trial) {
    let mirror = format!("{}/proxy", registry);
    let wanted = ["trial-image", "trial-files"];
    let source = trial.options(Images::Source);
    let cancel = CancellationToken::new();
    let digests =
        bundle::mirror_to(&trial.engine, &trial.bundle, &mirror, &wanted, &source, &Silent, &cancel).await.unwrap();
    assert_eq!(digests.keys().collect::<Vec<_>>(), ["ghcr.io/trial/image:v1", "trial/files:v0.9.1"]);
    let lock = trial.cache.path().join("lock.json");
    pins::write(&lock, &digests).unwrap();

    // Nothing of it may stay in the engine, or the pull would prove nothing.
    let built = trial.prepare(&source, &Silent).await.unwrap();
    let made_of = fs_err::read(built.file("trial-files/license").unwrap()).unwrap();
    let built_id = built.facts().iter().find(|fact| fact.name == "trial-image").unwrap().image_id.clone();
    for name in ["trial-both", "trial-image"] {
        trial.forget(built.image(name).unwrap()).await;
    }
    assert!(trial.engine.docker.inspect_image(built_id.as_deref().unwrap()).await.is_err());

    let pulled = Options { mirror: Some(mirror.clone()), lock: Some(lock), ..trial.options(Images::Registry) };
    let prepared = trial.prepare(&pulled, &Silent).await.unwrap();
    assert_eq!(fs_err::read(prepared.file("trial-files/license").unwrap()).unwrap(), made_of);
    let facts: Vec<_> =
        prepared.facts().iter().map(|fact| (fact.name.as_str(), fact.way, fact.digest.as_ref())).collect();
    assert_eq!(
        facts,
        [
            ("trial-both", Way::Source, None),
            ("trial-files", Way::Registry, digests.get("trial/files:v0.9.1")),
            ("trial-image", Way::Registry, digests.get("ghcr.io/trial/image:v1")),
        ]
    );
    let image = prepared.facts().iter().find(|fact| fact.name == "trial-image").unwrap();
    assert_eq!(image.image_id, built_id);

    // By tag, what the first pull found stays the digest of the next.
    let by_tag = Options { lock: None, ..pulled.clone() };
    let tagged = trial.prepare(&by_tag, &Silent).await.unwrap();
    let remembered = pins::read(&trial.cache.path().join("digests.json"), false).unwrap();
    assert_eq!(remembered, digests);

    // Afloat, what the tag names is asked for and pulled, and is remembered by nobody.
    trial.forget(prepared.image("trial-image").unwrap()).await;
    let afloat = trial.prepare(&Options { floating: true, ..by_tag.clone() }, &Silent).await.unwrap();
    assert_eq!(afloat.image("trial-image").unwrap(), prepared.image("trial-image").unwrap());
    assert_ne!(afloat.image("trial-image").unwrap(), tagged.image("trial-image").unwrap());
    assert_eq!(pins::read(&trial.cache.path().join("digests.json"), false).unwrap(), digests);

    // `auto` asks the mirror, hears an answer, and pulls.
    let fresh = tempfile::tempdir().unwrap();
    let auto = Options { images: Images::Auto, cache: Some(fresh.path().to_owned()), ..by_tag.clone() };
    let ways = trial.prepare(&auto, &Silent).await.unwrap().facts().iter().map(|fact| fact.way).collect::<Vec<_>>();
    assert_eq!(ways, [Way::Source, Way::Registry, Way::Registry]);

    // A digest that the mirror does not have.
    let wrong = trial.cache.path().join("wrong.json");
    let digest = format!("sha256:{}", "0".repeat(64));
    pins::write(&wrong, &pins::Digests::from([("ghcr.io/trial/image:v1".to_owned(), digest.clone())])).unwrap();
    let error = trial.prepare(&Options { lock: Some(wrong), ..pulled }, &Silent).await.unwrap_err();
    assert!(error.to_string().starts_with("trial-image could not be pulled"), "{error}");
    assert!(error.to_string().contains(&digest), "{error}");

    // No name of the mirror stays behind in the engine.
    let images = trial.engine.docker.list_images(None::<ListImagesOptions>).await.unwrap();
    let names: Vec<String> =
        images.into_iter().flat_map(|image| [image.repo_tags, image.repo_digests].concat()).collect();
    assert!(!names.iter().any(|name| name.starts_with(registry) || name.starts_with("ghcr.io/trial")), "{names:?}");
}
