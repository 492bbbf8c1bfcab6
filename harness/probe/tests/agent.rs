//! The agent as a container runs it: specs in, events out, an orderly end on SIGTERM.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use ferry_record::{Event, EventKind};
use rstest::rstest;

fn agent(specs: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferry-agent"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut agent = command.spawn().unwrap();
    agent.stdin.take().unwrap().write_all(specs.as_bytes()).unwrap();
    agent
}

/// Answers every request with 200, on a port of its own, as long as the test lives.
fn target() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    port
}

#[test]
fn samples_until_it_is_told_to_stop_and_says_how_many_were_due() {
    let url = format!("http://127.0.0.1:{}/", target());
    let specs = serde_json::json!([{
        "name": "web", "place": "inside", "connection": "new", "kind": {"http": {"url": url}},
        "interval": {"secs": 0, "nanos": 10_000_000}, "timeout": {"secs": 1, "nanos": 0},
    }]);
    let mut agent = agent(&specs.to_string());
    let mut lines = BufReader::new(agent.stdout.take().unwrap()).lines().map(|line| {
        let event: Event = serde_json::from_str(&line.unwrap()).unwrap();
        event.kind
    });
    assert!(matches!(lines.next(), Some(EventKind::ProbeStarted(probe)) if probe.probe == "web/inside/new"));
    let mut taken = 0;
    for event in lines.by_ref() {
        if let EventKind::Samples(block) = event {
            assert_eq!(block.failed, []);
            taken = block.latency.len() as u64;
            break;
        }
    }
    let pid = agent.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut planned = None;
    let mut missed = false;
    for event in lines {
        match event {
            EventKind::Samples(block) => taken += block.latency.len() as u64,
            EventKind::SamplerOutage { .. } => missed = true,
            EventKind::ProbeStopped { planned: due, .. } => planned = Some(due),
            other => panic!("{other:?}"),
        }
    }
    assert!(agent.wait().unwrap().success());
    // A busy machine may make the sampler miss some; it then says so.
    assert!(planned == Some(taken) || missed && planned > Some(taken), "{planned:?} due, {taken} taken");
}

#[rstest]
#[case::no_json("web", "not a JSON array of probes")]
#[case::no_url(r#"[{"name":"a","place":"inside","connection":"new","kind":{"http":{"url":"ftp://x"}},"interval":{"secs":1,"nanos":0},"timeout":{"secs":1,"nanos":0}}]"#, "cannot ask")]
fn unusable_specs_are_refused(#[case] specs: &str, #[case] why: &str) {
    let output = agent(specs).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{output:?}");
}
