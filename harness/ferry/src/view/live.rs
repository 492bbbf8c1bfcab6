//! The live view: what goes on now stays at the bottom, what is over scrolls up.

use std::time::{Duration, Instant};

use ferry_record::fold::RunState;
use ferry_record::{Event, Nanos};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;

use super::{View, counters, headline, waiting};

/// The view.
pub(super) struct Live {
    screen: MultiProgress,
    now_line: ProgressBar,
    probe_lines: Vec<ProgressBar>,
    last: (Nanos, Instant),
}

impl Live {
    pub(super) fn new(screen: MultiProgress) -> Self {
        let spinner = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let now_line = screen.add(ProgressBar::new_spinner().with_style(spinner));
        now_line.enable_steady_tick(Duration::from_millis(100));
        Self { screen, now_line, probe_lines: vec![], last: (0, Instant::now()) }
    }

    fn draw(&mut self, now: Nanos, state: &RunState) {
        let text = match (state.current_step(), state.current_activity()) {
            (Some(step), _) => {
                let phase = state.current_phase().map(|p| format!("{} › ", p.info.name)).unwrap_or_default();
                format!("{}{}", phase.bold(), waiting(step, now))
            }
            (None, Some(activity)) => {
                let spent = Duration::from_nanos(now.saturating_sub(activity.started));
                format!("{} ({:.0} s)", activity.name.bold(), spent.as_secs_f64())
            }
            (None, None) => String::new(),
        };
        self.now_line.set_message(text);
        let counters = counters(state);
        while self.probe_lines.len() < counters.len() {
            let plain =
                ProgressStyle::with_template("  {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            self.probe_lines.push(self.screen.add(ProgressBar::new_spinner().with_style(plain)));
        }
        for (line, counter) in self.probe_lines.iter().zip(counters) {
            line.set_message(counter);
        }
    }
}

impl View for Live {
    fn event(&mut self, event: &Event, state: &RunState) {
        self.last = (event.t, Instant::now());
        if let Some(line) = headline(event, state) {
            let time = format!("{:>6.1}s", event.t as f64 / 1e9);
            let line = if line.contains('✘') {
                line.red().to_string()
            } else {
                line.replace('✔', &"✔".green().to_string())
            };
            let _ = self.screen.println(format!("{} {line}", time.dimmed()));
        }
        self.draw(event.t, state);
    }

    fn tick(&mut self, _now: Nanos, state: &RunState) {
        let (t, at) = self.last;
        self.draw(t + u64::try_from(at.elapsed().as_nanos()).unwrap_or(0), state);
    }

    fn close(&mut self, _state: &RunState) {
        self.now_line.finish_and_clear();
        for line in &self.probe_lines {
            line.finish_and_clear();
        }
    }
}
