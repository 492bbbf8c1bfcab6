//! A bar for each component of the bundle that is being pulled or built.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ferry_lab::bundle::{Event, Progress, Way};
use ferry_record::EventKind;
use ferry_record::event::Level;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Screen;
use crate::run::recorder::Recorder;

/// Shows the bundle's progress: bars on a live screen, and a line in the record for each component that was not cached.
#[derive(Debug)]
pub struct Bars {
    screen: MultiProgress,
    recorder: Option<Recorder>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    total: Option<ProgressBar>,
    bars: HashMap<String, ProgressBar>,
}

impl Bars {
    /// Bars on `screen`; what happens also goes to `recorder`, or to the screen as lines where there is none.
    pub fn new(screen: &Screen, recorder: Option<Recorder>) -> Self {
        Self { screen: screen.bars.clone(), recorder, inner: Mutex::default() }
    }

    /// Without the removal the screen would keep counting the bar's line, and leave others' lines behind.
    fn take_down(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.screen.remove(bar);
    }

    fn say(&self, level: Level, message: String) {
        match &self.recorder {
            Some(recorder) => recorder.emit(EventKind::Log { level, message }),
            // A closed terminal must not end a build.
            None if self.screen.is_hidden() => _ = writeln!(std::io::stderr(), "{message}"),
            None => _ = self.screen.println(message),
        }
    }
}

/// The way a component is got, as people say it.
pub fn word(way: Way) -> &'static str {
    match way {
        Way::Registry => "pulled",
        Way::Source => "built from source",
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bars {
    fn event(&self, component: Option<&str>, event: Event<'_>) {
        let name = component.unwrap_or_default();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Decided { way, reason } => {
                self.say(Level::Info, format!("images and tools: {} ({reason})", word(way)))
            }
            Event::Planned { components, missing } => {
                if missing > 0 {
                    self.say(Level::Info, format!("{missing} of {components} components are not in the cache"));
                    let total = ProgressBar::new(missing as u64)
                        .with_style(style("{bar:30.cyan} {pos}/{len} components, {elapsed}"));
                    inner.total = Some(self.screen.add(total));
                }
            }
            Event::Cached => {}
            Event::Waiting(holder) => self.say(
                Level::Info,
                format!("{name}: waiting for process {} which is at it since {}", holder.pid, holder.since),
            ),
            Event::Started(way) => {
                let bar = ProgressBar::new_spinner()
                    .with_style(style("{spinner:.cyan} {prefix:28} {elapsed:>4} {wide_msg:.dim}"));
                bar.set_prefix(name.to_string());
                bar.set_message(word(way).to_string());
                bar.enable_steady_tick(Duration::from_millis(200));
                inner.bars.insert(name.to_string(), self.screen.add(bar));
            }
            Event::Line(line) => {
                if let Some(bar) = inner.bars.get(name) {
                    bar.set_message(line.to_string());
                }
            }
            Event::Finished(took) => {
                if let Some(bar) = inner.bars.remove(name) {
                    self.take_down(&bar);
                }
                if let Some(total) = &inner.total {
                    total.inc(1);
                }
                self.say(Level::Info, format!("{name} ready in {:.1} s", took.as_secs_f64()));
            }
            Event::Failed => {
                if let Some(bar) = inner.bars.remove(name) {
                    self.take_down(&bar);
                }
                self.say(Level::Error, format!("{name} could not be had"));
            }
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let inner = std::mem::take(self.inner.get_mut().unwrap_or_else(PoisonError::into_inner));
        inner.bars.values().chain(&inner.total).for_each(|bar| self.take_down(bar));
    }
}
