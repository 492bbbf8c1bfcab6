//! Trial tool.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]
use ferry_lab::bundle::{self, Event, Images, Options, Progress};
use ferry_lab::engine::Engine;
use tokio_util::sync::CancellationToken;
struct P(std::time::Instant, bool);
impl Progress for P {
    fn event(&self, c: Option<&str>, e: Event<'_>) {
        if let Event::Line(_) = e
            && !self.1
        {
            return;
        }
        eprintln!("{:7.1} {:30} {e:?}", self.0.elapsed().as_secs_f64(), c.unwrap_or("-"));
    }
}
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let opt = |n: &str| args.iter().find_map(|a| a.strip_prefix(&format!("--{n}=")).map(str::to_owned));
    let names: Vec<&str> = args.iter().skip(1).filter(|a| !a.starts_with("--")).map(String::as_str).collect();
    let mut bundle = bundle::load().unwrap_or_else(|e| {
        eprintln!("{e}");
        std::process::exit(2)
    });
    if let Some(c) = opt("shrink")
        && let Some(ferry_lab::bundle::model::Recipe::Commit(r)) = &mut bundle.components.get_mut(&c).unwrap().source
    {
        while r.images.len() > 2 {
            r.images.pop_last();
        }
    }
    let engine = Engine::connect().await.unwrap();
    let images = match opt("images").as_deref() {
        Some("registry") => Images::Registry,
        Some("auto") => Images::Auto,
        _ => Images::Source,
    };
    let options = Options { images, mirror: opt("mirror"), lock: opt("lock").map(Into::into), ..Default::default() };
    let cancel = CancellationToken::new();
    let c2 = cancel.clone();
    tokio::spawn(async move {
        tokio::signal::ctrl_c().await.unwrap();
        c2.cancel()
    });
    let p = P(std::time::Instant::now(), args.iter().any(|a| a == "--verbose"));
    let fail = |e: bundle::BundleError| -> ! {
        eprintln!("{e}\nhint: {:?}", e.hint());
        std::process::exit(3)
    };
    match args[0].as_str() {
        "build" => {
            let prepared =
                bundle::prepare(&engine, &bundle, &names, &options, &p, &cancel).await.unwrap_or_else(|e| fail(e));
            for f in prepared.facts() {
                println!("{} {} {:?} {} {:?} {:?}", f.name, f.version, f.way, &f.key[..12], f.digest, f.image_id);
            }
        }
        "list" => {
            for l in bundle::list(&engine, &bundle, &options).await.unwrap_or_else(|e| fail(e)) {
                println!(
                    "{:36} {:9} {:18} {:?} {:?} {:?}",
                    l.name,
                    l.version,
                    l.license,
                    l.way,
                    l.cached.is_some(),
                    l.bytes
                );
            }
        }
        "gc" => {
            for g in bundle::gc(&engine, &bundle, &options, !args.iter().any(|a| a == "--force"))
                .await
                .unwrap_or_else(|e| fail(e))
            {
                println!("{} {}", g.name, g.bytes);
            }
        }
        "mirror" => {
            let d = bundle::mirror_to(&engine, &bundle, &opt("to").unwrap(), &names, &options, &p, &cancel)
                .await
                .unwrap_or_else(|e| fail(e));
            bundle::pins::write(std::path::Path::new(&opt("write").unwrap()), &d).unwrap();
        }
        _ => panic!(),
    }
}
