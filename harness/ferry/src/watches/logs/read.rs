//! The log of one container, through its restarts, to its end or the end of the run.

use std::time::Duration;

use ferry_record::EventKind;
use ferry_record::cluster::ErrorLine;
use futures::AsyncBufReadExt;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DynamicObject, LogParams, Request};
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::resource::Backoff;
use super::super::scope;
use super::cursor::{Cursor, Line};
use super::line;
use crate::cluster::{in_words, qualified};
use crate::run::recorder::Recorder;

/// How long the API server may take to begin with a log, and at the end of the run to come to its end.
const ANSWER: Duration = Duration::from_secs(5);

/// Errors of one container that are told one by one; those after them are only counted. A controller in distress logs a few a
/// second.
const TOLD: u64 = 500;

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID.
    pub uid: String,
    /// The container's name.
    pub name: String,
    /// The controller that it is of.
    pub controller: String,
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines.
    pub lines: u64,
    /// Those that tell of an error.
    pub errors: u64,
    /// Why it is not all.
    pub broken: Option<String>,
}

/// How the container stands.
struct Stand {
    restarts: u64,
    /// It will not start again.
    over: bool,
}

/// What the kubelet says in the place of a log that is gone already: with its container, or with its pod's folder.
const REMOVED: [&str; 2] = ["unable to retrieve container logs for ", "failed to try resolving symlinks in path "];

/// What it ends a log with that it followed to its end when the container is removed before the kubelet has looked whether it
/// still runs. It looks once a second, and at once where something was written: nothing is missing then.
const REMOVED_SINCE: &str = "rpc error: code = NotFound";

/// Why reading broke off.
enum Broken {
    /// There is no such log, for now or for good: the pod says which.
    NoLog,
    /// It could not be read.
    Error(String),
}

/// Reads until the pod is gone or the run is over.
pub async fn read(client: Client, recorder: Recorder, container: Container, over: CancellationToken) -> Tally {
    let mut reader = Reader { client, recorder, container, cursor: Cursor::default(), tally: Tally::default() };
    reader.run(over).await;
    reader.tally
}

struct Reader {
    client: Client,
    recorder: Recorder,
    container: Container,
    cursor: Cursor,
    tally: Tally,
}

impl Reader {
    async fn run(&mut self, over: CancellationToken) {
        let mut restarts = None;
        let mut torn = Some("its pod was gone before its log was read".to_owned());
        let mut backoff = Backoff::default();
        loop {
            let last = over.is_cancelled();
            let before = self.tally.lines;
            match self.stand().await {
                Err(error) => torn = Some(error),
                Ok(None) => break,
                Ok(Some(stand)) => {
                    if let Some(known) = restarts.filter(|known| *known < stand.restarts) {
                        self.catch_up(stand.restarts - known).await;
                    }
                    restarts = Some(stand.restarts);
                    let follow = !last && !stand.over;
                    let pass = async {
                        match follow {
                            true => self.pass(true, false).await,
                            false => self.all(false).await,
                        }
                    };
                    let ended = tokio::select! {
                        ended = pass => ended,
                        // One more time, to where it is now.
                        () = over.cancelled(), if !last => continue,
                    };
                    match ended {
                        Ok(()) if !follow => return,
                        Ok(()) => torn = None,
                        // Its end was read, or whatever tore it remains.
                        Err(Broken::NoLog) => {}
                        Err(Broken::Error(error)) => torn = Some(error),
                    }
                }
            }
            if last {
                break;
            }
            if self.tally.lines > before {
                backoff = Backoff::default();
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = over.cancelled() => {}
            }
        }
        if let Some(error) = torn {
            self.miss(error);
        }
    }

    /// How the container stands; none when its pod is gone.
    async fn stand(&self) -> Result<Option<Stand>, String> {
        let Container { pod, namespace, uid, name, .. } = &self.container;
        let what = || format!("get pod {}", qualified(Some(namespace), pod));
        let resource = scope::resource("", "v1", "Pod", "pods");
        let pods: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let found = timeout(ANSWER, pods.get_opt(pod)).await.map_err(|_| format!("{}: no answer", what()))?;
        let found = found.map_err(|e| format!("{}: {}", what(), in_words(&e)))?;
        Ok(found.filter(|pod| pod.metadata.uid.as_ref() == Some(uid)).map(|pod| stand(&pod.data, name)))
    }

    /// Reads what the container said before its last restart and nobody has read.
    async fn catch_up(&mut self, restarts: u64) {
        if restarts > 1 {
            self.miss(format!("it was restarted {restarts} times while its log was not read; only the last is kept"));
        }
        match self.all(true).await {
            Ok(()) => {}
            Err(Broken::NoLog) => self.miss("the log from before its restart is gone".into()),
            Err(Broken::Error(error)) => self.miss(error),
        }
    }

    /// Reads up to now.
    async fn all(&mut self, previous: bool) -> Result<(), Broken> {
        match timeout(ANSWER, self.pass(false, previous)).await {
            Ok(ended) => ended,
            Err(_) => Err(Broken::Error(format!("its log could not be read to its end within {ANSWER:?}"))),
        }
    }

    /// Reads from the last line on until the log ends.
    async fn pass(&mut self, follow: bool, previous: bool) -> Result<(), Broken> {
        let params = LogParams {
            container: Some(self.container.name.clone()),
            follow,
            previous,
            since_time: self.cursor.anew(),
            timestamps: true,
            ..LogParams::default()
        };
        let pods = Request::new(format!("/api/v1/namespaces/{}/pods", self.container.namespace));
        let request = pods.logs(&self.container.pod, &params).map_err(|e| Broken::Error(e.to_string()))?;
        let opened = timeout(ANSWER, self.client.request_stream(request)).await;
        let opened = opened.map_err(|_| Broken::Error(format!("its log did not begin within {ANSWER:?}")))?;
        let mut log = Box::pin(opened.map_err(|error| match &error {
            // Not found, or not started.
            kube::Error::Api(status) if [400, 404].contains(&status.code) => Broken::NoLog,
            other => Broken::Error(in_words(other)),
        })?);
        let (mut bytes, mut begun) = (vec![], false);
        loop {
            bytes.clear();
            // A line that is torn is not taken: it comes again.
            let read = log.read_until(b'\n', &mut bytes).await;
            if read.map_err(|error| Broken::Error(format!("its log broke off: {error}")))? == 0 {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&bytes);
            if follow && begun && line.starts_with(REMOVED_SINCE) {
                return Ok(());
            }
            self.line(line.trim_end())?;
            begun = true;
        }
    }

    fn line(&mut self, line: &str) -> Result<(), Broken> {
        match self.cursor.take(line) {
            Line::Known => {}
            Line::Foreign("") => {}
            Line::Foreign(text) if REMOVED.iter().any(|removed| text.starts_with(removed)) => {
                return Err(Broken::NoLog);
            }
            Line::Foreign(text) => return Err(Broken::Error(format!("instead of its log: {text}"))),
            Line::New(time, text) => {
                self.tally.lines += 1;
                if let Some(logged) = line::error(text) {
                    self.tally.errors += 1;
                    if self.tally.errors <= TOLD {
                        self.tell(time, logged);
                    }
                }
            }
        }
        Ok(())
    }

    fn tell(&self, time: Timestamp, logged: line::Logged) {
        let Container { namespace, pod, controller, .. } = &self.container;
        self.recorder.emit(EventKind::ErrorLogged(Box::new(ErrorLine {
            pod: format!("pod/{namespace}/{pod}"),
            controller: controller.clone(),
            logged: logged.time.unwrap_or_else(|| time.to_string()),
            message: logged.message,
            object: logged.object,
        })));
    }

    /// Something was not read. The first reason stands: others follow from it.
    fn miss(&mut self, why: String) {
        self.tally.broken.get_or_insert(why);
    }
}

fn stand(pod: &Value, container: &str) -> Stand {
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let own = statuses.into_iter().flatten().find(|status| status["name"] == container);
    Stand {
        restarts: own.and_then(|status| status["restartCount"].as_u64()).unwrap_or(0),
        over: matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Server, Stream, Tape, api_server, words};
    use super::*;
    use rstest::rstest;
    use serde_json::json;
    use tokio::task::JoinHandle;

    struct Run {
        server: Server,
        tape: Tape,
        over: CancellationToken,
        task: JoinHandle<Tally>,
    }

    impl Run {
        fn start() -> Self {
            let (client, server) = api_server();
            let (tape, over) = (Tape::start(), CancellationToken::new());
            let [namespace, pod, uid, name, controller] =
                ["flux-system", "source-controller-1", "u-1", "manager", "source-controller"].map(String::from);
            let container = Container { namespace, pod, uid, name, controller };
            let task = tokio::spawn(read(client, tape.recorder(), container, over.clone()));
            Self { server, tape, over, task }
        }

        /// One whose log was followed for a line, and goes on.
        async fn of_one_line() -> (Self, Stream) {
            let mut run = Self::start();
            run.pod("u-1", 0, "Running").await;
            let (_, log) = run.log().await;
            log.send("2026-01-01T00:00:01Z one\n");
            (run, log)
        }

        /// Answers the question how the pod stands.
        async fn pod(&mut self, uid: &str, restarts: u64, phase: &str) {
            let asked = self.server.asked().await;
            assert_eq!(asked.path, "/api/v1/namespaces/flux-system/pods/source-controller-1");
            asked.json(
                200,
                &json!({
                    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "source-controller-1", "uid": uid},
                    "status": {"phase": phase, "containerStatuses": [{"name": "manager", "restartCount": restarts}]},
                }),
            );
        }

        /// The next request for the log, as `follow previous since`, with its stream.
        async fn log(&mut self) -> (String, Stream) {
            let asked = self.server.asked().await;
            assert_eq!(asked.path, "/api/v1/namespaces/flux-system/pods/source-controller-1/log");
            let flag = |name: &str| asked.query.get(name).map(|_| name.to_owned());
            let since = asked.query.get("sinceTime").map(|time| time.replace("%3A", ":"));
            let shown = [flag("follow"), flag("previous"), since].into_iter().flatten().collect::<Vec<_>>().join(" ");
            (shown, asked.stream())
        }

        async fn end(self) -> (Tally, String) {
            let tally = self.task.await.unwrap();
            (tally, words(&self.tape.events()))
        }
    }

    const ERROR: &str = r#"{"level":"error","msg":"Reconciler error","error":"no"}"#;

    #[tokio::test(start_paused = true)]
    async fn what_breaks_off_is_read_on_without_loss_or_repetition() {
        let mut run = Run::start();
        run.pod("u-1", 0, "Running").await;
        let (asked, log) = run.log().await;
        assert_eq!(asked, "follow");
        log.send(&format!("2026-01-01T00:00:01.7Z one\n2026-01-01T00:00:01.8Z {ERROR}\n2026-01-01T00:00:02Z to"));
        log.break_off();
        run.pod("u-1", 0, "Running").await;
        let (asked, log) = run.log().await;
        assert_eq!(asked, "follow 2026-01-01T00:00:01Z");
        log.send(&format!("2026-01-01T00:00:01.7Z one\n2026-01-01T00:00:01.8Z {ERROR}\n2026-01-01T00:00:02Z torn\n"));
        // The end of the run: what is left is read once more.
        tokio::task::yield_now().await;
        run.over.cancel();
        run.pod("u-1", 0, "Running").await;
        let (asked, log) = run.log().await;
        assert!(asked == "2026-01-01T00:00:02Z" || asked == "2026-01-01T00:00:01Z", "{asked}");
        log.send(&format!("2026-01-01T00:00:02Z torn\n2026-01-01T00:00:03Z {ERROR}\n"));
        drop(log);
        let (tally, told) = run.end().await;
        assert_eq!(tally, Tally { lines: 4, errors: 2, broken: None });
        assert_eq!(told, "source-controller logged: Reconciler error: no\n".repeat(2).trim());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_said_before_a_restart_is_read_first() {
        let (mut run, log) = Run::of_one_line().await;
        log.break_off();
        run.pod("u-1", 1, "Running").await;
        let (asked, log) = run.log().await;
        assert_eq!(asked, "previous 2026-01-01T00:00:01Z");
        log.send("2026-01-01T00:00:01Z one\n2026-01-01T00:00:02Z panic: no\n");
        drop(log);
        let (asked, log) = run.log().await;
        assert_eq!(asked, "follow 2026-01-01T00:00:02Z");
        log.send("2026-01-01T00:00:04Z three\n");
        drop(log);
        run.pod("another", 0, "Running").await;
        let (tally, told) = run.end().await;
        assert_eq!(tally, Tally { lines: 3, errors: 1, broken: None });
        assert_eq!(told, "source-controller logged: panic: no");
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_went_with_its_pod_before_it_was_read_is_broken() {
        let (mut run, log) = Run::of_one_line().await;
        log.break_off();
        run.server.asked().await.refuse(404, "NotFound", "pods \"source-controller-1\" not found");
        let (tally, _) = run.end().await;
        assert_eq!(tally.lines, 1);
        assert!(tally.broken.as_ref().is_some_and(|why| why.contains("broke off")), "{tally:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_whose_end_was_read_before_its_pod_went_is_whole() {
        let (mut run, log) = Run::of_one_line().await;
        drop(log);
        run.pod("u-1", 0, "Running").await;
        run.server.asked().await.refuse(400, "BadRequest", "container \"manager\" is terminated");
        run.server.asked().await.refuse(404, "NotFound", "pods \"source-controller-1\" not found");
        let (tally, _) = run.end().await;
        assert_eq!(tally, Tally { lines: 1, errors: 0, broken: None });
    }

    #[tokio::test(start_paused = true)]
    async fn restarts_that_nobody_saw_are_missing() {
        let mut run = Run::start();
        run.pod("u-1", 0, "Running").await;
        let (_, log) = run.log().await;
        log.break_off();
        run.pod("u-1", 3, "Running").await;
        drop(run.log().await);
        drop(run.log().await);
        run.over.cancel();
        run.pod("u-1", 3, "Running").await;
        drop(run.log().await);
        let (tally, _) = run.end().await;
        insta::assert_snapshot!(tally.broken.unwrap(), @"it was restarted 3 times while its log was not read; only the last is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_is_done_is_read_to_its_end() {
        let mut run = Run::start();
        run.pod("u-1", 0, "Succeeded").await;
        let (asked, log) = run.log().await;
        assert_eq!(asked, "");
        log.send("2026-01-01T00:00:01Z one");
        drop(log);
        assert_eq!(run.end().await.0, Tally { lines: 1, errors: 0, broken: None });
    }

    const SYMLINK: &str = "failed to try resolving symlinks in path \"/var/log/pods/a_b_c/manager/0.log\": lstat /var/log/pods/a_b_c: no such file or directory";

    #[rstest]
    #[case::container("unable to retrieve container logs for containerd://1c0f")]
    #[case::folder(SYMLINK)]
    #[tokio::test(start_paused = true)]
    async fn what_the_kubelet_says_instead_is_no_log(#[case] instead: &str) {
        let mut run = Run::start();
        run.pod("u-1", 0, "Succeeded").await;
        let (_, log) = run.log().await;
        log.send(instead);
        drop(log);
        run.server.asked().await.refuse(404, "NotFound", "gone");
        let (tally, _) = run.end().await;
        assert_eq!(tally.broken.unwrap(), "its pod was gone before its log was read");
    }

    #[rstest]
    #[case::container("unable to retrieve container logs for containerd://1c0f")]
    #[case::folder(SYMLINK)]
    #[tokio::test(start_paused = true)]
    async fn a_log_whose_end_was_read_before_it_went_is_whole(#[case] instead: &str) {
        let (mut run, log) = Run::of_one_line().await;
        drop(log);
        run.pod("u-1", 0, "Running").await;
        let (_, log) = run.log().await;
        log.send(instead);
        drop(log);
        run.server.asked().await.refuse(404, "NotFound", "gone");
        assert_eq!(run.end().await.0, Tally { lines: 1, errors: 0, broken: None });
    }

    #[rstest]
    #[case::followed_to_its_end("2026-01-01T00:00:01Z one\n", None)]
    #[case::never_begun("", Some("instead of its log: rpc error: code = NotFound desc = no container"))]
    #[tokio::test(start_paused = true)]
    async fn a_container_that_went_while_it_was_followed(#[case] lines: &str, #[case] broken: Option<&str>) {
        let mut run = Run::start();
        run.pod("u-1", 0, "Running").await;
        let (_, log) = run.log().await;
        log.send(&format!("{lines}rpc error: code = NotFound desc = no container"));
        drop(log);
        run.server.asked().await.refuse(404, "NotFound", "gone");
        assert_eq!(run.end().await.0.broken.as_deref(), broken);
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_does_not_answer_at_the_end_leaves_it_broken() {
        let run = Run::start();
        run.over.cancel();
        let Run { server: _server, task, .. } = run;
        assert!(task.await.unwrap().broken.is_some());
    }
}
